"""Scores of explainers on results made by hand, where the right numbers are plain to see."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mine.demo.recovery_explainers import (
    COLUMNS,
    score_explainers,
    summarise_explainers,
)
from mine.demo.words import CATEGORIES
from mine.figures.explainers import EXPLAINERS, draw_explainers
from mine.stages.explainers import RIVALS
from mine.statistics.effects import LEAST_CLUSTERS

VOCABULARY = np.array(["face", "visage", "human", "red", "car", "beach", "anchor", "dog", "room"])
GRID = (4, 4)


def find(*names: str) -> list[int]:
    return [VOCABULARY.tolist().index(name) if name else -1 for name in names]


def make_truth() -> xr.Dataset:
    """A red face, a face in a place, noise; the second is in the first patch of the last column."""
    place = np.full((3, 2), np.nan)
    place[1] = (0.125, 0.875)
    names = {
        "main": ["face", "face", ""],
        "region": ["FFA-1", "FFA-1", "control"],
        "second_kind": ["colour", "place", ""],
        "second_word": ["red", "", ""],
    }
    data = {name: (("voxel",), np.array(values)) for name, values in names.items()}
    return xr.Dataset(data | {"second_place": (("voxel", "axis_of_place"), place)})


def make_images() -> xr.Dataset:
    """A face top left, and nothing: two images of 8 × 8 pixels, 2 × 2 a patch."""
    labels = np.zeros((2, 8, 8), dtype=np.uint8)
    labels[0, :4, :4] = 1 + list(CATEGORIES).index("face")
    scenes = [json.dumps({"background": name}) for name in ("beach", "room")]
    return xr.Dataset(
        {"label": (("image", "row", "column"), labels), "scene": (("image",), scenes)},
        coords={"image": [5, 6]},
    )


def make_explained(words: dict[str, list[list[int]]], described: dict[str, list[bool]]):
    """Explainers of some voxels; the maps of the first two hit and miss the face, and peak in the
    last column and nowhere."""
    voxels = len(next(iter(words.values())))
    names, mapped = list(words), list(words)[:2]
    word = np.array(list(words.values()))
    token = np.zeros((2, voxels, 2, 2), dtype=np.int16)
    token[:, :, :, 1] = 15
    token[1] = 15 - token[1]
    maps = np.ones((2, voxels, *GRID))
    maps[0, -1, 0, 3] = 9.0
    return xr.Dataset(
        {
            "word": (("explainer", "voxel", "rank"), word),
            "listed": (("explainer", "voxel", "rank"), np.zeros(word.shape, dtype=bool)),
            "described": (("explainer", "voxel"), np.array([described[name] for name in names])),
            "token": (("mapped", "voxel", "image", "place"), token),
            "relevance": (("mapped", "voxel", "image", "place"), np.array([3.0, 1.0]) + 0 * token),
            "position_map": (("mapped", "voxel", "row", "column"), maps),
        },
        coords={"explainer": names, "mapped": mapped, "image": [5, 6]},
    )


def score() -> pd.DataFrame:
    words = {
        "mine": [find("visage", "red", "human", "car"), find("car", "face", "anchor", "dog")],
        "rival": [find("human", "car", "anchor", "beach"), find("face", "human", "dog", "red")],
        "silent": [find("", "", "", ""), find("face", "", "", "")],
    }
    described = {"mine": [True, False], "rival": [True, True], "silent": [False, True]}
    ffa = make_explained(words, described).assign_coords(voxel=[0, 1])
    noise = {name: [find("car", "dog", "beach", "red")] for name in words}
    control = make_explained(noise, {"mine": [False], "rival": [True], "silent": [False]})
    responses = xr.Dataset(
        {"noise_ceiling": (("voxel",), [0.5, 0.5, 0.0])},
        coords={"hemisphere": ("voxel", ["left", "right", "left"])},
    )
    ffa["listed"].loc[{"explainer": "mine", "voxel": 0}] = [True, True, False, False]
    return score_explainers(
        make_truth(),
        make_images(),
        explained={"FFA-1": ffa, "control": control.assign_coords(voxel=[2])},
        responses=responses,
        vocabulary=VOCABULARY,
    )


def test_words_are_scored_as_those_of_profiles():
    rows = score().set_index(["explainer", "voxel"])
    first = rows.xs(0, level="voxel")
    assert first["top_word"].to_dict() == {"mine": 1, "rival": 0, "silent": 0}
    # Of main feature and colour, how many are named.
    assert first["found_features"].to_dict() == {"mine": 1, "rival": 0, "silent": 0}
    # Hypernyms count, and second features of the region; who says nothing says nothing right.
    assert first["true_words"].to_dict() == {"mine": 0.75, "rival": 0.25, "silent": 0}
    assert first["second_feature"].to_dict() == {"mine": 1, "rival": 0, "silent": 0}
    assert first.loc["mine", "listed_true"] == 1 and np.isnan(first.loc["rival", "listed_true"])
    second = rows.xs(1, level="voxel")
    assert second["top_word"].to_dict() == {"mine": 0, "rival": 1, "silent": 1}
    assert second["found_features"].to_dict() == {"mine": 1, "rival": 1, "silent": 1}
    assert second["true_words"].to_dict() == {"mine": 0.5, "rival": 1, "silent": 0.25}
    assert second["second_feature"].isna().all()
    assert rows["compared"].unstack("explainer").nunique(axis=1).eq(1).all()
    assert rows.xs(2, level="voxel")["top_word"].isna().all()


def test_maps_are_scored_of_those_that_give_some():
    rows = score().set_index(["explainer", "voxel"])
    own = rows.xs(0, level="voxel")
    assert own.loc["mine", "pointing"] == 1 and own.loc["rival", "pointing"] == 0
    assert own.loc["mine", "mass_in_mask"] == 0.75 and own.loc["rival", "mass_in_mask"] == 0.25
    assert own["pointing_chance"].dropna().tolist() == [0.25, 0.25]
    place = rows.xs(1, level="voxel")["position_recovered"]
    assert place["mine"] == 1 and place["rival"] == 0 and np.isnan(place["silent"])


def make_rows(effect: float, voxels: int = 8) -> pd.DataFrame:
    """Two subjects, two regions, two hemispheres: eight blobs, each with a level of its own that
    both explainers share, and a rival that is worse."""
    random = np.random.default_rng(0)
    rows = []
    for subject in ("subj01", "subj02"):
        for roi, main in (("FFA-1", "face"), ("PPA", "forest")):
            for blob in ("left", "right"):
                level = random.uniform(0.3, 0.7)
                for voxel in range(voxels):
                    value = level + 0.02 * random.standard_normal()
                    for explainer, share in (("mine", value), ("rival", value - effect)):
                        rows.append(
                            {
                                "explainer": explainer,
                                "subject": subject,
                                "roi": roi,
                                "voxel": voxel + 100 * (blob == "right"),
                                "blob": blob,
                                "main": main,
                                "second": "colour" if main == "face" else "",
                                "noise_ceiling": 0.2 if voxel == 0 else 0.5,
                                "compared": voxel != 1,
                                "described": float(voxel != 1 or explainer == "rival"),
                                "top_word": share,
                                "found_features": share,
                                "true_words": share,
                                "second_feature": share if main == "face" else np.nan,
                                "pointing": share if explainer == "mine" else np.nan,
                            }
                        )
    return pd.DataFrame(rows)


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    return summarise_explainers(rows)


def test_differences_are_paired_and_blobs_are_the_unit():
    rows = make_rows(effect=0.1)
    table = summarise(rows)
    assert table.columns.tolist() == COLUMNS
    assert not table.duplicated(["explainer", "subject", "roi", "measure"]).any()
    whole = (
        table.set_index(["subject", "roi", "explainer", "measure"]).sort_index().loc["all", "all"]
    )
    difference = whole.loc["rival", "top_word_minus_mine"]
    assert difference["value"] == pytest.approx(-0.1)
    assert difference["low"] == pytest.approx(-0.1) and difference["high"] == pytest.approx(-0.1)
    shown = rows[(rows["voxel"] % 100 > 1) & (rows["explainer"] == "mine")]
    own = whole.loc["mine", "top_word"]
    assert own["value"] == pytest.approx(shown["top_word"].mean()) and own["n"] == len(shown)
    # The blobs' levels differ far more than their voxels do: that many voxels drawn one by one
    # would have an interval a third as wide.
    levels = shown.groupby(["subject", "roi", "blob"])["top_word"].mean()
    assert own["high"] - own["low"] > 2.5 * levels.std() / np.sqrt(len(levels))
    assert len(levels) >= LEAST_CLUSTERS
    region = table[(table["subject"] == "subj01") & (table["roi"] == "FFA-1")]
    assert region["value"].notna().all() and region[["low", "high"]].isna().all(axis=None)


def test_each_measure_is_of_the_voxels_that_it_is_about():
    rows = make_rows(effect=0.1)
    table = summarise(rows).set_index(["subject", "roi", "explainer", "measure"]).sort_index()
    whole = table.loc["all", "all"]
    assert whole.loc["mine", "described"]["value"] == pytest.approx(6 / 7)
    assert whole.loc["rival", "described"]["value"] == 1
    # Whoever describes a voxel is counted as right there, and wrong where it does not.
    able = rows[rows["noise_ceiling"] >= 0.3]
    right = (able["top_word"] * able["described"])[able["explainer"] == "mine"]
    assert whole.loc["mine", "top_word_all"]["value"] == pytest.approx(right.mean())
    faces = rows[(rows["voxel"] % 100 > 1) & (rows["main"] == "face")]
    mine = faces[faces["explainer"] == "mine"]["top_word"].mean()
    for measure in ("top_word_object", "second_colour"):
        assert whole.loc["mine", measure]["value"] == pytest.approx(mine)
        assert whole.loc["mine", measure]["n"] == len(faces) / 2
    assert ("mine", "second_object") not in whole.index
    assert ("rival", "pointing") not in whole.index and ("mine", "pointing") in whole.index


def test_controls_are_counted_as_described_alone():
    rows = score().assign(subject="subj01")
    table = summarise(rows).set_index(["subject", "roi", "explainer", "measure"]).sort_index()
    noise = table.loc["all", "noise"]
    assert noise.xs("described", level="measure")["value"].to_dict() == {
        "mine": 0,
        "rival": 1,
        "silent": 0,
    }
    assert set(noise.index.get_level_values("measure")) == {"described", "described_minus_mine"}


def test_figure_has_a_point_for_each_number():
    assert list(EXPLAINERS) == ["mine", *RIVALS]
    rows = make_rows(effect=0.1).replace({"rival": "dense_relevance"})
    table = summarise(rows)
    figure = draw_explainers(table)
    upper, first, second = figure.axes
    assert [text.get_text() for text in upper.get_legend().get_texts()] == [
        EXPLAINERS[name][0] for name in ("mine", "dense_relevance")
    ]
    whole = table[(table["subject"] == "all") & (table["roi"] == "all")]
    drawn = [float(y) for line in upper.containers for y in line[0].get_ydata()]
    expected = whole.set_index(["explainer", "measure"])["value"]
    for measure in ("top_word", "found_features", "true_words", "second_colour"):
        for name in ("mine", "dense_relevance"):
            assert np.isclose(drawn, expected[name, measure]).any()
    assert [label.get_text() for label in first.get_xticklabels()] == ["FFA-1", "PPA"]
    assert len(second.containers) == 2


def test_where_mine_describes_nothing_there_is_nothing_to_compare():
    rows = make_rows(effect=0.1).replace({"rival": "dense_relevance"})
    table = summarise(rows.assign(compared=False))
    assert set(table["measure"].str.removesuffix("_minus_mine")) == {"described", "top_word_all"}
    drawn = [line for axes in draw_explainers(table).axes for line, *_ in axes.containers]
    assert len(drawn) == 3 * 2 and not any(len(line.get_ydata()) for line in drawn)
