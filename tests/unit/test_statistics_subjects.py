"""Intervals over subjects equal scipy's and a literal jackknife, and cover."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mine.statistics.subjects import mean_over_pairs, mean_over_subjects


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def test_mean_over_subjects_has_scipys_interval(generator):
    values = generator.normal(size=(40, 3)) + np.arange(3) / 3
    found = mean_over_subjects(values)
    np.testing.assert_allclose(found.mean, values.mean(axis=0))
    interval = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], interval)
    assert found.subjects.tolist() == [40] * 3
    cut = mean_over_subjects(values, least=[0.2, -9, -9], greatest=0.4)
    np.testing.assert_allclose(cut.low, np.maximum(found.low, [0.2, -9, -9]))
    np.testing.assert_allclose(cut.high, np.minimum(found.high, 0.4))


@pytest.mark.parametrize(("count", "known"), [(1, False), (2, False), (3, True)])
def test_of_two_subjects_there_is_no_interval(count, known, generator):
    values = generator.normal(size=(count, 1))
    assert np.isfinite(mean_over_subjects(values).low).tolist() == [known]
    pairs = mean_over_pairs(generator.normal(size=(count, count, 1)))
    assert np.isfinite(pairs.low).tolist() == [known]


@pytest.mark.parametrize("value", [0.0, 1.0, 0.7, 0.1])
def test_equal_subjects_do_not_say_how_far_others_are(value):
    found = mean_over_subjects(np.full((3, 1), value), least=0, greatest=1)
    pairs = mean_over_pairs(np.full((4, 4, 1), value), least=0, greatest=1)
    for each in (found, pairs):
        assert each.mean == pytest.approx(value) and np.isnan([each.low, each.high]).all()
    other = mean_over_subjects(np.array([[value], [value], [value + 1e-6]]))
    assert other.low < other.mean < other.high


def test_intervals_over_pairs_end_at_what_the_values_can_be(generator):
    values = generator.uniform(-1, 1, size=(3, 3, 40))
    found = mean_over_pairs(values)
    cut = mean_over_pairs(values, least=-1, greatest=1)
    assert (found.high > 1).any() and (found.low < -1).any()
    np.testing.assert_array_equal(cut.high, np.minimum(found.high, 1))
    np.testing.assert_array_equal(cut.low, np.maximum(found.low, -1))


def test_subjects_without_a_value_take_no_part(generator):
    values = generator.normal(size=(6, 4)) + 1
    values[[1, 4], 0] = values[1:, 1] = values[:, 2] = np.nan
    found = mean_over_subjects(values)
    without = mean_over_subjects(values[[0, 2, 3, 5]])
    for name in ("mean", "low", "high"):
        assert getattr(found, name)[0] == pytest.approx(getattr(without, name)[0])
    assert found.subjects.tolist() == [4, 1, 0, 6]
    assert found.mean[1] == values[0, 1] and np.isnan(found.low[1])
    assert np.isnan([found.mean[2], found.low[2]]).all()


def test_mean_over_pairs_is_the_literal_jackknife_over_subjects(generator):
    values = generator.normal(size=(5, 5, 2))
    values[1, 3, 1] = np.nan
    found = mean_over_pairs(values)
    one, other = np.triu_indices(5, k=1)
    for column in range(2):
        pairs = values[one, other, column]
        without = np.array([np.nanmean(pairs[(one != s) & (other != s)]) for s in range(5)])
        error = np.sqrt(4 / 5 * np.square(without - without.mean()).sum())
        margin = error * scipy.stats.t.ppf(0.975, 4)
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
    found = mean_over_pairs(values)
    covered = ((found.low <= 0) & (found.high >= 0)).sum()
    assert covered >= scipy.stats.binom.ppf(0.001, columns, 0.95)
    assert covered <= scipy.stats.binom.ppf(0.999, columns, 0.97)
    pairs = values[np.triu_indices(subjects, k=1)]
    low, high = scipy.stats.ttest_1samp(pairs, 0).confidence_interval()
    assert ((low <= 0) & (high >= 0)).mean() < 0.8


def test_two_subjects_make_one_pair_without_an_interval():
    values = np.array([[[np.nan, np.nan], [0.3, np.nan]], [[0.3, np.nan], [np.nan, np.nan]]])
    found = mean_over_pairs(values)
    assert found.mean[0] == 0.3 and np.isnan([found.low[0], found.high[0], found.mean[1]]).all()
    assert found.subjects.tolist() == [2, 0]


def test_a_subject_in_every_pair_leaves_the_bounds_unknown():
    values = np.full((3, 3, 1), np.nan)
    values[0, 1:] = [[0.2], [0.4]]
    found = mean_over_pairs(values)
    assert found.mean[0] == pytest.approx(0.3) and found.subjects[0] == 3
    assert np.isnan([found.low[0], found.high[0]]).all()
