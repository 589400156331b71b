"""Sign-flip tests equal scipy's permutation test and keep their error rates."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mine import statistics


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_sign_flip_test_equals_scipys_permutation_test(generator, alternative):
    differences = generator.normal(size=(25, 6)) + np.array([0, 0.1, 0.2, -0.3, 0.4, 0.8])
    z, p = statistics.sign_flip_test(
        differences, permutations=9999, generator=generator, alternative=alternative, columns=4
    )
    np.testing.assert_allclose(
        z, differences.sum(axis=0) / np.sqrt(np.square(differences).sum(axis=0))
    )
    for column in range(6):
        reference = scipy.stats.permutation_test(
            (differences[:, column],),
            np.sum,
            permutation_type="samples",
            n_resamples=9999,
            alternative=alternative,
            rng=np.random.default_rng(column),
        )
        error = 5 * np.sqrt(p[column] * (1 - p[column]) / 9999) + 2e-4
        assert abs(p[column] - reference.pvalue) < 1.5 * error


def test_sign_flip_test_counts_ties_and_leaves_empty_columns_alone():
    differences = np.array([[1.0, 0.0], [1.0, 0.0]])
    z, p = statistics.sign_flip_test(
        differences, permutations=4000, generator=np.random.default_rng(0)
    )
    np.testing.assert_allclose(z, [np.sqrt(2), 0])
    assert p[0] == pytest.approx(0.25, abs=0.03)  # one of the four flips is the data itself
    assert p[1] == 1


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_sign_flip_test_keeps_its_false_positive_rate(generator, alternative):
    columns = 4000
    differences = generator.standard_t(3, size=(40, columns))
    _, p = statistics.sign_flip_test(
        differences, permutations=999, generator=generator, alternative=alternative
    )
    for level in (0.01, 0.05, 0.2):
        low, high = scipy.stats.binom.interval(0.999, columns, level)
        assert low <= (p <= level).sum() <= high


def test_sign_flip_test_refuses_an_unknown_alternative(generator):
    with pytest.raises(ValueError, match="less"):
        statistics.sign_flip_test(
            np.ones((3, 1)), permutations=9, generator=generator, alternative="less"
        )
