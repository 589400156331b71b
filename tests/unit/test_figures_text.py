"""Text of figures has its place, however long the names and numbers are that it is made of."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from mine.figures.attributions import draw_attributions, tabulate_attributions
from mine.figures.causality import draw_causality
from mine.figures.exact import draw_exact, tabulate_exact
from mine.figures.preference import LABEL, draw_preference, measure_labels
from mine.figures.profiles import draw_profiles
from mine.figures.strips import EDGE, write_heading
from mine.figures.style import measure_text, new_figure, styled
from mine.figures.voxels import describe_voxels, gather_pictures, rank_images
from tests.reference.causal_figures import make_exact, make_subject, make_table, tabulate
from tests.reference.texts import find_boxes, find_overlaps
from tests.unit.test_figures import (
    GRID,
    WORDS,
    make_explained,
    make_profiles,
    make_scores,
    read,
)

LONG = "mTL-words, subj01"
FAR = 10000  # such a voxel's number has five digits


def find_heading(figure: Figure, name: str) -> dict[Text, Bbox]:
    """The texts beside a voxel's name."""
    boxes = find_boxes(figure)
    (own,) = (box for text, box in boxes.items() if text.get_text() == name)
    return {text: box for text, box in boxes.items() if box.y0 < own.y1 and box.y1 > own.y0}


@styled
def draw_heading() -> Figure:
    figure = new_figure(20, layout=None)
    write_heading(figure, 5, LONG, FAR, make_table().loc[6])
    return figure


def draw_cards() -> Figure:
    profiles = make_profiles(["no reliable profile"]).assign_coords(voxel=[FAR])
    table = describe_voxels(profiles.assign_coords(voxel=[0]), make_scores(1)[0], WORDS)
    table.index = profiles["voxel"].to_index()
    pictures = gather_pictures(read, profiles["exemplar"].values)
    return draw_profiles(profiles, pictures, words=WORDS, table=table, region=LONG)


def draw_images() -> Figure:
    stores = [store.assign_coords(voxel=[FAR]) for store in make_explained(1)]
    table = describe_voxels(make_profiles(["described"]), make_scores(1)[0], WORDS)
    table.index = stores[0]["voxel"].to_index()
    pictures = gather_pictures(read, rank_images(stores[0]["prediction"], 3))
    return draw_attributions(
        *stores, pictures, words=WORDS, grid=GRID, table=table, images=3, region=LONG
    )


@pytest.mark.parametrize("draw", [draw_heading, draw_cards, draw_images])
def test_a_long_name_pushes_what_stands_beside_it(draw):
    beside = find_heading(draw(), f"{LONG}, voxel {FAR}")
    assert len(beside) > 1 and not find_overlaps(beside)


def test_labels_of_many_images_end_before_the_axes_of_the_causal_tests():
    table = tabulate(make_subject())
    edited = table["measure"] == "effect"
    counted = edited | (table["measure"] == "error") & table["voxel"].isna()
    counts = {"n": table["n"].mask(counted, 2000), "images": table["images"].mask(edited, 15000)}
    figure = draw_causality(table.assign(**counts), ["FFA-1", "EBA"])
    boxes = find_boxes(figure)
    pattern = r"\d+ voxels|[\d+]+ images"
    labels = {text: box for text, box in boxes.items() if re.fullmatch(pattern, text.get_text())}
    assert "15000+15000 images" in {text.get_text() for text in labels}
    start = min(axes.get_window_extent().x0 for axes in figure.axes[:4])
    assert len(labels) == 12 and max(box.x1 for box in labels.values()) < start
    assert not find_overlaps(labels)


def test_numbers_of_the_size_of_nsd_stand_apart_in_panel_a_of_the_causal_tests():
    table = tabulate(make_subject())
    told = (table["panel"] == "sufficiency") & table["voxel"].isna()
    d = told & table["measure"].str.endswith("d")
    table.loc[told, "n"] = 160
    table.loc[d, ["value", "low", "high"]] = -0.51, -0.82, -0.20
    table.loc[table["panel"] == "sufficiency", "images"] = 10
    significant = told & table["measure"].str.endswith("significant")
    table.loc[significant, "value"] = 0.75
    figure = draw_causality(table, ["FFA-1", "EBA"])
    boxes = find_boxes(figure)
    pattern = r"−0\.51 \[.*\]|\d+%|\d+/160"
    numbers = {text: box for text, box in boxes.items() if re.fullmatch(pattern, text.get_text())}
    assert "120/160" in {text.get_text() for text in numbers}
    assert not find_overlaps(numbers)
    assert max(box.x1 for box in numbers.values()) <= figure.bbox.x1


def test_a_note_on_many_regions_stays_on_the_page():
    for count in (0, 11, 30):
        missing = [f"midventral-{number}" for number in range(count)]
        figure = draw_causality(tabulate(make_subject()), ["FFA-1", "EBA", *missing])
        boxes = find_boxes(figure)
        assert min(box.y0 for box in boxes.values()) >= 0
        (note,) = (text for text in boxes if text.get_text().startswith("Responses are"))
        assert not count or missing[-1] in note.get_text().replace("\n", " ")


def test_a_regions_name_and_its_count_do_not_overlap():
    rows = []
    for roi in ("mTL-words", "midventral"):
        for measure in ("cosine_z", "share_profile", "share_measured", "auc_measured", "t"):
            for category in ("faces", "bodies", "places"):
                rows.append((roi, measure, category, 0.5, 1056 if "measured" in measure else 448))
        rows.append((roi, "described", np.nan, 448 / 1056, 1056))
    table = pd.DataFrame(rows, columns=["roi", "measure", "category", "value", "n"])
    table = table.assign(threshold=np.nan, p=1.0, low=np.nan, high=np.nan, subject="subj01")
    table = pd.concat([table, table.assign(measure="prefers_" + table["measure"], value=0.0)])
    kinds = {"cosine_z": "profile", "auc_measured": "measured", "t": "localiser"}
    table = table.replace({"measure": {f"prefers_{a}": f"prefers_{b}" for a, b in kinds.items()}})
    boxes = find_boxes(draw_preference(table, ["mTL-words", "midventral"], "subj01"))
    labels = {"mTL-words", "midventral", "448/1056"}
    beside = {text: box for text, box in boxes.items() if text.get_text() in labels}
    assert len(beside) > 4 and not find_overlaps(beside)


def test_labels_beside_maps_are_as_wide_as_what_they_hold():
    assert measure_labels({"EBA": "4/9"}) == LABEL
    wide = measure_labels({"mTL-words": "447/1056"})
    taken = measure_text("mTL-words", "bold") + measure_text("447/1056")
    assert wide > LABEL and wide - taken > EDGE


def test_the_legend_of_exact_edits_ends_above_the_letters_of_its_panels():
    exact = tabulate_exact(make_exact(), resamples=50, generator=np.random.default_rng(0))
    figure = draw_exact(exact)
    boxes = find_boxes(figure)
    (legend,) = (axes.get_legend() for axes in figure.axes if axes.get_legend())
    top = max(box.y1 for text, box in boxes.items() if text.get_text() in ("a", "b"))
    assert legend.get_window_extent().y0 > top


def test_the_table_of_words_marks_those_that_are_said():
    attributions, descriptions = make_explained(1)
    drawn = {"words": WORDS, "grid": GRID, "images": 3}
    table = tabulate_attributions(attributions, descriptions, **drawn)
    words = table[table["item"] == "word"]
    assert words[words["said"]]["word"].unique().tolist() == ["dog", "face"]
    assert words[~words["said"]]["word"].unique().tolist() == ["street"]
    assert table[table["item"] != "word"]["said"].isna().all()
