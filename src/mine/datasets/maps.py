"""Maps over the brain, as viewers read them: NIfTI volumes, GIFTI surfaces, or a table.

A file holds one map or several: as the fourth axis of a volume, as arrays of a surface, as columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mine.datasets.voxels import SIDES, SurfaceVoxels, VolumeVoxels, VoxelSet

STRUCTURES = ("CortexLeft", "CortexRight")


def write_map(
    paths: str | Path | Sequence[str | Path],
    values: np.ndarray,
    voxels: VoxelSet,
    *,
    names: Mapping[int, str] | None = None,
    titles: Sequence[str] = ("value",),
) -> None:
    """Write a number per voxel, or several, in the space that the voxels lie in.

    paths: of mine.datasets.listing.list_maps: one, or for surfaces the left and the right. values:
    (voxel,) or, for several maps in a file, (voxel, map); whole numbers are labels above 0 and 0
    where there is no voxel, others are measurements and there NaN. names: of the labels, which
    GIFTI keeps. titles: of the maps, which GIFTI and tables keep.
    """
    paths = _list_paths(paths)
    values = np.asarray(values)
    several = values[:, None] if values.ndim == 1 else values
    if several.shape[1] != len(titles):
        raise ValueError(f"{several.shape[1]} maps with {len(titles)} titles")
    labels = values.dtype.kind in "iub"
    values = values.astype(np.int32 if labels else np.float32)
    if isinstance(voxels, VolumeVoxels):
        _write_volume(paths[0], values, voxels)
    elif isinstance(voxels, SurfaceVoxels):
        for path, side in zip(paths, SIDES, strict=True):
            _write_surface(path, values.reshape(several.shape), voxels, side, names or {}, titles)
    else:
        _write_table(paths[0], values.reshape(several.shape), voxels, titles)


def read_map(paths: str | Path | Sequence[str | Path], voxels: VoxelSet) -> np.ndarray:
    """Read a map at voxels of the space that it was written in: (voxel,), or (voxel, map).

    What was written is found again; a voxel that was not among those that were written has 0 where
    values are labels and NaN where they are measurements.
    """
    paths = _list_paths(paths)
    if isinstance(voxels, VolumeVoxels):
        return _read_volume(paths[0], voxels)
    if isinstance(voxels, SurfaceVoxels):
        values = _read_surfaces(paths, voxels)
    else:
        values = _read_table(paths[0], voxels)
    return values[:, 0] if values.shape[1] == 1 else values


def fill_volume(values: np.ndarray, voxels: VolumeVoxels) -> np.ndarray:
    """Put values (voxel,) or (voxel, map) where their voxels lie: (X, Y, Z) or (X, Y, Z, map)."""
    filled = _fill(values, int(np.prod(voxels.shape)), voxels.index)
    return filled.reshape(*voxels.shape, *values.shape[1:])


def _list_paths(paths: str | Path | Sequence[str | Path]) -> list[str | Path]:
    return [paths] if isinstance(paths, str | Path) else list(paths)


def _write_volume(path: str | Path, values: np.ndarray, voxels: VolumeVoxels) -> None:
    import nibabel

    volume = fill_volume(values, voxels)
    if values.dtype.kind == "i" and np.abs(values).max(initial=0) < 2**15:
        # what every viewer takes for labels
        volume = volume.astype(np.int16)
    image = nibabel.Nifti1Image(volume, voxels.affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def _write_surface(
    path: str | Path,
    values: np.ndarray,
    voxels: SurfaceVoxels,
    side: str,
    names: Mapping[int, str],
    titles: Sequence[str],
) -> None:
    from nibabel import gifti

    here = voxels.hemisphere == side
    number = SIDES.index(side)
    data = _fill(values[here], voxels.vertices[number], voxels.vertex[here])
    labels = values.dtype.kind == "i"
    arrays = [
        gifti.GiftiDataArray(
            column,
            intent="NIFTI_INTENT_LABEL" if labels else "NIFTI_INTENT_NONE",
            datatype="NIFTI_TYPE_INT32" if labels else "NIFTI_TYPE_FLOAT32",
            meta=gifti.GiftiMetaData({"Name": title}),
        )
        for column, title in zip(data.T, titles, strict=True)
    ]
    table = gifti.GiftiLabelTable()
    if labels:
        for key in range(int(values.max(initial=0)) + 1):
            label = gifti.GiftiLabel(key, *_choose_colour(key))
            label.label = "none" if key == 0 else names.get(key, str(key))
            table.labels.append(label)
    meta = gifti.GiftiMetaData({"AnatomicalStructurePrimary": STRUCTURES[number]})
    image = gifti.GiftiImage(darrays=arrays, labeltable=table, meta=meta)
    Path(path).write_bytes(image.to_bytes())


def _write_table(
    path: str | Path, values: np.ndarray, voxels: VoxelSet, titles: Sequence[str]
) -> None:
    import pandas as pd

    table = pd.DataFrame(
        {
            "index": voxels.index,
            "name": voxels.own_coordinates()["name"].values,
            "hemisphere": voxels.hemisphere,
            **dict(zip(titles, values.T, strict=True)),
        }
    )
    table.to_csv(path, sep="\t", index=False)


def _read_volume(path: str | Path, voxels: VolumeVoxels) -> np.ndarray:
    import nibabel

    return np.asarray(nibabel.load(path).dataobj)[tuple(voxels.ijk.T)]


def _read_surfaces(paths: Sequence[str | Path], voxels: SurfaceVoxels) -> np.ndarray:
    import nibabel

    sides = [
        np.stack([array.data for array in nibabel.load(path).darrays], axis=1) for path in paths
    ]
    return np.concatenate(sides)[voxels.index]


def _read_table(path: str | Path, voxels: VoxelSet) -> np.ndarray:
    import pandas as pd

    table = pd.read_csv(path, sep="\t").set_index("index").drop(columns=["name", "hemisphere"])
    # Without rows pandas cannot tell the type; what is written then are labels that nobody has.
    values = table.to_numpy() if len(table) else table.to_numpy(np.int64)
    filled = np.full((len(voxels), values.shape[1]), _choose_nothing(values), dtype=values.dtype)
    place = table.index.get_indexer(voxels.index)
    filled[place >= 0] = values[place[place >= 0]]
    return filled


def _fill(values: np.ndarray, size: int, index: np.ndarray) -> np.ndarray:
    shape = (size, *values.shape[1:])
    filled = np.full(shape, _choose_nothing(values), dtype=values.dtype)
    filled[index] = values
    return filled


def _choose_nothing(values: np.ndarray) -> float:
    """What stands where there is no voxel."""
    return 0 if values.dtype.kind in "iu" else np.nan


def _choose_colour(key: int) -> tuple[float, float, float, float]:
    """Return red, green, blue and opacity of a label: hues a golden angle apart."""
    import colorsys

    if key == 0:
        return 0.0, 0.0, 0.0, 0.0
    return (*colorsys.hsv_to_rgb(key * 0.618034 % 1, 0.65, 0.9), 1.0)
