"""Bootstrap draws are the scores of resampled images, and their intervals cover."""

from __future__ import annotations

import numpy as np
import pytest

from mine import statistics


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


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
