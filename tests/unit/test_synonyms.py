"""Groups of near-synonyms partition the words, and sums over them equal loops."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mine.core import synonyms
from mine.core.synonyms import (
    drop_repeats,
    find_bases,
    group_mass,
    group_synonyms,
    merge_inflections,
    name_as_listed,
    name_groups,
)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def random_groups(words: int = 12, groups: int = 5, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    group = np.concatenate([np.arange(groups), random.integers(0, groups, words - groups)])
    return random.permutation(group).astype(np.int32)


@pytest.mark.parametrize("cosine", [-1.0, 0.2, 0.7, 1.01])
def test_groups_partition_the_words(cosine):
    random = np.random.default_rng(0)
    text, rate = unit(random.normal(size=(40, 4))), random.random(40)
    group = group_synonyms(text, rate, cosine=cosine)
    assert group.shape == (40,) and group.dtype == np.int32
    assert set(group) == set(range(group.max() + 1))
    if cosine == -1.0:
        assert group.max() == 0
    if cosine > 1:
        assert group.max() == 39


def test_near_duplicates_merge_and_others_do_not():
    random = np.random.default_rng(1)
    concepts = unit(random.normal(size=(8, 64)))
    planted = np.repeat(np.arange(8), 3)
    text = unit(concepts[planted] + 0.02 * random.normal(size=(24, 64)))
    order = random.permutation(24)
    group = group_synonyms(text[order], random.random(24), cosine=0.9)
    same = group[:, None] == group[None, :]
    np.testing.assert_array_equal(same, planted[order][:, None] == planted[order][None, :])


def test_every_word_is_near_the_most_frequent_word_of_its_group():
    random = np.random.default_rng(2)
    text, rate = unit(random.normal(size=(60, 3))), random.random(60)
    group = group_synonyms(text, rate, cosine=0.8)
    leaders = []
    for index in range(group.max() + 1):
        members = np.flatnonzero(group == index)
        leader = members[np.argmax(rate[members])]
        assert (text[members] @ text[leader] >= 0.8 - 1e-9).all()
        leaders.append(leader)
    between = text[leaders] @ text[leaders].T
    np.fill_diagonal(between, -1)
    assert between.max() < 0.8


def test_groups_do_not_depend_on_the_order_of_the_words():
    random = np.random.default_rng(3)
    text, rate = unit(random.normal(size=(30, 3))), random.random(30)
    order = random.permutation(30)
    first, second = (group_synonyms(text, rate, cosine=0.7) for _ in range(2))
    moved = group_synonyms(text[order], rate[order], cosine=0.7)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(moved, first[order])


@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 4, 6)])
def test_mass_of_groups_equals_a_loop(shape):
    group, random = random_groups(), np.random.default_rng(1)
    word = np.argsort(random.random((*shape[:-1], 12)), axis=-1)[..., : shape[-1]]
    score = random.random(shape).astype(np.float16)
    mass = group_mass(word, score, group, 5)
    assert mass.shape == (*shape[:-1], 5) and mass.dtype == np.float32
    for index in range(5):
        expected = np.where(group[word] == index, score.astype(float), 0).sum(axis=-1)
        np.testing.assert_allclose(mass[..., index], expected, rtol=1e-6)


def test_groups_are_named_by_their_word_of_largest_mass():
    group = random_groups()
    mass = np.random.default_rng(2).random((7, 12))
    names = name_groups(mass, group, 5)
    assert names.dtype == np.int32 and names.shape == (7, 5)
    for row in range(7):
        for index in range(5):
            members = [word for word in range(12) if group[word] == index]
            assert names[row, index] == max(members, key=lambda word: mass[row, word])


def test_a_group_without_mass_is_still_named_by_a_member():
    group = random_groups()
    names = name_groups(np.zeros((2, 12)), group, 5)
    np.testing.assert_array_equal(group[names], np.tile(np.arange(5), (2, 1)))


@pytest.mark.parametrize("cosine", [0.0, 0.3, 0.8, 1.01])
def test_lists_without_repeats_equal_a_loop(cosine):
    random = np.random.default_rng(3)
    text = unit(random.normal(size=(30, 4)))
    lists = random.integers(-1, 30, (5, 7, 6))
    found = drop_repeats(lists, text, cosine=cosine)
    for index in np.ndindex(5, 7):
        kept: list[int] = []
        for word in lists[index]:
            if word >= 0 and all(text[word] @ text[other] < cosine for other in kept):
                kept.append(int(word))
        assert found[index].tolist() == kept + [-1] * (6 - len(kept))


def test_a_word_is_not_dropped_for_one_that_was_dropped_itself():
    angle = np.radians([0, 30, 60])
    text = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert drop_repeats(np.array([0, 1, 2]), text, cosine=0.8).tolist() == [0, 2, -1]


def group_by_a_literal_loop(text, rate, cosine):
    group, leaders = np.empty(len(text), int), []
    for word in np.argsort(-rate, kind="stable"):
        cosines = [float(text[word] @ text[leader]) for leader in leaders]
        if cosines and max(cosines) >= cosine:
            group[word] = int(np.argmax(cosines))
        else:
            group[word] = len(leaders)
            leaders.append(word)
    return group


@pytest.mark.parametrize("block", [1, 7, 512])
def test_blocks_of_words_change_no_group(monkeypatch, block):
    random = np.random.default_rng(4)
    text, rate = unit(random.normal(size=(90, 3))), random.random(90)
    expected = group_by_a_literal_loop(text, rate, 0.9)
    monkeypatch.setattr(synonyms, "BLOCK", block)
    np.testing.assert_array_equal(group_synonyms(text, rate, cosine=0.9), expected)
    assert 5 < expected.max() < 80


@pytest.mark.parametrize(
    ("form", "base"),
    [
        ("cars", "car"),
        ("boxes", "box"),
        ("churches", "church"),
        ("horses", "horse"),
        ("babies", "baby"),
        ("women", "woman"),
        ("knives", "knife"),
        ("children", "child"),
        ("makes", "make"),
        ("baked", "bake"),
        ("walked", "walk"),
        ("riding", "ride"),
        ("running", "run"),
        ("stopped", "stop"),
    ],
)
def test_inflections_are_found(form, base):
    assert find_bases([base, form, "sky"]) == {1: {0}}


def test_words_that_only_look_like_inflections_are_none():
    assert find_bases(["wing", "w", "gas", "ga", "red", "r", "bus", "glass", "kiss"]) == {2: {3}}
    # Of two bases both may be; their embeddings decide.
    assert find_bases(["leaf", "leave", "leaves"]) == {2: {0, 1}}


def test_a_form_is_merged_with_its_base_where_nothing_is_nearer():
    random = np.random.default_rng(5)
    concept = {name: unit(random.normal(size=32)) for name in ("car", "new", "paper", "leaf", "go")}

    def near(name, noise, seed):
        return unit(concept[name] + noise * unit(np.random.default_rng(seed).normal(size=32)))

    words = {
        "car": concept["car"],
        "cars": near("car", 0.9, 1),
        "new": concept["new"],
        "news": near("paper", 0.3, 2),
        "paper": concept["paper"],
        "leaf": concept["leaf"],
        "leave": concept["go"],
        "leaves": near("leaf", 0.5, 3),
        "leaved": near("leaf", 0.5, 4),
    }
    names, text = list(words), np.array(list(words.values()))
    root = merge_inflections(names, text)
    merged = {name: names[root[place]] for place, name in enumerate(names) if root[place] != place}
    assert merged == {"cars": "car", "leaves": "leaf"}
    rate = random.random(len(names))
    group = group_synonyms(text, rate, cosine=0.99, root=root)
    same = group[:, None] == group[None, :]
    np.testing.assert_array_equal(same, root[:, None] == root[None, :])


def test_a_form_counts_for_its_base():
    angle = np.radians([0, 40, 10, -10])
    text = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    # Both others are near the base, so that it founds their group only where it comes first.
    rate, cosine = np.array([0.2, 0.2, 0.3, 0.1]), np.cos(np.radians(12))
    together = group_synonyms(text, rate, cosine=cosine, root=np.array([0, 0, 2, 3]))
    assert together.tolist() == [0, 0, 0, 0]
    assert len(set(group_synonyms(text, rate, cosine=cosine)[[0, 2, 3]])) == 2


def test_forms_of_forms_end_at_the_first_base():
    text = unit(np.array([[1.0, 0.0, 0.1], [1.0, 0.1, 0.0], [1.0, 0.12, 0.0], [0.0, 1.0, 0.0]]))
    root = merge_inflections(["paint", "painting", "paintings", "sky"], text)
    assert root.tolist() == [0, 0, 0, 3]


def test_a_group_goes_by_the_word_that_most_described_voxels_list():
    random, group = np.random.default_rng(0), random_groups(words=30, groups=8)
    shape = 2, 40, 5
    regions = [
        xr.Dataset(
            {
                # The groups of the last words are listed nowhere.
                "word": (("sign", "voxel", "rank"), random.integers(0, 6, shape)),
                "listed": (("sign", "voxel", "rank"), random.random(shape) < 0.5),
                "described": ("voxel", random.random(40) < 0.5),
            },
            coords={"sign": ["positive", "negative"]},
        )
        for _ in range(2)
    ]
    votes = [
        int(word)
        for region in regions
        for voxel in range(40)
        for word, listed in zip(
            region["word"].values[0, voxel], region["listed"].values[0, voxel], strict=True
        )
        if listed and region["described"].values[voxel]
    ]
    name = name_as_listed(regions, group)
    for word in range(30):
        own = [vote for vote in votes if group[vote] == group[word]]
        most = max(sorted(set(own)), key=own.count) if own else word
        assert name[word] == most
    assert len(set(name)) > 8 and (name != np.arange(30)).any()
