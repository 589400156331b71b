"""Sizes of effects, with intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from mine.statistics.arithmetic import INTERVAL_LEVEL, centre, divide
from mine.statistics.bootstrap import interval, weights_of_groups

LEAST_CLUSTERS = 6
"""With fewer units no two-sided test could reach 5%: 2 × 1/2⁶ is the first that does."""


def d_prime(values: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Size of the difference between positive and other images per column.

    d′ = (m₁ − m₀) / √((s₁² + s₀²) / 2) (Green & Swets 1966; for unequal variances Simpson & Fitter
    1973, Psychological Bulletin 80), with the means m and the unbiased variances s² of positive (1)
    and other (0) images. It does not depend on how common positive images are.

    values: (image, column). positive: bool (image,), two images or more of either kind. Returns
    (column,); nan where both groups are constant.
    """
    values, positive = np.asarray(values, dtype=np.float64), np.asarray(positive, dtype=bool)
    return _standardise_difference(*map(_measure_moments, (values[positive], values[~positive])))


def d_prime_interval(
    values: np.ndarray,
    positive: np.ndarray,
    weights: np.ndarray,
    *,
    columns: int = 1024,
) -> tuple[np.ndarray, np.ndarray]:
    """95% percentile interval of d′ over resampled images, per column.

    values, positive: as for d_prime. weights: (resample, image), best of stratified_weights. Work
    arrays take resamples × ``columns`` floats. Returns (low, high), each (column,). Raises
    ValueError if a group has fewer than two images, or if a resample lacks a group.
    """
    values, positive = np.asarray(values, dtype=np.float64), np.asarray(positive, dtype=bool)
    groups, resampled = (values[positive], values[~positive]), weights_of_groups(weights, positive)
    bounds = np.empty((2, values.shape[1]))
    for start in range(0, values.shape[1], columns):
        part = slice(start, start + columns)
        draws = _standardise_difference(
            *(
                _resample_moments(each[:, part], own, drawn[:, None])
                for each, (own, drawn) in zip(groups, resampled, strict=True)
            )
        )
        bounds[:, part] = interval(draws)
    return bounds[0], bounds[1]


def clustered_effect(differences: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Mean and d_z = mean / sd of paired differences, with 95% intervals from clusters left out.

    differences: (pair,), nan for none. clusters: (pair,), what belongs together, the image say: all
    pairs of a cluster are left out as one. With θ_g the statistic without cluster g of G, the
    interval is

        θ ± t √((G − 1) / G Σ_g (θ_g − θ)²),        t of G − 1 degrees of freedom

    the jackknife (Miller 1974, Biometrika 61; of clusters MacKinnon, Nielsen & Webb 2023, Journal
    of Applied Econometrics 38), which with four images holds its level as with hundreds, where
    percentiles of resampled images are far too short. Returns float64 (statistic, bound): rows mean
    and d_z, columns value, low, high; nan without any pair, bounds nan for a single cluster.
    """
    kept = np.isfinite(differences)
    values = np.asarray(differences, dtype=np.float64)[kept]
    if len(values) == 0:
        return np.full((2, 3), np.nan)
    known, member = np.unique(np.asarray(clusters)[kept], return_inverse=True)
    terms = np.ones(len(values)), values, np.square(values)
    sums = np.stack([np.bincount(member, weights=term) for term in terms])
    total = sums.sum(axis=1, keepdims=True)
    value = _mean_and_effect(total)
    bounds = np.full((2, 2), np.nan)
    if len(known) > 1:
        away = _mean_and_effect(total - sums) - value
        error = np.sqrt((len(known) - 1) / len(known) * np.square(away).sum(axis=1))
        reach = special.stdtrit(len(known) - 1, (1 + INTERVAL_LEVEL) / 2) * error
        bounds = np.stack([value[:, 0] - reach, value[:, 0] + reach], axis=1)
    return np.concatenate([value, bounds], axis=1)


def clustered_mean(values: np.ndarray, clusters: np.ndarray) -> tuple[float, float, float]:
    """Mean of values, finite ones, with the interval of :func:`clustered_effect`: value, low, high.

    values, clusters: (value,). Of fewer than LEAST_CLUSTERS there is no interval, nan.
    """
    value, low, high = map(float, clustered_effect(values, clusters)[0])
    if len(np.unique(clusters)) < LEAST_CLUSTERS:
        low = high = np.nan
    return value, low, high


def _mean_and_effect(sums: np.ndarray) -> np.ndarray:
    """Mean and d_z from number, sum and sum of squares, (3, column): (2, column)."""
    count, total, square = sums
    mean = total / count
    deviations = square - count * np.square(mean)
    # What rounding leaves of equal values is no variance.
    deviations = np.where(deviations > 1e-12 * square, deviations, 0.0)
    return np.stack([mean, divide(mean, np.sqrt(divide(deviations, count - 1)))])


class _Moments(NamedTuple):
    mean: np.ndarray
    variance: np.ndarray
    """unbiased"""


def _measure_moments(values: np.ndarray) -> _Moments:
    """Moments of each column of (image, column); the variance of a constant is exactly 0."""
    return _Moments(values.mean(axis=0), centre(values, 0).var(axis=0, ddof=1))


def _resample_moments(values: np.ndarray, weights: np.ndarray, images: np.ndarray) -> _Moments:
    """Moments of every resample, (resample, column) each.

    values: (image, column). weights: (resample, image), rows summing to 1. images: how many were
    drawn, (resample, 1). Values are centred beforehand, so that a large mean costs no digits; a
    variance that is rounding alone is 0.
    """
    centred = centre(values, 0)
    first, second = weights @ centred, weights @ np.square(centred)
    variance = second - np.square(first)
    variance = np.where(variance > 1e-12 * second, variance, 0.0)
    return _Moments(values.mean(axis=0) + first, variance * divide(images, images - 1))


def _standardise_difference(positive: _Moments, other: _Moments) -> np.ndarray:
    """d′ of two groups."""
    return divide(positive.mean - other.mean, np.sqrt((positive.variance + other.variance) / 2))
