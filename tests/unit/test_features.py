"""Laws of the features under test: they come from one half of the data, and from nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mine.stages.descriptions import describe_images
from mine.stages.features import gather_features
from tests.reference.readings import blob_maps, make_attributions, make_world

WORLD = make_world(300, seed=1)
PREFERRED = 2  # the word that voxel 0 answers to; voxel 1 answers to nothing


def make_half() -> tuple[xr.Dataset, np.ndarray]:
    """Attributions of two voxels, and responses to their images."""
    random = np.random.default_rng(0)
    shown = WORLD.content == PREFERRED
    maps = np.stack([shown.astype(float), blob_maps(1, 300)[0]])
    drive = shown.any(axis=1).astype(np.float32)
    prediction = np.stack([drive, random.normal(size=300)]).astype(np.float32)
    measured = np.stack([drive + 0.3 * random.normal(size=300), random.normal(size=300)], axis=1)
    return make_attributions(maps, kept=12, lowest=6, prediction=prediction), measured


def gather(*, clear: float = 0.0, **changes) -> xr.Dataset:
    """clear: the probability from which a word is read more clearly than where there is nothing."""
    attributions, measured = make_half()
    # Of the test images, on which the voxel looks elsewhere.
    shown = attributions.assign(position_map=1 - attributions["position_map"])
    base_rates = xr.Dataset(
        {
            "base_rate": ("word", np.full(WORLD.words, 0.03, np.float32)),
            "group": ("word", np.arange(WORLD.words)),
            "null_mean": ("word", np.zeros(WORLD.words, np.float32)),
            "null_deviation": ("word", np.ones(WORLD.words, np.float32)),
            "null_largest": ("shuffled", np.full(99, clear, np.float32)),
        },
        coords={"word": [f"word{number}" for number in range(WORLD.words)]},
    )
    random = np.random.default_rng(0)
    options = {"token_fraction": 0.1, "words": 5, "phrase_words": 3, "false_words": 0.05}
    descriptions = [
        describe_images(attributions, WORLD.lens, base_rates, generator=random, **options)
        for _ in range(2)
    ]
    settings = {"text": np.eye(WORLD.words), "distinct_cosine": 0.9}
    return gather_features(
        attributions,
        WORLD.lens,
        descriptions,
        shown,
        group=np.arange(WORLD.words),
        measured=measured,
        level=0.05,
        reading_reliability=0.9,
        words=4,
        **settings | changes,
    )


def test_a_voxel_has_the_words_that_the_half_lists():
    features = gather()
    assert features["profile"].sel(voxel=0).values[0] == PREFERRED


def test_a_voxel_without_a_listed_word_is_left_out():
    assert gather()["voxel"].values.tolist() == [0]


def test_words_that_are_not_listed_are_none():
    profile = gather()["profile"].values
    listed = profile >= 0
    assert (np.diff(listed.astype(int), axis=1) <= 0).all() and listed[:, 0].all()


def test_descriptions_say_only_words_above_their_base_rate():
    features = gather()
    said = features["description"].isel(draw=0).sel(condition="description", voxel=0).values
    shows = (WORLD.content == PREFERRED).any(axis=1)
    assert (said[shows, 0] == PREFERRED).all()
    assert ((said >= -1) & (said < WORLD.words)).all()


def test_of_the_attribution_only_clear_words_are_tested_and_of_controls_all():
    every, few, none = gather(), gather(clear=0.5), gather(clear=1.1)
    for condition in ("random", "lowest"):
        for other in (few, none):
            expected = every["description"].sel(condition=condition)
            xr.testing.assert_equal(other["description"].sel(condition=condition), expected)
    said, fewer, silent = (
        (each["description"].sel(condition="description").values >= 0).sum()
        for each in (every, few, none)
    )
    assert said > fewer > silent == 0


def test_tokens_described_are_those_of_the_attributions():
    features = gather()
    token = features["token"].isel(draw=0).sel(condition="description", voxel=0).values
    image = int(np.flatnonzero((WORLD.content == PREFERRED).any(axis=1))[0])
    kept = token[image][token[image] >= 0]
    assert set(kept) <= set(np.flatnonzero(WORLD.content[image] == PREFERRED))


def test_positions_are_the_halfs_own():
    features = gather()
    expected = make_half()[0]["position_map"].sel(sign="positive").values[:1]
    assert features["position_map"].values == pytest.approx(expected)


def test_draws_differ_in_the_random_control_alone():
    token = gather()["token"]
    for condition in ("description", "lowest"):
        first, second = token.sel(condition=condition).values
        np.testing.assert_array_equal(first, second)
    first, second = token.sel(condition="random").values
    assert (first != second).any(axis=-1).mean() > 0.9


def test_words_that_repeat_an_earlier_one_are_left_out():
    text = np.eye(WORLD.words)
    whole, bare = gather(text=text), gather(text=np.ones_like(text) / np.sqrt(WORLD.words))
    for name in ("profile", "description"):
        np.testing.assert_array_equal(bare[name].values[..., 0], whole[name].values[..., 0])
        assert (bare[name].values[..., 1:] == -1).all()
    assert (whole["description"].values[..., 1] >= 0).any()
