"""The false discovery rate is statsmodels', and is kept."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.multitest import multipletests

from mine import statistics


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("axis", [0, 1])
def test_benjamini_hochberg_equals_statsmodels_and_skips_nan(generator, axis):
    p = generator.random((30, 30)) ** 2
    p[3, 4] = p[10, 4] = p[0, 0] = np.nan
    found = np.moveaxis(statistics.benjamini_hochberg(p, axis=axis), axis, -1)
    for tests, adjusted in zip(np.moveaxis(p, axis, -1), found, strict=True):
        kept = np.isfinite(tests)
        np.testing.assert_allclose(
            adjusted[kept], multipletests(tests[kept], method="fdr_bh")[1], rtol=1e-12
        )
        assert np.isnan(adjusted[~kept]).all()


def test_benjamini_hochberg_keeps_the_false_discovery_rate(generator):
    families, tests, false, level = 400, 100, 80, 0.1
    shift = np.where(np.arange(tests) < false, 0.0, 3.0)
    p = scipy.stats.norm.sf(generator.normal(size=(families, tests)) + shift)
    rejected = statistics.benjamini_hochberg(p) <= level
    rate = rejected[:, :false].sum(axis=1) / np.maximum(rejected.sum(axis=1), 1)
    error = rate.std() / np.sqrt(families)
    assert abs(rate.mean() - level * false / tests) < 4 * error
