"""Laws of sufficiency: what is generated for whom, and how its predictions are compared."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from mine.core.choosing import choose_responsive, choose_voxels, find_judged
from mine.core.conditions import (
    DESCRIPTIONS,
    EDITS,
    GUIDES,
    PICTURES,
    REFERENCES,
    TO_MEASURED,
)
from mine.core.prompts import join_words
from mine.errors import InputError
from mine.stages.generation import make_pictures, plan_pictures, planned_images, record_pictures
from mine.stages.sufficiency import measure_sufficiency, measured_originals
from mine.statistics.effects import clustered_effect
from tests.reference.causal import VOCABULARY, make_features

WORDS = np.random.default_rng(0).integers(0, 6, (30, 4))


def plan(features: xr.Dataset | None = None, **options) -> xr.Dataset:
    features = make_features(WORDS, [[0], [0]]) if features is None else features
    captions = [["a whole sentence", "another"]] * 29 + [[]]
    settings = {"words": 2, "images": 6, "quantile": 0.5}
    return plan_pictures(
        features,
        VOCABULARY,
        captions,
        template="a photo of {}",
        generator=np.random.default_rng(1),
        **settings | options,
    )


def respond(pictures: xr.Dataset, values: np.ndarray, original: np.ndarray) -> xr.Dataset:
    """A record in which each picture has a response and each image an original one."""
    images = planned_images(pictures["image"])
    voxels = pictures["voxel"].values
    shown = np.zeros((len(values), voxels.max() + 1), np.float32)
    shown[:, voxels] = values
    before = np.zeros((len(images), voxels.max() + 1), np.float32)
    before[:, voxels] = original
    return record_pictures(
        pictures,
        np.zeros((len(values), 4, 4, 3), np.uint8),
        [{"evaluator": each, "encoder": each} for each in (shown[:0], shown[:2], shown[2:])],
        {"evaluator": before, "encoder": before},
    )


def test_a_model_that_fails_at_the_originals_fails_before_anything_is_painted():
    pictures, painted = plan(), []
    voxels = int(pictures["voxel"].max()) + 1

    class Tools:
        overflows = True

        def observe(self, images):
            if self.overflows:
                raise InputError("backbone.dtype: expected another")
            mean = images.reshape(len(images), -1).mean(axis=1, dtype=np.float32)
            return {"evaluator": np.repeat(mean[:, None], voxels, axis=1)}, None

        def observe_parts(self, images):
            for start in range(0, len(images), 3):
                yield self.observe(images[start : start + 3])

        def generate(self, prompts, *, seeds):
            painted.extend(prompts)
            pixels = np.asarray(seeds, np.int64)[:, None, None, None] % 200
            return np.broadcast_to(pixels, (len(prompts), 2, 2, 3)).astype(np.uint8)

    def make():
        count = pictures.sizes["picture"]
        parts = [slice(start, min(start + 4, count)) for start in range(0, count, 4)]
        return make_pictures(pictures, tools, tools, read, parts=parts)

    def read(images):
        return np.broadcast_to(images[:, None, None, None], (len(images), 3, 3, 3)).astype(np.uint8)

    tools = Tools()
    with pytest.raises(InputError, match="backbone.dtype"):
        make()
    assert not painted
    tools.overflows = False
    made = make()
    assert painted == pictures["prompt"].values.tolist()
    shown = np.broadcast_to(pictures["seed"].values[:, None] % 200, made["response"].shape[1:])
    np.testing.assert_array_equal(made["response"].values[0], shown)
    image = made["image"].values
    np.testing.assert_array_equal(made["original"].values[0], np.where(image < 0, np.nan, image))


def test_voxels_are_chosen_among_the_described_by_faithfulness():
    described = np.array([True, True, False, True, True])
    faithfulness = np.array([0.1, 0.5, 0.9, np.nan, 0.4])
    random = np.random.default_rng(0)
    chosen = choose_voxels(described, faithfulness, quantile=0.5, most=None, generator=random)
    assert chosen.tolist() == [1, 4]
    none = choose_voxels(described & False, faithfulness, quantile=0.5, most=3, generator=random)
    assert len(none) == 0


def test_only_voxels_that_the_evaluator_predicts_have_a_judge():
    p = np.random.default_rng(0).random(200)
    p[[3, 50]] = 1e-5
    p[120] = 0.03  # sure among four voxels, not among the subject's
    found = find_judged(p, np.array([2, 3, 50, 120]), level=0.05)
    assert found.tolist() == [False, True, True, False]


def test_images_are_of_the_upper_quantile_of_the_voxels_own_prediction():
    prediction = np.random.default_rng(0).normal(size=(4, 40))
    able = np.random.default_rng(1).random((4, 40)) < 0.8
    able[3] = False
    able[3, prediction[3].argmax()] = True
    chosen = choose_responsive(
        prediction, able, quantile=0.75, most=6, generator=np.random.default_rng(0)
    )
    for row in range(3):
        assert (prediction[row, chosen[row]] >= np.quantile(prediction[row], 0.75)).all()
        assert able[row, chosen[row]].all() and len(set(chosen[row])) == 6
    assert chosen[3].tolist() == [prediction[3].argmax()] + [-1] * 5


def test_an_image_whose_description_says_nothing_gets_no_picture():
    features = make_features(WORDS, [[0], [0]])
    features["description"].loc[{"condition": "description"}] = np.where(
        np.arange(30)[:, None] % 2, features["description"].sel(condition="description"), -1
    )
    pictures = plan(features, images=30)
    shown = pictures["image"].values[pictures["image"].values >= 0] - 100
    assert len(shown) and (shown % 2 == 1).all()
    silent = features["description"].copy(data=np.full(features["description"].shape, -1))
    assert (plan(features.assign(description=silent))["image"].values == -1).all()


def test_voxels_with_equal_words_share_their_pictures():
    features = make_features(WORDS, [[0], [0]])
    features["prediction"].values[1] = features["prediction"].values[0]
    pictures = plan(features, quantile=0.8, images=6)
    same = pictures["image"].values[0] == pictures["image"].values[1]
    assert same.all()
    assert (pictures["picture"].values[:, 0] == pictures["picture"].values[:, 1]).all()


def test_conditions_of_an_image_start_from_the_same_noise():
    pictures = plan()
    seeds = pictures["seed"].values[pictures["picture"].sel(condition=list(PICTURES)).values]
    shown = pictures["picture"].values >= 0
    for voxel, column, sample in np.ndindex(seeds.shape[1:]):
        known = seeds[:, voxel, column, sample][shown[:, voxel, column, sample]]
        assert len(set(known)) == 1


def test_prompts_are_the_conditions_words():
    pictures = plan()
    prompt = pictures["prompt"].values[pictures["picture"].values]
    for column, image in enumerate(pictures["image"].values[0] - 100):
        # Each sample has its own draw of random tokens.
        for sample, quadrants in enumerate(((0, 1, 3), (0, 2, 3))):
            for row, number in enumerate(quadrants):
                said = f"a photo of {VOCABULARY[WORDS[image, number]]}, {VOCABULARY[6]}"
                assert prompt[row, 0, column, sample] == said
        if image < 29:
            assert (prompt[3, 0, column] == "a whole sentence").all()
    assert (prompt[4] == "").all()


def test_an_image_without_a_caption_has_no_picture_of_it():
    pictures = plan(images=30, quantile=0.0)
    column = pictures["image"].values[0].tolist().index(129)
    assert (pictures["picture"].sel(condition="caption").values[:, column] == -1).all()
    assert (pictures["picture"].sel(condition="empty").values >= 0).all()


def test_no_word_is_no_prompt():
    assert join_words(VOCABULARY, np.array([-1, -1]), "a photo of {}") is None


def test_a_picture_that_drives_as_the_original_has_no_error_and_wins_over_the_others():
    pictures = plan()
    images = planned_images(pictures["image"])
    random = np.random.default_rng(3)
    original = random.normal(size=(len(images), 2))
    values = random.normal(3, 1, size=(pictures.sizes["picture"], 2))
    place = np.searchsorted(images, pictures["image"].values)
    for voxel, column in np.ndindex(place.shape):
        own = pictures["picture"].sel(condition="description").values[voxel, column]
        values[own, voxel] = original[place[voxel, column], voxel]
    generated = respond(pictures, values, original)
    measured = np.zeros(place.shape, np.float32)
    result = measure_sufficiency(generated, measured=measured, generator=np.random.default_rng(0))
    assert result["error"].sel(condition="description").values == pytest.approx(0, abs=1e-6)
    assert (result["roi_share"] == 1).all()
    assert result["correlation"].sel(condition="description").values == pytest.approx(1)
    literal = np.abs(
        values[pictures["picture"].sel(condition="random").values[0, 0], 0]
        - original[place[0, 0], 0]
    ).mean()
    found = result["error"].sel(model="evaluator", condition="random").values[0, 0]
    assert found == pytest.approx(literal, rel=1e-5)
    assert result["mean"].sel(model="evaluator", control="random").values == pytest.approx(
        result["error"].sel(model="evaluator", condition="random").mean("chosen").values, rel=1e-5
    )


def test_words_have_one_name_whether_pictures_or_edits_are_made_with_them():
    assert DESCRIPTIONS[0] == GUIDES[0]
    assert [name for name in PICTURES if name in EDITS] == list(DESCRIPTIONS)


def test_errors_to_measured_and_to_predicted_responses_equal_literal_ones_and_may_disagree():
    pictures = plan()
    images = planned_images(pictures["image"])
    random = np.random.default_rng(6)
    original = random.normal(size=(len(images), 2))
    values = random.normal(size=(pictures.sizes["picture"], 2))
    place = np.searchsorted(images, pictures["image"].values)
    measured = np.empty(place.shape, np.float32)
    shown = pictures["picture"].transpose("voxel", "chosen", "condition", "sample").values
    for voxel, column in np.ndindex(place.shape):
        own, lowest = (shown[voxel, column, PICTURES.index(c)] for c in ("description", "lowest"))
        # The description's picture is as predicted for the original, the lowest's as measured.
        values[own, voxel] = original[place[voxel, column], voxel]
        measured[voxel, column] = original[place[voxel, column], voxel] + 3 + random.random()
        values[lowest, voxel] = measured[voxel, column]
    generated = respond(pictures, values, original)
    result = measure_sufficiency(generated, measured=measured, generator=np.random.default_rng(0))
    references = {"": original[place, np.arange(2)[:, None]], TO_MEASURED: measured}
    for prefix, reference in references.items():
        errors = np.empty((len(PICTURES), *place.shape))
        for condition, voxel, column in np.ndindex(errors.shape):
            samples = values[shown[voxel, column, condition], voxel]
            errors[condition, voxel, column] = np.abs(samples - reference[voxel, column]).mean()
        errors[PICTURES.index("caption")][pictures["image"].values == 129] = np.nan
        judged = result.sel(model="evaluator")
        np.testing.assert_allclose(judged[f"{prefix}error"], errors, rtol=1e-4, atol=1e-5)
        for control in ("random", "lowest", "empty"):
            advantage = errors[PICTURES.index(control)] - errors[0]
            pooled = clustered_effect(advantage.ravel(), pictures["image"].values.ravel())
            own = judged.sel(control=control)
            for row, name in enumerate(("mean", "cohens_dz")):
                found = own[f"{prefix}roi_{name}"]
                np.testing.assert_allclose(found, pooled[row], rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(own[f"{prefix}mean"], advantage.mean(axis=-1), atol=1e-4)
        r = judged[f"{prefix}correlation"].sel(condition="random").values
        responses = values[shown[:, :, PICTURES.index("random")], np.arange(2)[:, None, None]]
        for voxel in range(2):
            expected = np.corrcoef(responses[voxel].mean(axis=-1), reference[voxel])[0, 1]
            assert r[voxel] == pytest.approx(expected, abs=1e-5)
    lowest = result.sel(model="evaluator", control="lowest")
    assert float(lowest["roi_share"]) == 1 and float(lowest["to_measured_roi_share"]) == 0
    assert (lowest["p"] <= 0.05).all() and (lowest["to_measured_p"] > 0.9).all()


def test_measured_responses_are_those_of_the_voxels_and_images():
    pictures = plan()
    random = np.random.default_rng(4)
    responses = xr.Dataset(
        {"response": (("image", "voxel"), random.normal(size=(30, 9)).astype(np.float32))},
        coords={"image": random.permutation(100 + np.arange(30))},
    )
    measured = measured_originals(pictures, responses)
    image, voxel = int(pictures["image"].values[1, 2]), int(pictures["voxel"].values[1])
    expected = responses["response"].sel(image=image).values[voxel]
    assert measured[1, 2] == pytest.approx(expected)


def test_no_voxel_gives_empty_results():
    pictures = plan(make_features(WORDS, [[0]]).isel(voxel=[]))
    generated = record_pictures(
        pictures,
        np.zeros((0, 4, 4, 3), np.uint8),
        [{"evaluator": np.zeros((0, 9), np.float32)}],
        {"evaluator": np.zeros((0, 9), np.float32)},
    )
    result = measure_sufficiency(
        generated,
        measured=np.zeros((0, 6), np.float32),
        generator=np.random.default_rng(0),
    )
    assert result.sizes["voxel"] == 0
    for prefix in REFERENCES:
        assert np.isnan(result[f"{prefix}roi_share"].values).all()


def test_controls_have_no_more_words_than_the_description():
    features = make_features(WORDS, [[0]])
    features["description"].loc[{"condition": "description"}].values[..., 1] = -1
    pictures = plan(features)
    for name in DESCRIPTIONS:
        prompts = pictures["prompt"].values[pictures["picture"].sel(condition=name).values.ravel()]
        assert len(prompts) and not any("," in prompt for prompt in prompts)
