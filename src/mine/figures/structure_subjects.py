"""Clusters across subjects: do those of one region match, and by which words?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mine.figures.strips import EDGE, INK, format_p, measure_note, write_note
from mine.figures.style import (
    BLACK,
    BLUE,
    GREY,
    HEADING,
    LIGHT,
    VERMILLION,
    add_axes,
    add_text,
    name_region,
    new_figure,
    styled,
)
from mine.sections import ALL
from mine.statistics.multiple_comparisons import SIGNIFICANT
from mine.statistics.subjects import LEAST_SUBJECTS
from mine.wording import format_count

MATCHES = 5  # pairs of words written for a region
NO_WORD = "no word"

# mm
TOP = 15.0
ROW = 11.0  # with up to three lines of words
LINE = 3.4
LABEL = 20.0
AXES = 62.0
NUMBERS = LABEL + AXES + 3
WORDS = NUMBERS + 36.0


def name_matches(table: pd.DataFrame) -> pd.DataFrame:
    """Return pairs of first words of matched clusters: columns roi, words, value, n.

    table: of mine.stages.structure_subjects.compare_structures. value: mean correlation of the n
    matches with these two words, in either order; NO_WORD stands for a cluster without a word, and
    last. The matches of the largest clusters, which have the smallest numbers, come first: an order
    that knows nothing of how well they agree.
    """
    own = table[table["measure"] == "match"]
    ends = own[["word", "other_word"]].replace("", NO_WORD)
    words = [_pair_words(one, other) for one, other in zip(*ends.T.to_numpy(), strict=True)]
    number = (own["cluster"] + own["other_cluster"]).astype(float)
    grouped = own.assign(words=words, number=number).groupby(["roi", "words"], sort=False)
    found = grouped.agg(
        value=("value", "mean"), n=("value", "size"), number=("number", "mean")
    ).reset_index()
    found = found.sort_values(["number", "words"], kind="stable").reset_index(drop=True)
    return found[["roi", "words", "value", "n"]]


@styled
def draw_structure_subjects(table: pd.DataFrame) -> Figure:
    """Draw the table of mine.stages.structure_subjects.compare_structures."""
    compared = table[table["measure"] == "matched"]
    rois = [roi for roi in compared["roi"].unique() if roi != ALL]
    if not rois:
        figure = new_figure(16, layout=None)
        add_text(figure, EDGE, 3, "Clusters across subjects", fontsize=HEADING, weight="bold")
        add_text(figure, EDGE, 9, "No region has clusters in two subjects.")
        return figure
    shown = [*rois, ALL]
    matches = name_matches(table)
    row_height = max(ROW, LINE * _count_lines(matches) + 2)
    height = row_height * len(shown)
    several = (
        len(compared.loc[compared["subject"] != ALL, ["subject", "other"]].drop_duplicates()) > 1
    )
    note = _write_caption(table, several)
    figure = new_figure(TOP + height + 11 + measure_note(note), layout=None)
    add_text(figure, EDGE, 2, "a", fontsize=HEADING + 1, weight="bold")
    add_text(figure, EDGE + 4, 2.2, "Do clusters of one region match?", fontsize=HEADING)
    add_text(figure, WORDS, 2, "b", fontsize=HEADING + 1, weight="bold")
    add_text(figure, WORDS + 4, 2.2, "First words of matched clusters", fontsize=HEADING)
    said = f"mean (chance), p ≤ {SIGNIFICANT}" if several else "value (chance)"
    add_text(figure, NUMBERS, TOP - 5, said, color=INK)
    said = "correlation, pairs of subjects" if several else "correlation"
    add_text(figure, WORDS + 4, TOP - 5, said, color=INK)
    legend = (("matched", BLUE, 0), ("other regions", VERMILLION, 16), ("chance", INK, 37))
    for text, colour, right in legend:
        add_text(figure, LABEL + right, TOP - 5, text, color=colour, weight="bold")
    axes = add_axes(figure, LABEL, TOP, AXES, height)
    for place, roi in enumerate(shown):
        own = table[table["roi"] == roi]
        _draw_region(axes, place, own, several)
        top = TOP + row_height * place
        add_text(figure, EDGE, top + row_height / 2 - 1.3, name_region(roi), weight="bold")
        _write_numbers(figure, top + row_height / 2 - 1.3, own, several)
        _write_words(figure, top + 0.6, matches[matches["roi"] == roi], several)
    for edge in range(1, len(shown)):
        axes.axhline(edge, color=LIGHT, linewidth=0.5)
    axes.axvline(0, color=BLACK, linewidth=0.6, zorder=0)
    drawn = table.loc[table["measure"].isin(["matched", "null", "mismatched"]), ["value", "low"]]
    axes.set(ylim=(len(shown), 0), yticks=[], xlim=(min(drawn.min().min() - 0.05, -0.05), 1.03))
    axes.set_xlabel("Mean correlation of matched clusters over words")
    axes.spines["left"].set_visible(False)
    write_note(figure, TOP + height + 11, note)
    return figure


def _write_caption(table: pd.DataFrame, several: bool) -> str:
    """What stands beneath the figure. several: whether there are pairs of subjects to average."""
    subjects = table.loc[table["subject"] != ALL, "subject"].nunique()
    means = (
        "bars their mean, with a 95% interval over subjects (jackknife) where there are "
        f"{LEAST_SUBJECTS} or more, unless all are equal; "
        if several
        else ""
    )
    return (
        f"{format_count(subjects, 'subject')}. a: points are pairs of subjects, filled where "
        f"p ≤ {SIGNIFICANT}, open where not or not tested; {means}chance: the clusters of one "
        "subject's voxels exchanged among them, the middle 95% of the draws of each pair and, as a "
        "line, their mean. p, the share of draws that reach the point, is of one side: of a point "
        "just inside the upper edge it can be small. Other regions: the region with all others of "
        "the other subject. A region is compared where both subjects have clusters. b: clusters "
        f"that are matched, whether or not they agree, the largest first; at most {MATCHES} pairs "
        f"of words for a region. {NO_WORD.capitalize()}: none tells the cluster from the rest."
    )


def _draw_region(axes: Axes, place: int, own: pd.DataFrame, several: bool) -> None:
    pairs = own[own["subject"] != ALL].set_index("measure")
    mean = own[own["subject"] == ALL].set_index("measure")
    null = pairs.loc[["null"]] if "null" in pairs.index else pairs.iloc[:0]
    for _, row in null.dropna(subset=["low"]).iterrows():
        axes.fill_between([row["low"], row["high"]], place + 0.12, place + 0.88, color=LIGHT)
    for measure, colour, line in (("matched", BLUE, 0.35), ("mismatched", VERMILLION, 0.68)):
        if measure not in pairs.index:
            continue
        rows = pairs.loc[[measure]]
        sure = rows["p"] <= SIGNIFICANT
        for marked, face in ((rows[sure], colour), (rows[~sure], "white")):
            style = {"markerfacecolor": face, "markeredgecolor": colour, "markeredgewidth": 0.8}
            axes.plot(marked["value"], [place + line] * len(marked), "o", markersize=3.4, **style)
        if not several:
            continue
        summary = mean.loc[measure]
        axes.plot(summary["value"], place + line, "|", color=colour, markersize=8)
        if np.isfinite(summary["low"]):
            ends = [summary["low"], summary["high"]]
            axes.plot(ends, [place + line] * 2, color=colour, linewidth=0.9)
    if "null" in mean.index:
        axes.plot(mean.loc["null", "value"], place + 0.35, "|", color=GREY, markersize=8)


def _write_numbers(figure: Figure, top: float, own: pd.DataFrame, several: bool) -> None:
    mean = own[own["subject"] == ALL].set_index("measure")["value"]
    text = f"{mean['matched']:.2f} ({mean['null']:.2f})".replace("-", "−")
    p = own.loc[(own["measure"] == "matched") & (own["subject"] != ALL), "p"].dropna()
    if len(p) and several:
        text += f", {(p <= SIGNIFICANT).sum()} of {len(p)}"
    elif len(p):
        draws = own.loc[(own["measure"] == "null") & (own["subject"] != ALL), "n"].iloc[0]
        text += f", p {format_p(p.iloc[0], draws=draws)}"
    add_text(figure, NUMBERS, top, text, gid="number")


def _write_words(figure: Figure, top: float, matches: pd.DataFrame, several: bool) -> None:
    if len(matches) > MATCHES:
        text = f"{MATCHES} of {len(matches)} shown"
        add_text(figure, WORDS + 4, top + LINE * MATCHES, text, color=INK)
    for rank, row in enumerate(matches.head(MATCHES).itertuples()):
        text = f"{row.words} {row.value:.2f}".replace(" -", " −")
        if several:
            text += f", {row.n}"
        elif row.n > 1:
            text += f", mean of {row.n}"
        add_text(figure, WORDS + 4, top + LINE * rank, text, gid="number")


def _pair_words(one: str, other: str) -> str:
    """Both words in one order, once where they are the same."""
    if one == other:
        return one
    return " – ".join(sorted((one, other), key=lambda word: (word == NO_WORD, word)))


def _count_lines(matches: pd.DataFrame) -> int:
    """Lines that the words of any region take, with the one that says how many are shown."""
    most = matches.groupby("roi").size().max()
    return min(most, MATCHES) + int(most > MATCHES)
