"""Delete-a-group jackknife: intervals over images without drawing any image twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from mine.statistics.arithmetic import INTERVAL_LEVEL

PARTS = 50
"""Parts of the images that are left out in turn. More of them cost time and change no interval by
much: t of 49 degrees of freedom is 2.01."""


def divide_images(images: int, *, generator: np.random.Generator, parts: int = PARTS) -> np.ndarray:
    """Divide images at random into parts whose sizes differ by one at most: int (image,).

    Fewer images than parts are left out one by one. Raises ValueError for fewer than two images.
    """
    if images < 2:
        raise ValueError(f"two images or more are needed; found {images}")
    return generator.permutation(np.arange(images) % min(parts, images))


def leave_out_weights(part: np.ndarray) -> np.ndarray:
    """Weights of means over all images and over those without each part: (1 + part, image), rows
    summing to 1. part: int (image,), of divide_images."""
    kept = part != np.arange(-1, part.max() + 1)[:, None]
    return kept / kept.sum(axis=1, keepdims=True)


def jackknife_interval(
    value: np.ndarray,
    without: np.ndarray,
    *,
    least: ArrayLike = -np.inf,
    greatest: ArrayLike = np.inf,
) -> tuple[np.ndarray, np.ndarray]:
    """95% interval (low, high) of a statistic of images, from parts of them left out.

    With θ_g the statistic without part g of G,

        θ ± t √((G − 1) / G Σ_g (θ_g − mean of θ_g)²),        t of G − 1 degrees of freedom

    (Tukey 1958, Annals of Mathematical Statistics 29; of groups Shao & Tu 1995, The Jackknife and
    Bootstrap, section 2.3). It is meant for correlations between two noisy readings of the same
    images. Resampled images count twice, which adds noise to both readings, so that the draws lie
    below the estimate; images that are left out add nearly none, and what they add is the same for
    all g. The variance is never too small on average, and up to twice too large where noise is most
    of both readings, of which the correlation is then a quadratic function (Efron & Stein 1981,
    Annals of Statistics 9).

    value: (...). without: (part, ...), two parts or more. least, greatest: what the statistic can
    be, at which the interval ends. Returns (...) each; nan where the statistic is.
    """
    parts = len(without)
    away = without - without.mean(axis=0)
    error = np.sqrt((parts - 1) / parts * np.square(away).sum(axis=0))
    reach = special.stdtrit(parts - 1, (1 + INTERVAL_LEVEL) / 2) * error
    return np.maximum(value - reach, least), np.minimum(value + reach, greatest)
