"""Write the surface files of the Natural Scenes Dataset, as it has them: a file a hemisphere.

Values are given for all vertices, those of the left before those of the right; vertices: how many
each has.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np

SIDES = ("lh", "rh")
BETAS = "betas_fithrf_GLMdenoise_RR"


def write_mgh(path: Path, values: np.ndarray, dtype: type = np.float32) -> Path:
    """values: (vertex,) or (vertex, trial)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.asarray(values).astype(dtype)
    shape = (len(values), 1, 1, *values.shape[1:])
    nib.save(nib.MGHImage(values.reshape(shape), np.eye(4)), path)
    return path


def write_sides(folder: Path, name: str, values: np.ndarray, vertices, dtype=np.float32) -> None:
    for side, part in zip(SIDES, np.split(np.asarray(values), [vertices[0]]), strict=True):
        write_mgh(folder / f"{side}.{name}", part, dtype)


def write_session(
    root: Path, subject: str, session: int, betas: np.ndarray, *, vertices, space: str, chunks=None
) -> None:
    """betas: (trial, vertex), percent signal change: as they are on fsaverage, else int16 × 300."""
    folder = Path(root) / "nsddata_betas/ppdata" / subject / space / BETAS
    folder.mkdir(parents=True, exist_ok=True)
    for side, part in zip(SIDES, np.split(betas, [vertices[0]], axis=1), strict=True):
        path = str(folder / f"{side}.betas_session{session:02d}")
        if space == "fsaverage":
            write_mgh(Path(f"{path}.mgh"), part.T)
            continue
        with h5py.File(f"{path}.hdf5", "w") as file:
            file.create_dataset("betas", data=np.rint(part * 300).astype(np.int16), chunks=chunks)


def write_ncsnr(root: Path, subject: str, values: np.ndarray, *, vertices, space: str) -> None:
    folder = Path(root) / "nsddata_betas/ppdata" / subject / space / BETAS
    write_sides(folder, "ncsnr.mgh", values, vertices)


def write_roi(
    root: Path, owner: str, name: str, values: np.ndarray, labels: Mapping[int, str], *, vertices
) -> None:
    """owner: of the surfaces: a subject, or fsaverage."""
    folder = Path(root) / "nsddata/freesurfer" / owner / "label"
    write_sides(folder, f"{name}.mgz", values, vertices, np.int32)
    entries = {0: "Unknown", **labels}
    text = "".join(f"{key}\t{label} \n" for key, label in entries.items())
    (folder / f"{name}.mgz.ctab").write_text(text)


def write_localiser(root: Path, owner: str, contrast: str, values: np.ndarray, *, vertices) -> None:
    folder = Path(root) / "nsddata/freesurfer" / owner / "label"
    write_sides(folder, f"floc{contrast}tval.mgz", values, vertices)


def write_places(root: Path, owner: str, places: np.ndarray, *, vertices) -> None:
    """places: (vertex, 3), millimetres; the triangles mean nothing."""
    folder = Path(root) / "nsddata/freesurfer" / owner / "surf"
    folder.mkdir(parents=True, exist_ok=True)
    for side, part in zip(SIDES, np.split(places, [vertices[0]]), strict=True):
        faces = np.array([[0, 1, 2]])
        # without a time of creation the same places give the same bytes
        nib.freesurfer.write_geometry(folder / f"{side}.white", part, faces, create_stamp="a test")
