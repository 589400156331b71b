"""Text of figures has its place, however long the names and numbers are that it is made of."""

from __future__ import annotations

from itertools import combinations

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from mine.figures.attributions import draw_attributions
from mine.figures.profiles import draw_profiles
from mine.figures.strips import write_heading
from mine.figures.style import new_figure, styled
from mine.figures.voxels import describe_voxels, gather_pictures, rank_images
from tests.reference.causal_figures import make_table
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


def find_boxes(figure: Figure) -> dict[Text, Bbox]:
    """Where each text of a figure is, with the frame that it has, in pixels."""
    figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    return {text: (text.get_bbox_patch() or text).get_window_extent() for text in shown}


def find_overlaps(boxes: dict[Text, Bbox]) -> list[tuple[str, str]]:
    """Pairs of texts that lie over each other."""
    return [
        (one.get_text(), other.get_text())
        for (one, first), (other, second) in combinations(boxes.items(), 2)
        if (shared := Bbox.intersection(first, second)) and min(shared.width, shared.height) > 0.5
    ]


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
