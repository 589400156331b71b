"""Sizes of effects equal scipy's and literal resampling, and their intervals cover."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mine import statistics


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def test_bootstrap_interval_of_a_mean_covers_at_its_level(generator):
    columns = 600
    differences = generator.normal(size=(80, columns))
    weights = statistics.bootstrap_weights(80, resamples=800, generator=generator)
    effect = statistics.paired_effect(differences, weights=weights)
    covered = ((effect.low <= 0) & (effect.high >= 0)).sum()
    # A percentile interval of 80 images is a little short: 0.94 rather than 0.95.
    low, high = scipy.stats.binom.interval(0.999, columns, 0.94)
    assert low <= covered <= high
    np.testing.assert_allclose(
        effect.cohens_dz * np.sqrt(80), scipy.stats.ttest_1samp(differences, 0).statistic
    )


def test_intervals_of_paired_effects_equal_literal_resampling(generator):
    images = 25
    differences = generator.normal(size=(images, 5)) + 100 + np.arange(5)
    weights = statistics.bootstrap_weights(images, resamples=60, generator=generator)
    found = statistics.paired_effect(differences, weights=weights, level=0.8, columns=2)
    draws = []
    for row in np.rint(weights * images).astype(int):
        drawn = differences[np.repeat(np.arange(images), row)]
        draws.append((drawn.mean(axis=0), drawn.mean(axis=0) / drawn.std(axis=0, ddof=1)))
    low, high = np.quantile(draws, [0.1, 0.9], axis=0)
    np.testing.assert_allclose([found.low, found.cohens_dz_low], low)
    np.testing.assert_allclose([found.high, found.cohens_dz_high], high)


def literal_effects(values, positive):
    """d by way of scipy's t, and d′ by its formula."""
    first, second = values[positive], values[~positive]
    t = scipy.stats.ttest_ind(first, second).statistic
    d = t * np.sqrt(1 / len(first) + 1 / len(second))
    variance = (first.var(axis=0, ddof=1) + second.var(axis=0, ddof=1)) / 2
    return d, (first.mean(axis=0) - second.mean(axis=0)) / np.sqrt(variance)


@pytest.mark.parametrize("draw", ["stratified", "unstratified"])
def test_group_effects_and_their_intervals_equal_literal_resampling(generator, draw):
    positive = generator.permutation(np.arange(40) < 12)
    values = (1 + positive[:, None]) * generator.normal(size=(40, 5)) + positive[:, None] - 100
    if draw == "stratified":
        weights = statistics.stratified_weights(positive, resamples=60, generator=generator)
    else:
        weights = statistics.bootstrap_weights(40, resamples=60, generator=generator)
    found = statistics.group_effect(values, positive, weights=weights, level=0.8, columns=2)
    np.testing.assert_allclose(
        [found.cohens_d, found.d_prime], literal_effects(values, positive), rtol=1e-10
    )
    draws = []
    for row in np.rint(weights * 40).astype(int):
        drawn = np.repeat(np.arange(40), row)
        draws.append(literal_effects(values[drawn], positive[drawn]))
    low, high = np.quantile(draws, [0.1, 0.9], axis=0)
    np.testing.assert_allclose([found.cohens_d_low, found.d_prime_low], low, rtol=1e-9)
    np.testing.assert_allclose([found.cohens_d_high, found.d_prime_high], high, rtol=1e-9)


def test_intervals_of_effect_sizes_cover_the_population_at_their_level(generator):
    columns, resamples, truth = 600, 1000, 0.5
    differences = generator.normal(size=(500, columns)) + truth
    weights = statistics.bootstrap_weights(500, resamples=resamples, generator=generator)
    paired = statistics.paired_effect(differences, weights=weights)
    positive = np.arange(500) < 150
    values = generator.normal(size=(500, columns)) + truth * positive[:, None]
    weights = statistics.stratified_weights(positive, resamples=resamples, generator=generator)
    group = statistics.group_effect(values, positive, weights=weights)
    least, most = scipy.stats.binom.interval(0.999, columns, 0.95)
    for low, high in (
        (paired.cohens_dz_low, paired.cohens_dz_high),
        (group.cohens_d_low, group.cohens_d_high),
        (group.d_prime_low, group.d_prime_high),
    ):
        assert least <= ((low <= truth) & (truth <= high)).sum() <= most


def test_constants_have_no_effect_size(generator):
    positive = np.arange(8) < 4
    weights = statistics.stratified_weights(positive, resamples=20, generator=generator)
    constant = np.full((8, 1), 0.1)
    paired = statistics.paired_effect(constant, weights=weights)
    assert paired.mean == pytest.approx(0.1) and paired.low == pytest.approx(0.1)
    assert np.isnan([paired.cohens_dz, paired.cohens_dz_low, paired.cohens_dz_high]).all()
    group = statistics.group_effect(constant, positive, weights=weights)
    assert np.isnan([group.cohens_d, group.d_prime, group.d_prime_low, group.d_prime_high]).all()


def test_a_resample_of_equal_values_has_no_effect_size(generator):
    # Three images of one value: over 30 columns, rounding would leave some of them a variance.
    differences = np.concatenate(
        [np.tile(generator.normal(size=(1, 30)), (3, 1)), np.ones((1, 30))]
    )
    weights = np.array([[1 / 3, 1 / 3, 1 / 3, 0], [0.25, 0.25, 0.25, 0.25]])
    found = statistics.paired_effect(differences, weights=weights)
    assert np.isfinite([found.cohens_dz, found.low]).all()
    assert np.isnan([found.cohens_dz_low, found.cohens_dz_high]).all()


def test_groups_that_are_missing_are_refused(generator):
    values, weights = np.ones((6, 1)), np.full((1, 6), 1 / 6)
    with pytest.raises(ValueError, match="two positive images or more are needed; found 1"):
        statistics.group_effect(values, np.arange(6) < 1, weights=weights)
    weights = np.array([[0, 0, 0.25, 0.25, 0.25, 0.25]])
    with pytest.raises(ValueError, match="no positive image: draw by stratified_weights"):
        statistics.group_effect(values, np.arange(6) < 2, weights=weights)
