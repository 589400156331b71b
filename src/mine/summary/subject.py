"""The summary of one subject: what was found, how sure it is, what was left out and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mine.figures.style import name_model
from mine.figures.voxels import WITHHELD
from mine.statistics.ceiling import LEAST_CEILING
from mine.statistics.multiple_comparisons import SIGNIFICANT
from mine.summary.page import Page
from mine.summary.regions import SHOWN, split_regions
from mine.summary.texts import (
    NONE,
    join,
    name_above,
    name_where,
    write_interval,
    write_number,
    write_share,
)
from mine.wording import format_count

UNTESTED = "nothing was tested"
"""Why of a causal test nothing is known, if no region has any."""


def summarise_subject(
    table: pd.DataFrame,
    *,
    name: str,
    responses: xr.Dataset,
    rois: xr.Dataset,
    evaluator_r2: np.ndarray,
    level: float,
    least_voxels: int,
) -> Page:
    """Say what was found in a subject.

    table: of :func:`mine.summary.regions.tabulate_regions`. responses, rois: stores of the
    subject. evaluator_r2: (voxel,), on test images, of the voxels whose words were tested. level:
    of words, false discovery rate in attributions and p of measured responses. least_voxels:
    described voxels that a region needs for its structure to be measured.
    """
    regions, together = split_regions(table)
    of_ceiling = bool(np.isfinite(responses["noise_ceiling"].values).any())
    images = pd.Series(responses["split"].values).value_counts()
    score = "R² / ceiling" if of_ceiling else "R²"
    columns = ["region", "voxels", score, "described", "words (voxels)"]
    columns += ["by words", "by responses", "by localiser", "told apart", "clusters"]
    columns += ["pictures, d", "insertion, d", "removal, d"]
    return Page(
        title=f"What was found in {responses.attrs['subject']}",
        subtitle=(
            f"{name}: {responses.attrs['dataset']}, {responses.sizes['voxel']:,} voxels, "
            f"{images.get('training', 0):,} training and {images.get('test', 0):,} test images"
        ),
        columns=columns,
        rows=[_write_row(row) for _, row in table.iterrows()],
        note=(
            f"{score}: on test images, with 95% intervals over images. Described: share of the "
            "voxels with Wilson's 95% interval; of all regions each voxel counts once. Words: with "
            "how many voxels list them or a synonym. By words, responses, localiser: the category "
            "that the region prefers. Told apart: identification of all voxels by their measured "
            "tuning, chance 0.5. d: mean over standard deviation of paired differences to words of "
            "random tokens, by the evaluator, with 95% intervals over images, given the evaluator; "
            "it has no scale, so that a sure effect may be a small one. Other controls, and sizes "
            "in standard deviations of the response (sd), are below. A dash: not measured."
        ),
        sections={
            "What was found": _say_found(regions, together),
            "How sure it is": _say_sure(
                regions, together, evaluator_r2, level=level, of_ceiling=of_ceiling
            ),
            "What was left out, and why": _say_left_out(
                regions, together, responses, rois, least_voxels=least_voxels
            ),
        },
    )


def _write_row(row: pd.Series) -> list[str]:
    clusters = {0: NONE, 1: "none"}.get(row["clusters"], str(row["clusters"]))
    preferred = [row[name] or NONE for name in SHOWN]
    return [
        row["roi"],
        str(row["voxels"]),
        write_interval(row, "score"),
        write_share(row),
        row["words"] or NONE,
        *preferred,
        write_number(row["identification"]),
        clusters,
        *(write_interval(row, name, 1) for name in ("pictures", "insertion", "removal")),
    ]


def _say_found(table: pd.DataFrame, together: pd.Series) -> list[str]:
    described, voxels = together["described"], together["voxels"]
    agree = name_where(
        table, lambda row: bool(row["profile"]) and row["profile"] == row["measured"]
    )
    differ = name_where(
        table,
        lambda row: bool(row["profile"] and row["measured"]) and row["profile"] != row["measured"],
    )
    silent = name_where(table, lambda row: not row["profile"])
    unmoved = name_where(table, lambda row: bool(row["profile"]) and not row["measured"])
    apart = name_where(table, lambda row: row["identification_p"] <= SIGNIFICANT)
    clustered = name_where(table, lambda row: row["clusters"] > 1)
    measured = int((table["clusters"] > 0).sum())
    inserted = np.isfinite(table["insertion_mean"]).any()
    other = "no other category has a word of the vocabulary" if inserted else UNTESTED
    return [
        f"{described:,} of {format_count(voxels, 'voxel', ',')} in "
        f"{format_count(len(table), 'region')} are described: by a first word that is "
        "significant in the attributions, and by words that all add to measured responses.",
        f"Words and measured responses prefer the same category in {join(agree)}; different ones "
        f"in {join(differ)}. No category by words: {join(silent)}; by words alone: "
        f"{join(unmoved)}.",
        f"Voxels are told apart beyond one tuning that all share (p ≤ {SIGNIFICANT}) in "
        f"{len(apart)} of {format_count(measured, 'region')} where this could be asked "
        f"({join(apart)}); they fall "
        f"into clusters in {join(clustered)}.",
        "Pictures made from a description come nearer to the original's response than pictures "
        f"from random tokens' words by {_say_effect(table, 'pictures')}; nearer to the response "
        f"that was measured by {_say_effect(table, 'pictures_measured')}.",
        "Putting the described feature into an image raises the response more than a word of "
        f"another category by {_say_effect(table, 'insertion_other', other)}; than words of random "
        f"tokens by {_say_effect(table, 'insertion')}; than the same patches painted anew without "
        f"words by {_say_effect(table, 'insertion_unspecific')}.",
        "Taking it out lowers the response more than taking out what random tokens show by "
        f"{_say_effect(table, 'removal')}; than the same patches painted over without naming it by "
        f"{_say_effect(table, 'removal_unspecific')}.",
        "These are medians over regions by the evaluator, in standard deviations of the response "
        "(d: mean over standard deviation of the differences); above zero is the interval of a "
        "region's mean over images.",
    ]


def _say_effect(table: pd.DataFrame, name: str, why_not: str = UNTESTED) -> str:
    """Say how large an effect is, and in which regions its interval is above zero; why_not: why it
    may be known of none."""
    if not np.isfinite(table[f"{name}_mean"]).any():
        return f"an amount that is not known ({why_not})"
    mean, d = (write_number(table[key].median()) for key in (f"{name}_mean", name))
    return f"{mean} sd (d {d}), above zero {name_above(table, f'{name}_mean')}"


def _say_sure(
    table: pd.DataFrame,
    together: pd.Series,
    evaluator_r2: np.ndarray,
    *,
    level: float,
    of_ceiling: bool,
) -> list[str]:
    known = table[np.isfinite(table["score"])]
    others = [name for name in ("ridge", "caption", "banded") if name in table]
    rivals = ", ".join(
        f"{write_number(known[name].median())} ({name_model(name)[0]})" for name in others
    )
    unit = "of the noise ceiling" if of_ceiling else "of the variance (there is no noise ceiling)"
    reliable = table["reliability"].dropna()
    tested = int(together["tested"])
    return [
        f"Of held-out test images the encoder explains {write_number(known['score'].median())} "
        f"{unit}, median over regions"
        + (f"; baselines on the same images {rivals}. " if rivals else ". ")
        + "The 95% intervals that it predicts of responses hold "
        f"{_say_span(table['coverage'])} of them, by region.",
        "The first word of a voxel is significant in the attributions (false discovery rate "
        f"{level:g} over words); every listed word adds to measured responses, p ≤ {level:g} "
        "corrected over the words offered. The test responses have no part in them. Profiles of "
        "two encoders, each fitted to and read on its own half of the images, correlate at "
        f"{write_number(reliable.median())} (median of the regions' medians over described "
        "voxels)."
        if len(reliable)
        else "No voxel is described, so nothing is said of words.",
        f"Pictures and edits were made for {format_count(tested, 'voxel', ',')} and judged by an "
        "encoder of another model, fitted to the other half of the images, which had no part in "
        "choosing the words; which voxels are described was asked of both halves. "
        f"{_say_range(evaluator_r2)}"
        if tested
        else "No pictures or edits were made.",
        "Intervals over images say what other images would give in this subject. They say nothing "
        "of other people, and of neighbouring voxels none is an independent witness.",
    ]


def _say_span(shares: pd.Series) -> str:
    """The least and the largest of some shares, one number where they are written alike."""
    ends = (f"{shares.min():.0%}", f"{shares.max():.0%}")
    return " to ".join(dict.fromkeys(ends))


def _say_range(evaluator_r2: np.ndarray) -> str:
    if not len(evaluator_r2):
        return ""
    low, median, high = map(write_number, np.quantile(evaluator_r2, [0, 0.5, 1]))
    return (
        f"Its R² on test images is {median} in these voxels, their median, between {low} and "
        f"{high}. Intervals and p of pictures and edits take it as it is fitted: its predictions "
        "have no noise of measurement, so that a sure effect may be next to nothing; its size in "
        "sd says how much it is."
    )


def _say_left_out(
    table: pd.DataFrame,
    together: pd.Series,
    responses: xr.Dataset,
    rois: xr.Dataset,
    *,
    least_voxels: int,
) -> list[str]:
    attributes: dict[str, Any] = responses.attrs
    said = [
        f"{format_count(together[reason], 'voxel', ',')}, “{reason}”: {why}."
        for reason, why in WITHHELD.items()
        if together[reason]
    ]
    said += [
        f"Region {roi}: {why}."
        for roi, why in zip(rois.attrs["absent"], rois.attrs["absent_reason"], strict=True)
    ]
    unasked = name_where(table, lambda row: row["clusters"] == 0)
    if unasked:
        said.append(
            f"Structure of {join(unasked)}: fewer than {least_voxels} of the voxels are described."
        )
    untested = name_where(table, lambda row: row["tested"] == 0)
    if untested:
        said.append(f"Pictures and edits of {join(untested)}: no voxel's words could be tested.")
    unscored = int(together["voxels"] - together["scored"])
    if unscored and np.isfinite(responses["noise_ceiling"].values).any():
        said.append(
            f"R² over the ceiling of {format_count(unscored, 'voxel', ',')} whose ceiling is below "
            f"{LEAST_CEILING:g}, where the ratio is noise."
        )
    counts: Mapping[str, str] = {
        "voxels_invalid": "{:,} of the selected voxels: no usable response.",
        "voxels_too_noisy": "{:,} of the selected voxels: noisier than was asked for.",
        "images_left_out": "{:,} images: shared, but not shown often enough to be test images.",
    }
    said += [
        text.format(attributes[key]) for key, text in counts.items() if attributes.get(key, 0) > 0
    ]
    recorded, used = attributes.get("sessions_recorded"), attributes.get("sessions")
    if recorded is not None and used is not None and used < recorded:
        said.append(f"{recorded - used} of {recorded} sessions: not asked for or not there.")
    return said or ["Nothing."]
