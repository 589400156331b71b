"""The Natural Scenes Dataset read literally: a short reader for each format, all in memory.

They use the libraries of the formats and nothing of this project, and know only what NSD's manual
says. Each gives the betas of one session in the voxels where nsdgeneral is 1, (trial, voxel),
voxels in C order of the volume, or on surfaces those of the left before those of the right.
"""

from __future__ import annotations

import gzip

import h5py
import nibabel as nib
import numpy as np
import scipy.io


def read_nifti(root, subject, session, *, space, betas):
    folder = f"{root}/nsddata_betas/ppdata/{subject}/{space}/{betas}"
    volume = nib.load(f"{folder}/betas_session{session:02d}.nii.gz").get_fdata()
    return volume[read_volume(root, subject, "nsdgeneral", space) == 1].T / 300


def read_hdf5(root, subject, session, *, space, betas):
    folder = f"{root}/nsddata_betas/ppdata/{subject}/{space}/{betas}"
    with h5py.File(f"{folder}/betas_session{session:02d}.hdf5") as file:
        volume = file["betas"][:].astype(np.float64).transpose(3, 2, 1, 0)
    return volume[read_volume(root, subject, "nsdgeneral", space) == 1].T / 300


def read_surface_hdf5(root, subject, session, *, space, betas):
    folder = f"{root}/nsddata_betas/ppdata/{subject}/{space}/{betas}"
    sides = []
    for side in ("lh", "rh"):
        with h5py.File(f"{folder}/{side}.betas_session{session:02d}.hdf5") as file:
            sides.append(file["betas"][:].astype(np.float64) / 300)
    return np.hstack(sides)[:, read_surface(root, subject, "nsdgeneral") == 1]


def read_mgh(root, subject, session, *, space, betas):
    folder = f"{root}/nsddata_betas/ppdata/{subject}/{space}/{betas}"
    sides = []
    for side in ("lh", "rh"):
        sides.append(read_values(f"{folder}/{side}.betas_session{session:02d}.mgh")[:, 0, 0, :].T)
    return np.hstack(sides)[:, read_surface(root, "fsaverage", "nsdgeneral") == 1]


def read_volume(root, subject, name, space):
    return nib.load(f"{root}/nsddata/ppdata/{subject}/{space}/roi/{name}.nii.gz").get_fdata()


def read_surface(root, owner, name):
    folder = f"{root}/nsddata/freesurfer/{owner}/label"
    return np.concatenate(
        [read_values(f"{folder}/{side}.{name}.mgz").ravel() for side in ("lh", "rh")]
    )


def read_values(path):
    """Values of an MGH file, opened here because nibabel would leave it open."""
    with open(path, "rb") as file:
        data = file.read()
    data = gzip.decompress(data) if str(path).endswith(".mgz") else data
    return nib.MGHImage.from_bytes(data).get_fdata()


def read_ncsnr(root, subject, *, space, betas):
    """Published ncsnr of the voxels of nsdgeneral."""
    folder = f"{root}/nsddata_betas/ppdata/{subject}/{space}/{betas}"
    if space.startswith("func"):
        volume = nib.load(f"{folder}/ncsnr.nii.gz").get_fdata()
        return volume[read_volume(root, subject, "nsdgeneral", space) == 1]
    sides = [read_values(f"{folder}/{side}.ncsnr.mgh").ravel() for side in ("lh", "rh")]
    owner = "fsaverage" if space == "fsaverage" else subject
    return np.concatenate(sides)[read_surface(root, owner, "nsdgeneral") == 1]


def read_design(root):
    """Order of the images of a trial, images of each subject, shared images: all from 0."""
    design = scipy.io.loadmat(f"{root}/nsddata/experiments/nsd/nsd_expdesign.mat")
    return [design[name].astype(int) - 1 for name in ("masterordering", "subjectim", "sharedix")]


def average(root, subject, sessions, *, standardise_on, test):
    """Z-score by session and average by image.

    sessions: number -> betas (trial, voxel). Returns images, repeats, which of them test, response
    (image, voxel), which voxels are valid, and ncsnr measured on the repeats of the test images.
    """
    ordering, subject_images, shared = read_design(root)
    own, shared = subject_images[int(subject[4:]) - 1], set(shared.ravel().tolist())
    seen, valid = {}, True
    for number, betas in sessions.items():
        first = (number - 1) * len(betas)
        shown = own[ordering[0, first : first + len(betas)]].tolist()
        fit = np.array([standardise_on == "all" or image not in shared for image in shown])
        good = np.isfinite(betas).all(axis=0)
        good[good] = [len(set(column)) > 1 for column in betas[fit][:, good].T]
        valid = valid & good
        with np.errstate(invalid="ignore", divide="ignore"):
            z = (betas - betas[fit].mean(axis=0)) / betas[fit].std(axis=0)
        for image, trial in zip(shown, z, strict=True):
            seen.setdefault(image, []).append(trial)
    images = [
        image
        for image in sorted(seen)
        if image not in shared or test == "shared" or len(seen[image]) >= 3
    ]
    tested = [image for image in images if image in shared]
    response = np.array([np.mean(seen[image], axis=0) for image in images])
    repeats = np.array([len(seen[image]) for image in images])
    return images, repeats, tested, response, valid, measure_ncsnr([seen[one] for one in tested])


def measure_ncsnr(repeats):
    """Signal over noise of images with two repeats or more, which have to be two or more: each a
    list of trials (voxel,)."""
    repeats = [np.array(one) for one in repeats if len(one) >= 2]
    if len(repeats) < 2:
        return None
    noise = np.mean([one.var(axis=0, ddof=1) for one in repeats], axis=0)
    total = np.concatenate(repeats).var(axis=0, ddof=1)
    return np.sqrt(np.maximum(total - noise, 0)) / np.sqrt(noise)
