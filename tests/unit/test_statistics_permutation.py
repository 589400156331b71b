"""Sign-flip tests equal scipy's permutation test and keep their error rates."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.power import TTestPower

from mine.statistics.permutation import gain_test, sign_flip_bound, sign_flip_test


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def test_sign_flip_test_equals_scipys_permutation_test(generator):
    differences = generator.normal(size=(25, 6)) + np.array([0, 0.1, 0.2, -0.3, 0.4, 0.8])
    z, p = sign_flip_test(differences, permutations=9999, generator=generator, columns=4)
    np.testing.assert_allclose(
        z, differences.sum(axis=0) / np.sqrt(np.square(differences).sum(axis=0))
    )
    for column in range(6):
        reference = scipy.stats.permutation_test(
            (differences[:, column],),
            np.sum,
            permutation_type="samples",
            n_resamples=9999,
            alternative="greater",
            rng=np.random.default_rng(column),
        )
        error = 5 * np.sqrt(p[column] * (1 - p[column]) / 9999) + 2e-4
        assert abs(p[column] - reference.pvalue) < 1.5 * error


def test_sign_flip_test_counts_ties_and_leaves_empty_columns_alone():
    differences = np.array([[1.0, 0.0], [1.0, 0.0]])
    z, p = sign_flip_test(differences, permutations=4000, generator=np.random.default_rng(0))
    np.testing.assert_allclose(z, [np.sqrt(2), 0])
    assert p[0] == pytest.approx(0.25, abs=0.03)  # one of the four flips is the data itself
    assert p[1] == 1


def test_gain_of_a_prediction_is_the_squared_error_that_it_saves(generator):
    measured = generator.normal(size=(60, 3))
    predicted = np.stack([0.5 * measured[:, 0], -measured[:, 1], np.full(60, 0.3)], axis=1)
    centre = np.full(3, 0.3)
    z, p = gain_test(
        measured, predicted, centre, permutations=999, generator=np.random.default_rng(0)
    )
    saved = [
        [(y - 0.3) ** 2 - (y - guess) ** 2 for y, guess in zip(*rows, strict=True)]
        for rows in zip(measured, predicted, strict=True)
    ]
    expected = sign_flip_test(np.array(saved), permutations=999, generator=np.random.default_rng(0))
    np.testing.assert_allclose((z, p), expected)
    assert z[0] > 3 and p[0] == 1 / 1000 and z[1] < 0 and (z[2], p[2]) == (0, 1)


def test_sign_flip_test_keeps_its_false_positive_rate(generator):
    columns = 4000
    differences = generator.standard_t(3, size=(40, columns))
    _, p = sign_flip_test(differences, permutations=999, generator=generator)
    for level in (0.01, 0.05, 0.2):
        low, high = scipy.stats.binom.interval(0.999, columns, level)
        assert low <= (p <= level).sum() <= high


def test_columns_with_a_nan_have_no_p_and_leave_the_others_alone(generator):
    differences = generator.normal(size=(20, 5))
    with_nan = differences.copy()
    with_nan[3, 4] = np.nan
    settings = {"permutations": 200, "columns": 2}
    whole = sign_flip_test(differences[:, :4], generator=np.random.default_rng(1), **settings)
    found = sign_flip_test(with_nan, generator=np.random.default_rng(1), **settings)
    assert np.isnan(np.array(found)[:, 4]).all()
    np.testing.assert_array_equal(np.array(found)[:, :4], np.array(whole))


def test_sign_flip_test_is_the_literal_one_of_t(generator):
    images, columns, permutations = 15, 7, 300
    differences = generator.normal(size=(images, columns)) + np.linspace(0, 0.8, columns)
    z, p = sign_flip_test(
        differences,
        permutations=permutations,
        generator=np.random.default_rng(2),
        columns=3,
    )
    signs = np.random.default_rng(2).integers(0, 2, (permutations, images), dtype=np.int8) * 2 - 1
    observed = scipy.stats.ttest_1samp(differences, 0).statistic
    flipped = [scipy.stats.ttest_1samp(row[:, None] * differences, 0).statistic for row in signs]
    literal = (1 + np.sum(np.array(flipped) >= observed, axis=0)) / (permutations + 1)
    np.testing.assert_allclose(p, literal)
    np.testing.assert_allclose(
        np.abs(z) * np.sqrt((images - 1) / (images - z**2)),
        np.abs(scipy.stats.ttest_1samp(differences, 0).statistic),
    )


def test_sign_flip_power_rises_with_the_effect_and_is_near_that_of_the_t_test(generator):
    images, columns = 30, 400
    found = []
    for effect in (0.2, 0.4, 0.6):
        differences = generator.normal(size=(images, columns)) + effect
        _, p = sign_flip_test(differences, permutations=499, generator=generator)
        found.append((p <= 0.05).mean())
        power = TTestPower().power(effect, images, 0.05, alternative="larger")
        # Of the simulation's own error three standard errors, and the few permutations' loss.
        assert found[-1] > power - 3 * np.sqrt(power * (1 - power) / columns) - 0.02
    assert found == sorted(found)


def test_sign_flip_bound_never_rejects_more_often_than_is_promised(generator):
    """Whatever the differences: few, of two sizes, or with long tails. Its price is power."""
    columns = 4000
    shapes = [
        generator.normal(size=(40, columns)),
        generator.standard_t(2, size=(6, columns)),
        generator.choice([-1.0, 1.0], size=(2, columns)),
        generator.choice([-1.0, 1.0], size=(30, columns))
        * np.where(np.arange(30) < 2, 5, 0.1)[:, None],
    ]
    for differences in shapes:
        z = differences.sum(axis=0) / np.sqrt(np.square(differences).sum(axis=0))
        p = sign_flip_bound(z)
        for level in (0.01, 0.05, 0.3):
            assert (p <= level).sum() <= scipy.stats.binom.ppf(0.999, columns, level)
    shifted = shapes[0] + 0.4
    z = shifted.sum(axis=0) / np.sqrt(np.square(shifted).sum(axis=0))
    exact = TTestPower().power(0.4, 40, 0.05, alternative="larger")
    bounded = (sign_flip_bound(z) <= 0.05).mean()
    assert exact - 0.3 < bounded < exact
