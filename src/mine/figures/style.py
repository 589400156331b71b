"""What all figures share: size, type, colours, saving. No figure touches pyplot's global state."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from mine.sections import ALL
from mine.stores import write_table

P = ParamSpec("P")
R = TypeVar("R")

WIDTH = 180.0  # mm, two columns of a journal
DPI = 300
SIZE = 7.0  # points: the smallest type
HEADING = 8.0
MM_PER_INCH = 25.4
MM_PER_POINT = MM_PER_INCH / 72

# Okabe & Ito, "Color universal design" (2008): told apart with any colour vision.
BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#999999"
LIGHT = "#DDDDDD"
NAVY, TEAL, PALE = "#00385C", "#2E9AA8", "#7FB2E5"  # near blue, for what is MINE's too

# The same, dark enough for small type on white: a contrast of 4.5 and more (WCAG 2.1).
INKS = {
    ORANGE: "#8F6300",
    SKY: "#1B75A8",
    GREEN: "#007D5B",
    VERMILLION: "#B84F00",
    PURPLE: "#A1487A",
    GREY: "#666666",
}

# Without yellow, which is pale on white; grey stands in for it.
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, SKY, ORANGE, BLACK, GREY)
INDIGO, MAGENTA, BROWN = "#4B0092", "#B0007A", "#7F3F00"
# Over a brain in grey scale, where black and grey would be lost.
HUES = (*CYCLE[:6], INDIGO, MAGENTA)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

MODELS = {
    "mine": ("MINE", BLUE),
    "mine_mean": ("MINE, mean over seeds", NAVY),
    "mine_shared": ("MINE, subjects together", TEAL),
    "mine_transfer": ("MINE, other subjects' voxels", PALE),
    "ridge": ("ridge, image embedding", ORANGE),
    "caption": ("ridge, captions", SKY),
    "banded": ("banded ridge", GREEN),
    "unit_length": ("ridge, unit-length embedding", GREY),
    "receptive_field": ("receptive field × features", VERMILLION),
    "universal": ("universal encoder", PURPLE),
    "region_query": ("region queries", BLACK),
    "planted_ridge": ("ridge, planted features", PURPLE),
    "noiseless": ("planted response (bound)", BLACK),
}

REASON_COLOURS = {
    "described": BLUE,
    "no significant word": SKY,
    "no reliable profile": ORANGE,
    "retinotopic": GREEN,
    "not predicted": LIGHT,
}

FEW_REGIONS = 8
"""Regions whose names have room beside each other in the width of a figure; more are turned."""

SETTINGS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that text is alike everywhere
    "font.size": SIZE,
    "axes.titlesize": HEADING,
    "axes.labelsize": SIZE,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": SIZE,
    "ytick.labelsize": SIZE,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": SIZE,
    "legend.frameon": False,
    "legend.handlelength": 1.5,
    "lines.linewidth": 1.0,
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,  # text stays text in the PDF
}


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Return the function, run in the figures' style and leaving the caller's as it was."""

    @wraps(draw)
    def within(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.rc_context(SETTINGS):
            return draw(*args, **kwargs)

    return within


def new_figure(height: float, *, layout: str | None = "constrained") -> Figure:
    """Return an empty figure of journal width. height: mm. layout: None to place axes by hand."""
    return Figure(figsize=(WIDTH / MM_PER_INCH, height / MM_PER_INCH), layout=layout)


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes at a place given in mm from the figure's upper left corner."""
    across, down = (side * MM_PER_INCH for side in figure.get_size_inches())
    return figure.add_axes(
        (left / across, 1 - (top + height) / down, width / across, height / down)
    )


def add_text(figure: Figure, left: float, top: float, text: str, **style: object) -> None:
    """Write text whose upper left corner is at a place given in mm from the figure's own, in the
    ink of its colour.
    """
    if "color" in style:
        style["color"] = INKS.get(style["color"], style["color"])
    across, down = (side * MM_PER_INCH for side in figure.get_size_inches())
    figure.text(left / across, 1 - top / down, text, **({"va": "top", "ha": "left"} | style))


def add_key(
    figure: Figure, left: float, top: float, text: str, colour: str, **style: object
) -> float:
    """Write text in bold behind a square of its colour, from a place given in mm as in
    :func:`add_text`. Returns where the next one may begin: mm.
    """
    # Colours given as numbers are no ink's: a square looks as what it stands for.
    add_text(figure, left, top, "■", color=to_rgb(colour))
    left += measure_text("■ ")
    add_text(figure, left, top, text, color=colour, weight="bold", **style)
    return left + measure_text(f"{text} ", "bold") + 2.0


@cache
def measure_text(text: str, weight: str = "normal", size: float = SIZE) -> float:
    """Width of a line, spaces at its end included, by the font alone: mm. size: points, if not the
    smallest.
    """
    font = FontProperties(size=size, weight=weight)
    ends = [
        text_to_path.get_text_width_height_descent(framed, font, ismath=False)[0]
        for framed in (f"{text}.", ".")
    ]
    return (ends[0] - ends[1]) * MM_PER_POINT


def add_image(axes: Axes, image: object, **style: object) -> None:
    """Show an image without ticks, in a thin frame."""
    axes.imshow(image, **({"interpolation": "nearest"} | style))
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.4, color=GREY)


@styled
def save_figure(figure: Figure, numbers: pd.DataFrame, path: Path | str) -> None:
    """Write a figure as PNG and as PDF, and beside it the numbers that it draws: there is no other
    way to save one. The same bytes for the same figure: no dates.

    path: of the PNG; the others have its name with `.pdf` and `.tsv`.
    """
    # It tells of every step of every font that goes into a PDF.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    path = Path(path)
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    figure.savefig(path.with_suffix(".pdf"), dpi=DPI, metadata={"CreationDate": None})
    write_table(numbers, path.with_suffix(".tsv"))


def mark_rois(rois: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return a colour and a marker for each ROI; no pair comes twice among 64."""
    return {
        str(roi): (
            CYCLE[place % len(CYCLE)],
            MARKERS[(place + place // len(CYCLE)) % len(MARKERS)],
        )
        for place, roi in enumerate(rois)
    }


def error_lengths(rows: pd.DataFrame | pd.Series) -> np.ndarray:
    """Return the lengths of error bars below and above, for matplotlib: (2, row).

    rows: columns value, low and high; or one row. None is negative: a percentile interval need not
    hold the estimate.
    """
    lengths = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
    return np.maximum(np.array(lengths, dtype=float).reshape(2, -1), 0)


def name_region(roi: str) -> str:
    """Return what a region of a table is called on paper."""
    return "all regions" if roi == ALL else roi


def name_model(model: str) -> tuple[str, str]:
    """Return how a model is called in figures, and its colour."""
    return MODELS.get(model, (model.replace("_", " "), GREY))
