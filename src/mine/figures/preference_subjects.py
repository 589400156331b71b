"""Category preference of regions across subjects: which category, by what evidence, in how many."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mine.figures.preference import (
    ASIDE,
    COLOURS,
    FEW,
    UNKNOWN,
    format_value,
    measure_labels,
    say_why_not_compared,
    write_reason,
)
from mine.figures.strips import EDGE, INK, write_note, write_panel_title
from mine.figures.style import (
    BLACK,
    BLUE,
    GREY,
    LIGHT,
    WIDTH,
    add_axes,
    add_text,
    new_figure,
    styled,
)
from mine.sections import ALL
from mine.stages.preference_subjects import LEAST_VOXELS, count_voxels
from mine.statistics.subjects import LEAST_SUBJECTS
from mine.wording import format_count

LABELS = {
    "profile": "words",
    "predicted": "predicted",
    "measured": "measured",
    "localiser": "localiser",
}
MAPS = {
    "profile": "Words: voxels (%)",
    "measured": "Measured: voxels (%)",
    "localiser": "Localiser: voxels (%)",
}

# mm
GAP = 3.0
CELL = 8.0
TOP = 11.0
NAMES = 15.0  # of the categories, beneath the maps
LOWER = 9.0
PANEL = 36.0
FOOT = 35.0


def select_drawn(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of mine.stages.preference_subjects.summarise_subjects that the figure shows."""
    shown = {f"{kind}_{evidence}" for kind in ("share", "prefers") for evidence in MAPS}
    shown |= {"above_t", "above_t_shuffled", "described"}
    agree = table["measure"].str.startswith("agreement_") & (table["roi"] == ALL)
    enough = table["threshold"].isna() | (table["subject"] == ALL) | (table["n"] >= LEAST_VOXELS)
    return table[(table["measure"].isin(shown) | agree) & enough].reset_index(drop=True)


@styled
def draw_preference_subjects(table: pd.DataFrame) -> Figure:
    """Draw the table of mine.stages.preference_subjects.summarise_subjects.

    The maps are the confusion of regions with categories: row by row, the share of a region's
    voxels that prefer each category, mean over subjects, by three kinds of evidence.
    """
    table = select_drawn(table)
    rois = [roi for roi in table["roi"].unique() if roi != ALL]
    subjects = [name for name in table["subject"].unique() if name != ALL]
    height = CELL * len(rois)
    lower = TOP + height + NAMES
    figure = new_figure(lower + LOWER + PANEL + FOOT, layout=None)
    described, voxels = count_voxels(table)
    counts = {roi: f"{described[roi]}/{voxels[roi]}" for roi in rois}
    label = measure_labels(counts)
    width = (WIDTH - EDGE - label - GAP * len(MAPS)) / len(MAPS)
    for place, (roi, text) in enumerate(counts.items()):
        where = TOP + CELL * (place + 0.5) - 1.3
        add_text(figure, EDGE, where, roi, weight="bold")
        add_text(figure, label - ASIDE, where, text, color=INK, ha="right")
    add_text(figure, label - ASIDE, TOP - 3.2, "described/voxels", color=INK, ha="right")
    for place, (letter, evidence) in enumerate(zip("abc", MAPS, strict=True)):
        left = label + place * (width + GAP)
        write_panel_title(figure, left, 2, letter, MAPS[evidence])
        _draw_map(add_axes(figure, left, TOP, width, height), table, rois, evidence)
    _draw_thresholds(figure, lower, table, subjects)
    _draw_agreement(figure, lower, table)
    write_note(
        figure,
        lower + LOWER + PANEL + 13,
        f"{format_count(len(subjects), 'subject')}, the unit of all means; voxels are counted over "
        "all. a–c: share of a region's voxels that prefer the category (a: of the described ones; "
        f"grey: of fewer than {LEAST_VOXELS}), mean over subjects; beneath, in how many of the "
        "subjects for whom it is known the region as a whole prefers it, which may be another than "
        "most of its voxels do. d: described voxels of all regions whose words prefer the category "
        f"of the localiser's largest t; means over subjects with {LEAST_VOXELS} of them, up to the "
        "threshold at which the first has fewer; dashed: profiles exchanged among them. e: share "
        "of regions for which two kinds of evidence prefer the same category, of those with a "
        "preference by both, counted beside. Small: single subjects. Intervals over subjects "
        "(Student's 95%) where there are "
        f"{LEAST_SUBJECTS} or more, unless all are equal.",
    )
    return figure


def _pivot(table: pd.DataFrame, measure: str, column: str, rois: list[str]) -> pd.DataFrame:
    """A column of the means of one measure: by region and category, in the table's order."""
    categories = [name for name in table["category"].unique() if name]
    rows = table[(table["measure"] == measure) & (table["subject"] == ALL)]
    wide = rows.pivot(index="roi", columns="category", values=column)
    return wide.reindex(index=rois, columns=categories).astype(float)


def _draw_map(axes: Axes, table: pd.DataFrame, rois: list[str], evidence: str) -> None:
    share = _pivot(table, f"share_{evidence}", "value", rois)
    preferring = _pivot(table, f"prefers_{evidence}", "value", rois).to_numpy()
    known = _pivot(table, f"prefers_{evidence}", "n", rois).to_numpy()
    if share.empty:
        write_reason(axes, "nothing known of any category")
        return
    shade = colormaps[COLOURS](0.5 + share.to_numpy() / 2)
    unknown = np.isnan(share.to_numpy())
    if evidence == "profile":
        shade[count_voxels(table)[0].reindex(rois).to_numpy() < LEAST_VOXELS] = FEW
    shade[unknown] = UNKNOWN
    axes.imshow(shade, aspect="auto", interpolation="nearest")
    for (row, column), value in np.ndenumerate(share.to_numpy()):
        dark = shade[row, column, :3] @ (0.299, 0.587, 0.114) < 0.5
        style = {"ha": "center", "va": "center", "color": "white" if dark else BLACK}
        count = preferring[row, column] * known[row, column]
        below = count > 0
        text = "–" if unknown[row, column] else format_value(value, "{:.0%}")
        axes.text(column, row - 0.2 * below, text, gid="number", **style)
        if below:
            text = f"{count:.0f}/{known[row, column]:.0f}"
            axes.text(column, row + 0.22, text, gid="number", weight="bold", **style)
    axes.set_xticks(range(share.shape[1]), share.columns, rotation=45, ha="right")
    axes.tick_params(axis="x", length=0, pad=1)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _draw_thresholds(figure: Figure, top: float, table: pd.DataFrame, subjects: list[str]) -> None:
    write_panel_title(figure, EDGE, top, "d", "Words and localiser")
    axes = add_axes(figure, 16, top + LOWER, 62, PANEL)
    axes.set(
        xlabel="Voxels with a localiser's t of at least",
        ylabel="Share whose words prefer\nthe localiser's category",
        ylim=(0, 1.02),
    )
    rows = table[table["measure"] == "above_t"].sort_values("threshold")
    mean = rows[rows["subject"] == ALL]
    # A mean over fewer subjects than before would bend where one of them ends.
    mean = mean[mean["n"] == mean["n"].max()]
    if mean.empty:
        localised = (table["measure"] == "share_localiser").any()
        write_reason(axes, say_why_not_compared(bool(localised)))
        return
    for subject in subjects:
        own = rows[rows["subject"] == subject]
        axes.plot(own["threshold"], own["value"], color=GREY, linewidth=0.7)
    if mean["low"].notna().any():
        axes.fill_between(
            mean["threshold"], mean["low"], mean["high"], color=LIGHT, linewidth=0, zorder=0
        )
    axes.plot(mean["threshold"], mean["value"], color=BLUE, linewidth=1.6)
    expected = table[(table["measure"] == "above_t_shuffled") & (table["subject"] == ALL)]
    expected = expected[expected["n"] == expected["n"].max()].sort_values("threshold")
    axes.plot(expected["threshold"], expected["value"], color=BLACK, linestyle="--", linewidth=0.8)
    text = f"n = {format_count(mean['n'].iloc[0], 'subject')}"
    axes.text(0, 1.04, text, va="bottom", color=INK, gid="number")
    axes.set_xlim(0, max(rows["threshold"].max(), 1))


def _draw_agreement(figure: Figure, top: float, table: pd.DataFrame) -> None:
    left = 88.0
    write_panel_title(
        figure, left, top, "e", "Do regions prefer the same by two kinds of evidence?"
    )
    axes = add_axes(figure, left + 36, top + LOWER, WIDTH - left - 36 - 31, PANEL)
    rows = table[table["measure"].str.startswith("agreement_")]
    names = list(rows["measure"].unique())
    if not names:
        write_reason(axes, "no region with a preference by two")
    for place, name in enumerate(names):
        own = rows[rows["measure"] == name].set_index("subject")
        values = own.loc[own.index != ALL, "value"]
        spread = np.linspace(-0.14, 0.14, len(values)) if len(values) > 1 else [0.0]
        axes.plot(values, place + np.array(spread), "o", color=GREY, markersize=2.6)
        mean = own.loc[ALL]
        if np.isfinite(mean["low"]):
            axes.plot([mean["low"], mean["high"]], [place] * 2, color=BLUE, linewidth=1.0)
        axes.plot(mean["value"], place, "|", color=BLUE, markersize=9, markeredgewidth=1.8)
        regions = sorted({int(count) for count in own.loc[values.index, "n"]})
        counted = format_count(regions[-1], "region")
        counted = f"{regions[0]}–{counted}" if len(regions) > 1 else counted
        text = f"{mean['value']:.2f}, n = {mean['n']:.0f}, {counted}"
        # Beside the axes, where no point can lie.
        axes.text(
            1.05, place, text, va="center", gid="number", transform=axes.get_yaxis_transform()
        )
    pairs = [name.removeprefix("agreement_").split("_") for name in names]
    labels = [" – ".join(LABELS[kind] for kind in pair) for pair in pairs]
    axes.set_yticks(range(len(names)), labels)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(-0.03, 1.03), xlabel="Share of regions")
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
