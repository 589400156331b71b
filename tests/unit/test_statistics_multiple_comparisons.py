"""The false discovery rate is statsmodels', and is kept."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests

from mine.statistics.multiple_comparisons import benjamini_hochberg


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("axis", [0, 1])
def test_benjamini_hochberg_equals_statsmodels_and_skips_nan(generator, axis):
    p = generator.random((30, 30)) ** 2
    p[3, 4] = p[10, 4] = p[0, 0] = np.nan
    found = np.moveaxis(benjamini_hochberg(p, axis=axis), axis, -1)
    for tests, adjusted in zip(np.moveaxis(p, axis, -1), found, strict=True):
        kept = np.isfinite(tests)
        np.testing.assert_allclose(
            adjusted[kept], multipletests(tests[kept], method="fdr_bh")[1], rtol=1e-12
        )
        assert np.isnan(adjusted[~kept]).all()


@pytest.mark.parametrize("level", [0.05, 0.1])
def test_benjamini_hochberg_keeps_the_false_discovery_rate(generator, level):
    families, tests, false = 1000, 100, 80
    shift = np.where(np.arange(tests) < false, 0.0, 3.0)
    p = scipy.stats.norm.sf(generator.normal(size=(families, tests)) + shift)
    rejected = benjamini_hochberg(p) <= level
    rate = rejected[:, :false].sum(axis=1) / np.maximum(rejected.sum(axis=1), 1)
    error = rate.std() / np.sqrt(families)
    assert abs(rate.mean() - level * false / tests) < 4 * error


def test_benjamini_hochberg_rejects_anything_where_nothing_is_as_often_as_is_promised(generator):
    """For independent tests any rejection has exactly the level's probability (Simes 1986)."""
    families = 4000
    p = scipy.stats.norm.sf(generator.normal(size=(families, 50)))
    any_rejected = (benjamini_hochberg(p) <= 0.05).any(axis=1).sum()
    low, high = scipy.stats.binom.interval(0.999, families, 0.05)
    assert low <= any_rejected <= high
    assert (p <= 0.05).any(axis=1).sum() > 3 * high


def test_benjamini_hochberg_has_more_power_than_bonferroni(generator):
    shift = np.where(np.arange(100) < 80, 0.0, 3.0)
    p = scipy.stats.norm.sf(generator.normal(size=(400, 100)) + shift)
    found = (benjamini_hochberg(p) <= 0.05)[:, 80:].mean()
    assert found > (p <= 0.05 / 100)[:, 80:].mean() + 0.1
