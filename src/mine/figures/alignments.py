"""How well each way of reading tokens names what they show."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mine.figures.style import BLACK, LIGHT, SKY, error_lengths, new_figure, styled

TITLES = {
    "token_accuracy": "Token accuracy",
    "mean_iou": "Mean intersection over union",
    "pointing": "Pointing accuracy",
}
LINE = 6.0  # mm


@styled
def draw_alignments(table: pd.DataFrame) -> Figure:
    """Draw alignments.tsv: alignment, measure, category, value, low, high, n.

    A panel a measure, a line an alignment, in the table's order from the top; a small dot a
    category.
    """
    names = list(dict.fromkeys(table["alignment"]))
    figure = new_figure(22 + LINE * len(names))
    panels = figure.subplots(1, len(TITLES), sharey=True)
    for axes, (measure, title) in zip(panels, TITLES.items(), strict=True):
        _draw_measure(axes, table[table["measure"] == measure], names)
        axes.set_title(title)
    panels[0].set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    images = "Black: all categories, 95% interval, images resampled. Blue: single categories"
    figure.supxlabel(images, fontsize=7)
    return figure


def _draw_measure(axes: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    place = rows["alignment"].map(names.index)
    whole = rows["category"] == ""
    for line in range(len(names)):
        axes.axhline(line, color=LIGHT, linewidth=0.6, zorder=0)
    axes.scatter(rows["value"][~whole], place[~whole], s=6, color=SKY, linewidths=0, gid="category")
    style = {"fmt": "o", "color": BLACK, "markersize": 4, "elinewidth": 1}
    value, error = rows["value"][whole].to_numpy(float), error_lengths(rows[whole])
    axes.errorbar(value, place[whole], xerr=error, **style)
    axes.set(xlim=(-0.02, 1.02), xticks=np.linspace(0, 1, 6))
