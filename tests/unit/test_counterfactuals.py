"""Laws of counterfactuals: planted shifts are found with the sign that is expected."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mine.core.conditions import DIRECTIONS, EDITS
from mine.core.readings import read_feature, split_presence
from mine.stages.counterfactuals import measure_counterfactuals

SHIFT = {
    "description": 1.0,
    "profile": 1.5,
    "other": 0.4,
    "random": 0.2,
    "lowest": 0.1,
    "unspecific": 0.0,
    "elsewhere": 0.3,
}


def make_edits(*, voxels: int = 3, images: int = 8, noise: float = 0.1) -> xr.Dataset:
    """Edits that insert what raises the response by SHIFT and remove what lowers it as much."""
    random = np.random.default_rng(0)
    shape = len(DIRECTIONS), len(EDITS), voxels, images
    count = int(np.prod(shape))
    index = np.arange(count).reshape(shape)
    sign, shift = np.array([1.0, -1.0]), np.array([SHIFT[name] for name in EDITS])
    expected = np.broadcast_to(sign[:, None, None, None] * shift[:, None, None], shape).ravel()
    change = np.full((2, count, voxels), 50.0)
    for edit, voxel in enumerate(np.unravel_index(np.arange(count), shape)[2]):
        change[:, edit, voxel] = expected[edit] + noise * random.normal(size=2)
    place = ("direction", "voxel", "chosen")
    return xr.Dataset(
        {
            "index": (("direction", "condition", "voxel", "chosen"), index),
            "start": (place, np.tile(np.arange(images), (2, voxels, 1))),
            "change": (("model", "edit", "voxel"), change),
            "off_target": (("model", "edit"), np.ones((2, count))),
            **{
                name: (("edit",), np.ones(count))
                for name in ("outside_similarity", "presence_before", "presence_after")
            },
        },
        coords={
            "direction": list(DIRECTIONS),
            "condition": list(EDITS),
            "voxel": np.arange(voxels),
            "model": ["evaluator", "encoder"],
        },
    )


def measure(edits: xr.Dataset) -> xr.Dataset:
    return measure_counterfactuals(edits, generator=np.random.default_rng(0))


def test_planted_shifts_are_recovered_with_their_sign_in_both_directions():
    result = measure(make_edits())
    for condition, expected in SHIFT.items():
        found = result["shift"].sel(condition=condition).mean("chosen").values
        assert found == pytest.approx(expected, abs=0.15)
    effect = result["effect_mean"].sel(guide="description", control="random").values
    assert effect == pytest.approx(0.8, abs=0.15)
    effect = result["effect_mean"].sel(guide="description", control="other").values
    assert effect == pytest.approx(0.6, abs=0.15)
    assert result["guidance_mean"].values == pytest.approx(0.5, abs=0.15)
    assert (result["effect_roi_share"].sel(control="random") == 1).all()


def test_another_voxels_change_has_no_part():
    """All that is not a voxel's own change is 50 in the world above."""
    assert (np.abs(measure(make_edits())["shift"].values) < 3).all()


def test_wrong_directions_are_counted_as_wrong():
    edits = make_edits()
    edits["change"] = -edits["change"]
    result = measure(edits)
    assert (result["effect_roi_share"].sel(guide="profile", control="random") == 0).all()


def test_missing_edits_take_no_part():
    edits = make_edits()
    edits["index"].values[0, :, 0, 4:] = -1
    edits["index"].values[1] = -1
    result = measure(edits)
    found = result["effect_mean"].sel(guide="profile", control="unspecific")
    assert found.sel(direction="insertion").values == pytest.approx(1.5, abs=0.15)
    assert np.isnan(found.sel(direction="removal").values).all()


def test_a_control_that_removal_lacks_is_unknown_there_and_known_of_insertion():
    edits = make_edits()
    edits["index"].values[1, EDITS.index("other")] = -1
    result = measure(edits)
    for name in ("mean", "cohens_dz", "p", "q", "roi_share", "roi_mean", "roi_cohens_dz"):
        found = result[f"effect_{name}"].sel(control="other")
        assert np.isfinite(found.sel(direction="insertion")).all()
        assert np.isnan(found.sel(direction="removal")).all()
        assert np.isfinite(result[f"effect_{name}"].drop_sel(control="other")).all()


def test_no_edit_gives_nan_and_no_error():
    edits = make_edits().isel(edit=[])
    edits["index"].values[:] = -1
    assert np.isnan(measure(edits)["effect_roi_share"].values).all()
    assert measure(edits.isel(voxel=[])).sizes["voxel"] == 0


def test_presence_is_split_where_two_kinds_of_images_part():
    random = np.random.default_rng(0)
    clear = np.concatenate([random.uniform(0, 0.2, 80), random.uniform(0.6, 0.9, 20)])
    presence = np.stack([clear, np.full(100, 0.3)], axis=1)
    threshold = split_presence(presence)
    assert 0.2 <= threshold[0] <= 0.6 and threshold[1] == np.inf


def test_blocks_of_groups_change_no_threshold():
    presence = np.random.default_rng(2).gamma(1.0, size=(30, 7)).astype(np.float32)
    whole = split_presence(presence)
    for memory_bytes in (1, 2 * 8 * 30):
        np.testing.assert_array_equal(split_presence(presence, memory_bytes=memory_bytes), whole)


def test_the_split_leaves_the_least_variance():
    values = np.random.default_rng(1).gamma(1.0, size=50)
    threshold = split_presence(values[:, None])[0]

    def within(level: float) -> float:
        parts = values[values <= level], values[values > level]
        return sum(part.var() * len(part) for part in parts if len(part))

    tried = np.sort(values)[:-1]
    assert within(threshold) == pytest.approx(min(map(within, tried)))


def test_a_feature_is_read_as_the_sum_of_its_groups():
    word, score = np.array([[0, 1, 2], [2, 3, 0]]), np.array([[0.5, 0.2, 0.1], [0.4, 0.3, 0.2]])
    group = np.array([0, 0, 1, 2])
    assert read_feature(word, score, group, np.array([0, 2])) == pytest.approx([0.7, 0.5])
