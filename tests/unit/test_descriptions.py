"""Descriptions against a literal loop, and what their controls may not share with them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import xarray as xr

from mine.core.calibration import join_said
from mine.core.conditions import DESCRIPTIONS
from mine.core.lens import word_mass
from mine.stages.descriptions import describe_images, select_tokens
from tests.reference.readings import TOKENS, blob_maps, make_attributions, make_world

WORLD = make_world(6)
FRACTION, KEPT = 0.1, 6


def make_vocabulary(world=WORLD, *, group=None, seed=0) -> xr.Dataset:
    rate = np.random.default_rng(seed).dirichlet(np.ones(world.words)).astype(np.float32)
    group = np.arange(world.words) if group is None else group
    null = np.random.default_rng(seed + 1).random((2, group.max() + 1)).astype(np.float32)[:, group]
    return xr.Dataset(
        {
            "base_rate": (("word",), rate),
            "group": (("word",), group.astype(np.int32)),
            "null_mean": (("word",), 0.1 * null[0]),
            "null_deviation": (("word",), 0.05 + 0.1 * null[1]),
            "null_largest": (("shuffled",), np.linspace(0, 8, 99, dtype=np.float32)),
        },
        coords={"word": [f"word{index}" for index in range(world.words)]},
    )


def phrases(described: xr.Dataset) -> np.ndarray:
    return join_said(described, make_vocabulary()["word"].values)


def describe(attributions, vocabulary=None, *, world=WORLD, seed=0, **options) -> xr.Dataset:
    settings = {"token_fraction": FRACTION, "words": 5, "phrase_words": 3, "false_words": 1.0}
    return describe_images(
        attributions,
        world.lens,
        make_vocabulary(world) if vocabulary is None else vocabulary,
        generator=np.random.default_rng(seed),
        **(settings | options),
    )


def signed_maps(voxels: int = 4, images: int = 6, seed: int = 0) -> np.ndarray:
    return blob_maps(voxels, images, seed=seed) - 0.3 * blob_maps(voxels, images, seed=seed + 1)


def select(attributions, seed=0):
    """Each condition's tokens and weights, (voxel, image, rank), drawn image by image."""
    options = {"kept": KEPT, "tokens": TOKENS, "generator": np.random.default_rng(seed)}
    positive = attributions.sel(sign="positive")
    evidence = [positive[name].values for name in ("token", "attribution", "lowest")]
    drawn = [
        select_tokens(*(array[:, image] for array in evidence), **options)
        for image in range(attributions.sizes["image"])
    ]
    return {
        name: [
            np.stack(arrays, axis=1) for arrays in zip(*(each[name] for each in drawn), strict=True)
        ]
        for name in DESCRIPTIONS
    }


def test_top_tokens_are_the_strongest_positive_ones():
    maps = signed_maps()
    token, weight = select(make_attributions(maps, kept=13, lowest=13))["description"]
    for voxel in range(4):
        for image in range(6):
            values = maps[voxel, image]
            order = [t for t in np.argsort(-values, kind="stable")[:KEPT] if values[t] > 0]
            assert token[voxel, image][: len(order)].tolist() == order
            np.testing.assert_allclose(
                weight[voxel, image][: len(order)], values[order] / values[order].sum(), rtol=1e-5
            )
            assert not weight[voxel, image][len(order) :].any()


@pytest.mark.parametrize("case", ["blobs", "few positive, and weak", "none"])
def test_controls_share_no_token_with_the_top(case):
    maps = signed_maps(voxels=8)
    if case != "blobs":
        # All tokens suppress, and the few that drive are the weakest of all.
        maps = -1 - np.random.default_rng(0).random(maps.shape)
    if case == "few positive, and weak":
        maps[..., 3:9] = 1e-3
    selected = select(make_attributions(maps, kept=13, lowest=13))
    token, weight = selected["description"]
    for name in ("random", "lowest"):
        control, share = selected[name]
        assert control.shape == token.shape
        np.testing.assert_allclose(share.sum(axis=-1), 1, rtol=1e-5)
        for voxel in range(8):
            for image in range(6):
                top = set(token[voxel, image][weight[voxel, image] > 0])
                drawn = control[voxel, image][share[voxel, image] > 0].tolist()
                assert len(set(drawn)) == len(drawn)
                assert not top & set(drawn)


def test_control_without_a_token_left_weighs_nothing():
    maps = -1 - np.random.default_rng(0).random((2, 6, TOKENS))
    maps[..., 3:9] = 1e-3
    attributions = make_attributions(maps, kept=13, lowest=KEPT)
    assert not select(attributions)["lowest"][1].any()
    assert (phrases(describe(attributions).sel(condition="lowest")) == "").all()


def test_random_control_draws_every_other_token_alike():
    maps = np.tile(blob_maps(1, 1), (600, 1, 1))
    top, drawn = (select(make_attributions(maps, lowest=13))[n][0] for n in DESCRIPTIONS[:2])
    counts = np.bincount(drawn.ravel(), minlength=TOKENS)
    others = np.setdiff1d(np.arange(TOKENS), top)
    expected = 600 * KEPT / len(others)
    assert (np.abs(counts[others] - expected) < 5 * np.sqrt(expected)).all()


def test_lowest_control_takes_the_lowest_first():
    maps = signed_maps() + 1e-9
    token = select(make_attributions(maps, kept=13, lowest=13))["lowest"][0]
    top = select(make_attributions(maps, kept=13, lowest=13))["description"]
    for voxel in range(4):
        for image in range(6):
            used = set(top[0][voxel, image][top[1][voxel, image] > 0])
            order = np.argsort(np.abs(maps[voxel, image]), kind="stable")
            assert token[voxel, image].tolist() == [t for t in order if t not in used][:KEPT]


def test_memory_does_not_grow_with_the_tokens_of_all_images():
    attributions = make_attributions(blob_maps(100, 60), kept=1, lowest=1)
    options = {"world": make_world(60), "token_fraction": 1 / TOKENS, "words": 1, "phrase_words": 1}
    describe(attributions.isel(voxel=[0]), **options)
    tracemalloc.start()
    try:
        describe(attributions, **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * 60 * TOKENS * np.dtype(np.int64).itemsize


@pytest.mark.parametrize("unread", [0, 50])
@pytest.mark.parametrize("grouped", [False, True])
def test_weights_equal_a_literal_loop(grouped, unread):
    """Groups are named by their own rates, though others that nobody reads come before them."""
    own = np.arange(WORLD.words)
    own = np.random.default_rng(3).permutation(own % 11) if grouped else own
    lens = WORLD.lens.assign(word=WORLD.lens["word"] + unread)
    world = WORLD._replace(lens=lens, words=WORLD.words + unread)
    vocabulary = make_vocabulary(world, group=np.append(np.arange(unread), own + unread))
    attributions = make_attributions(signed_maps(), kept=13, lowest=13)
    described = describe(attributions, vocabulary, world=world)
    selected = select(attributions)
    group, rate = vocabulary["group"].values, vocabulary["base_rate"].values
    for index, condition in enumerate(DESCRIPTIONS):
        token, share = selected[condition]
        for voxel in range(4):
            for image in range(6):
                lens = world.lens.isel(image=image)
                probability = word_mass(lens["word"].values, lens["score"].values, words=len(group))
                mass = np.zeros(len(group))
                for t, part in zip(token[voxel, image], share[voxel, image], strict=True):
                    mass += part * probability[t]
                weights = [
                    float(mass[group == g].sum() - rate[group == g].sum())
                    for g in range(group.max() + 1)
                ]
                best = sorted(range(len(weights)), key=lambda g: -weights[g])[:5]
                here = described.isel(condition=index, voxel=voxel, image=image)
                np.testing.assert_allclose(
                    here["weight"], [weights[g] for g in best], rtol=1e-3, atol=1e-5
                )
                for rank, g in enumerate(best):
                    if weights[g] <= 0:
                        continue
                    members = np.flatnonzero(group == g)
                    assert here["word"].values[rank] == members[np.argmax(mass[members])]
                    given = [
                        part * probability[t][members].sum()
                        for t, part in zip(token[voxel, image], share[voxel, image], strict=True)
                    ]
                    chosen = token[voxel, image].tolist().index(here["patch"].values[rank])
                    assert given[chosen] == pytest.approx(max(given), rel=1e-3)


def test_planted_tokens_give_the_planted_word_and_its_patch():
    world = make_world(20, seed=1)
    voxels = 8
    maps = np.zeros((voxels, 20, TOKENS))
    for voxel in range(voxels):
        maps[voxel][world.content == voxel] = 1.0
    maps += 1e-4 * blob_maps(voxels, 20)
    described = describe(make_attributions(maps, kept=13, lowest=13), world=world)
    own = described.sel(condition="description")
    shown = np.stack([(world.content == voxel).sum(axis=1) >= KEPT for voxel in range(voxels)])
    assert shown.sum() > 20
    first = own["word"].values[..., 0]
    assert (first == np.arange(voxels)[:, None])[shown].all()
    at = world.content[np.arange(20)[None, :], own["patch"].values[..., 0]]
    assert (at == np.arange(voxels)[:, None])[shown].all()
    control = described.sel(condition=["random", "lowest"])["word"].values[..., 0]
    assert (control == np.arange(voxels)[:, None])[:, shown].mean() < 0.5


def test_phrase_joins_the_words_above_their_base_rate():
    described = describe(make_attributions(signed_maps(), kept=13, lowest=13))
    names = make_vocabulary()["word"].values
    joined = phrases(described)
    for index in np.ndindex(joined.shape):
        word, weight = described["word"].values[index][:3], described["weight"].values[index][:3]
        assert joined[index] == ", ".join(names[word[weight > 0]])


@pytest.mark.parametrize("grouped", [False, True])
def test_only_words_that_are_clear_where_they_are_read_best_are_said(grouped):
    group = np.random.default_rng(3).permutation(np.arange(WORLD.words) % 11) if grouped else None
    vocabulary = make_vocabulary(group=group)
    described = describe(
        make_attributions(signed_maps(), kept=13, lowest=13), vocabulary, false_words=0.3
    )
    names, group = vocabulary["word"].values, vocabulary["group"].values
    spoken = []
    joined = phrases(described)
    for condition, voxel, image in np.ndindex(joined.shape):
        here = described.isel(condition=condition, voxel=voxel, image=image)
        lens = WORLD.lens.isel(image=image)
        probability = word_mass(lens["word"].values, lens["score"].values, words=len(group))
        said = []
        for word, weight, chance, patch in zip(
            *(here[name].values for name in ("word", "weight", "chance", "patch")), strict=True
        ):
            own = probability[patch][group == group[word]].sum()
            null = vocabulary.isel(word=int(word))
            z = (own - float(null["null_mean"])) / float(null["null_deviation"])
            reached = (1 + sum(value >= z for value in null["null_largest"].values)) / 100
            assert chance == pytest.approx(reached, abs=0.011)
            if weight > 0 and chance <= 0.3:
                said.append(names[word])
        assert joined[condition, voxel, image] == phrases(here) == ", ".join(said[:3])
        spoken.append(len(said))
    assert min(spoken) <= 1 < max(spoken)


def test_words_come_best_first_and_each_group_once():
    group = np.arange(WORLD.words) // 2
    described = describe(
        make_attributions(signed_maps(), kept=13, lowest=13), make_vocabulary(group=group)
    )
    assert (np.diff(described["weight"].values, axis=-1) <= 0).all()
    groups = group[described["word"].values].reshape(-1, 5)
    assert all(len(set(row)) == 5 for row in groups.tolist())


def test_equal_seeds_give_equal_descriptions_and_others_other_controls():
    attributions = make_attributions(signed_maps(), kept=13, lowest=13)
    first, again, other = (describe(attributions, seed=seed) for seed in (0, 0, 1))
    xr.testing.assert_identical(first, again)
    for condition in ("description", "lowest"):
        xr.testing.assert_identical(first.sel(condition=condition), other.sel(condition=condition))
    assert (first["word"] != other["word"]).sel(condition="random").any()


def test_a_voxel_that_nothing_drives_is_described_by_no_word():
    described = describe(make_attributions(np.full((1, 6, TOKENS), -1.0), kept=13, lowest=13))
    assert (phrases(described.sel(condition="description")) == "").all()


def test_more_words_than_groups_are_not_asked_for():
    group = np.arange(WORLD.words) % 3
    attributions = make_attributions(signed_maps(), kept=13, lowest=13)
    assert describe(attributions, make_vocabulary(group=group)).sizes["rank"] == 3
