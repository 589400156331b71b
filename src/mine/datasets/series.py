"""Files of single-trial responses in each format: how many trials, where they lie, any of them.

A series is a file, or a pair of them for two hemispheres, that holds one response for each of some
trials. Only what is asked for is read, where the format permits; GIFTI has to be read whole.
"""

from __future__ import annotations

import xml.parsers.expat
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np

from mine.datasets.file_sizes import check_size
from mine.datasets.grids import (
    Grid,
    find_cortex,
)
from mine.datasets.nibabel_files import UNREADABLE, find_affine, load_image, open_values
from mine.datasets.nsd_files import check_own
from mine.datasets.numpy_files import SLAB_BYTES, divide_rows, open_array, take_part
from mine.datasets.patterns import describe_format
from mine.errors import InputError, describe_error
from mine.wording import format_count

HDF5_NAMES = ("betasmd", "modelmd", "betas")
"""Datasets that hold responses: GLMsingle's in Python and in MATLAB, and the plain name."""


@dataclass(frozen=True, kw_only=True)
class Series(ABC):
    """path: of the file, of the left hemisphere where there are two. grid: all places. columns:
    (column,) flat place of each column that the file has, ascending; None: of all."""

    path: Path
    trials: int
    grid: Grid
    columns: np.ndarray | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.path,)

    def read(self, trials: np.ndarray, flat: np.ndarray) -> np.ndarray:
        """Responses of some trials in some places: float32 (trial, voxel).

        trials: ascending, from 0. flat: ascending places, which the file has to have. Raises
        InputError where the file is damaged.
        """
        places = flat if self.columns is None else np.searchsorted(self.columns, flat)
        try:
            return self._read(np.asarray(trials), places)
        except InputError:
            # names its own file, which of two hemispheres may be the other
            raise
        except UNREADABLE as error:
            raise InputError(
                f"{self.path}: expected a whole file, found a damaged one: {describe_error(error)}"
            ) from None

    @abstractmethod
    def _read(self, trials: np.ndarray, places: np.ndarray) -> np.ndarray: ...

    def check_end(self) -> None:  # noqa: B027
        """Raise InputError if the file is cut off, as far as that shows in its length or end."""


class NiftiSeries(Series):
    def _read(self, trials: np.ndarray, places: np.ndarray) -> np.ndarray:
        image = load_image(self.path, nib.Nifti1Pair, "a NIfTI file")
        ijk = np.unravel_index(places, self.grid.shape)
        values = np.empty((len(trials), len(places)), dtype=np.float32)
        with open_values(self.path, image) as proxy:
            if proxy.ndim == 3:
                return np.asarray(proxy)[ijk].astype(np.float32)[None][trials]
            volume_bytes = int(np.prod(self.grid.shape)) * proxy.dtype.itemsize
            step = max(1, SLAB_BYTES // max(1, volume_bytes))
            for first, rows, inside in divide_rows(trials, step):
                # a compressed file is read forwards, once
                block = np.asarray(proxy[..., first : first + step])[..., inside]
                values[rows] = block[ijk].T
        return values

    def check_end(self) -> None:
        proxy = load_image(self.path, nib.Nifti1Pair, "a NIfTI file").dataobj
        needed = proxy.offset + int(np.prod(proxy.shape)) * proxy.dtype.itemsize
        of = f"{format_count(self.trials, 'trial')} of shape {self.grid.shape}"
        check_size(self.path, needed, of=of)


class CiftiSeries(Series):
    def _read(self, trials: np.ndarray, places: np.ndarray) -> np.ndarray:
        image = load_image(self.path, nib.Cifti2Image, "a CIFTI file")
        _, _, order = find_cortex(self.path, image)
        values = np.empty((len(trials), len(places)), dtype=np.float32)
        step = max(1, SLAB_BYTES // (image.shape[1] * image.dataobj.dtype.itemsize))
        for first, rows, inside in divide_rows(trials, step):
            block = np.asarray(image.dataobj[first : first + step])
            values[rows] = block[inside][:, order[places]]
        return values

    def check_end(self) -> None:
        proxy = load_image(self.path, nib.Cifti2Image, "a CIFTI file").dataobj
        # CIFTI puts four axes of one before its own two
        needed = proxy.offset + int(np.prod(proxy.shape)) * proxy.dtype.itemsize
        of = f"{format_count(self.trials, 'trial')} of {proxy.shape[-1]} grayordinates"
        check_size(self.path, needed, of=of)


@dataclass(frozen=True, kw_only=True)
class SurfaceSeries(Series):
    """One file for each hemisphere: GIFTI with an array for each trial, or NumPy's (trial, vertex).

    paths: "left" and "right" -> file; a hemisphere may lack, and then has no vertices.
    """

    paths: Mapping[str, Path]

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(self.paths.values())

    def _read(self, trials: np.ndarray, places: np.ndarray) -> np.ndarray:
        values = np.empty((len(trials), len(places)), dtype=np.float32)
        for side, path in self.paths.items():
            start = self.grid.shape[0] if side == "right" else 0
            stop = self.grid.size if side == "right" else self.grid.shape[0]
            here = (places >= start) & (places < stop)
            if describe_format(path) == "npy":
                array = open_array(path, axes=(2,))
                values[:, here] = take_part(array, trials, places[here] - start)
                continue
            arrays = load_image(path, nib.GiftiImage, "a GIFTI file").darrays
            for row, trial in enumerate(trials):
                values[row, here] = _gifti_trial(path, arrays, trial, stop - start)[
                    places[here] - start
                ]
        return values

    def check_end(self) -> None:
        for path in self.paths.values():
            if str(path).lower().endswith(".gii"):
                with open(path, "rb") as file:
                    file.seek(max(0, path.stat().st_size - 200))
                    if not file.read().rstrip().endswith(b"</GIFTI>"):
                        raise InputError(
                            f"{path}: expected a whole GIFTI file, found one that is cut off"
                        )


@dataclass(frozen=True, kw_only=True)
class ArraySeries(Series):
    """An array of NumPy's or HDF5: (trial, column), (X, Y, Z, trial), or (trial, Z, Y, X) as
    MATLAB's arrays look to others.

    name: of the dataset in an HDF5 file. layout: "rows", "volumes" or "matlab".
    """

    layout: str
    name: str | None = None

    def _read(self, trials: np.ndarray, places: np.ndarray) -> np.ndarray:
        if self.name is None:
            return self._read_array(open_array(self.path, axes=(2, 4)), trials, places)
        with open_hdf5(self.path) as file:
            check_own(file, self.name)
            return self._read_array(file[self.name], trials, places)

    def _read_array(self, array, trials: np.ndarray, places: np.ndarray) -> np.ndarray:
        if self.layout == "rows":
            return take_part(array, trials, places)
        values = np.empty((len(trials), len(places)), dtype=np.float32)
        i, j, k = np.unravel_index(places, self.grid.shape)
        row_bytes = int(np.prod(array.shape[1:])) * array.dtype.itemsize
        step = max(1, SLAB_BYTES // max(1, row_bytes))
        chunk = getattr(array, "chunks", None)
        if chunk:
            # no chunk is inflated twice
            step = chunk[0] * max(1, step // chunk[0])
        if self.layout == "matlab":
            for first, rows, inside in divide_rows(trials, step, aligned=True):
                block = np.asarray(array[first : first + step])
                values[rows] = block[inside][:, k, j, i]
            return values
        for start in range(int(i.min()) // step * step, int(i.max()) + 1, step):
            here = np.flatnonzero((i >= start) & (i < start + step))
            if len(here):
                block = np.asarray(array[start : start + step])
                values[:, here] = block[i[here] - start, j[here], k[here]][:, trials].T
        return values


def open_series(
    paths: Mapping[str, Path], *, mask: Grid | None, columns: np.ndarray | None, listed: Grid | None
) -> Series:
    """Open a file of responses, or one for each hemisphere ("left", "right"; else "both").

    mask: the grid of the mask, if that is a volume, and columns: its flat places above 0, of which
    a table of (trial, voxel) is taken to consist. listed: names of a table's columns. Raises
    InputError for a file that is absent, damaged, of another form, or without the mask it needs.
    """
    path = next(iter(paths.values()))
    form = describe_format(path)
    if "both" not in paths:
        return _open_surfaces(dict(paths))
    if form == "nifti":
        image = load_image(path, nib.Nifti1Pair, "a NIfTI file")
        if image.ndim not in (3, 4) or 0 in image.shape:
            raise InputError(
                f"{path}: expected a volume for each trial, (X, Y, Z, trial), found shape "
                f"{image.shape}"
            )
        if image.get_data_dtype().kind not in "iuf":
            raise InputError(f"{path}: expected numbers, found {image.get_data_dtype()}")
        trials = image.shape[3] if image.ndim == 4 else 1
        affine = find_affine(image)
        if affine is None and mask is None:
            raise InputError(
                f"{path}: expected a position in its header or in a mask, found neither"
            )
        affine = mask.affine if affine is None else affine
        grid = Grid("volume", tuple(image.shape[:3]), path, affine=affine)
        return NiftiSeries(path=path, trials=trials, grid=grid)
    if form == "cifti":
        image = load_image(path, nib.Cifti2Image, "a CIFTI file")
        sizes, flat, _ = find_cortex(path, image)
        return CiftiSeries(
            path=path, trials=image.shape[0], grid=Grid("surface", sizes, path), columns=flat
        )
    if form == "gifti":
        raise InputError(
            f"{path}: expected {{hemisphere}} in dataset.folder.responses for GIFTI, found a file "
            "of one hemisphere"
        )
    if form == "npy":
        array = open_array(path, axes=(2, 4))
        if array.ndim == 4:
            grid = _need_mask(path, mask, array.shape[:3])
            return ArraySeries(path=path, trials=array.shape[3], grid=grid, layout="volumes")
        return _open_rows(path, array.shape, mask, columns, listed)
    if form == "hdf5":
        return _open_hdf5_series(path, mask, columns, listed)
    raise InputError(
        f"{path}: expected responses as .nii, .nii.gz, .dscalar.nii, .dtseries.nii, .gii, .npy, "
        ".hdf5, .h5 or .mat, found another name"
    )


def open_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file; InputError if it is absent, damaged or no such file."""
    if not Path(path).is_file():
        raise InputError(f"{path}: expected an HDF5 file, found no file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        old = "; MATLAB writes HDF5 with save('…', '-v7.3')" if str(path).endswith(".mat") else ""
        raise InputError(
            f"{path}: expected a whole HDF5 file, found one that is not: {error}{old}"
        ) from None


def _open_surfaces(paths: dict[str, Path]) -> SurfaceSeries:
    sizes, counts = {}, {}
    for side, path in paths.items():
        form = describe_format(path)
        if form == "npy":
            counts[side], sizes[side] = open_array(path, axes=(2,)).shape
        elif form == "gifti":
            counts[side], sizes[side] = _measure_gifti(path)
        else:
            raise InputError(
                f"{path}: expected a hemisphere's responses as .gii or .npy, found another name"
            )
    path = next(iter(paths.values()))
    if len(set(counts.values())) > 1:
        raise InputError(
            f"{paths['right']}: expected the {counts['left']} trials of {paths['left'].name}, "
            f"found {counts['right']}"
        )
    shape = (sizes.get("left", 0), sizes.get("right", 0))
    return SurfaceSeries(
        path=path,
        trials=next(iter(counts.values())),
        grid=Grid("surface", shape, path),
        paths=paths,
    )


def _measure_gifti(path: Path) -> tuple[int, int]:
    """Trials and vertices of a GIFTI file, from its first lines."""
    found: dict[str, str] = {}

    class Enough(Exception):
        pass

    def begin(name: str, attributes: dict[str, str]) -> None:
        found.update(attributes)
        if name == "DataArray":
            raise Enough

    if str(path).lower().endswith(".gz"):
        arrays = load_image(path, nib.GiftiImage, "a GIFTI file").darrays
        shape = arrays[0].data.shape if arrays else ()
        found = {"NumberOfDataArrays": str(len(arrays)), "Dimensionality": str(len(shape))}
        found |= {f"Dim{axis}": str(size) for axis, size in enumerate(shape)}
    else:
        parser = xml.parsers.expat.ParserCreate()
        parser.StartElementHandler = begin
        try:
            with open(path, "rb") as file:
                while part := file.read(2**16):
                    parser.Parse(part)
        except Enough:
            pass
        except xml.parsers.expat.ExpatError as error:
            raise InputError(
                f"{path}: expected a GIFTI file, found one that is not: {error}"
            ) from None
    try:
        count = int(found["NumberOfDataArrays"])
        sizes = [int(found[f"Dim{axis}"]) for axis in range(int(found["Dimensionality"]))]
    except (KeyError, ValueError):
        raise InputError(f"{path}: expected a GIFTI file with arrays, found none") from None
    if len(sizes) == 2 and count == 1:
        return sizes[1], sizes[0]
    if len(sizes) != 1 or not count:
        raise InputError(
            f"{path}: expected an array of vertices for each trial, found {count} of {sizes}"
        )
    return count, sizes[0]


def _gifti_trial(path: Path, arrays: list, trial: int, vertices: int) -> np.ndarray:
    data = arrays[0].data[:, trial] if arrays[0].data.ndim == 2 else arrays[trial].data
    if data.shape != (vertices,):
        raise InputError(f"{path}: expected {vertices} vertices in each array, found {data.shape}")
    return data


def _open_hdf5_series(
    path: Path, mask: Grid | None, columns: np.ndarray | None, listed: Grid | None
) -> ArraySeries:
    with open_hdf5(path) as file:
        for one in HDF5_NAMES:
            check_own(file, one)
        name = next((one for one in HDF5_NAMES if isinstance(file.get(one), h5py.Dataset)), None)
        if name is None:
            raise InputError(
                f"{path}: expected a dataset {', '.join(HDF5_NAMES[:-1])} or {HDF5_NAMES[-1]}, "
                f"found {', '.join(file) or 'nothing'}"
            )
        data = file[name]
        shape, matlab = data.shape, "MATLAB_class" in data.attrs
        if data.dtype.kind not in "iuf" or len(shape) not in (2, 4) or 0 in shape:
            raise InputError(
                f"{path}: expected numbers of two or four axes as {name}, found {data.dtype} "
                f"{shape}"
            )
    if len(shape) == 2:
        return _open_rows(path, shape, mask, columns, listed, name=name)
    layout = "matlab" if matlab else "volumes"
    grid = _need_mask(path, mask, shape[:0:-1] if matlab else shape[:3])
    trials = shape[0] if matlab else shape[3]
    return ArraySeries(path=path, trials=trials, grid=grid, layout=layout, name=name)


def _open_rows(
    path: Path,
    shape: tuple[int, ...],
    mask: Grid | None,
    columns: np.ndarray | None,
    listed: Grid | None,
    *,
    name: str | None = None,
) -> ArraySeries:
    """A table (trial, column) whose columns are a list's or the voxels of a mask in C order."""
    if listed is not None:
        if shape[1] != listed.size:
            raise InputError(
                f"{path}: expected the {listed.size} columns that {listed.of} names, found "
                f"{shape[1]}"
            )
        return ArraySeries(path=path, trials=shape[0], grid=listed, layout="rows", name=name)
    if mask is None or columns is None:
        raise InputError(
            f"{path}: expected dataset.folder.names or dataset.folder.mask to say what its "
            f"{shape[1]} columns are, found neither"
        )
    if shape[1] != len(columns):
        raise InputError(
            f"{path}: expected a column for each of the {len(columns)} voxels in {mask.of}, found "
            f"{shape[1]}"
        )
    return ArraySeries(
        path=path, trials=shape[0], grid=mask, columns=columns, layout="rows", name=name
    )


def _need_mask(path: Path, mask: Grid | None, shape: tuple[int, ...]) -> Grid:
    if mask is None:
        raise InputError(
            f"{path}: expected dataset.folder.mask as NIfTI, which gives its position, found none"
        )
    if mask.shape != tuple(shape):
        raise InputError(
            f"{path}: expected the shape {mask.shape} of {mask.of} and its trials, found "
            f"{tuple(shape)}"
        )
    return mask
