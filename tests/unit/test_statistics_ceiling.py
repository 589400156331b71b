"""Noise ceilings equal their formula and a literal loop, and bound the best model."""

from __future__ import annotations

import numpy as np
import pytest

from mine.statistics.ceiling import ncsnr_from_trials, noise_ceiling
from mine.statistics.scores import r_squared


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def test_noise_ceiling_is_the_formula_of_three_two_and_one_repeats():
    three, two, one = 400, 60, 55
    repeats = np.repeat([3, 2, 1], [three, two, one])
    ncsnr = np.array([0.0, 0.3, 1.0, np.inf])
    found = noise_ceiling(ncsnr, repeats=repeats)
    mean = (three / 3 + two / 2 + one) / (three + two + one)
    expected = ncsnr[:3] ** 2 / (ncsnr[:3] ** 2 + mean)
    np.testing.assert_allclose(found, [*expected, 1.0], rtol=1e-12)


def test_noise_ceiling_refuses_images_without_repeats():
    with pytest.raises(ValueError, match="at least one repeat"):
        noise_ceiling(np.ones(2), repeats=np.array([3, 0]))


def literal_ncsnr(trials, image_of_trial):
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
        result.append(np.sqrt(max(0.0, np.var(used, ddof=1) - noise)) / np.sqrt(noise))
    return np.array(result)


def test_ncsnr_equals_the_literal_computation(generator):
    image_of_trial = generator.permutation(
        np.repeat(np.arange(50) * 7, generator.integers(1, 4, 50))
    )
    trials = generator.normal(size=(len(image_of_trial), 5)).astype(np.float32)
    trials[:, 1:] += 0.9 * generator.normal(size=(400, 4))[image_of_trial]
    found = ncsnr_from_trials(trials, image_of_trial)
    np.testing.assert_allclose(found, literal_ncsnr(trials.astype(float), image_of_trial))


def test_ncsnr_recovers_a_planted_signal_and_bounds_the_best_model(generator):
    images, repeats = 4000, 3
    planted = np.array([0.3, 0.8, 1.5])
    signal = planted * generator.normal(size=(images, 3))
    image_of_trial = np.repeat(np.arange(images), repeats)
    trials = signal[image_of_trial] + generator.normal(size=(images * repeats, 3))
    ncsnr = ncsnr_from_trials(trials, image_of_trial)
    np.testing.assert_allclose(ncsnr, planted, rtol=0.1)
    averaged = trials.reshape(images, repeats, 3).mean(axis=1)
    ceiling = noise_ceiling(ncsnr, repeats=np.full(images, repeats))
    np.testing.assert_allclose(r_squared(averaged, signal), ceiling, atol=0.04)


def test_ncsnr_of_a_constant_voxel_is_zero_and_unrepeated_images_are_refused():
    image_of_trial = np.array([0, 0, 1, 1])
    assert ncsnr_from_trials(np.zeros((4, 1)), image_of_trial) == 0
    with pytest.raises(ValueError, match="at least twice"):
        ncsnr_from_trials(np.zeros((4, 1)), np.arange(4))
