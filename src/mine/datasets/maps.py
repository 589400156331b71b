"""Maps over the brain, as viewers read them: NIfTI volumes, GIFTI surfaces, or a table."""

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
) -> None:
    """Write one number per voxel in the space that the voxels lie in.

    paths: of mine.datasets.listing.list_maps: one, or for surfaces the left and the right. values:
    (voxel,); whole numbers are labels above 0 and 0 where there is no voxel, others are
    measurements and there NaN. names: of the labels, which GIFTI keeps.
    """
    paths = [paths] if isinstance(paths, str | Path) else list(paths)
    values = np.asarray(values)
    labels = values.dtype.kind in "iub"
    values = values.astype(np.int32 if labels else np.float32)
    if isinstance(voxels, VolumeVoxels):
        _write_volume(paths[0], values, voxels)
    elif isinstance(voxels, SurfaceVoxels):
        for path, side in zip(paths, SIDES, strict=True):
            _write_surface(path, values, voxels, side, names or {})
    else:
        _write_table(paths[0], values, voxels)


def _write_volume(path: str | Path, values: np.ndarray, voxels: VolumeVoxels) -> None:
    import nibabel

    volume = _fill(values, int(np.prod(voxels.shape)), voxels.index).reshape(voxels.shape)
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
) -> None:
    from nibabel import gifti

    here = voxels.hemisphere == side
    number = SIDES.index(side)
    data = _fill(values[here], voxels.vertices[number], voxels.vertex[here])
    labels = values.dtype.kind == "i"
    array = gifti.GiftiDataArray(
        data,
        intent="NIFTI_INTENT_LABEL" if labels else "NIFTI_INTENT_NONE",
        datatype="NIFTI_TYPE_INT32" if labels else "NIFTI_TYPE_FLOAT32",
    )
    table = gifti.GiftiLabelTable()
    if labels:
        for key in range(int(values.max(initial=0)) + 1):
            label = gifti.GiftiLabel(key, *_choose_colour(key))
            label.label = "none" if key == 0 else names.get(key, str(key))
            table.labels.append(label)
    meta = gifti.GiftiMetaData({"AnatomicalStructurePrimary": STRUCTURES[number]})
    image = gifti.GiftiImage(darrays=[array], labeltable=table, meta=meta)
    Path(path).write_bytes(image.to_bytes())


def _write_table(path: str | Path, values: np.ndarray, voxels: VoxelSet) -> None:
    import pandas as pd

    table = pd.DataFrame(
        {
            "index": voxels.index,
            "name": voxels.own_coordinates()["name"].values,
            "hemisphere": voxels.hemisphere,
            "value": values,
        }
    )
    table.to_csv(path, sep="\t", index=False)


def _fill(values: np.ndarray, size: int, index: np.ndarray) -> np.ndarray:
    filled = np.full(size, 0 if values.dtype.kind == "i" else np.nan, dtype=values.dtype)
    filled[index] = values
    return filled


def _choose_colour(key: int) -> tuple[float, float, float, float]:
    """Return red, green, blue and opacity of a label: hues a golden angle apart."""
    import colorsys

    if key == 0:
        return 0.0, 0.0, 0.0, 0.0
    return (*colorsys.hsv_to_rgb(key * 0.618034 % 1, 0.65, 0.9), 1.0)
