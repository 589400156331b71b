"""Control of errors over many tests."""

from __future__ import annotations

import numpy as np

SIGNIFICANT = 0.05
"""Largest p or q of a finding that figures and tables call significant. What decides which words
and voxels go on is the configuration's profile.false_discovery_rate."""


def benjamini_hochberg(p: np.ndarray, axis: int = -1) -> np.ndarray:
    """Adjusted p values: rejecting q <= level keeps the false discovery rate at the level.

    q_(i) = min over j >= i of p_(j) m / j along ``axis`` (Benjamini & Hochberg 1995). Entries that
    are nan stay nan and do not count as tests.
    """
    p = np.moveaxis(np.asarray(p, dtype=np.float64), axis, -1)
    order = np.argsort(p, axis=-1)  # nan last
    ranked = np.take_along_axis(p, order, axis=-1)
    tests = np.isfinite(ranked).sum(axis=-1, keepdims=True)
    scaled = ranked * tests / np.arange(1, p.shape[-1] + 1)
    scaled = np.fmin.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1]
    scaled = np.where(np.isnan(ranked), np.nan, np.minimum(scaled, 1.0))
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, scaled, axis=-1)
    return np.moveaxis(adjusted, -1, axis)
