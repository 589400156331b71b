"""Sessions of betas of the Natural Scenes Dataset, of which only selected voxels are ever kept."""

from __future__ import annotations

import gzip
import logging
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from mine.datasets import nibabel_files, nsd_files, nsd_surfaces
from mine.datasets.file_sizes import check_size
from mine.datasets.nsd_surfaces import SurfaceSession
from mine.datasets.voxels import SurfaceVoxels, VolumeVoxels, VoxelSet
from mine.errors import InputError

FORMATS = ("hdf5", "nii.gz")
"""Beta formats, the one preferred where both exist first: HDF5 reads single voxels."""

SLAB_BYTES = 16 * 2**20

SESSIONS = (40, 40, 32, 30, 40, 32, 40, 30)
"""Sessions that the eight subjects completed."""

TRIALS = 750
"""Trials of a session, as published."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SessionFile:
    """One session of betas on disk. shape: of the volume; affine: None in HDF5."""

    path: Path
    session: int
    format: str
    shape: tuple[int, int, int]
    trials: int
    affine: np.ndarray | None

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.path,)

    @property
    def bytes(self) -> int:
        return 2 * int(np.prod(self.shape)) * self.trials


Session = SessionFile | SurfaceSession


def find_sessions(root: Path, subject: str, *, space: str, betas: str) -> dict[int, list[Path]]:
    """Files of each session, HDF5 first: session from 1 -> paths, on surfaces those of the left."""
    folder = nsd_files.betas_folder(root, subject, space, betas)
    surface = space in nsd_files.SURFACES
    found: dict[int, list[Path]] = {}
    for suffix in list_formats(space):
        names = (
            rf"([lr]h\.)betas_session(\d+)\.{suffix}"
            if surface
            else (rf"()betas_session(\d+)\.{re.escape(suffix)}")
        )
        for path in sorted(folder.glob(f"*betas_session*.{suffix}")):
            match = re.fullmatch(names, path.name)
            if match:
                path = nsd_files.name_sides(path)[0] if surface else path
                paths = found.setdefault(int(match[2]), [])
                if path not in paths:
                    paths.append(path)
    return dict(sorted(found.items()))


def list_formats(space: str) -> tuple[str, ...]:
    """Formats that betas of a space come in, the one preferred first."""
    return nsd_surfaces.FORMATS if space in nsd_files.SURFACES else FORMATS


def name_session(root: Path, subject: str, session: int, *, space: str, betas: str) -> Path:
    """Path of a session's file without its suffix, as messages name it."""
    side = "lh." if space in nsd_files.SURFACES else ""
    folder = nsd_files.betas_folder(root, subject, space, betas)
    return folder / f"{side}betas_session{session:02d}"


def open_session(path: Path, session: int) -> Session:
    """Read the header of a session's betas; on surfaces of both hemispheres."""
    path = Path(path)
    if path.name[:3] in ("lh.", "rh."):
        return nsd_surfaces.open_session(path, session)
    if path.suffix == ".hdf5":
        with nsd_files.open_hdf5(path, "betas") as file:
            data = file["betas"]
            _check_betas(path, data.dtype, data.ndim, data.shape)
            return SessionFile(path, session, "hdf5", data.shape[:0:-1], data.shape[0], None)
    image = nibabel_files.load_image(path, nib.Nifti1Pair, "a NIfTI file")
    _check_betas(path, image.get_data_dtype(), len(image.shape), image.shape)
    return SessionFile(
        path, session, "nii.gz", image.shape[:3], image.shape[3], nibabel_files.find_affine(image)
    )


def read_session(file: SessionFile, ijk: np.ndarray) -> np.ndarray:
    """Betas of selected voxels in one session, in percent signal change: float32 (trial, voxel).

    ijk: int (voxel, 3). The file is read in slabs of at most 16 MB (or one trial or one chunk,
    if that is more), of which only the selected voxels are kept.
    """
    betas = np.empty((file.trials, len(ijk)), dtype=np.float32)
    slabs = _hdf5_slabs if file.format == "hdf5" else _nifti_slabs
    try:
        for trials, voxels, values in slabs(file, np.asarray(ijk)):
            betas[trials, voxels] = values
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{file.path}: expected {file.trials} trials of shape {file.shape}, found a truncated "
            f"or damaged file: {error}"
        ) from None
    betas /= nsd_files.BETA_SCALE
    return betas


def check_length(file: Session) -> None:
    """Raise InputError if a session's file is shorter than its header says, reading only its end.

    HDF5 keeps its own length and is refused on opening.
    """
    if isinstance(file, SurfaceSession):
        nsd_surfaces.check_length(file)
    if file.format != "nii.gz":
        return
    header = nibabel_files.load_image(file.path, nib.Nifti1Pair, "a NIfTI file")
    needed = int(header.dataobj.offset) + int(np.prod(header.shape)) * 2
    check_size(file.path, needed, of=f"{file.trials} trials of shape {file.shape}")


def find_affine(
    root: Path,
    subject: str,
    files: Sequence[Session],
    *,
    space: str,
    betas: str,
) -> np.ndarray:
    """Affine (4, 4) of the betas' volume; HDF5 states none, so other volumes of it are asked."""
    for file in files:
        if file.affine is not None:
            return file.affine
    folder = nsd_files.subject_folder(root, subject, space)
    candidates = [
        folder / "mean.nii.gz",
        folder / "brainmask.nii.gz",
        nsd_files.betas_folder(root, subject, space, betas) / "ncsnr.nii.gz",
        *sorted((folder / "roi").glob("*.nii.gz")),
    ]
    shape, shapes = tuple(files[0].shape), set()
    for path in candidates:
        if path.is_file():
            volume = nsd_files.read_volume(path)
            shapes.add(volume.values.shape)
            if volume.values.shape == shape and volume.affine is not None:
                return volume.affine
    others = " or ".join(str(one) for one in sorted(shapes - {shape}))
    raise InputError(
        f"{folder / 'mean.nii.gz'}: expected the position of the volume of {files[0].path}, whose "
        f"shape (X, Y, Z) is {shape}, with {files[0].trials} trials, found no NIfTI file of that "
        f"shape that states one{f', but files of {others}' if others else ''}"
    )


def open_sessions(
    root: Path,
    subject: str,
    *,
    space: str,
    betas: str,
    sessions: int | None,
    skip_missing: bool,
) -> list[Session]:
    """Open the first sessions, or all that there are; a gap between them is refused or skipped."""
    found = find_sessions(root, subject, space=space, betas=betas)
    count = max(found, default=1) if sessions is None else sessions
    formats = list_formats(space)
    files = []
    for number in range(1, count + 1):
        if number not in found and not (skip_missing and found):
            name = name_session(root, subject, number, space=space, betas=betas)
            raise InputError(
                f"{name}: expected a file {' or '.join(f'.{one}' for one in formats)}, found "
                "neither"
            )
        if number in found:
            files.append(open_session(found[number][0], number))
            check_alike(files[-1], files[0])
    if not files:
        folder = nsd_files.betas_folder(root, subject, space, betas)
        raise InputError(f"{folder}: expected one of the first {count} sessions, found none")
    both = [number for number in found if number <= count and len(found[number]) > 1]
    if both:
        log.info(
            "%s: %d of %d sessions are there in both formats; reading %s",
            subject,
            len(both),
            count,
            formats[0],
        )
    return files


def check_alike(file: Session, first: Session) -> None:
    """Raise InputError unless two sessions have the same trials, shape and affine."""
    here, there = (*file.shape, file.trials), (*first.shape, first.trials)
    if here != there:
        path, axes = file.path, "(X, Y, Z, trial)"
        if isinstance(file, SurfaceSession):
            axes = "(left, right, trial)"
            path = file.paths[0 if file.shape[0] != first.shape[0] else 1]
        raise InputError(
            f"{path}: expected the shape {axes} {there} of {first.path.name}, found {here}"
        )
    both = file.affine is not None and first.affine is not None
    if both and not np.allclose(file.affine, first.affine, rtol=0, atol=0.01):
        raise InputError(
            f"{file.path}: expected the affine {nsd_files.show_affine(first.affine)} of "
            f"{first.path.name}, found {nsd_files.show_affine(file.affine)}"
        )


def assign_images(root: Path, subject: str, files: Sequence[Session]) -> tuple[np.ndarray, ...]:
    """Identity of the image that each trial of each session shows, by the session's number."""
    planned = nsd_files.read_design(root).trial_images(subject)
    trials, last = files[0].trials, files[-1].session
    if trials * last > len(planned):
        raise InputError(
            f"{root / nsd_files.DESIGN}: expected at least {trials * last} trials for the "
            f"{last} sessions of {subject}, found {len(planned)}"
        )
    return tuple(planned[trials * (one.session - 1) : trials * one.session] for one in files)


def read_ncsnr(
    root: Path,
    subject: str,
    *,
    space: str,
    betas: str,
    shape: tuple[int, ...],
    affine: np.ndarray | None,
    of: Path,
) -> np.ndarray | None:
    """Published noise-ceiling signal-to-noise ratio, (X, Y, Z) or on surfaces (vertex,).

    Returns None if there is no such file.
    """
    folder = nsd_files.betas_folder(root, subject, space, betas)
    if space in nsd_files.SURFACES:
        paths = nsd_files.name_sides(folder / "lh.ncsnr.mgh")
        if not any(path.is_file() for path in paths):
            return None
        values: nsd_files.Volume | nsd_files.Surface = nsd_files.read_surface(paths)
    else:
        path = folder / "ncsnr.nii.gz"
        if not path.is_file():
            return None
        values = nsd_files.read_volume(path)
    return nsd_files.match_map(values, shape=shape, affine=affine, of=of)


def place_voxels(
    mask: np.ndarray,
    *,
    space: str,
    shape: tuple[int, ...],
    affine: np.ndarray | None,
) -> VoxelSet:
    """The voxels or vertices of a mask; those of a volume are of an unknown hemisphere yet."""
    if space not in nsd_files.SURFACES:
        ijk = np.argwhere(mask)
        hemisphere = np.full(len(ijk), "unknown")
        return VolumeVoxels(ijk=ijk, shape=shape, affine=affine, hemisphere=hemisphere, space=space)
    index = np.flatnonzero(mask)
    right = index >= shape[0]
    return SurfaceVoxels(
        vertex=index - np.where(right, shape[0], 0),
        vertices=shape,
        hemisphere=np.where(right, "right", "left"),
        space=space,
    )


def find_common(root: Path) -> np.ndarray | None:
    """Identities of the shared images that every subject of the design saw three times.

    How far a subject came is what responses.tsv says or, without it and with the design of the
    published dataset, what is published. None if neither tells for one of the subjects.
    """
    design = nsd_files.read_design(root)
    common = design.shared
    published = design.subject_images.shape == (8, 10000) and len(design.master_ordering) == 30000
    for number in range(len(design.subject_images)):
        subject = f"subj{number + 1:02d}"
        behaviour = nsd_files.read_behaviour(root, subject)
        if behaviour is not None:
            trials = len(behaviour)
        elif published:
            trials = SESSIONS[number] * TRIALS
        else:
            return None
        images, counts = np.unique(design.trial_images(subject)[:trials], return_counts=True)
        common = common[np.isin(common, images[counts >= 3])]
    return np.sort(common)


def _check_betas(path: Path, dtype: np.dtype, axes: int, shape: tuple[int, ...]) -> None:
    if axes != 4 or 0 in shape:
        raise InputError(f"{path}: expected betas of four axes, found shape {tuple(shape)}")
    if dtype.kind != "i" or dtype.itemsize != 2:
        raise InputError(
            f"{path}: expected betas as int16 percent signal change × 300, found {dtype}"
        )


Slab = tuple[slice, np.ndarray | slice, np.ndarray]


def _nifti_slabs(file: SessionFile, ijk: np.ndarray) -> Iterator[Slab]:
    """Runs of trials, in the order of the file: gzip can only be read forwards."""
    proxy = nibabel_files.load_image(file.path, nib.Nifti1Pair, "a NIfTI file").dataobj
    flat = np.ravel_multi_index(tuple(ijk.T), file.shape, order="F")
    volume_bytes = 2 * int(np.prod(file.shape))
    step = max(1, SLAB_BYTES // volume_bytes)
    with gzip.open(file.path, "rb") as stream:
        stream.seek(proxy.offset)
        for start in range(0, file.trials, step):
            stop = min(start + step, file.trials)
            block = stream.read(volume_bytes * (stop - start))
            if len(block) < volume_bytes * (stop - start):
                raise EOFError(f"it ends in trial {start + len(block) // volume_bytes + 1}")
            volumes = np.frombuffer(block, dtype=proxy.dtype).reshape(stop - start, -1)
            values = volumes[:, flat].astype(np.float32)
            if (proxy.slope, proxy.inter) != (1, 0):
                values = values * np.float32(proxy.slope) + np.float32(proxy.inter)
            yield slice(start, stop), slice(None), values
        nibabel_files.read_to_end(stream)


def _hdf5_slabs(file: SessionFile, ijk: np.ndarray) -> Iterator[Slab]:
    """Slabs that no chunk spans twice: runs of trials, or planes where a chunk has all trials."""
    low, high = ijk.min(axis=0), ijk.max(axis=0) + 1
    box = tuple(slice(a, b) for a, b in zip(low[:2], high[:2], strict=True))
    with nsd_files.open_hdf5(file.path, "betas") as handle:
        data = handle["betas"]
        chunk = data.chunks or (1, *data.shape[1:])
        if chunk[0] < file.trials:
            volume_bytes = 2 * int(np.prod(data.shape[1:]))
            step = chunk[0] * max(1, SLAB_BYTES // (volume_bytes * chunk[0]))
            i, j, k = (ijk - low).T
            for start in range(0, file.trials, step):
                run = slice(start, min(start + step, file.trials))
                block = data[run, low[2] : high[2], box[1], box[0]]
                yield run, slice(None), block[:, k, j, i]
            return
        plane_bytes = 2 * file.trials * int(np.prod((high - low)[:2]))
        step = chunk[1] * max(1, SLAB_BYTES // (plane_bytes * chunk[1]))
        for start in range(low[2] // chunk[1] * chunk[1], high[2], step):
            inside = np.flatnonzero((ijk[:, 2] >= start) & (ijk[:, 2] < start + step))
            if len(inside):
                i, j, k = (ijk[inside] - (low[0], low[1], start)).T
                block = data[:, start : start + step, box[1], box[0]]
                yield slice(None), inside, block[:, k, j, i]
