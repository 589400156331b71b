"""How well a voxel's response tells positive from other images: area under the ROC curve."""

from __future__ import annotations

import numpy as np

# scipy.stats takes a second to import: as an attribute of scipy it is loaded when first used.
import scipy

from mine.statistics.bootstrap import interval, weights_of_groups


def mann_whitney_test(
    values: np.ndarray, positive: np.ndarray, *, columns: int = 1024
) -> tuple[np.ndarray, np.ndarray]:
    """Area under the ROC curve with the two-sided p of the Mann–Whitney test, the image as unit.

    The area is P(positive > other) + ½ P(positive = other), of which ½ is chance (Hanley & McNeil
    1982, Radiology 143). With U = area n₁ n₀ and n = n₁ + n₀, z = (|U − n₁ n₀ / 2| − ½) / σ is
    normal if positive and other images are drawn from one distribution, where σ² = n₁ n₀ / 12
    (n + 1 − Σ (t³ − t) / (n (n − 1))) over the numbers t of images that share a value (Mann &
    Whitney 1947). The normal approximation is good from about 10 images of either kind.

    values: (image, column). positive: bool (image,), with n₁ true and n₀ false. columns: columns
    ranked at a time, which bounds memory. Returns (area, p), each (column,); nan for a column with
    a nan, and p of a constant one is 1. Raises ValueError if a group is empty.
    """
    values, positive = _check_groups(values, positive)
    area, p = np.empty(values.shape[1]), np.empty(values.shape[1])
    pairs = int(positive.sum()) * int((~positive).sum())
    for start in range(0, values.shape[1], columns):
        part = slice(start, start + columns)
        found = scipy.stats.mannwhitneyu(
            values[positive, part], values[~positive, part], axis=0, method="asymptotic"
        )
        area[part], p[part] = found.statistic / pairs, found.pvalue
    return area, p


def area_under_roc_interval(
    values: np.ndarray,
    positive: np.ndarray,
    weights: np.ndarray,
    *,
    columns: int = 1024,
) -> tuple[np.ndarray, np.ndarray]:
    """95% percentile interval of the area under the ROC curve over resampled images, per column.

    A column is sorted once. With c how often a resample drew each image,

        area = Σ_j c_j [ C(< x_j) + C(<= x_j) ] / 2 / pairs drawn

    where j runs over the larger group and C counts what was drawn of the smaller one (one minus
    this if the smaller group are the positive images). All resamples are taken at once, in float32,
    exact up to 2²⁴ pairs; the work is of order resamples × images, and memory of resamples ×
    (2 images + ``columns``) floats.

    values, positive: as for mann_whitney_test. weights: (resample, image), best of
    stratified_weights. Returns (low, high), each (column,); nan for a column with a nan. Raises
    ValueError if a group has fewer than two images, or if a resample lacks a group.
    """
    values, positive = _check_groups(values, positive)
    split = weights_of_groups(weights, positive)
    pairs = split[0][1] * split[1][1]
    # One row an image, so that taking images in order copies whole rows.
    counts = [np.ascontiguousarray((own * draws[:, None]).T, np.float32) for own, draws in split]
    groups = [(values[positive], counts[0]), (values[~positive], counts[1])]
    positive_is_smaller = len(counts[0]) <= len(counts[1])
    (first, first_counts), (second, second_counts) = groups[:: 1 if positive_is_smaller else -1]
    low, high = np.empty(values.shape[1]), np.empty(values.shape[1])
    for start in range(0, values.shape[1], columns):
        part = slice(start, start + columns)
        draws = np.stack(
            [
                _count_below(*column, first_counts, second_counts) / pairs
                for column in zip(first[:, part].T, second[:, part].T, strict=True)
            ]
        )
        if positive_is_smaller:
            draws = 1 - draws
        low[part], high[part] = interval(draws, axis=1)
    known = ~np.isnan(values).any(axis=0)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def _count_below(
    first: np.ndarray, second: np.ndarray, first_counts: np.ndarray, second_counts: np.ndarray
) -> np.ndarray:
    """Pairs with first < second, plus half of those with first = second, in each resample.

    first: (image,). second: (other image,). Counts are (image, resample). Returns (resample,).
    """
    order = np.argsort(first)
    cumulative = np.zeros((len(first) + 1, first_counts.shape[1]), dtype=np.float32)
    # Row by row: numpy's cumulative sum goes down one resample after the other, four times slower.
    for row, image in enumerate(order):
        np.add(cumulative[row], first_counts[image], out=cumulative[row + 1])
    below = np.zeros(first_counts.shape[1])
    for side in ("left", "right"):
        rank = np.searchsorted(first[order], second, side=side)
        below += np.einsum("ir,ir->r", second_counts, cumulative[rank]) / 2
    return below


def _check_groups(values: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, positive = np.asarray(values), np.asarray(positive)
    if positive.dtype != bool or values.ndim != 2 or positive.shape != values.shape[:1]:
        raise ValueError(
            f"values must be (image, column) with one bool per image; found {values.shape} values "
            f"and {positive.dtype} {positive.shape}"
        )
    if positive.all() or not positive.any():
        raise ValueError("positive and other images are needed; found one kind")
    return values, positive
