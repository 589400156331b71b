"""Masks over an image's tokens: where a feature is, and where to edit instead as a control.

All masks are bool (row, column) over the grid of tokens.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

NEIGHBOURS = np.ones((3, 3), dtype=bool)
"""A patch's neighbours, those at its corners too."""


def overlap(moved: np.ndarray, mask: np.ndarray) -> float:
    """Share of a mask that another covers."""
    return float((moved & mask).sum() / mask.sum())


def carry_feature(reading: np.ndarray, seeds: np.ndarray, *, dilation: int) -> np.ndarray:
    """Mask the patches that carry a feature.

    reading: (row, column), how clearly the feature is read in each patch. seeds: the patches of
    strongest attribution. Patches read at least half as clearly as the clearest seed carry the
    feature if an unbroken chain of such patches ties them to a seed; where no seed is read so at
    all, the seeds stand for themselves. Widened by ``dilation`` patches to every side, so that no
    outline is left from which a generator would paint the feature again.
    """
    clearest = reading[seeds].max(initial=0.0)
    is_read = reading >= 0.5 * clearest if clearest > 0 else np.zeros_like(seeds)
    blobs, _ = ndimage.label(is_read, structure=NEIGHBOURS)
    touched = np.unique(blobs[seeds & is_read])
    mask = np.isin(blobs, touched[touched > 0]) if len(touched) else seeds
    return ndimage.binary_dilation(mask, NEIGHBOURS, iterations=dilation) if dilation else mask


def place_window(surface: np.ndarray, *, side: float) -> np.ndarray:
    """Mask the square window, ``side`` as a fraction of the grid, that holds most of a surface.

    surface: (row, column), not negative, a voxel's position map say.
    """
    rows, columns = (max(1, round(side * count)) for count in surface.shape)
    sums = np.lib.stride_tricks.sliding_window_view(surface, (rows, columns)).sum(axis=(2, 3))
    row, column = np.unravel_index(np.argmax(sums), sums.shape)
    mask = np.zeros(surface.shape, dtype=bool)
    mask[row : row + rows, column : column + columns] = True
    return mask


def move_mask(mask: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Move a mask inside the grid, off where it is, to where a surface is largest.

    Of all places at which the whole mask fits, those that overlap the old one least are compared
    by the sum of ``value`` (row, column) under the mask. Size and shape stay the same.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    shape = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    views = np.lib.stride_tricks.sliding_window_view
    overlap = (views(mask, shape.shape) & shape).sum(axis=(2, 3))
    score = (views(value, shape.shape) * shape).sum(axis=(2, 3))
    score = np.where(overlap == overlap.min(), score, -np.inf)
    row, column = np.unravel_index(np.argmax(score), score.shape)
    moved = np.zeros_like(mask)
    moved[row : row + shape.shape[0], column : column + shape.shape[1]] = shape
    return moved


def to_pixels(masks: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """Spread masks over the pixels of their patches: (…, row, column) → (…, height, width)."""
    row = np.arange(height) * masks.shape[-2] // height
    column = np.arange(width) * masks.shape[-1] // width
    return masks[..., row[:, None], column]
