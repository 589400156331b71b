"""A regression's robust error, from whole matrices."""

from __future__ import annotations

import numpy as np
import scipy.stats


def robust_p(response: np.ndarray, known: np.ndarray, column: np.ndarray) -> float:
    """HC3 as a sandwich of whole matrices, Bell & McCaffrey's degrees of freedom as traces."""
    design = np.column_stack([known, column])
    # Columns that are known may depend on each other; the last coefficient is certain all the same.
    inverse = np.linalg.pinv(design.T @ design, rcond=1e-12, hermitian=True)
    rest = np.eye(len(response)) - design @ inverse @ design.T
    residuals, left = rest @ response, np.diag(rest)
    meat = design.T @ np.diag(np.square(residuals / left)) @ design
    error = np.sqrt((inverse @ meat @ inverse)[-1, -1])
    parts = rest * ((design @ inverse)[:, -1] / left)
    own = parts.T @ parts
    degrees = np.trace(own) ** 2 / np.trace(own @ own)
    return scipy.stats.t.sf((inverse @ design.T @ response)[-1] / error, degrees)
