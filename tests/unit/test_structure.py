"""Laws of structure: planted clusters are found and told in words, none are made up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score

from mine.core.clusters import cut_tree, match_labels, stand_for_voxels
from mine.core.tuning import WordReadings, measure_tuning, read_words, sign_flip_tuning
from mine.stages.structure import (
    EXEMPLARS,
    _test_words,
    contrast_clusters,
    hold_out_contrasts,
    list_cluster_words,
    measure_structure,
)
from mine.statistics.permutation import sign_flip_bound
from mine.statistics.regression import normal_scores
from mine.statistics.scores import pearson
from tests.reference.causal import VOCABULARY, make_lens
from tests.reference.regression import robust_p

DOG, CAT, CAR, SKY = 0, 1, 2, 3
GROUP = np.arange(len(VOCABULARY))
IMAGES, VOXELS = 400, 24
PLACE = np.stack(np.meshgrid(np.arange(6), np.arange(4)), axis=-1).reshape(-1, 2).astype(float)


@pytest.fixture(scope="module")
def lens() -> xr.Dataset:
    words = np.random.default_rng(0).integers(1, 6, (IMAGES, 4))
    words[::2, 0] = DOG
    return make_lens(words)


@pytest.fixture
def planted() -> np.ndarray:
    return np.repeat([CAT, CAR, SKY], [10, 8, 6])


def respond(lens: xr.Dataset, seconds: np.ndarray | None, *, noise: float = 1.0) -> np.ndarray:
    """Responses (image, voxel) to the dog and, if planted, to a second word; smooth noise."""
    shown = np.stack([(lens["word"].values[..., 0] == word).any(axis=1) for word in range(8)])
    response = np.repeat(shown[DOG][:, None].astype(float), VOXELS, axis=1)
    if seconds is not None:
        response += shown[seconds].T
    root = np.linalg.cholesky(np.exp(-np.square(cdist(PLACE, PLACE))) + 1e-6 * np.eye(VOXELS))
    return response + noise * np.random.default_rng(1).standard_normal(response.shape) @ root.T


def measure(
    lens: xr.Dataset,
    response: np.ndarray,
    *,
    described: Sequence[int] = range(VOXELS),
    attributed: int = len(VOCABULARY),
    **options,
):
    profiles = xr.Dataset(
        {
            "word": (("sign", "voxel", "rank"), np.zeros((2, VOXELS, 1), int)),
            "described": (("voxel",), np.isin(np.arange(VOXELS), described)),
            "group_z": (
                ("fit", "voxel", "group"),
                np.random.default_rng(2).standard_normal((3, VOXELS, attributed)),
            ),
        },
        coords={"sign": ["positive", "negative"], "voxel": 10 + np.arange(VOXELS)},
    )
    identities = lens["image"].values
    settings = {
        "halves": (identities[::2], identities[1::2]),
        "place": PLACE,
        "words": 8,
        "clusters": 6,
        "least_voxels": 10,
        "draws": 39,
        "resamples": 30,
        "reading_reliability": 0.9,
        "cluster_words": 4,
        "level": 0.05,
        "generator": np.random.default_rng(3),
    }
    rate = np.ones(len(VOCABULARY))
    return measure_structure(profiles, response, lens, GROUP, rate, **settings | options)


def test_planted_clusters_are_found_and_told_in_words(lens, planted):
    found = measure(lens, respond(lens, planted))
    assert found.attrs["clusters"] == 3 and found.attrs["clusters_p"] <= 0.05
    assert adjusted_rand_score(planted, found["cluster"].values) == 1
    assert (found["stability"] > 0.5).all()
    for number, word in enumerate((CAT, CAR, SKY)):
        best = int(found["cluster_z"].values[number].argmax())
        assert found["word"].values[best] == word and found["cluster_q"].values[number, best] < 0.05
        assert found["cluster_word"].values[number, 0] == word
    z, q = found["cluster_z"].values, found["cluster_q"].values
    others = ~np.isin(found["word"].values, [CAT, CAR, SKY])
    assert (q[:, others] > 0.001).all() and (z[:, others] < 5).all()


def test_voxels_of_planted_clusters_are_identified_by_responses_not_by_noise(lens, planted):
    found = measure(lens, respond(lens, planted))
    mean = found["identification_mean"]
    xr.testing.assert_allclose(mean, found["identification"].mean("roi_voxel"))
    assert mean.sel(source="tuning") > 0.7 and mean.sel(source="attributions") < 0.65
    p = found["identification_p"]
    assert (p.sel(source="tuning") <= 0.05).all() and (p.sel(source="attributions") > 0.05).all()


@pytest.mark.parametrize("is_planted", [True, False])
def test_p_is_the_share_of_draws_that_reach_what_was_found(lens, planted, is_planted):
    found = measure(lens, respond(lens, planted if is_planted else None, noise=3.0))
    null, mean = found["identification_null"], found["identification_mean"]
    assert null.sizes["draw"] == found["explained_null"].sizes["draw"] == 39
    # The draws are stored in single precision.
    reached = (null >= mean.astype(np.float32)).sum("draw")
    xr.testing.assert_allclose(found["identification_p"], (1 + reached) / 40)
    reached = (found["explained_null"] >= found["explained"].max().astype(np.float32)).sum()
    assert found.attrs["clusters_p"] == pytest.approx((1 + int(reached)) / 40)
    p = np.append(found["identification_p"].values, found.attrs["clusters_p"])
    assert ((p > 1 / 40) & (p < 1)).any()


def test_voxels_without_places_have_no_spatial_null_and_all_else(lens, planted):
    found = measure(lens, respond(lens, planted), place=None)
    assert found["identification_null"].sel(null="spatial").isnull().all()
    assert found["identification_p"].sel(null="spatial").isnull().all()
    assert found["identification_p"].sel(null="shared", source="tuning") <= 0.05
    assert found.attrs["clusters"] == 3


@pytest.mark.parametrize("attributed", [len(VOCABULARY), 100 * VOXELS])
def test_noise_is_decomposed_once_in_no_more_dimensions_than_halves_span(
    lens, monkeypatch, attributed
):
    shapes, decompose = [], np.linalg.svd
    monkeypatch.setattr(
        np.linalg, "svd", lambda of, **how: shapes.append(of.shape) or decompose(of, **how)
    )
    found = measure(lens, respond(lens, None), attributed=attributed)
    readings = 2 * found.sizes["group"]
    assert readings < 2 * VOXELS
    spanned = min(attributed, 2 * VOXELS)
    # Of identification by either source, and of clusters.
    assert [columns for _, columns in shapes] == [readings, spanned, readings]


def test_one_shared_profile_and_smooth_noise_are_no_structure(lens):
    found = measure(lens, respond(lens, None))
    assert found.attrs["clusters"] == 1 and (found["cluster"].values == 0).all()
    assert found["identification_p"].sel(source="tuning", null="shared") > 0.05
    assert (found["cluster_q"].values == 1).all() and (found["cluster_word"].values == -1).all()


def test_the_null_knows_as_many_clusters_as_few_voxels_can_form(lens):
    found = measure(lens, respond(lens, None), described=range(10), clusters=8)
    assert np.isnan(found["explained"].values).tolist() == [False] * 4 + [True] * 3
    assert np.isfinite(found["explained_null"].values).all()
    assert found.attrs["clusters_p"] > 0.05 and found.attrs["clusters"] == 1


def test_exemplars_show_what_the_cluster_prefers(lens, planted):
    found = measure(lens, respond(lens, planted, noise=0.3))
    assert found["exemplar"].shape == (3, EXEMPLARS)
    shown = lens["word"].values[..., 0]
    for number, word in enumerate((CAT, CAR, SKY)):
        rows = np.searchsorted(lens["image"].values, found["exemplar"].values[number])
        assert (shown[rows] == word).any(axis=1).all()


def test_clusters_are_of_described_voxels_and_too_few_are_not_measured(lens, planted):
    found = measure(lens, respond(lens, planted), described=range(18))
    assert found["voxel"].values.tolist() == list(range(10, 28))
    few = measure(lens, respond(lens, planted), described=range(9))
    assert few.sizes["voxel"] == few.sizes["roi_voxel"] == 0 and few.attrs["clusters"] == 0
    assert np.isnan(few["identification_mean"].values).all()
    assert np.isnan(few["identification_p"].values).all()


def test_identification_is_of_all_voxels_whichever_are_described(lens, planted):
    response = respond(lens, planted)
    found, other = measure(lens, response), measure(lens, response, described=range(12, 24))
    names = ["identification", "identification_mean", "identification_null", "identification_p"]
    names += ["similarity"]
    xr.testing.assert_equal(found[names], other[names])
    assert found["roi_voxel"].values.tolist() == list(range(10, 10 + VOXELS))


def test_of_a_large_region_some_voxels_are_drawn_to_be_told_apart(lens, planted, monkeypatch):
    response = respond(lens, planted)
    whole = measure(lens, response)
    monkeypatch.setattr("mine.stages.structure.MOST_VOXELS", 12)
    found = measure(lens, response)
    drawn = found["roi_voxel"].values - 10
    assert len(drawn) == 12 and (np.diff(drawn) > 0).all() and drawn[-1] < VOXELS
    similarity = whole["similarity"].values[:, drawn][:, :, drawn]
    # Beside others, since the direction of the voxels' mean is that of fewer.
    assert np.corrcoef(found["similarity"].values.ravel(), similarity.ravel())[0, 1] > 0.9
    for name in ("tuning", "cluster", "explained"):
        xr.testing.assert_allclose(found[name], whole[name])


def test_voxels_chosen_by_how_well_their_halves_agree_are_not_told_apart_by_that(lens):
    """They share one tuning, and the chosen differ from the others in nothing but luck."""
    p = []
    for seed in range(8):
        noise = np.random.default_rng(seed).standard_normal((IMAGES, VOXELS))
        response = respond(lens, None, noise=0) + 3 * noise
        halves = measure(lens, response)["tuning"].sel(fit=["first_half", "second_half"])
        tuning = halves.stack(reading_of_group=["reading", "group"]).values
        described = np.argsort(-pearson(*tuning, axis=1))[:10]
        found = measure(lens, response, described=described)
        p.append(float(found["identification_p"].sel(source="tuning", null="shared")))
    assert np.mean(p) >= 0.25  # of 8 that are uniform below it in 1 of 150


def test_a_contrast_is_the_cluster_less_all_others():
    response = np.random.default_rng(4).random((7, 5))
    label = np.array([0, 0, 1, 1, 1])
    contrast = contrast_clusters(response, label, 2)
    assert np.allclose(contrast[:, 0], response[:, :2].mean(axis=1) - response[:, 2:].mean(axis=1))
    assert np.allclose(contrast[:, 1], -contrast[:, 0])


def test_words_come_from_images_that_had_no_part_in_the_grouping(lens, planted):
    """The answers of each half alone are changed: the contrast there keeps its groups."""
    response = respond(lens, planted)
    parts = [np.arange(0, IMAGES, 2), np.arange(1, IMAGES, 2)]
    readings = read_words(lens, GROUP, shared=DOG, most=8)
    halves = np.stack([measure_tuning(response, readings, part) for part in parts])
    swapped = np.repeat([0, 1, 2], 8)
    other = np.stack([measure_tuning(respond(lens, swapped + 1), readings, parts[0]), halves[1]])
    first = hold_out_contrasts(response, halves, parts, planted - 1, 3)
    second = hold_out_contrasts(response, other, parts, planted - 1, 3)
    assert np.allclose(first[parts[0]], second[parts[0]])
    assert not np.allclose(first[parts[1]], second[parts[1]])
    label = cut_tree(stand_for_voxels(halves[0]), range(3, 4))[0]
    expected = contrast_clusters(response[parts[1]], match_labels(label, planted - 1), 3)
    assert np.allclose(first[parts[1]], expected - expected.mean(axis=0))


def test_a_word_that_rides_on_another_is_not_listed():
    random = np.random.default_rng(5)
    cat, sky = random.random((2, 300))
    rides = cat + 0.3 * random.random(300)
    words = np.stack([cat, rides, sky], axis=1)
    readings = WordReadings(random.random((300, 2)), np.stack([words, 0.1 * words]), np.arange(3))
    contrast = (2 * cat + sky + 0.3 * random.standard_normal(300))[:, None] * [1, -1]
    images = np.arange(300)
    z = measure_tuning(contrast, readings, images).max(axis=0)
    assert z[0, 1] > 10
    words = list_cluster_words(
        contrast, readings, images, most=4, level=0.05, reading_reliability=1.0
    )
    assert words.group.tolist() == [[0, 2, -1, -1], [-1] * 4]
    # The second is what adds to the first, as the regression of both has it.
    design = np.column_stack([np.ones(300), readings.shared, cat])
    left, rest = (
        values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
        for values in (normal_scores(contrast)[:, 0], sky)
    )
    assert words.added[0, 1] == pytest.approx(np.corrcoef(left, rest)[0, 1])
    tests = 2 * 3 * 2  # readings of words, and clusters
    p = robust_p(normal_scores(contrast)[:, 0], design[:, :-1], cat)
    assert words.p[0, 0] == pytest.approx(p * tests, rel=1e-6, abs=0)


def test_contrasts_of_noise_list_words_as_rarely_as_is_said(lens):
    readings = read_words(lens, GROUP, shared=DOG, most=8)
    random = np.random.default_rng(6)
    noise = random.standard_normal((200, IMAGES, 3))
    listed = [
        list_cluster_words(
            contrast, readings, np.arange(IMAGES), most=2, level=0.05, reading_reliability=0.9
        ).group
        for contrast in noise
    ]
    found = (np.array(listed)[:, :, 0] >= 0).any(axis=1)
    assert found.mean() <= 0.10  # binomial(200, .05): above 20 in less than 1 of 500 runs


def test_of_a_words_two_readings_the_clearer_counts_with_twice_its_p():
    random = np.random.default_rng(3)
    shown, words = random.random((300, 1)), random.random((2, 300, 1))
    readings = WordReadings(np.column_stack([shown, shown]), words, np.arange(1))
    contrast = random.normal(size=(300, 1)) + words[0]
    z, q = _test_words(contrast, readings, np.arange(300))
    assert z == sign_flip_tuning(contrast, readings, np.arange(300)).max()
    assert q == pytest.approx(2 * sign_flip_bound(z)) and q < 0.1


def test_voxels_that_look_at_different_places_are_given_no_words_for_it():
    """Each answers to the shared word where it sees it: the contrast varies most in its images,
    where alone a word that is read together with it is not zero."""
    random, listed, sure = np.random.default_rng(7), [], []
    for _ in range(100):
        shown = (random.random(600) < 0.2).astype(float)
        words = (random.random((600, 60)) < 0.1) * random.random((600, 60))
        readings = WordReadings(
            np.column_stack([shown, shown]),
            np.stack([words, shown[:, None] * words]),
            np.arange(60),
        )
        contrast = (2 * shown * random.choice([-1, 1], 600) + random.normal(size=600))[:, None]
        found = list_cluster_words(
            contrast, readings, np.arange(600), most=2, level=0.05, reading_reliability=1.0
        )
        listed.append(found.group[0, 0] >= 0)
        sure.append(_test_words(contrast, readings, np.arange(600))[1].min() <= 0.05)
    assert np.mean(listed) <= 0.13 and np.mean(sure) <= 0.13  # binomial(100, .05), 1 of 1,000


def test_clusters_that_differ_in_strength_alone_are_given_no_word_that_tells_misreadings():
    """Both answer to *face*, one twice as much; *human* is read on it as well as the face is."""
    random, listed, images = np.random.default_rng(9), {1.0: [], 0.9: []}, 4000
    for _ in range(40):
        face, errors = random.normal(size=images), random.normal(size=(2, images))
        read, human = np.sqrt(0.9) * face + np.sqrt(0.1) * errors
        readings = WordReadings(
            np.column_stack([read, read]), np.stack([human[:, None]] * 2), np.arange(1)
        )
        contrast = (face + random.normal(size=images))[:, None] * [1, -1]
        for reliability, found in listed.items():
            words = list_cluster_words(
                contrast,
                readings,
                np.arange(images),
                most=2,
                level=0.05,
                reading_reliability=reliability,
            )
            found.append((words.group >= 0).any())
    assert np.mean(listed[0.9]) <= 0.18 and all(listed[1.0])  # binomial(40, .05), 1 of 1,000


def simulate(seed: int, seconds: np.ndarray) -> tuple[xr.Dataset, np.ndarray]:
    """A lens and responses to the dog and to a second word, in forms and strengths that differ
    between voxels; the noise is smooth over the cortex."""
    random = np.random.default_rng(seed)
    words = random.integers(1, 6, (IMAGES, 4))
    dogs = random.random((IMAGES, 4)) < random.choice([0, 0.25, 0.5], IMAGES)[:, None]
    words[dogs] = DOG
    area = dogs.mean(axis=1)
    known = area[area > 0]
    forms = np.stack(
        [area > 0, 2 * area / (area + np.median(known)), np.minimum(area / known.mean(), 3)], axis=1
    )
    response = forms[:, random.choice(3, VOXELS, p=[0.5, 0.3, 0.2])]
    response = response + np.stack([(words == word).any(axis=1) for word in seconds], axis=1)
    response = response * random.uniform(0.5, 1.5, VOXELS)
    root = np.linalg.cholesky(np.exp(-np.square(cdist(PLACE, PLACE)) / 2) + 1e-6 * np.eye(VOXELS))
    white, smooth = random.standard_normal((2, IMAGES, VOXELS))
    noise = np.sqrt(0.7) * white + np.sqrt(0.3) * smooth @ root.T
    return make_lens(words), response + noise


@pytest.mark.slow
def test_clusters_are_reported_as_rarely_as_is_said_and_planted_ones_are_found(planted):
    counts, scores = [], []
    for seed in range(10):
        generator = np.random.default_rng(seed)
        options = {"draws": 99, "generator": generator}
        alike = np.full(VOXELS, CAT)
        counts.append(measure(*simulate(seed, alike), **options).attrs["clusters"])
        found = measure(*simulate(100 + seed, planted), **options)
        scores.append(adjusted_rand_score(planted, found["cluster"].values))
    assert sum(count > 1 for count in counts) <= stats.binom.ppf(0.999, 10, 0.05)
    assert min(scores) >= 0.7 and np.mean(scores) > 0.9
