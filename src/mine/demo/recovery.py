"""Recovery: how much of what was planted the pipeline found. The only reader of the truth.

:func:`score_voxels` compares one subject's results with its truth, a row a voxel; :func:`summarise`
turns the rows of all subjects into shares and means with intervals. What counts as right is fixed
here and in :mod:`mine.demo.words`, and read by nothing else.
"""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import xarray as xr
from scipy import ndimage, stats

from mine.demo.words import BACKGROUNDS, CATEGORIES, SYNONYMS

TOP_WORDS = 4  # a second feature or a suppressed word counts if it is among the first four
LEAST_CEILING = 0.3
POINT_SHARE = 0.25  # the top token points at an object if a quarter of its patch shows it
PLACE_DISTANCE = 0.25  # a place is found if the map's peak is this near, in image sides
CONTROLS = {"contrast": "V1v", "": "noise"}  # planted kind → its row in the table


def match_voxels(truth: xr.Dataset, responses: xr.Dataset) -> xr.Dataset:
    """Return the truth in the order of the responses' voxels, matched by their place in the
    volume.""" row_of = {tuple(place): row for row, place in enumerate(truth["ijk"].values.tolist())}
    return truth.isel(voxel=[row_of[tuple(place)] for place in responses["ijk"].values.tolist()])


def score_voxels(
    truth: xr.Dataset,
    images: xr.Dataset,
    *,
    profiles: dict[str, xr.Dataset],
    controls: dict[str, xr.Dataset],
    attributions: dict[str, xr.Dataset],
    noise_ceiling: np.ndarray,
    ridge_words: np.ndarray,
    vocabulary: np.ndarray,
    test: np.ndarray,
    grid: tuple[int, int],
) -> pd.DataFrame:
    """Score the voxels of one subject.

    truth: in the responses' order (:func:`match_voxels`). images: truth about the images. profiles,
    controls, attributions: by ROI; controls are the profiles of untrained encoders. noise_ceiling,
    ridge_words: (voxel,), measured ceiling and index of the ridge weights' best word. test:
    (image,) nsdIds on which pointing is measured. grid: rows and columns of tokens. Returns one row
    a voxel of an ROI; a measure that does not apply is missing.
    """
    labels = images["label"].sel(image=test).values
    backgrounds = [
        json.loads(text)["background"] for text in images["scene"].sel(image=test).values
    ]
    rows = []
    for roi, profile in profiles.items():
        attribution = attributions[roi].sel(image=test)
        maps = profile["position_map"].values
        mean_map = maps.mean(axis=0)
        for place, voxel in enumerate(profile["voxel"].values):
            planted = truth.isel(voxel=voxel)
            main = str(planted["main"].values)
            words = {
                sign: vocabulary[profile["word"].sel(sign=sign).values[place]]
                for sign in ("positive", "negative")
            }
            row: dict[str, object] = {
                "roi": roi,
                "voxel": int(voxel),
                "main": main,
                "second": str(planted["second_kind"].values),
                "noise_ceiling": float(noise_ceiling[voxel]),
                "described": bool(profile["described"].values[place]),
                "reason": str(profile["reason"].values[place]),
                "described_random_encoder": bool(controls[roi]["described"].values[place]),
                "words": ", ".join(words["positive"][:6]),
                "suppressed_words": ", ".join(words["negative"][:TOP_WORDS]),
            }
            if main in SYNONYMS:
                row |= _score_words(planted, main, words)
                row["top_word_ridge"] = str(vocabulary[ridge_words[voxel]]) in SYNONYMS[main]
                row |= _score_pointing(
                    attribution.isel(voxel=place), main, labels, backgrounds, grid
                )
                if str(planted["second_kind"].values) == "place":
                    peak = find_peak(maps[place] / np.maximum(mean_map, 1e-9))
                    distance = np.hypot(*(peak - planted["second_place"].values))
                    row["position_recovered"] = bool(distance <= PLACE_DISTANCE)
            rows.append(row)
    return pd.DataFrame(rows)


def _score_words(planted: xr.Dataset, main: str, words: dict[str, np.ndarray]) -> dict[str, object]:
    scores: dict[str, object] = {"top_word": str(words["positive"][0]) in SYNONYMS[main]}
    second, suppressed = str(planted["second_word"].values), str(planted["suppressed"].values)
    if second:
        scores["second_feature"] = bool(SYNONYMS[second] & set(words["positive"][:TOP_WORDS]))
    if suppressed:
        scores["suppressed_word"] = bool(SYNONYMS[suppressed] & set(words["negative"][:TOP_WORDS]))
    return scores


def _score_pointing(
    attribution: xr.Dataset,
    main: str,
    labels: np.ndarray,
    backgrounds: list[str],
    grid: tuple[int, int],
) -> dict[str, object]:
    """Mean over the test images that show the main feature: does the top token lie on it?"""
    if main in BACKGROUNDS:
        masks, shown = labels == 0, np.array([name == main for name in backgrounds])
    else:
        masks = labels == 1 + list(CATEGORIES).index(main)
        shown = masks.any(axis=(1, 2))
    share = patch_shares(masks[shown], grid)
    token = attribution["token"].sel(sign="positive").values[shown].astype(np.int64)
    weight = np.where(token >= 0, attribution["attribution"].sel(sign="positive").values[shown], 0)
    on_mask = np.take_along_axis(share, np.maximum(token, 0), axis=1)
    hit = (on_mask[:, 0] >= POINT_SHARE) & (token[:, 0] >= 0)
    mass = (weight * on_mask).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
    return {
        "pointing": float(hit.mean()),
        "pointing_chance": float((share >= POINT_SHARE).mean()),
        "mass_in_mask": float(mass.mean()),
        "mass_in_mask_chance": float(share.mean()),
    }


def patch_shares(masks: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Return the share of each patch that a mask covers: bool (image, row, column) → (image,
    token).""" rows, columns = grid
    images, height, width = masks.shape
    blocks = masks.reshape(images, rows, height // rows, columns, width // columns)
    return blocks.mean(axis=(2, 4)).reshape(images, rows * columns)


def find_peak(surface: np.ndarray) -> np.ndarray:
    """Return the place of a map's maximum after slight smoothing: (row, column) as fractions."""
    smooth = ndimage.gaussian_filter(surface, sigma=1.0, mode="nearest")
    place = np.array(np.unravel_index(np.argmax(smooth), surface.shape))
    return (place + 0.5) / np.array(surface.shape)


# --- the table
# -------------------------------------------------------------------------------------------

SHARES = (
    "top_word",
    "top_word_ridge",
    "second_feature",
    "position_recovered",
    "suppressed_word",
)
MEANS = ("pointing", "pointing_chance", "mass_in_mask", "mass_in_mask_chance")


def summarise(
    voxels: pd.DataFrame, scores: pd.DataFrame, *, resamples: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Return the recovery table: ``measure subject roi value low high n``.

    voxels: rows of :func:`score_voxels` with a column ``subject``. scores: rows of
    ``measure subject roi value low high n`` for the encoders, appended as they are. Shares are over
    described category voxels with a ceiling of at least 0.3, with Wilson intervals; ``described``
    and ``top_word_all`` are over all of these, described or not; means have bootstrap intervals
    over voxels. ``roi`` is ``all`` for the category ROIs together, ``V1v`` and ``noise`` for the
    controls.
    """
    rows: list[dict[str, object]] = []

    def add(measure: str, subject: str, roi: str, values: pd.Series, *, share: bool) -> None:
        array = values.dropna().to_numpy(dtype=float)
        if len(array):
            low, high = (
                wilson_interval(array.sum(), len(array))
                if share
                else mean_interval(array, resamples, generator)
            )
            rows.append(
                {
                    "measure": measure,
                    "subject": subject,
                    "roi": roi,
                    "value": array.mean(),
                    "low": low,
                    "high": high,
                    "n": len(array),
                }
            )

    category = voxels["main"].isin(list(SYNONYMS))
    for subject, own in [*voxels.groupby("subject"), ("all", voxels)]:
        parts = {str(roi): part for roi, part in own[category].groupby("roi")}
        parts["all"] = own[category]
        for roi, part in parts.items():
            able = part[part["noise_ceiling"] >= LEAST_CEILING]
            shown = able[able["described"]]
            add("described", str(subject), roi, able["described"], share=True)
            add("described_any_ceiling", str(subject), roi, part["described"], share=True)
            right = (able["top_word"].fillna(False) & able["described"]).astype(float)
            add("top_word_all", str(subject), roi, right, share=True)
            random = part["described_random_encoder"]
            add("described_random_encoder", str(subject), roi, random, share=True)
            for measure in SHARES:
                if measure in shown:
                    add(measure, str(subject), roi, shown[measure], share=True)
            for measure in MEANS:
                add(measure, str(subject), roi, shown[measure], share=False)
        for kind, name in CONTROLS.items():
            part = own[own["main"] == kind]
            add("described", str(subject), name, part["described"], share=True)
            random = part["described_random_encoder"]
            add("described_random_encoder", str(subject), name, random, share=True)
            if kind == "contrast":
                add("retinotopic", str(subject), name, part["reason"] == "retinotopic", share=True)
    return pd.concat([pd.DataFrame(rows), scores], ignore_index=True)


def wilson_interval(successes: float, count: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion."""
    z = stats.norm.ppf(0.5 + level / 2)
    share = successes / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return float(centre - half), float(centre + half)


def mean_interval(
    values: np.ndarray, resamples: int, generator: np.random.Generator
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over voxels."""
    draws = generator.choice(values, size=(resamples, len(values))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)
