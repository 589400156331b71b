"""Listed words add to those before them in measured responses, and readings equal literal loops."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pytest
import xarray as xr
from scipy import sparse, stats

from mine.core.evidence import SIGNS, read_images
from mine.core.lens import word_mass
from mine.core.listing import (
    ListedWords,
    ListWords,
    _take_words,
    choose_of_lists,
    gather_offers,
    list_words,
)
from mine.core.readings import bend_presence, gather_together, read_presence
from mine.statistics.regression import Selection, forward_selection, normal_scores
from tests.reference.readings import blob_maps, make_attributions, make_world
from tests.reference.regression import robust_p

LEVEL, RELIABILITY = 0.05, 0.9


class Faces(NamedTuple):
    """What list_from is given of voxels of faces, and as measured what drives them."""

    arguments: tuple
    lens: xr.Dataset
    drive: np.ndarray
    """(image, voxel): noiseless response"""

    def list(self, measured: np.ndarray) -> dict[str, ListedWords]:
        options = {"measured_lens": self.lens, "count": 4, "level": LEVEL}
        options["reading_reliability"] = RELIABILITY
        return list_from(*self.arguments, measured=measured, **options)

    def choose(
        self, measured: np.ndarray, in_list: np.ndarray, listed: ListedWords | None = None
    ) -> ListWords:
        """The words of named lists of the same voxels; in_list: bool (list, word). listed: None for
        those of the voxels."""
        attributions, lens, _, sure, group = self.arguments
        given = {"measured": measured, "measured_lens": self.lens}
        offers = gather_offers(attributions, lens, sure["positive"], group, **given)
        checked = {"level": LEVEL, "reading_reliability": RELIABILITY}
        listed = self.list(measured)["positive"] if listed is None else listed
        return choose_of_lists(offers, listed, attributions, lens, group, in_list, **checked)


def list_from(
    attributions: xr.Dataset,
    lens: xr.Dataset,
    z: dict[str, np.ndarray],
    sure: dict[str, np.ndarray],
    group: np.ndarray,
    *,
    measured: np.ndarray,
    measured_lens: xr.Dataset,
    **options,
) -> dict[str, ListedWords]:
    """The listed words of voxels whose offers are gathered from the same."""
    given = {"measured": measured, "measured_lens": measured_lens}
    offers = gather_offers(attributions, lens, sure["positive"], group, **given)
    return list_words(offers, z, sure, **options)


FACE, RED, DOG, CAR, HAPPY, NOISE = range(6)


def make_faces(random: np.random.Generator) -> Faces:
    """Voxels of faces: of red ones, of faces beside a dog, of none; a fourth suppressed by cars."""
    images, tokens = 600, 16
    shown = random.random((images, 4)) < (0.4, 0.4, 0.4, 0.4)  # face, its red, dog, car
    is_happy = random.random(images) < 0.5
    readings = np.full((images, tokens, 6), 0.02)
    readings[:, :, NOISE] += 0.3 * random.random((images, tokens))
    readings[shown[:, 0], 0, FACE] = 0.6
    readings[shown[:, 0] & (np.arange(images) % 2 == 0), 1, FACE] = 0.6  # half fill two tokens
    readings[shown[:, 0] & shown[:, 1], 0, RED] = 0.3
    readings[~shown[:, 0] & shown[:, 1], 5, RED] = 0.9  # of something else
    readings[shown[:, 0] & is_happy, 0, HAPPY] = 0.3
    readings[shown[:, 2], 8, DOG] = 0.9
    readings[shown[:, 3], 12, CAR] = 0.9
    drive = shown[:, :1] * np.ones((1, 4))
    drive[:, 0] += 0.7 * (shown[:, 0] & shown[:, 1])
    drive[:, 1] += 0.5 * shown[:, 2]
    drive[:, 3] -= 0.6 * shown[:, 3]
    maps = np.zeros((4, images, tokens))
    maps[:, :, 0] = shown[:, 0]
    maps[3, :, 12] = -1.0 * shown[:, 3]
    attributions = make_attributions(maps, kept=4, prediction=drive.T.astype(np.float32))
    z = {"positive": np.tile([9.0, 4, 1, 1, 5, 0], (4, 1)), "negative": np.zeros((4, 6))}
    sure = {"positive": z["positive"] > 3, "negative": np.zeros((4, 6), dtype=bool)}
    sure["negative"][3, [CAR, DOG]] = True
    lens = make_lens(readings)
    return Faces((attributions, lens, z, sure, np.arange(6)), lens, drive)


def make_lens(readings: np.ndarray) -> xr.Dataset:
    """The lens that reads every word in every token: (image, token, word)."""
    word = np.broadcast_to(np.arange(readings.shape[-1], dtype=np.int32), readings.shape)
    ranked = ("image", "token", "rank")
    return xr.Dataset({"word": (ranked, word), "score": (ranked, readings.astype(np.float16))})


def test_words_after_the_first_are_those_that_add_to_the_measured_response():
    random = np.random.default_rng(0)
    faces = make_faces(random)
    measured = faces.drive + 0.6 * random.normal(size=faces.drive.shape)
    found = faces.list(measured)
    words = found["positive"]
    listed = [row[sure].tolist() for row, sure in zip(words.group, words.listed, strict=True)]
    assert listed == [[FACE, RED], [FACE, DOG], [FACE], [FACE]]
    suppressed = found["negative"]
    assert suppressed.group[3, 0] == CAR and suppressed.listed[3].tolist() == [True] + 3 * [False]
    assert not suppressed.listed[:3].any()


@pytest.mark.parametrize(
    ("order", "p", "listed"),
    [
        ([1, 51, 2], [0.001, 0.001, 0.03], [1, 2]),
        ([1, 51, 2], [0.001, 0.6, 0.03], [1]),
        ([50, 1, 2], [0.6, 0.001, 0.03], []),
        ([1, 2, 3], [0.001, 0.6, 0.03], [1]),
    ],
)
def test_words_are_listed_up_to_the_first_step_that_is_not_sure(order, p, listed):
    """Also where the step took the other reading of a word that was taken: 50 of the first, 0."""
    unknown = np.full((1, 6), np.nan)
    words = ListedWords(np.full((1, 6), -1), np.zeros((1, 6), bool), unknown, unknown.copy())
    words.listed[0, 0] = True
    steps = Selection(np.array(order), np.full(3, 0.1), np.array(p))
    taken, columns = _take_words(words, 0, 0, steps, 50, 0.05)
    assert taken == [0, *dict.fromkeys(column % 50 for column in order if column % 50)]
    assert columns == listed
    assert np.flatnonzero(words.listed[0]).tolist() == list(range(1 + len(listed)))


def test_a_word_that_only_bends_otherwise_than_the_first_is_not_listed():
    """A word is read wherever a face is, and rises with its size as the responses do, which level
    off; the readings of the face grow ever steeper."""
    random = np.random.default_rng(5)
    images, voxels = 2000, 20
    size = np.where(random.random(images) < 0.5, random.random(images), 0)
    readings = np.zeros((images, 4, 3))
    readings[:, 0, FACE] = 0.9 * size**2
    readings[:, 1, FACE] = 0.4 * size**2
    seen = size / (size + 0.5)
    readings[:, 0, 1] = seen
    readings[:, 2, 2] = 0.9 * (random.random(images) < 0.3)
    drive = 2 * seen[:, None] * np.ones(voxels)
    drive[:, 0] += 0.3 * (readings[:, 2, 2] > 0)
    maps = np.zeros((voxels, images, 4))
    maps[:, :, 0] = size
    attributions = make_attributions(maps, kept=2, prediction=drive.T.astype(np.float32))
    z = {sign: np.tile([9.0, 1, 1], (voxels, 1)) for sign in SIGNS}
    sure = {"positive": z["positive"] > 3, "negative": np.zeros((voxels, 3), bool)}
    lens = make_lens(readings)
    measured = drive + 0.5 * random.normal(size=drive.shape)
    options = {"measured": measured, "measured_lens": lens, "count": 3, "level": LEVEL}
    options["reading_reliability"] = 1.0
    found = list_from(attributions, lens, z, sure, np.arange(3), **options)["positive"]
    assert found.listed[:, 0].all() and (found.group[:, 0] == FACE).all()
    assert found.listed[0, 1] and found.group[0, 1] == 2, "what does add is listed"
    assert found.listed[1:, 1].sum() <= stats.binom.ppf(0.999, voxels - 1, LEVEL)


def test_a_word_that_only_tells_where_the_first_is_misread_is_not_listed():
    """Responses follow the face alone, of which a reading holds nine tenths of the variance, and
    *human* is read on it as well as the face is."""
    random = np.random.default_rng(6)
    images, voxels = 3000, 30
    face = random.normal(size=images)
    errors = random.normal(size=(2, images))
    readings = np.zeros((images, 1, 2))
    readings[:, 0] = 0.5 + 0.08 * (np.sqrt(0.9) * face + np.sqrt(0.1) * errors).T
    drive = face[:, None] * np.ones(voxels)
    maps = np.full((voxels, images, 1), 1.0)
    attributions = make_attributions(maps, prediction=drive.T.astype(np.float32))
    z = {sign: np.tile([9.0, 1], (voxels, 1)) for sign in SIGNS}
    sure = {"positive": z["positive"] > 3, "negative": np.zeros((voxels, 2), bool)}
    lens = make_lens(readings)
    measured = drive + random.normal(size=drive.shape)
    for reliability, most in ((0.9, stats.binom.ppf(0.999, voxels, LEVEL)), (1.0, voxels)):
        found = list_from(
            attributions,
            lens,
            z,
            sure,
            np.arange(2),
            measured=measured,
            measured_lens=lens,
            count=2,
            level=LEVEL,
            reading_reliability=reliability,
        )["positive"]
        assert found.listed[:, 0].all() and (found.group[:, 0] == 0).all()
        assert found.listed[:, 1].sum() <= most
    assert found.listed[:, 1].all(), "as it is where readings are taken for perfect"


def test_the_first_word_is_of_images_that_raise_the_response_and_not_of_any_that_move_it():
    """Both words are sure, and the second one's images lower the response, by more."""
    random = np.random.default_rng(7)
    shown = random.random((400, 2)) < 0.4
    readings = np.full((400, 2, 2), 0.02)
    for word in range(2):
        readings[shown[:, word], word, word] = 0.9
    drive = shown @ [1.0, -3.0]
    attributions = make_attributions(
        shown[None].astype(float), kept=2, prediction=drive[None].astype(np.float32)
    )
    lens = make_lens(readings)
    found = list_from(
        attributions,
        lens,
        {sign: np.full((1, 2), 9.0) for sign in SIGNS},
        {"positive": np.ones((1, 2), bool), "negative": np.zeros((1, 2), bool)},
        np.arange(2),
        measured=drive[:, None] + random.normal(size=(400, 1)),
        measured_lens=lens,
        count=2,
        level=LEVEL,
        reading_reliability=RELIABILITY,
    )["positive"]
    assert found.group[0, 0] == 0 and found.listed[0, 0]


def test_presence_bends_by_its_root_and_its_square_at_any_scale():
    random = np.random.default_rng(0)
    largest, mean = random.random((2, 50)) * [[0.8], [0.1]]
    known = bend_presence(largest, mean)
    expected = [each**power for each in (largest, mean) for power in (0.5, 1, 2)]
    expected = np.stack([column / column.max() for column in expected], axis=1)
    np.testing.assert_allclose(known, expected, rtol=1e-12)
    np.testing.assert_allclose(bend_presence(1e-6 * largest, 1e-9 * mean), known, rtol=1e-6)
    assert not bend_presence(np.zeros(5), np.zeros(5)).any()


def test_a_third_feature_is_found_behind_the_riders_of_the_second():
    """Of hundreds of words that ride on the second feature none hides one that does not."""
    random = np.random.default_rng(3)
    images, riders = 2000, 200
    shown = np.abs(random.normal(size=(images, 3)))
    readings = np.empty((images, 1, 3 + riders))
    readings[:, 0, :3] = shown
    readings[:, 0, 3:] = shown[:, [1]] + np.abs(random.normal(size=(images, riders)))
    measured = shown @ [1.0, 0.5, 0.15] + random.normal(size=images)
    attributions = make_attributions(shown[None, :, :1])
    groups = readings.shape[-1]
    z = {sign: np.zeros((1, groups)) for sign in SIGNS}
    sure = {sign: np.zeros((1, groups), bool) for sign in SIGNS}
    sure["positive"][0, 0] = True
    lens = make_lens(readings / 10)
    found = list_from(
        attributions,
        lens,
        z,
        sure,
        np.arange(groups),
        measured=measured[:, None],
        measured_lens=lens,
        count=5,
        level=0.05,
        reading_reliability=RELIABILITY,
    )["positive"]
    assert found.group[0, :3].tolist() == [0, 1, 2] and found.listed[0, :3].all()


def test_words_read_in_few_images_are_not_listed_where_responses_have_heavy_tails():
    """By the t of their correlation these responses list a word in more than a third of voxels."""
    random = np.random.default_rng(4)
    images, groups, voxels = 1000, 400, 150
    readings = np.where(
        random.random((images, groups)) < 0.01, random.lognormal(size=(images, groups)), 0
    )
    offers = sparse.csc_array(readings)
    measured = random.standard_t(5, size=(3, images, voxels)).mean(axis=0)
    known = np.empty((images, 0))
    for responses in (measured, normal_scores(measured)):
        p = [forward_selection(each, known, offers, count=1).p[0] for each in responses.T]
        assert np.mean(np.array(p) <= 0.05) <= 0.1


def test_p_is_corrected_for_the_words_that_each_was_the_best_of():
    random = np.random.default_rng(2)
    faces = make_faces(random)
    # So much noise that no p is too small to be told apart.
    measured = faces.drive + 2 * random.normal(size=faces.drive.shape)
    found = faces.list(measured)
    readings = faces.lens["score"].values.astype(np.float64)
    largest, mean = readings.max(axis=1), readings.mean(axis=1)
    together = (readings * readings[..., [FACE]]).max(axis=1)
    offers = np.column_stack([largest, together])
    for voxel, response in enumerate(normal_scores(measured).T):
        first = adding(response, [], largest[:, FACE])
        known = [*bend_presence(largest[:, FACE], mean[:, FACE]).T]
        others = [column for column in range(12) if column % 6 != FACE]
        second = max(adding(response, known, offers[:, column]) for column in others)
        # Of six groups, each of which is offered in two ways after the first.
        for place, ((r, p), tests) in enumerate([(first, 6), (second, 12)]):
            assert found["positive"].added[voxel, place] == pytest.approx(r, rel=1e-4)
            expected = min(1.0, p * tests)
            assert found["positive"].added_p[voxel, place] == pytest.approx(expected, rel=1e-3)
    assert (found["positive"].added_p[:, :2] < 1).any(axis=0).all()
    # What suppresses the fourth, beside the first word and none after it, is sought among all too.
    assert not found["positive"].listed[3, 1:].any()
    r, p = max(
        adding(-normal_scores(measured)[:, 3], known, largest[:, word]) for word in (CAR, DOG)
    )
    assert found["negative"].added_p[3, 0] == pytest.approx(min(1.0, 6 * p), rel=1e-3)


def test_what_suppresses_is_sought_beside_the_words_that_are_listed():
    random = np.random.default_rng(5)
    faces = make_faces(random)
    readings = faces.lens["score"].values.astype(np.float64)
    largest, mean = readings.max(axis=1), readings.mean(axis=1)
    measured = faces.drive - 0.3 * largest[:, [CAR]] + random.normal(size=faces.drive.shape)
    faces.arguments[3]["negative"][1, CAR] = True
    found = faces.list(measured)
    assert found["positive"].listed[1].tolist() == [True, True, False, False]
    assert found["positive"].group[1, 1] == DOG
    response = -normal_scores(measured)[:, 1]
    known = [largest[:, FACE], mean[:, FACE], largest[:, DOG]]
    r, p = adding(response, known, largest[:, CAR])
    assert found["negative"].added[1, 0] == pytest.approx(r, rel=1e-4)
    assert found["negative"].added_p[1, 0] == pytest.approx(min(1.0, 6 * p), rel=1e-3)


def adding(response: np.ndarray, known: list[np.ndarray], column: np.ndarray) -> tuple:
    """Partial correlation of a column with a response, given others, and its one-sided p."""
    design = np.column_stack([np.ones(len(response)), *known])
    left, rest = (
        values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
        for values in (response, column)
    )
    r = left @ rest / np.sqrt((left @ left) * (rest @ rest))
    return r, robust_p(response, design, column, reliability=RELIABILITY)


def test_noise_lists_words_for_no_more_voxels_than_the_level_says():
    """The encoder has learned the noise by heart, and the words that go with it most are sure."""
    random = np.random.default_rng(3)
    images, words, voxels = 100, 30, 200
    readings = random.random((images, 1, words))
    lens = make_lens(readings)
    measured = random.normal(size=(images, voxels))
    attributions = make_attributions(
        np.ones((voxels, images, 1)), prediction=measured.T.astype(np.float32)
    )
    z = stats.zscore(measured).T @ stats.zscore(readings[:, 0])
    by_sign = {"positive": z, "negative": -z}
    sure = {sign: each >= np.sort(each)[:, [-5]] for sign, each in by_sign.items()}
    found = list_from(
        attributions,
        lens,
        by_sign,
        sure,
        np.arange(words),
        measured=measured,
        measured_lens=lens,
        count=4,
        level=LEVEL,
        reading_reliability=RELIABILITY,
    )
    for sign in SIGNS:
        listed = found[sign].listed.any(axis=1)
        assert listed.sum() <= stats.binom.ppf(0.999, voxels, LEVEL), sign


# --- named lists ---


def test_a_list_has_the_word_that_is_true_where_a_voxel_answers_to_one():
    """Red faces drive the first voxel. Of a list without red nothing is sure, nor in the others."""
    random = np.random.default_rng(0)
    faces = make_faces(random)
    measured = faces.drive + 0.6 * random.normal(size=faces.drive.shape)
    in_list = mark_words([RED, NOISE], [DOG, CAR, NOISE], [FACE, HAPPY])
    found = faces.choose(measured, in_list)
    assert found.word[0, 0] == RED and found.word[1, 1] == DOG
    listed = [[True, False, False, False], [False, True, False, False], [True] * 4]
    assert found.listed.tolist() == listed
    # The first word is of the third list: it is the list's word with its own numbers.
    words = faces.list(measured)["positive"]
    assert (found.word[2] == FACE).all()
    np.testing.assert_array_equal(found.added[2], words.added[:, 0])
    np.testing.assert_array_equal(found.added_p[2], words.added_p[:, 0])


def test_p_of_a_list_is_corrected_for_the_ways_in_which_its_own_words_are_offered():
    random = np.random.default_rng(2)
    faces = make_faces(random)
    measured = faces.drive + 2 * random.normal(size=faces.drive.shape)
    found = faces.choose(measured, mark_words([RED, HAPPY]))
    readings = faces.lens["score"].values.astype(np.float64)
    largest, mean = readings.max(axis=1), readings.mean(axis=1)
    together = (readings * readings[..., [FACE]]).max(axis=1)
    known = [*bend_presence(largest[:, FACE], mean[:, FACE]).T]
    response = normal_scores(measured)[:, 0]
    offered = [each[:, word] for word in (RED, HAPPY) for each in (largest, together)]
    r, p = max(adding(response, known, each) for each in offered)
    assert found.word[0, 0] == RED and 4 * p < 1
    assert found.added[0, 0] == pytest.approx(r, rel=1e-4)
    assert found.added_p[0, 0] == pytest.approx(4 * p, rel=1e-3)


def test_faces_alone_give_a_word_of_a_list_no_more_often_than_the_level_says():
    """Of twenty words that are read in half of the images each, on faces or on other things."""
    random = np.random.default_rng(8)
    images, words, voxels = 800, 20, 300
    is_face = random.random(images) < 0.5
    readings = np.full((images, 2, 1 + words), 0.01)
    readings[is_face, 0, 0] = 0.5 + 0.3 * random.random(is_face.sum())
    coloured = random.random((images, words)) < 0.5
    readings[:, 0, 1:] += 0.3 * coloured * random.random((images, words))
    drive = is_face[:, None] * np.ones(voxels)
    maps = np.zeros((voxels, images, 2))
    maps[:, :, 0] = is_face
    attributions = make_attributions(maps, kept=1, prediction=drive.T.astype(np.float32))
    sure = np.arange(1 + words) == np.zeros((voxels, 1))
    lens, group = make_lens(readings), np.arange(1 + words)
    measured = drive + random.normal(size=drive.shape)
    found = Faces(
        (attributions, lens, dict.fromkeys(SIGNS, 9.0 * sure), dict.fromkeys(SIGNS, sure), group),
        lens,
        drive,
    ).choose(measured, np.arange(1 + words)[None] > 0)
    assert found.listed[0].sum() <= stats.binom.ppf(0.999, voxels, LEVEL)
    assert (found.added_p[0] < 1).mean() > 0.2, "so that the bound is not one of no power"


def test_a_word_of_a_list_that_rides_on_a_further_word_of_the_profile_is_not_sure():
    """Dogs beside faces drive the second voxel, and where a dog is a colour is read."""
    random = np.random.default_rng(0)
    faces = make_faces(random)
    readings = faces.lens["score"].values.copy()
    dogs = readings[:, 8, DOG] > 0.5
    readings[dogs, 8, NOISE] = 0.4 + 0.3 * random.random(dogs.sum())
    lens = faces.lens.assign(score=(faces.lens["score"].dims, readings))
    faces = Faces((faces.arguments[0], lens, *faces.arguments[2:]), lens, faces.drive)
    measured = faces.drive + 0.6 * random.normal(size=faces.drive.shape)
    words = faces.list(measured)["positive"]
    found = faces.choose(measured, mark_words([NOISE, RED]))
    assert words.group[1, :2].tolist() == [FACE, DOG] and words.listed[1, :2].all()
    assert found.listed[0].tolist() == [True, False, False, False] and found.word[0, 0] == RED
    # Where the profile does not tell of the dog the colour does.
    only_first = words._replace(listed=words.listed & (np.arange(4) == 0))
    alone = faces.choose(measured, mark_words([NOISE, RED]), listed=only_first)
    assert alone.listed[0, 1] and alone.word[0, 1] == NOISE


def test_voxels_without_a_first_word_have_none_of_a_list():
    random = np.random.default_rng(0)
    faces = make_faces(random)
    faces.arguments[3]["positive"][[0, 2]] = False
    measured = faces.drive + 0.6 * random.normal(size=faces.drive.shape)
    found = faces.choose(measured, mark_words([RED, DOG]))
    assert (found.word[0, [0, 2]] == -1).all() and not found.listed[0, [0, 2]].any()
    assert np.isnan(found.added[0, [0, 2]]).all() and np.isnan(found.added_p[0, [0, 2]]).all()
    assert found.listed[0, 1] and found.word[0, 1] == DOG


def test_nothing_of_a_list_is_sure_where_responses_do_not_confirm_the_first_word():
    """Red drives two voxels whose attributions say *face*, which drives one of them."""
    random = np.random.default_rng(1)
    faces = make_faces(random)
    red = faces.lens["score"].values[:, 5, RED].astype(float)[:, None]
    measured = 2 * red + [[0, 1, 1, 1]] * faces.drive + 0.6 * random.normal(size=faces.drive.shape)
    found = faces.choose(measured, mark_words([RED, DOG]))
    assert not faces.list(measured)["positive"].listed[0, 0]
    assert (found.added_p[0, :2] <= LEVEL).all()
    assert found.listed[0, :2].tolist() == [False, True]


def test_a_group_goes_by_its_word_of_the_list_on_which_most_attribution_falls():
    """Of one group are *red*, read most clearly but of no list, *crimson* and *scarlet*; the
    first voxel sees scarlet and the second crimson faces."""
    random = np.random.default_rng(4)
    face, red, crimson, scarlet, other = range(5)
    images = 600
    is_face, is_red = random.random((2, images)) < 0.5
    readings = np.full((images, 2, 5), 0.01)
    readings[is_face, 0, face] = 0.6
    readings[is_face & is_red, 0, red] = 0.2
    for token, word in ((0, scarlet), (1, crimson)):
        readings[is_face & is_red, token, word] = 0.1
    readings[:, 1, other] += 0.2 * random.random(images)
    drive = np.repeat((1.0 * is_face + is_face * is_red)[:, None], 2, axis=1)
    maps = np.zeros((2, images, 2))
    maps[0, :, 0] = maps[1, :, 1] = is_face
    maps[1, :, 0] = 0.5 * is_face
    attributions = make_attributions(maps, kept=2, prediction=drive.T.astype(np.float32))
    group, lens = np.array([0, 1, 1, 1, 2]), make_lens(readings)
    sure = np.tile([True, False, False], (2, 1))
    found = Faces(
        (attributions, lens, dict.fromkeys(SIGNS, 9.0 * sure), dict.fromkeys(SIGNS, sure), group),
        lens,
        drive,
    ).choose(drive + 0.5 * random.normal(size=drive.shape), mark_words([2, 3, 4], [1, 4], words=5))
    assert found.listed.all()
    assert found.word.tolist() == [[scarlet, crimson], [red, red]]


def mark_words(*lists: list[int], words: int = 6) -> np.ndarray:
    """Which words are of which list: bool (list, word)."""
    return np.array([np.isin(np.arange(words), own) for own in lists])


def test_readings_together_and_anywhere_equal_a_literal_maximum():
    world = make_world(12, seed=4)
    group = np.arange(world.words) // 2
    mass = word_mass(world.lens["word"].values, world.lens["score"].values, words=world.words)
    readings = np.add.reduceat(mass, np.arange(0, world.words, 2), axis=-1)
    largest, mean = read_presence(world.lens, group)
    np.testing.assert_allclose(largest, readings.max(axis=1), rtol=1e-6)
    np.testing.assert_allclose(mean, readings.mean(axis=1), rtol=1e-5)
    together = gather_together(world.lens, group, np.array([0, 3]))
    assert sorted(together) == [0, 3]
    for first, found in together.items():
        expected = (readings * readings[..., [first]]).max(axis=1)
        np.testing.assert_allclose(found.toarray(), expected, rtol=1e-6)


def test_mass_read_in_images_equals_a_literal_sum():
    world = make_world(20, seed=3)
    attributions = make_attributions(blob_maps(1, 20), kept=9)
    token = attributions["token"].sel(sign="positive").values[0].copy()
    strength = attributions["attribution"].sel(sign="positive").values[0]
    token[:, 6:] = -1  # fewer tokens than ranks
    column = np.full(world.words, -1)
    column[[2, 5, 11]] = 0, 1, 0  # two words of one group, and one of another
    expected = np.zeros((20, 2))
    for image, rank in itertools.product(range(20), range(6)):
        reading = world.lens.sel(image=image).isel(token=token[image, rank])
        for word, score in zip(reading["word"].values, reading["score"].values, strict=True):
            if column[word] >= 0:
                expected[image, column[word]] += strength[image, rank] * np.float32(score)
    found = read_images(token, strength, world.lens, column)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
