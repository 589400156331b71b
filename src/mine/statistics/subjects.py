"""From a few subjects to others: means over subjects and over pairs of them.

The subject is the unit here. What is known of each subject, with images as the unit, comes as one
number per subject and column; intervals over subjects speak of subjects that were not measured,
those over images only of these subjects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from mine.statistics.arithmetic import INTERVAL_LEVEL, divide

LEAST_SUBJECTS = 3
"""Subjects from which an interval over subjects is given: of two it excludes nothing."""


@dataclass(frozen=True)
class SubjectMean:
    """A mean over subjects, or over pairs of them, with an interval over subjects, per column."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    subjects: np.ndarray
    """(column,): how many subjects have a value, or are in a pair that has one"""


def mean_over_subjects(
    values: np.ndarray, *, least: ArrayLike = -np.inf, greatest: ArrayLike = np.inf
) -> SubjectMean:
    """Mean over subjects with a 95% interval.

    The interval is mean ± t_(n−1) s / √n, for values that are normal over subjects (Student 1908).

    values: (subject, column), one number for each subject, such as the mean over its voxels; nan
    where a subject has none. least, greatest: what the values can be, one for all or (column,), at
    which the interval ends; a share is in [0, 1]. Bounds are nan for fewer than LEAST_SUBJECTS
    subjects and where all are equal, which would make them a point: three subjects at 1 do not tell
    how far others are from it. The mean is nan for none.
    """
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    count = known.sum(axis=0)
    values = np.where(known, values, 0.0)
    mean = divide(values.sum(axis=0), count)
    spread = np.square(np.where(known, values - mean, 0.0)).sum(axis=0)
    error = np.sqrt(divide(spread, count - 1) / np.maximum(count, 1))
    return _bound(mean, error, count, least, greatest)


def mean_over_pairs(
    values: np.ndarray, *, least: ArrayLike = -np.inf, greatest: ArrayLike = np.inf
) -> SubjectMean:
    """Mean over pairs of subjects, with a 95% interval that knows that pairs share subjects.

    n subjects make n (n − 1) / 2 pairs, but only n of anything that was drawn. With θ the mean over
    pairs and θ_s that over pairs without subject s, the jackknife's variance of θ is

        v = (n − 1) / n Σ_s (θ_s − mean of θ_s)²           θ ± t_(n−1) √v

    (Arvesen 1969, Annals of Mathematical Statistics 40). It is rather too large where what is
    peculiar to a pair varies more than what is peculiar to a subject.

    values: (subject, subject, column), of which what lies above the diagonal counts; nan for a pair
    without a value. least, greatest: as of :func:`mean_over_subjects`. Bounds are nan for fewer
    than LEAST_SUBJECTS subjects and where leaving out any changes nothing, mean for no pair. A
    subject without whom there is no pair leaves them unknown too.
    """
    values = np.asarray(values, dtype=np.float64)
    one, other = np.triu_indices(len(values), k=1)
    pairs = values[one, other]
    known = np.isfinite(pairs)
    pairs = np.where(known, pairs, 0.0)
    member = (np.arange(len(values))[:, None] == one) | (np.arange(len(values))[:, None] == other)
    mean = divide(pairs.sum(axis=0), known.sum(axis=0))
    present = member.astype(float) @ known > 0
    count = present.sum(axis=0)
    without = divide((~member).astype(float) @ pairs, (~member).astype(float) @ known)
    centre = divide(np.where(present, without, 0.0).sum(axis=0), count)
    spread = np.square(np.where(present, without - centre, 0.0)).sum(axis=0)
    error = np.sqrt(spread * np.maximum(count - 1, 1) / np.maximum(count, 1))
    return _bound(mean, error, count, least, greatest)


def _bound(
    mean: np.ndarray, error: np.ndarray, count: np.ndarray, least: ArrayLike, greatest: ArrayLike
) -> SubjectMean:
    """Student's interval, as far as it is known. error: (column,), the standard error of mean."""
    # Equal values may differ by rounding. What they say of the spread is that it is not known.
    known = (count >= LEAST_SUBJECTS) & (error > 1e-12 * np.abs(mean))
    error = np.where(known, error, np.nan)
    margin = error * special.stdtrit(np.maximum(count - 1, 1), (1 + INTERVAL_LEVEL) / 2)
    low, high = np.maximum(mean - margin, least), np.minimum(mean + margin, greatest)
    return SubjectMean(mean, low, high, count)
