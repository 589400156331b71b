"""Sizes of effects, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from mine.statistics.arithmetic import centre, divide
from mine.statistics.bootstrap import interval, weights_of_groups


@dataclass(frozen=True)
class PairedEffect:
    """A paired difference over images: its mean and Cohen's d_z, with bootstrap intervals."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cohens_dz: np.ndarray
    cohens_dz_low: np.ndarray
    cohens_dz_high: np.ndarray


def paired_effect(
    differences: np.ndarray, *, weights: np.ndarray, level: float = 0.95, columns: int = 1024
) -> PairedEffect:
    """Size of a paired difference per column: mean and d_z = mean / sd, with percentile intervals.

    sd has the divisor n − 1, in every resample (Cohen 1988; Lakens 2013, Frontiers in Psychology
    4). Work arrays take resamples × ``columns`` floats.

    differences: (image, column), one condition minus the other. weights: (resample, image) of
    bootstrap_weights. All results are (column,). d_z is nan where all differences are equal, and
    its interval where those of one resample are, as happens with a handful of images.
    """
    differences = np.asarray(differences, dtype=np.float64)
    images, size = differences.shape
    bounds = np.empty((4, size))
    for start in range(0, size, columns):
        part = slice(start, start + columns)
        draw = _resample_moments(differences[:, part], weights, images)
        bounds[:2, part] = interval(draw.mean, level=level)
        bounds[2:, part] = interval(divide(draw.mean, np.sqrt(draw.variance)), level=level)
    sample = _measure_moments(differences)
    cohens_dz = divide(sample.mean, np.sqrt(sample.variance))
    return PairedEffect(sample.mean, *bounds[:2], cohens_dz, *bounds[2:])


@dataclass(frozen=True)
class GroupEffect:
    """A difference between two groups of images: Cohen's d and d′, with bootstrap intervals."""

    cohens_d: np.ndarray
    cohens_d_low: np.ndarray
    cohens_d_high: np.ndarray
    d_prime: np.ndarray
    d_prime_low: np.ndarray
    d_prime_high: np.ndarray


def group_effect(
    values: np.ndarray,
    positive: np.ndarray,
    *,
    weights: np.ndarray,
    level: float = 0.95,
    columns: int = 1024,
) -> GroupEffect:
    """Size of the difference between positive and other images per column.

    d = (m₁ − m₀) / √(((n₁ − 1) s₁² + (n₀ − 1) s₀²) / (n₁ + n₀ − 2)) (Cohen 1988) and
    d′ = (m₁ − m₀) / √((s₁² + s₀²) / 2) (Green & Swets 1966; for unequal variances Simpson & Fitter
    1973, Psychological Bulletin 80), with the means m and the unbiased variances s² of positive (1)
    and other (0) images. They agree for groups of one size; d′ does not depend on how common
    positive images are. Work arrays take resamples × ``columns`` floats.

    values: (image, column). positive: bool (image,), two images or more of either kind.
    weights: (resample, image), best of stratified_weights. All results are (column,); nan where
    both groups are constant. Raises ValueError if a resample lacks a group.
    """
    values, positive = np.asarray(values, dtype=np.float64), np.asarray(positive, dtype=bool)
    resampled = weights_of_groups(weights, positive)
    groups = values[positive], values[~positive]
    cohens_d, d_prime = _standardise_difference(*map(_measure_moments, groups))
    bounds = np.empty((4, values.shape[1]))
    for start in range(0, values.shape[1], columns):
        part = slice(start, start + columns)
        d, prime = _standardise_difference(
            *(
                _resample_moments(each[:, part], own, draws[:, None])
                for each, (own, draws) in zip(groups, resampled, strict=True)
            )
        )
        bounds[:2, part] = interval(d, level=level)
        bounds[2:, part] = interval(prime, level=level)
    return GroupEffect(cohens_d, *bounds[:2], d_prime, *bounds[2:])


def d_prime(values: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """d′ of positive against other images as in group_effect, without an interval: (column,).

    values: (image, column). positive: bool (image,), two images or more of either kind.
    """
    values, positive = np.asarray(values, dtype=np.float64), np.asarray(positive, dtype=bool)
    groups = values[positive], values[~positive]
    return _standardise_difference(*map(_measure_moments, groups))[1]


def clustered_effect(
    differences: np.ndarray, clusters: np.ndarray, *, level: float = 0.95
) -> np.ndarray:
    """Mean and d_z = mean / sd of paired differences, with intervals from clusters left out.

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
        reach = special.stdtrit(len(known) - 1, (1 + level) / 2) * error
        bounds = np.stack([value[:, 0] - reach, value[:, 0] + reach], axis=1)
    return np.concatenate([value, bounds], axis=1)


def _mean_and_effect(sums: np.ndarray) -> np.ndarray:
    """Mean and d_z from number, sum and sum of squares, (3, column): (2, column)."""
    count, total, square = sums
    mean = total / count
    deviations = square - count * np.square(mean)
    # What rounding leaves of equal values is no variance.
    deviations = np.where(deviations > 1e-12 * square, deviations, 0.0)
    return np.stack([mean, divide(mean, np.sqrt(divide(deviations, count - 1)))])


class _Moments(NamedTuple):
    """Mean, unbiased variance and number of the images that went into them."""

    mean: np.ndarray
    variance: np.ndarray
    images: int | np.ndarray


def _measure_moments(values: np.ndarray) -> _Moments:
    """Moments of each column of (image, column); the variance of a constant is exactly 0."""
    return _Moments(values.mean(axis=0), centre(values, 0).var(axis=0, ddof=1), len(values))


def _resample_moments(
    values: np.ndarray, weights: np.ndarray, images: int | np.ndarray
) -> _Moments:
    """Moments of every resample, (resample, column) each.

    values: (image, column). weights: (resample, image), rows summing to 1. images: how many were
    drawn, one number or (resample, 1). Values are centred beforehand, so that a large mean costs no
    digits; a variance that is rounding alone is 0.
    """
    centred = centre(values, 0)
    first, second = weights @ centred, weights @ np.square(centred)
    variance = second - np.square(first)
    variance = np.where(variance > 1e-12 * second, variance, 0.0)
    bessel = divide(images, np.subtract(images, 1))
    return _Moments(values.mean(axis=0) + first, variance * bessel, images)


def _standardise_difference(positive: _Moments, other: _Moments) -> tuple[np.ndarray, np.ndarray]:
    """Cohen's d and d′ of two groups."""
    difference = positive.mean - other.mean
    pooled = (positive.images - 1) * positive.variance + (other.images - 1) * other.variance
    pooled = divide(pooled, np.add(positive.images, other.images) - 2)
    mean_variance = (positive.variance + other.variance) / 2
    return divide(difference, np.sqrt(pooled)), divide(difference, np.sqrt(mean_variance))
