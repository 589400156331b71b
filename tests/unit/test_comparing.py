"""Laws of the comparison of two analyses of the same voxels."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr, t

from mine.cli import main
from mine.core.evidence import leave_out_words, pair_lens, score_words
from mine.errors import InputError
from mine.logging import Progress
from mine.results.comparing import (
    EQUAL,
    WORD_MEASURES,
    Reading,
    compare_region,
    pair_regions,
)
from mine.results.printing import print_comparison
from tests.reference.readings import blob_maps, make_attributions, make_world

VOXELS, IMAGES = 5, 40
WORLD = make_world(IMAGES, seed=5)
CEILING = np.array([0.2, 0.4, 0.5, 0.6, 0.7])
WORDS = np.array([f"word{number}" for number in range(WORLD.words)])
R2 = np.full(VOXELS, 0.3)


def make_reading(
    listed: list[list[int]], *, seed: int = 0, group: np.ndarray | None = None
) -> Reading:
    """An analysis whose voxels list some words, first ones first; those that list none are not
    described."""
    maps = blob_maps(VOXELS, IMAGES, seed=seed)
    for voxel in range(VOXELS):
        maps[voxel][WORLD.content == voxel] += 1.0
    word = np.zeros((2, VOXELS, 4), dtype=np.int32)
    confirmed = np.zeros(word.shape, dtype=bool)
    for voxel, own in enumerate(listed):
        word[0, voxel, : len(own)], confirmed[0, voxel, : len(own)] = own, True
    profiles = xr.Dataset(
        {
            "word": (("sign", "voxel", "rank"), word),
            "listed": (("sign", "voxel", "rank"), confirmed),
            "described": ("voxel", [bool(own) for own in listed]),
            "predicted": ("voxel", np.ones(VOXELS, dtype=bool)),
        },
        coords={"sign": ["positive", "negative"], "voxel": 10 + np.arange(VOXELS)},
    )
    group = np.arange(WORLD.words) if group is None else group
    return Reading(make_attributions(maps), WORLD.lens, WORDS, group, profiles, R2)


def rename(reading: Reading, order: np.ndarray) -> Reading:
    """The same analysis with its vocabulary in another order: word ``order[n]`` is its n-th."""
    place = np.argsort(order)
    lens = reading.lens.assign(word=reading.lens["word"].copy(data=place[reading.lens["word"]]))
    profiles = reading.profiles.assign(
        word=reading.profiles["word"].copy(data=place[reading.profiles["word"].values])
    )
    return replace(
        reading,
        lens=lens,
        profiles=profiles,
        words=reading.words[order],
        group=reading.group[order],
    )


LISTED = [[0, 1], [1], [2, 3], [3], [4]]


def test_the_order_of_a_vocabulary_is_no_difference():
    first = make_reading(LISTED)
    order = np.random.default_rng(1).permutation(WORLD.words)
    table, rows = compare_region(first, rename(first, order), CEILING, seed=0)
    np.testing.assert_allclose(table["profile_correlation"], 1)
    assert (table[WORD_MEASURES] == 1).all(axis=None)
    assert table["voxel"].tolist() == list(range(10, 15))
    row = rows.set_index("measure").loc["profile_correlation"]
    assert (row["value"], row["low"], row["high"]) == pytest.approx((1, 1, 1)) and row["n"] == 4


def test_profiles_are_ranked_over_the_words_that_both_vocabularies_have():
    first, second = make_reading(LISTED), make_reading(LISTED, seed=1)
    # Two words are unknown to the second, and two are synonyms to the first.
    words = WORDS.copy()
    words[[0, 5]] = "other", "another"
    group = np.arange(WORLD.words)
    group[WORLD.words - 1] = WORLD.words - 2
    group = np.unique(group, return_inverse=True)[1]
    first, second = replace(first, group=group), replace(second, words=words)
    table, rows = compare_region(first, second, CEILING, seed=0)
    shared = np.setdiff1d(np.arange(WORLD.words), [0, 5])
    z = [score_words(each.attributions, each.lens, each.group).z for each in (first, second)]
    r = np.array(
        [[spearmanr(one[group[shared]], other[shared]).statistic for other in z[1]] for one in z[0]]
    )
    np.testing.assert_allclose(table["profile_correlation"], np.diag(r), atol=1e-4)
    others = (r + r.T).sum(axis=1) / 2 - np.diag(r)
    np.testing.assert_allclose(
        table["profile_correlation_others"], others / (VOXELS - 1), atol=1e-4
    )
    # The first voxel's ceiling is too low to be among them.
    row = rows.set_index("measure").loc["profile_correlation"]
    assert row["value"] == pytest.approx(np.diag(r)[1:].mean(), abs=1e-4)
    assert row["low"] < row["value"] < row["high"]
    # A word that the second cannot say is not held against it.
    assert table.loc[0, "listed_shared"] == 1 and np.isnan(table.loc[0, "first_word_shared"])


def test_synonyms_of_either_analysis_are_the_same_word():
    group = np.arange(WORLD.words)
    group[1] = 0
    first = make_reading([[0, 2], [0], [2], [3], [4]])
    second = make_reading([[1, 3, 2], [2], [3, 2], [], [4]])
    for one, other in (
        (first, replace(second, group=group)),
        (replace(first, group=group), second),
    ):
        table, rows = compare_region(one, other, CEILING, seed=0)
        assert table["first_word_shared"].tolist()[:3] == [1, 0, 0]
        assert table["listed_shared"].tolist()[:3] == [1, 0, 1]
        assert table["listed_shared_other"].tolist()[:3] == pytest.approx([2 / 3, 0, 0.5])
        # The fourth voxel is described by one of them alone.
        assert table.loc[3, ["listed_shared", "first_word_shared"]].isna().all()
        row = rows.set_index("measure").loc["first_word_shared"]
        assert row["value"] == pytest.approx(1 / 3) and row["n"] == 3


def test_means_are_over_voxels_that_both_predict_about_equally_well():
    first = make_reading(LISTED)
    apart = R2 + [0, 2 * EQUAL, 0, -0.9 * EQUAL, 0]
    predicted = first.profiles["predicted"].copy(data=[True, True, False, True, True])
    second = replace(first, r2=apart, profiles=first.profiles.assign(predicted=predicted))
    table, rows = compare_region(first, second, CEILING, seed=0)
    assert table["compared"].tolist() == [False, False, False, True, True]
    row = rows.set_index("measure").loc["compared"]
    assert row["value"] == pytest.approx(0.4) and row["n"] == VOXELS
    # Where no ceiling is known, none is asked for.
    unknown, _ = compare_region(first, second, np.full(VOXELS, np.nan), seed=0)
    assert unknown["compared"].tolist() == [True, False, False, True, True]
    none, rows = compare_region(first, replace(first, r2=R2 + 1), CEILING, seed=0)
    assert not none["compared"].any()
    said = print_comparison(rows.assign(subject="subj01", roi="FFA-1"))
    assert said.splitlines()[1].split()[:4] == ["subj01", "FFA-1", "0", "5"]


def test_vocabularies_without_common_words_are_refused():
    first = make_reading(LISTED)
    second = replace(first, words=np.char.add("other ", WORDS))
    with pytest.raises(InputError, match="vocabularies: expected words in common, of 3 groups"):
        compare_region(first, second, CEILING, seed=0)


def test_intervals_leave_out_images():
    first, second = make_reading(LISTED), make_reading(LISTED, seed=1)
    _, rows = compare_region(first, second, CEILING, seed=0)
    # With fewer images than parts, each is left out alone.
    z = [
        leave_out_words(
            each.attributions,
            pair_lens(each.lens, each.group),
            np.arange(IMAGES),
            groups=WORLD.words,
        )
        for each in (first, second)
    ]
    r = np.array(
        [
            [[spearmanr(one, other).statistic for other in second] for one in first]
            for first, second in zip(*z, strict=True)
        ]
    )
    r = (r + r.transpose(0, 2, 1)) / 2
    own = np.diagonal(r, axis1=1, axis2=2)
    others = (r.sum(axis=2) - own) / (VOXELS - 1)
    for name, each in (("profile_correlation", own), ("profile_correlation_others", others)):
        # The first voxel's ceiling is too low to be among them.
        value, *without = each[:, 1:].mean(axis=1)
        reach = t.ppf(0.975, IMAGES - 1) * np.sqrt((IMAGES - 1) * np.var(without))
        row = rows.set_index("measure").loc[name]
        expected = (value, value - reach, min(value + reach, 1))
        assert (row["value"], row["low"], row["high"]) == pytest.approx(expected, abs=1e-6)


def test_a_region_counts_its_voxels_and_the_command_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    progress = Progress(2 * VOXELS, "voxels", every=0)
    first = make_reading(LISTED)

    def compare(one: object, other: object) -> tuple:
        table, rows = compare_region(first, first, CEILING, seed=0, progress=progress)
        return table, rows.assign(subject="subj01", roi="FFA-1")

    monkeypatch.setattr(logging.getLogger("progress"), "level", logging.NOTSET)
    monkeypatch.setattr("mine.results.comparing.compare_results", compare)
    monkeypatch.setattr("mine.open", lambda path: path)
    assert main(["compare", "one", "two"]) == 0
    assert progress.done == VOXELS and "5 of 10 voxels" in caplog.text


def make_results(name: str, *, subject: str = "subj01", roi: str = "FFA-1", shift: int = 0):
    """Results with one region, as far as pairing reads them."""
    place = np.arange(12).reshape(4, 3) + shift
    responses = xr.Dataset(coords={"ijk": (("voxel", "axis"), place)}, attrs={"geometry": "volume"})
    own = SimpleNamespace(responses=responses)
    region = SimpleNamespace(name=roi, path=Path(name) / subject / roi, voxels=[1, 3], subject=own)

    class Subject(dict):
        rois = (roi,)

    class Results(dict):
        path, subjects = Path(name), (subject,)

    return Results({subject: Subject({roi: region})})


def test_only_analyses_of_the_same_voxels_are_compared():
    first = make_results("one")
    ((one, other),) = pair_regions(first, make_results("two"))
    assert (one.path, other.path) == (Path("one/subj01/FFA-1"), Path("two/subj01/FFA-1"))
    for change, said in (
        ({"subject": "subj02"}, "two: expected a subject of one, subj01, found subj02"),
        ({"roi": "EBA"}, "two: expected a region that one has too of subj01, found none"),
        ({"shift": 1}, "two/subj01/FFA-1: expected the voxels of one/subj01/FFA-1, found others"),
    ):
        with pytest.raises(InputError, match=said):
            pair_regions(first, make_results("two", **change))
