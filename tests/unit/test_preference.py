"""Laws of category preference: labels, comparisons of images, nulls, and planted truth."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from sklearn.metrics import roc_auc_score

from mine import sections
from mine.core.mentions import find_words
from mine.core.preference import (
    bound_comparison,
    caption_shares,
    compare_images,
    compare_with_null,
    deal_profiles,
    find_unknown,
    label_images,
    measure_agreement,
    prefer,
    share_p,
)
from mine.errors import InputError
from mine.stages.null_profiles import deal_null
from mine.stages.preference import (
    EVIDENCE,
    RESPONSES,
    _compare_responses,
    measure_preference,
)
from mine.statistics.bootstrap import interval, stratified_weights


def category(**values: object) -> dict[str, object]:
    return {"prompts": ["x"], "instances": [], "captions": [], "localiser": None} | values


# --- labels ---

CAPTIONS = [
    ["A dog runs.", "a DOG", "grass", "grass"],  # half of the captions
    ["A dog runs.", "a hot dogma", "underdog", "grass"],
    ["(dog)!", "a dog, a cat", "dogs", "dog"],
    [],
    ["grass"],
]


def make_stimuli() -> xr.Dataset:
    """Five images; the last has no annotated objects."""
    present = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    return xr.Dataset(
        {
            "captions": ("image", [json.dumps(texts) for texts in CAPTIONS]),
            "category_present": (("image", "category"), present),
            "annotated": ("image", [True, True, True, True, False]),
        },
        coords={
            "image": np.arange(5) + 10,
            "category": ["cat", "apple", "stop sign"],
            "supercategory": ("category", ["animal", "food", "outdoor"]),
        },
    )


def labels_of(stimuli: xr.Dataset | None = None, **values: object) -> tuple[list[int], str]:
    found = label_images(make_stimuli() if stimuli is None else stimuli, {"a": category(**values)})
    assert found["label"].dtype == np.int8
    return found["label"].values[0].tolist(), str(found["label_source"].values[0])


def test_a_caption_word_is_a_whole_word_in_any_case():
    shares = caption_shares(CAPTIONS, ["dog"])
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.75, np.nan, 0])
    np.testing.assert_allclose(caption_shares([["a stop sign", "stop a sign"]], ["stop sign"]), 0.5)


@pytest.mark.parametrize(
    ("caption", "word", "has"),
    [
        ("a stop-sign on a corner", "stop sign", True),
        ("He wears a T-Shirt", "t shirt", True),
        ("a sign_post", "sign", True),
        ("a dog's head", "dog", True),
        ("an underdog", "dog", False),
        ("c", "c+", True),
        ("c+", "+", False),
    ],
)
def test_captions_have_the_words_of_a_category_as_they_have_any_word(caption, word, has):
    assert find_words([[caption]], [word]).item() == has
    assert caption_shares([[caption, "grass"]], ["tree", word]).item() == has / 2


def test_half_of_the_captions_make_a_label_and_no_caption_makes_none():
    assert labels_of(captions=["dog"]) == ([1, 0, 1, -1, 0], "captions")


def test_an_instance_is_a_category_or_a_supercategory_and_needs_annotation():
    assert labels_of(instances=["apple"]) == ([1, 0, 0, 0, -1], "instances")
    assert labels_of(instances=["animal"]) == ([0, 1, 0, 0, -1], "instances")
    assert labels_of(instances=["animal", "stop sign"]) == ([0, 1, 0, 1, -1], "instances")


def test_either_source_is_enough_for_yes_and_both_are_needed_for_no():
    label, source = labels_of(instances=["stop sign"], captions=["dog"])
    assert (label, source) == ([1, 0, 1, 1, -1], "instances, captions")


def test_a_source_that_no_image_has_is_not_asked():
    stimuli = make_stimuli().drop_vars(["category_present", "annotated"])
    assert labels_of(stimuli, instances=["apple"], captions=["dog"]) == (
        [1, 0, 1, -1, 0],
        "captions",
    )
    assert labels_of(stimuli, instances=["apple"]) == ([-1] * 5, "")
    stimuli = stimuli.assign(captions=("image", ["[]"] * 5))
    assert labels_of(stimuli, captions=["dog"]) == ([-1] * 5, "")
    assert labels_of(captions=[]) == ([-1] * 5, "")


def test_unknown_names_give_one_sentence():
    with pytest.raises(InputError) as raised:
        labels_of(instances=["aple", "food"])
    assert str(raised.value) == (
        "categories.a.instances: expected categories or supercategories of the images, found "
        "'aple'; there are apple, animal"
    )
    problems = find_unknown(
        {"a": category(localiser="house"), "b": category()}, "localiser", ["faces", "word"], "one"
    )
    assert problems == [
        "categories.a.localiser: expected one, found 'house'; there are faces, word"
    ]


# --- responses ---


def draw_responses(images: int = 60, columns: int = 4) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    carries = random.random(images) < 0.3
    values = random.normal(size=(images, columns)) + np.outer(carries, np.arange(columns) - 1)
    values[:, -1] = np.round(values[:, -1])  # ties
    return values.astype(np.float32), carries


def test_comparison_equals_scipy_and_sklearn_column_by_column():
    values, carries = draw_responses()
    found = compare_images(values, carries)
    for column, own in enumerate(values.T.astype(float)):
        assert found.auc[column] == pytest.approx(roc_auc_score(carries, own))
        expected = stats.mannwhitneyu(own[carries], own[~carries], method="asymptotic")
        assert found.p[column] == pytest.approx(expected.pvalue)
        spread = np.sqrt((own[carries].var(ddof=1) + own[~carries].var(ddof=1)) / 2)
        d = (own[carries].mean() - own[~carries].mean()) / spread
        assert found.d_prime[column] == pytest.approx(d)


def test_comparison_knows_order_alone_and_changes_sides_with_the_label():
    values, carries = draw_responses()
    found, other = compare_images(values, carries), compare_images(values, ~carries)
    np.testing.assert_allclose(found.auc, compare_images(np.exp(values), carries).auc)
    np.testing.assert_allclose(found.auc + other.auc, 1)
    np.testing.assert_allclose(found.d_prime, -other.d_prime)
    np.testing.assert_allclose(found.p, other.p)
    constant = compare_images(np.ones((60, 1)), carries)
    assert constant.auc == 0.5 and np.isnan(constant.d_prime) and constant.p == 1


@pytest.mark.parametrize("count", [0, 1, 9, 10, 50, 51, 59, 60])
def test_too_few_images_on_a_side_say_nothing(count):
    values, _ = draw_responses()
    found = compare_images(values, np.arange(60) < count)
    known = np.isfinite([found.auc, found.d_prime, found.p])
    assert known.all() if 10 <= count <= 50 else not known.any()


def test_categories_of_few_images_take_no_preference_from_one_of_many():
    random = np.random.default_rng(1)
    label = np.zeros((5, 100), int)
    for row, count in enumerate((30, 2, 2, 3, 3)):
        label[row, random.choice(100, count, replace=False)] = 1
    response = random.normal(size=(100, 60)) + 1.2 * label[0][:, None]

    def ask(label: np.ndarray) -> np.ndarray:
        of_both = dict.fromkeys(RESPONSES, response)
        found = _compare_responses(of_both, label, level=0.05, resamples=9, generator=random)
        return found.by_voxel

    np.testing.assert_array_equal(ask(label), ask(label[:1]))
    assert (ask(label)[1] == 0).mean() > 0.9


def test_bounds_hold_the_comparison_between_those_of_the_images_drawn():
    values, carries = draw_responses()
    own = values[:, -1].astype(float)
    bounds = bound_comparison(own, carries, resamples=30, generator=np.random.default_rng(1))
    weights = stratified_weights(carries, resamples=30, generator=np.random.default_rng(1))
    drawn = [np.repeat(np.arange(60), np.round(60 * weight).astype(int)) for weight in weights]
    literal = [compare_images(own[rows, None], carries[rows]) for rows in drawn]
    found = compare_images(own[:, None], carries)
    for row, name in enumerate(("auc", "d_prime")):
        draws = np.concatenate([getattr(comparison, name) for comparison in literal])
        expected = getattr(found, name)[0], *interval(draws)
        np.testing.assert_allclose(bounds[row], expected, rtol=1e-6)
    few = bound_comparison(own, np.arange(60) < 9, resamples=9, generator=np.random.default_rng(2))
    assert np.isnan(few).all()


def test_interval_of_the_auc_covers_the_truth():
    truth = stats.norm.cdf(1 / np.sqrt(2))
    random, covered = np.random.default_rng(0), 0
    for _ in range(100):
        carries = np.arange(120) < 50
        values = random.normal(size=120) + carries
        _, low, high = bound_comparison(values, carries, resamples=200, generator=random)[0]
        covered += low <= truth <= high
    # Within binomial bounds of 95% of the 100.
    assert stats.binom.ppf(0.001, 100, 0.95) - 2 <= covered


# --- text space ---


def make_words(groups: int = 60, features: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Words that share a direction, and weights that lie on few of them."""
    random = np.random.default_rng(3)
    text = random.normal(size=(groups, features)) + np.linspace(2, 0, features)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    weights = np.maximum(random.normal(-0.5, 1, (200, groups)), 0) ** 2
    return text.astype(np.float32), weights


def test_dealt_profiles_are_those_of_voxels_whose_words_were_exchanged():
    text, weights = make_words()
    one = np.zeros((3, 60))
    one[0, 5] = 2.0  # one word: any word's own embedding; voxels without words are not drawn
    dealt = deal_profiles(one, text, count=400, generator=np.random.default_rng(0))
    nearest = (dealt @ text.T).argmax(axis=1)
    np.testing.assert_allclose(dealt, text[nearest], atol=1e-6)
    assert len(set(nearest)) > 50
    even = deal_profiles(np.ones((2, 60)), text, count=300, generator=np.random.default_rng(0))
    mean = text.sum(axis=0) / np.linalg.norm(text.sum(axis=0))
    np.testing.assert_allclose(even, np.broadcast_to(mean, even.shape), atol=1e-5)
    with pytest.raises(ValueError, match="none has any"):
        deal_profiles(np.zeros((2, 60)), text, count=3, generator=np.random.default_rng(0))


def test_p_counts_random_profiles_and_z_is_in_their_deviations():
    random = np.random.default_rng(0)
    null, cosine = random.normal(0.2, 0.5, (999, 2)), np.array([[0.2, 1.0], [np.nan, 0.0]])
    cosine[1, 1] = null[7, 1]
    z, p = compare_with_null(cosine, null)
    np.testing.assert_allclose(z, (cosine - null.mean(axis=0)) / null.std(axis=0))
    for voxel, column in np.ndindex(2, 2):
        expected = (1 + (null[:, column] >= cosine[voxel, column]).sum()) / 1000
        if np.isfinite(cosine[voxel, column]):
            assert p[voxel, column] == expected
    assert np.isnan(p[1, 0])


def test_random_profiles_are_significant_as_often_as_is_promised():
    text, weights = make_words()
    category_text = text[[3, 17, 40]]
    null = deal_profiles(weights, text, count=10_000, generator=np.random.default_rng(1))
    profiles = deal_profiles(weights, text, count=1000, generator=np.random.default_rng(2))
    _, p = compare_with_null(profiles @ category_text.T, null @ category_text.T)
    for level in (0.01, 0.05, 0.2):
        low, high = stats.binom.ppf([0.001, 0.999], 1000, level)
        false = (p <= level).sum(axis=0)
        assert (low <= false).all() and (false <= high).all(), (level, false)


def test_share_p_is_what_shuffled_voxels_give():
    random = np.random.default_rng(0)
    prefers = np.arange(30) < 9
    draws = np.array([prefers[random.permutation(30)[:8]].sum() for _ in range(20_000)])
    for found in (1, 3, 5):
        p = share_p(found, 8, preferring_all=9, all_voxels=30)
        assert p == pytest.approx((draws >= found).mean(), abs=0.01)
    assert share_p(0, 8, preferring_all=9, all_voxels=30) == 1
    assert np.isnan([share_p(9, 30, preferring_all=9, all_voxels=30)]).all()
    assert np.isnan([share_p(0, 0, preferring_all=9, all_voxels=30)]).all()


# --- preferences ---


def test_the_largest_evidence_is_preferred_only_if_it_is_sure():
    evidence = np.array([[1.0, 1.0, np.nan, np.nan], [2.0, 0.5, 3.0, np.nan]])
    sure = np.array([[True, True, True, True], [False, True, True, True]])
    assert prefer(evidence, sure, axis=0).tolist() == [-1, 0, 1, -1]
    assert prefer(evidence.T, sure.T, axis=1).tolist() == [-1, 0, 1, -1]


def test_agreement_is_over_voxels_that_have_both():
    share, count = measure_agreement(np.array([[0, 1, -1, 2], [0, 2, 1, -1], [-1, -1, -1, -1]]))
    assert count.tolist() == [[3, 2, 0], [2, 3, 0], [0, 0, 0]]
    assert share[0, 1] == share[1, 0] == 0.5 and share[0, 0] == 1
    assert np.isnan(share[2]).all()


# --- a region ---

NAMES = ["faces", "places", "words"]
CATEGORIES = {
    "faces": category(captions=["face"], localiser="faces"),
    "places": category(captions=["house"], localiser="places"),
    "words": category(instances=["sign"]),
}
IMAGES, GROUPS = 80, 40


def make_region(voxels: int, main: int | None, *, first: int, seed: int) -> dict[str, object]:
    """A region whose voxels have words of one category and answer to its images; None: noise."""
    random = np.random.default_rng(seed)
    group_text = np.random.default_rng(0).normal(size=(GROUPS, 16))
    group_text /= np.linalg.norm(group_text, axis=1, keepdims=True)
    z = np.maximum(random.normal(size=(voxels, GROUPS)), 0)
    shown = np.random.default_rng(1).integers(0, 3, IMAGES)  # each image shows one of the three
    response = random.normal(size=(IMAGES, voxels))
    t = random.normal(0, 0.5, (2, voxels))
    if main is not None:
        z[:, main] += 8
        response += 2.0 * (shown == main)[:, None]
        if main < 2:
            t[main] += 6
    embedding = z @ group_text
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    profile = xr.Dataset(
        {
            "embedding": (("voxel", "feature"), embedding),
            "group_z": (("voxel", "group"), z),
            "described": ("voxel", np.full(voxels, main is not None)),
        },
        coords={"voxel": first + np.arange(voxels)},
    )
    captions = [json.dumps([["a face"], ["a house"], ["a thing"]][kind]) for kind in shown]
    stimuli = xr.Dataset(
        {"captions": ("image", captions)}, coords={"image": 100 + np.arange(IMAGES)}
    )
    return {
        "profile": profile,
        "text": group_text[:3],
        "group_text": group_text,
        "stimuli": stimuli,
        "responses": dict.fromkeys(RESPONSES, response.astype(np.float32)),
        "t": xr.DataArray(t, {"contrast": ["faces", "places"]}, ("contrast", "voxel")),
    }


REGIONS = {
    "FFA": make_region(12, 0, first=0, seed=2),
    "PPA": make_region(9, 1, first=12, seed=3),
    "noise": make_region(20, None, first=21, seed=4),
}


def measure(roi: str, regions: dict[str, dict] = REGIONS, **changes: object) -> xr.Dataset:
    own = regions[roi]
    options = {key: own[key] for key in ("text", "stimuli", "responses", "t")}
    null = deal(regions)
    settings = {
        "categories": CATEGORIES,
        "level": 0.05,
        "resamples": 50,
        "null": null["cosine"].values,
        "generator": np.random.default_rng(5),
    }
    profiles = {
        name: region["profile"][["embedding", "described"]] for name, region in regions.items()
    }
    return measure_preference(profiles, roi, **(settings | options | changes))


def deal(regions: dict[str, dict]) -> xr.Dataset:
    return deal_null(
        {name: region["profile"][["group_z", "described"]] for name, region in regions.items()},
        text=REGIONS["FFA"]["text"],
        group_text=REGIONS["FFA"]["group_text"],
        generator=np.random.default_rng(0),
        random_profiles=500,
    )


def test_random_profiles_are_dealt_of_the_described_voxels_each_once_in_whatever_order():
    random = np.random.default_rng(0)
    own = [REGIONS[name] for name in ("FFA", "PPA")]
    weights = np.concatenate([region["profile"]["group_z"].values for region in own])
    expected = deal_profiles(weights, own[0]["group_text"], count=500, generator=random)
    shared = {**REGIONS["PPA"], "profile": REGIONS["PPA"]["profile"].isel(voxel=slice(2, 5))}
    for regions in (REGIONS, {"part": shared, **REGIONS}, dict(reversed(REGIONS.items()))):
        found = deal(regions)
        np.testing.assert_array_equal(found["cosine"].values, expected @ own[0]["text"].T)
        assert not found.attrs  # no stream of random numbers for regions to go on from, all alike


def test_no_random_profile_is_dealt_where_no_voxel_is_described():
    none = {"noise": REGIONS["noise"]}
    assert deal(none)["cosine"].shape == (0, 3)
    found = measure("noise", none)
    assert found.attrs["random_profiles"] == 0
    for name in ("cosine_z", "cosine_p", "roi_cosine_z"):
        assert np.isnan(found[name]).all(), name


@pytest.mark.parametrize(("roi", "main"), [("FFA", "faces"), ("PPA", "places")])
def test_planted_preference_is_found_by_all_evidence(roi, main):
    found = measure(roi)
    assert found["roi_preferred"].values.tolist() == [main] * 4
    assert (found["preferred"].values[[0, 3]] == main).all()
    assert (found["roi_share"].sel(category=main) > 0.7).all()
    assert found["roi_share_p"].sel(category=main) < 1e-3
    auc = found["roi_auc"].sel(category=main, response="measured")
    assert auc.sel(bound="low") <= auc.sel(bound="value") <= auc.sel(bound="high")
    assert auc.sel(bound="value") > 0.95
    assert (found["agreement"].sel(evidence="profile") > 0.9).all()
    assert found["agreement_voxels"].sel(evidence="profile", other="localiser") == len(
        found["voxel"]
    )


def test_noise_prefers_nothing():
    found = measure("noise")
    assert (found["roi_preferred"] == "").all()
    assert (found["preferred"].sel(evidence="profile") == "").all()
    assert found["roi_voxels"].values.tolist() == [0, 20, 20, 20]
    assert np.isnan(found["roi_share"].sel(evidence="profile")).all()
    assert np.isnan(found["cosine_q"]).all() and not np.isnan(found["cosine_p"]).any()


def test_what_could_not_be_asked_has_no_share():
    found = measure("noise")
    for category in found["category"].values:
        own = found.sel(category=category)
        shares = own["roi_share"]
        assert np.isnan(shares.sel(evidence="localiser")) == np.isnan(own["roi_t"]), category
        for name in ("predicted", "measured"):
            unknown = np.isnan(own["roi_auc"].sel(response=name, bound="value"))
            assert np.isnan(shares.sel(evidence=name)) == unknown, category


def test_a_voxel_prefers_by_its_responses_only_what_is_significant():
    for roi in REGIONS:
        found = measure(roi).isel(category=[0, 1]).sel(response="measured")
        for voxel, name in enumerate(found["preferred"].sel(evidence="measured").values):
            auc, q = (found[key].values[:, voxel] for key in ("auc", "auc_q"))
            best = int(auc.argmax())
            sure = q[best] <= 0.05 and auc[best] > 0.5
            assert name == (["faces", "places"][best] if sure else "")
    assert (measure("noise")["preferred"].sel(evidence="measured") == "").mean() > 0.9


def test_a_voxel_prefers_by_its_words_only_what_random_profiles_rarely_reach():
    random = np.random.default_rng(8)
    region = {**REGIONS["FFA"], "profile": REGIONS["FFA"]["profile"].copy()}
    z = np.maximum(random.normal(size=(12, GROUPS)), 0)
    z[:, 0] += np.linspace(0, 8, 12)
    embedding = z @ region["group_text"]
    region["profile"]["embedding"] = ("voxel", "feature"), embedding
    found = measure("FFA", REGIONS | {"FFA": region})
    best = found["cosine_z"].values.argmax(axis=0)
    sure = found["cosine_p"].values[best, np.arange(12)] <= 0.05
    assert 0 < sure.sum() < 12
    expected = np.where(sure, np.array(NAMES)[best], "")
    assert (found["preferred"].sel(evidence="profile") == expected).all()
    shares = (expected == np.array(NAMES)[:, None]).mean(axis=1)
    np.testing.assert_allclose(found["roi_share"].sel(evidence="profile"), shares)


def test_random_words_rarely_give_a_region_a_preference():
    """Its voxels share six words: they are near to the same category, if to any."""
    random, preferred = np.random.default_rng(0), []
    for _ in range(40):
        z = np.zeros((12, GROUPS))
        z[:, random.choice(GROUPS, 6, replace=False)] = 1 + random.exponential(size=(12, 6))
        region = {**REGIONS["FFA"], "profile": REGIONS["FFA"]["profile"].copy()}
        region["profile"]["group_z"] = ("voxel", "group"), z
        region["profile"]["embedding"] = ("voxel", "feature"), z @ region["group_text"]
        found = measure("FFA", {"FFA": region}, resamples=10)
        preferred.append(str(found["roi_preferred"].sel(evidence="profile").values))
    # Three categories with 5% each.
    assert sum(name != "" for name in preferred) <= stats.binom.ppf(0.99, 40, 0.15)


def test_a_voxel_that_answers_less_to_every_category_prefers_none():
    random = np.random.default_rng(4)
    shown = np.random.default_rng(1).integers(0, 3, IMAGES)
    less = random.normal(size=(IMAGES, 20)) - 3.0 * (shown < 2)[:, None]
    found = measure("noise", responses={"predicted": less, "measured": less})
    own = found.isel(category=[0, 1]).sel(response="measured")
    assert (own["auc"] < 0.5).all() and (own["auc_q"].min("category") <= 0.05).all()
    assert (found["preferred"].sel(evidence="measured") == "").all()
    assert found["roi_preferred"].sel(evidence="measured") == ""


def test_a_region_is_as_near_to_a_category_as_its_described_voxels_are():
    described = np.arange(12) < 7
    some = {**REGIONS["FFA"], "profile": REGIONS["FFA"]["profile"].copy()}
    some["profile"]["described"] = ("voxel", described)
    found = measure("FFA", REGIONS | {"FFA": some})
    for name in ("cosine", "cosine_z"):
        mean = found[name].values[:, described].mean(axis=1)
        np.testing.assert_allclose(found[f"roi_{name}"].values, mean, rtol=1e-5)


def test_voxels_that_are_not_described_have_no_part_in_the_null():
    other = {**REGIONS, "noise": make_region(50, None, first=21, seed=9)}
    for name in ("cosine_z", "cosine_p", "roi_cosine_z"):
        np.testing.assert_array_equal(measure("FFA")[name], measure("FFA", other)[name])


def test_a_category_without_labels_or_contrast_is_not_known():
    found = measure("FFA").sel(category="words")
    assert found["label_source"] == "" and (found["label"] == -1).all()
    assert found["images"] == found["other_images"] == 0
    for name in ("auc", "d_prime", "auc_p", "roi_auc", "roi_d_prime", "t", "roi_t"):
        assert np.isnan(found[name]).all(), name
    assert np.isfinite(found["cosine_z"]).all()


def test_every_number_is_what_its_name_says():
    own = REGIONS["FFA"]
    measured = own["responses"]["measured"]
    predicted = 0.5 * measured + np.random.default_rng(6).normal(size=measured.shape)
    responses = {"measured": measured, "predicted": predicted.astype(np.float32)}
    found = measure("FFA", responses=responses)
    cosine = own["profile"]["embedding"].values @ own["text"].T
    np.testing.assert_allclose(found["cosine"], cosine.T, rtol=1e-5)
    label = found["label"].sel(category="faces").values
    assert label.tolist() == [int("face" in text) for text in own["stimuli"]["captions"].values]
    for name, response in responses.items():
        here = found.sel(response=name, category="faces")
        expected = [roc_auc_score(label, row) for row in response.T]
        np.testing.assert_allclose(here["auc"], expected, rtol=1e-5)
        mean = here["roi_response"].values
        np.testing.assert_allclose(mean, response.mean(axis=1), rtol=1e-4, atol=1e-6)
        value = here["roi_auc"].sel(bound="value")
        assert value == pytest.approx(roc_auc_score(label, mean))
    np.testing.assert_allclose(found["roi_t"].values[:2], own["t"].mean("voxel"), rtol=1e-5)
    assert found["evidence"].values.tolist() == list(EVIDENCE)


def test_comparisons_are_corrected_over_voxels_and_those_of_regions_over_categories():
    found = measure("noise").isel(category=[0, 1])
    for name in RESPONSES:
        own = found.sel(response=name)
        for row in range(2):
            expected = stats.false_discovery_control(own["auc_p"].values[row])
            np.testing.assert_allclose(own["auc_q"].values[row], expected)
        expected = stats.false_discovery_control(own["roi_auc_p"].values)
        np.testing.assert_allclose(own["roi_auc_q"], expected)


def test_a_region_prefers_what_is_sure_among_all_categories():
    """Faces by themselves would be sure."""
    shown = np.random.default_rng(1).integers(0, 3, IMAGES)
    for seed in range(200):
        response = np.random.default_rng(seed).normal(size=IMAGES) + 0.6 * (shown == 0)
        faces, places = (compare_images(response[:, None], shown == main).p[0] for main in (0, 1))
        if 0.03 < faces <= 0.05 and places > 0.1:
            break
    responses = dict.fromkeys(RESPONSES, np.repeat(response[:, None], 20, axis=1))
    found = measure("noise", responses=responses)
    own = found.sel(response="measured", category="faces")
    assert own["roi_auc_p"] <= 0.05 < own["roi_auc_q"]
    assert found["roi_preferred"].sel(evidence="measured") == ""


def test_a_region_whose_voxels_are_as_all_others_prefers_nothing_by_their_words():
    found = measure("FFA", {"FFA": REGIONS["FFA"], "OFA": make_region(12, 0, first=12, seed=7)})
    assert found["roi_share"].sel(evidence="profile", category="faces") == 1
    assert found["roi_share_p"].sel(category="faces") == 1
    assert found["roi_preferred"].sel(evidence="profile") == ""


@pytest.mark.parametrize(("t", "preferred"), [(2.0, "faces"), (1.9, "")])
def test_a_localisers_preference_takes_a_t_value_of_two(t, preferred):
    values = xr.full_like(REGIONS["FFA"]["t"], -1.0)
    values[0] = t
    found = measure("FFA", t=values)
    assert (found["preferred"].sel(evidence="localiser") == preferred).all()
    assert found["roi_preferred"].sel(evidence="localiser") == preferred


def test_voxels_without_a_t_value_have_no_part_in_the_regions_mean():
    t = REGIONS["FFA"]["t"].copy()
    t[0, :3], t[1] = np.nan, np.nan
    found = measure("FFA", t=t)
    assert found["roi_t"].sel(category="faces") == pytest.approx(t[0, 3:].mean().item())
    assert np.isnan(found["roi_t"].sel(category="places"))
    assert found["roi_preferred"].sel(evidence="localiser") == "faces"
    preferred = found["preferred"].sel(evidence="localiser").values
    assert (preferred[:3] == "").all() and (preferred[3:] == "faces").all()


def test_voxels_are_judged_alike_whichever_region_asks():
    both = {"FFA": REGIONS["FFA"], "PPA": REGIONS["PPA"]}
    shared = both["PPA"]["profile"].isel(voxel=slice(0, 4))
    also = {**both, "part": {**make_region(4, 1, first=12, seed=3), "profile": shared}}
    whole, part = measure("PPA", also), measure("part", also)
    for name in ("cosine_z", "cosine_p", "cosine_q"):
        np.testing.assert_array_equal(whole[name].isel(voxel=slice(0, 4)), part[name])
    # A voxel of two regions counts once: 21 are described, of which 9 prefer places.
    assert part["roi_share_p"].sel(category="places") == pytest.approx(
        share_p(4, 4, preferring_all=9, all_voxels=21)
    )


def test_a_region_that_describes_none_of_its_voxels_prefers_nothing_whatever_others_describe():
    """A region's voxels are described by its own profiles, and the order of regions is none."""
    twin = {**REGIONS["PPA"], "profile": REGIONS["PPA"]["profile"].copy()}
    twin["profile"]["described"] = ("voxel", np.zeros(9, dtype=bool))
    for order in (["FFA", "PPA", "twin"], ["twin", "PPA", "FFA"]):
        regions = {name: (REGIONS | {"twin": twin})[name] for name in order}
        whole, none = measure("PPA", regions), measure("twin", regions)
        xr.testing.assert_identical(whole, measure("PPA", {**REGIONS, "twin": twin}))
        assert whole["roi_preferred"].sel(evidence="profile") == "places"
        assert none["roi_voxels"].sel(evidence="profile") == 0
        assert none["roi_preferred"].sel(evidence="profile") == ""
        assert (none["preferred"].sel(evidence="profile") == "").all()
        # What the twin denies does not take its voxels from those that random profiles are of.
        np.testing.assert_array_equal(none["cosine_p"], whole["cosine_p"])
        assert np.isnan(none["cosine_q"]).all() and np.isfinite(whole["cosine_q"]).all()
        assert whole["roi_share_p"].sel(category="places") == pytest.approx(
            share_p(9, 9, preferring_all=9, all_voxels=21)
        )


def test_a_region_alone_prefers_what_most_of_its_voxels_do():
    found = measure("FFA", {"FFA": REGIONS["FFA"]})
    assert np.isnan(found["roi_share_p"]).all()
    assert found["roi_preferred"].sel(evidence="profile") == "faces"
    own = REGIONS["FFA"]["profile"]
    for few, preferred in ((6, ""), (7, "faces")):
        some = {**REGIONS["FFA"], "profile": own.copy()}
        # Others are as near to faces as random profiles are, and to nothing else.
        away = own["embedding"].values - 0.9 * REGIONS["FFA"]["text"][0]
        embedding = np.where(np.arange(12)[:, None] < few, own["embedding"].values, away)
        some["profile"]["embedding"] = ("voxel", "feature"), embedding
        found = measure("FFA", {"FFA": some})
        assert (found["preferred"].sel(evidence="profile") == "faces").sum() == few
        assert found["roi_cosine_z"].argmax("category") == 0
        assert found["roi_preferred"].sel(evidence="profile") == preferred


def test_a_default_category_without_its_contrast_has_no_t_values():
    categories = CATEGORIES | {"words": asdict(sections.CATEGORIES["words"])}
    found = measure("FFA", categories=categories)
    assert np.isnan(found["t"].sel(category="words")).all()
    assert np.isfinite(found["t"].sel(category="faces")).all()


def test_an_unknown_contrast_gives_one_sentence():
    categories = CATEGORIES | {"words": category(localiser="wrds")}
    with pytest.raises(InputError) as raised:
        measure("FFA", categories=categories)
    assert str(raised.value) == (
        "categories.words.localiser: expected a contrast of the localiser, found 'wrds'; there are "
        "faces, places"
    )
    nothing = xr.DataArray(np.empty((0, 12)), {"contrast": []}, ("contrast", "voxel"))
    assert np.isnan(measure("FFA", categories=categories, t=nothing)["t"]).all()
