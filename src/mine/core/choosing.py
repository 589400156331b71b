"""Which voxels and images are taken, of those that could be."""

from __future__ import annotations

import numpy as np

from mine.statistics.multiple_comparisons import benjamini_hochberg


def choose_voxels(
    described: np.ndarray,
    faithfulness: np.ndarray,
    *,
    quantile: float,
    most: int | None,
    generator: np.random.Generator,
) -> np.ndarray:
    """Choose described voxels at or above a quantile of the described ones' faithfulness.

    described: bool (voxel,). faithfulness: (voxel,), larger is better; nan is never chosen. most:
    so many are drawn at random; None takes all. Returns positions, ascending.
    """
    able = np.flatnonzero(described & np.isfinite(faithfulness))
    if len(able) == 0:
        return able
    able = able[faithfulness[able] >= np.quantile(faithfulness[able], quantile)]
    return draw_some(able, most, generator)


def find_judged(p: np.ndarray, voxels: np.ndarray, *, level: float) -> np.ndarray:
    """Tell which of some voxels have a judge: bool, as voxels.

    p: of all the subject's voxels, that the evaluator predicts them, over which the false discovery
    rate is controlled at ``level``. Of noise it has learned shifts that are small and yet alike
    over images. voxels: positions.
    """
    return benjamini_hochberg(p)[voxels] <= level


def choose_responsive(
    prediction: np.ndarray,
    able: np.ndarray,
    *,
    quantile: float,
    most: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Draw images to which each voxel answers: positions, int (voxel, chosen).

    prediction: (voxel, image), the explained encoder's. able: bool (voxel, image), which may be
    drawn. Of these the images at or above the voxel's quantile are drawn from; ascending, -1 at the
    end where there are fewer than ``most``.
    """
    chosen = np.full((len(prediction), most), -1)
    for row, values in enumerate(prediction):
        responsive = able[row] & (values >= np.quantile(values, quantile))
        drawn = draw_some(np.flatnonzero(responsive), most, generator)
        chosen[row, : len(drawn)] = drawn
    return chosen


def draw_some(able: np.ndarray, most: int | None, generator: np.random.Generator) -> np.ndarray:
    """Draw ``most`` of some positions without replacement, ascending; all where there are fewer."""
    if most is None or len(able) <= most:
        return np.sort(able)
    return np.sort(generator.choice(able, size=most, replace=False))
