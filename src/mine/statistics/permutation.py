"""Sign-flip tests of a paired difference, the image as unit."""

from __future__ import annotations

import numpy as np
from scipy import special


def sign_flip_test(
    differences: np.ndarray,
    *,
    permutations: int,
    generator: np.random.Generator,
    columns: int = 4096,
) -> tuple[np.ndarray, np.ndarray]:
    """One-sided paired permutation test of a mean difference, the image as unit.

    z = Σd / √Σd² has mean 0 and variance 1 under random signs, which are the null if each image's
    difference is symmetric about zero; p = (1 + #{z_flipped >= z}) / (1 + permutations). The same
    signs serve all columns, so that the joint null keeps their dependence.

    differences: (image, column). columns: columns per matrix product, which bounds memory at
    permutations × columns floats.
    Returns (z, p), each (column,). A column of zeros has z = 0, p = 1; one with a nan is nan.
    """
    differences = np.asarray(differences)
    images, size = differences.shape
    signs = generator.integers(0, 2, size=(permutations, images), dtype=np.int8)
    signs = signs.astype(np.float32) * 2 - 1
    z, exceeding = np.zeros(size), np.zeros(size, dtype=np.int64)
    # Equal sums differ by rounding alone (flips of zeros, the identity): they count as ties.
    slack = 1e-5
    for start in range(0, size, columns):
        part = slice(start, start + columns)
        block = differences[:, part].astype(np.float64)
        norm = np.sqrt(np.square(block).sum(axis=0))
        block /= np.where(norm == 0, 1.0, norm)
        z[part] = block.sum(axis=0)
        flipped = signs @ block.astype(np.float32)
        exceeding[part] = (flipped >= (z[part] - slack).astype(np.float32)).sum(axis=0)
    return z, np.where(np.isfinite(z), (1.0 + exceeding) / (1.0 + permutations), np.nan)


def gain_test(
    measured: np.ndarray,
    predicted: np.ndarray,
    centre: np.ndarray,
    *,
    permutations: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Test that a prediction beats a constant: sign flips of what each image gains by it,

        gain = (measured − centre)² − (measured − predicted)²

    measured, predicted: (image, column), of images that had no part in the fit. centre: (column,),
    the mean of those that had. Returns (z, p), each (column,), of :func:`sign_flip_test`.
    """
    gain = np.square(measured - centre) - np.square(measured - predicted)
    return sign_flip_test(gain, permutations=permutations, generator=generator)


def sign_flip_bound(z: np.ndarray) -> np.ndarray:
    """Upper bound on the one-sided p of a sign-flip test, without permutations.

    For z = Σd / √Σd² and fair signs ε, P(Σ ε|d| ≥ z √Σd²) ≤ min(exp(−z²/2), c Φ(−z)) whatever the
    d, with c = 1 / 4Φ(−√2), about 3.18, which two equal d reach (Hoeffding 1963; Bentkus &
    Dzindzalieta 2015, Bernoulli 21), so rejecting at the bound never rejects more often than the
    exact test. It has no smallest value, unlike p from a finite number of permutations: what
    correcting for thousands of words needs. z: any shape; 1 below 0.
    """
    z = np.asarray(z, dtype=np.float64)
    positive = np.maximum(z, 0)
    constant = 0.25 / special.ndtr(-np.sqrt(2))
    bound = np.minimum(np.exp(-np.square(positive) / 2), constant * special.ndtr(-positive))
    return np.where(z > 0, np.minimum(bound, 1.0), 1.0)
