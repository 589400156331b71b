"""Forms of encoders on equal terms: what each explains, what it costs, how it grows with images."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mine.figures.style import (
    BLACK,
    FEW_REGIONS,
    GREY,
    LIGHT,
    MARKERS,
    name_model,
    new_figure,
    styled,
)
from mine.sections import ALL
from mine.wording import format_count

LOWEST = -0.3  # what lies below is drawn there, with an arrow

COSTS = {
    "seconds": "Seconds of fitting, with what was tried (k: thousands)",
    "parameters": "Numbers that were fitted (k: thousands, M: millions)",
}
KEY = 4  # entries of the key in a row
MOST_TICKS = 5  # of a logarithmic axis, for whose numbers there is room


@styled
def draw_forms(table: pd.DataFrame) -> Figure:
    """Draw encoders.tsv (mine.stages.comparison.tabulate_forms): the share of the explainable
    variance by region, that against the time of fitting, and its growth with images."""
    score = _choose_score(table)
    forms = list(dict.fromkeys(table["form"]))
    counts = sorted({count for count in table["images"] if count != ALL}, key=int)
    subjects = _list_subjects(table)
    lines = -(-(len(forms) + len(subjects)) // KEY)
    turned = table["roi"].nunique() > FEW_REGIONS
    figure = new_figure(117 + 4 * lines + 10 * turned)
    _write_key(figure, forms, subjects)
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


def _write_key(figure: Figure, forms: list[str], subjects: list[str]) -> None:
    """Write which colour is which form, and which marker is which subject."""
    names = [(*name_model(form), "none") for form in forms]
    names += [(subject, BLACK, MARKERS[n % len(MARKERS)]) for n, subject in enumerate(subjects)]
    handles = [
        Line2D([], [], color=colour, marker=marker, label=name, linewidth=2 * (marker == "none"))
        for name, colour, marker in names
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=KEY, columnspacing=1)


def _choose_score(table: pd.DataFrame) -> str:
    """R² over the noise ceiling, or where there is none R²."""
    normalised = table[table["measure"] == "r2_normalised"]["value"]
    return "r2_normalised" if normalised.notna().any() else "r2"


def _draw_regions(axes: Axes, whole: pd.DataFrame, forms: list[str], score: str) -> None:
    """Each form's mean over subjects in each region, and each subject with its interval."""
    rows = whole[whole["measure"] == score]
    rois = list(dict.fromkeys(rows["roi"]))
    subjects = _list_subjects(rows)
    step = 0.84 / len(forms)
    for place, form in enumerate(forms):
        _, colour = name_model(form)
        own = rows[rows["form"] == form]
        for number, subject in enumerate(subjects):
            each = own[own["subject"] == subject].set_index("roi").reindex(rois)
            spread = (number - (len(subjects) - 1) / 2) * step / (len(subjects) + 1)
            x = np.arange(len(rois)) + (place - (len(forms) - 1) / 2) * step + spread
            _draw_scores(axes, x, each, colour, MARKERS[number % len(MARKERS)])
    for edge in np.arange(len(rois) - 1) + 0.5:
        axes.axvline(edge, color=LIGHT, linewidth=0.5)
    axes.axhline(0, color=GREY, linewidth=0.6)
    if score == "r2_normalised":
        axes.axhline(1, color=BLACK, linestyle="--", linewidth=0.8)
    names = ["all voxels" if roi == ALL else roi for roi in rois]
    axes.set_xticks(range(len(rois)), names, rotation=90 if len(rois) > FEW_REGIONS else 0)
    axes.set(
        xlim=(-0.5, len(rois) - 0.5),
        ylabel=_label(score),
        title="Single subjects, on test images (95% intervals over images)",
    )


def _list_subjects(table: pd.DataFrame) -> list[str]:
    return [subject for subject in dict.fromkeys(table["subject"]) if subject != ALL]


def _draw_scores(
    axes: Axes, x: np.ndarray, rows: pd.DataFrame, colour: str, marker: str, **style: object
) -> None:
    """Draw a subject's scores with their intervals. rows: value, low, high, one for each of x."""
    found = rows["value"].to_numpy(dtype=float)
    value = np.maximum(found, LOWEST)
    low = np.clip(value - rows["low"].to_numpy(dtype=float), 0, value - LOWEST)
    high = np.maximum(rows["high"].to_numpy(dtype=float) - value, 0)
    look = {"fmt": marker, "color": colour, "markersize": 2.2, "elinewidth": 0.5}
    axes.errorbar(x, value, yerr=[low, high], **(look | style))
    _mark_low(axes, x, found, colour)


def _mark_low(axes: Axes, x: np.ndarray, value: np.ndarray, colour: str) -> None:
    """Draw an arrow where a value lies below the axis, at whose end it is drawn."""
    for at in np.flatnonzero(value < LOWEST):
        axes.annotate("▼", (x[at], LOWEST), color=colour, ha="center", va="top")


def _draw_costs(
    axes: Axes, whole: pd.DataFrame, forms: list[str], score: str, *, measure: str
) -> None:
    """The score against what a form cost, or how many numbers it has, in the colours above."""
    x, y = _mean(whole, measure, ""), _mean(whole, score, ALL)
    subjects = _list_subjects(whole)
    for form in forms:
        _, colour = name_model(form)
        cost, value = np.array([x[form]]), np.array([y[form]])
        for subject, own in _each_subject(whole, form, score):
            marker = MARKERS[subjects.index(subject) % len(MARKERS)]
            _draw_scores(axes, cost, own, colour, marker, alpha=0.6)
        style = {"marker": "o", "ms": 4.5, "color": colour, "linestyle": "none", "gid": "mean"}
        axes.plot(cost, np.maximum(value, LOWEST), **style)
        _mark_low(axes, cost, value, colour)
    axes.set(
        xscale="log",
        xlabel=COSTS[measure],
        ylabel=_label(score),
        title=f"All voxels: {_say_mean(whole)}",
    )
    known = [cost for cost in x.values() if cost > 0]
    if known:
        _mark_costs(axes, min(known), max(known))


def _draw_curves(
    axes: Axes, table: pd.DataFrame, forms: list[str], counts: list[str], score: str
) -> None:
    parts = [table[table["images"] == count] for count in counts]
    used = [_mean(part, "training_images", "") for part in parts]
    reached = [_mean(part, score, ALL) for part in parts]
    subjects = _list_subjects(table)
    for form in forms:
        _, colour = name_model(form)
        x, y = (np.array([row[form] for row in rows]) for rows in (used, reached))
        for part, count in zip(parts, x, strict=True):
            for subject, own in _each_subject(part, form, score):
                marker = MARKERS[subjects.index(subject) % len(MARKERS)]
                _draw_scores(axes, np.array([count]), own, colour, marker, alpha=0.6)
        axes.plot(x, np.maximum(y, LOWEST), color=colour, marker="o", ms=3, gid="mean")
        _mark_low(axes, x, y, colour)
    axes.axhline(0, color=GREY, linewidth=0.6)
    ticks = _thin_out(sorted({round(row[form]) for row in used for form in forms}))
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set(
        xlabel="Training images",
        ylabel=_label(score),
        title=f"Growth with images: {_say_mean(table)}",
    )


def _each_subject(rows: pd.DataFrame, form: str, score: str) -> list[tuple[str, pd.DataFrame]]:
    """Each subject with its score of a form over all voxels."""
    own = rows[(rows["form"] == form) & (rows["measure"] == score) & (rows["roi"] == ALL)]
    return [(str(subject), part) for subject, part in own.groupby("subject") if subject != ALL]


def _say_mean(rows: pd.DataFrame) -> str:
    return f"mean over {format_count(len(_list_subjects(rows)), 'subject')}"


def _mark_costs(axes: Axes, low: float, high: float) -> None:
    """Give a logarithmic axis the numbers 1, 2 and 5 of each decade that hold its values between
    them, or of many the decades alone, written out.
    """
    powers = range(int(np.floor(np.log10(low))) - 1, int(np.ceil(np.log10(high))) + 2)
    for parts in ((1, 2, 5), (1,)):
        steps = np.array([part * 10.0**power for power in powers for part in parts])
        first = np.flatnonzero(steps <= low * 0.98)[-1]
        last = np.flatnonzero(steps >= high * 1.02)[0]
        ticks = steps[first : last + 1]
        if len(ticks) <= MOST_TICKS:
            break
    axes.set_xticks(ticks, [_write_size(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(ticks[0], ticks[-1])


def _write_size(value: float) -> str:
    """A round number as it is written on an axis: 0.5, 20, 5k, 2M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:,g}{letter}"
    return f"{value:g}"


def _thin_out(counts: list[int]) -> list[int]:
    """Leave out of rising numbers those whose place on a logarithmic axis is taken."""
    kept = counts[:1]
    for count in counts[1:]:
        if count > 1.2 * kept[-1]:
            kept.append(count)
    return kept


def _mean(rows: pd.DataFrame, measure: str, roi: str) -> dict[str, float]:
    """The mean over subjects of a measure, by form."""
    own = rows[(rows["measure"] == measure) & (rows["roi"] == roi) & (rows["subject"] == ALL)]
    return dict(zip(own["form"], own["value"], strict=True))


def _label(score: str) -> str:
    return "ΣR² / Σ noise ceiling" if score == "r2_normalised" else "Mean R²"
