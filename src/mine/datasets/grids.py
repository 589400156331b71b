"""The places that a dataset's responses and maps have in common, and maps read onto them.

A place is a voxel of a volume, a vertex of one of two surfaces, or a column of a list. A map (a
mask, an ROI, t-values) gives one number for each, from NIfTI, GIFTI, CIFTI, MGH or NumPy's files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from mine.datasets.nibabel_files import (
    UNREADABLE,
    find_affine,
    load_image,
    open_values,
    show_affine,
)
from mine.datasets.nsd_files import open_mgh
from mine.datasets.numpy_files import open_array
from mine.datasets.patterns import describe_format, fill_pattern, find_hemispheres, list_names
from mine.datasets.voxels import SIDES, ListedVoxels, SurfaceVoxels, VolumeVoxels, VoxelSet
from mine.errors import InputError, describe_error

TOLERANCE = 0.01
"""Millimetres by which two affines may differ."""

LARGEST_NCSNR = 5.0
"""Of the median voxel. Responses of which noise is a twenty-fifth of the signal's variance are
unheard of; a ceiling in percent lies far beyond."""

CORTEX = {"CIFTI_STRUCTURE_CORTEX_LEFT": 0, "CIFTI_STRUCTURE_CORTEX_RIGHT": 1}


@dataclass(frozen=True)
class Grid:
    """All places of a subject.

    geometry: "volume", "surface" or "list". shape: (X, Y, Z), the vertices of the left and the
    right surface, or the number of columns. of: the file by which this is known. affine: (4, 4) of
    a volume. names, hemispheres, millimetres: of a list's columns, as far as they are known.
    """

    geometry: str
    shape: tuple[int, ...]
    of: Path
    affine: np.ndarray | None = None
    names: np.ndarray | None = None
    hemispheres: np.ndarray | None = None
    millimetres: np.ndarray | None = None

    @property
    def size(self) -> int:
        return int(np.prod(self.shape) if self.geometry == "volume" else np.sum(self.shape))

    def select(self, flat: np.ndarray, *, space: str) -> VoxelSet:
        """Voxel set of some places. flat: (voxel,) ascending places from 0, in C order."""
        unknown = np.full(len(flat), "unknown")
        if self.geometry == "volume":
            return VolumeVoxels(
                ijk=np.stack(np.unravel_index(flat, self.shape), axis=1),
                shape=self.shape,
                affine=self.affine,
                hemisphere=unknown,
                space=space,
            )
        if self.geometry == "surface":
            right = flat >= self.shape[0]
            return SurfaceVoxels(
                vertex=flat - np.where(right, self.shape[0], 0),
                vertices=self.shape,
                hemisphere=np.array(SIDES)[right.astype(int)],
                space=space,
            )
        places = self.millimetres
        return ListedVoxels(
            name=self.names[flat],
            number=flat,
            hemisphere=unknown if self.hemispheres is None else self.hemispheres[flat],
            millimetres=None if places is None else places[flat],
            space=space,
        )


def read_map(root: Path, pattern: str, grid: Grid, **known: str) -> tuple[np.ndarray, Path] | None:
    """Read a map onto a grid: (place,) numbers and the file; None where there is no file.

    A volume stored along other axes than the grid, mirrored ones too, is brought to the grid's, as
    its affine says. With {hemisphere} in the pattern, a hemisphere without a file is 0, as is what
    a CIFTI file leaves out. Raises InputError for a damaged file, another shape or another affine.
    """
    if "hemisphere" in list_names(pattern):
        if grid.geometry != "surface":
            raise InputError(
                f"{fill_pattern(root, pattern, **known)}: expected a map on the {grid.geometry} of "
                f"{grid.of}, found one of a hemisphere"
            )
        paths = find_hemispheres(root, pattern, **known)
        if not paths:
            return None
        values = np.zeros(grid.size, dtype=np.float64)
        for number, side in enumerate(SIDES):
            start = number * grid.shape[0]
            if side in paths:
                part = _read_flat(paths[side])
                _check_length(paths[side], len(part), grid.shape[number], grid)
                values[start : start + grid.shape[number]] = part
        return values, next(iter(paths.values()))
    path = fill_pattern(root, pattern, **known)
    if not path.is_file():
        return None
    form = describe_format(path)
    if form == "nifti":
        if grid.geometry != "volume":
            raise InputError(
                f"{path}: expected a map on the {grid.geometry} of {grid.of}, found a volume"
            )
        return read_volume(path, grid).reshape(-1), path
    if form == "cifti":
        return _read_cifti(path, grid), path
    if grid.geometry == "volume":
        return _read_array(path, grid), path
    values = _read_flat(path)
    _check_length(path, len(values), grid.size, grid)
    return values, path


def read_region(
    root: Path, pattern: str, grid: Grid, *, label: int | None = None, **known: str
) -> tuple[np.ndarray, Path] | None:
    """Read where a map is above 0, or is ``label``: bool (place,) and the file; None without one.

    Raises InputError as read_map does, and for values that are not numbers.
    """
    read = read_map(root, pattern, grid, **known)
    if read is None:
        return None
    values, path = read
    wrong = int(np.isnan(values).sum())
    if wrong:
        raise InputError(f"{path}: expected a number in every place, found NaN in {wrong}")
    return (values > 0 if label is None else values == label), path


def check_ncsnr(path: Path, values: np.ndarray) -> None:
    """Raise InputError for numbers that are plainly no signal-to-noise ratio. values: (voxel,) of
    the voxels that are used."""
    if not np.isfinite(values).any():
        raise InputError(f"{path}: expected an ncsnr of the voxels that are used, found no number")
    if np.nanmin(values) < 0:
        raise InputError(
            f"{path}: expected an ncsnr of 0 or more in the voxels that are used, found "
            f"{np.nanmin(values):.3g} at least"
        )
    median = float(np.nanmedian(values))
    if median > LARGEST_NCSNR:
        raise InputError(
            f"{path}: expected an ncsnr, which is rarely above 1, found {median:.3g} in the median "
            "of the voxels that are used; a noise ceiling in percent is not an ncsnr"
        )


def read_volume(path: Path, grid: Grid) -> np.ndarray:
    """Read a three-dimensional NIfTI file on the axes of a grid: (X, Y, Z)."""
    image = load_image(path, nib.Nifti1Pair, "a NIfTI file")
    shape = image.shape[:3] if image.shape[3:] == (1,) * (len(image.shape) - 3) else image.shape
    if len(shape) != 3:
        raise InputError(f"{path}: expected a volume of three axes, found shape {image.shape}")
    _check_kind(path, image)
    try:
        with open_values(path, image) as numbers:
            values = np.asarray(numbers).reshape(shape)
    except UNREADABLE as error:
        raise InputError(
            f"{path}: expected a whole NIfTI file, found a damaged one: {describe_error(error)}"
        ) from None
    affine = find_affine(image)
    if affine is not None and grid.affine is not None:
        here, there = (nib.orientations.io_orientation(one) for one in (affine, grid.affine))
        turn = nib.orientations.ornt_transform(here, there)
        affine = affine @ nib.orientations.inv_ornt_aff(turn, shape)
        values = nib.orientations.apply_orientation(values, turn)
    if values.shape != grid.shape:
        raise InputError(
            f"{path}: expected the shape {grid.shape} of {grid.of}, found {tuple(shape)}"
        )
    match_affine(path, affine, grid)
    return values


def _check_kind(path: Path, image: Any) -> None:
    """Raise InputError for a file of colours, of complex numbers, or of what else is no number."""
    if image.get_data_dtype().kind not in "iufb":
        raise InputError(f"{path}: expected real numbers, found {image.get_data_dtype()}")


def match_affine(path: Path, affine: np.ndarray | None, grid: Grid) -> None:
    """Raise InputError where a file states another position than its grid has."""
    if affine is None or grid.affine is None:
        return
    if not np.allclose(affine, grid.affine, rtol=0, atol=TOLERANCE):
        raise InputError(
            f"{path}: expected the affine {show_affine(grid.affine)} of {grid.of}, found "
            f"{show_affine(affine)}"
        )


def find_cortex(path: Path, image: Any) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
    """Cortex of a CIFTI file: vertices of the left and the right surface, the flat place of each of
    its grayordinates there, and the column of each."""
    axis = image.header.get_axis(1)
    if not isinstance(axis, nib.cifti2.BrainModelAxis):
        raise InputError(f"{path}: expected grayordinates along its second axis, found {axis}")
    sizes = tuple(int(axis.nvertices.get(name, 0)) for name in CORTEX)
    flat, columns = [], []
    for name, part, model in axis.iter_structures():
        if name in CORTEX:
            flat.append(model.vertex + (sizes[0] if CORTEX[name] else 0))
            columns.append(np.arange(axis.size)[part])
    if not flat:
        raise InputError(f"{path}: expected grayordinates of the cortex, found none")
    places, order = np.concatenate(flat), np.concatenate(columns)
    sort = np.argsort(places, kind="stable")
    return sizes, places[sort], order[sort]


def _read_cifti(path: Path, grid: Grid) -> np.ndarray:
    image = load_image(path, nib.Cifti2Image, "a CIFTI file")
    sizes, flat, columns = find_cortex(path, image)
    if grid.geometry != "surface" or sizes != grid.shape:
        raise InputError(f"{path}: expected the surfaces of {grid.of}, found those of {sizes}")
    if image.shape[0] != 1:
        raise InputError(f"{path}: expected one map, found {image.shape[0]}")
    values = np.zeros(grid.size, dtype=np.float64)
    try:
        values[flat] = np.asarray(image.dataobj)[0][columns]
    except UNREADABLE as error:
        raise InputError(
            f"{path}: expected a whole CIFTI file, found a damaged one: {describe_error(error)}"
        ) from None
    return values


def _read_array(path: Path, grid: Grid) -> np.ndarray:
    """An array of NumPy's on a volume: (place,). It has the volume's axes in their order, or one
    axis in C order; by the number of its values alone, axes in another order would be read too."""
    if describe_format(path) != "npy":
        raise InputError(
            f"{path}: expected a map of the volume of {grid.of} as .nii, .nii.gz or .npy, found "
            "another name"
        )
    array = open_array(path, axes=(1, 2, 3), mapped=False)
    if array.shape not in (grid.shape, (grid.size,)):
        raise InputError(
            f"{path}: expected the shape {grid.shape} of {grid.of}, found {array.shape}"
        )
    return np.asarray(array, dtype=np.float64).reshape(-1)


def _read_flat(path: Path) -> np.ndarray:
    """All numbers of a file, (place,): one array of GIFTI, a volume of MGH, an array of NumPy."""
    form = describe_format(path)
    if form == "gifti":
        arrays = load_image(path, nib.GiftiImage, "a GIFTI file").darrays
        if len(arrays) != 1 or np.ndim(arrays[0].data) != 1:
            raise InputError(f"{path}: expected one map, found {len(arrays)} arrays")
        return np.asarray(arrays[0].data, dtype=np.float64)
    if form == "mgh":
        # not by nibabel, which leaves these files open
        file = open_mgh(path)
        if file.shape[3] != 1:
            raise InputError(f"{path}: expected one map, found {file.shape[3]}")
        return file.read(slice(0, 1))[0].astype(np.float64)
    if form == "npy":
        array = open_array(path, axes=(1, 2, 3), mapped=False)
        return np.asarray(array, dtype=np.float64).reshape(-1)
    raise InputError(
        f"{path}: expected a map as .nii, .nii.gz, .gii, .mgh, .mgz, .npy, .dscalar.nii or "
        ".dlabel.nii, found another name"
    )


def _check_length(path: Path, found: int, expected: int, grid: Grid) -> None:
    if found != expected:
        what = {"surface": "vertices", "list": "columns", "volume": "voxels"}[grid.geometry]
        raise InputError(f"{path}: expected the {expected} {what} of {grid.of}, found {found}")
