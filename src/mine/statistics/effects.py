"""Sizes of effects, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mine.statistics.arithmetic import divide
from mine.statistics.bootstrap import bootstrap_interval, bootstrap_weights, interval


@dataclass(frozen=True)
class PairedEffect:
    """A paired difference over images: its mean with a bootstrap interval, and Cohen's d_z."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cohens_dz: np.ndarray


def paired_effect(
    differences: np.ndarray, *, weights: np.ndarray, level: float = 0.95
) -> PairedEffect:
    """Size of a paired difference per column: mean, percentile interval, d_z = mean / sd.

    differences: (image, column), one condition minus the other. weights: (resample, image) of
    bootstrap_weights. d_z is nan where all differences are equal.
    """
    differences = np.asarray(differences, dtype=np.float64)
    low, high = bootstrap_interval([differences], lambda mean: mean, weights, level=level)
    mean = differences.mean(axis=0)
    return PairedEffect(mean, low, high, divide(mean, differences.std(axis=0, ddof=1)))


def clustered_effect(
    differences: np.ndarray,
    clusters: np.ndarray,
    *,
    resamples: int,
    generator: np.random.Generator,
    level: float = 0.95,
) -> np.ndarray:
    """Mean and d_z = mean / sd of paired differences, with intervals from resampled clusters.

    differences: (pair,), nan for none. clusters: (pair,), what belongs together, the image say: all
    pairs of a cluster are drawn or left out as one. Percentile intervals from sums over clusters,
    so no pair is gathered. Returns float64 (statistic, bound): rows mean and d_z, columns value,
    low, high; nan without any pair.
    """
    kept = np.isfinite(differences)
    values = np.asarray(differences, dtype=np.float64)[kept]
    if len(values) == 0:
        return np.full((2, 3), np.nan)
    known, member = np.unique(np.asarray(clusters)[kept], return_inverse=True)
    terms = np.ones(len(values)), values, np.square(values)
    sums = np.stack([np.bincount(member, weights=term) for term in terms], axis=1)
    weights = bootstrap_weights(len(known), resamples=resamples, generator=generator)
    weights = np.concatenate([np.full((1, len(known)), 1 / len(known)), weights])
    count, total, square = (weights @ sums).T
    mean = total / count
    # The divisor n - 1 of a sample's deviation, as in paired_effect.
    variance = np.maximum(square / count - np.square(mean), 0) * _bessel(len(values))
    effect = divide(mean, np.sqrt(variance))
    found = np.full((2, 3), np.nan)
    for row, draws in enumerate((mean, effect)):
        known = draws[1:][np.isfinite(draws[1:])]
        found[row] = draws[0], *(interval(known, level=level) if len(known) else (np.nan, np.nan))
    return found


def _bessel(count: int) -> float:
    return count / (count - 1) if count > 1 else 0.0
