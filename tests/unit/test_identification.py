"""Laws of identification: chance without structure, and nulls that keep what they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from mine.core.identification import (
    compare_halves,
    draw_shared,
    draw_spatial,
    identify,
    prepare_shared,
    prepare_spatial,
    remove_shared,
    span_halves,
    spatial_basis,
)

VOXELS, DIMENSIONS = 30, 50


def draw_halves(
    tuning: np.ndarray, noise: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    return tuple(tuning + noise * random.standard_normal(tuning.shape) for _ in range(2))


def test_identification_equals_a_literal_count():
    random = np.random.default_rng(0)
    first, second = draw_halves(random.standard_normal((VOXELS, DIMENSIONS)), 3, random)
    c = compare_halves(first, second)
    for voxel, share in enumerate(identify(first, second)):
        others = [other for other in range(VOXELS) if other != voxel]
        won = [c[voxel, voxel] > c[voxel, other] for other in others]
        won += [c[voxel, voxel] > c[other, voxel] for other in others]
        assert share == pytest.approx(np.mean(won))


WIDE = 3 * VOXELS


def test_fewer_dimensions_keep_every_product_of_the_halves():
    random = np.random.default_rng(10)
    halves = draw_halves(3 + random.standard_normal((VOXELS, WIDE)), 1, random)
    spanned = span_halves(*halves)
    assert spanned[0].shape == spanned[1].shape == (VOXELS, 2 * VOXELS)
    both, fewer = np.concatenate(halves), np.concatenate(spanned)
    np.testing.assert_allclose(fewer @ fewer.T, both @ both.T, rtol=1e-10)
    np.testing.assert_allclose(compare_halves(*spanned), compare_halves(*halves), atol=1e-12)
    assert (identify(*spanned) == identify(*halves)).all()
    few = draw_halves(np.zeros((VOXELS, 2 * VOXELS)), 1, random)
    assert all(same is half for same, half in zip(span_halves(*few), few, strict=True))


def test_nulls_in_fewer_dimensions_are_those_in_all():
    random = np.random.default_rng(11)
    halves = draw_halves(3 + random.standard_normal((VOXELS, WIDE)), 3, random)
    spanned, basis = span_halves(*halves), spatial_basis(random.random((VOXELS, 3)))
    shared, fewer = prepare_shared(*halves), prepare_shared(*spanned)
    # A decomposition is known but for the signs of its vectors, of which the last has no part.
    sign = np.sign((shared.left * fewer.left).sum(axis=0))
    np.testing.assert_allclose(shared.middle, fewer.middle, atol=1e-9)
    fewer = fewer._replace(left=fewer.left * sign, right=fewer.right * sign[:, None])
    for draw in range(5):
        pairs = [draw_shared(null, np.random.default_rng(draw)) for null in (shared, fewer)]
        plain, rotated = (
            draw_spatial(prepare_spatial(pair[1], basis), np.random.default_rng(draw))
            for pair in (halves, spanned)
        )
        pairs += [(halves[0], plain), (spanned[0], rotated)]
        for wide, narrow in (pairs[:2], pairs[2:]):
            np.testing.assert_allclose(compare_halves(*narrow), compare_halves(*wide), atol=1e-9)
            assert (identify(*narrow) == identify(*wide)).all()


def test_unique_tunings_are_identified_and_equal_ones_are_not():
    random = np.random.default_rng(1)
    unique = random.standard_normal((VOXELS, DIMENSIONS))
    assert identify(*draw_halves(unique, 0.1, random)).mean() == 1
    means = []
    for _ in range(40):
        shared = np.outer(random.uniform(1, 9, VOXELS), random.standard_normal(DIMENSIONS))
        means.append(identify(*draw_halves(shared, 1, random)).mean())
    assert np.mean(means) == pytest.approx(0.5, abs=0.02)


def test_a_half_that_says_nothing_ties_at_chance():
    nothing = np.zeros((VOXELS, DIMENSIONS))
    assert (identify(nothing, nothing) == 0.5).all()
    assert (
        np.isnan(identify(nothing[:1], nothing[:1])).all()
        and len(identify(nothing[:0], nothing[:0])) == 0
    )


def test_removing_what_is_shared_leaves_no_mean_direction():
    tuning = 5 + np.random.default_rng(2).standard_normal((VOXELS, DIMENSIONS))
    rest = remove_shared(tuning)
    assert np.allclose(rest @ tuning.mean(axis=0), 0)
    assert np.allclose(np.linalg.norm(rest, axis=1), 1)


def test_the_shared_null_has_the_shared_tuning_and_the_noise_measured():
    random = np.random.default_rng(3)
    unique = random.standard_normal((VOXELS, DIMENSIONS))
    mixing = random.standard_normal((VOXELS, VOXELS)) / np.sqrt(VOXELS)  # noise that voxels share
    first, second = (unique + mixing @ random.standard_normal(unique.shape) for _ in range(2))
    null = prepare_shared(first, second)
    pairs = [draw_shared(null, random) for _ in range(400)]
    assert np.mean([identify(*pair).mean() for pair in pairs[:60]]) == pytest.approx(0.5, abs=0.03)
    average = (first + second) / 2
    mean = average.mean(axis=0)
    fitted = np.outer(average @ mean / (mean @ mean), mean)
    assert np.allclose(np.mean([pair[0] for pair in pairs], axis=0), fitted, atol=0.3)
    noise = (first - second) / np.sqrt(2)
    noise -= noise.mean(axis=0)
    drawn = [(pair[0] - fitted) @ (pair[0] - fitted).T for pair in pairs]
    expected = noise @ noise.T
    assert np.abs(np.mean(drawn, axis=0) - expected).max() < 0.15 * np.abs(expected).max()


def test_draws_of_the_shared_null_equal_those_that_decompose_the_noise_each_time():
    halves = draw_halves(np.zeros((VOXELS, DIMENSIONS)), 1, np.random.default_rng(7))
    null, random, again = prepare_shared(*halves), *(np.random.default_rng(8) for _ in range(2))
    for _ in range(3):
        drawn, literal = draw_shared(null, random), draw_literally(*halves, again)
        assert all(np.array_equal(*pair) for pair in zip(drawn, literal, strict=True))


def draw_literally(first, second, random) -> tuple[np.ndarray, np.ndarray]:
    """Two halves under the null of one shared tuning, all anew."""
    average, noise = (first + second) / 2, (first - second) / np.sqrt(2)
    mean, noise = average.mean(axis=0), noise - noise.mean(axis=0)
    fitted = np.outer(average @ mean / (mean @ mean), mean)
    left, middle, right = np.linalg.svd(noise, full_matrices=False)
    scale = np.sqrt(VOXELS * DIMENSIONS) * np.sqrt(np.square(noise).mean())
    normal = [random.standard_normal((len(middle), len(middle))) for _ in range(2)]
    return tuple(fitted + left @ (middle[:, None] * z * middle) @ right / scale for z in normal)


def test_the_shared_null_is_calibrated():
    random = np.random.default_rng(4)
    rejected = 0
    for _ in range(60):
        shared = np.outer(random.uniform(1, 5, VOXELS), random.standard_normal(DIMENSIONS))
        halves = draw_halves(shared, 1, random)
        found = identify(*halves).mean()
        shared = prepare_shared(*halves)
        null = [identify(*draw_shared(shared, random)).mean() for _ in range(39)]
        rejected += (1 + sum(value >= found for value in null)) / 40 <= 0.05
    assert rejected <= 9  # binomial(60, .05): above 9 in less than 1 of 1,000 runs


def test_spatial_patterns_are_orthonormal_and_from_smooth_to_rough():
    place = np.random.default_rng(5).random((VOXELS, 3))
    basis = spatial_basis(place)
    assert basis.shape == (VOXELS, VOXELS - 1)
    assert np.allclose(basis.T @ basis, np.eye(VOXELS - 1)) and np.allclose(basis.sum(axis=0), 0)
    moran = [measure_moran(pattern, place) for pattern in basis.T]
    assert np.allclose(moran, np.sort(moran)[::-1])


def test_voxels_at_one_place_are_as_near_as_the_nearest_that_are_apart():
    place = np.random.default_rng(9).random((VOXELS, 3))
    nearest = np.sort(cdist(place[1:], place[1:]), axis=None)[VOXELS - 1]
    place[0] = place[1]
    basis = spatial_basis(place)
    assert np.allclose(basis.T @ basis, np.eye(VOXELS - 1)) and np.allclose(basis.sum(axis=0), 0)
    moran = [measure_moran(pattern, place, least=nearest) for pattern in basis.T]
    assert np.allclose(moran, np.sort(moran)[::-1])


def test_the_spatial_null_keeps_autocorrelation_and_loses_the_place():
    random = np.random.default_rng(6)
    place = random.random((VOXELS, 3))
    smooth = np.exp(-cdist(place, place) / 0.3) @ random.standard_normal((VOXELS, DIMENSIONS))
    basis = spatial_basis(place)
    null = prepare_spatial(smooth, basis)
    drawn = [draw_spatial(null, random) for _ in range(60)]
    for values in drawn[:5]:
        assert np.allclose(values.mean(axis=0), smooth.mean(axis=0))
        assert measure_moran(values[:, 0], place) == pytest.approx(
            measure_moran(smooth[:, 0], place)
        )
        assert np.allclose(np.cov(values.T), np.cov(smooth.T))
    identified = [identify(smooth, values).mean() for values in drawn]
    assert np.mean(identified) == pytest.approx(0.5, abs=0.05)


def measure_moran(values: np.ndarray, place: np.ndarray, *, least: float = 0.0) -> float:
    """Moran's I with inverse distances, none of them below the least."""
    distance = np.maximum(cdist(place, place), least)
    np.fill_diagonal(distance, np.inf)
    weight = 1 / distance
    centred = values - values.mean()
    return len(values) / weight.sum() * (centred @ weight @ centred) / (centred @ centred)
