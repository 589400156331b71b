"""Laws of paired differences: literal statistics, and the image as their unit."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from mine.core.contrasts import contrast
from mine.statistics.effects import clustered_effect


def make(values: np.ndarray) -> xr.DataArray:
    coords = {"model": ["evaluator"], "voxel": np.arange(values.shape[1])}
    return xr.DataArray(values, coords, ("model", "voxel", "chosen"))


def run(values: np.ndarray, image: np.ndarray) -> xr.Dataset:
    return contrast(make(values), image, generator=np.random.default_rng(0))


def test_means_and_effects_are_the_literal_ones():
    random = np.random.default_rng(1)
    values, image = (
        random.normal(0.5, 1, (1, 3, 6)),
        random.permuted(np.tile(range(9), (3, 1)), axis=1),
    )
    result = run(values, image[:, :6])
    assert result["mean"].values == pytest.approx(values.mean(axis=2))
    expected = values.mean(axis=2) / values.std(axis=2, ddof=1)
    assert result["cohens_dz"].values == pytest.approx(expected)
    assert result["roi_mean"].values[0, 0] == pytest.approx(values.mean())
    assert result["roi_cohens_dz"].values[0, 0] == pytest.approx(values.mean() / values.std(ddof=1))


def test_pairs_that_are_missing_take_no_part():
    values = np.array([[[1.0, 2.0, np.nan], [np.nan, np.nan, np.nan]]])
    result = run(values, np.array([[0, 1, -1], [-1, -1, -1]]))
    assert result["mean"].values[0, 0] == 1.5 and np.isnan(result["mean"].values[0, 1])
    assert result["roi_share"].values[0] == 1.0
    assert result["roi_mean"].values[0, 0] == 1.5


def test_nothing_to_compare_is_nan_and_no_error():
    result = run(np.empty((1, 0, 4)), np.empty((0, 4), int))
    assert np.isnan(result["roi_share"].values).all() and result.sizes["voxel"] == 0


def test_a_small_p_needs_images_not_voxels():
    values = np.ones((1, 5, 8)) + 0.1 * np.random.default_rng(2).normal(size=(1, 5, 8))
    result = run(values, np.tile(np.arange(8), (5, 1)))
    # Of 2⁸ sign patterns one is as large: the p of a permutation test scatters around 1/256.
    assert (result["p"].values < 0.02).all() and (result["p"].values > 1e-4).all()


def test_copies_of_the_same_images_do_not_narrow_the_interval():
    random = np.random.default_rng(3)
    values, image = random.normal(0.3, 1, 40), np.arange(40)
    once = clustered_effect(values, image)
    often = clustered_effect(np.tile(values, 10), np.tile(image, 10))
    assert often[0] == pytest.approx(once[0])
    apart = clustered_effect(np.tile(values, 10), np.arange(400))
    assert np.ptp(apart[0, 1:]) < 0.5 * np.ptp(once[0, 1:])


def test_of_single_pairs_the_interval_of_the_mean_is_students():
    values = np.random.default_rng(5).normal(size=9)
    found = clustered_effect(values, np.arange(9))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found[0] == pytest.approx([values.mean(), *expected])


def test_intervals_equal_those_of_clusters_literally_left_out():
    random = np.random.default_rng(4)
    clusters = random.integers(0, 12, 60)
    values = random.normal(size=12)[clusters] + random.normal(size=60)
    found = clustered_effect(values, clusters)
    left_out = []
    for cluster in range(12):
        rest = values[clusters != cluster]
        left_out.append((rest.mean(), rest.mean() / rest.std(ddof=1)))
    value = np.array([values.mean(), values.mean() / values.std(ddof=1)])
    error = np.sqrt(11 / 12 * np.square(np.array(left_out) - value).sum(axis=0))
    reach = stats.t.isf(0.025, 11) * error
    assert found == pytest.approx(np.stack([value, value - reach, value + reach], axis=1))


@pytest.mark.parametrize("images", [4, 10])
@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_intervals_of_a_few_images_that_serve_several_voxels_hold_what_they_say(images, effect):
    random, draws = np.random.default_rng(6), 400
    clusters = np.tile(np.arange(images), (4, 1))
    covered = np.zeros(2)
    for _ in range(draws):
        values = effect + random.normal(size=images) + random.normal(size=(4, images))
        truth = np.array([effect, effect / np.sqrt(2)])
        _, low, high = clustered_effect(values.ravel(), clusters.ravel()).T
        covered += (low <= truth) & (truth <= high)
    # Of four voxels in each image the deviation is measured a little short, and d is large by it.
    assert (covered / draws > 0.95 - 3 * np.sqrt(0.95 * 0.05 / draws)).all()


def test_a_single_image_has_a_value_and_no_interval():
    found = clustered_effect(np.array([1.0, 2.0]), np.zeros(2))
    assert found[0, 0] == 1.5 and np.isnan(found[:, 1:]).all()


def test_equal_differences_have_a_mean_and_no_effect_size():
    found = clustered_effect(np.full(6, 2.0), np.arange(6))
    assert found[0].tolist() == [2, 2, 2] and np.isnan(found[1]).all()


def test_a_voxel_of_equal_differences_has_a_mean_and_no_effect_size():
    # 0.1 + 0.1 + 0.1 is not 0.3: rounding would leave a tiny deviation and a huge effect.
    result = run(np.array([[[0.1, 0.1, 0.1], [0.1, 0.2, 0.3]]]), np.tile(np.arange(3), (2, 1)))
    assert result["mean"].values[0] == pytest.approx([0.1, 0.2])
    assert np.isnan(result["cohens_dz"].values[0, 0])
    assert result["cohens_dz"].values[0, 1] == pytest.approx(2.0)
