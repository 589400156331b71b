"""Laws of the plan of edits: which images, which words, where, and what is held equal."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import mine.stages.edits
from mine.core.alternatives import Alternatives, find_alternatives
from mine.core.conditions import DIRECTIONS, EDITS
from mine.core.masks import to_pixels
from mine.stages.editing import plan_edits
from mine.stages.edits import make_edits, record_edits
from tests.reference.causal import (
    GRID,
    VOCABULARY,
    make_alternatives,
    make_features,
    make_readings,
    quadrant,
)

DOG, CAT, CAR, SKY, HAT, RED = 0, 1, 2, 3, 5, 6


@pytest.fixture
def words() -> np.ndarray:
    """Half of the images show a dog in quadrant 0; the other quadrants show anything but it."""
    random = np.random.default_rng(0)
    words = random.integers(2, 6, (40, 4))
    words[::2, 0] = DOG
    return words


def plan(words: np.ndarray, features: xr.Dataset | None = None, **options) -> xr.Dataset:
    features = make_features(words, [[DOG, RED], [DOG]]) if features is None else features
    settings = {"words": 2, "images": 5, "window": 0.5, "dilation": 0, "most_overlap": 0, "seed": 0}
    settings |= {"thresholds": np.full(len(VOCABULARY), 0.5), "alternatives": make_alternatives()}
    return plan_edits(features, make_readings(words), **settings | options)


def of(edits: xr.Dataset, direction: str, condition: str) -> xr.Dataset:
    """The edits of voxel 0, in the order of its images."""
    index = edits["index"].sel(direction=direction, condition=condition).values[0]
    return edits.isel(edit=index[index >= 0])


def test_features_are_inserted_where_absent_and_removed_where_present(words):
    edits = plan(words)
    has_dog = {100 + image for image in np.flatnonzero(words[:, 0] == DOG)}
    assert not has_dog & set(edits["start"].sel(direction="insertion").values.ravel())
    assert set(edits["start"].sel(direction="removal").values.ravel()) <= has_dog


def test_images_do_not_depend_on_predictions(words):
    features = make_features(words, [[DOG, RED]])
    reversed_ = features.assign(prediction=-features["prediction"])
    assert (plan(words, features)["start"] == plan(words, reversed_)["start"]).all()


def test_profile_and_description_say_equally_many_words(words):
    for direction, key in (("insertion", "prompt"), ("removal", "negative")):
        edits = plan(words)
        counts = [
            [text.count(",") for text in of(edits, direction, condition)[key].values]
            for condition in ("description", "profile")
        ]
        assert counts[0] == counts[1] == [1] * 5


def test_insertion_repaints_the_voxels_window_alike_in_all_conditions_but_elsewhere(words):
    edits = plan(words)
    window = np.zeros(16, dtype=bool)
    window[quadrant(0)] = True
    for condition in EDITS:
        masks = of(edits, "insertion", condition)["mask"].values
        if condition == "elsewhere":
            assert (masks.sum(axis=(1, 2)) == 4).all() and not (masks & window.reshape(GRID)).any()
        else:
            assert (masks == window.reshape(GRID)).all()


def test_removal_repaints_what_carries_the_feature_and_controls_as_much_of_something_else(words):
    edits = plan(words)
    feature = of(edits, "removal", "description")["mask"].values
    assert feature.reshape(-1, 16)[:, quadrant(0)].all() and (feature.sum(axis=(1, 2)) == 4).all()
    for condition in ("random", "lowest", "elsewhere"):
        control = of(edits, "removal", condition)["mask"].values
        assert (control.sum(axis=(1, 2)) == 4).all()
        assert not (control & feature[: len(control)]).any()


def test_removal_repaints_the_same_patches_whichever_guides_feature_they_carry(words):
    """Where the description names the cat beside the profile's dog, both are repainted by both."""
    words[::2, 1] = CAT
    features = make_features(words, [[DOG, RED]])
    features["description"].loc[{"condition": "description"}][..., 0] = CAT
    beside = np.concatenate([quadrant(0)[:2], quadrant(1)[:2]])
    features["token"].loc[{"condition": "description"}] = beside
    edits = plan(words, features)
    for condition in ("description", "profile", "unspecific"):
        edit = of(edits, "removal", condition)
        assert edit.sizes["edit"] == 5
        masks = edit["mask"].values.reshape(-1, 16)
        assert masks[:, np.concatenate([quadrant(0), quadrant(1)])].all()
        assert (masks.sum(axis=1) == 8).all()
    assert set(of(edits, "removal", "description")["negative"].values) == {"cat, red"}


def test_an_image_whose_description_says_nothing_is_not_what_a_feature_is_taken_from(words):
    features = make_features(words, [[DOG, RED]])
    said = features["description"].loc[{"condition": "description"}]
    # Of the images with a dog every second one is described by it.
    features["description"].loc[{"condition": "description"}] = np.where(
        np.arange(len(words))[:, None] % 4, -1, said
    )
    edits = plan(words, features, images=40)
    start = edits["start"].sel(direction="removal").values
    assert (start[start >= 0] % 4 == 0).all() and (start >= 0).sum() == 10
    index = edits["index"].sel(condition="description").values
    assert ((index >= 0) == (edits["start"].values >= 0)).all()
    assert set(of(edits, "insertion", "description")["prompt"].values) == {"a photo of dog, red"}


def test_an_image_that_leaves_its_controls_no_room_is_passed_over(words):
    filled = words.copy()
    filled[: len(words) // 2 : 2] = DOG
    start = plan(filled)["start"].sel(direction="removal").values
    assert (start >= 100 + len(words) // 2).all()
    widened = {"dilation": 1}  # 3 by 3 patches of 4 by 4: moved, 4 of them stay covered
    assert (plan(words, **widened)["start"].sel(direction="removal").values == -1).all()
    allowed = plan(words, **widened, most_overlap=0.5)["start"].sel(direction="removal")
    assert (allowed.values >= 100).all()


def test_removal_forbids_the_feature_and_asks_for_what_is_around(words):
    edits = of(plan(words), "removal", "profile")
    assert (edits["negative"].values == "dog, red").all()
    for prompt, image in zip(edits["prompt"].values, edits["image"].values, strict=True):
        said = prompt.removeprefix("a photo of ").split(", ")
        around = {VOCABULARY[word] for word in words[image - 100, 1:]}
        assert said[0] in around and "dog" not in said


def test_what_is_taken_away_is_not_asked_for_again_around_it():
    """Both words of the feature's group are read around the mask, more than anything else."""
    lens = make_readings(np.full((1, 4), 2)).lens
    word, score = lens["word"].values, lens["score"].values
    word[0, :, 0], word[0, :, 1], score[0] = DOG, CAT, 0.4
    word[0, quadrant(1), 1], score[0, quadrant(1), 1] = RED, 0.3
    group = np.arange(len(VOCABULARY))
    mask = np.zeros(GRID, dtype=bool)
    mask.ravel()[quadrant(0)] = True
    group[CAT] = group[DOG]
    readings = replace(make_readings(np.full((1, 4), 2)), lens=lens, group=group)
    assert readings.surround(0, mask, group[[RED]], 3).tolist() == [DOG]
    assert readings.surround(0, mask, group[[DOG]], 3).tolist() == [RED]


@pytest.mark.parametrize(("third", "expected"), [(0.45, [DOG, RED]), (0.55, [DOG, RED, CAR])])
def test_what_is_around_is_what_is_read_at_least_half_as_much_as_the_most(third, expected):
    lens = make_readings(np.full((1, 4), 2)).lens
    word, score = lens["word"].values, lens["score"].values
    word[0], score[0] = SKY, 0
    word[0, :, 0], score[0, :, 0] = DOG, 0.4  # 2.0 in the five patches around quadrant 0
    ring = [2, 6, 8, 9, 10]
    word[0, ring[:3], 1], score[0, ring[:3], 1] = RED, 0.5
    word[0, ring[3:], 1], score[0, ring[3:], 1] = CAR, third
    mask = np.zeros(GRID, dtype=bool)
    mask.ravel()[quadrant(0)] = True
    readings = replace(make_readings(np.full((1, 4), 2)), lens=lens)
    assert readings.surround(0, mask, np.array([HAT]), 3).tolist() == expected


def test_no_removal_asks_for_what_the_profile_or_the_description_names(words):
    """Other words are taken away by controls, beside patches that show the voxel's own."""
    features = make_features(words, [[DOG, RED]])
    edits = plan(words, features)
    for condition in ("description", "profile", "random", "lowest", "elsewhere"):
        own = of(edits, "removal", condition)
        assert own.sizes["edit"]
        for prompt, image in zip(own["prompt"].values, own["image"].values, strict=True):
            asked = set(prompt.removeprefix("a photo of ").split(", "))
            said = features["description"].sel(condition="description", image=image).values
            named = {VOCABULARY[word] for word in said.ravel() if word >= 0} | {"dog", "red"}
            assert not asked & named, condition


def test_controls_never_say_the_voxels_own_words(words):
    edits = plan(words)
    for condition in ("random", "lowest"):
        for direction, key in (("insertion", "prompt"), ("removal", "negative")):
            for text in of(edits, direction, condition)[key].values:
                assert "dog" not in text and "red" not in text


def test_the_unspecific_control_differs_from_both_guides_in_the_features_words_alone(words):
    edits = plan(words)
    for direction in ("insertion", "removal"):
        control = of(edits, direction, "unspecific")
        assert (control["word"].values == -1).all() and (control["negative"].values == "").all()
        for guide in ("description", "profile"):
            own = of(edits, direction, guide)
            assert (control["mask"].values == own["mask"].values).all()
            if direction == "removal":
                assert (control["prompt"].values == own["prompt"].values).all()
                assert (own["negative"].values != "").all()
            else:
                assert (control["prompt"].values == "").all()


def test_all_edits_of_an_image_in_a_direction_start_from_one_noise(words):
    edits = plan(words)
    for direction in ("insertion", "removal"):
        seeds = [of(edits, direction, condition)["seed"].values for condition in EDITS]
        images = [of(edits, direction, condition)["image"].values for condition in EDITS]
        pairs = {pair for row in zip(images, seeds, strict=True) for pair in zip(*row, strict=True)}
        assert len(pairs) == len({image for image, _ in pairs})


def test_another_image_starts_from_another_noise(words):
    edits = plan(words)
    for direction in ("insertion", "removal"):
        own = of(edits, direction, "unspecific")
        assert len(set(own["image"].values)) == len(set(own["seed"].values)) == 5


def test_a_voxels_edits_do_not_depend_on_which_others_are_planned(words):
    features = make_features(words, [[DOG, RED], [DOG], [CAT, RED], [DOG, CAT]])
    # The voxels say different things of an image, too.
    features["description"][dict(voxel=3, condition=0, rank=1)] = CAT
    together = plan(words, features)
    for voxel in range(4):
        alone = plan(words, features.isel(voxel=[voxel]))
        assert list_edits(together.isel(voxel=voxel)) == list_edits(alone.isel(voxel=0))


def list_edits(edits: xr.Dataset) -> list[tuple]:
    """What is done for one voxel, by direction, condition and image; None where nothing is."""
    names = ("image", "prompt", "negative", "instruction", "seed")
    found = []
    for index in edits["index"].values.ravel():
        one = edits.isel(edit=index)
        said = [word for word in one["word"].values.tolist() if word >= 0]
        values = [one[name].item() for name in names]
        found.append((*values, said, one["mask"].values.tobytes()) if index >= 0 else None)
    return [edits["start"].values.tolist(), found]


def test_an_insertion_says_what_is_said_of_an_image_that_has_the_feature(words):
    features = make_features(words, [[DOG, RED]])
    # What is said of an image beside its first word tells which it is.
    others = 1 + np.arange(len(words)) % 7
    features["description"][dict(condition=0, rank=1)] = others
    edits = of(plan(words, features), "insertion", "description")
    assert edits.sizes["edit"] == 5
    pairs = {tuple(said[:2]) for said in edits["word"].values.tolist()}
    has_dog = words[:, 0] == DOG
    assert pairs <= {(DOG, int(word)) for word in others[has_dog]} and len(pairs) > 1


def test_equal_edits_of_two_voxels_are_made_once(words):
    features = make_features(words, [[DOG, RED], [DOG, RED]])
    index = plan(words, features)["index"].sel(condition=["profile", "unspecific"]).values
    assert (index[:, :, 0] == index[:, :, 1]).all()


def test_an_editor_by_instruction_is_told_what_to_do_and_knows_no_place(words):
    edits = plan(words, method="instruction", insert="put in {}", remove="take out {}")
    assert (of(edits, "insertion", "profile")["instruction"].values == "put in dog, red").all()
    assert (of(edits, "removal", "profile")["instruction"].values == "take out dog, red").all()
    assert (of(edits, "removal", "unspecific")["instruction"].values == "").all()
    assert (edits["index"].sel(condition="elsewhere").values == -1).all()


def test_the_other_category_is_put_in_alone_and_is_none_of_the_voxels_own(words):
    features = make_features(words, [[DOG, RED], [DOG, SKY], [CAR], [DOG, CAR, SKY]])
    edits = plan(words, features, images=20)
    start = edits["start"].sel(direction="insertion").values
    index = edits["index"].sel(condition="other")
    assert (index.sel(direction="removal").values == -1).all()
    painted = [
        {str(edits["prompt"].values[edit]).removeprefix("a photo of ") for edit in own if edit >= 0}
        for own in index.sel(direction="insertion").values
    ]
    # Of two other categories either; not that of a word of the profile; none where none is left.
    assert painted == [{"car", "sky"}, {"car"}, {"dog", "sky"}, set()]
    assert ((index.sel(direction="insertion").values >= 0) == (start >= 0))[:3].all()
    window = of(edits, "insertion", "description")["mask"].values
    assert (of(edits, "insertion", "other")["mask"].values == window).all()


def test_the_category_next_to_the_main_feature_is_its_own_though_it_goes_by_other_words(words):
    """A hat is neither car nor sky, and nearest to cars."""
    far = Alternatives([np.array([CAR]), np.array([SKY])], make_alternatives().nearest - 1)
    edits = plan(words, make_features(words, [[HAT]]), alternatives=far)
    assert set(of(edits, "insertion", "other")["prompt"].values) == {"a photo of sky"}


def test_a_category_without_a_word_of_the_vocabulary_is_not_painted(words):
    some = Alternatives([np.array([DOG]), np.array([], int)], np.zeros(len(VOCABULARY), int))
    assert (plan(words, alternatives=some)["index"].sel(condition="other").values == -1).all()


def test_voxels_of_one_main_feature_share_what_is_put_in_of_another_category(words):
    edits = plan(words, make_features(words, [[DOG, RED], [DOG]]), images=20)
    index = edits["index"].sel(direction="insertion", condition="other").values
    assert (index[0] == index[1]).all() and (index >= 0).all()


def test_categories_go_by_their_first_word_that_the_vocabulary_has():
    prompts = {"pets": ["puppy", "cat", "dog"], "skies": ["sky"], "none": ["zebra"]}
    text = np.eye(3)
    vocabulary_text = np.eye(3)[[0, 0, 1, 1, 1, 2, 2, 2]]
    found = find_alternatives(prompts, text, VOCABULARY, vocabulary_text)
    assert [own.tolist() for own in found.words] == [[CAT, DOG], [SKY], []]
    assert found.nearest.tolist() == [0, 0, 1, 1, 1, 2, 2, 2]


def test_a_feature_that_every_image_lacks_is_inserted_only():
    words = np.random.default_rng(1).integers(2, 6, (10, 4))
    edits = plan(words)
    assert (edits["start"].sel(direction="removal").values == -1).all()
    assert (edits["index"].sel(direction="removal").values == -1).all()
    index = edits["index"].sel(direction="insertion")
    assert (index.sel(condition=["profile", "random", "unspecific"]).values >= 0).all()
    # No image has it, so that none can lend its description.
    assert (index.sel(condition=["description", "lowest", "elsewhere"]).values == -1).all()


def test_no_voxel_gives_an_empty_plan(words):
    edits = plan(words, make_features(words, [[DOG]]).isel(voxel=[]))
    assert edits.sizes["edit"] == 0 and edits.sizes["voxel"] == 0
    assert edits["mask"].shape == (0, *GRID)


def test_changes_are_those_of_the_edited_image_less_its_own_before(words):
    edits = plan(words)
    images, row = np.unique(edits["image"].values, return_inverse=True)
    random = np.random.default_rng(2)
    before = {"evaluator": random.normal(size=(len(images), 9)).astype(np.float32)}
    after = {"evaluator": random.normal(size=(len(row), 9)).astype(np.float32)}
    lens = make_readings(words).lens
    shown = lens.sel(image=images)
    found = record_edits(
        edits,
        np.zeros((len(row), 8, 8, 3), np.uint8),
        edited=[
            ({"evaluator": after["evaluator"][part]}, shown.isel(image=row[part]))
            for part in (slice(0, 0), slice(0, 3), slice(3, None))
        ],
        before=(before, shown),
        originals=np.zeros((len(images), 8, 8, 3), np.uint8),
        row=row,
        group=np.arange(len(VOCABULARY)),
        region=np.array([5, 6, 7]),  # 7 belongs to the region and is not tested
    )
    change = after["evaluator"] - before["evaluator"][row]
    assert found["change"].values[0] == pytest.approx(change[:, [5, 6]])
    others = [0, 1, 2, 3, 4, 8]
    assert found["off_target"].values[0] == pytest.approx(np.abs(change[:, others]).mean(axis=1))
    removed = of(found, "removal", "profile")
    assert removed["presence_before"].values == pytest.approx(0.9, abs=1e-3)
    assert np.isnan(of(found, "removal", "unspecific")["presence_after"].values).all()


class Tools:
    """A painter that turns what is masked white, and an observer that sees the mean."""

    def inpaint(self, images, masks, prompts, *, seeds, negative):
        assert len(images) == len(masks) == len(prompts) == len(seeds) == len(negative)
        return np.where(masks[..., None], np.uint8(255), images)

    def observe(self, images):
        mean = images.reshape(len(images), -1).mean(axis=1, dtype=np.float32)
        place, nothing = ("image", "token", "rank"), np.zeros((len(images), 4, 2))
        lens = {"word": (place, nothing.astype(int)), "score": (place, nothing)}
        return {"evaluator": np.repeat(mean[:, None], 9, axis=1)}, xr.Dataset(lens)

    def observe_parts(self, images):
        for start in range(0, len(images), 7):
            yield self.observe(images[start : start + 7])


def make(edits: xr.Dataset, *, size: int, side: int) -> xr.Dataset:
    count = edits.sizes["edit"]
    return make_edits(
        edits,
        Tools(),
        Tools(),
        lambda images: np.full((len(images), side, side, 3), images[:, None, None, None], np.uint8),
        method="inpainting",
        parts=[slice(start, min(start + size, count)) for start in range(0, count, size)],
        group=np.arange(len(VOCABULARY)),
        region=np.array([5, 6]),
    )


def test_edits_are_of_their_own_image_in_whatever_parts_they_are_made(words):
    edits = plan(words)
    made, masks = make(edits, size=5, side=8), to_pixels(edits["mask"].values, height=8, width=8)
    image = edits["image"].values[:, None, None, None]
    expected = np.where(masks[..., None], 255, image % 256)
    np.testing.assert_array_equal(made["pixels"], np.broadcast_to(expected, (len(image), 8, 8, 3)))
    mean = made["pixels"].mean(("pixel_row", "pixel_column", "channel")).values
    change = (mean - edits["image"].values % 256)[None, :, None]
    change = np.broadcast_to(change, made["change"].shape)
    np.testing.assert_allclose(made["change"], change, atol=1e-3)
    xr.testing.assert_identical(made, make(edits, size=edits.sizes["edit"], side=8))


def test_the_pixels_of_edits_are_held_once(words, monkeypatch):
    monkeypatch.setattr(mine.stages.edits, "outside_similarity", lambda *images: 1.0)
    edits = plan(words)
    many = edits.isel(edit=np.resize(np.arange(edits.sizes["edit"]), 600))
    tracemalloc.start()
    try:
        made = make(many, size=8, side=80)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The originals are held too, each once.
    held = made["pixels"].nbytes * (1 + len(np.unique(edits["image"])) / 600)
    assert peak < 1.2 * held


def test_controls_have_no_more_words_than_guides_and_none_of_the_voxels_own(words):
    edits = plan(words, make_features(words, [[DOG]]))
    for direction in DIRECTIONS:
        for control in ("random", "lowest"):
            said = of(edits, direction, control)["word"].values
            assert len(said) and ((said >= 0).sum(axis=1) == 1).all()
    # A word of the profile for which the edits have no room is its own all the same.
    third = plan(words, make_features(words, [[DOG, RED, 2]]))
    for direction in DIRECTIONS:
        for control in ("random", "lowest"):
            said = of(third, direction, control)["word"].values
            assert (said >= 0).any() and not np.isin(said, [DOG, RED, 2]).any()
