"""Statements about subjects equal scipy's, statsmodels' and a numerical integral, and hold."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from mine import statistics


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_mean_over_subjects_has_scipys_interval_and_exact_p(generator, alternative):
    values = generator.normal(size=(7, 6)) + np.arange(6) / 3
    found = statistics.mean_over_subjects(values, level=0.9, alternative=alternative, columns=4)
    for column in range(6):
        own = values[:, column]
        interval = scipy.stats.ttest_1samp(own, 0).confidence_interval(0.9)
        assert (found.low[column], found.high[column]) == pytest.approx(tuple(interval))
        assert found.mean[column] == pytest.approx(own.mean())
        exact = scipy.stats.permutation_test(
            (own,), np.mean, permutation_type="samples", n_resamples=2**7, alternative=alternative
        )
        assert found.p[column] == pytest.approx(exact.pvalue)


def test_subjects_without_a_value_take_no_part(generator):
    values = generator.normal(size=(6, 4)) + 1
    values[[1, 4], 0] = values[1:, 1] = values[:, 2] = np.nan
    found = statistics.mean_over_subjects(values)
    without = statistics.mean_over_subjects(values[[0, 2, 3, 5]])
    for name in ("mean", "low", "high", "p"):
        assert getattr(found, name)[0] == pytest.approx(getattr(without, name)[0])
    assert found.subjects.tolist() == [4, 1, 0, 6]
    assert found.mean[1] == values[0, 1] and np.isnan(found.low[1]) and found.p[1] == 1
    assert np.isnan([found.mean[2], found.low[2], found.p[2]]).all()


def test_equal_values_have_the_smallest_p_and_zeros_the_largest():
    found = statistics.mean_over_subjects(np.array([[0.1, 0.0]] * 8), alternative="greater")
    np.testing.assert_array_equal(found.p, [1 / 256, 1])
    assert statistics.mean_over_subjects(np.full((8, 1), 0.1)).p == 1 / 128


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_p_and_interval_over_subjects_hold_their_levels(generator, alternative):
    columns = 4000
    found = statistics.mean_over_subjects(
        generator.normal(size=(8, columns)), alternative=alternative
    )
    # Levels that an exact p of eight subjects can reach.
    for level in (2 / 128, 6 / 128, 26 / 128):
        least, most = scipy.stats.binom.interval(0.999, columns, level)
        assert least <= (found.p <= level).sum() <= most
    least, most = scipy.stats.binom.interval(0.999, columns, 0.95)
    assert least <= ((found.low <= 0) & (found.high >= 0)).sum() <= most


def test_power_over_subjects_rises_with_the_effect(generator):
    columns, found = 1000, []
    for effect in (0.5, 1.0, 1.5):
        values = generator.normal(size=(8, columns)) + effect
        found.append((statistics.mean_over_subjects(values).p <= 0.05).mean())
        # Two-sided, 6 of the 128 pairs of flips reach the level: compare with t at that level.
        power = TTestPower().power(effect, 8, 6 / 128)
        assert found[-1] > power - 3 * np.sqrt(power * (1 - power) / columns) - 0.02
    assert found == sorted(found)


@pytest.mark.parametrize(("method", "name"), [("exact", "beta"), ("wilson", "wilson")])
def test_share_of_subjects_has_statsmodels_interval(method, name):
    count = np.array([[0, 1, 4], [4, 7, 8]])
    found = statistics.share_of_subjects(count, subjects=8, level=0.9, method=method)
    np.testing.assert_allclose(found.share, count / 8)
    expected = proportion_confint(count.ravel(), 8, alpha=0.1, method=name)
    for bound, reference in zip((found.low, found.high), expected, strict=True):
        np.testing.assert_allclose(bound.ravel(), reference, atol=1e-12)


def test_exact_interval_of_a_share_covers_every_population():
    count = np.arange(9)
    found = statistics.share_of_subjects(count, subjects=8)
    for share in np.linspace(0.01, 0.99, 50):
        inside = (found.low <= share) & (share <= found.high)
        assert scipy.stats.binom.pmf(count, 8, share)[inside].sum() >= 0.95


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_prevalence_bound_equals_the_integral_of_the_posterior(alpha):
    subjects, level = 8, 0.9
    prevalence = np.linspace(0, 1, 20_001)
    theta = alpha + (1 - alpha) * prevalence
    bounds = statistics.prevalence_bound(
        np.arange(subjects + 1), subjects=subjects, alpha=alpha, level=level
    )
    for count, bound in enumerate(bounds):
        density = theta**count * (1 - theta) ** (subjects - count)
        posterior = scipy.integrate.cumulative_simpson(density, x=prevalence, initial=0)
        expected = np.interp((1 - level) * posterior[-1], posterior, prevalence)
        assert bound == pytest.approx(expected, abs=1e-6)
    assert (np.diff(bounds) > 0).all()


def test_prevalence_bound_holds_at_its_level_over_populations(generator):
    populations, subjects, alpha, level = 4000, 8, 0.05, 0.9
    prevalence = generator.random(populations)
    affected = generator.random((populations, subjects)) < prevalence[:, None]
    significant = affected | (generator.random((populations, subjects)) < alpha)
    bound = statistics.prevalence_bound(
        significant.sum(axis=1), subjects=subjects, alpha=alpha, level=level
    )
    least, most = scipy.stats.binom.interval(0.999, populations, level)
    assert least <= (prevalence > bound).sum() <= most


def test_a_mean_that_is_not_tested_has_the_same_interval_of_any_number_of_subjects(generator):
    values = generator.normal(size=(40, 3))
    found = statistics.mean_over_subjects(values, alternative=None)
    interval = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], interval)
    assert np.isnan(found.p).all() and found.subjects.tolist() == [40] * 3


def test_wrong_numbers_of_subjects_are_refused():
    with pytest.raises(ValueError, match="at most 16 subjects are flipped; found 17"):
        statistics.mean_over_subjects(np.ones((17, 1)))
    with pytest.raises(ValueError, match='found "less"'):
        statistics.mean_over_subjects(np.ones((3, 1)), alternative="less")
    for count in (np.array([9]), np.array([-1]), np.array([0.5])):
        with pytest.raises(ValueError, match="whole numbers between 0 and 8 subjects"):
            statistics.prevalence_bound(count, subjects=8)
    with pytest.raises(ValueError, match="alpha must lie between 0 and 1; found 0"):
        statistics.prevalence_bound(np.array([1]), subjects=8, alpha=0)


def test_mean_over_pairs_is_the_literal_jackknife_over_subjects(generator):
    values = generator.normal(size=(5, 5, 2))
    values[1, 3, 1] = np.nan
    found = statistics.mean_over_pairs(values, level=0.9)
    one, other = np.triu_indices(5, k=1)
    for column in range(2):
        pairs = values[one, other, column]
        without = np.array([np.nanmean(pairs[(one != s) & (other != s)]) for s in range(5)])
        error = np.sqrt(4 / 5 * np.square(without - without.mean()).sum())
        margin = error * scipy.stats.t.ppf(0.95, 4)
        assert found.mean[column] == pytest.approx(np.nanmean(pairs))
        assert found.low[column] == pytest.approx(np.nanmean(pairs) - margin)
        assert found.high[column] == pytest.approx(np.nanmean(pairs) + margin)
    assert found.subjects.tolist() == [5, 5]


def test_interval_over_pairs_covers_and_one_over_their_number_would_not(generator):
    """Pairs that share a subject are alike; taken for so many draws they would be too sure."""
    subjects, columns = 8, 4000
    of_subject = generator.normal(size=(subjects, columns))
    values = of_subject[:, None] + of_subject
    values += 0.3 * generator.normal(size=values.shape)
    found = statistics.mean_over_pairs(values)
    covered = ((found.low <= 0) & (found.high >= 0)).sum()
    assert covered >= scipy.stats.binom.ppf(0.001, columns, 0.95)
    assert covered <= scipy.stats.binom.ppf(0.999, columns, 0.97)
    pairs = values[np.triu_indices(subjects, k=1)]
    low, high = scipy.stats.ttest_1samp(pairs, 0).confidence_interval()
    assert ((low <= 0) & (high >= 0)).mean() < 0.8


def test_two_subjects_make_one_pair_without_an_interval():
    values = np.array([[[np.nan, np.nan], [0.3, np.nan]], [[0.3, np.nan], [np.nan, np.nan]]])
    found = statistics.mean_over_pairs(values)
    assert found.mean[0] == 0.3 and np.isnan([found.low[0], found.high[0], found.mean[1]]).all()
    assert found.subjects.tolist() == [2, 0]


def test_a_subject_in_every_pair_leaves_the_bounds_unknown():
    values = np.full((3, 3, 1), np.nan)
    values[0, 1:] = [[0.2], [0.4]]
    found = statistics.mean_over_pairs(values)
    assert found.mean[0] == pytest.approx(0.3) and found.subjects[0] == 3
    assert np.isnan([found.low[0], found.high[0]]).all()
