"""A regression's robust error, from whole matrices."""

from __future__ import annotations

import numpy as np
import scipy.stats


def robust_p(
    response: np.ndarray, known: np.ndarray, column: np.ndarray, *, reliability: float = 1.0
) -> float:
    """HC3 as a sandwich of whole matrices, Bell & McCaffrey's degrees of freedom as traces.

    known: its first column is the constant. reliability: share of the variance of what is known
    that is of what it measures; the rest of it makes a column add what it does not.
    """
    design = np.column_stack([known, column])
    # Columns that are known may depend on each other; the last coefficient is certain all the same.
    inverse = np.linalg.pinv(design.T @ design, rcond=1e-12, hermitian=True)
    rest = np.eye(len(response)) - design @ inverse @ design.T
    residuals, left = rest @ response, np.diag(rest)
    weights = (design @ inverse)[:, -1]
    fitted = known @ np.linalg.lstsq(known, np.column_stack([column, response]), rcond=None)[0]
    centred = fitted - fitted.mean(axis=0)
    if centred[:, 0] @ centred[:, 1] > 0:
        beyond = column - fitted[:, 0]
        weights = weights - (1 / reliability - 1) * centred[:, 0] / (beyond @ beyond)
    error = np.sqrt(weights @ np.diag(np.square(residuals / left)) @ weights)
    parts = rest * (weights / left)
    own = parts.T @ parts
    degrees = np.trace(own) ** 2 / np.trace(own @ own)
    return scipy.stats.t.sf(weights @ response / error, degrees)
