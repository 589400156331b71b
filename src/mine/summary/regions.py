"""The numbers of a summary: a row for each region of a subject."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from mine.core.conditions import REFERENCES
from mine.core.synonyms import gather_listed, name_as_listed
from mine.figures.encoder import has_ceiling
from mine.sections import ALL
from mine.stages.preference import EVIDENCE
from mine.stages.profiles import REASONS, judge_together
from mine.statistics.ceiling import LEAST_CEILING
from mine.statistics.proportions import share_interval

WORDS = 4
# Predictions prefer something even where voxels answer to nothing.
SHOWN = tuple(evidence for evidence in EVIDENCE if evidence != "predicted")
TEXTS = ("roi", "words", *SHOWN)
PICTURED = ("pictures", "pictures_measured")
"""Pictures from the description, by the response to the original that is predicted and measured."""

EDITED = {
    "insertion_other": ("insertion", "other"),
    "insertion": ("insertion", "random"),
    "insertion_unspecific": ("insertion", "unspecific"),
    "removal": ("removal", "random"),
    "removal_unspecific": ("removal", "unspecific"),
}
"""Edits by the description's words, by the control that they are compared with."""


def tabulate_regions(
    by_roi: Mapping[str, Mapping[str, xr.Dataset]],
    scores: xr.Dataset,
    words: np.ndarray,
    group: np.ndarray,
) -> pd.DataFrame:
    """Return a row for each region of a subject, from its stores, and one for all of them together.

    by_roi: region -> ``profiles``, ``preference``, ``structure``, ``sufficiency`` and
    ``counterfactuals`` by name. scores: of the subject. words, group: (word,) the vocabulary and
    its groups of synonyms.

    Columns: see docs/stores.md, Summaries. The last row, of roi ``all``, has voxels, reasons,
    share, scored and tested alone. A voxel of several regions counts once in it: described if any
    region describes it, and tested if any tested it.
    """
    rows: list[dict[str, object]] = [
        {"roi": roi}
        | _count_reasons(stores["profiles"]["reason"].values)
        | _describe_profiles(stores["profiles"], words, group)
        | _score(scores.sel(roi=roi))
        | _tell_structure(stores["preference"], stores["structure"])
        | _tell_causes(stores["sufficiency"], stores["counterfactuals"])
        for roi, stores in by_roi.items()
    ]
    return pd.DataFrame([*rows, {"roi": ALL} | _count_together(by_roi, scores)])


def find_tested(by_roi: Mapping[str, Mapping[str, xr.Dataset]]) -> np.ndarray:
    """The voxels whose words were tested by pictures and edits, each once, ascending. by_roi: of
    :func:`tabulate_regions`."""
    return np.unique(np.concatenate([own["sufficiency"]["voxel"] for own in by_roi.values()]))


def split_regions(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Return the rows of regions, and that of all of them together."""
    together = table["roi"] == ALL
    return table[~together], table[together].iloc[0]


def _count_reasons(reason: np.ndarray) -> dict[str, object]:
    """Count voxels by reason, (voxel,), with the share that is described."""
    counts = {name: int((reason == name).sum()) for name in reversed(REASONS)}
    low, high = share_interval(counts["described"], len(reason))
    share = counts["described"] / len(reason) if len(reason) else np.nan
    found = {"voxels": len(reason), **counts}
    return found | {"share": share, "share_low": low, "share_high": high}


def _count_together(
    by_roi: Mapping[str, Mapping[str, xr.Dataset]], scores: xr.Dataset
) -> dict[str, object]:
    """Count the voxels of all regions, each once; nothing else is known of them together."""
    voxels, passed = judge_together([each["profiles"] for each in by_roi.values()])
    reasons, ceiling = np.array(REASONS)[passed], scores["noise_ceiling"].values[voxels]
    found = _count_reasons(reasons) | dict.fromkeys(TEXTS[1:], "") | {"clusters": 0}
    found["scored"] = int((np.nan_to_num(ceiling) >= LEAST_CEILING).sum())
    return found | {"tested": len(find_tested(by_roi))}


def _describe_profiles(
    profiles: xr.Dataset, words: np.ndarray, group: np.ndarray
) -> dict[str, object]:
    described = profiles["described"].values
    name = name_as_listed([profiles], group)
    listed, counts = np.unique(name[gather_listed(profiles)], return_counts=True)
    most = np.argsort(-counts, kind="stable")[:WORDS]
    reliable = profiles["reliability"].values[described]
    return {
        "reliability": float(np.median(reliable)) if len(reliable) else np.nan,
        "words": ", ".join(f"{words[listed[place]]} ({counts[place]})" for place in most),
    }


def _score(own: xr.Dataset) -> dict[str, object]:
    name = "roi_r2_normalised" if has_ceiling(own) else "roi_r2"
    found = {"scored": int(own["roi_voxels"])}
    found["coverage"] = float(own["roi_coverage"].sel(level=0.95))
    found |= _bound("score", own[name].sel(model="mine"), own[f"{name}_interval"].sel(model="mine"))
    baselines = [str(model) for model in own["model"].values if model != "mine"]
    return found | {model: float(own[name].sel(model=model)) for model in baselines}


def _tell_structure(preference: xr.Dataset, structure: xr.Dataset) -> dict[str, object]:
    found: dict[str, object] = {
        name: str(preference["roi_preferred"].sel(evidence=name).values) for name in SHOWN
    }
    clusters = int(structure.attrs["clusters"])
    mean, p = np.nan, np.nan
    if clusters:
        tuning = structure.sel(source="tuning")
        mean = float(tuning["identification_mean"])
        p = float(tuning["identification_p"].sel(null="shared"))
    return found | {"identification": mean, "identification_p": p, "clusters": clusters}


def _tell_causes(sufficiency: xr.Dataset, counterfactuals: xr.Dataset) -> dict[str, object]:
    own = sufficiency.sel(model="evaluator", control="random")
    found: dict[str, object] = {"tested": sufficiency.sizes["voxel"]}
    for name, prefix in zip(PICTURED, REFERENCES, strict=True):
        mean, d = (own[f"{prefix}roi_{part}"] for part in ("mean", "cohens_dz"))
        found |= _tell_effect(name, mean, d)
    judged = counterfactuals.sel(model="evaluator", guide="description")
    for name, (direction, control) in EDITED.items():
        own = judged.sel(direction=direction, control=control)
        found |= _tell_effect(name, own["effect_roi_mean"], own["effect_roi_cohens_dz"])
    return found


def _tell_effect(name: str, mean: xr.DataArray, d: xr.DataArray) -> dict[str, float]:
    """d and mean of a paired difference, each with its interval."""
    parts = {name: d, f"{name}_mean": mean}
    found = [
        _bound(key, part.sel(bound="value"), part.sel(bound=["low", "high"]))
        for key, part in parts.items()
    ]
    return found[0] | found[1]


def _bound(name: str, value: xr.DataArray, interval: xr.DataArray) -> dict[str, float]:
    low, high = map(float, interval.values)
    return {name: float(value), f"{name}_low": low, f"{name}_high": high}
