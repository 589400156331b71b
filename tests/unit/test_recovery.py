"""Scores of recovery on results made by hand, where the right numbers are plain to see."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mine.demo.recovery import (
    MEANS,
    POINT_SHARE,
    SHARES,
    VOXEL_COLUMNS,
    category_members,
    find_peak,
    form_members,
    match_voxels,
    predict_bounds,
    score_voxels,
    summarise,
    tabulate_forms,
    tabulate_scores,
)
from mine.demo.words import CATEGORIES
from mine.figures.recovery import select_drawn
from mine.stores import read_table, write_table

COLUMNS = ["measure", "subject", "roi", "value", "low", "high", "n"]

# --- geometry ---


@pytest.mark.parametrize("place", [(0, 0), (3, 5), (7, 7), (6, 1)])
def test_peak_is_the_centre_of_the_planted_patch(place):
    surface = np.zeros((8, 8))
    surface[place] = 1.0
    np.testing.assert_allclose(find_peak(surface), (np.array(place) + 0.5) / 8)
    np.testing.assert_allclose(find_peak(surface + 3), (np.array(place) + 0.5) / 8)


def test_peak_is_where_a_blob_is_and_not_a_single_high_patch():
    surface = np.zeros((8, 8))
    surface[0, 7] = 1.5
    surface[3:6, 1:4] = 1.0
    assert np.abs(find_peak(surface) - np.array([4.5, 2.5]) / 8).max() < 0.1


# --- one subject ---

VOCABULARY = np.array(
    ["face", "visage", "human", "red", "crimson", "car", "beach", "sea", "anchor"]
)
GRID = (4, 4)


def word_indices(*names: str) -> list[int]:
    return [VOCABULARY.tolist().index(name) for name in names]


def make_truth(**planted: list) -> xr.Dataset:
    voxels = len(planted["main"])
    defaults = {
        "second_kind": [""] * voxels,
        "second_word": [""] * voxels,
        "suppressed": [""] * voxels,
        "region": ["FFA-1"] * voxels,
    }
    data = {name: (("voxel",), np.array(v)) for name, v in (defaults | planted).items()}
    place = np.full((voxels, 2), np.nan)
    for voxel, kind in enumerate((defaults | planted)["second_kind"]):
        if kind == "place":
            place[voxel] = (0.625, 0.125)
    return xr.Dataset(data | {"second_place": (("voxel", "axis_of_place"), place)})


def make_profile(positive, negative=None, *, described=None, maps=None, listed=2) -> xr.Dataset:
    voxels = len(positive)
    filler = [word_indices("anchor", "human", "sea", "anchor", "human")] * voxels
    words = np.array([positive, filler if negative is None else negative])
    described = [True] * voxels if described is None else described
    maps = np.ones((voxels, *GRID)) if maps is None else maps
    return xr.Dataset(
        {
            "word": (("sign", "voxel", "rank"), words),
            "listed": (("sign", "voxel", "rank"), np.arange(5) < np.full((2, voxels, 1), listed)),
            "described": (("voxel",), described),
            "reason": (("voxel",), ["described" if d else "not predicted" for d in described]),
            "position_map": (("voxel", "row", "column"), maps),
        },
        coords={"sign": ["positive", "negative"], "voxel": np.arange(voxels)},
    )


def make_images() -> xr.Dataset:
    """Three images of 8 × 8 pixels, 2 × 2 a patch: a face top left, a car, and nothing."""
    labels = np.zeros((3, 8, 8), dtype=np.uint8)
    labels[0, :4, :4] = 1 + list(CATEGORIES).index("face")
    labels[1, 6:, :] = 1 + list(CATEGORIES).index("car")
    scenes = [json.dumps({"background": name}) for name in ("beach", "city", "beach")]
    return xr.Dataset(
        {"label": (("image", "row", "column"), labels), "scene": (("image",), scenes)},
        coords={"image": [5, 6, 7]},
    )


def make_attribution(tokens: list, weights: list) -> xr.Dataset:
    """One voxel's tokens for each of the three images."""
    token = np.array([tokens, np.full_like(tokens, -1)])[:, None]
    weight = np.array([weights, np.zeros_like(weights)], dtype=float)[:, None]
    ranked = ("sign", "voxel", "image", "rank")
    return xr.Dataset(
        {"token": (ranked, token), "attribution": (ranked, weight)},
        coords={"sign": ["positive", "negative"], "image": [5, 6, 7], "voxel": [0]},
    )


def score(truth, profile, attribution=None, **changes) -> pd.DataFrame:
    voxels = profile.sizes["voxel"]
    if attribution is None:
        attribution = make_attribution([[0, 1]] * 3, [[1.0, 1.0]] * 3)
        attribution = attribution.isel(voxel=[0] * voxels).assign_coords(voxel=np.arange(voxels))
    options = {
        "profiles": {"FFA-1": profile},
        "controls": {"FFA-1": profile.assign(described=~profile["described"])},
        "attributions": {"FFA-1": attribution},
        "noise_ceiling": np.full(voxels, 0.5),
        "ridge_words": np.zeros(voxels, dtype=int),
        "vocabulary": VOCABULARY,
        "test": np.array([5, 6, 7]),
        "grid": GRID,
    } | changes
    return score_voxels(truth, make_images(), **options)


def test_top_word_is_right_if_it_is_a_synonym_and_not_a_hypernym():
    truth = make_truth(main=["face", "face", "face", "beach"])
    first = ["face", "visage", "human", "sea"]
    profile = make_profile([word_indices(word, "red", "car", "anchor", "beach") for word in first])
    rows = score(truth, profile)
    assert rows["top_word"].tolist() == [True, True, False, False]
    assert rows["top_word_ridge"].tolist() == [True, True, True, False]
    assert rows["words"][0] == "face, red, car, anchor, beach"


def test_second_feature_counts_among_the_first_four_words():
    truth = make_truth(
        main=["face"] * 4,
        second_kind=["colour", "colour", "colour", ""],
        second_word=["red", "red", "red", ""],
    )
    orders = [
        ("face", "human", "sea", "crimson", "car"),
        ("face", "human", "sea", "car", "red"),
        ("red", "face", "human", "sea", "car"),
        ("face", "red", "human", "sea", "car"),
    ]
    rows = score(truth, make_profile([word_indices(*order) for order in orders]))
    assert rows["second_feature"].tolist()[:3] == [True, False, True]
    assert pd.isna(rows["second_feature"][3])
    assert rows["second"].tolist() == ["colour"] * 3 + [""]


def test_listed_words_are_true_of_what_was_planted_or_of_its_hypernym():
    truth = make_truth(main=["face"] * 3, second_kind=["colour"] * 3, second_word=["red"] * 3)
    orders = [
        ("visage", "human", "crimson", "car", "sea"),  # all true of an FFA-1 voxel but car and sea
        ("face", "sea", "red", "car", "beach"),
        ("face", "human", "car", "red", "beach"),
    ]
    words = [word_indices(*order) for order in orders]
    rows = score(truth, make_profile(words, listed=3))
    assert rows["listed_true"].tolist() == pytest.approx([1, 2 / 3, 2 / 3])
    assert rows["listed"].tolist() == [3] * 3
    assert rows["listed_false"].tolist() == ["", "sea", "car"]
    assert rows["second_feature_listed"].tolist() == [True, True, False]
    assert (
        score(truth, make_profile(words, listed=0))["second_feature_listed"].tolist() == [False] * 3
    )


def test_a_word_of_the_list_of_colours_is_right_where_that_colour_was_planted():
    truth = make_truth(
        main=["face"] * 5,
        second_kind=["colour", "colour", "colour", "object", ""],
        second_word=["red", "red", "red", "dog", ""],
    )
    profile = make_profile([word_indices("face", "human", "sea", "car", "red")] * 5)
    bare = score(truth, profile)
    assert bare.filter(like="list_").isna().all(axis=None), "nor is anything scored of no lists"
    assert bare.columns.tolist() == list(VOXEL_COLUMNS)
    by_list = ("list", "voxel")
    words = word_indices("crimson", "sea", "red", "red", "red")
    profile["list_word"] = by_list, [[0] * 5, words]
    profile["list_listed"] = by_list, [[True] * 5, [True, True, False, True, False]]
    rows = score(truth, profile.assign_coords(list=["parts", "colours"]))
    assert rows["list_colour"].tolist() == ["crimson", "sea", "", "red", ""]
    assert rows["list_colour_listed"].tolist()[:3] == [True, True, False]
    assert rows["list_colour_true"].tolist()[:2] == [True, False]
    assert rows["list_colour_false"].tolist()[3:] == [True, False]
    for name, count in (("listed", 3), ("true", 2), ("false", 2)):
        assert rows[f"list_colour_{name}"].notna().sum() == count


def test_suppressed_word_is_read_from_the_negative_profile():
    truth = make_truth(main=["face"] * 3, suppressed=["car", "car", ""])
    positive = [word_indices("face", "car", "red", "sea", "human")] * 3
    negative = [
        word_indices("anchor", "car", "red", "sea", "human"),
        word_indices("anchor", "human", "red", "sea", "car"),
        word_indices("car", "human", "red", "sea", "face"),
    ]
    rows = score(truth, make_profile(positive, negative))
    assert rows["suppressed_word"].tolist()[:2] == [True, False]
    assert pd.isna(rows["suppressed_word"][2])


def test_place_is_found_relative_to_the_other_voxels():
    truth = make_truth(main=["face"] * 2, second_kind=["place", "place"])
    # All attributions crowd in one corner; only the first voxel's lean to the planted place.
    maps = np.ones((2, *GRID))
    maps[:, :2, 2:] = 20
    maps[0, 2, 0] = 4
    maps[1, 3, 3] = 4
    profile = make_profile([word_indices("face", "red", "car", "sea", "human")] * 2, maps=maps)
    assert score(truth, profile)["position_recovered"].tolist() == [True, False]


def test_pointing_and_mass_of_an_object_are_measured_where_it_is_shown():
    profile = make_profile([word_indices("face", "red", "car", "sea", "human")])
    # The face fills patches 0, 1, 4, 5 of the first image only.
    attribution = make_attribution([[5, 15], [3, 3], [3, 3]], [[3.0, 1.0], [1, 1], [1, 1]])
    row = score(make_truth(main=["face"]), profile, attribution).iloc[0]
    assert row["pointing"] == 1 and row["mass_in_mask"] == pytest.approx(0.75)
    assert row["mass_in_mask_chance"] == row["pointing_chance"] == 4 / 16
    missed = make_attribution([[15, 5], [0, 0], [0, 0]], [[3.0, 1.0], [1, 1], [1, 1]])
    row = score(make_truth(main=["face"]), profile, missed).iloc[0]
    assert row["pointing"] == 0 and row["mass_in_mask"] == pytest.approx(0.25)


def test_pointing_at_a_background_asks_for_what_no_object_covers():
    profile = make_profile([word_indices("beach", "red", "car", "sea", "human")])
    attribution = make_attribution([[15, 0], [0, 0], [9, -1]], [[3.0, 1.0], [1, 1], [1, 0]])
    row = score(make_truth(main=["beach"]), profile, attribution).iloc[0]
    # Images 5 and 7 show the beach: one token of the first lies on the face.
    assert row["pointing"] == 1 and row["mass_in_mask"] == pytest.approx((0.75 + 1) / 2)
    assert row["mass_in_mask_chance"] == pytest.approx((12 / 16 + 1) / 2)


def test_a_token_points_if_enough_of_its_patch_shows_the_object():
    images = make_images()
    images["label"].values[0] = 0
    images["label"].values[0, 0, 0] = 1 + list(CATEGORIES).index("face")
    profile = make_profile([word_indices("face", "red", "car", "sea", "human")])
    attribution = make_attribution([[0, 1]] * 3, [[1.0, 1.0]] * 3)
    found = score_voxels(
        make_truth(main=["face"]),
        images,
        profiles={"FFA-1": profile},
        controls={"FFA-1": profile},
        attributions={"FFA-1": attribution},
        noise_ceiling=np.array([0.5]),
        ridge_words=np.array([0]),
        vocabulary=VOCABULARY,
        test=np.array([5, 6, 7]),
        grid=GRID,
    ).iloc[0]
    assert POINT_SHARE == 0.25 and found["pointing"] == 1
    assert found["mass_in_mask"] == pytest.approx(0.125)


def test_a_voxel_without_attribution_points_nowhere():
    profile = make_profile([word_indices("face", "red", "car", "sea", "human")])
    empty = make_attribution([[-1, -1]] * 3, [[0.0, 0.0]] * 3)
    row = score(make_truth(main=["face"]), profile, empty).iloc[0]
    assert row["pointing"] == 0 and row["mass_in_mask"] == 0


def test_voxels_of_contrast_and_noise_are_scored_by_description_alone():
    profile = make_profile([word_indices("face", "red", "car", "sea", "human")] * 2)
    rows = score(make_truth(main=["contrast", ""]), profile)
    assert rows[[*SHARES, *MEANS]].isna().all(axis=None) and rows["described"].all()
    assert not rows["described_random_encoder"].any()


def test_truth_is_matched_by_place_in_the_volume():
    random = np.random.default_rng(0)
    ijk = np.stack(np.unravel_index(random.permutation(60)[:20], (3, 4, 5)), axis=1)
    truth = xr.Dataset({"ijk": (("voxel", "axis"), ijk), "number": (("voxel",), np.arange(20))})
    order = random.permutation(20)[:12]
    responses = xr.Dataset({"ijk": (("voxel", "axis"), ijk[order])})
    np.testing.assert_array_equal(match_voxels(truth, responses)["number"], order)


# --- the table ---


def make_rows() -> pd.DataFrame:
    """Two subjects: in FFA-1 four voxels each, and a voxel of contrast and two of noise."""
    rows = []
    for subject, right in (("subj01", [True, True, False, True]), ("subj02", [True] * 4)):
        for voxel in range(4):
            rows.append(
                {
                    "subject": subject,
                    "roi": "FFA-1",
                    "voxel": voxel,
                    "main": "face",
                    "noise_ceiling": [0.5, 0.4, 0.3, 0.1][voxel],
                    "described": voxel != 1,
                    "reason": "described" if voxel != 1 else "not predicted",
                    "described_random_encoder": False,
                    "top_word": right[voxel],
                    "top_word_ridge": False,
                    "second_feature": True if voxel == 0 else np.nan,
                    "position_recovered": np.nan,
                    "suppressed_word": np.nan,
                    "pointing": 0.25 * voxel,
                    "pointing_chance": 0.1,
                    "mass_in_mask": 0.5,
                    "mass_in_mask_chance": 0.1,
                }
            )
        for main, reason in (("contrast", "retinotopic"), ("", "not predicted"), ("", "described")):
            rows.append(
                {
                    "subject": subject,
                    "roi": "V1v" if main else "control",
                    "voxel": 9,
                    "main": main,
                    "noise_ceiling": 0.0,
                    "described": reason == "described",
                    "reason": reason,
                    "described_random_encoder": False,
                }
            )
    return pd.DataFrame(rows, columns=["subject", *VOXEL_COLUMNS])


def summarise_rows(rows: pd.DataFrame, scores: pd.DataFrame | None = None) -> pd.DataFrame:
    scores = pd.DataFrame(columns=COLUMNS) if scores is None else scores
    return summarise(rows, scores, resamples=50, generator=np.random.default_rng(0))


def cell(table: pd.DataFrame, measure: str, subject: str, roi: str) -> pd.Series:
    (row,) = table[
        (table["measure"] == measure) & (table["subject"] == subject) & (table["roi"] == roi)
    ].itertuples()
    return row


EXPECTED = {
    # measure, subject, roi: value, n
    ("described", "subj01", "FFA-1"): (2 / 3, 3),
    ("described", "all", "all"): (4 / 6, 6),
    ("described_any_ceiling", "all", "all"): (6 / 8, 8),
    ("top_word", "subj01", "all"): (1 / 2, 2),
    ("top_word", "all", "FFA-1"): (3 / 4, 4),
    ("top_word_all", "subj01", "FFA-1"): (1 / 3, 3),
    ("top_word_ridge", "all", "all"): (0, 4),
    ("second_feature", "all", "all"): (1, 2),
    ("pointing", "subj01", "FFA-1"): (0.25, 2),
    ("described_random_encoder", "all", "all"): (0, 8),
    ("described", "all", "noise"): (1 / 2, 4),
    ("described", "subj02", "V1v"): (0, 1),
    ("retinotopic", "all", "V1v"): (1, 2),
}


@pytest.mark.parametrize("through_a_file", [False, True])
def test_table_has_the_shares_that_its_rows_say(through_a_file, tmp_path):
    rows = make_rows()
    if through_a_file:
        # As the workflow does it: a file for each subject, one after the other.
        files = {tmp_path / f"{subject}.tsv": own for subject, own in rows.groupby("subject")}
        for path, own in files.items():
            write_table(own, path)
        rows = pd.concat(map(read_table, files))
    table = summarise_rows(rows)
    assert table.columns.tolist() == COLUMNS
    for (measure, subject, roi), (value, count) in EXPECTED.items():
        row = cell(table, measure, subject, roi)
        assert row.value == pytest.approx(value), (measure, subject, roi)
        assert row.n == count
        assert row.low <= row.value + 1e-12 and row.value <= row.high + 1e-12
        assert 0 <= row.low + 1e-12 and row.high <= 1 + 1e-12


def test_each_measure_subject_and_roi_has_one_row():
    table = summarise_rows(make_rows())
    assert not table.duplicated(["measure", "subject", "roi"]).any()
    assert table.notna().all(axis=None)


def test_a_measure_that_applies_to_no_voxel_has_no_row():
    table = summarise_rows(make_rows())
    assert not {"position_recovered", "suppressed_word"} & set(table["measure"])


def test_scores_of_the_encoders_are_appended_as_they_are():
    scores = pd.DataFrame([["r2_normalised_mine", "subj01", "FFA-1", 0.8, 0.7, 0.9, 40]])
    scores.columns = COLUMNS
    table = summarise_rows(make_rows(), scores)
    row = cell(table, "r2_normalised_mine", "subj01", "FFA-1")
    assert (row.value, row.low, row.high, row.n) == (0.8, 0.7, 0.9, 40)


# --- what the encoders could reach ---


def test_bounds_predict_what_was_planted():
    random = np.random.default_rng(0)
    regressors = random.normal(size=(400, 6))
    regressors[:, 5] = 1.0
    planted = regressors[:, :5] @ random.normal(size=(5, 3))
    planted = (planted - planted.mean(axis=0)) / planted.std(axis=0)
    measured = 0.7 * planted + 2 + 0.5 * random.normal(size=planted.shape)
    truth = xr.Dataset(
        {
            "response": (("image", "voxel"), planted.astype(np.float32)),
            "regressor": (("image", "feature"), regressors.astype(np.float32)),
        }
    )
    training = np.arange(400) < 300
    bounds = predict_bounds(truth, measured, training=training, alphas=[0.1, 1.0, 10.0])
    for name in ("planted_ridge", "noiseless"):
        predicted = bounds[name]
        assert predicted.shape == (100, 3)
        np.testing.assert_allclose(predicted, 0.7 * planted[300:] + 2, atol=0.5)
        correlation = [
            np.corrcoef(p, q)[0, 1] for p, q in zip(predicted.T, planted[300:].T, strict=True)
        ]
        assert min(correlation) > 0.98


def test_bounds_do_not_see_the_test_responses():
    random = np.random.default_rng(1)
    truth = xr.Dataset(
        {
            "response": (("image", "voxel"), random.normal(size=(60, 2)).astype(np.float32)),
            "regressor": (("image", "feature"), random.normal(size=(60, 4)).astype(np.float32)),
        }
    )
    measured, training = random.normal(size=(60, 2)), np.arange(60) < 40
    first = predict_bounds(truth, measured, training=training, alphas=[1.0])
    measured[~training] = 99
    again = predict_bounds(truth, measured, training=training, alphas=[1.0])
    for name, predicted in first.items():
        np.testing.assert_array_equal(predicted, again[name])


def test_category_rois_are_those_with_a_planted_category():
    truth = xr.Dataset({"main": (("voxel",), ["face", "face", "house", "contrast", "", ""])})
    member = np.zeros((4, 6), dtype=bool)
    member[0, :2] = member[1, 2] = member[2, 3] = member[3, 4:] = True
    rois = xr.Dataset(
        {"member": (("roi", "voxel"), member)}, coords={"roi": ["FFA-1", "PPA", "V1v", "control"]}
    )
    members, names = category_members(truth, rois)
    assert names == ["FFA-1", "PPA", "all"]
    np.testing.assert_array_equal(members[-1], [True] * 3 + [False] * 3)
    np.testing.assert_array_equal(members[:-1], member[:2])


def make_scores(rois: list[str]) -> xr.Dataset:
    """Scores of two models in two places."""
    models = ["mine", "ridge"]
    value = np.array([[0.8, 0.7], [0.5, 0.6]])
    difference = value[:, None] - value[None, :]
    return xr.Dataset(
        {
            "roi_r2_normalised": (("model", "roi"), value),
            "roi_r2_normalised_interval": (
                ("model", "roi", "bound"),
                np.stack([value - 0.1, value + 0.1], axis=-1),
            ),
            "roi_difference": (("model", "reference", "roi"), difference),
            "roi_difference_interval": (
                ("model", "reference", "roi", "bound"),
                np.stack([difference - 0.1, difference + 0.1], axis=-1),
            ),
            "roi_voxels": (("roi",), [40, 90]),
        },
        coords={"model": models, "reference": models, "roi": rois},
    )


def test_scores_are_tabulated_with_their_differences():
    table = tabulate_scores(make_scores(["FFA-1", "all"]), "subj02")
    assert table.columns.tolist() == COLUMNS and len(table) == 6
    row = cell(table, "r2_normalised_ridge", "subj02", "all")
    assert (row.value, row.low, row.high, row.n) == pytest.approx((0.6, 0.5, 0.7, 90))
    row = cell(table, "r2_normalised_mine_minus_ridge", "subj02", "FFA-1")
    assert (row.value, row.low, row.high, row.n) == pytest.approx((0.3, 0.2, 0.4, 40))


def test_forms_part_the_voxels_of_category_rois_and_no_others():
    form = ["additive", "tolerant", "additive", "saturating", "tolerant"]
    truth = xr.Dataset({"form": (("voxel",), form)})
    members, names = form_members(truth, np.array([True, True, True, False, True]))
    assert names == ["tolerant", "additive"]
    np.testing.assert_array_equal(members, [[0, 1, 0, 0, 1], [1, 0, 1, 0, 0]])


def test_a_form_is_told_apart_by_its_measure_and_never_taken_for_a_region():
    scores = make_scores(["tolerant", "additive"])
    table = tabulate_forms(scores, "subj02")
    assert table.columns.tolist() == COLUMNS and set(table["roi"]) == {"all"}
    assert not table.duplicated(["measure", "subject", "roi"]).any()
    row = cell(table, "r2_normalised_ridge_additive", "subj02", "all")
    assert (row.value, row.low, row.high, row.n) == pytest.approx((0.6, 0.5, 0.7, 90))
    row = cell(table, "r2_normalised_mine_minus_ridge_tolerant", "subj02", "all")
    assert (row.value, row.low, row.high, row.n) == pytest.approx((0.3, 0.2, 0.4, 40))
    # Beside the rows of regions none is hidden by another, and figure 14 shows none of them.
    both = pd.concat([tabulate_scores(make_scores(["FFA-1", "all"]), "subj02"), table])
    assert not both.duplicated(["measure", "subject", "roi"]).any()
    assert select_drawn(table).empty
