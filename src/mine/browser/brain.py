"""The brain of a subject, as the page's slices show it."""

from __future__ import annotations

import nibabel
import numpy as np

from mine.browser.scripts import pack_bytes, round_numbers
from mine.datasets.voxels import VolumeVoxels, VoxelSet

BRIGHTEST = 99.0
"""Percentile of the background that is drawn white: a few voxels of vessels are far brighter."""


def describe_brain(
    voxels: VoxelSet,
    *,
    geometry: str,
    r2: np.ndarray,
    noise_ceiling: np.ndarray,
    background: np.ndarray | None,
) -> dict[str, object]:
    """Gather what the slices of a subject need, along axes that go right, front and up.

    r2, noise_ceiling: (voxel,). background: (X, Y, Z) on the voxels' grid, or None.

    Returns ``geometry``, and for a volume its ``shape``, the ``spacing`` and the ``affine`` of
    these axes in mm, ``place`` of every voxel as three rows, its ``r2`` and ``noise_ceiling``, and
    ``background``: a byte for each place in C order, None where there is none.
    """
    if not isinstance(voxels, VolumeVoxels):
        return {"geometry": geometry}
    axes = nibabel.io_orientation(voxels.affine)
    back = nibabel.orientations.inv_ornt_aff(axes, voxels.shape)
    affine = voxels.affine @ back
    place = nibabel.affines.apply_affine(np.linalg.inv(back), voxels.ijk)
    shape = np.empty(3, dtype=int)
    shape[axes[:, 0].astype(int)] = voxels.shape
    behind = None
    if background is not None:
        turned = nibabel.apply_orientation(background, axes)
        behind = pack_bytes(_scale_background(turned))
    return {
        "geometry": geometry,
        "shape": shape.tolist(),
        "spacing": round_numbers(np.linalg.norm(affine[:3, :3], axis=0)),
        "affine": round_numbers(affine, 6),
        "place": np.rint(place).astype(int).T.tolist(),
        "r2": round_numbers(r2),
        "noise_ceiling": round_numbers(noise_ceiling),
        "background": behind,
    }


def _scale_background(background: np.ndarray) -> np.ndarray:
    """Scale to bytes, from 0 or the least value to the value of BRIGHTEST."""
    known = np.nan_to_num(background, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float64)
    least, most = min(known.min(), 0.0), np.percentile(known[known > 0], BRIGHTEST)
    return np.rint(np.clip((known - least) / (most - least), 0, 1) * 255).astype(np.uint8)
