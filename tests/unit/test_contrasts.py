"""Laws of paired differences: literal statistics, and the image as their unit."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mine.core.contrasts import contrast
from mine.statistics import clustered_effect


def make(values: np.ndarray) -> xr.DataArray:
    coords = {"model": ["evaluator"], "voxel": np.arange(values.shape[1])}
    return xr.DataArray(values, coords, ("model", "voxel", "chosen"))


def run(values: np.ndarray, image: np.ndarray) -> xr.Dataset:
    return contrast(make(values), image, resamples=500, generator=np.random.default_rng(0))


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
    draw = {"resamples": 2000, "generator": np.random.default_rng(0)}
    once = clustered_effect(values, image, **draw)
    draw["generator"] = np.random.default_rng(0)
    often = clustered_effect(np.tile(values, 10), np.tile(image, 10), **draw)
    assert often[0] == pytest.approx(once[0])
    apart = clustered_effect(np.tile(values, 10), np.arange(400), **draw)
    assert np.ptp(apart[0, 1:]) < 0.5 * np.ptp(once[0, 1:])


def test_intervals_of_clusters_equal_a_literal_resampling():
    random = np.random.default_rng(4)
    clusters = random.integers(0, 12, 60)
    values = random.normal(size=12)[clusters] + random.normal(size=60)
    found = clustered_effect(values, clusters, resamples=4000, generator=np.random.default_rng(0))
    draws = []
    for _ in range(4000):
        drawn = [values[clusters == cluster] for cluster in random.choice(np.unique(clusters), 12)]
        together = np.concatenate(drawn)
        draws.append((together.mean(), together.mean() / together.std()))
    literal = np.quantile(np.array(draws), [0.025, 0.975], axis=0).T
    assert found[:, 1:] == pytest.approx(literal, abs=0.06)


def test_equal_differences_have_a_mean_and_no_effect_size():
    found = clustered_effect(
        np.full(6, 2.0), np.arange(6), resamples=50, generator=np.random.default_rng(0)
    )
    assert found[0].tolist() == [2, 2, 2] and np.isnan(found[1]).all()
