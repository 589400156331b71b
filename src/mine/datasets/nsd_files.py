"""The files of the Natural Scenes Dataset, one function per kind, each with a check of its form.

Every fault is an InputError: one sentence that names the file, what was expected and what was
found.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import scipy.io

from mine.datasets.listing import SIDES
from mine.datasets.nibabel_files import (
    UNREADABLE,
    find_affine,
    load_image,
    open_values,
    read_to_end,
    show_affine,
)
from mine.datasets.tables import parse_number
from mine.errors import InputError, describe_error
from mine.wording import format_count

STIMULI = "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"
DESIGN = "nsddata/experiments/nsd/nsd_expdesign.mat"
INFORMATION = "nsddata/experiments/nsd/nsd_stim_info_merged.csv"

SURFACES = ("nativesurface", "fsaverage")
"""Spaces whose files come by hemisphere; the others are volumes."""

BETA_SCALE = 300
"""Betas are stored as int16 percent signal change × 300, but in MGH files."""

MGH_OFFSET = 284
"""Bytes before the numbers of an MGH file."""

MGH_TYPES = {0: ">u1", 1: ">i4", 3: ">f4", 4: ">i2"}


@dataclass(frozen=True)
class Design:
    """Which image each trial shows; all indices from 0.

    master_ordering: (trial,) into a subject's images. subject_images: (subject, image) nsdId.
    shared: (image,) nsdId of the images that all subjects see. path: of the file, for messages.
    """

    master_ordering: np.ndarray
    subject_images: np.ndarray
    shared: np.ndarray
    path: Path

    def trial_images(self, subject: str) -> np.ndarray:
        """NsdId of every planned trial of a subject: int64 (trial,)."""
        row = subject_number(subject) - 1
        if row >= len(self.subject_images):
            raise InputError(
                f"{self.path}: expected a row of subjectim for {subject}, found "
                f"{format_count(len(self.subject_images), 'subject')}"
            )
        return self.subject_images[row][self.master_ordering]


@dataclass(frozen=True)
class Volume:
    """A three-dimensional image. affine: (4, 4), or None where the header states no position."""

    path: Path
    values: np.ndarray
    affine: np.ndarray | None


@dataclass(frozen=True)
class Surface:
    """One value per vertex. values: (vertex,), those of the right after those of the left.
    vertices: how many each side has."""

    paths: tuple[Path, Path]
    values: np.ndarray
    vertices: tuple[int, int]


def subject_number(subject: str) -> int:
    """Number of a subject from 1: "subj03" -> 3."""
    match = re.fullmatch(r"subj(\d{2})", subject)
    if not match or int(match[1]) < 1:
        raise InputError(f"subject {subject!r}: expected a name such as subj01")
    return int(match[1])


def subject_folder(root: Path, subject: str, space: str) -> Path:
    """Folder of a subject's volumes in a space."""
    return Path(root) / "nsddata/ppdata" / subject / space


def betas_folder(root: Path, subject: str, space: str, betas: str) -> Path:
    """Folder of a subject's betas of one version in a space."""
    return Path(root) / "nsddata_betas/ppdata" / subject / space / betas


def label_folder(root: Path, subject: str, space: str) -> Path:
    """Folder of a subject's labels on the surface, and of the names of all labels."""
    owner = "fsaverage" if space == "fsaverage" else subject
    return Path(root) / "nsddata/freesurfer" / owner / "label"


def surface_folder(root: Path, subject: str, space: str) -> Path:
    """Folder of a subject's surfaces."""
    return label_folder(root, subject, space).with_name("surf")


def name_sides(path: Path) -> tuple[Path, Path]:
    """Files of both hemispheres from that of one: lh.x -> lh.x and rh.x."""
    left, right = (path.with_name(f"{side}{path.name[2:]}") for side in SIDES)
    return left, right


def read_design(root: Path) -> Design:
    """Read nsd_expdesign.mat."""
    path = Path(root) / DESIGN
    names = ("masterordering", "subjectim", "sharedix")
    if not path.is_file():
        raise InputError(f"{path}: expected the experiment's design, found no file")
    try:
        content = scipy.io.loadmat(path, variable_names=names)
    except (*UNREADABLE, scipy.io.matlab.MatReadError, NotImplementedError, TypeError) as error:
        raise InputError(
            f"{path}: expected a MATLAB file, found one that is not: {error}"
        ) from None
    missing = [name for name in names if name not in content]
    if missing:
        raise InputError(f"{path}: expected {', '.join(names)}, found no {missing[0]}")
    arrays = []
    for name in names:
        values = np.asarray(content[name])
        if values.dtype.kind not in "iuf" or values.ndim != 2 or not values.size:
            raise InputError(
                f"{path}: expected a matrix of numbers as {name}, found {values.dtype} "
                f"{values.shape}"
            )
        if not (values == np.rint(values)).all() or values.min() < 1:
            raise InputError(f"{path}: expected whole numbers from 1 in {name}, found others")
        arrays.append(values.astype(np.int64) - 1)
    ordering, subject_images, shared = arrays
    if ordering.max() >= subject_images.shape[1]:
        raise InputError(
            f"{path}: expected masterordering within the {subject_images.shape[1]} images of "
            f"subjectim, found {ordering.max() + 1}"
        )
    return Design(ordering.ravel(), subject_images, shared.ravel(), path)


def read_information(root: Path) -> pd.DataFrame:
    """Read nsd_stim_info_merged.csv: one row per image, indexed by nsdId."""
    return read_information_table(Path(root) / INFORMATION)


def read_information_table(path: Path) -> pd.DataFrame:
    """Read nsd_stim_info_merged.csv wherever it lies."""
    if not path.is_file():
        raise InputError(f"{path}: expected the table of images, found no file")
    try:
        # by the names of columns: as published, the first is an index that has none
        table = pd.read_csv(path)
    except UNREADABLE as error:
        raise InputError(f"{path}: expected a table, found one that is not: {error}") from None
    needed = ("cocoId", "cropBox", "nsdId", "shared1000")
    missing = [name for name in needed if name not in table]
    if missing:
        found = ", ".join(name for name in table if not name.startswith("Unnamed: "))
        raise InputError(f"{path}: expected a column {missing[0]}, found {found}")
    for name in ("cocoId", "nsdId"):
        if table[name].dtype.kind not in "iu":
            raise InputError(f"{path}: expected whole numbers as {name}, found other values")
    if table["nsdId"].duplicated().any():
        raise InputError(f"{path}: expected each nsdId once, found one of them twice")
    return table.set_index("nsdId", drop=False).rename_axis(None).sort_index()


def find_shown(root: Path, information: pd.DataFrame, subject: str) -> np.ndarray:
    """Which images the table of images says that a subject is shown: bool (image,)."""
    column = f"subject{subject_number(subject)}"
    if column not in information:
        raise InputError(f"{Path(root) / INFORMATION}: expected a column {column}, found none")
    return information[column].to_numpy() != 0


def read_behaviour(root: Path, subject: str) -> pd.DataFrame | None:
    """Columns SESSION and 73KID of responses.tsv, int64 from 1; None if there is no file.

    Raises InputError for a table that lacks one of them, has no row, or has anything but whole
    numbers there.
    """
    path = Path(root) / "nsddata/ppdata" / subject / "behav/responses.tsv"
    if not path.is_file():
        return None
    try:
        table = pd.read_csv(
            path, sep="\t", usecols=["SESSION", "73KID"], dtype=str, keep_default_na=False
        )
    except UNREADABLE as error:
        raise InputError(
            f"{path}: expected tab-separated columns SESSION and 73KID, found none: {error}"
        ) from None
    if table.empty:
        raise InputError(f"{path}: expected a row for each trial below the header, found none")
    return table.apply(_read_whole_numbers, source=path)


def _read_whole_numbers(column: pd.Series, *, source: Path) -> pd.Series:
    """Whole numbers from 1 of a column of texts, as int64."""
    texts = column.fillna("").tolist()  # a line that ends too early
    numbers = [parse_number(text.strip()) or 0 for text in texts]
    if 0 in numbers:
        row = numbers.index(0)
        raise InputError(
            f"{source}: expected whole numbers from 1 as {column.name}, found {texts[row]!r} in "
            f"line {row + 2}"
        )
    return pd.Series(numbers, dtype=np.int64)


def read_labels(path: Path) -> dict[int, str]:
    """Names of an atlas's labels from its .ctab file: label -> name, without label 0.

    A line is a number and a name, between tabs and spaces; FreeSurfer may add four colour values.
    """
    return parse_labels(Path(path).read_text(encoding="utf-8", errors="replace"), source=path)


def parse_labels(text: str, *, source: Path | str) -> dict[int, str]:
    """Names of labels from the text of a .ctab file, as `read_labels`; source: for messages."""
    labels = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if not words[0].isdigit() or len(words) < 2:
            raise InputError(
                f"{source}: expected a number and a name in line {number}, found {line!r}"
            )
        name = words[1:]
        if len(name) > 4 and all(word.isdigit() for word in name[-4:]):
            name = name[:-4]
        if int(words[0]) > 0:
            labels[int(words[0])] = " ".join(name)
    return labels


def read_volume(path: Path) -> Volume:
    """Read a three-dimensional NIfTI file."""
    image = load_image(path, nib.Nifti1Pair, "a NIfTI file")
    shape = image.shape[:3] if image.shape[3:] == (1,) * (len(image.shape) - 3) else image.shape
    if len(shape) != 3:
        raise InputError(f"{path}: expected a volume of three axes, found shape {image.shape}")
    if image.get_data_dtype().kind not in "iufb":
        raise InputError(f"{path}: expected real numbers, found {image.get_data_dtype()}")
    try:
        with open_values(path, image) as numbers:
            values = np.asarray(numbers).reshape(shape)
    except UNREADABLE as error:
        raise InputError(
            f"{path}: expected a whole NIfTI file, found a damaged one: {describe_error(error)}"
        ) from None
    return Volume(Path(path), values, find_affine(image))


def read_surface(paths: tuple[Path, Path]) -> Surface:
    """Read one value per vertex of both hemispheres from .mgh, .mgz or .gii files."""
    sides = [_read_side(path) for path in paths]
    return Surface(tuple(paths), np.concatenate(sides), tuple(map(len, sides)))


def _read_side(path: Path) -> np.ndarray:
    path = Path(path)
    if path.suffix == ".gii":
        parts = load_image(path, nib.GiftiImage, "a GIFTI file").darrays
        if len(parts) != 1:
            raise InputError(f"{path}: expected one value per vertex, found {len(parts)} arrays")
        return np.asarray(parts[0].data)
    file = open_mgh(path)
    if file.shape[1:] != (1, 1, 1):
        raise InputError(f"{path}: expected one value per vertex, found shape {file.shape}")
    return file.read(slice(0, 1))[0]


@dataclass(frozen=True)
class MghFile:
    """A file of FreeSurfer's. shape: (X, Y, Z, frame), as it says; dtype: of its numbers."""

    path: Path
    shape: tuple[int, int, int, int]
    dtype: np.dtype

    @property
    def frame_bytes(self) -> int:
        return int(np.prod(self.shape[:3])) * self.dtype.itemsize

    def read(self, frames: slice, voxels: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Some voxels of some frames, in the machine's order of bytes: (frame, voxel), X fastest.

        frames: with a start and a stop.
        """
        start, stop = frames.start, frames.stop
        try:
            with _open_packed(self.path) as file:
                file.seek(MGH_OFFSET + start * self.frame_bytes)
                data = file.read((stop - start) * self.frame_bytes)
                if stop == self.shape[3]:
                    # of .mgz this compares the checksum
                    read_to_end(file)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(
                f"{self.path}: expected a whole MGH file, found a damaged one: {error}"
            ) from None
        if len(data) < (stop - start) * self.frame_bytes:
            raise InputError(
                f"{self.path}: expected {self.shape[3]} frames of {self.frame_bytes} bytes, found "
                f"a truncated file that ends in frame {start + len(data) // self.frame_bytes + 1}"
            )
        values = np.frombuffer(data, dtype=self.dtype).reshape(stop - start, -1)[:, voxels]
        return values.astype(self.dtype.newbyteorder("="))


def open_mgh(path: Path) -> MghFile:
    """Read the header of an .mgh or .mgz file."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected an MGH file, found none")
    try:
        with _open_packed(path) as file:
            # version, four sides, type, degrees of freedom: whole numbers from the highest byte
            version, *shape, kind, _ = struct.unpack(">7i", file.read(28))
    except UNREADABLE as error:
        raise InputError(f"{path}: expected an MGH file, found one that is not: {error}") from None
    if version != 1 or kind not in MGH_TYPES or min(shape) < 1:
        raise InputError(f"{path}: expected an MGH file, found one that is not")
    return MghFile(path, tuple(shape), np.dtype(MGH_TYPES[kind]))


def _open_packed(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix.lower() == ".mgz" else open(path, "rb")


def match_map(
    values: Volume | Surface, *, shape: tuple[int, ...], affine: np.ndarray | None, of: Path
) -> np.ndarray:
    """Values of a map that lies where the betas do; InputError where it does not.

    shape: (X, Y, Z) of a volume, which has an affine, or vertices (left, right).
    """
    if isinstance(values, Volume):
        return match_volume(values, shape=shape, affine=affine, of=of)
    for path, expected, found in zip(values.paths, shape, values.vertices, strict=True):
        if expected != found:
            raise InputError(f"{path}: expected the {expected} vertices of {of}, found {found}")
    return values.values


def match_volume(
    volume: Volume, *, shape: tuple[int, int, int], affine: np.ndarray, of: Path
) -> np.ndarray:
    """Values of a volume that lies on the same grid as the betas; InputError where it does not."""
    if volume.values.shape != tuple(shape):
        raise InputError(
            f"{volume.path}: expected the shape {tuple(shape)} of {of}, found {volume.values.shape}"
        )
    if volume.affine is not None and not np.allclose(volume.affine, affine, rtol=0, atol=0.01):
        raise InputError(
            f"{volume.path}: expected the affine {show_affine(affine)} of {of}, found "
            f"{show_affine(volume.affine)}"
        )
    return volume.values


def open_stimulus_file(root: Path) -> tuple[Path, tuple[int, ...]]:
    """Path and shape (image, row, column, 3) of the stimuli."""
    path = Path(root) / STIMULI
    return path, read_image_shape(path)


def read_image_shape(path: Path) -> tuple[int, ...]:
    """Shape (image, row, column, 3) of the images in a file."""
    with open_hdf5(path, "imgBrick") as file:
        data = file["imgBrick"]
        if data.dtype != np.uint8 or data.ndim != 4 or data.shape[3] != 3:
            raise InputError(
                f"{path}: expected imgBrick to be uint8 (image, row, column, 3), found "
                f"{data.dtype} {data.shape}"
            )
        return data.shape


def check_own(file: h5py.File, name: str) -> None:
    """Raise InputError unless a dataset of an HDF5 file is in that file, with all its numbers: not
    where there is a link in its place, or it is put together from other files."""
    path, key = file.filename, name.encode()
    # By the link alone: whether there is an object at its end only the other file could tell.
    if file.id.links.exists(key) and file.id.links.get_info(key).type != h5py.h5l.TYPE_HARD:
        raise InputError(f"{path}: expected the dataset {name} itself, found a link")
    data = file.get(name)
    if isinstance(data, h5py.Dataset) and (data.external or data.is_virtual):
        raise InputError(
            f"{path}: expected the numbers of {name} in the file itself, found the names of others"
        )


def open_hdf5(path: Path, dataset: str) -> h5py.File:
    """Open an HDF5 file that holds a dataset; InputError if it does not, or is damaged."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected an HDF5 file, found none")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            f"{path}: expected a whole HDF5 file, found a damaged one: {error}"
        ) from None
    try:
        check_own(file, dataset)
    except InputError:
        file.close()
        raise
    if not isinstance(file.get(dataset), h5py.Dataset):
        names = ", ".join(file) or "nothing"
        file.close()
        raise InputError(f"{path}: expected a dataset {dataset}, found {names}")
    return file
