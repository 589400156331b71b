"""Laws of exact counterfactuals and of the causal rows of the recovery table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mine.core.conditions import DIRECTIONS, EDITS
from mine.demo import miniature
from mine.demo.counterfactuals import (
    compare_edits,
    insert_object,
    plan_of,
    read_scenes,
    remove_objects,
)
from mine.demo.recovery_causality import compare_edit_responses, summarise_causality, tabulate_pairs
from mine.demo.responding import respond_to_scenes, standardise_responses
from mine.demo.scene_tables import tabulate_scenes
from mine.demo.scenes import Scene, SceneObject
from mine.statistics.bootstrap import bootstrap_weights

DOG = SceneObject("dog", "red", "small", 0.3, 0.3, 0.3, False)
SCENE = Scene("beach", (DOG,), 1)
VOCABULARY = np.array(["dog", "puppy", "red", "face", "happy", "beach", "zebra"])


def window() -> np.ndarray:
    mask = np.zeros((8, 8), dtype=bool)
    mask[4:, 4:] = True
    return mask


@pytest.fixture(scope="module")
def world() -> tuple[miniature.Miniature, xr.Dataset, xr.Dataset]:
    """A little miniature with the truth about its images and about a subject."""
    stimuli = miniature.render_stimuli(shared=20, unique=40, subjects_count=1, side=64, seed=0)
    design = miniature.draw_design(shared=20, unique=40, subjects_count=1, sessions=1, seed=0)
    truth = miniature.describe_truth(stimuli, design, 0, "subj01", seed=0)
    return stimuli, miniature.describe_images(stimuli), truth


def test_an_object_is_inserted_into_the_mask_with_what_the_words_say():
    scene = insert_object(SCENE, ["happy", "face", "red"], window(), np.random.default_rng(0))
    assert scene.objects[0] == DOG
    added = scene.objects[1]
    assert (added.category, added.colour, added.expression) == ("face", "red", "happy")
    assert (added.row, added.column) == (0.75, 0.75) and added.width <= 0.5


def test_two_objects_share_the_mask():
    scene = insert_object(SCENE, ["face", "car"], window(), np.random.default_rng(0))
    places = [item.column for item in scene.objects[1:]]
    assert places == [0.625, 0.875] and scene.objects[1].width == 0.25


def test_objects_that_words_name_are_removed_by_any_synonym():
    assert remove_objects(SCENE, ["puppy", "red"]).objects == ()
    assert remove_objects(SCENE, ["face"]) == SCENE


@pytest.mark.parametrize("words", [["beach"], ["red"], ["zebra"], []])
def test_words_that_name_no_object_have_no_counterpart(words):
    assert insert_object(SCENE, words, window(), np.random.default_rng(0)) is None
    assert remove_objects(SCENE, words) is None


def test_the_plan_survives_the_truth_store(world):
    _, images, truth = world
    plan = plan_of(truth)
    stimuli = world[0]
    table = tabulate_scenes(stimuli.scenes, stimuli.labels)
    responses = respond_to_scenes(plan, table, reference=table)
    standard = standardise_responses(responses, reference=responses)
    known = ~np.isin(plan.main, ["", "contrast"])
    assert standard[:, known] == pytest.approx(truth["response"].values[:, known], abs=1e-5)


def make_edits(world, words: list[int], direction: str, image: int) -> xr.Dataset:
    truth = world[2]
    place = ("direction", "condition", "voxel", "chosen")
    faces = np.flatnonzero(truth["main"].values == "face")[:2]
    index = np.full((2, 5, 2, 1), -1)
    index[["insertion", "removal"].index(direction), 0, :, 0] = 0
    return xr.Dataset(
        {
            "index": (place, index),
            "word": (("edit", "rank"), np.array([words])),
            "image": (("edit",), [image]),
            "mask": (("edit", "row", "column"), window()[None]),
            "change": (("model", "edit", "voxel"), np.array([[[0.5, 0.7]]])),
        },
        coords={
            "direction": ["insertion", "removal"],
            "condition": ["description", "profile", "other", "random", "lowest"],
            "model": ["evaluator"],
            "voxel": faces,
        },
    )


def compare(world, edits: xr.Dataset) -> pd.DataFrame:
    def count_voxels(pictures: np.ndarray) -> np.ndarray:
        return np.repeat(pictures.mean(axis=(1, 2, 3))[:, None], len(world[2]["main"]), axis=1)

    return compare_edits(
        edits,
        truth=world[2],
        images=world[1],
        vocabulary=VOCABULARY,
        predict=count_voxels,
        random=np.random.default_rng(0),
    )


def test_inserting_a_face_raises_the_planted_response_of_face_voxels(world):
    bare = next(
        image
        for image, scene in enumerate(world[0].scenes)
        if all(item.category != "face" for item in scene.objects)
    )
    table = compare(world, make_edits(world, [3, 4], "insertion", bare))
    assert len(table) == 2 and (table["planted"] > 0.3).all()
    assert table["change"].tolist() == [0.5, 0.7] and (table["direction"] == "insertion").all()


def test_removing_the_face_lowers_it_to_what_an_image_without_gives(world):
    shown = next(
        image
        for image, scene in enumerate(world[0].scenes)
        if any(item.category == "face" for item in scene.objects)
    )
    table = compare(world, make_edits(world, [3], "removal", shown))
    assert (table["planted"] < -0.3).all()
    absent = compare(world, make_edits(world, [0], "removal", shown))
    has_dog = any(item.category == "dog" for item in world[0].scenes[shown].objects)
    assert has_dog or absent["planted"].abs().max() == 0 and absent["exact"].abs().max() == 0


def test_an_edit_without_a_counterpart_is_left_out(world):
    assert len(compare(world, make_edits(world, [5], "insertion", 0))) == 0


PLANTED = {
    "sufficiency_random": 1.0,
    "sufficiency_empty": 0.5,
    "sufficiency_measured_random": -1.0,
    "insertion": 2.0,
    "insertion_other": 1.0,
    "removal": 0.0,
}


def test_planted_effects_are_summarised():
    random = np.random.default_rng(0)
    rows = [
        ("subj01", "FFA-1", measure, voxel, image, mean + random.normal())
        for measure, mean in PLANTED.items()
        for voxel in range(20)
        for image in range(12)
    ]
    columns = ["subject", "roi", "measure", "voxel", "image", "difference"]
    exact = random.normal(size=400)
    edits = pd.DataFrame(
        {
            "subject": "subj01",
            "roi": "FFA-1",
            "image": np.arange(400) % 50,
            "direction": np.where(np.arange(400) < 300, "insertion", "removal"),
            "exact": exact,
            "change": 0.5 * exact + 0.5 * random.normal(size=400),
            "planted": exact,
        }
    )
    table = summarise_causality(
        pd.DataFrame(rows, columns=columns),
        edits,
        resamples=300,
        generator=np.random.default_rng(0),
    )
    values = table[(table["subject"] == "all")].set_index("measure")["value"]
    assert values["sufficiency_beats_random"] == 1 and values["insertion_expected"] == 1
    assert values["sufficiency_d_random"] == pytest.approx(1, abs=0.2)
    assert values["sufficiency_d_empty"] == pytest.approx(0.5, abs=0.2)
    assert values["sufficiency_measured_beats_random"] == 0
    assert values["sufficiency_measured_d_random"] == pytest.approx(-1, abs=0.2)
    assert values["sufficiency_beats_empty"] > 0.8 and "sufficiency_d_lowest" not in values
    assert values["insertion_d"] == pytest.approx(2, abs=0.3)
    assert values["insertion_d_other"] == pytest.approx(1, abs=0.2)
    assert values["insertion_effect_other"] == pytest.approx(1, abs=0.2)
    assert values["insertion_expected_other"] == 1 and "removal_d_other" not in values
    assert values["removal_d"] == pytest.approx(0, abs=0.2)
    assert values["exact_correlation"] == pytest.approx(0.71, abs=0.07)
    assert values["exact_slope"] == pytest.approx(0.5, abs=0.07)
    part = edits[:300]
    expected = np.corrcoef(part["exact"], part["change"])[0, 1]
    assert values["exact_correlation_insertion"] == pytest.approx(expected)
    assert table.set_index(["measure", "subject"])["n"]["exact_slope_removal", "all"] == 100
    bounds = table.dropna()
    assert (bounds["low"] <= bounds["value"]).all() and (bounds["value"] <= bounds["high"]).all()


def test_edits_are_compared_as_if_each_drawn_image_were_gathered():
    random = np.random.default_rng(2)
    edits = pd.DataFrame(random.normal(size=(60, 3)), columns=["change", "exact", "planted"])
    edits["image"] = random.integers(7, size=60) * 3
    found = compare_edit_responses(edits, 20, np.random.default_rng(3))
    _, member = np.unique(edits["image"], return_inverse=True)
    drawn = bootstrap_weights(7, resamples=20, generator=np.random.default_rng(3))
    times = np.concatenate([np.ones((1, 7)), drawn * 7]).round().astype(int)
    for draw, count in enumerate(times):
        gathered = edits.loc[np.repeat(edits.index, count[member])]
        slope, _ = np.polyfit(gathered["exact"], gathered["change"], 1)
        assert found["exact_slope"][draw] == pytest.approx(slope)
        for measure, exact in (("exact_correlation", "exact"), ("planted_correlation", "planted")):
            r = np.corrcoef(gathered[exact], gathered["change"])[0, 1]
            assert found[measure][draw] == pytest.approx(r)


def test_edits_that_should_change_nothing_have_no_correlation():
    edits = pd.DataFrame({"change": [0.1, 0.3, 0.2], "exact": 0.0, "planted": 0.0, "image": 1})
    found = compare_edit_responses(edits, 5, np.random.default_rng(4))
    assert all(np.isnan(draws).all() for draws in found.values())


def test_nothing_tested_gives_no_row():
    pairs = pd.DataFrame(columns=["subject", "roi", "measure", "voxel", "image", "difference"])
    edits = pd.DataFrame(columns=["subject", "roi", "image", "change", "exact", "planted"])
    table = summarise_causality(pairs, edits, resamples=10, generator=np.random.default_rng(0))
    assert len(table) == 0 and "measure" in table


def test_pairs_are_the_stores_differences():
    random = np.random.default_rng(1)
    models, voxels = ["evaluator", "encoder"], [0, 3]
    conditions = ["description", "random", "lowest", "caption", "empty"]
    error = random.random((2, 5, 2, 4))
    sufficiency = xr.Dataset(
        {
            "error": (("model", "condition", "voxel", "chosen"), error),
            "to_measured_error": (("model", "condition", "voxel", "chosen"), -2 * error),
            "image": (("voxel", "chosen"), np.arange(8).reshape(2, 4)),
        },
        coords={"model": models, "condition": conditions, "voxel": voxels},
    )
    shift = random.random((2, 2, 7, 2, 3))
    shift[0, 1, 1:3] = np.nan
    counterfactuals = xr.Dataset(
        {
            "shift": (("model", "direction", "condition", "voxel", "chosen"), shift),
            "start": (("direction", "voxel", "chosen"), np.arange(12).reshape(2, 2, 3)),
        },
        coords={
            "model": models,
            "direction": ["insertion", "removal"],
            "condition": list(EDITS),
            "voxel": voxels,
        },
    )
    main = np.array(["face", "", "", "contrast"])
    pairs = tabulate_pairs(sufficiency, counterfactuals, main)
    assert set(pairs["voxel"]) == {0}
    for control in ("random", "lowest", "empty"):
        found = pairs[pairs["measure"] == f"sufficiency_{control}"]["difference"].to_numpy()
        expected = error[0, conditions.index(control), 0] - error[0, 0, 0]
        assert found == pytest.approx(expected)
        # Where the measured response says the opposite, so do its pairs.
        found = pairs[pairs["measure"] == f"sufficiency_measured_{control}"]["difference"]
        assert found.to_numpy() == pytest.approx(-2 * expected)
    found = pairs[pairs["measure"] == "insertion"]["difference"].to_numpy()
    assert found == pytest.approx(shift[0, 0, 0, 0] - shift[0, 0, EDITS.index("random"), 0])
    for row, direction in enumerate(DIRECTIONS):
        for control in ("other", "unspecific"):
            found = pairs[pairs["measure"] == f"{direction}_{control}"]["difference"].to_numpy()
            expected = shift[0, row, 0, 0] - shift[0, row, EDITS.index(control), 0]
            assert found == pytest.approx(expected[np.isfinite(expected)])
    guided = pairs[pairs["measure"] == "profile_minus_description"]
    assert len(guided) == 3 and not {"removal_profile", "removal_other"} & set(pairs["measure"])


def test_every_scene_of_the_truth_is_read_back(world):
    stimuli, images, _ = world
    assert read_scenes(images, np.array([4, 0])) == [stimuli.scenes[4], stimuli.scenes[0]]
