"""Recovery of causes: the causal tests of all regions and subjects in a few numbers.

:func:`tabulate_pairs` lists every paired difference of one region; :func:`summarise_causality`
turns those of all subjects into shares of voxels, effect sizes and correlations with exact
counterfactuals. All are the evaluator's.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from mine.core.conditions import DIRECTIONS, REFERENCES
from mine.demo.words import CONCEPTS
from mine.statistics.bootstrap import bootstrap_weights, interval
from mine.statistics.effects import clustered_effect
from mine.statistics.proportions import share_interval
from mine.statistics.scores import pearson_of_means, pearson_terms

SUFFICIENCY = ("random", "lowest", "empty")
"""What pictures from a description are compared with: those from other words, and from none."""

COMPARED = {
    f"sufficiency_{middle}": prefix
    for prefix, middle in zip(REFERENCES, ("", "measured_"), strict=True)
}
"""How measures of pictures begin, and names in the store: of errors to the predicted and to the
measured response to the original."""

SHIFTED = {
    "": ("description", "random"),
    "_profile": ("profile", "random"),
    "_other": ("description", "other"),
    "_unspecific": ("description", "unspecific"),
}
"""Edits that are compared, by the end of a measure's name: whose shift, less whose."""


def _name_shifts(measure: str) -> dict[str, str]:
    """Rows of edits, such as insertion_d_other, and the comparison of each: insertion_other."""
    return {
        f"{direction}_{measure}{compared}": direction + compared
        for direction in DIRECTIONS
        for compared in SHIFTED
    }


def _name_pictures(measure: str) -> dict[str, str]:
    """Rows of pictures, such as sufficiency_d_random, and the comparison: sufficiency_random."""
    return {
        f"{begin}{measure}_{control}": begin + control
        for begin in COMPARED
        for control in SUFFICIENCY
    }


SHARES = _name_pictures("beats") | _name_shifts("expected")
EFFECTS = _name_pictures("d") | _name_shifts("d")
GUIDED = "profile_minus_description"
MEANS = _name_shifts("effect") | {GUIDED: GUIDED}


def tabulate_pairs(
    sufficiency: xr.Dataset, counterfactuals: xr.Dataset, main: np.ndarray
) -> pd.DataFrame:
    """List the paired differences of one region: ``measure voxel image difference``.

    main: (voxel of the subject,), planted main features; voxels without one in words are left out.
    Of the sufficiency: error of the control less that of the description, to the predicted and to
    the measured response. Of the counterfactuals: shift of one edit less that of another (SHIFTED).
    """
    judged = sufficiency.sel(model="evaluator")
    shift = counterfactuals["shift"].sel(model="evaluator", drop=True)
    start = counterfactuals["start"]
    parts = []
    for begin, prefix in COMPARED.items():
        error = judged[f"{prefix}error"]
        own = error.sel(condition="description", drop=True)
        for control in SUFFICIENCY:
            difference = error.sel(condition=control, drop=True) - own
            parts.append(_list_pairs(begin + control, difference, sufficiency["image"]))
    for direction in DIRECTIONS:
        edits = shift.sel(direction=direction, drop=True)
        pairs = {direction + compared: pair for compared, pair in SHIFTED.items()}
        pairs[GUIDED] = ("profile", "description")
        for measure, (one, less) in pairs.items():
            difference = edits.sel(condition=one, drop=True) - edits.sel(condition=less, drop=True)
            parts.append(_list_pairs(measure, difference, start.sel(direction=direction)))
    table = pd.concat(parts, ignore_index=True)
    return table[np.isin(main[table["voxel"]], list(CONCEPTS))].reset_index(drop=True)


def _list_pairs(measure: str, difference: xr.DataArray, image: xr.DataArray) -> pd.DataFrame:
    known = np.isfinite(difference.values)
    voxel = np.broadcast_to(difference["voxel"].values[:, None], known.shape)
    return pd.DataFrame(
        {
            "measure": measure,
            "voxel": voxel[known],
            "image": image.values[known],
            "difference": difference.values[known],
        }
    )


def summarise_causality(
    pairs: pd.DataFrame,
    edits: pd.DataFrame,
    *,
    resamples: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Rows ``measure subject roi value low high n`` for each subject and region and all together.

    pairs: of :func:`tabulate_pairs`, edits: of mine.demo.counterfactuals.compare_edits, both with
    columns subject and roi. Shares are over voxels with Wilson intervals; effect sizes and means
    over (voxel, image) with images left out, correlations and slopes with images resampled; n is
    the number of voxels, or of edits.
    """
    rows: list[tuple] = []
    for subject, roi, own in _groups(pairs):
        by_measure = dict(tuple(own.groupby("measure")))
        for measure, source in SHARES.items():
            if source in by_measure:
                better = by_measure[source].groupby(["subject", "voxel"])["difference"].mean() > 0
                low, high = share_interval(better.sum(), len(better))
                rows.append((measure, subject, roi, better.mean(), low, high, len(better)))
        for row, table in enumerate((MEANS, EFFECTS)):
            for measure, source in table.items():
                if source in by_measure:
                    part = by_measure[source]
                    found = clustered_effect(
                        part["difference"].to_numpy(), part["image"].to_numpy()
                    )
                    voxels = len(part.groupby(["subject", "voxel"]))
                    rows.append((measure, subject, roi, *found[row], voxels))
    for subject, roi, own in _groups(edits):
        # Of both directions at once r is high if only they differ: each has its own rows too.
        parts = {f"_{direction}": part for direction, part in own.groupby("direction")}
        for suffix, part in ({"": own} | parts).items():
            for measure, draws in compare_edit_responses(part, resamples, generator).items():
                known = draws[1:][np.isfinite(draws[1:])]
                bounds = interval(known) if len(known) else (np.nan, np.nan)
                rows.append((measure + suffix, subject, roi, draws[0], *bounds, len(part)))
    columns = ["measure", "subject", "roi", "value", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


def _groups(table: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Each subject and region with its rows, each subject's regions together, and all together."""
    parts = [
        (str(subject), str(roi), own) for (subject, roi), own in table.groupby(["subject", "roi"])
    ]
    parts += [(str(subject), "all", own) for subject, own in table.groupby("subject")]
    return [*parts, ("all", "all", table)] if len(table) else []


def compare_edit_responses(
    edits: pd.DataFrame, resamples: int, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Correlation and slope of the generator's edits with their exact counterparts: (draw,) each,
    of the edits as they are and then of those of images drawn with replacement."""
    images, member = np.unique(edits["image"], return_inverse=True)
    weights = bootstrap_weights(len(images), resamples=resamples, generator=generator)
    weights = np.concatenate([np.full((1, len(images)), 1 / len(images)), weights])

    def average(first: str, second: str) -> list[np.ndarray]:
        """Weighted means over edits of the terms of a correlation."""
        pairs = edits[first].to_numpy(), edits[second].to_numpy()
        terms = np.stack([np.ones(len(edits)), *pearson_terms(*pairs)])
        sums = np.stack([np.bincount(member, weights=term) for term in terms])
        count, *totals = sums @ weights.T
        return [total / count for total in totals]

    exact = average("exact", "change")
    x, y, xx, _, xy = exact
    variance = xx - np.square(x)
    slope = np.where(variance > 0, (xy - x * y) / np.where(variance > 0, variance, 1), np.nan)
    return {
        "exact_correlation": pearson_of_means(*exact),
        "exact_slope": slope,
        "planted_correlation": pearson_of_means(*average("planted", "change")),
    }
