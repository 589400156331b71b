"""Bootstrap draws are the scores of resampled images, and their intervals cover."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mine.statistics.bootstrap import (
    bootstrap_interval,
    bootstrap_mean,
    bootstrap_over_images,
    bootstrap_ratio,
    bootstrap_weights,
    stratified_weights,
)
from mine.statistics.scores import (
    pearson,
    pearson_of_means,
    pearson_terms,
    r_squared,
    r_squared_of_means,
    r_squared_terms,
)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize(
    ("terms", "of_means", "direct"),
    [
        (r_squared_terms, r_squared_of_means, r_squared),
        (pearson_terms, pearson_of_means, pearson),
    ],
)
def test_bootstrap_draws_equal_the_score_of_the_resampled_images(
    generator, terms, of_means, direct
):
    measured = generator.normal(size=(30, 3)) + 5
    predicted = measured + generator.normal(size=(30, 3))
    weights = bootstrap_weights(30, resamples=20, generator=generator)
    draws = bootstrap_over_images(terms(measured, predicted), of_means, weights)
    for resample in range(20):
        images = np.repeat(np.arange(30), np.rint(weights[resample] * 30).astype(int))
        np.testing.assert_allclose(draws[resample], direct(measured[images], predicted[images]))


def test_bootstrap_interval_does_not_depend_on_how_columns_are_batched(generator):
    measured, predicted = generator.normal(size=(2, 40, 7))
    weights = bootstrap_weights(40, resamples=200, generator=generator)
    terms = r_squared_terms(measured, predicted)
    whole = bootstrap_interval(terms, r_squared_of_means, weights)
    parts = bootstrap_interval(terms, r_squared_of_means, weights, columns=2)
    np.testing.assert_allclose(whole, parts, rtol=1e-10)


@pytest.mark.parametrize(
    ("terms", "of_means", "truth"),
    [
        (r_squared_terms, r_squared_of_means, 0.5),
        (pearson_terms, pearson_of_means, np.sqrt(0.5)),
    ],
)
def test_intervals_of_scores_cover_the_population_at_their_level(generator, terms, of_means, truth):
    images, columns = 500, 600
    predicted, noise = generator.normal(size=(2, images, columns))
    weights = bootstrap_weights(images, resamples=1000, generator=generator)
    low, high = bootstrap_interval(terms(predicted + noise, predicted), of_means, weights)
    covered = ((low <= truth) & (truth <= high)).sum()
    least, most = scipy.stats.binom.interval(0.999, columns, 0.95)
    assert least <= covered <= most


def test_stratified_resamples_keep_the_size_of_every_group(generator):
    group = generator.permutation(np.repeat(["a", "b", "c"], [3, 20, 60]))
    weights = stratified_weights(group, resamples=4000, generator=generator)
    for label, size in (("a", 3), ("b", 20), ("c", 60)):
        drawn = 83 * weights[:, group == label]
        np.testing.assert_allclose(drawn.sum(axis=1), size)
        np.testing.assert_allclose(drawn, np.rint(drawn), atol=1e-12)
        # Each image of a group is drawn once on average, with the multinomial's variance.
        assert drawn.mean(axis=0) == pytest.approx(np.ones(size), abs=0.1)
        assert drawn.var(axis=0).mean() == pytest.approx(1 - 1 / size, rel=0.05)


def test_the_interval_of_a_mean_covers_it_and_knows_nothing_of_nothing():
    random = np.random.default_rng(7)
    value, low, high = bootstrap_mean(
        np.append(random.random(40), np.nan), resamples=500, generator=random
    )
    assert low < value < high and high - low == pytest.approx(4 * np.sqrt(1 / 12 / 40), rel=0.3)
    assert np.isnan(bootstrap_mean(np.full(3, np.nan), resamples=10, generator=random)).all()


def test_interval_of_a_mean_covers_it_and_narrows_with_voxels():
    random = np.random.default_rng(0)
    small, large = random.normal(2, 1, 20), random.normal(2, 1, 2000)
    widths = []
    for values in (small, large):
        _, low, high = bootstrap_mean(values, resamples=500, generator=np.random.default_rng(1))
        assert low < values.mean() < high
        widths.append(high - low)
        assert high - low == pytest.approx(2 * 1.96 * values.std() / len(values) ** 0.5, rel=0.25)
    assert widths[1] < widths[0] / 5


def test_a_ratio_of_sums_equals_loops_over_resamples(generator):
    total = generator.integers(0, 5, size=25).astype(float)
    count = generator.binomial(total.astype(int), 0.3).astype(float)
    weights = bootstrap_weights(25, resamples=300, generator=generator)
    value, low, high = bootstrap_ratio(count, total, weights)
    draws = []
    for row in np.rint(weights * 25).astype(int):
        images = np.repeat(np.arange(25), row)
        draws.append(count[images].sum() / total[images].sum())
    assert value == pytest.approx(count.sum() / total.sum())
    np.testing.assert_allclose([low, high], np.quantile(draws, [0.025, 0.975]))
    assert np.isnan(bootstrap_ratio(0 * count, 0 * total, weights)).all()
    # One image has any: resamples without it say nothing.
    alone = np.eye(25)[0]
    assert bootstrap_ratio(alone, alone, weights) == (1, 1, 1)
