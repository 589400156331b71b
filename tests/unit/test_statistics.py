"""Statistics agree with scipy, statsmodels and literal loops, and keep their error rates."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from statsmodels.stats.multitest import multipletests

from mine import statistics


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def test_noise_ceiling_is_the_formula_of_three_two_and_one_repeats():
    three, two, one = 400, 60, 55
    repeats = np.repeat([3, 2, 1], [three, two, one])
    ncsnr = np.array([0.0, 0.3, 1.0, np.inf])
    found = statistics.noise_ceiling(ncsnr, repeats=repeats)
    mean = (three / 3 + two / 2 + one) / (three + two + one)
    expected = ncsnr[:3] ** 2 / (ncsnr[:3] ** 2 + mean)
    np.testing.assert_allclose(found, [*expected, 1.0], rtol=1e-12)


def test_noise_ceiling_refuses_images_without_repeats():
    with pytest.raises(ValueError, match="at least one repeat"):
        statistics.noise_ceiling(np.ones(2), repeats=np.array([3, 0]))


def literal_ncsnr(trials, image_of_trial, total=None):
    """One voxel at a time, image by image."""
    result = []
    for voxel in range(trials.shape[1]):
        variances, used = [], []
        for image in np.unique(image_of_trial):
            values = trials[image_of_trial == image, voxel]
            if len(values) >= 2:
                variances.append(np.var(values, ddof=1))
                used.extend(values)
        noise = np.mean(variances)
        whole = np.var(used, ddof=1) if total is None else total
        result.append(np.sqrt(max(0.0, whole - noise)) / np.sqrt(noise))
    return np.array(result)


@pytest.mark.parametrize("total", [None, 1.0])
def test_ncsnr_equals_the_literal_computation(generator, total):
    image_of_trial = generator.permutation(
        np.repeat(np.arange(50) * 7, generator.integers(1, 4, 50))
    )
    trials = generator.normal(size=(len(image_of_trial), 5)).astype(np.float32)
    trials[:, 1:] += 0.9 * generator.normal(size=(400, 4))[image_of_trial]
    found = statistics.ncsnr_from_trials(trials, image_of_trial, total_variance=total)
    np.testing.assert_allclose(found, literal_ncsnr(trials.astype(float), image_of_trial, total))


def test_ncsnr_recovers_a_planted_signal_and_bounds_the_best_model(generator):
    images, repeats = 4000, 3
    planted = np.array([0.3, 0.8, 1.5])
    signal = planted * generator.normal(size=(images, 3))
    image_of_trial = np.repeat(np.arange(images), repeats)
    trials = signal[image_of_trial] + generator.normal(size=(images * repeats, 3))
    ncsnr = statistics.ncsnr_from_trials(trials, image_of_trial)
    np.testing.assert_allclose(ncsnr, planted, rtol=0.1)
    averaged = trials.reshape(images, repeats, 3).mean(axis=1)
    ceiling = statistics.noise_ceiling(ncsnr, repeats=np.full(images, repeats))
    np.testing.assert_allclose(statistics.r_squared(averaged, signal), ceiling, atol=0.04)


def test_ncsnr_of_a_constant_voxel_is_zero_and_unrepeated_images_are_refused():
    image_of_trial = np.array([0, 0, 1, 1])
    assert statistics.ncsnr_from_trials(np.zeros((4, 1)), image_of_trial) == 0
    with pytest.raises(ValueError, match="at least twice"):
        statistics.ncsnr_from_trials(np.zeros((4, 1)), np.arange(4))


def test_scores_equal_those_of_scipy(generator):
    measured = generator.normal(size=(60, 4)) + 3
    predicted = 0.5 * measured + generator.normal(size=(60, 4))
    r = statistics.pearson(measured, predicted)
    r2 = statistics.r_squared(measured, predicted)
    for voxel in range(4):
        y, p = measured[:, voxel], predicted[:, voxel]
        assert r[voxel] == pytest.approx(scipy.stats.pearsonr(y, p).statistic)
        assert r2[voxel] == pytest.approx(1 - np.sum((y - p) ** 2) / np.sum((y - y.mean()) ** 2))
    np.testing.assert_allclose(statistics.r_squared(measured.T, predicted.T, axis=1), r2)


def test_a_constant_voxel_has_no_score():
    constant, other = np.full((7, 1), 0.1), np.arange(7.0)[:, None]
    assert np.isnan(statistics.r_squared(constant, other))
    assert np.isnan(statistics.pearson(constant, other))
    assert np.isnan(statistics.pearson(other, constant))


@pytest.mark.parametrize(
    ("terms", "of_means", "direct"),
    [
        (statistics.r_squared_terms, statistics.r_squared_of_means, statistics.r_squared),
        (statistics.pearson_terms, statistics.pearson_of_means, statistics.pearson),
    ],
)
def test_bootstrap_draws_equal_the_score_of_the_resampled_images(
    generator, terms, of_means, direct
):
    measured = generator.normal(size=(30, 3)) + 5
    predicted = measured + generator.normal(size=(30, 3))
    weights = statistics.bootstrap_weights(30, resamples=20, generator=generator)
    draws = statistics.bootstrap_over_images(terms(measured, predicted), of_means, weights)
    for resample in range(20):
        images = np.repeat(np.arange(30), np.rint(weights[resample] * 30).astype(int))
        np.testing.assert_allclose(draws[resample], direct(measured[images], predicted[images]))


def test_bootstrap_interval_does_not_depend_on_how_columns_are_batched(generator):
    measured, predicted = generator.normal(size=(2, 40, 7))
    weights = statistics.bootstrap_weights(40, resamples=200, generator=generator)
    terms = statistics.r_squared_terms(measured, predicted)
    whole = statistics.bootstrap_interval(terms, statistics.r_squared_of_means, weights)
    parts = statistics.bootstrap_interval(terms, statistics.r_squared_of_means, weights, columns=2)
    np.testing.assert_allclose(whole, parts, rtol=1e-10)


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


def test_area_under_curve_is_scipys_over_the_range(generator):
    points = np.array([0, 0.02, 0.1, 0.3, 0.8])
    values = generator.normal(size=(3, 5, 4))
    expected = scipy.integrate.trapezoid(values, points, axis=1) / 0.8
    np.testing.assert_allclose(statistics.area_under_curve(values, points, axis=1), expected)
    assert statistics.area_under_curve(np.full(5, 2.5), points) == pytest.approx(2.5)
    with pytest.raises(ValueError, match="must rise"):
        statistics.area_under_curve(values[0, 0], points[[0, 0, 1, 2]])


def test_forward_selection_equals_least_squares_step_by_step():
    """Each step against scipy's partial correlation of residuals, and p against its t test."""
    random = np.random.default_rng(5)
    known = random.normal(size=(80, 2))
    candidates = random.normal(size=(80, 6)) + known[:, :1]
    candidates[:, 4] = 2 * candidates[:, 1]  # the same under another name
    response = known @ [1.0, -1.0] + candidates @ [0, 0.8, 0, 0.5, 0, -1.0]
    response += random.normal(size=80)
    found = statistics.forward_selection(response, known, candidates, count=6)
    taken: list[int] = []
    for index, r, p in zip(found.order, found.correlation, found.p, strict=True):
        design = np.column_stack([np.ones(80), known, candidates[:, taken]])
        free = lambda y, x=design: y - x @ np.linalg.lstsq(x, y, rcond=None)[0]  # noqa: E731
        others = [k for k in range(6) if k not in taken and not {k, *taken} >= {1, 4}]
        partial = [np.corrcoef(free(response), free(candidates[:, k]))[0, 1] for k in others]
        assert max(partial) == pytest.approx(r) and others[int(np.argmax(partial))] == index
        degrees = 80 - design.shape[1] - 1
        t = r * np.sqrt(degrees / (1 - r**2))
        assert p == pytest.approx(min(1, 6 * scipy.stats.t.sf(t, degrees)))
        taken.append(int(index))
    assert len({1, 4} & set(taken)) == 1 and 5 not in taken[:2]
    assert (found.correlation > 0).all()


def test_forward_selection_is_calibrated_and_takes_nothing_from_nothing():
    random = np.random.default_rng(6)
    draws = [
        statistics.forward_selection(
            random.normal(size=60),
            random.normal(size=(60, 1)),
            random.normal(size=(60, 20)),
            count=1,
        ).p[0]
        for _ in range(400)
    ]
    assert np.mean(np.array(draws) <= 0.05) <= scipy.stats.binom.ppf(0.999, 400, 0.05) / 400
    empty = statistics.forward_selection(
        random.normal(size=9), np.empty((9, 0)), np.empty((9, 0)), count=3
    )
    assert empty.order.size == empty.p.size == 0
