"""Arithmetic that several statistics share."""

from __future__ import annotations

import numpy as np

INTERVAL_LEVEL = 0.95
"""How often an interval covers what it is of."""


def centre(values: np.ndarray, axis: int) -> np.ndarray:
    """Values less their mean; exactly 0 where constant, where rounding would leave a variance."""
    constant = np.ptp(values, axis=axis, keepdims=True) == 0
    return np.where(constant, 0.0, values - values.mean(axis=axis, keepdims=True))


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient, nan where the denominator is not positive (a constant has no variance)."""
    numerator, denominator = np.asarray(numerator), np.asarray(denominator)
    safe = np.where(denominator > 0, denominator, 1.0)
    return np.where(denominator > 0, numerator / safe, np.nan)
