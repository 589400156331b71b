"""Laws of the agreement of profiles between random starts."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mine.core.evidence import score_words
from mine.stages.seeds import compare_seeds, tabulate_seeds
from mine.statistics import bootstrap_weights, interval
from tests.reference.readings import blob_maps, make_attributions, make_world

VOXELS, IMAGES = 6, 60
CEILING = np.array([0.1, 0.4, 0.5, 0.6, 0.7, 0.8])
WORLD = make_world(IMAGES, seed=2)
GROUP = np.arange(WORLD.words)
WEIGHTS = bootstrap_weights(IMAGES, resamples=30, generator=np.random.default_rng(3))


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
    given = {"noise_ceiling": CEILING, "weights": WEIGHTS} | options
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


def test_intervals_are_of_images_and_not_of_voxels():
    starts = draw_starts()
    found = compare(starts)
    draws = {"own": [], "others": []}
    for weights in WEIGHTS:
        one = compare(starts, weights=weights[None])
        # A resample alone is its own interval.
        for name, values in draws.items():
            low, high = one[f"mean_{name}_interval"].values
            assert low == high
            values.append(low)
    for name, values in draws.items():
        expected = interval(np.array(values))
        np.testing.assert_allclose(found[f"mean_{name}_interval"], expected)
        assert expected[0] < expected[1]
    # The voxels twice are no more evidence, the images are.
    twice = [xr.concat([start, start], "voxel") for start in starts]
    same = compare(twice, noise_ceiling=np.tile(CEILING, 2))
    np.testing.assert_allclose(same["mean_own_interval"], found["mean_own_interval"])


def test_blocks_of_voxels_change_nothing():
    starts = draw_starts()
    xr.testing.assert_allclose(compare(starts), compare(starts, memory_bytes=1))


def test_equal_profiles_agree_wholly_and_an_empty_one_not_at_all():
    one = draw_starts(1, empty=True)[0]
    found = compare([one, one, one])
    np.testing.assert_allclose(found["own"], [1, 1, 0, 1, 1, 1])
    alone = compare([one.isel(voxel=[3])] * 2, noise_ceiling=CEILING[3:4])
    assert np.isnan(alone["others"]).all() and np.isnan(alone["mean_others"])
    unable = compare([one, one], noise_ceiling=np.full(VOXELS, 0.1))
    assert np.isnan(unable["mean_own"]) and unable["voxels"] == 0
    unknown = compare([one, one], noise_ceiling=np.full(VOXELS, np.nan))
    assert unknown["voxels"] == VOXELS


def test_table_has_agreement_and_what_is_left_of_an_encoder_that_learned_nothing():
    kinds = {"fitted": draw_starts(noise=0.2), "random": draw_starts(2, noise=5.0)}
    compared = compare_seeds(kinds, WORLD.lens, GROUP, CEILING, weights=WEIGHTS)
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
    assert own["value"] > rows.loc["profile_seed_correlation_random", "subj01", "FFA-1"]["value"]
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
