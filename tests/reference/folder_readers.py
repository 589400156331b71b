"""An experiment of one's own read literally: a short reader for each format, all in memory.

They use the libraries of the formats and nothing of this project. Each gives the responses of one
file, (trial, place): the voxels of the mask in C order, vertices of the left before those of the
right, or columns.
"""

from __future__ import annotations

import h5py
import nibabel as nib
import numpy as np
import pandas as pd


def find_mask(root, subject):
    return np.asarray(nib.load(f"{root}/{subject}/mask.nii.gz").dataobj) > 0


def read_nifti(root, subject, stem):
    mask = find_mask(root, subject)
    return np.asarray(nib.load(f"{root}/{stem}.nii.gz").get_fdata())[mask].T


def read_volumes(root, subject, stem):
    return np.load(f"{root}/{stem}.npy")[find_mask(root, subject)].T


def read_python_hdf5(root, subject, stem):
    with h5py.File(f"{root}/{stem}.hdf5") as file:
        return file["betasmd"][:][find_mask(root, subject)].T


def read_matlab(root, subject, stem):
    with h5py.File(f"{root}/{stem}.mat") as file:
        return file["modelmd"][:].transpose(3, 2, 1, 0)[find_mask(root, subject)].T


def read_rows(root, subject, stem):
    return np.load(f"{root}/{stem}.npy")


def read_gifti(root, subject, stem):
    sides = []
    for side in ("L", "R"):
        arrays = nib.load(f"{root}/{stem}_hemi-{side}.func.gii").darrays
        sides.append(np.stack([array.data for array in arrays]))
    return np.hstack(sides)


def read_vertices(root, subject, stem):
    return np.hstack([np.load(f"{root}/{stem}.{side}.npy") for side in ("lh", "rh")])


def read_cifti(root, subject, stem):
    image = nib.load(f"{root}/{stem}.dscalar.nii")
    axis, values, columns = image.header.get_axis(1), image.get_fdata(), []
    for name in ("CORTEX_LEFT", "CORTEX_RIGHT"):
        inside = axis.name == f"CIFTI_STRUCTURE_{name}"
        columns.append(values[:, inside][:, np.argsort(axis.vertex[inside])])
    return np.hstack(columns)


def read_world(path, affine):
    """Values of a volume by their place in millimetres, whatever the order that it is stored in."""
    image = nib.load(path)
    values = np.asarray(image.dataobj)
    return {
        tuple(np.round(image.affine @ (*ijk, 1), 3)[:3] + 0.0): values[ijk]
        for ijk in np.ndindex(values.shape)
    }


def average(trials, betas, test, standardise_on="training"):
    """Responses of all images, and ncsnr: z-scored by session, averaged over repeats.

    trials: table with session, image (a number) and one row for each row of betas (trial, voxel).
    """
    z = np.empty(betas.shape)
    for session in trials["session"].unique():
        rows = (trials["session"] == session).to_numpy()
        fit = rows & ~trials["image"].isin(test).to_numpy() if standardise_on != "all" else rows
        z[rows] = (betas[rows] - betas[fit].mean(axis=0)) / betas[fit].std(axis=0)
    images = np.unique(trials["image"])
    response = np.stack([z[(trials["image"] == one).to_numpy()].mean(axis=0) for one in images])
    repeated = [one for one in test if (trials["image"] == one).sum() > 1]
    if not repeated:
        return images, response, None
    parts = [z[(trials["image"] == one).to_numpy()] for one in repeated]
    noise = np.mean([part.var(axis=0, ddof=1) for part in parts], axis=0)
    signal = np.maximum(np.concatenate(parts).var(axis=0, ddof=1) - noise, 0)
    return images, response, np.sqrt(signal / noise)


def read_trials(root, subject, pattern, images):
    """All trials of a subject that showed an image and have a response, in the tables' order."""
    table = pd.concat(
        [pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False) for path in pattern]
    )
    table.loc[table["image"] == "n/a", "image"] = "-1"
    names = {name: str(number) for number, name in enumerate(images["image"])}
    table["image"] = table["image"].map(lambda name: int(names.get(name, name)))
    return table.reset_index(drop=True)
