"""Laws of fine tuning: it is the partial correlation of responses with what the lens reads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mine.core.tuning import (
    WordReadings,
    find_shared_word,
    join_readings,
    measure_tuning,
    read_words,
)
from tests.reference.causal import VOCABULARY, make_lens

DOG, RED = 0, 6
GROUP = np.arange(len(VOCABULARY))


@pytest.fixture
def readings() -> WordReadings:
    random = np.random.default_rng(0)
    return WordReadings(
        random.random((200, 2)), random.random((2, 200, 5)), np.array([1, 2, 3, 5, 6])
    )


def test_tuning_is_the_partial_correlation_of_residuals(readings):
    random = np.random.default_rng(1)
    response = random.standard_normal((200, 3)) + readings.words[0][:, :3]
    z = measure_tuning(response, readings, np.arange(200))
    design = np.column_stack([np.ones(200), readings.shared])

    def residual(values: np.ndarray) -> np.ndarray:
        return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]

    for reading, voxel, group in np.ndindex(2, 3, 5):
        other = residual(readings.words[reading, :, group])
        r = stats.pearsonr(residual(response[:, voxel]), other).statistic
        assert z[reading, voxel, group] == pytest.approx(np.arctanh(r) * np.sqrt(200 - 2 - 3))


def test_tuning_is_standard_normal_where_there_is_none(readings):
    noise = np.random.default_rng(2).standard_normal((200, 4000))
    z = measure_tuning(noise, readings, np.arange(200))
    assert stats.kstest(z[0, :, 0], "norm").pvalue > 0.001
    assert z.std() == pytest.approx(1, abs=0.02)


def test_the_scale_of_a_response_does_not_matter(readings):
    response = np.random.default_rng(3).standard_normal((200, 2))
    z = measure_tuning(response, readings, np.arange(200))
    assert np.allclose(measure_tuning(5 + 3 * response, readings, np.arange(200)), z)


def test_an_image_drawn_twice_counts_twice(readings):
    response = np.random.default_rng(4).standard_normal((200, 2))
    drawn = np.repeat(np.arange(100), 2)
    doubled = WordReadings(readings.shared[drawn], readings.words[:, drawn], readings.group)
    expected = measure_tuning(response[drawn], doubled, np.arange(200))
    assert np.allclose(measure_tuning(response, readings, drawn), expected)


def test_both_readings_of_a_voxel_are_set_side_by_side():
    tuning = np.random.default_rng(7).random((3, 2, 4, 5))
    joined = join_readings(tuning)
    for half, voxel in np.ndindex(3, 4):
        assert (joined[half, voxel] == np.concatenate(tuning[half, :, voxel])).all()
    assert (join_readings(tuning[0]) == joined[0]).all()


def test_readings_without_variation_or_of_the_shared_word_have_no_tuning(readings):
    readings.words[0, :, 0] = 0.5
    readings.words[0, :, 1] = 2 * readings.shared[:, 0] - 1
    response = np.random.default_rng(5).standard_normal((200, 2))
    assert (measure_tuning(response, readings, np.arange(200))[0, :, :2] == 0).all()


def test_the_shared_word_is_the_first_of_most_voxels():
    assert find_shared_word(np.array([4, 2, 4, -1, 2, 4])) == 4
    assert find_shared_word(np.array([3, 1])) == 1
    assert find_shared_word(np.array([-1, -1])) == find_shared_word(np.array([], int)) == -1


def test_words_are_read_anywhere_and_in_one_place_with_the_shared_word():
    words = np.random.default_rng(6).integers(1, 6, (40, 4))
    words[::2, 0] = DOG
    lens = make_lens(words)
    readings = read_words(lens, GROUP, shared=DOG, most=8)
    assert DOG not in readings.group
    cat = int(np.flatnonzero(readings.group == 1)[0])
    has_cat = (words == 1).any(axis=1)
    assert (readings.words[0, has_cat, cat] > 0.8).all()
    # Every patch of a dog reads as a cat too, faintly, as make_lens has it; no other does.
    with_dog = (words == DOG).any(axis=1)
    assert (readings.words[1, with_dog, cat] > 0).all()
    assert readings.words[1, ~with_dog].max() < 0.01


def test_the_words_kept_are_those_that_vary_most():
    words = np.full((40, 4), 3)
    words[::2, 0] = 1
    words[:3, 1] = 5
    kept = read_words(make_lens(words), GROUP, shared=3, most=1).group
    assert kept.tolist() == [1]


def test_without_a_shared_word_nothing_is_read():
    readings = read_words(make_lens(np.full((6, 4), 2)), GROUP, shared=-1, most=8)
    assert readings.words.shape == (2, 6, 0) and len(readings.group) == 0
    assert measure_tuning(np.zeros((6, 0)), readings, np.arange(6)).shape == (2, 0, 0)
