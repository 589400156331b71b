"""A profile finds what is planted, and finds nothing where nothing is."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from mine.core.encoder import position_basis, weights_from_dataset
from mine.core.evidence import leave_out_words, pair_lens, score_words
from mine.core.lens import word_mass
from mine.core.splits import split_halves
from mine.stages.attributions import attribute
from mine.stages.profiles import (
    REASONS,
    build_profiles,
    embed_profiles,
    judge_voxels,
    measure_reliability,
    measure_specificity,
    qualify_voxels,
)
from mine.statistics.multiple_comparisons import benjamini_hochberg
from mine.statistics.permutation import sign_flip_bound
from mine.statistics.scores import correlate_rows
from tests.reference.fits import fit_subject
from tests.reference.readings import (
    COLUMNS,
    ROWS,
    TOKENS,
    blob_maps,
    make_attributions,
    make_world,
)

LEVEL = 0.05


def most(count: int, rate: float = LEVEL) -> float:
    """The largest count that a rate still explains, at one in a thousand."""
    return stats.binom.ppf(0.999, count, rate)


# --- the bound of the sign-flip test ---


@pytest.mark.parametrize("images", [1, 2, 3, 5, 8, 12])
def test_bound_is_never_below_the_exact_probability(images):
    random = np.random.default_rng(images)
    signs = np.array(list(itertools.product((1, -1), repeat=images)), dtype=float)
    draws = np.concatenate(
        [
            random.normal(size=(100, images)),
            random.standard_cauchy((100, images)),
            random.choice([1.0, -1.0], (50, images)),
            random.exponential(size=(50, images)) * (random.random((50, images)) < 0.5),
            np.ones((1, images)),
        ]
    )
    draws = draws[np.abs(draws).sum(axis=1) > 0]
    sums = draws @ signs.T
    # Sums that differ by rounding alone are ties.
    exact = (sums >= draws.sum(axis=1, keepdims=True) * (1 - 1e-12) - 1e-12).mean(axis=1)
    z = draws.sum(axis=1) / np.sqrt(np.square(draws).sum(axis=1))
    assert (sign_flip_bound(z) >= exact - 1e-9).all()


def test_bound_falls_with_z_and_is_a_probability():
    z = np.linspace(-5, 40, 2000)
    p = sign_flip_bound(z)
    assert (np.diff(p) <= 0).all() and (p[z <= 0] == 1).all()
    assert ((p >= 0) & (p <= 1)).all() and p[-1] < 1e-100
    # It is not so far above the normal tail as to find nothing.
    assert (p[z > 1.5] <= 4 * stats.norm.sf(z[z > 1.5]) + 1e-300).all()


# --- scores of words ---


def literal_scores(maps, world, group):
    """d_n(w) of the module's docstring, one number at a time, and the word masses."""
    voxels, images, _ = maps.shape
    groups = group.max() + 1
    lens = [
        word_mass(world.lens["word"].values[n], world.lens["score"].values[n], words=world.words)
        for n in range(images)
    ]
    d, within = np.zeros((2, voxels, images, groups))
    mass = np.zeros((voxels, world.words))
    for voxel in range(voxels):
        for n in range(images):
            others = [maps[voxel, m] for m in range(images) if m != n]
            null = sum(others) / len(others)
            shifted = np.full(TOKENS, maps[voxel, n].mean())
            for g in range(groups):
                reading = lens[n][:, group == g].sum(axis=1)
                d[voxel, n, g] = ((maps[voxel, n] - null) * reading).sum()
                within[voxel, n, g] = ((maps[voxel, n] - shifted) * reading).sum()
            mass[voxel] += maps[voxel, n] @ lens[n]
    return d, within, mass


@pytest.mark.parametrize(
    ("sign", "memory_bytes"), [("positive", 2**28), ("negative", 2**28), ("positive", 1)]
)
def test_scores_equal_a_literal_loop(sign, memory_bytes):
    world = make_world(7, objects=4, backgrounds=2, distractors=3)
    group = np.array([0, 1, 2, 0, 3, 4, 2, 5, 5])
    maps = blob_maps(3, 7) - blob_maps(3, 7, seed=1)
    options = {"sign": sign, "memory_bytes": memory_bytes}
    scores = score_words(make_attributions(maps), world.lens, group, **options)
    part = np.maximum(maps if sign == "positive" else -maps, 0)
    d, within, mass = literal_scores(part, world, group)
    for found, terms in ((scores.z, d), (scores.z_within, within)):
        z = terms.sum(axis=1) / np.sqrt(np.square(terms).sum(axis=1))
        np.testing.assert_allclose(found, z, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(scores.effect, d.mean(axis=1), rtol=1e-3, atol=1e-4)
    # All images, and without each of three parts of them.
    part = np.array([0, 1, 2, 0, 2, 0, 1])
    pairs = pair_lens(world.lens, group)
    without = leave_out_words(make_attributions(maps), pairs, part, groups=6, sign=sign)
    for found, kept in zip(without, [part >= 0, *(part != left for left in range(3))], strict=True):
        terms = d[:, kept]
        z = terms.sum(axis=1) / np.sqrt(np.square(terms).sum(axis=1))
        np.testing.assert_allclose(found, z, rtol=2e-3, atol=2e-3)
    for voxel in range(3):
        for g in range(6):
            members = np.flatnonzero(group == g)
            assert scores.name[voxel, g] == members[np.argmax(mass[voxel, members])]


def test_mean_over_torus_shifts_is_the_null_within_an_image():
    """The docstring's null within images is every shift of the map on the torus, taken together."""
    values = blob_maps(1, 1)[0, 0].reshape(ROWS, COLUMNS)
    shifts = [
        np.roll(values, (row, column), axis=(0, 1))
        for row in range(ROWS)
        for column in range(COLUMNS)
    ]
    np.testing.assert_allclose(np.mean(shifts, axis=0), values.mean())


def test_scores_do_not_depend_on_the_unit_of_the_response():
    world, maps = make_world(12), blob_maps(3, 12)
    group = np.arange(world.words)
    first = score_words(make_attributions(maps), world.lens, group)
    tenth = score_words(make_attributions(maps / 10), world.lens, group)
    np.testing.assert_allclose(first.z, tenth.z, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(first.effect / 10, tenth.effect, rtol=1e-3, atol=1e-6)


def test_a_map_that_is_the_same_in_every_image_says_nothing():
    world = make_world(30)
    maps = np.tile(blob_maps(4, 1), (1, 30, 1))
    scores = score_words(make_attributions(maps), world.lens, np.arange(world.words))
    assert np.abs(scores.z).max() < 1 and np.abs(scores.effect).max() < 1e-5


def test_voxel_without_attribution_scores_nothing():
    world, maps = make_world(10), blob_maps(3, 10)
    maps[1] = 0
    for sign in ("positive", "negative"):
        scores = score_words(make_attributions(maps), world.lens, np.arange(world.words), sign=sign)
        assert not scores.z[1].any() and not scores.effect[1].any()
        assert np.isfinite(scores.z).all()
        assert (sign_flip_bound(scores.z[1]) == 1).all()


def test_without_voxels_there_is_nothing_to_score():
    world = make_world(10)
    nothing = make_attributions(blob_maps(1, 10)).isel(voxel=slice(0))
    scores = score_words(nothing, world.lens, np.arange(world.words))
    assert scores.z.shape == scores.effect.shape == scores.name.shape == (0, world.words)


def q_values(scores):
    return benjamini_hochberg(sign_flip_bound(scores.z), axis=1)


def test_planted_words_come_first_and_are_significant():
    world = make_world(120, seed=2)
    maps = 0.3 * blob_maps(8, 120)
    for voxel in range(8):
        maps[voxel][world.content == voxel] += 1.0
    scores = score_words(make_attributions(maps, kept=13), world.lens, np.arange(world.words))
    assert scores.z.argmax(axis=1).tolist() == list(range(8))
    assert (q_values(scores)[np.arange(8), np.arange(8)] <= LEVEL).all()
    # What is never shown, and what is not planted, stays out.
    assert (q_values(scores)[:, 12:] > LEVEL).mean() > 0.99


@pytest.mark.parametrize("placed", ["anywhere", "in one place"])
def test_maps_that_know_nothing_of_the_images_give_words_at_the_stated_rate(placed):
    world, maps = make_world(150, seed=3), blob_maps(200, 150, seed=3)
    if placed == "in one place":
        row, column = np.divmod(np.arange(TOKENS), COLUMNS)
        maps *= np.exp(-((row - 3) ** 2 + (column - 3) ** 2) / 8)
    scores = score_words(make_attributions(maps, kept=13), world.lens, np.arange(world.words))
    assert (q_values(scores) <= LEVEL).any(axis=1).sum() <= most(200)


def test_maps_exchanged_between_images_give_words_at_the_stated_rate():
    """The very maps that find their word where they belong find none elsewhere."""
    world, random = make_world(150, seed=4), np.random.default_rng(4)
    maps = np.zeros((200, 150, TOKENS))
    for voxel in range(200):
        own = 0.3 * blob_maps(1, 150, seed=voxel)[0] + (world.content == voxel % 12)
        maps[voxel] = random.permutation(own)
    scores = score_words(make_attributions(maps, kept=13), world.lens, np.arange(world.words))
    assert (q_values(scores) <= LEVEL).any(axis=1).sum() <= most(200)


def test_features_that_fill_the_image_survive():
    world = make_world(150, seed=5)
    maps = 0.3 * blob_maps(4, 150)
    for voxel in range(4):
        shown = (world.content == 8 + voxel).mean(axis=1) > 0.2
        maps[voxel][shown] += 0.5
    scores = score_words(make_attributions(maps), world.lens, np.arange(world.words))
    assert scores.z.argmax(axis=1).tolist() == [8, 9, 10, 11]
    assert (q_values(scores)[np.arange(4), np.arange(8, 12)] <= LEVEL).all()
    # Within images they look like nothing, since the map covers what is there and all the rest.
    own = np.arange(4), np.arange(8, 12)
    assert (scores.z_within[own] < scores.z[own] / 2).all()


def test_suppressed_words_come_from_negative_attributions():
    world = make_world(120, seed=6)
    maps = 0.2 * (blob_maps(4, 120) - blob_maps(4, 120, seed=1))
    for voxel in range(4):
        maps[voxel][world.content == voxel] += 1.0
        maps[voxel][world.content == voxel + 4] -= 1.0
    attributions, group = make_attributions(maps, kept=13), np.arange(world.words)
    driving = score_words(attributions, world.lens, group)
    suppressing = score_words(attributions, world.lens, group, sign="negative")
    assert driving.z.argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert suppressing.z.argmax(axis=1).tolist() == [4, 5, 6, 7]
    assert (q_values(suppressing)[np.arange(4), np.arange(4, 8)] <= LEVEL).all()
    assert (suppressing.effect[np.arange(4), np.arange(4, 8)] > 0).all()


# --- reliability ---


def test_correlations_of_rows_equal_numpy_s():
    random = np.random.default_rng(0)
    first, second = random.normal(size=(4, 9)), random.normal(size=(5, 9))
    expected = np.corrcoef(first, second)[:4, 4:]
    np.testing.assert_allclose(correlate_rows(first, second), expected)
    first[2] = 3.0
    assert np.isnan(correlate_rows(first, second)[2]).all()


@pytest.mark.parametrize("shared", [0.0, 1.0], ids=["independent", "with what all voxels share"])
def test_halves_that_learned_nothing_agree_at_the_stated_rate(shared):
    random = np.random.default_rng(0)
    common = shared * random.normal(size=40)
    draws = [common + random.normal(size=(400, 40)) for _ in range(4)]
    _, p = measure_reliability(tuple(draws[:2]), tuple(draws[2:]))
    for level in (0.05, 0.2, 0.5):
        low, high = stats.binom.ppf([0.001, 0.999], 400, level)
        assert low <= (p <= level).sum() <= high


def test_halves_that_learned_the_same_agree():
    random = np.random.default_rng(1)
    own = 3 * random.normal(size=(50, 40))
    halves = tuple(own + random.normal(size=own.shape) for _ in range(2))
    shuffled = tuple(random.normal(size=(200, 40)) for _ in range(2))
    agreement, p = measure_reliability(halves, shuffled)
    expected = [np.corrcoef(*rows)[0, 1] for rows in zip(*halves, strict=True)]
    np.testing.assert_allclose(agreement, expected)
    assert (p <= 1e-3).all()


def test_probability_of_an_agreement_counts_the_null_at_or_above_it():
    random = np.random.default_rng(2)
    halves = tuple(random.normal(size=(6, 20)) for _ in range(2))
    shuffled = tuple(random.normal(size=(9, 20)) for _ in range(2))
    agreement, p = measure_reliability(halves, shuffled)
    null = [np.corrcoef(a, b)[0, 1] for a in shuffled[0] for b in shuffled[1]]
    expected = [(1 + sum(value >= r for value in null)) / (1 + len(null)) for r in agreement]
    np.testing.assert_allclose(p, expected)


def test_empty_profile_agrees_with_nothing():
    random = np.random.default_rng(3)
    halves = tuple(random.normal(size=(3, 20)) for _ in range(2))
    halves[1][1] = 0
    shuffled = tuple(random.normal(size=(9, 20)) for _ in range(2))
    shuffled[0][4] = 0
    agreement, p = measure_reliability(halves, shuffled)
    assert agreement[1] == 0 and p[1] == 1 and (p[[0, 2]] < 1).all()


# --- judgement ---


def test_the_first_condition_that_fails_is_the_reason():
    cases = list(itertools.product((True, False), repeat=4))
    held = {
        name: np.array(column)
        for name, column in zip(
            ("predicted", "semantic", "reliable", "significant"),
            zip(*cases, strict=True),
            strict=True,
        )
    }
    reasons = judge_voxels(**held)
    order = dict(zip(held, REASONS[:-1], strict=True))
    for index, case in enumerate(cases):
        failed = [order[name] for name, holds in zip(held, case, strict=True) if not holds]
        assert reasons[index] == (failed[0] if failed else "described")


def test_voxels_qualify_by_the_false_discovery_rate_over_all_of_them():
    random = np.random.default_rng(0)
    held_out_z = tuple(np.append(np.full(50, 4.0), random.normal(size=950)) for _ in range(2))
    semantic_p = np.concatenate([random.random(950), np.full(50, 1e-6)])
    predicted, semantic = qualify_voxels(held_out_z, semantic_p, false_discovery_rate=LEVEL)
    predicted_p = stats.norm.sf(np.mean(held_out_z, axis=0))
    np.testing.assert_array_equal(predicted, stats.false_discovery_control(predicted_p) <= LEVEL)
    np.testing.assert_array_equal(semantic, stats.false_discovery_control(semantic_p) <= LEVEL)
    assert predicted[:50].all() and semantic[-50:].all()


def test_halves_that_go_together_under_the_null_predict_no_more_than_the_stated_rate():
    random = np.random.default_rng(0)
    found = []
    for _ in range(400):
        z = random.normal(size=100)
        predicted, _ = qualify_voxels((z, z), np.ones(100), false_discovery_rate=LEVEL)
        found.append(predicted.any())
    assert np.mean(found) <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / 400)


def test_specificity_is_one_less_the_correlation_with_the_others():
    z = np.random.default_rng(0).normal(size=(5, 30))
    found = measure_specificity(z)
    for voxel in range(5):
        others = np.delete(z, voxel, axis=0).mean(axis=0)
        assert found[voxel] == pytest.approx(1 - np.corrcoef(z[voxel], others)[0, 1])
    twins = np.tile(z[:1], (4, 1))
    np.testing.assert_allclose(measure_specificity(twins), 0, atol=1e-9)


def test_what_is_asked_of_each_voxel_makes_no_table_of_pairs():
    z = np.random.default_rng(0).normal(size=(2000, 4))
    measures = [lambda: measure_specificity(z), lambda: measure_reliability((z, z), (z[:9], z[:9]))]
    for measure in measures:
        tracemalloc.start()
        try:
            measure()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 8 * len(z) ** 2 / 10


def test_profile_in_text_space_points_at_its_words():
    world = make_world(100, seed=8)
    maps = 0.1 * blob_maps(3, 100)
    for voxel in range(3):
        maps[voxel][world.content == voxel] += 1.0
    maps[2] = 0
    text = np.eye(world.words, dtype=np.float32)
    scores = score_words(make_attributions(maps), world.lens, np.arange(world.words))
    embedded = embed_profiles(scores, text)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), [1, 1, 0], rtol=1e-5)
    assert embedded[:2].argmax(axis=1).tolist() == [0, 1]
    assert (embedded >= 0).all()


# --- the stage ---

FITS = ("all", "first_half", "second_half", "first_half_shuffled", "second_half_shuffled")


def build(
    attributions,
    lenses,
    world,
    *,
    measured=None,
    measured_lens=None,
    text=None,
    predicted=True,
    semantic=True,
    **options,
):
    voxels = attributions["all"].sizes["voxel"]
    settings = {"false_discovery_rate": LEVEL, "words": 6, "exemplars": 3}
    settings |= {"reading_reliability": 0.9, "in_list": None} | options
    return build_profiles(
        attributions,
        lenses,
        measured=attributions["all"]["prediction"].values.T if measured is None else measured,
        measured_lens=lenses["all"] if measured_lens is None else measured_lens,
        text=np.eye(world.words, dtype=np.float32) if text is None else text,
        group=np.arange(world.words),
        predicted=np.broadcast_to(predicted, voxels),
        semantic=np.broadcast_to(semantic, voxels),
        **settings,
    )


def planted_profiles(**options) -> xr.Dataset:
    """Eight voxels that read an object each, four of noise, one without any attribution."""
    world, attributions, lenses = make_world(400, seed=9), {}, {}
    for number, fit in enumerate(FITS):
        images = np.arange(400) if fit == "all" else np.arange(number % 2, 400, 2)
        maps = 0.5 * blob_maps(13, len(images), seed=number)
        if not fit.endswith("_shuffled"):
            for voxel in range(8):
                maps[voxel][world.content[images] == voxel] += 1.0
        maps[12] = 0
        attributions[fit] = make_attributions(maps, kept=13).assign_coords(
            image=images, voxel=100 + np.arange(13)
        )
        lenses[fit] = world.lens.isel(image=images)
    return build(attributions, lenses, world, **options)


def test_planted_voxels_are_described_and_others_are_not():
    profiles = planted_profiles()
    assert profiles["described"].values[:8].all()
    assert profiles["word"].sel(sign="positive").values[:8, 0].tolist() == list(range(8))
    assert (profiles["reason"].values[:8] == "described").all()
    assert profiles["described"].values[8:].sum() <= 1
    assert profiles["reason"].values[12] == "no reliable profile"
    assert set(profiles["reason"].values) <= set(REASONS)


def test_what_is_not_predicted_or_not_semantic_is_not_described():
    predicted, semantic = np.ones((2, 13), dtype=bool)
    predicted[[0, 2]] = semantic[[1, 2]] = False
    profiles = planted_profiles(predicted=predicted, semantic=semantic)
    expected = ["not predicted", "retinotopic", "not predicted", "described"]
    assert profiles["reason"].values[:4].tolist() == expected
    np.testing.assert_array_equal(profiles["described"], profiles["reason"] == "described")


def test_store_of_profiles_holds_what_it_says():
    profiles = planted_profiles()
    assert profiles.sizes["rank"] == 6 and profiles.sizes["exemplar"] == 3
    assert profiles["voxel"].values.tolist() == list(range(100, 113))
    z, q = profiles["z"].values, profiles["q"].values
    for index in np.ndindex(z.shape[:2]):
        # What is listed comes first; what was not asked comes last, by evidence.
        listed, added = profiles["listed"].values[index], profiles["added"].values[index]
        assert (np.diff(listed.astype(int)) <= 0).all()
        assert (np.diff(np.isfinite(added).astype(int)) <= 0).all()
        assert (profiles["added_p"].values[index][listed] <= LEVEL).all()
        assert (added[listed] > 0).all() and (~listed[0] or q[index][0] <= LEVEL)
        assert (np.diff(z[index][~np.isfinite(added)]) <= 0).all()
    position = profiles["position_map"]
    assert position.dims == ("voxel", "row", "column") and position.shape == (13, ROWS, COLUMNS)
    np.testing.assert_allclose(position.sum(("row", "column")), [1] * 12 + [0], rtol=1e-5)
    # Each word is a group of its own here.
    every = profiles["group_z"].sel(fit="all").values
    word = profiles["word"].sel(sign="positive").values
    np.testing.assert_allclose(np.take_along_axis(every, word, axis=1), z[0])
    assert profiles["group_z"].sizes["fit"] == 3
    may_lack = ("specificity", "added", "added_p")
    numbers = [v for v in profiles.data_vars.values() if v.dtype.kind == "f"]
    assert all(np.isfinite(v.values).all() for v in numbers if v.name not in may_lack)


def test_store_of_profiles_has_the_words_of_named_lists_and_nothing_of_them_without():
    names = ["first", "second"]
    words = np.arange(make_world(1, seed=9).words)
    members = np.stack([np.isin(words, own) for own in ([2, 3], [5, 9])])
    in_list = xr.DataArray(members, dims=("list", "word"), coords={"list": names})
    found, plain = planted_profiles(in_list=in_list), planted_profiles()
    assert found["list"].values.tolist() == names
    assert found["list_word"].dims == ("list", "voxel") and found["list_listed"].dtype == bool
    assert found["list_word"].sel(list="first").values[[2, 3]].tolist() == [2, 3]
    assert found["list_word"].sel(list="second").values[5] == 5
    assert found["list_listed"].values[[0, 0, 1], [2, 3, 5]].all()
    p, listed = found["list_added_p"].values, found["list_listed"].values
    assert (p[listed] <= LEVEL).all() and (found["list_added"].values[listed] > 0).all()
    assert (found["list_word"].values[:, 12] == -1).all() and np.isnan(p[:, 12]).all()
    assert not any("list" in plain[name].dims for name in plain.variables)
    for name in plain.variables:
        xr.testing.assert_identical(found[name], plain[name])


def test_a_place_is_preferred_by_what_drives_there_and_not_by_what_suppresses():
    world, maps = make_world(60), blob_maps(3, 60) - 0.7 * blob_maps(3, 60, seed=1)
    attributions = dict.fromkeys(FITS, make_attributions(maps))
    profiles = build(attributions, dict.fromkeys(FITS, world.lens), world)
    driving = np.maximum(maps, 0).sum(axis=1)
    expected = (driving / driving.sum(axis=1, keepdims=True)).reshape(3, ROWS, COLUMNS)
    np.testing.assert_allclose(profiles["position_map"], expected, rtol=1e-4, atol=1e-7)


def test_profiles_are_reliable_whose_p_is_within_the_level_of_all_that_is_reported():
    p = planted_profiles()["reliability_p"].values
    among_noise = np.sort(p[8:12])[0]
    for level in (1.01 * among_noise, 0.9 * among_noise):
        found = planted_profiles(false_discovery_rate=level)
        np.testing.assert_array_equal(found["reliability_p"], p)
        unreliable = found["reason"].values == "no reliable profile"
        np.testing.assert_array_equal(unreliable, p > level)


def test_exemplars_are_the_images_of_largest_prediction():
    world = make_world(30)
    attributions = {fit: make_attributions(blob_maps(3, 30)) for fit in FITS}
    prediction = np.random.default_rng(0).normal(size=(3, 30))
    attributions["all"]["prediction"].values[:] = prediction
    attributions = {
        fit: d.assign_coords(image=np.arange(500, 530)) for fit, d in attributions.items()
    }
    exemplar = build(attributions, dict.fromkeys(FITS, world.lens), world)["exemplar"].values
    for voxel in range(3):
        assert exemplar[voxel].tolist() == (500 + np.argsort(-prediction[voxel])[:3]).tolist()


def test_images_that_were_attributed_and_those_that_were_measured_are_counted_apart():
    world = make_world(30)
    attributions = {fit: make_attributions(blob_maps(3, 30)) for fit in FITS}
    lenses = dict.fromkeys(FITS, world.lens)
    measured = np.random.default_rng(0).normal(size=(12, 3))
    profiles = build(
        attributions,
        lenses,
        world,
        measured=measured,
        measured_lens=world.lens.isel(image=slice(12)),
    )
    assert (profiles.attrs["images"], profiles.attrs["measured_images"]) == (30, 12)


# --- the stages together, on encoders that were fitted ---

PLANTED, NOISE = 16, 64


@pytest.fixture(scope="module")
def subject():
    """All fits of a small subject, attributed: voxels that read an object, and voxels of noise."""
    world, random = make_world(300, seed=12), np.random.default_rng(12)
    look = random.normal(size=(world.words, 24))
    # Tokens are smooth in space, as a network's are.
    tokens = look[world.content] + 0.5 * np.repeat(random.normal(size=(300, 16, 24)), 4, axis=1)
    tokens += 0.3 * random.normal(size=tokens.shape)
    tokens = (tokens - tokens.mean(-1, keepdims=True)) / tokens.std(-1, keepdims=True)
    tokens = tokens.astype(np.float32)
    responses = random.normal(size=(300, PLANTED + NOISE))
    for voxel in range(PLANTED):
        shown = (world.content == voxel % 8).any(axis=1)
        responses[:, voxel] += 1.5 * (shown - shown.mean()) / shown.std()
    responses = ((responses - responses.mean(0)) / responses.std(0)).astype(np.float32)
    images, phi = np.arange(300), position_basis(ROWS, COLUMNS, 2)
    fits, attributions, lenses = {}, {}, {}
    baseline = tokens.mean(axis=0)
    for fit in (*FITS, "all_random", "first_half_random", "second_half_random"):
        fits[fit] = fit_subject(
            tokens,
            responses,
            images,
            fit=fit,
            rows=ROWS,
            columns=COLUMNS,
            position_orders=2,
            validation_fraction=0.1,
            heads=2,
            head_width=12,
            permutations=500,
            seed=0,
            epochs=15,
            image_batch=16,
            rank=16,
            learning_rate=2e-2,
            averaging=0.9,
        )
        halves = dict(zip(("first", "second"), split_halves(images, seed=0), strict=True))
        own = halves.get(fit.split("_")[0], images)
        attributions[fit] = attribute(
            weights_from_dataset(fits[fit]),
            tokens[own],
            baseline,
            phi,
            nodes=6,
            tolerance=1e-2,
            maximum_nodes=12,
            token_fraction=0.2,
            voxel_batch=80,
            image_batch=50,
        ).assign_coords(voxel=np.arange(PLANTED + NOISE), image=own)
        lenses[fit] = world.lens.sel(image=own)
    return world, responses, fits, attributions, lenses


def judge(subject, *, suffix: str = "", predicted: np.ndarray | bool | None = None):
    """Profiles of the measured encoders, or with a suffix of a control's."""
    world, responses, fits, attributions, lenses = subject
    parts = {fit: fit for fit in FITS}
    parts |= {fit: fit + suffix for fit in ("first_half", "second_half")}
    if suffix == "_random":
        parts["all"] = "all_random"
    if predicted is None:
        z = tuple(fits[parts[half]]["held_out_z"].values for half in ("first_half", "second_half"))
        predicted, _ = qualify_voxels(z, np.ones(len(z[0])), false_discovery_rate=LEVEL)
    return build(
        {part: attributions[fit] for part, fit in parts.items()},
        {part: lenses[fit] for part, fit in parts.items()},
        world,
        measured=responses[lenses[parts["all"]]["image"].values],
        predicted=predicted,
    )


def test_fitted_encoders_describe_planted_voxels_by_their_word(subject):
    profiles = judge(subject).isel(voxel=slice(0, PLANTED))
    assert profiles["described"].mean() >= 0.8
    first = profiles["word"].sel(sign="positive").values[:, 0]
    assert (first == np.arange(PLANTED) % 8)[profiles["described"].values].mean() >= 0.9


def test_noise_voxels_are_described_at_no_more_than_the_stated_rate(subject):
    noise = judge(subject).isel(voxel=slice(PLANTED, None))
    assert int(noise["described"].sum()) <= most(NOISE)


def test_untrained_encoders_are_described_at_no_more_than_the_stated_rate(subject):
    profiles = judge(subject, suffix="_random")
    assert int(profiles["described"].sum()) <= most(PLANTED + NOISE)
    # They do give words, which is why words alone are not believed.
    q = profiles["q"].sel(sign="positive").values[:, 0]
    assert (q <= LEVEL).mean() > 0.5


def test_shuffled_responses_are_described_at_no_more_than_the_stated_rate(subject):
    profiles = judge(subject, suffix="_shuffled")
    assert int(profiles["described"].sum()) <= most(PLANTED + NOISE)
