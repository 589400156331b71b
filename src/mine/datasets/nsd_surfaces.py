"""Sessions of betas on the cortical surfaces of the Natural Scenes Dataset, a file a hemisphere.

On the subject's own surfaces (nativesurface) betas are HDF5, int16 percent signal change × 300, and
h5py sees (trial, vertex). On fsaverage they are MGH, single precision and *not* scaled, (vertex, 1,
1, trial). Vertices without data are NaN in the one and 0 throughout in the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from mine.datasets import nsd_files
from mine.datasets.file_sizes import check_size
from mine.datasets.nibabel_files import UNREADABLE
from mine.errors import InputError

FORMATS = ("hdf5", "mgh")

SLAB_BYTES = 16 * 2**20


@dataclass(frozen=True)
class SurfaceSession:
    """One session of betas on disk. shape: vertices (left, right). A surface has no affine."""

    paths: tuple[Path, Path]
    session: int
    format: str
    shape: tuple[int, int]
    trials: int
    affine: None = None

    @property
    def path(self) -> Path:
        return self.paths[0]

    @property
    def bytes(self) -> int:
        return sum(self.shape) * self.trials * (2 if self.format == "hdf5" else 4)


def open_session(path: Path, session: int) -> SurfaceSession:
    """Read the headers of both hemispheres of a session. path: of either hemisphere."""
    paths = nsd_files.name_sides(Path(path))
    vertices, trials = zip(*map(_read_shape, paths), strict=True)
    if trials[0] != trials[1]:
        raise InputError(
            f"{paths[1]}: expected the {trials[0]} trials of {paths[0].name}, found {trials[1]}"
        )
    return SurfaceSession(paths, session, Path(path).suffix[1:], vertices, trials[0])


def read_session(file: SurfaceSession, index: np.ndarray) -> np.ndarray:
    """Betas of selected vertices in one session, in percent signal change: float32 (trial, voxel).

    index: int (voxel,), the right hemisphere counting on from the left. The file is read in slabs
    of about 16 MB, of which only the selected vertices are kept.
    """
    index = np.asarray(index)
    betas = np.empty((file.trials, len(index)), dtype=np.float32)
    slabs = _hdf5_slabs if file.format == "hdf5" else _mgh_slabs
    right = index >= file.shape[0]
    for side, path in enumerate(file.paths):
        columns = np.flatnonzero(right == bool(side))
        if not len(columns):
            continue
        vertices = index[columns] - side * file.shape[0]
        try:
            for trials, chosen, values in slabs(path, vertices, file.trials):
                betas[trials, columns[chosen]] = values
        except OSError as error:
            raise InputError(
                f"{path}: expected {file.trials} trials of {file.shape[side]} vertices, found a "
                f"truncated or damaged file: {error}"
            ) from None
    if file.format == "hdf5":
        betas /= nsd_files.BETA_SCALE
    return betas


def check_length(file: SurfaceSession) -> None:
    """Raise InputError if a hemisphere's file is shorter than its header says.

    HDF5 keeps its own length and is refused on opening.
    """
    if file.format == "hdf5":
        return
    for path, vertices in zip(file.paths, file.shape, strict=True):
        expected = nsd_files.MGH_OFFSET + 4 * vertices * file.trials
        check_size(path, expected, of=f"{file.trials} trials of {vertices} vertices")


def read_positions(
    root: Path, subject: str, file: SurfaceSession, *, space: str
) -> np.ndarray | None:
    """Places of all vertices on the boundary of white matter, left before right: (vertex, 3) mm.

    Returns None if neither {lh,rh}.white is there.
    """
    folder = nsd_files.surface_folder(root, subject, space)
    paths = [folder / f"{side}.white" for side in nsd_files.SIDES]
    if not any(path.is_file() for path in paths):
        return None
    sides = []
    for path, vertices in zip(paths, file.shape, strict=True):
        try:
            places = nib.freesurfer.read_geometry(path)[0]
        except UNREADABLE as error:
            raise InputError(
                f"{path}: expected a surface of FreeSurfer, found none that can be read: {error}"
            ) from None
        if len(places) != vertices:
            raise InputError(
                f"{path}: expected the {vertices} vertices of {file.path}, found {len(places)}"
            )
        sides.append(places)
    return np.concatenate(sides)


def _read_shape(path: Path) -> tuple[int, int]:
    """Vertices and trials of one hemisphere's file."""
    if not path.is_file():
        raise InputError(f"{path}: expected the betas of the other hemisphere, found no file")
    if path.suffix == ".hdf5":
        with nsd_files.open_hdf5(path, "betas") as file:
            data = file["betas"]
            if data.ndim != 2 or 0 in data.shape:
                raise InputError(
                    f"{path}: expected betas of two axes (trial, vertex), found shape {data.shape}"
                )
            if data.dtype.kind != "i" or data.dtype.itemsize != 2:
                raise InputError(
                    f"{path}: expected betas as int16 percent signal change × 300, found "
                    f"{data.dtype}"
                )
            return data.shape[1], data.shape[0]
    file = nsd_files.open_mgh(path)
    if file.shape[1:3] != (1, 1):
        raise InputError(
            f"{path}: expected betas of shape (vertex, 1, 1, trial), found {file.shape}"
        )
    if file.dtype.kind != "f":
        raise InputError(
            f"{path}: expected betas as single-precision percent signal change, found "
            f"{file.dtype.name}"
        )
    return file.shape[0], file.shape[3]


Slab = tuple[slice, np.ndarray | slice, np.ndarray]


def _mgh_slabs(path: Path, vertices: np.ndarray, trials: int) -> Iterator[Slab]:
    """Runs of trials: a trial is a run of the file."""
    file = nsd_files.open_mgh(path)
    step = max(1, SLAB_BYTES // file.frame_bytes)
    for start in range(0, trials, step):
        run = slice(start, min(start + step, trials))
        yield run, slice(None), file.read(run, vertices)


def _hdf5_slabs(path: Path, vertices: np.ndarray, trials: int) -> Iterator[Slab]:
    """Slabs that no chunk spans twice: runs of trials, or of vertices where a chunk has all."""
    with nsd_files.open_hdf5(path, "betas") as handle:
        data = handle["betas"]
        chunk = data.chunks or (1, data.shape[1])
        if chunk[0] < trials:
            step = chunk[0] * max(1, SLAB_BYTES // (2 * data.shape[1] * chunk[0]))
            for start in range(0, trials, step):
                run = slice(start, min(start + step, trials))
                yield run, slice(None), data[run][:, vertices]
            return
        step = chunk[1] * max(1, SLAB_BYTES // (2 * trials * chunk[1]))
        for start in range(0, data.shape[1], step):
            inside = np.flatnonzero((vertices >= start) & (vertices < start + step))
            if len(inside):
                block = data[:, start : start + step]
                yield slice(None), inside, block[:, vertices[inside] - start]
