"""Recovery: how much of what was planted in the demo was found, as recovery.tsv has it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mine.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    HEADING,
    LIGHT,
    MARKERS,
    MODELS,
    SIZE,
    VERMILLION,
    error_lengths,
    new_figure,
    styled,
)

FALSE_RATE = 0.05  # what the false discovery rate promises of voxels that have no profile

FOUND = (
    ("described", "all", "described"),
    ("top_word", "all", "top word right"),
    ("top_word_all", "all", "top word right, of all voxels"),
    ("top_word_ridge", "all", "top word right, ridge weights read out"),
    ("second_feature", "all", "second feature among four words"),
    ("second_feature_listed", "all", "second feature among listed words"),
    ("listed_true", "all", "listed words that are true"),
    ("suppressed_word", "all", "suppressed word among four"),
    ("position_recovered", "all", "preferred place found"),
    ("pointing", "all", "top token on the feature (pointing)"),
    ("mass_in_mask", "all", "attribution on the feature"),
    ("roi_preference_profile", "all", "region's category right, by words"),
    ("roi_preference_response", "all", "region's category right, by responses"),
    ("preferred_auc", "all", "responses to planted category (AUC)"),
    ("identification", "all", "identification within regions"),
    ("identification_share", "all", "the same, of what planted responses reach"),
    ("cluster_ari", "all", "clusters as planted (adjusted Rand)"),
    ("sufficiency_beats_random", "all", "picture from words beats random tokens'"),
    ("sufficiency_measured_beats_random", "all", "the same, by measured responses"),
    ("sufficiency_beats_lowest", "all", "picture from words beats lowest tokens'"),
    ("sufficiency_measured_beats_lowest", "all", "the same, by measured responses"),
    ("insertion_expected_other", "all", "insertion beats another category"),
    ("insertion_expected", "all", "insertion beats random tokens' words"),
    ("removal_expected", "all", "removal beats random tokens' words"),
)
FALSE = (
    ("described", "noise", "described: noise voxels"),
    ("described", "V1v", "described: contrast voxels (V1v)"),
    ("described_random_encoder", "all", "described: untrained encoder"),
    ("identification_unstructured", "OPA", "identification: OPA, without structure"),
    ("clusters_found_unstructured", "OPA", "clusters reported: OPA, without structure"),
)
EFFECTS = (
    ("sufficiency_d_random", "all", "words against random tokens' (d)"),
    ("sufficiency_measured_d_random", "all", "the same, by measured responses (d)"),
    ("sufficiency_d_lowest", "all", "words against lowest tokens' (d)"),
    ("sufficiency_measured_d_lowest", "all", "the same, by measured responses (d)"),
    ("insertion_d_other", "all", "insertion against another category (d)"),
    ("insertion_d", "all", "insertion against random tokens' (d)"),
    ("insertion_d_unspecific", "all", "insertion against no words (d)"),
    ("removal_d", "all", "removal against random tokens' (d)"),
    ("removal_d_unspecific", "all", "removal against not naming it (d)"),
    ("exact_correlation_insertion", "all", "insertions with exact ones (r)"),
    ("exact_correlation_removal", "all", "removals with exact ones (r)"),
    ("planted_correlation", "all", "edits with planted responses (r)"),
    ("profile_minus_description", "all", "profile less description (sd)"),
)
FIRST = ("exact_correlation_insertion", "profile_minus_description")  # of each other unit than d
# Shares of so few that they are written as counts.
COUNTED = ("roi_preference_profile", "roi_preference_response", "clusters_found_unstructured")
EVEN = 0.5  # the share of voxels, or of pairs of images, above a control that is as good
HALVES = ("preferred_auc", "identification", "identification_unstructured")  # by chance, too
CHANCE = {"pointing": "pointing_chance", "mass_in_mask": "mass_in_mask_chance"}
SCORE = "r2_normalised_"
# mm
LINE = 3.35  # for each measure
REGION = 5.8  # for each region's scores
MODEL = 1.1  # for each model's, where there are many
TEXT = 0.74  # where across the axes numbers are written


def select_drawn(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of recovery.tsv that the figure shows."""
    entries = {entry[:2] for entry in (*FOUND, *FALSE, *EFFECTS)}
    entries |= {(CHANCE[measure], roi) for measure, roi in entries if measure in CHANCE}
    scores = {SCORE + model for model in MODELS if model != "banded"}
    measured = zip(table["measure"], table["roi"], strict=True)
    shown = [entry in entries or entry[0] in scores for entry in measured]
    return table[shown].reset_index(drop=True)


@styled
def draw_recovery(table: pd.DataFrame) -> Figure:
    """Draw recovery.tsv: measure, subject, roi, value, low, high, n. Subject ``all`` is filled."""
    found = [entry for entry in (*FOUND, *FALSE) if len(_rows(table, *entry[:2]))]
    effects = [entry for entry in EFFECTS if len(_rows(table, *entry[:2]))]
    models = [
        name for name in MODELS if len(table[table["measure"] == SCORE + name]) and name != "banded"
    ]
    scores = table[table["measure"].isin([SCORE + name for name in models])]
    rois = [*sorted(set(scores["roi"]) - {"all"}), *(["all"] if len(scores) else [])]
    heights = [
        15 + LINE * len(found),
        21 + max(REGION, MODEL * (len(models) + 1)) * max(len(rois), 1),
    ]
    if effects:
        heights.insert(1, 15 + LINE * len(effects))
    figure = new_figure(sum(heights))
    parts = figure.subfigures(len(heights), 1, height_ratios=heights)
    upper, *middle, lower = parts
    for part, letter in zip(parts, "abc", strict=False):
        part.text(0.01, 0.99, letter, va="top", fontsize=HEADING + 1, weight="bold")
    _draw_found(upper.subplots(), table, found)
    for part in middle:
        _draw_effects(part.subplots(), table, effects)
    subjects = sorted(scores["subject"].unique()) or ["all"]
    panels = lower.subplots(1, len(subjects), sharex=True, squeeze=False)[0]
    for axes, subject in zip(panels, subjects, strict=True):
        _draw_scores(axes, scores[scores["subject"] == subject], models, rois)
        axes.set_title(subject)
    if models:
        handles, labels = panels[0].get_legend_handles_labels()
        lower.legend(handles, labels, loc="outside lower center", ncols=len(models))
    return figure


def _rows(table: pd.DataFrame, measure: str, roi: str) -> pd.DataFrame:
    return table[(table["measure"] == measure) & (table["roi"] == roi)].set_index("subject")


def _draw_found(axes: Axes, table: pd.DataFrame, found: list[tuple[str, str, str]]) -> None:
    false = {entry[:2] for entry in FALSE}
    colours = [VERMILLION if entry[:2] in false else BLUE for entry in found]
    _draw_rows(axes, table, found, colours)
    for place, (measure, roi, _) in enumerate(found):
        chance = _rows(table, CHANCE[measure], roi)["value"] if measure in CHANCE else pd.Series()
        if (measure, roi) in false:
            chance = pd.Series({"all": FALSE_RATE})
        if "_beats_" in measure or "_expected" in measure or measure in HALVES:
            chance = pd.Series({"all": EVEN})
        if "all" in chance.index:
            axes.plot([chance["all"]] * 2, [place - 0.45, place + 0.5], color=BLACK, linestyle="--")
    axes.set(xlim=(-0.02, -0.02 + 1.06 / TEXT), xticks=np.linspace(0, 1, 6))
    text = "Share of n voxels (regions), or mean over them, with 95% interval"
    axes.set_xlabel(text, loc="left")
    axes.set_title(
        "Filled: all subjects; open: each subject. Dashed: chance, or the rate that is promised "
        "for voxels without a profile (5%)",
        fontsize=SIZE,
        loc="right",
    )


def _draw_effects(axes: Axes, table: pd.DataFrame, effects: list[tuple[str, str, str]]) -> None:
    _draw_rows(axes, table, effects, [GREEN] * len(effects))
    axes.set_title("Causal tests, as the evaluator judges them", fontsize=SIZE, loc="left")
    axes.axvline(0, color=BLACK, linestyle="--", linewidth=0.8)
    low, high = axes.get_xlim()
    low, high = min(low, -0.1), max(high, 1.05)
    axes.set_xlim(low, low + (high - low) / TEXT)
    axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick <= high])
    axes.set_xlim(low, low + (high - low) / TEXT)
    for place, (measure, *_) in enumerate(effects):
        if place and measure in FIRST:
            axes.axhline(place - 0.4, color=GREY, linewidth=0.8)
    text = (
        "d: mean / sd of paired differences, over n voxels; r: correlation over n edits of voxels"
    )
    axes.set_xlabel(text, loc="left")


def _draw_rows(
    axes: Axes, table: pd.DataFrame, entries: list[tuple[str, str, str]], colours: list[str]
) -> None:
    """Draw a row for each measure: all subjects and each, with the numbers beside."""
    subjects = [name for name in table["subject"].unique() if name != "all"]
    for place, ((measure, roi, _), colour) in enumerate(zip(entries, colours, strict=True)):
        rows = _rows(table, measure, roi)
        for number, subject in enumerate(["all", *subjects]):
            if subject not in rows.index:
                continue
            row = rows.loc[subject]
            pooled = subject == "all"
            shift = 0 if pooled else 0.2 * (1 + (number - 1) % 2)
            axes.errorbar(
                row["value"],
                place + shift,
                xerr=error_lengths(row),
                fmt="o" if pooled else MARKERS[number % len(MARKERS)],
                color=colour,
                markerfacecolor=colour if pooled else "white",
                markersize=4.5 if pooled else 3,
                elinewidth=1.1 if pooled else 0.6,
                markeredgewidth=0.7,
                zorder=3 if pooled else 2,
                label="_",
            )
        if "all" in rows.index:
            row = rows.loc["all"]
            known = np.isfinite([row["low"], row["high"]]).all()
            within = f" [{row['low']:.2f}, {row['high']:.2f}]" if known else ""
            text = f"{row['value']:.2f}{within}   n = {row['n']:.0f}"
            if measure in COUNTED:
                text = f"{row['value'] * row['n']:.0f} of {row['n']:.0f} regions"
            text = text.replace("-", "−")
            axes.text(TEXT, place, text, va="center", transform=axes.get_yaxis_transform())
    for edge in range(1, len(entries)):
        axes.axhline(edge - 0.4, color=LIGHT, linewidth=0.5)
    axes.set_yticks(range(len(entries)), [name for _, _, name in entries])
    axes.set_ylim(len(entries) - 0.4, -0.6)


def _draw_scores(axes: Axes, scores: pd.DataFrame, models: list[str], rois: list[str]) -> None:
    step = 0.8 / max(len(models), 1)
    for number, model in enumerate(models):
        name, colour = MODELS[model]
        rows = scores[scores["measure"] == SCORE + model].set_index("roi").reindex(rois)
        y = np.arange(len(rois)) + (number - (len(models) - 1) / 2) * step
        axes.errorbar(
            rows["value"],
            y,
            xerr=error_lengths(rows),
            fmt=MARKERS[number],
            color=colour,
            markersize=3,
            elinewidth=0.8,
            label=name,
        )
    counts = scores.groupby("roi")["n"].first().reindex(rois)
    labels = [f"{roi} (n = {count:.0f})" for roi, count in counts.items()]
    for edge in range(1, len(rois)):
        axes.axhline(edge - 0.5, color=LIGHT, linewidth=0.5)
    axes.axvline(1, color=GREY, linestyle="--", linewidth=0.8)
    axes.set_yticks(range(len(rois)), labels)
    axes.set(ylim=(max(len(rois), 1) - 0.5, -0.5), xlabel="ΣR² / Σ noise ceiling, 95% interval")
