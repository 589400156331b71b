"""The words of rival explainers beside MINE's, for the voxels of one region."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mine.explainers.dense_relevance import average_maps, average_tokens, map_relevance
from mine.explainers.interface import Explanation, Material
from mine.explainers.rivals import RIVALS

MINE = "mine"


def explain_region(
    material: Material,
    profiles: xr.Dataset,
    attributions: xr.Dataset,
    dense: np.ndarray,
) -> xr.Dataset:
    """Ask every rival for the words of a region's voxels, and put MINE's profile beside them.

    material: what the rivals are given, of the training images. profiles: the region's, with as
    many words as are asked of each. attributions: MINE's, of the test images. dense: denoised
    tokens of the same images, (image, token, feature).

    Returns

    - word int32, score float32, listed bool (explainer, voxel, rank): words best first, each group
      of near-synonyms once; -1 where an explainer has no more. Scores of different explainers have
      different units. listed: whether its own test is sure of the word; only ``mine`` and
      ``caption_correlation`` have one
    - described bool (explainer, voxel): whether it says anything of the voxel; an explainer
      without a test does of every voxel
    - token int16, relevance float32 (mapped, voxel, image, place): where in test images ``mine``
      and ``dense_relevance`` see what raises a voxel's prediction, strongest first; -1: no more
    - position_map float32 (mapped, voxel, row, column): share of that at each place
    """
    positive = profiles.sel(sign="positive")
    count = positive.sizes["rank"]
    found = {MINE: (positive["word"].values, positive["z"].values, positive["listed"].values)}
    described = {MINE: profiles["described"].values}
    for name, explain in RIVALS.items():
        explanation = explain(material)
        found[name] = rank_words(explanation, count)
        sure = explanation.sure
        described[name] = (found[name][0][:, 0] >= 0) if sure is None else sure.any(axis=1)
    own = attributions.sel(sign="positive")
    centre = average_tokens(material.dense)
    token, relevance = map_relevance(material.weight, dense, centre, kept=own.sizes["rank"])
    rows, columns = positive.sizes["row"], positive.sizes["column"]
    place = average_maps(material.weight, material.dense, centre)
    place = place / np.maximum(place.sum(axis=1, keepdims=True), 1e-12)
    word, score, listed = (np.stack(each) for each in zip(*found.values(), strict=True))
    ranked, mapped = ("explainer", "voxel", "rank"), ("mapped", "voxel", "image", "place")
    return xr.Dataset(
        {
            "word": (
                ranked,
                word.astype(np.int32),
                {"long_name": "index into the vocabulary; -1: no more"},
            ),
            "score": (
                ranked,
                score.astype(np.float32),
                {"long_name": "the explainer's own score of the word"},
            ),
            "listed": (ranked, listed, {"long_name": "whether its own test is sure of the word"}),
            "described": (
                ranked[:2],
                np.stack(list(described.values())),
                {"long_name": "whether it says anything of the voxel"},
            ),
            "token": (
                mapped,
                np.stack([own["token"].values, token]),
                {"long_name": "token's index, row-major; -1: no more"},
            ),
            "relevance": (
                mapped,
                np.stack([own["attribution"].values, relevance]),
                {"long_name": "what it adds to the prediction, as the explainer has it"},
            ),
            "position_map": (
                ("mapped", "voxel", "row", "column"),
                np.stack(
                    [positive["position_map"].values, place.reshape(-1, rows, columns)]
                ).astype(np.float32),
                {"long_name": "share of the relevance above zero at each place"},
            ),
        },
        coords={
            "explainer": list(found),
            "mapped": [MINE, "dense_relevance"],
            "voxel": profiles["voxel"].values,
            "image": own["image"].values,
        },
    )


def rank_words(explanation: Explanation, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first words of an explanation, their scores and whether they are sure: (voxel, rank).

    Words that are sure come first, each part by falling score.
    """
    score = explanation.score
    sure = np.zeros(score.shape, dtype=bool) if explanation.sure is None else explanation.sure
    order = np.lexsort((-score, ~sure))[:, :count]
    named = np.ones(score.shape, dtype=bool) if explanation.named is None else explanation.named
    word, said, listed, known = (
        np.take_along_axis(np.asarray(each), order, axis=1)
        for each in (explanation.name, score, sure, named)
    )
    return np.where(known, word, -1), said, listed
