"""From a few subjects to others: means over subjects, and how many show an effect.

The subject is the unit here. What is known of each subject, with images as the unit, comes as one
number per subject and column; intervals and p over subjects speak of subjects that were not
measured, those over images only of these subjects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from mine.statistics.proportions import share_interval

MOST_SUBJECTS = 16


@dataclass(frozen=True)
class SubjectMean:
    """A mean over subjects with its t interval, and the exact p of a sign-flip test, per column."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p: np.ndarray
    subjects: np.ndarray
    """(column,): how many subjects have a value"""


def mean_over_subjects(
    values: np.ndarray,
    *,
    level: float = 0.95,
    alternative: str | None = "two-sided",
    columns: int = 1024,
) -> SubjectMean:
    """Mean over subjects with an interval, and whether it differs from 0.

    The interval is mean ± t_(n−1) s / √n, for values that are normal over subjects (Student 1908).
    p is the share of all 2ⁿ flips of the subjects' signs, the data themselves among them, whose
    mean is as large, for values that are symmetric about 0 (Fisher 1935); it is no smaller than
    2⁻ⁿ, or 2¹⁻ⁿ two-sided: 1/256 and 1/128 for eight subjects.

    values: (subject, column), one number for each subject, such as the mean over its voxels; nan
    where a subject has none. alternative: "greater", "two-sided", or None, which tests nothing and
    leaves p nan. columns: columns at a time, which bounds memory at 2ⁿ × columns floats.
    Bounds are nan for fewer than two subjects, p and mean for none. Raises ValueError for a test of
    more than 16 subjects (:func:`mine.statistics.sign_flip_test` draws flips instead).
    """
    if alternative not in ("greater", "two-sided", None):
        raise ValueError(f'alternative must be "greater" or "two-sided"; found "{alternative}"')
    values = np.asarray(values, dtype=np.float64)
    if alternative and len(values) > MOST_SUBJECTS:
        raise ValueError(f"at most {MOST_SUBJECTS} subjects are flipped; found {len(values)}")
    known = np.isfinite(values)
    count = known.sum(axis=0)
    # A subject without a value adds nothing to any sum, and so leaves p as if it were not there.
    values = np.where(known, values, 0.0)
    mean = _divide_known(values.sum(axis=0), count)
    spread = np.square(np.where(known, values - mean, 0.0)).sum(axis=0)
    error = np.sqrt(_divide_known(spread, count - 1) / np.maximum(count, 1))
    margin = error * special.stdtrit(np.maximum(count - 1, 1), (1 + level) / 2)
    p = np.full(values.shape[1], np.nan)
    if alternative is None:
        return SubjectMean(mean, mean - margin, mean + margin, p, count)
    signs = 1.0 - 2.0 * (np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1)
    for start in range(0, values.shape[1], columns):
        part = slice(start, start + columns)
        flipped = signs @ values[:, part]
        if alternative == "two-sided":
            np.abs(flipped, out=flipped)
        # The first flip is the data. Equal sums differ by rounding alone: they count as ties.
        observed = flipped[0] - 1e-9 * np.abs(values[:, part]).sum(axis=0)
        p[part] = (flipped >= observed).mean(axis=0)
    return SubjectMean(mean, mean - margin, mean + margin, np.where(count, p, np.nan), count)


@dataclass(frozen=True)
class PairMean:
    """A mean over pairs of subjects with an interval over subjects, per column."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    subjects: np.ndarray
    """(column,): how many subjects are in a pair that has a value"""


def mean_over_pairs(values: np.ndarray, *, level: float = 0.95) -> PairMean:
    """Mean over pairs of subjects, with an interval that knows that pairs share subjects.

    n subjects make n (n − 1) / 2 pairs, but only n of anything that was drawn. With θ the mean over
    pairs and θ_s that over pairs without subject s, the jackknife's variance of θ is

        v = (n − 1) / n Σ_s (θ_s − mean of θ_s)²           θ ± t_(n−1) √v

    (Arvesen 1969, Annals of Mathematical Statistics 40). It is rather too large where what is
    peculiar to a pair varies more than what is peculiar to a subject.

    values: (subject, subject, column), of which what lies above the diagonal counts; nan for a pair
    without a value. Bounds are nan for fewer than three subjects, mean for no pair. A subject
    without whom there is no pair leaves them unknown too.
    """
    values = np.asarray(values, dtype=np.float64)
    one, other = np.triu_indices(len(values), k=1)
    pairs = values[one, other]
    known = np.isfinite(pairs)
    pairs = np.where(known, pairs, 0.0)
    member = (np.arange(len(values))[:, None] == one) | (np.arange(len(values))[:, None] == other)
    mean = _divide_known(pairs.sum(axis=0), known.sum(axis=0))
    present = member.astype(float) @ known > 0
    count = present.sum(axis=0)
    without = _divide_known((~member).astype(float) @ pairs, (~member).astype(float) @ known)
    centre = _divide_known(np.where(present, without, 0.0).sum(axis=0), count)
    spread = np.square(np.where(present, without - centre, 0.0)).sum(axis=0)
    degrees = np.maximum(count - 1, 1)
    error = np.where(count > 2, np.sqrt(spread * degrees / np.maximum(count, 1)), np.nan)
    margin = error * special.stdtrit(degrees, (1 + level) / 2)
    return PairMean(mean, mean - margin, mean + margin, count)


@dataclass(frozen=True)
class SubjectShare:
    """The share of subjects that show an effect, with its interval, per column."""

    share: np.ndarray
    low: np.ndarray
    high: np.ndarray


def share_of_subjects(
    count: np.ndarray, *, subjects: int, level: float = 0.95, method: str = "exact"
) -> SubjectShare:
    """Share count / subjects of those that show an effect, with its binomial interval.

    method: "exact", which covers the share of the population at its level or above (Clopper &
    Pearson 1934), or "wilson", which covers it at about its level (Wilson 1927).
    count: integers of any shape, between 0 and ``subjects``. Results have this shape.

    The share counts a false positive like a true one: :func:`prevalence_bound` does not.
    """
    count = _check_count(count, subjects)
    low, high = np.empty(count.shape), np.empty(count.shape)
    for each in np.unique(count):
        found = share_interval(int(each), subjects, level=level, method=method)
        low[count == each], high[count == each] = found
    return SubjectShare(count / subjects, low, high)


def prevalence_bound(
    count: np.ndarray, *, subjects: int, alpha: float = 0.05, level: float = 0.95
) -> np.ndarray:
    """Lower bound on the share γ of the population that has an effect.

    Each subject is tested at level α, and found significant with probability θ = α + (1 − α) γ: all
    who have the effect, and α of the others. With γ uniform beforehand, θ given k of n is
    Beta(k + 1, n − k + 1) within [α, 1], with the distribution function F; the bound is

        γ_low = (θ_low − α) / (1 − α)        F(θ_low) = level F(α) + 1 − level

    (Ince, Paton, Kay & Schyns 2021, eLife 10:e62461), so that γ > γ_low with probability ``level``.
    Where the test misses some who have the effect, γ stands for those whom it would find, a smaller
    share. Each subject has to be tested on its own images, at a level that holds.

    count: significant subjects, integers of any shape. subjects: n. Returns γ_low of this shape.
    """
    count = _check_count(count, subjects)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1; found {alpha}")
    shape = count + 1, subjects - count + 1
    # By the upper tail: of no significant subject, F(alpha) is all but 1.
    tail = special.betaincc(*shape, alpha)
    theta = special.betainccinv(*shape, level * tail)
    return np.maximum(theta - alpha, 0.0) / (1 - alpha)


def _check_count(count: np.ndarray, subjects: int) -> np.ndarray:
    count = np.asarray(count)
    if not np.issubdtype(count.dtype, np.integer) or ((count < 0) | (count > subjects)).any():
        raise ValueError(f"counts must be whole numbers between 0 and {subjects} subjects")
    return count


def _divide_known(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Quotient by a number of subjects; nan where there are none."""
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
