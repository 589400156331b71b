"""Forms of encoders on equal terms: what each explains, what it costs, how it grows with images."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mine.figures.style import BLACK, GREY, LIGHT, MARKERS, name_model, new_figure, styled
from mine.sections import ALL

LOWEST = -0.3  # what lies below is drawn there, with an arrow

COSTS = {
    "seconds": "Seconds of fitting, with what was tried",
    "parameters": "Numbers that were fitted",
}


@styled
def draw_forms(table: pd.DataFrame) -> Figure:
    """Draw encoders.tsv (mine.stages.comparison.tabulate_forms): the share of the explainable
    variance by region, that against the time of fitting, and its growth with images."""
    score = _choose_score(table)
    forms = list(dict.fromkeys(table["form"]))
    counts = sorted({count for count in table["images"] if count != ALL}, key=int)
    figure = new_figure(125)
    grid = figure.add_gridspec(2, 2, height_ratios=(1.15, 1))
    upper = figure.add_subplot(grid[0, :])
    whole = table[table["images"] == ALL]
    _draw_regions(upper, whole, forms, score)
    _draw_costs(figure.add_subplot(grid[1, 0]), whole, forms, score, measure="seconds")
    right = figure.add_subplot(grid[1, 1])
    if counts:
        _draw_curves(right, table, forms, [*counts, ALL], score)
    else:
        _draw_costs(right, whole, forms, score, measure="parameters")
    return figure


def _choose_score(table: pd.DataFrame) -> str:
    """R² over the noise ceiling, or where there is none R²."""
    normalised = table[table["measure"] == "r2_normalised"]["value"]
    return "r2_normalised" if normalised.notna().any() else "r2"


def _draw_regions(axes: Axes, whole: pd.DataFrame, forms: list[str], score: str) -> None:
    """Each form's mean over subjects in each region, and each subject with its interval."""
    rows = whole[whole["measure"] == score]
    rois = list(dict.fromkeys(rows["roi"]))
    subjects = [subject for subject in dict.fromkeys(rows["subject"]) if subject != ALL]
    step = 0.84 / len(forms)
    for place, form in enumerate(forms):
        name, colour = name_model(form)
        own = rows[rows["form"] == form]
        for number, subject in enumerate(subjects):
            each = own[own["subject"] == subject].set_index("roi").reindex(rois)
            spread = (number - (len(subjects) - 1) / 2) * step / (len(subjects) + 1)
            x = np.arange(len(rois)) + (place - (len(forms) - 1) / 2) * step + spread
            value = np.maximum(each["value"].to_numpy(dtype=float), LOWEST)
            low = np.clip(value - each["low"].to_numpy(dtype=float), 0, value - LOWEST)
            high = np.maximum(each["high"].to_numpy(dtype=float) - value, 0)
            axes.errorbar(
                x,
                value,
                yerr=[low, high],
                fmt=MARKERS[number % len(MARKERS)],
                color=colour,
                markersize=2.2,
                elinewidth=0.5,
                label=name if number == 0 else None,
            )
            for at in np.flatnonzero(each["value"].to_numpy(dtype=float) < LOWEST):
                axes.annotate("▼", (x[at], LOWEST), color=colour, ha="center", va="top")
    for edge in np.arange(len(rois) - 1) + 0.5:
        axes.axvline(edge, color=LIGHT, linewidth=0.5)
    axes.axhline(0, color=GREY, linewidth=0.6)
    if score == "r2_normalised":
        axes.axhline(1, color=BLACK, linestyle="--", linewidth=0.8)
    axes.set_xticks(range(len(rois)), ["all voxels" if roi == ALL else roi for roi in rois])
    axes.set(
        xlim=(-0.5, len(rois) - 0.5),
        ylabel=_label(score),
        title=f"Of each form {', '.join(subjects)}, on test images (95% intervals over images)",
    )
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=4, columnspacing=1)


def _draw_costs(
    axes: Axes, whole: pd.DataFrame, forms: list[str], score: str, *, measure: str
) -> None:
    """The score against what a form cost, or how many numbers it has, in the colours above."""
    x, y = _mean(whole, measure, ""), _mean(whole, score, ALL)
    for form in forms:
        _, colour = name_model(form)
        axes.plot(x[form], y[form], marker="o", color=colour, linestyle="none")
    axes.set(
        xscale="log",
        xlabel=COSTS[measure],
        ylabel=_label(score),
        title="All voxels, mean over subjects",
    )


def _draw_curves(
    axes: Axes, table: pd.DataFrame, forms: list[str], counts: list[str], score: str
) -> None:
    parts = [table[table["images"] == count] for count in counts]
    used = [_mean(part, "training_images", "") for part in parts]
    reached = [_mean(part, score, ALL) for part in parts]
    for form in forms:
        _, colour = name_model(form)
        x, y = ([row[form] for row in rows] for rows in (used, reached))
        axes.plot(x, y, color=colour, marker="o", ms=3)
    axes.axhline(0, color=GREY, linewidth=0.6)
    ticks = sorted({round(row[form]) for row in used for form in forms})
    axes.set_xscale("log")
    axes.set_xticks(ticks, ticks)
    axes.minorticks_off()
    axes.set(
        xlabel="Training images",
        ylabel=_label(score),
        title="Growth with images (all voxels, mean over subjects)",
    )
    axes.set_ylim(bottom=max(axes.get_ylim()[0], LOWEST))


def _mean(rows: pd.DataFrame, measure: str, roi: str) -> dict[str, float]:
    """The mean over subjects of a measure, by form."""
    own = rows[(rows["measure"] == measure) & (rows["roi"] == roi) & (rows["subject"] == ALL)]
    return dict(zip(own["form"], own["value"], strict=True))


def _label(score: str) -> str:
    return "ΣR² / Σ noise ceiling" if score == "r2_normalised" else "Mean R²"
