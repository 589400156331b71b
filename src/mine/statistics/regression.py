"""Which of many candidates add to a regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass(frozen=True)
class Selection:
    """Columns in the order in which a forward selection took them."""

    order: np.ndarray
    """(step,): index of the candidate"""
    correlation: np.ndarray
    """(step,): its partial correlation with the response, given what was known and taken before"""
    p: np.ndarray
    """(step,): one-sided p of that correlation (t), times the number of tests, at most 1"""


def forward_selection(
    response: np.ndarray,
    known: np.ndarray,
    candidates: np.ndarray,
    *,
    count: int,
    tests: int | None = None,
) -> Selection:
    """Take, one after the other, the candidate that adds most to a regression: at most ``count``.

    The next is the one of largest positive partial correlation with the response, given ``known``
    and those taken before; p is corrected for having been the best of ``tests`` (Bonferroni). The
    selection ends where no partial correlation is positive. A candidate of which less than a
    thousandth is left is one that was taken, under another name, and is passed over.

    response: (image,). known: (image, column), maybe none. candidates: (image, candidate).
    tests: how many candidates there were, if some were left out beforehand; all by default.
    """
    images = len(response)
    base = np.column_stack([np.ones(images), known]).astype(np.float64)
    basis, scale = np.linalg.qr(base)
    basis = basis[:, np.abs(np.diag(scale)) > 1e-9 * np.abs(scale).max()]
    left = response - basis @ (basis.T @ response)
    rest = candidates - candidates.mean(axis=0, dtype=np.float64)
    least = 1e-3 * np.linalg.norm(rest, axis=0) + 1e-12
    rest -= basis @ (basis.T @ rest)
    tests = candidates.shape[1] if tests is None else tests
    order: list[int] = []
    found: list[tuple[float, float]] = []
    while len(order) < min(count, candidates.shape[1]):
        length = np.linalg.norm(rest, axis=0)
        size = np.linalg.norm(left)
        correlation = np.where(
            length > least, left @ rest / np.maximum(length * size, 1e-300), -np.inf
        )
        best = int(np.argmax(correlation))
        degrees = images - basis.shape[1] - len(order) - 1
        if correlation[best] <= 0 or degrees < 1:
            break
        r = min(float(correlation[best]), 1 - 1e-15)
        p = special.stdtr(degrees, -r * np.sqrt(degrees / (1 - r**2)))
        order.append(best)
        found.append((r, min(1.0, p * tests)))
        unit = rest[:, best] / length[best]
        left = left - unit * (unit @ left)
        rest -= unit[:, None] * (unit @ rest)
    correlation, p = np.array(found).reshape(-1, 2).T
    return Selection(np.array(order, dtype=np.int64), correlation, p)
