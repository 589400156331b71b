"""The files of the Algonauts 2023 repackaging of NSD, one function per kind, each with a check.

Every fault is an InputError: one sentence that names the file, what was expected and what was
found.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from mine.datasets.listing import ALGONAUTS_IMAGE, ALGONAUTS_IMAGES, ALGONAUTS_RESPONSES, SIDES
from mine.datasets.numpy_files import open_array, read_literal
from mine.errors import InputError

FSAVERAGE = 163842
"""Vertices of a hemisphere of fsaverage."""


def subject_folder(root: Path, subject: str) -> Path:
    """Folder of a subject; InputError for a name that none has."""
    if not re.fullmatch(r"subj\d{2}", subject):
        raise InputError(f"subjects: expected a name such as subj01, found {subject!r}")
    folder = Path(root) / subject
    if not folder.is_dir():
        raise InputError(f"{folder}: expected the folder of {subject}, found none")
    return folder


def list_subjects(root: Path) -> list[str]:
    """Subjects that have a folder."""
    folders = Path(root).glob("subj??")
    return sorted(folder.name for folder in folders if folder.is_dir())


def list_images(root: Path, subject: str) -> tuple[np.ndarray, list[Path]]:
    """Images of the training split, row by row of the responses: nsdId (image,) and files."""
    folder = subject_folder(root, subject) / ALGONAUTS_IMAGES
    if not folder.is_dir():
        raise InputError(f"{folder}: expected the folder of training images, found none")
    rows: dict[int, tuple[int, Path]] = {}
    for name in sorted(os.listdir(folder)):
        match = ALGONAUTS_IMAGE.fullmatch(name)
        if match is None:
            if name.endswith(".png") and not name.startswith("."):
                raise InputError(
                    f"{folder / name}: expected a name such as train-0001_nsd-00013.png, found "
                    "another"
                )
            continue
        row = int(match[1])
        if row in rows:
            raise InputError(
                f"{folder / name}: expected one image for each row, found {rows[row][1].name} too"
            )
        rows[row] = (int(match[2]), folder / name)
    if not rows:
        raise InputError(f"{folder}: expected images such as train-0001_nsd-00013.png, found none")
    if sorted(rows) != list(range(1, len(rows) + 1)):
        missing = next(row for row in range(1, max(rows) + 2) if row not in rows)
        raise InputError(
            f"{folder}: expected an image for each row from 1 to {max(rows)}, found none for row "
            f"{missing}"
        )
    identities = np.array([rows[row][0] for row in sorted(rows)], dtype=np.int64)
    values, counts = np.unique(identities, return_counts=True)
    if counts.max() > 1:
        raise InputError(
            f"{folder}: expected each nsdId once, found {values[counts > 1][0]} more than once"
        )
    return identities, [rows[row][1] for row in sorted(rows)]


def open_responses(root: Path, subject: str) -> tuple[np.ndarray, np.ndarray]:
    """Open the responses of the left and the right hemisphere: (image, vertex), in the file."""
    folder = subject_folder(root, subject) / ALGONAUTS_RESPONSES
    paths = [folder / f"{side}_training_fmri.npy" for side in SIDES]
    arrays = [open_array(path, axes=(2,)) for path in paths]
    for path, array in zip(paths, arrays, strict=True):
        if array.dtype.kind != "f":
            raise InputError(f"{path}: expected z-scored responses as floats, found {array.dtype}")
    if arrays[0].shape[0] != arrays[1].shape[0]:
        raise InputError(
            f"{paths[1]}: expected the {arrays[0].shape[0]} images of {paths[0].name}, found "
            f"{arrays[1].shape[0]}"
        )
    return arrays[0], arrays[1]


def match_rows(root: Path, subject: str, images: int, responses: int) -> None:
    """Raise InputError unless there is a response for each image."""
    if images != responses:
        folder = subject_folder(root, subject) / ALGONAUTS_RESPONSES
        raise InputError(
            f"{folder / 'lh_training_fmri.npy'}: expected a response to each of the {images} "
            f"training images, found {responses}"
        )


def find_vertices(root: Path, subject: str, side: str, count: int) -> np.ndarray | None:
    """Vertex of fsaverage of each column of a hemisphere's responses: (column,); None where the
    file that says so is not there."""
    path = _masks(root, subject) / f"{side}.all-vertices_fsaverage_space.npy"
    if not path.is_file():
        return None
    mask = open_array(path, axes=(1,), mapped=False)
    if len(mask) != FSAVERAGE:
        raise InputError(
            f"{path}: expected the {FSAVERAGE} vertices of fsaverage, found {len(mask)}"
        )
    vertices = np.flatnonzero(mask > 0)
    if len(vertices) != count:
        raise InputError(
            f"{path}: expected the {count} vertices of {side}_training_fmri.npy, found "
            f"{len(vertices)}"
        )
    return vertices


def list_atlases(root: Path, subject: str) -> list[str]:
    """Names of a subject's groups of ROIs, by their mappings of labels."""
    names = [path.name for path in _masks(root, subject).glob("mapping_*.npy")]
    return sorted(name.removeprefix("mapping_").removesuffix(".npy") for name in names)


def read_mapping(root: Path, subject: str, atlas: str) -> dict[int, str]:
    """Names of the labels of a group of ROIs: label -> name, without label 0."""
    path = _masks(root, subject) / f"mapping_{atlas}.npy"
    mapping = read_literal(path)
    if not isinstance(mapping, dict) or not all(
        isinstance(label, int) and isinstance(name, str) for label, name in mapping.items()
    ):
        raise InputError(f"{path}: expected a mapping of numbers to names, found something else")
    return {label: name for label, name in mapping.items() if label > 0}


def read_labels(
    root: Path, subject: str, atlas: str, side: str, *, count: int, vertices: np.ndarray | None
) -> np.ndarray | None:
    """Labels of a hemisphere's columns: int (column,); None where there is no file.

    count: columns of the responses. vertices: of find_vertices. The file in the challenge's space
    is read; without it, where vertices are known, the one on fsaverage.
    """
    path = _masks(root, subject) / f"{side}.{atlas}_challenge_space.npy"
    size, taken = count, slice(None)
    if not path.is_file() and vertices is not None:
        path = _masks(root, subject) / f"{side}.{atlas}_fsaverage_space.npy"
        size, taken = FSAVERAGE, vertices
    if not path.is_file():
        return None
    labels = open_array(path, axes=(1,), mapped=False)
    if len(labels) != size:
        raise InputError(
            f"{path}: expected a label for each of {size} vertices, found {len(labels)}"
        )
    if not np.array_equal(labels, np.rint(labels)):
        raise InputError(f"{path}: expected whole numbers as labels, found others")
    return labels[taken].astype(np.int64)


def _masks(root: Path, subject: str) -> Path:
    return subject_folder(root, subject) / "roi_masks"
