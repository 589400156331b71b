"""Areas under the ROC curve equal literal pairs and scikit-learn's; tests and intervals hold."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.power import TTestIndPower

from mine.statistics.bootstrap import bootstrap_weights, stratified_weights
from mine.statistics.discrimination import area_under_roc_interval, mann_whitney_test


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def make_groups(generator, positives, others, columns, *, effect=0.0, ties=False):
    """Values (image, column), positive images higher by ``effect``, and which are positive."""
    positive = generator.permutation(np.arange(positives + others) < positives)
    values = generator.normal(size=(len(positive), columns)) + effect * positive[:, None]
    return (np.round(2 * values) if ties else values), positive


def literal_area(values, positive):
    """Share of pairs, a tie counting half."""
    first, second = values[positive][:, None], values[~positive][None]
    return ((first > second) + 0.5 * (first == second)).mean(axis=(0, 1))


@pytest.mark.parametrize("ties", [False, True])
def test_area_is_that_of_all_pairs_and_of_scikit_learn(generator, ties):
    values, positive = make_groups(generator, 14, 31, 6, effect=0.4, ties=ties)
    found, _ = mann_whitney_test(values, positive)
    np.testing.assert_allclose(found, literal_area(values, positive), rtol=1e-12)
    np.testing.assert_allclose(found, [roc_auc_score(positive, column) for column in values.T])
    np.testing.assert_allclose(mann_whitney_test(values, ~positive)[0], 1 - found)
    np.testing.assert_allclose(mann_whitney_test(-values, positive)[0], 1 - found)


@pytest.mark.parametrize("ties", [False, True])
def test_mann_whitney_p_is_scipys_and_that_of_the_formula(generator, ties):
    values, positive = make_groups(generator, 14, 31, 7, effect=0.4, ties=ties)
    area, p = mann_whitney_test(values, positive, columns=3)
    for column in range(7):
        first, second = values[positive, column], values[~positive, column]
        expected = scipy.stats.mannwhitneyu(first, second, method="asymptotic")
        assert p[column] == pytest.approx(expected.pvalue, rel=1e-12)
        assert area[column] * 14 * 31 == pytest.approx(expected.statistic)
        _, shared = np.unique(values[:, column], return_counts=True)
        variance = 14 * 31 / 12 * (46 - np.sum(shared**3 - shared) / (45 * 44))
        z = (abs(expected.statistic - 14 * 31 / 2) - 0.5) / np.sqrt(variance)
        assert p[column] == pytest.approx(2 * scipy.stats.norm.sf(z))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("positives", [9, 26])
@pytest.mark.parametrize("draw", ["stratified", "unstratified"])
def test_interval_of_the_area_equals_literal_resampling(generator, ties, positives, draw):
    values, positive = make_groups(generator, positives, 35 - positives, 5, effect=0.4, ties=ties)
    if draw == "stratified":
        weights = stratified_weights(positive, resamples=60, generator=generator)
    else:
        weights = bootstrap_weights(35, resamples=60, generator=generator)
    found = area_under_roc_interval(values, positive, weights, columns=2)
    draws = []
    for row in np.rint(weights * 35).astype(int):
        drawn = np.repeat(np.arange(35), row)
        draws.append(literal_area(values[drawn], positive[drawn]))
    np.testing.assert_allclose(found, np.quantile(draws, [0.025, 0.975], axis=0), rtol=1e-12)


def test_interval_of_the_area_covers_the_population_at_its_level(generator):
    columns, effect = 600, 0.8
    values, positive = make_groups(generator, 150, 350, columns, effect=effect)
    weights = stratified_weights(positive, resamples=1000, generator=generator)
    low, high = area_under_roc_interval(values, positive, weights)
    truth = scipy.stats.norm.cdf(effect / np.sqrt(2))
    least, most = scipy.stats.binom.interval(0.999, columns, 0.95)
    assert least <= ((low <= truth) & (truth <= high)).sum() <= most


@pytest.mark.parametrize("ties", [False, True])
def test_mann_whitney_test_keeps_its_false_positive_rate(generator, ties):
    columns = 4000
    values, positive = make_groups(generator, 25, 60, columns, ties=ties)
    _, p = mann_whitney_test(values, positive)
    for level in (0.01, 0.05, 0.2):
        least, most = scipy.stats.binom.interval(0.999, columns, level)
        assert least <= (p <= level).sum() <= most


def test_mann_whitney_power_rises_with_the_effect_and_is_near_that_of_the_t_test(generator):
    columns, found = 600, []
    for effect in (0.3, 0.6, 0.9):
        values, positive = make_groups(generator, 25, 50, columns, effect=effect)
        found.append((mann_whitney_test(values, positive)[1] <= 0.05).mean())
        # With normal values the test is worth a t test of 3/π as many images.
        power = TTestIndPower().power(effect, 25 * 3 / np.pi, 0.05, ratio=2)
        assert found[-1] > power - 3 * np.sqrt(power * (1 - power) / columns) - 0.02
    assert found == sorted(found)


def test_columns_that_are_separated_constant_or_unknown(generator):
    positive = np.arange(12) < 5
    values = np.stack([positive, ~positive, np.ones(12), positive], axis=1).astype(float)
    values[8, 3] = np.nan
    weights = stratified_weights(positive, resamples=20, generator=generator)
    expected = [1, 0, 0.5, np.nan]
    area, p = mann_whitney_test(values, positive)
    np.testing.assert_array_equal(area, expected)
    np.testing.assert_array_equal(
        area_under_roc_interval(values, positive, weights), [expected, expected]
    )
    assert p[0] < 0.01 and p[1] < 0.01 and p[2] == 1 and np.isnan(p[3])


def test_what_has_no_two_groups_is_refused():
    values = np.ones((6, 2))
    with pytest.raises(ValueError, match="found one kind"):
        mann_whitney_test(values, np.ones(6, bool))
    with pytest.raises(ValueError, match="one bool per image; found .* int64"):
        mann_whitney_test(values, np.arange(6))
    with pytest.raises(ValueError, match="two other images or more are needed; found 1"):
        area_under_roc_interval(values, np.arange(6) < 5, np.full((1, 6), 1 / 6))
