"""The statistics of every stage: noise ceiling, scores, bootstrap, permutation, false discovery.

Images are the unit of resampling throughout; arrays come as (image, column), where a column is a
voxel, a word or any other quantity measured on every image. Everything is vectorised over columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

Statistic = Callable[..., np.ndarray]


def ncsnr_from_trials(
    trials: np.ndarray,
    image_of_trial: np.ndarray,
    *,
    total_variance: float | np.ndarray | None = None,
) -> np.ndarray:
    """Noise-ceiling signal-to-noise ratio per voxel: √max(0, V − v²) / v.

    v² is the mean over images of the unbiased variance within an image's repeats, V the variance
    of all those trials. Only images with two repeats or more take part. NSD's own numbers set
    ``total_variance=1``, which holds for trials that were z-scored together; where the z-score was
    fitted on other trials, leave it out and V is measured on the same trials (Allen et al. 2022,
    Nature Neuroscience 25, Methods, "Noise ceiling").

    trials: (trial, voxel), in any unit. image_of_trial: (trial,) integer image identities.
    Returns (voxel,); 0 for a constant voxel, infinity where repeats agree exactly.
    Raises ValueError if no image is repeated.
    """
    trials = np.asarray(trials)
    image_of_trial = np.asarray(image_of_trial)
    if trials.ndim != 2 or image_of_trial.shape != trials.shape[:1]:
        raise ValueError(
            f"trials must be (trial, voxel) with one image per trial; found {trials.shape} "
            f"trials and {image_of_trial.shape} images"
        )
    _, image, repeats = np.unique(image_of_trial, return_inverse=True, return_counts=True)
    if not (repeats >= 2).any():
        raise ValueError("the noise ceiling needs images shown at least twice; none was")
    used = repeats[image] >= 2
    rows = np.flatnonzero(used)[np.argsort(image[used], kind="stable")]
    counts = repeats[repeats >= 2]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sorted_trials = trials[rows].astype(np.float64)
    means = np.add.reduceat(sorted_trials, starts, axis=0) / counts[:, None]
    total = sorted_trials.var(axis=0, ddof=1) if total_variance is None else total_variance
    sorted_trials -= np.repeat(means, counts, axis=0)
    np.square(sorted_trials, out=sorted_trials)
    within = np.add.reduceat(sorted_trials, starts, axis=0) / (counts - 1)[:, None]
    noise = within.mean(axis=0)
    signal = np.broadcast_to(np.maximum(total - noise, 0.0), noise.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(signal) / np.sqrt(noise)
    return np.where(signal > 0, ratio, 0.0)


def noise_ceiling(ncsnr: np.ndarray, *, repeats: np.ndarray) -> np.ndarray:
    """Largest R² that a perfect model can reach: ncsnr² / (ncsnr² + mean(1 / repeats)).

    With A, B and C evaluation images of 3, 2 and 1 repeats the mean is NSD's
    (A/3 + B/2 + C) / (A + B + C) (Allen et al. 2022).

    ncsnr: (voxel,). repeats: (image,) trials averaged into each evaluation image, all >= 1.
    Returns (voxel,), between 0 and 1. Raises ValueError for repeats below one.
    """
    repeats = np.asarray(repeats, dtype=np.float64)
    if repeats.size == 0 or (repeats < 1).any():
        raise ValueError("every evaluation image needs at least one repeat")
    power = np.square(np.asarray(ncsnr, dtype=np.float64))
    with np.errstate(divide="ignore"):
        return 1.0 / (1.0 + np.mean(1.0 / repeats) / power)


def r_squared(measured: np.ndarray, predicted: np.ndarray, *, axis: int = 0) -> np.ndarray:
    """Coefficient of determination 1 − SS_residual / SS_total, over images; nan if constant.

    measured, predicted: the same shape, images along ``axis``. It is not the squared correlation:
    it is negative where the prediction is worse than the mean of the measured values.
    """
    measured, predicted = _as_pair(measured, predicted)
    residual = np.square(measured - predicted).sum(axis=axis)
    total = np.square(_centre(measured, axis)).sum(axis=axis)
    return 1.0 - _divide(residual, total)


def pearson(measured: np.ndarray, predicted: np.ndarray, *, axis: int = 0) -> np.ndarray:
    """Pearson correlation over images along ``axis``; nan where either is constant."""
    measured, predicted = _as_pair(measured, predicted)
    measured, predicted = _centre(measured, axis), _centre(predicted, axis)
    scale = np.sqrt(np.square(measured).sum(axis=axis)) * np.sqrt(
        np.square(predicted).sum(axis=axis)
    )
    return np.clip(_divide((measured * predicted).sum(axis=axis), scale), -1.0, 1.0)


def r_squared_terms(measured: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, ...]:
    """Terms per image whose means give R²: (residual², y, y²), y centred. See r_squared_of_means.

    measured, predicted: (image, column). Centring costs nothing and keeps the variance exact.
    """
    measured, predicted = _as_pair(measured, predicted)
    centred = _centre(measured, 0)
    return np.square(measured - predicted), centred, np.square(centred)


def r_squared_of_means(residual: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """R² from the means of r_squared_terms: 1 − residual / (second − first²)."""
    return 1.0 - _divide(residual, second - np.square(first))


def pearson_terms(measured: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, ...]:
    """Terms per image whose means give the correlation: (y, p, y², p², y·p), both centred."""
    measured, predicted = _as_pair(measured, predicted)
    y, p = _centre(measured, 0), _centre(predicted, 0)
    return y, p, np.square(y), np.square(p), y * p


def pearson_of_means(
    y: np.ndarray, p: np.ndarray, yy: np.ndarray, pp: np.ndarray, yp: np.ndarray
) -> np.ndarray:
    """Pearson correlation from the means of pearson_terms."""
    scale = np.sqrt(np.maximum(yy - np.square(y), 0)) * np.sqrt(np.maximum(pp - np.square(p), 0))
    return _divide(yp - y * p, scale)


def bootstrap_weights(images: int, *, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """How often each resample of the images drew each image, over the number of images.

    Returns float64 (resample, image), rows summing to 1. One matrix shared by several statistics
    keeps their differences paired.
    """
    return generator.multinomial(images, np.full(images, 1.0 / images), size=resamples) / images


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
    draws: np.ndarray, *, level: float = 0.95, axis: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval (low, high) of bootstrap draws along ``axis``."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=axis)
    return low, high


def bootstrap_interval(
    terms: Sequence[np.ndarray],
    statistic: Statistic,
    weights: np.ndarray,
    *,
    level: float = 0.95,
    columns: int = 1024,
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile intervals per column, in bounded memory: ``columns`` columns at a time.

    terms: arrays (image, column). The statistic must treat columns apart.
    Returns (low, high), each (column,).
    """
    size = np.asarray(terms[0]).shape[1]
    low, high = np.empty(size), np.empty(size)
    for start in range(0, size, columns):
        part = slice(start, start + columns)
        draws = bootstrap_over_images([term[:, part] for term in terms], statistic, weights)
        low[part], high[part] = interval(draws, level=level)
    return low, high


def sign_flip_test(
    differences: np.ndarray,
    *,
    permutations: int,
    generator: np.random.Generator,
    alternative: str = "greater",
    columns: int = 4096,
) -> tuple[np.ndarray, np.ndarray]:
    """Paired permutation test of a mean difference, the image as unit.

    z = Σd / √Σd² has mean 0 and variance 1 under random signs, which are the null if each image's
    difference is symmetric about zero; p = (1 + #{z_flipped >= z}) / (1 + permutations). The same
    signs serve all columns, so that the joint null keeps their dependence.

    differences: (image, column). alternative: "greater" or "two-sided".
    columns: columns per matrix product, which bounds memory at permutations × columns floats.
    Returns (z, p), each (column,). A column of zeros has z = 0, p = 1.
    """
    if alternative not in ("greater", "two-sided"):
        raise ValueError(f'alternative must be "greater" or "two-sided"; found "{alternative}"')
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
        block /= np.where(norm > 0, norm, 1.0)
        z[part] = block.sum(axis=0)
        flipped = signs @ block.astype(np.float32)
        if alternative == "greater":
            observed = z[part]
        else:
            observed = np.abs(z[part])
            np.abs(flipped, out=flipped)
        exceeding[part] = (flipped >= (observed - slack).astype(np.float32)).sum(axis=0)
    return z, (1.0 + exceeding) / (1.0 + permutations)


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


def benjamini_hochberg(p: np.ndarray, axis: int = -1) -> np.ndarray:
    """Adjusted p values: rejecting q <= level keeps the false discovery rate at the level.

    q_(i) = min over j >= i of p_(j) m / j along ``axis`` (Benjamini & Hochberg 1995). Entries that
    are nan stay nan and do not count as tests.
    """
    p = np.moveaxis(np.asarray(p, dtype=np.float64), axis, -1)
    order = np.argsort(p, axis=-1)  # nan last
    ranked = np.take_along_axis(p, order, axis=-1)
    tests = np.isfinite(ranked).sum(axis=-1, keepdims=True)
    scaled = ranked * tests / np.arange(1, p.shape[-1] + 1)
    scaled = np.fmin.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1]
    scaled = np.where(np.isnan(ranked), np.nan, np.minimum(scaled, 1.0))
    adjusted = np.empty_like(p)
    np.put_along_axis(adjusted, order, scaled, axis=-1)
    return np.moveaxis(adjusted, -1, axis)


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
    return PairedEffect(mean, low, high, _divide(mean, differences.std(axis=0, ddof=1)))


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
    effect = _divide(mean, np.sqrt(variance))
    found = np.full((2, 3), np.nan)
    for row, draws in enumerate((mean, effect)):
        known = draws[1:][np.isfinite(draws[1:])]
        found[row] = draws[0], *(interval(known, level=level) if len(known) else (np.nan, np.nan))
    return found


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


def area_under_curve(values: np.ndarray, points: np.ndarray, *, axis: int = -1) -> np.ndarray:
    """Trapezoidal area under a curve over the range of its points: a constant's area is itself.

    values: curve along ``axis``. points: (point,), rising. Raises ValueError if they do not rise.
    """
    points = np.asarray(points, dtype=np.float64)
    if len(points) < 2 or (np.diff(points) <= 0).any():
        raise ValueError("the points of a curve must rise, and be two or more")
    values = np.moveaxis(np.asarray(values, dtype=np.float64), axis, -1)
    middles = (values[..., 1:] + values[..., :-1]) / 2
    return middles @ np.diff(points) / (points[-1] - points[0])


def _as_pair(measured: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    measured = np.asarray(measured, dtype=np.float64)
    predicted = np.asarray(predicted, dtype=np.float64)
    if measured.shape != predicted.shape:
        raise ValueError(
            f"measured and predicted differ in shape: {measured.shape}, {predicted.shape}"
        )
    return measured, predicted


def _centre(values: np.ndarray, axis: int) -> np.ndarray:
    """Values less their mean; exactly 0 where constant, where rounding would leave a variance."""
    constant = np.ptp(values, axis=axis, keepdims=True) == 0
    return np.where(constant, 0.0, values - values.mean(axis=axis, keepdims=True))


def _bessel(count: int) -> float:
    return count / (count - 1) if count > 1 else 0.0


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient, nan where the denominator is not positive (a constant has no variance)."""
    numerator, denominator = np.asarray(numerator), np.asarray(denominator)
    safe = np.where(denominator > 0, denominator, 1.0)
    return np.where(denominator > 0, numerator / safe, np.nan)
