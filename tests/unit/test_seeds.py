"""Laws of the agreement of profiles between random starts."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import numpy as np
import pytest
import scipy.stats
import xarray as xr
from scipy.stats import spearmanr

from mine.core.evidence import leave_out_words, map_attributions, pair_lens, score_words
from mine.logging import Progress
from mine.stages.seeds import TEXTS, compare_seeds, tabulate_seeds
from mine.statistics.jackknife import divide_images
from tests.reference.readings import blob_maps, make_attributions, make_world

VOXELS, IMAGES = 6, 60
CEILING = np.array([0.1, 0.4, 0.5, 0.6, 0.7, 0.8])
DATA_SETS = 100
WORLD = make_world(IMAGES, seed=2)
GROUP = np.arange(WORLD.words)
PART = divide_images(IMAGES, generator=np.random.default_rng(3), parts=20)


def draw_starts(count: int = 3, *, noise: float = 1.0, empty: bool = False) -> list[xr.Dataset]:
    """Attributions to a word of each voxel's own, with blobs that differ between the starts."""
    starts = []
    for start in range(count):
        maps = noise * blob_maps(VOXELS, IMAGES, seed=start)
        for voxel in range(VOXELS):
            maps[voxel][WORLD.content == voxel] += 1.0
        if empty:
            maps[2] = 0
        starts.append(make_attributions(maps))
    return starts


def compare(starts: list[xr.Dataset], **options: object) -> xr.Dataset:
    given = {"noise_ceiling": CEILING, "part": PART} | options
    return compare_seeds({"fitted": starts}, WORLD.lens, GROUP, **given).sel(kind="fitted")


def test_correlations_are_those_of_every_pair_of_starts():
    starts = draw_starts()
    found = compare(starts)
    z = [score_words(start, WORLD.lens, GROUP).z for start in starts]
    for voxel in range(VOXELS):
        own, others = [], []
        for a in range(3):
            for b in range(3):
                for other in range(VOXELS):
                    if a != b:
                        r = np.corrcoef(z[a][voxel], z[b][other])[0, 1]
                        (own if other == voxel else others).append(r)
        assert found["own"][voxel] == pytest.approx(np.mean(own), abs=1e-4)
        assert found["others"][voxel] == pytest.approx(np.mean(others), abs=1e-4)
    # Voxel 0 has too low a ceiling.
    assert found["voxels"] == 5
    for name in ("own", "others"):
        assert float(found[f"mean_{name}"]) == pytest.approx(float(found[name][1:].mean()))


def test_attributions_are_ranked_over_all_tokens_of_an_image():
    shape = (2, VOXELS, IMAGES, WORLD.lens.sizes["token"])
    noise = np.random.default_rng(4).normal(size=shape)
    # The weakest tokens of each sign are not stored, and count as 0.
    starts = [make_attributions(maps + noise[0], kept=15) for maps in noise]
    found = compare(starts)
    signed = np.zeros(shape)
    for start, voxel, image in np.ndindex(signed.shape[:3]):
        for sign in ("positive", "negative"):
            here = starts[start].sel(sign=sign).isel(voxel=voxel, image=image)
            for token, value in zip(here["token"].values, here["attribution"].values, strict=True):
                if token >= 0:
                    signed[start, voxel, image, token] = value
    assert (signed < 0).any() and (signed == 0).any()
    r = np.empty((VOXELS, VOXELS, IMAGES))
    for one, other, image in np.ndindex(r.shape):
        r[one, other, image] = spearmanr(signed[0, one, image], signed[1, other, image]).statistic
    mean, own = r.mean(axis=2), np.eye(VOXELS, dtype=bool)
    np.testing.assert_allclose(found["attribution_own"], mean[own], atol=1e-6)
    others = (mean + mean.T).sum(axis=1) / 2 - mean[own]
    np.testing.assert_allclose(found["attribution_others"], others / (VOXELS - 1), atol=1e-6)
    for name in ("attribution_own", "attribution_others"):
        assert float(found[f"mean_{name}"]) == pytest.approx(float(found[name][1:].mean()))


def test_intervals_are_of_images_and_not_of_voxels():
    starts, able = draw_starts(2), CEILING >= 0.3
    found = compare(starts)
    z = [
        leave_out_words(each, pair_lens(WORLD.lens, GROUP), PART, groups=WORLD.words)
        for each in starts
    ]
    # (left out, voxel, voxel) of either start, of profiles and of attributions.
    own = np.eye(VOXELS, dtype=bool)
    r = {"": np.stack([np.corrcoef(*each)[:VOXELS, VOXELS:] for each in zip(*z, strict=True)])}
    units = []
    for start in starts:
        positive = start.sel(sign="positive")
        maps = map_attributions(
            positive["token"].values, positive["attribution"].values, WORLD.lens.sizes["token"]
        )
        ranks = scipy.stats.rankdata(maps, axis=-1)
        centred = ranks - ranks.mean(axis=-1, keepdims=True)
        length = np.linalg.norm(centred, axis=-1, keepdims=True)
        # An image of which nothing drives a voxel has no map to agree on.
        units.append(np.where(length > 0, centred / np.where(length > 0, length, 1), 0))
    by_image = np.einsum("vit,wit->ivw", *units)
    kept = [PART >= 0, *(PART != left for left in range(20))]
    r["attribution_"] = np.stack([by_image[each].mean(axis=0) for each in kept])
    for name, both in r.items():
        both = (both + both.transpose(0, 2, 1)) / 2
        others = (both.sum(axis=2) - both[:, own]) / (VOXELS - 1)
        for whose, each in (("own", both[:, own]), ("others", others)):
            value, *without = each[:, able].mean(axis=1)
            spread = np.sqrt(19 * np.var(without))
            reach = scipy.stats.t.ppf(0.975, 19) * spread
            bounds = found[f"mean_{name}{whose}_interval"]
            np.testing.assert_allclose(bounds, [value - reach, value + reach], atol=1e-6)
            assert reach > 0
    # The voxels twice are no more evidence, the images are.
    twice = [xr.concat([start, start], "voxel") for start in starts]
    same = compare(twice, noise_ceiling=np.tile(CEILING, 2))
    for name in ("own", "attribution_own"):
        bounds = f"mean_{name}_interval"
        np.testing.assert_allclose(same[bounds], found[bounds])


def test_intervals_cover_what_other_images_give_and_have_the_estimate_within():
    """Profiles of resampled images, some of which count twice, are noisier than of new images."""
    # All of one world, and of maps that favour the same places.
    images = 40
    world = make_world(DATA_SETS * images, seed=4)
    maps = blob_maps(3, DATA_SETS * images, seed=4)
    for voxel in range(3):
        maps[voxel][world.content == voxel] += 0.3
    # What is peculiar to a start is noise of its own.
    starts = [
        make_attributions(maps + 2 * blob_maps(3, DATA_SETS * images, seed=seed)) for seed in (5, 6)
    ]
    values = np.empty((DATA_SETS, len(TEXTS)))
    low, high = np.empty((2, *values.shape))
    for number in range(DATA_SETS):
        here = {"image": slice(number * images, (number + 1) * images)}
        found = compare_seeds(
            {"fitted": [start.isel(here) for start in starts]},
            world.lens.isel(here),
            np.arange(world.words),
            CEILING[3:],
            part=divide_images(images, generator=np.random.default_rng(number), parts=20),
        )
        for place, name in enumerate(TEXTS):
            values[number, place] = found[f"mean_{name}"][0]
            low[number, place], high[number, place] = found[f"mean_{name}_interval"][0]
    assert ((low < values) & (values < high)).all()
    truth = values.mean(axis=0)
    covered = ((low <= truth) & (truth <= high)).sum(axis=0)
    least = scipy.stats.binom.ppf(0.001, DATA_SETS, 0.95)
    assert (covered >= least).all()
    # Nor are they so wide that they would cover anything.
    width = (high - low).mean(axis=0) / (2 * scipy.stats.norm.ppf(0.975))
    assert (width < 1.7 * values.std(axis=0)).all()


def test_blocks_of_voxels_change_nothing():
    starts = draw_starts()
    xr.testing.assert_allclose(compare(starts), compare(starts, memory_bytes=1))


def test_what_a_voxel_takes_is_known_beforehand():
    """By it voxels are divided into blocks; with few words it is more than the profiles take."""
    voxels, part = 300, np.arange(IMAGES) % 5
    pairs = pair_lens(WORLD.lens, GROUP)
    attributions = make_attributions(blob_maps(voxels, IMAGES))
    tracemalloc.start()
    z = leave_out_words(attributions, pairs, part, groups=WORLD.words)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.5 < (most - z.nbytes) / (voxels * pairs.voxel_bytes) < 1.5


def test_the_log_is_told_of_voxels_and_of_images(monkeypatch: pytest.MonkeyPatch):
    told = Counter()
    monkeypatch.setattr(Progress, "add", lambda self, count: told.update({self.what: count}))
    compare_seeds(
        {"fitted": draw_starts(), "random": draw_starts()}, WORLD.lens, GROUP, CEILING, part=PART
    )
    assert told == {"voxels": 2 * VOXELS, "images": 2 * IMAGES}


def test_equal_profiles_agree_wholly_and_an_empty_one_not_at_all():
    one = draw_starts(1, empty=True)[0]
    found = compare([one, one, one])
    np.testing.assert_allclose(found["own"], [1, 1, 0, 1, 1, 1])
    # An image of which nothing drives a voxel has no map to agree on.
    driven = (one["attribution"] != 0).any(["sign", "rank"])
    np.testing.assert_allclose(found["attribution_own"], driven.mean("image"))
    alone = compare([one.isel(voxel=[3])] * 2, noise_ceiling=CEILING[3:4])
    assert np.isnan(alone["others"]).all() and np.isnan(alone["mean_others"])
    assert np.isnan(alone["attribution_others"]).all()
    unable = compare([one, one], noise_ceiling=np.full(VOXELS, 0.1))
    assert np.isnan(unable["mean_own"]) and unable["voxels"] == 0
    unknown = compare([one, one], noise_ceiling=np.full(VOXELS, np.nan))
    assert unknown["voxels"] == VOXELS


def test_table_has_agreement_and_what_is_left_of_an_encoder_that_learned_nothing():
    kinds = {"fitted": draw_starts(noise=0.2), "random": draw_starts(2, noise=5.0)}
    compared = compare_seeds(kinds, WORLD.lens, GROUP, CEILING, part=PART)
    voxels = {"FFA-1": [0, 2], "EBA": [2, 5]}
    parts = {
        ("subj01", roi): compared.isel(voxel=own).assign_coords(voxel=own)
        for roi, own in voxels.items()
    }
    described = {
        ("subj01", "FFA-1"): xr.DataArray([True, False], dims="voxel", coords={"voxel": [0, 2]}),
        ("subj01", "EBA"): xr.DataArray([True, False], dims="voxel", coords={"voxel": [2, 5]}),
    }
    predicted = {"subj01": np.array([0, 0, 1, 0, 0, 0], dtype=bool)}
    table = tabulate_seeds(parts, described, predicted)
    keys = ["measure", "subject", "roi"]
    assert not table.duplicated(keys).any()
    rows = table.set_index(keys)
    own = rows.loc["profile_seed_correlation", "subj01", "FFA-1"]
    assert own["low"] <= own["value"] <= own["high"] and own["n"] == 5
    for measure in ("profile_seed_correlation", "attribution_seed_correlation"):
        fitted, random, others = (
            rows.loc[measure + end, "subj01", "FFA-1"]["value"]
            for end in ("", "_random", "_others")
        )
        assert fitted > random and fitted > others
    # Voxel 2 is of both regions, of which one describes it.
    shares = {"FFA-1": (0.5, 0.5, 2), "EBA": (0.5, 0.5, 2), "all": (2 / 3, 1 / 3, 3)}
    for roi, (random, shuffled, count) in shares.items():
        for measure, share in (("randomised_described", random), ("shuffled_predicted", shuffled)):
            row = rows.loc[measure, "subj01", roi]
            assert row["value"] == pytest.approx(share) and row["n"] == count
            assert np.isnan(row["low"])
    # What an analysis without the demo's control says of the rest is the same.
    left = tabulate_seeds(parts, {}, predicted)
    kept = table[table["measure"] != "randomised_described"]
    assert left.equals(kept.reset_index(drop=True))
