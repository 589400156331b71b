"""Scores are those of scipy and of their formula."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mine.statistics.scores import pearson, r_squared


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def test_scores_equal_those_of_scipy(generator):
    measured = generator.normal(size=(60, 4)) + 3
    predicted = 0.5 * measured + generator.normal(size=(60, 4))
    r = pearson(measured, predicted)
    r2 = r_squared(measured, predicted)
    for voxel in range(4):
        y, p = measured[:, voxel], predicted[:, voxel]
        assert r[voxel] == pytest.approx(scipy.stats.pearsonr(y, p).statistic)
        assert r2[voxel] == pytest.approx(1 - np.sum((y - p) ** 2) / np.sum((y - y.mean()) ** 2))


def test_a_constant_voxel_has_no_score():
    constant, other = np.full((7, 1), 0.1), np.arange(7.0)[:, None]
    assert np.isnan(r_squared(constant, other))
    assert np.isnan(pearson(constant, other))
    assert np.isnan(pearson(other, constant))
