"""Laws of the low-level features."""

from __future__ import annotations

import numpy as np
import pytest

from mine.core.low_level import (
    gabor_amplitude,
    local_contrast,
    low_level_features,
    to_luminance,
)
from mine.errors import InputError

SIDE, GRID = 32, 4


def draw_grating(frequency: float, degrees: float, *, phase: float = 0.0) -> np.ndarray:
    """A grating of amplitude 1: degrees is the direction in which it varies, 0 along the row."""
    places = (np.arange(SIDE) + 0.5) / SIDE
    angle = np.deg2rad(degrees)
    along = np.cos(angle) * places[None, :] + np.sin(angle) * places[:, None]
    return np.sin(2 * np.pi * frequency * along + phase).astype(np.float32)


def draw_noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def compute(images: np.ndarray, **options) -> np.ndarray:
    return low_level_features(
        images, grid=GRID, **{"frequencies": (4.0, 8.0), "orientations": 4, **options}
    )[0]


def test_local_contrast_equals_a_loop_over_places():
    images, scale = draw_noise(2, SIDE, SIDE), 0.1
    fast = local_contrast(images, grid=GRID, scales=[scale])[:, 0].reshape(2, GRID, GRID)
    places = (np.arange(SIDE) + 0.5) / SIDE
    for row in range(GRID):
        for column in range(GRID):
            distance = (places[:, None] - (row + 0.5) / GRID) ** 2 + (
                places[None, :] - (column + 0.5) / GRID
            ) ** 2
            weight = np.exp(-distance / (2 * scale**2))
            for number, image in enumerate(images.astype(np.float64)):
                mean = np.average(image, weights=weight)
                slow = np.sqrt(np.average((image - mean) ** 2, weights=weight))
                assert fast[number, row, column] == pytest.approx(slow, rel=1e-4)


def test_both_kinds_are_proportional_to_contrast_and_blind_to_mean_luminance():
    images = 0.5 + 0.2 * (draw_noise(3, SIDE, SIDE) - 0.5)
    full, half = compute(images), compute(0.6 + 0.5 * (images - 0.5))
    np.testing.assert_allclose(half, 0.5 * full, rtol=1e-3, atol=1e-6)
    assert np.abs(compute(np.full((1, SIDE, SIDE), 0.7, np.float32))).max() < 1e-6


def test_features_follow_contrast_planted_at_a_place():
    images = np.full((4, SIDE, SIDE), 0.5, np.float32)
    contrast = np.array([0.0, 0.1, 0.2, 0.4], np.float32)
    # The patch of grid row 1, column 2.
    patch = np.s_[SIDE // 4 : SIDE // 2, SIDE // 2 : 3 * SIDE // 4]
    for image, amplitude in zip(images, contrast, strict=True):
        image[patch] += amplitude * draw_grating(8, 0)[patch]
    features, names = low_level_features(
        images, grid=GRID, contrast_scales=(0.08,), frequencies=(8.0,), orientations=4
    )
    for kind in ("contrast scale 0.08", "gabor frequency 8 orientation 0"):
        columns = [number for number, name in enumerate(names) if name.startswith(kind)]
        planted = names.index(f"{kind} row 1 column 2")
        assert np.corrcoef(features[:, planted], contrast)[0, 1] > 0.999
        assert max(columns, key=lambda column: features[3, column]) == planted


@pytest.mark.parametrize("frequency", [4.0, 8.0])
@pytest.mark.parametrize("number", range(4))
def test_a_grating_answers_at_its_own_frequency_and_orientation(frequency, number):
    frequencies, orientations = (4.0, 8.0), 4
    grating = draw_grating(frequency, 180 * number / orientations)[None]
    response = gabor_amplitude(
        grating, grid=GRID, frequencies=frequencies, orientations=orientations
    )[0].mean(axis=1)
    assert response.argmax() == frequencies.index(frequency) * orientations + number


@pytest.mark.parametrize("orientations", [1, 2, 4])
def test_energy_does_not_depend_on_phase_and_is_one_for_a_unit_grating(orientations):
    phases = np.linspace(0, np.pi, 5)
    gratings = np.stack([draw_grating(8, 0, phase=phase) for phase in phases])
    response = gabor_amplitude(gratings, grid=GRID, frequencies=(8.0,), orientations=orientations)[
        :, 0
    ]
    inner = response.reshape(len(phases), GRID, GRID)[:, 1:-1, 1:-1]
    assert np.ptp(inner, axis=0).max() < 0.02
    np.testing.assert_allclose(inner, 1.0, atol=0.05)


def test_a_mirrored_image_has_mirrored_features():
    images = draw_noise(2, SIDE, SIDE)
    options = {"grid": GRID, "frequencies": (4.0,), "orientations": 2}
    direct = gabor_amplitude(images, **options).reshape(2, 2, GRID, GRID)
    mirrored = gabor_amplitude(images[:, :, ::-1], **options).reshape(2, 2, GRID, GRID)
    np.testing.assert_allclose(mirrored[..., ::-1], direct, rtol=1e-4)


def test_an_image_of_more_pixels_has_the_same_features():
    small = draw_noise(2, SIDE, SIDE)
    large = np.kron(small, np.ones((1, 3, 3), np.float32))
    np.testing.assert_allclose(
        compute(large, resolution=SIDE), compute(small, resolution=SIDE), rtol=1e-3, atol=1e-5
    )
    uneven = np.kron(small, np.ones((1, 5, 5), np.float32))[:, ::2, ::2]
    averaged = compute(uneven, resolution=SIDE)
    assert np.corrcoef(averaged.ravel(), compute(small).ravel())[0, 1] > 0.9


def test_colour_and_integers_are_read_as_luminance():
    grey = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE), dtype=np.uint8)
    colour = np.repeat(grey[..., None], 3, axis=3)
    np.testing.assert_allclose(to_luminance(colour), grey / 255, atol=1e-6)
    np.testing.assert_allclose(compute(colour), compute(grey / 255.0), rtol=1e-3, atol=1e-5)


def test_batches_change_nothing_and_names_match_columns():
    images = draw_noise(5, SIDE, SIDE)
    features, names = low_level_features(images, grid=GRID, frequencies=(4.0,), image_batch=2)
    whole = low_level_features(images, grid=GRID, frequencies=(4.0,))[0]
    np.testing.assert_allclose(features, whole, rtol=1e-5)
    assert features.dtype == np.float32
    assert features.shape == (5, len(names)) and len(set(names)) == len(names)
    # With the size of the others and, as files give none, without one.
    for none in (images[:0], np.empty((0, 1, 1, 3), np.uint8)):
        values, same = low_level_features(none, grid=GRID, frequencies=(4.0,))
        assert values.shape == (0, len(names)) and same == names


def test_bad_input_is_refused_in_one_sentence():
    with pytest.raises(InputError, match=r"expected \(image, row, column\)"):
        low_level_features(draw_noise(SIDE, SIDE))
    with pytest.raises(InputError, match="expected at most 16 cycles per image .* found 20"):
        low_level_features(draw_noise(1, SIDE, SIDE), frequencies=(20.0,))
