"""Explainers on equal terms: how much of what was planted each finds, as a whole and by region."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mine.figures.style import (
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    PURPLE,
    VERMILLION,
    new_figure,
    styled,
)
from mine.sections import ALL

EXPLAINERS = {
    "mine": ("MINE", BLUE),
    "weight_projection": ("weights among images (BrainSCUBA)", ORANGE),
    "dense_relevance": ("dense relevance (BrainSAIL)", GREEN),
    "best_captions": ("captions of best images (LaVCa)", PURPLE),
    "caption_correlation": ("correlation with captions", VERMILLION),
}

MEASURES = {
    "top_word": "first\nword",
    "found_features": "features\nfound",
    "true_words": "true\nwords",
    "second_colour": "second\ncolour",
    "second_expression": "second\nexpression",
    "second_object": "second\nobject",
    "second_background": "second\nbackground",
    "position_recovered": "second\nplace",
    "pointing": "pointing",
    "mass_in_mask": "mass\nin mask",
}
CHANCE = {"pointing": "pointing_chance", "mass_in_mask": "mass_in_mask_chance"}
BY_REGION = {"top_word": "First word right", "found_features": "Planted features found"}


@styled
def draw_explainers(table: pd.DataFrame) -> Figure:
    """Draw explainers.tsv (docs/explainers.md): all measures over all regions, and below two of
    them by region."""
    whole = table[table["subject"] == ALL]
    names = [name for name in EXPLAINERS if name in set(table["explainer"])]
    figure = new_figure(130)
    grid = figure.add_gridspec(2, 2, height_ratios=(1.1, 1))
    upper = figure.add_subplot(grid[0, :])
    everywhere = whole[whole["roi"] == ALL]
    measures = [measure for measure in MEASURES if measure in set(everywhere["measure"])]
    _draw(upper, everywhere.set_index(["explainer", "measure"]), names, measures)
    upper.set_xticks(range(len(measures)), [MEASURES[measure] for measure in measures])
    upper.set_title("All regions with planted categories (95% intervals)")
    for place, measure in enumerate(measures):
        chance = everywhere[everywhere["measure"] == CHANCE.get(measure)]["value"]
        if len(chance):
            span = (place - 0.45, place + 0.45)
            upper.hlines(chance.iloc[0], *span, color=GREY, linestyle="--", linewidth=0.8)
    upper.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3, columnspacing=1)
    for column, (measure, title) in enumerate(BY_REGION.items()):
        rows = whole[whole["measure"] == measure]
        rois = [roi for roi in dict.fromkeys(rows["roi"]) if roi != ALL]
        axes = figure.add_subplot(grid[1, column])
        _draw(axes, rows.set_index(["explainer", "roi"]), names, rois)
        axes.set_xticks(range(len(rois)), rois)
        axes.set_title(title)
    return figure


def _draw(axes: Axes, rows: pd.DataFrame, names: list[str], places: list[str]) -> None:
    """A point an explainer at each place, with its interval where there is one."""
    step = 0.8 / len(names)
    for number, name in enumerate(names):
        label, colour = EXPLAINERS[name]
        own = rows.reindex([(name, place) for place in places])
        x = np.arange(len(places)) + (number - (len(names) - 1) / 2) * step
        value, low, high = (own[each].to_numpy(dtype=float) for each in ("value", "low", "high"))
        error = np.nan_to_num(np.maximum([value - low, high - value], 0))
        axes.errorbar(
            x, value, yerr=error, fmt="o", color=colour, markersize=3, elinewidth=0.8, label=label
        )
    for edge in np.arange(len(places) - 1) + 0.5:
        axes.axvline(edge, color=LIGHT, linewidth=0.5)
    axes.set(xlim=(-0.5, max(len(places), 1) - 0.5), ylim=(-0.03, 1.03), ylabel="Share")
