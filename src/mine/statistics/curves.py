"""Sums of a curve."""

from __future__ import annotations

import numpy as np


def area_under_curve(values: np.ndarray, points: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """Trapezoidal area under a curve over the range of its points: a constant's area is itself.

    values: curve along ``axis``. points: (point,), rising. Raises ValueError if they do not rise.
    """
    points = np.asarray(points, dtype=np.float64)
    if len(points) < 2 or (np.diff(points) <= 0).any():
        raise ValueError("the points of a curve must rise, and be two or more")
    values = np.moveaxis(np.asarray(values, dtype=np.float64), axis, -1)
    middles = (values[..., 1:] + values[..., :-1]) / 2
    return middles @ np.diff(points) / (points[-1] - points[0])
