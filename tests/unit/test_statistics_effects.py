"""Sizes of effects equal scipy's and literal resampling, and their intervals cover."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mine.statistics.bootstrap import bootstrap_weights, stratified_weights
from mine.statistics.effects import d_prime, d_prime_interval


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def literal_d_prime(values, positive):
    first, second = values[positive], values[~positive]
    variance = (first.var(axis=0, ddof=1) + second.var(axis=0, ddof=1)) / 2
    return (first.mean(axis=0) - second.mean(axis=0)) / np.sqrt(variance)


@pytest.mark.parametrize("draw", ["stratified", "unstratified"])
def test_d_prime_and_its_interval_equal_literal_resampling(generator, draw):
    positive = generator.permutation(np.arange(40) < 12)
    values = (1 + positive[:, None]) * generator.normal(size=(40, 5)) + positive[:, None] - 100
    if draw == "stratified":
        weights = stratified_weights(positive, resamples=60, generator=generator)
    else:
        weights = bootstrap_weights(40, resamples=60, generator=generator)
    size = d_prime(values, positive)
    np.testing.assert_allclose(size, literal_d_prime(values, positive), rtol=1e-10)
    draws = []
    for row in np.rint(weights * 40).astype(int):
        drawn = np.repeat(np.arange(40), row)
        draws.append(literal_d_prime(values[drawn], positive[drawn]))
    found = d_prime_interval(values, positive, weights, columns=2)
    np.testing.assert_allclose(found, np.quantile(draws, [0.025, 0.975], axis=0), rtol=1e-9)


def test_interval_of_d_prime_covers_the_population_at_its_level(generator):
    columns, truth, positive = 600, 0.5, np.arange(500) < 150
    values = generator.normal(size=(500, columns)) + truth * positive[:, None]
    weights = stratified_weights(positive, resamples=1000, generator=generator)
    low, high = d_prime_interval(values, positive, weights)
    least, most = scipy.stats.binom.interval(0.999, columns, 0.95)
    assert least <= ((low <= truth) & (truth <= high)).sum() <= most


def test_constants_have_no_effect_size(generator):
    positive, constant = np.arange(8) < 4, np.full((8, 1), 0.1)
    weights = stratified_weights(positive, resamples=20, generator=generator)
    assert np.isnan(d_prime(constant, positive)).all()
    assert np.isnan(d_prime_interval(constant, positive, weights)).all()


def test_a_resample_of_equal_values_has_no_effect_size(generator):
    # Three images of one value in either group: over 30 columns, rounding would leave some of them
    # a variance.
    group = np.concatenate([np.tile(generator.normal(size=(1, 30)), (3, 1)), np.ones((1, 30))])
    values, positive = np.concatenate([group, group + 1]), np.arange(8) < 4
    weights = np.array([np.tile([1 / 6, 1 / 6, 1 / 6, 0], 2), np.full(8, 1 / 8)])
    assert np.isfinite(d_prime(values, positive)).all()
    assert np.isnan(d_prime_interval(values, positive, weights)).all()


def test_groups_that_are_missing_are_refused(generator):
    values, weights = np.ones((6, 1)), np.full((1, 6), 1 / 6)
    with pytest.raises(ValueError, match="two positive images or more are needed; found 1"):
        d_prime_interval(values, np.arange(6) < 1, weights)
    weights = np.array([[0, 0, 0.25, 0.25, 0.25, 0.25]])
    with pytest.raises(ValueError, match="no positive image: draw by stratified_weights"):
        d_prime_interval(values, np.arange(6) < 2, weights)
