"""The causal tests of one subject together: its regions, and all of them as one.

The statistics of a region are those of its stores. Those of all regions are computed from their
pairs of voxel and image, with the image as the unit, since regions share images. They may share
voxels too: there a voxel counts once, as the first region that tested it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
import xarray as xr

from mine.core.conditions import (
    CONTROLS_OF,
    DIRECTIONS,
    EDITS,
    GUIDES,
    MODELS,
    PICTURES,
    REFERENCES,
)
from mine.sections import ALL
from mine.statistics.bootstrap import bootstrap_weights
from mine.statistics.effects import clustered_effect
from mine.statistics.multiple_comparisons import SIGNIFICANT

KEYS = ["panel", "measure", "roi", "voxel", "direction", "guide", "condition", "model"]
COLUMNS = [*KEYS, "value", "low", "high", "n", "images"]

DIFFERENCE = "encoder - evaluator"
"""The model of rows that say by how much the encoder's number is above the evaluator's."""

Stores = Mapping[str, tuple[xr.Dataset, xr.Dataset]]
"""By ROI: sufficiency and counterfactuals."""


def tabulate_causality(
    by_roi: Stores, *, resamples: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Gather the causal tests of all regions of a subject in one table, a row a number.

    Columns: panel, measure, roi, voxel, direction, guide, condition, model, value, low, high, n
    (voxels), images. Where there is no voxel, the row is of all voxels together; ``roi`` is
    ``all`` for those of all regions.

    - sufficiency: ``error`` by condition, of a voxel with the number of its images; ``correlation``
      over a voxel's images of the pictures' response with the originals', of regions the mean over
      voxels; ``advantage`` (the control's error less that of the description's words), its ``d``,
      the ``share`` of voxels in which it is positive and the share in which it is ``significant``
      (q of the store at most 0.05), by control. All of them once more by the measured response to
      the original: ``to_measured_error`` and so on
    - edits: ``effect``, ``d``, ``share`` and ``significant`` by direction, guide and control
    - guidance: ``shift`` by voxel, direction and guide, from images that have both;
      ``guidance``, profile less description, by direction
    - models: ``shift`` of the description's edits by direction and model; ``correlation``
      of the encoder's with the evaluator's, over voxels
    - edit: ``presence_before`` and ``presence_after``, largest probability of the edit's feature
      over tokens; ``outside_similarity``; ``off_target``, |shift| of the voxels of other regions;
      by direction and condition, of all regions as the mean over them

    Rows are of a model, those of correlations between models and of edits excepted. Of means
    (error, advantage, effect, guidance, shift) a third row, of the model ``encoder - evaluator``,
    is their difference, paired over voxels and images.

    The statistics of a region are those of its stores. Intervals, 95%, are from images left out
    (:func:`mine.statistics.effects.clustered_effect`), of correlations from images resampled.
    """
    tested = {roi: pair for roi, pair in by_roi.items() if pair[0].sizes["voxel"]}
    rows: list[dict[str, object]] = []
    rows += _tabulate_sufficiency({roi: pair[0] for roi, pair in tested.items()})
    found = {roi: pair[1] for roi, pair in tested.items() if pair[1].sizes["voxel"]}
    rows += _tabulate_effects(found)
    rows += _tabulate_guidance(found)
    rows += _tabulate_models(found, resamples=resamples, generator=generator)
    rows += _tabulate_taken(found)
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({"voxel": "Int64", "n": "Int64", "images": "Int64"})


def _tabulate_taken(by_roi: Mapping[str, xr.Dataset]) -> list[dict]:
    rows: list[dict] = []
    if not by_roi:
        return rows
    for name in ("presence_before", "presence_after", "outside_similarity", "off_target"):
        for direction, condition in product(DIRECTIONS, EDITS):
            place = {"direction": direction, "condition": condition}
            row = {"panel": "edit", "measure": name} | place
            found = {
                roi: float(data.sel(model="evaluator", **place)[name])
                for roi, data in by_roi.items()
            }
            known = [value for value in found.values() if np.isfinite(value)]
            found[ALL] = np.mean(known) if known else np.nan
            rows += [row | {"roi": roi, "value": value} for roi, value in found.items()]
    return rows


def _tabulate_sufficiency(by_roi: Mapping[str, xr.Dataset]) -> list[dict]:
    rows: list[dict] = []
    image = {roi: data["image"].values for roi, data in by_roi.items()}
    for prefix, condition in product(REFERENCES, PICTURES):
        own = {roi: data.sel(condition=condition) for roi, data in by_roi.items()}
        common = {"panel": "sufficiency", "condition": condition}
        named = common | {"measure": f"{prefix}error"}
        errors = {roi: data[f"{prefix}error"] for roi, data in own.items()}
        for (roi, error), model in product(errors.items(), MODELS):
            values = error.sel(model=model).values
            counts = np.isfinite(values).sum(axis=-1)
            for voxel, mean, count in zip(
                error["voxel"].values, _mean(values), counts, strict=True
            ):
                row = {"roi": roi, "voxel": voxel, "model": model, "value": mean}
                rows.append(named | row | {"images": count})
        rows += _tabulate_means(named, errors, image)
        named = common | {"measure": f"{prefix}correlation"}
        rows += _tabulate_correlations(
            named, {roi: data[f"{prefix}correlation"] for roi, data in own.items()}, image
        )
    for prefix, control in product(REFERENCES, PICTURES[1:]):
        errors = {roi: data[f"{prefix}error"] for roi, data in by_roi.items()}
        advantages = {
            roi: error.sel(condition=control) - error.sel(condition="description")
            for roi, error in errors.items()
        }
        own = {roi: data.sel(control=control) for roi, data in by_roi.items()}
        common = {"panel": "sufficiency", "condition": control}
        rows += _tabulate_contrast(
            "advantage", prefix, common, advantages, own, image, begin=prefix
        )
    return rows


def _tabulate_correlations(
    common: dict, by_roi: Mapping[str, xr.DataArray], image: Mapping[str, np.ndarray]
) -> list[dict]:
    """Rows of correlations over a voxel's images, of voxels and, as their mean, of regions."""
    rows: list[dict] = []
    first = _find_first(by_roi)
    for model in MODELS:
        values = {roi: found.sel(model=model).values for roi, found in by_roi.items()}
        for roi, found in values.items():
            for voxel, value in zip(by_roi[roi]["voxel"].values, found, strict=True):
                rows.append(common | {"roi": roi, "voxel": voxel, "model": model, "value": value})
        for roi, (found, clusters) in _with_all(values, image, first).items():
            known = np.isfinite(found)
            drawn = clusters[known]
            count = {"n": int(known.sum()), "images": len(np.unique(drawn[drawn >= 0]))}
            rows.append(common | {"roi": roi, "model": model, "value": _mean(found)} | count)
    return rows


def _tabulate_effects(by_roi: Mapping[str, xr.Dataset]) -> list[dict]:
    rows: list[dict] = []
    for direction in DIRECTIONS:
        judged = {roi: data.sel(direction=direction) for roi, data in by_roi.items()}
        image = {roi: data["start"].values for roi, data in judged.items()}
        for guide in GUIDES:
            for control in CONTROLS_OF[direction]:
                effects = {
                    roi: data["shift"].sel(condition=guide) - data["shift"].sel(condition=control)
                    for roi, data in judged.items()
                }
                own = {roi: data.sel(guide=guide, control=control) for roi, data in judged.items()}
                common = {"panel": "edits", "direction": direction, "guide": guide}
                common["condition"] = control
                rows += _tabulate_contrast("effect", "effect_", common, effects, own, image)
    return rows


def _tabulate_contrast(
    name: str,
    prefix: str,
    common: dict,
    pairs: Mapping[str, xr.DataArray],
    own: Mapping[str, xr.Dataset],
    image: Mapping[str, np.ndarray],
    *,
    begin: str = "",
) -> list[dict]:
    """Rows of a paired difference: of each region from its store, of all from their pairs.

    prefix, begin: of the names of the store's variables and of the measures. pairs: (model, voxel,
    chosen).
    """
    named = common | {"measure": begin + name}
    rows = _tabulate_means(named, pairs, image, models=(DIFFERENCE,))
    first = _find_first(own)
    for model in MODELS:
        values = {roi: pair.sel(model=model).values for roi, pair in pairs.items()}
        stored = {roi: data.sel(model=model) for roi, data in own.items()}
        significant = {
            roi: data[f"{prefix}q"].values <= SIGNIFICANT for roi, data in stored.items()
        }
        for roi, (difference, clusters) in _with_all(values, image, first).items():
            means = _mean(difference)
            known = np.isfinite(means)
            if roi == ALL:
                mean, effect = clustered_effect(difference.ravel(), clusters.ravel())
                passed = np.concatenate([significant[each][first[each]] for each in own])
            else:
                # The store's: of differences taken before values were rounded to be written.
                parts = ("roi_mean", "roi_cohens_dz")
                mean, effect = (stored[roi][prefix + part].values for part in parts)
                passed = significant[roi]
            measures = {
                name: _bounds(mean),
                "d": _bounds(effect),
                "share": {"value": _share(means[known] > 0)},
                "significant": {"value": _share(passed[known])},
            }
            place = common | {"roi": roi, "model": model} | _count(difference, clusters)
            rows += [place | {"measure": begin + key} | part for key, part in measures.items()]
    return rows


def _tabulate_means(
    common: dict,
    by_roi: Mapping[str, xr.DataArray],
    image: Mapping[str, np.ndarray],
    *,
    models: Sequence[str] = (*MODELS, DIFFERENCE),
) -> list[dict]:
    """Rows of a mean by each of ``models``: each of MODELS, and DIFFERENCE over the same pairs.

    by_roi: (model, voxel, chosen). Of each region and, if there are two, of all of them.
    """
    by_model = {
        model: {roi: values.sel(model=model).values for roi, values in by_roi.items()}
        for model in MODELS
    }
    evaluator, encoder = by_model.values()
    by_model[DIFFERENCE] = {roi: encoder[roi] - evaluator[roi] for roi in by_roi}
    first = _find_first(by_roi)
    rows: list[dict] = []
    for model in models:
        for roi, (pairs, clusters) in _with_all(by_model[model], image, first).items():
            found = clustered_effect(pairs.ravel(), clusters.ravel())[0]
            row = common | {"roi": roi, "model": model}
            rows.append(row | _bounds(found) | _count(pairs, clusters))
    return rows


def _tabulate_guidance(by_roi: Mapping[str, xr.Dataset]) -> list[dict]:
    rows: list[dict] = []
    for direction in DIRECTIONS:
        common = {"panel": "guidance", "direction": direction}
        differences, image = {}, {}
        for roi, data in by_roi.items():
            own = data.sel(direction=direction)
            shifts = own["shift"].sel(condition=list(GUIDES))
            shifts = shifts.where(shifts.notnull().all("condition"))
            one, less = (shifts.sel(condition=guide) for guide in reversed(GUIDES))
            differences[roi], image[roi] = one - less, own["start"].values
            for guide in GUIDES:
                means = _mean(shifts.sel(condition=guide, model="evaluator").values)
                for voxel, mean in zip(data["voxel"].values, means, strict=True):
                    row = {"measure": "shift", "roi": roi, "voxel": voxel, "guide": guide}
                    rows.append(common | row | {"model": "evaluator", "value": mean})
        rows += _of_all(_tabulate_means(common | {"measure": "guidance"}, differences, image))
    return rows


def _of_all(rows: list[dict]) -> list[dict]:
    """Of rows of regions those of all together, which those of an only region are."""
    only = len({row["roi"] for row in rows}) == 1
    return [row | {"roi": ALL} for row in rows if only or row["roi"] == ALL]


def _tabulate_models(
    by_roi: Mapping[str, xr.Dataset], *, resamples: int, generator: np.random.Generator
) -> list[dict]:
    rows: list[dict] = []
    shifts, image, sides = [], [], []
    first = _find_first(by_roi)
    for direction in DIRECTIONS:
        own = {roi: data.sel(direction=direction) for roi, data in by_roi.items()}
        pairs = {roi: data["shift"].sel(condition="description") for roi, data in own.items()}
        starts = {roi: data["start"].values for roi, data in own.items()}
        common = {"panel": "models", "measure": "shift", "direction": direction}
        common["guide"] = "description"
        rows += _of_all(_tabulate_means(common, pairs, starts))
    for roi, data in by_roi.items():
        for direction in DIRECTIONS:
            own = data.sel(direction=direction)
            shift = own["shift"].sel(condition="description").transpose("model", ...)
            for model in MODELS:
                means = _mean(shift.sel(model=model).values)
                for voxel, mean in zip(data["voxel"].values, means, strict=True):
                    row = {"panel": "models", "measure": "shift", "roi": roi, "voxel": voxel}
                    row |= {"direction": direction, "guide": "description", "model": model}
                    rows.append(row | {"value": mean})
            shifts.append(shift.sel(model=list(MODELS)).values[:, first[roi]])
            image.append(own["start"].values[first[roi]])
            sides += [direction] * int(first[roi].sum())
    if not shifts:
        return rows
    values, clusters = np.concatenate(shifts, axis=1), np.concatenate(image)
    # -1 fills the places of voxels with fewer images, and is no image that could be drawn.
    there = clusters >= 0
    known, member = np.unique(clusters[there], return_inverse=True)
    weights = np.zeros((1 + resamples, *clusters.shape))
    weights[0] = there
    if len(known):
        drawn = bootstrap_weights(len(known), resamples=resamples, generator=generator)
        weights[1:, there] = drawn[:, member]
    side = np.array(sides)
    for direction in (*DIRECTIONS, "both"):
        chosen = np.isin(side, list(DIRECTIONS) if direction == "both" else [direction])
        found = _correlate_means(values[:, chosen], weights[:, chosen])
        low, high = np.nanquantile(found[1:], [0.025, 0.975]) if np.isfinite(found[0]) else [0, 0]
        row = {"panel": "models", "measure": "correlation", "roi": ALL, "direction": direction}
        if np.isfinite(found[0]):
            row |= {"value": found[0], "low": low, "high": high}
        rows.append(row | _count(values[0][chosen], clusters[chosen]))
    return rows


def _correlate_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Correlate two models' means over images, weighted, over voxels: (draw,).

    values: (model, voxel, chosen), nan for none. weights: (draw, voxel, chosen).
    """
    known = np.isfinite(values).all(axis=0)
    filled = np.where(known, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = (weights * known).sum(axis=-1)
        means = np.stack([(weights * part).sum(axis=-1) / total for part in filled])
        # A voxel of which no image was drawn has no part in that draw.
        there = np.isfinite(means).all(axis=0)
        count = there.sum(axis=-1)
        means = np.where(there, means, 0.0)
        centred = np.where(there, means - (means.sum(axis=-1) / count)[..., None], 0.0)
        products = (centred[0] * centred[1]).sum(axis=-1)
        result = products / np.sqrt(np.square(centred).sum(axis=-1).prod(axis=0))
    return np.where(count > 2, result, np.nan)


def _with_all(
    values: Mapping[str, np.ndarray],
    image: Mapping[str, np.ndarray],
    first: Mapping[str, np.ndarray],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Values and images (voxel, chosen) of each region and, if there are two, of all of them.

    first: of _find_first, so that of all regions each voxel counts once.
    """
    parts = {roi: (values[roi], image[roi]) for roi in values}
    if len(parts) > 1:
        once = [[part[first[roi]] for part in pair] for roi, pair in parts.items()]
        parts[ALL] = tuple(np.concatenate(part) for part in zip(*once, strict=True))
    return parts


def _find_first(by_roi: Mapping[str, xr.Dataset]) -> dict[str, np.ndarray]:
    """Tell which of a region's voxels no region before it has tested: bool (voxel,), by region."""
    seen: set[int] = set()
    first = {}
    for roi, data in by_roi.items():
        voxels = data["voxel"].values.tolist()
        first[roi] = np.array([voxel not in seen for voxel in voxels], dtype=bool)
        seen.update(voxels)
    return first


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over what is known of the last axis; nan where nothing is."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(axis=-1) / known.sum(axis=-1)


def _share(passed: np.ndarray) -> float:
    return float(passed.mean()) if len(passed) else np.nan


def _bounds(found: np.ndarray) -> dict[str, float]:
    return dict(zip(("value", "low", "high"), map(float, found), strict=True))


def _count(values: np.ndarray, image: np.ndarray) -> dict[str, int]:
    known = np.isfinite(values)
    return {"n": int(known.any(axis=-1).sum()), "images": len(np.unique(image[known]))}
