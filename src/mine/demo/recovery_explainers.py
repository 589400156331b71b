"""Recovery by rival explainers: how much of what was planted each names, on one set of voxels.

:func:`score_explainers` compares one subject's explainers with its truth, a row an explainer and
voxel; :func:`summarise_explainers` turns the rows of all subjects into the table. What counts as
right is what counts for MINE's profiles (mine.demo.recovery).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import xarray as xr

from mine.demo.recovery import (
    CONTROLS,
    TOP_WORDS,
    planted_words,
    score_place,
    score_pointing,
    score_words,
)
from mine.demo.words import BACKGROUNDS, SYNONYMS
from mine.statistics.ceiling import CLEAR_CEILING
from mine.statistics.effects import clustered_mean

MINE = "mine"

MEASURES = (
    "top_word",
    "found_features",
    "true_words",
    "listed_true",
    "second_feature",
    "position_recovered",
    "pointing",
    "pointing_chance",
    "mass_in_mask",
    "mass_in_mask_chance",
)
"""Over the voxels that MINE describes."""

PARTS = {
    "top_word_object": ("top_word", lambda voxels: ~voxels["main"].isin(list(BACKGROUNDS))),
    "top_word_background": ("top_word", lambda voxels: voxels["main"].isin(list(BACKGROUNDS))),
    "second_colour": ("second_feature", lambda voxels: voxels["second"] == "colour"),
    "second_expression": ("second_feature", lambda voxels: voxels["second"] == "expression"),
    "second_object": ("second_feature", lambda voxels: voxels["second"] == "object"),
    "second_background": ("second_feature", lambda voxels: voxels["second"] == "conjunction"),
}
"""The same of some of these voxels: measure, of what, of which."""

COLUMNS = ["explainer", "subject", "roi", "measure", "value", "low", "high", "n"]


def score_explainers(
    truth: xr.Dataset,
    images: xr.Dataset,
    *,
    explained: Mapping[str, xr.Dataset],
    responses: xr.Dataset,
    vocabulary: np.ndarray,
) -> pd.DataFrame:
    """Score the explainers of one subject: a row an explainer and voxel.

    truth: in the responses' order (mine.demo.recovery.match_voxels). images: truth about the
    images. explained: by ROI, datasets of mine.stages.explainers.explain_region. A measure that
    does not apply is missing; shares of one voxel are 0 or 1. ``compared``: whether MINE describes
    the voxel, on which the others are compared too. ``blob``: the hemisphere.
    """
    planted_in = truth[["main", "region", "second_kind", "second_word", "second_place"]].load()
    ceiling, side = responses["noise_ceiling"].values, responses["hemisphere"].values.astype(str)
    rows: list[dict[str, object]] = []
    for roi, stored in explained.items():
        own = stored.load()
        labels = images["label"].sel(image=own["image"].values).values
        scenes = images["scene"].sel(image=own["image"].values).values
        backgrounds = [json.loads(text)["background"] for text in scenes]
        compared = own["described"].sel(explainer=MINE).values
        for explainer in map(str, own["explainer"].values):
            said = own.sel(explainer=explainer)
            maps = own.sel(mapped=explainer) if explainer in own["mapped"] else None
            for place, voxel in enumerate(own["voxel"].values):
                planted = planted_in.isel(voxel=voxel)
                row: dict[str, object] = {
                    "explainer": explainer,
                    "roi": roi,
                    "voxel": int(voxel),
                    "blob": side[voxel],
                    "main": str(planted["main"].values),
                    "second": str(planted["second_kind"].values),
                    "noise_ceiling": float(ceiling[voxel]),
                    "compared": bool(compared[place]),
                    "described": float(said["described"].values[place]),
                }
                if row["main"] in SYNONYMS:
                    word = said["word"].values[place]
                    kept = word >= 0
                    row["words"] = ", ".join(vocabulary[word[kept][:6]])
                    listed = vocabulary[word[kept & said["listed"].values[place]]]
                    row |= _score_words(planted, vocabulary[word[kept]], listed)
                    if maps is not None:
                        row |= _score_maps(planted, maps, place, labels, backgrounds)
                rows.append(row)
    return pd.DataFrame(rows)


def _score_words(
    planted: xr.Dataset, words: np.ndarray, listed: np.ndarray
) -> dict[str, float | str]:
    """The measures of words, those of mine.demo.recovery and, of the first TOP_WORDS, the share
    that is true and the share of the planted features that they name; ``listed_false`` is text."""
    if not len(words):
        # Nothing is said, and so nothing is right.
        words = np.array([""])
    scores = score_words(planted, words, listed)
    first = set(words[:TOP_WORDS])
    main, second = str(planted["main"].values), str(planted["second_word"].values)
    features = [main, second] if second else [main]
    true = planted_words(main, str(planted["region"].values))
    scores["found_features"] = np.mean([bool(SYNONYMS[each] & first) for each in features])
    scores["true_words"] = len(first & true) / TOP_WORDS
    return {
        name: value if isinstance(value, str) else float(value) for name, value in scores.items()
    }


def _score_maps(
    planted: xr.Dataset,
    maps: xr.Dataset,
    voxel: int,
    labels: np.ndarray,
    backgrounds: list[str],
) -> dict[str, float]:
    """The measures of maps, those of mine.demo.recovery."""
    surfaces = maps["position_map"].values
    scores = score_pointing(
        maps["token"].values[voxel],
        maps["relevance"].values[voxel],
        str(planted["main"].values),
        labels,
        backgrounds,
        surfaces.shape[1:],
    )
    if str(planted["second_kind"].values) == "place":
        scores["position_recovered"] = score_place(
            surfaces[voxel], surfaces.mean(axis=0), planted["second_place"].values
        )
    return {name: float(value) for name, value in scores.items()}


# --- the table ---


def summarise_explainers(voxels: pd.DataFrame) -> pd.DataFrame:
    """Rows ``explainer subject roi measure value low high n``, n voxels.

    voxels: rows of :func:`score_explainers` with a column ``subject``. ``described`` and
    ``top_word_all`` (right and described) are over the category voxels with a ceiling of at least
    CLEAR_CEILING, the others over those of them that MINE describes, so that all explainers are
    compared on the same voxels. ``…_minus_mine``: the mean over voxels of an explainer's less
    MINE's. ``roi`` is ``all`` for the category ROIs together, ``V1v`` and ``noise`` for controls.

    Voxels of a region that lie together share their tuning and their noise, so what is left out at
    a time is a blob, a region's part in one hemisphere of a subject, with all its voxels
    (:func:`mine.statistics.effects.clustered_mean`); of few there is no interval.
    """
    rows: list[dict[str, object]] = []
    for subject, roi, measure, values in _collect(voxels):
        for explainer in values.columns:
            found = {measure: values[explainer]}
            if explainer != MINE and MINE in values and not measure.endswith("_chance"):
                found[f"{measure}_minus_mine"] = values[explainer] - values[MINE]
            for name, each in found.items():
                known = each.dropna()
                if known.empty:
                    continue
                blobs = known.index.droplevel("voxel").to_flat_index()
                blobs = np.unique(list(map("/".join, blobs)), return_inverse=True)[1]
                value, low, high = clustered_mean(known.to_numpy(dtype=float), blobs)
                if name == measure:  # a share, or a mean of shares
                    low, high = np.clip((low, high), 0, 1)
                place = (explainer, subject, roi, name)
                rows.append(dict(zip(COLUMNS, (*place, value, low, high, len(known)), strict=True)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _collect(voxels: pd.DataFrame) -> Iterator[tuple[str, str, str, pd.DataFrame]]:
    """Yield subject, ROI, measure and its values, a row a voxel and a column an explainer."""
    order = list(dict.fromkeys(voxels["explainer"]))

    def by_explainer(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
        index = ["subject", "roi", "blob", "voxel"]
        return rows.pivot(index=index, columns="explainer", values=measure).reindex(columns=order)

    voxels = voxels.assign(top_word_all=voxels["top_word"] * voxels["described"])
    for subject, own in [*voxels.groupby("subject"), ("all", voxels)]:
        category = own[own["main"].isin(list(SYNONYMS))]
        able = category[category["noise_ceiling"] >= CLEAR_CEILING]
        parts = {str(roi): part for roi, part in able.groupby("roi")} | {"all": able}
        for roi, part in parts.items():
            for measure in ("described", "top_word_all"):
                yield str(subject), roi, measure, by_explainer(part, measure)
            shown = part[part["compared"]]
            for measure in MEASURES:
                if measure in shown:
                    yield str(subject), roi, measure, by_explainer(shown, measure)
            for measure, (of, choose) in PARTS.items():
                chosen = shown[choose(shown)]
                if of in chosen and len(chosen):
                    yield str(subject), roi, measure, by_explainer(chosen, of)
        for kind, name in CONTROLS.items():
            control = own[own["main"] == kind]
            if len(control):
                yield str(subject), name, "described", by_explainer(control, "described")
