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
