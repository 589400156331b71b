"""Listed words add to those before them in measured responses, and readings equal literal loops."""

from __future__ import annotations

import itertools

import numpy as np
import xarray as xr

from mine.core.evidence import read_images
from mine.core.lens import word_mass
from mine.core.listing import list_words
from mine.core.readings import gather_together, read_presence
from tests.reference.readings import blob_maps, make_attributions, make_world

LEVEL = 0.05


def test_words_after_the_first_are_those_that_add_to_the_measured_response():
    """Voxels of faces: of red ones, of faces beside a dog, of none; a fourth suppressed by cars."""
    random = np.random.default_rng(0)
    face, red, dog, car, happy, noise = range(6)
    images, tokens = 600, 16
    shown = random.random((images, 4)) < (0.4, 0.4, 0.4, 0.4)  # face, its red, dog, car
    is_happy = random.random(images) < 0.5
    readings = np.full((images, tokens, 6), 0.02)
    readings[:, :, noise] += 0.3 * random.random((images, tokens))
    readings[shown[:, 0], 0, face] = 0.6
    readings[shown[:, 0] & shown[:, 1], 0, red] = 0.3
    readings[~shown[:, 0] & shown[:, 1], 5, red] = 0.9  # of something else
    readings[shown[:, 0] & is_happy, 0, happy] = 0.3
    readings[shown[:, 2], 8, dog] = 0.9
    readings[shown[:, 3], 12, car] = 0.9
    word = np.broadcast_to(np.arange(6, dtype=np.int32), readings.shape)
    lens = xr.Dataset(
        {
            "word": (("image", "token", "rank"), word),
            "score": (("image", "token", "rank"), readings.astype(np.float16)),
        }
    )
    drive = shown[:, :1] * np.ones((1, 4))
    drive[:, 0] += 0.7 * (shown[:, 0] & shown[:, 1])
    drive[:, 1] += 0.5 * shown[:, 2]
    drive[:, 3] -= 0.6 * shown[:, 3]
    measured = drive + 0.6 * random.normal(size=drive.shape)
    maps = np.zeros((4, images, tokens))
    maps[:, :, 0] = shown[:, 0]
    maps[3, :, 12] = -1.0 * shown[:, 3]
    attributions = make_attributions(maps, kept=4).assign(
        prediction=(("voxel", "image"), drive.T.astype(np.float32))
    )
    z = {"positive": np.tile([9.0, 4, 1, 1, 5, 0], (4, 1)), "negative": np.zeros((4, 6))}
    sure = {"positive": z["positive"] > 3, "negative": np.zeros((4, 6), dtype=bool)}
    sure["negative"][3, car] = True
    found = list_words(
        attributions,
        lens,
        z,
        sure,
        np.arange(6),
        measured=measured,
        measured_lens=lens,
        count=4,
        level=LEVEL,
    )
    words = found["positive"]
    listed = [row[sure].tolist() for row, sure in zip(words.group, words.listed, strict=True)]
    assert listed == [[face, red], [face, dog], [face], [face]]
    suppressed = found["negative"]
    assert suppressed.group[3, 0] == car and suppressed.listed[3, 0]
    assert not suppressed.listed[:3].any()
    # Nothing is confirmed by responses that have nothing to do with the images.
    shuffled = list_words(
        attributions,
        lens,
        z,
        sure,
        np.arange(6),
        measured=random.permutation(measured),
        measured_lens=lens,
        count=4,
        level=LEVEL,
    )
    assert shuffled["positive"].listed.sum() <= 1 and shuffled["negative"].listed.sum() == 0


def test_readings_together_and_anywhere_equal_a_literal_maximum():
    world = make_world(12, seed=4)
    group = np.arange(world.words) // 2
    mass = word_mass(world.lens["word"].values, world.lens["score"].values, words=world.words)
    readings = np.add.reduceat(mass, np.arange(0, world.words, 2), axis=-1)
    largest, mean = read_presence(world.lens, group)
    np.testing.assert_allclose(largest, readings.max(axis=1), rtol=1e-6)
    np.testing.assert_allclose(mean, readings.mean(axis=1), rtol=1e-5)
    together = gather_together(world.lens, group, np.array([0, 3]))
    assert sorted(together) == [0, 3]
    for first, found in together.items():
        expected = (readings * readings[..., [first]]).max(axis=1)
        np.testing.assert_allclose(found.toarray(), expected, rtol=1e-6)


def test_mass_read_in_images_equals_a_literal_sum():
    world = make_world(20, seed=3)
    attributions = make_attributions(blob_maps(1, 20), kept=9)
    token = attributions["token"].sel(sign="positive").values[0].copy()
    strength = attributions["attribution"].sel(sign="positive").values[0]
    token[:, 6:] = -1  # fewer tokens than ranks
    column = np.full(world.words, -1)
    column[[2, 5, 11]] = 0, 1, 0  # two words of one group, and one of another
    expected = np.zeros((20, 2))
    for image, rank in itertools.product(range(20), range(6)):
        reading = world.lens.sel(image=image).isel(token=token[image, rank])
        for word, score in zip(reading["word"].values, reading["score"].values, strict=True):
            if column[word] >= 0:
                expected[image, column[word]] += strength[image, rank] * np.float32(score)
    found = read_images(token, strength, world.lens, column)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
