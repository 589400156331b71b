"""Bootstrap over images, as matrix products: no image is ever gathered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mine.statistics.arithmetic import INTERVAL_LEVEL

Statistic = Callable[..., np.ndarray]


def bootstrap_weights(images: int, *, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """How often each resample of the images drew each image, over the number of images.

    Returns float64 (resample, image), rows summing to 1. One matrix shared by several statistics
    keeps their differences paired.
    """
    return generator.multinomial(images, np.full(images, 1.0 / images), size=resamples) / images


def stratified_weights(
    group: np.ndarray, *, resamples: int, generator: np.random.Generator
) -> np.ndarray:
    """Weights as of bootstrap_weights, each group's images drawn apart: groups keep their sizes.

    For statistics that compare groups of images, which an unstratified resample may leave empty
    (Davison & Hinkley 1997, section 3.2). group: (image,), any labels. Returns float64
    (resample, image).
    """
    group = np.asarray(group)
    weights = np.empty((resamples, len(group)))
    for label in np.unique(group):
        members = np.flatnonzero(group == label)
        drawn = bootstrap_weights(len(members), resamples=resamples, generator=generator)
        weights[:, members] = drawn * (len(members) / len(group))
    return weights


def weights_of_groups(
    weights: np.ndarray, positive: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights within the positive and within the other images, each with its number of draws.

    weights: (resample, image) of bootstrap_weights or stratified_weights. positive: bool (image,).
    Returns for either group weights (resample, member), rows summing to 1, and draws (resample,).
    Raises ValueError if a group has fewer than two images, or a resample none of a group.
    """
    split = []
    for members, name in ((positive, "positive"), (~positive, "other")):
        if members.sum() < 2:
            raise ValueError(f"two {name} images or more are needed; found {members.sum()}")
        own = weights[:, members]
        share = own.sum(axis=1)
        if (share <= 0).any():
            raise ValueError(f"a resample has no {name} image: draw by stratified_weights")
        split.append((own / share[:, None], np.rint(share * weights.shape[1])))
    return split


def bootstrap_over_images(
    terms: Sequence[np.ndarray], statistic: Statistic, weights: np.ndarray
) -> np.ndarray:
    """Bootstrap draws of a statistic that is a function of means over images.

    Each draw's means are one row of ``weights @ term``, so no image is ever gathered: R², for
    instance, is ``bootstrap_over_images(r_squared_terms(y, p), r_squared_of_means, weights)``.

    terms: arrays (image, ...). statistic: takes one array (resample, ...) of means per term.
    weights: (resample, image) of bootstrap_weights. Returns (resample, ...).
    """
    means = []
    for term in terms:
        term = np.asarray(term, dtype=np.float64)
        flat = weights @ term.reshape(len(term), -1)
        means.append(flat.reshape(len(weights), *term.shape[1:]))
    return statistic(*means)


def interval(
    draws: np.ndarray, *, level: float = INTERVAL_LEVEL, axis: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval (low, high) of bootstrap draws along ``axis``."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=axis)
    return low, high


def bootstrap_ratio(
    count: np.ndarray, total: np.ndarray, weights: np.ndarray
) -> tuple[float, float, float]:
    """Ratio of two sums over images with its 95% percentile interval: value, low, high; nan for
    none of none.

    count, total: (image,). weights: (resample, image) of bootstrap_weights. Resamples in which the
    total is 0 do not count.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(np.divide(count.sum(), total.sum()))
        draws = bootstrap_over_images([count, total], np.divide, weights)
    known = draws[np.isfinite(draws)]
    low, high = interval(known) if len(known) else (np.nan, np.nan)
    return value, float(low), float(high)


def bootstrap_interval(
    terms: Sequence[np.ndarray],
    statistic: Statistic,
    weights: np.ndarray,
    *,
    columns: int = 1024,
) -> tuple[np.ndarray, np.ndarray]:
    """95% percentile intervals per column, in bounded memory: ``columns`` columns at a time.

    terms: arrays (image, column). The statistic must treat columns apart.
    Returns (low, high), each (column,).
    """
    size = np.asarray(terms[0]).shape[1]
    low, high = np.empty(size), np.empty(size)
    for start in range(0, size, columns):
        part = slice(start, start + columns)
        draws = bootstrap_over_images([term[:, part] for term in terms], statistic, weights)
        low[part], high[part] = interval(draws)
    return low, high


def bootstrap_mean(
    values: np.ndarray, *, resamples: int, generator: np.random.Generator
) -> np.ndarray:
    """Mean of the known values with a percentile interval from values resampled: (3,), value, low,
    high; nan for none."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return np.full(3, np.nan)
    drawn = generator.integers(len(known), size=(resamples, len(known)))
    return np.array([known.mean(), *interval(known[drawn].mean(axis=1))])
