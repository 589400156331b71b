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
from scipy import ndimage

from mine.demo.planting import FORMS, REGIONS
from mine.demo.scenes import token_shares
from mine.demo.words import BACKGROUNDS, CATEGORIES, HYPERNYMS, SYNONYMS
from mine.statistics.bootstrap import bootstrap_mean
from mine.statistics.ceiling import CLEAR_CEILING
from mine.statistics.proportions import share_interval

TOP_WORDS = 4  # a second feature or a suppressed word counts if it is among the first four
POINT_SHARE = 0.25  # the top token points at an object if a quarter of its patch shows it
PLACE_DISTANCE = 0.25  # a place is found if the map's peak is this near, in image sides
COLOURS_LIST = "colours"  # the list of the demo's configuration whose words are scored
CONTROLS = {"contrast": "V1v", "": "noise"}  # planted kind → its row in the table
SHARES = (
    "top_word",
    "top_word_ridge",
    "second_feature",
    "second_feature_listed",
    "list_colour_true",
    "list_colour_listed",
    "list_colour_false",
    "position_recovered",
    "suppressed_word",
)
MEANS = ("listed_true", "pointing", "pointing_chance", "mass_in_mask", "mass_in_mask_chance")
VOXEL_COLUMNS = (
    *("roi", "voxel", "main", "second", "noise_ceiling", "described", "reason"),
    *("described_random_encoder", "words", "suppressed_words", "listed", "listed_false"),
    *("list_colour", *SHARES, *MEANS),
)
"""Of the table of voxels, whatever measures apply to any of them."""


def match_voxels(truth: xr.Dataset, responses: xr.Dataset) -> xr.Dataset:
    """Return the truth in the order of the responses' voxels, matched by their place in the
    volume.
    """
    row_of = {tuple(place): row for row, place in enumerate(truth["ijk"].values.tolist())}
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
    a voxel of an ROI with all of VOXEL_COLUMNS; a measure that does not apply is missing.
    """
    labels = images["label"].sel(image=test).values
    backgrounds = [
        json.loads(text)["background"] for text in images["scene"].sel(image=test).values
    ]
    rows = []
    planted_in = truth[
        ["main", "region", "second_kind", "second_word", "second_place", "suppressed"]
    ]
    planted_in = planted_in.load()
    for roi, profile in profiles.items():
        profile = profile.load()
        attribution = attributions[roi].sel(image=test).load()
        maps = profile["position_map"].values
        mean_map = maps.mean(axis=0)
        for place, voxel in enumerate(profile["voxel"].values):
            planted = planted_in.isel(voxel=voxel)
            main = str(planted["main"].values)
            words = {
                sign: vocabulary[profile["word"].sel(sign=sign).values[place]]
                for sign in ("positive", "negative")
            }
            listed = words["positive"][profile["listed"].sel(sign="positive").values[place]]
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
                row |= score_words(planted, words["positive"], listed)
                if COLOURS_LIST in profile.get("list", ()):
                    own = profile.sel(list=COLOURS_LIST).isel(voxel=place)
                    sure = bool(own["list_listed"])
                    row |= score_colour(planted, vocabulary[own["list_word"]] if sure else "")
                if suppressed := str(planted["suppressed"].values):
                    found = SYNONYMS[suppressed] & set(words["negative"][:TOP_WORDS])
                    row["suppressed_word"] = bool(found)
                row["top_word_ridge"] = str(vocabulary[ridge_words[voxel]]) in SYNONYMS[main]
                ranked = attribution.isel(voxel=place).sel(sign="positive")
                row |= score_pointing(
                    ranked["token"].values,
                    ranked["attribution"].values,
                    main,
                    labels,
                    backgrounds,
                    grid,
                )
                if str(planted["second_kind"].values) == "place":
                    row["position_recovered"] = score_place(
                        maps[place], mean_map, planted["second_place"].values
                    )
            rows.append(row)
    return pd.DataFrame(rows, columns=list(VOXEL_COLUMNS))


def score_words(planted: xr.Dataset, words: np.ndarray, listed: np.ndarray) -> dict[str, object]:
    """What is right about the words of one voxel: by measure, those that apply.

    planted: the voxel's ``main``, ``region`` and ``second_word``. words: best first. listed: those
    that are sure.
    """
    main, second = str(planted["main"].values), str(planted["second_word"].values)
    scores: dict[str, object] = {"top_word": str(words[0]) in SYNONYMS[main]}
    if len(listed):
        true = planted_words(main, str(planted["region"].values))
        is_true = np.isin(listed, list(true))
        scores |= {"listed_true": float(is_true.mean()), "listed": len(listed)}
        scores["listed_false"] = ", ".join(listed[~is_true])
    if second:
        scores["second_feature"] = bool(SYNONYMS[second] & set(words[:TOP_WORDS]))
        scores["second_feature_listed"] = bool(SYNONYMS[second] & set(listed))
    return scores


def score_colour(planted: xr.Dataset, colour: str) -> dict[str, object]:
    """What is right about a voxel's word of the list of colours: by measure, those that apply.

    planted: the voxel's ``second_kind`` and ``second_word``. colour: empty if none is sure.
    """
    scores: dict[str, object] = {"list_colour": str(colour)}
    if str(planted["second_kind"].values) != "colour":
        return scores | {"list_colour_false": bool(colour)}
    scores["list_colour_listed"] = bool(colour)
    if colour:
        scores["list_colour_true"] = colour in SYNONYMS[str(planted["second_word"].values)]
    return scores


def planted_words(main: str, region: str) -> set[str]:
    """Words that are true of a voxel: of its main feature, of the second features of its region,
    which all enter its mixture, and hypernyms that cover one of these."""
    seconds = next(each.seconds for each in REGIONS if each.name == region)
    concepts = {main}
    if main not in BACKGROUNDS:
        concepts |= {second.concept for second in seconds if isinstance(second.concept, str)}
    hypernyms = {word for word, members in HYPERNYMS.items() if concepts & set(members)}
    return hypernyms.union(*(SYNONYMS[concept] for concept in concepts))


def score_place(surface: np.ndarray, mean_map: np.ndarray, place: np.ndarray) -> bool:
    """Whether a voxel's map of places, over its region's mean map, peaks near a planted place."""
    peak = find_peak(surface / np.maximum(mean_map, 1e-9))
    return bool(np.hypot(*(peak - place)) <= PLACE_DISTANCE)


def score_pointing(
    token: np.ndarray,
    strength: np.ndarray,
    main: str,
    labels: np.ndarray,
    backgrounds: list[str],
    grid: tuple[int, int],
) -> dict[str, object]:
    """Mean over the test images that show the main feature: does the top token lie on it?

    token, strength: (image, rank), strongest first, -1 for none. labels: (image, row, column).
    """
    if main in BACKGROUNDS:
        masks, shown = labels == 0, np.array([name == main for name in backgrounds])
    else:
        masks = labels == 1 + list(CATEGORIES).index(main)
        shown = masks.any(axis=(1, 2))
    share = token_shares(masks[shown], rows=grid[0], columns=grid[1])
    token = token[shown].astype(np.int64)
    weight = np.where(token >= 0, strength[shown], 0)
    on_mask = np.take_along_axis(share, np.maximum(token, 0), axis=1)
    hit = (on_mask[:, 0] >= POINT_SHARE) & (token[:, 0] >= 0)
    mass = (weight * on_mask).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-12)
    return {
        "pointing": float(hit.mean()),
        "pointing_chance": float((share >= POINT_SHARE).mean()),
        "mass_in_mask": float(mass.mean()),
        "mass_in_mask_chance": float(share.mean()),
    }


def find_peak(surface: np.ndarray) -> np.ndarray:
    """Return the place of a map's maximum after slight smoothing: (row, column) as fractions."""
    smooth = ndimage.gaussian_filter(surface, sigma=1.0, mode="nearest")
    place = np.array(np.unravel_index(np.argmax(smooth), surface.shape))
    return (place + 0.5) / np.array(surface.shape)


# --- the table ---


def summarise(
    voxels: pd.DataFrame, scores: pd.DataFrame, *, resamples: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Return the recovery table: ``measure subject roi value low high n``.

    voxels: rows of :func:`score_voxels` with a column ``subject``. scores: rows of
    ``measure subject roi value low high n`` for the encoders, appended as they are. Shares are over
    described category voxels with a ceiling of at least CLEAR_CEILING, with Wilson intervals;
    ``described`` and ``top_word_all`` are over all of these, described or not; means have bootstrap
    intervals over voxels. ``roi`` is ``all`` for the category ROIs together, ``V1v`` and ``noise``
    for the controls.
    """
    rows: list[dict[str, object]] = []

    def add(measure: str, subject: str, roi: str, values: pd.Series, *, share: bool) -> None:
        array = values.dropna().to_numpy(dtype=float)
        if len(array):
            low, high = (
                share_interval(array.sum(), len(array))
                if share
                else bootstrap_mean(array, resamples=resamples, generator=generator)[1:]
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

    for subject, own in [*voxels.groupby("subject"), ("all", voxels)]:
        category = own[own["main"].isin(list(SYNONYMS))]
        parts = {str(roi): part for roi, part in category.groupby("roi")} | {"all": category}
        for roi, part in parts.items():
            able = part[part["noise_ceiling"] >= CLEAR_CEILING]
            shown = able[able["described"]]
            add("described", str(subject), roi, able["described"], share=True)
            add("described_any_ceiling", str(subject), roi, part["described"], share=True)
            right = (able["top_word"].fillna(False) & able["described"]).astype(float)
            add("top_word_all", str(subject), roi, right, share=True)
            random = part["described_random_encoder"]
            add("described_random_encoder", str(subject), roi, random, share=True)
            for measure in (*SHARES, *MEANS):
                add(measure, str(subject), roi, shown[measure], share=measure in SHARES)
        for kind, name in CONTROLS.items():
            part = own[own["main"] == kind]
            add("described", str(subject), name, part["described"], share=True)
            random = part["described_random_encoder"]
            add("described_random_encoder", str(subject), name, random, share=True)
            if kind == "contrast":
                add("retinotopic", str(subject), name, part["reason"] == "retinotopic", share=True)
    return pd.concat([pd.DataFrame(rows), scores], ignore_index=True)


# --- what the encoders could reach ---


def predict_bounds(
    truth: xr.Dataset, responses: np.ndarray, *, training: np.ndarray, alphas: list[float]
) -> dict[str, np.ndarray]:
    """Predict the test images from what was planted: (image, voxel) by model.

    ``planted_ridge``: ridge on all planted regressors, fitted on the same noisy training responses,
    a reference. ``noiseless``: the planted response, brought to the responses' scale by least
    squares on the training images, the bound. training: bool (image,) over the responses' images,
    which are the truth's.
    """
    from himalaya.ridge import RidgeCV

    regressors = truth["regressor"].values.astype(np.float64)
    mean, deviation = regressors[training].mean(axis=0), regressors[training].std(axis=0)
    standard = (regressors - mean) / np.where(deviation > 0, deviation, 1)
    ridge = RidgeCV(alphas=alphas, fit_intercept=True, solver_params={"warn": False})
    ridge.fit(standard[training], responses[training].astype(np.float64))
    planted = truth["response"].values.astype(np.float64)
    centred = planted[training] - planted[training].mean(axis=0)
    measured = responses[training] - responses[training].mean(axis=0)
    slope = (centred * measured).sum(axis=0) / np.maximum(np.square(centred).sum(axis=0), 1e-12)
    shift = responses[training].mean(axis=0) - slope * planted[training].mean(axis=0)
    return {
        "planted_ridge": ridge.predict(standard[~training]).astype(np.float32),
        "noiseless": (planted[~training] * slope + shift).astype(np.float32),
    }


def tabulate_scores(scores: xr.Dataset, subject: str) -> pd.DataFrame:
    """Rows ``measure subject roi value low high n`` of the encoders' normalised R² and of MINE's
    paired differences to the others; n is the number of voxels."""
    rows = []
    for roi in scores["roi"].values:
        here = scores.sel(roi=roi)
        common = {"subject": subject, "roi": str(roi), "n": int(here["roi_voxels"])}
        for model in scores["model"].values:
            low, high = here["roi_r2_normalised_interval"].sel(model=model).values
            value = float(here["roi_r2_normalised"].sel(model=model))
            rows.append(
                {"measure": f"r2_normalised_{model}", "value": value, "low": low, "high": high}
                | common
            )
            if model != "mine":
                pair = here.sel(model="mine", reference=model)
                low, high = pair["roi_difference_interval"].values
                rows.append(
                    {
                        "measure": f"r2_normalised_mine_minus_{model}",
                        "value": float(pair["roi_difference"]),
                        "low": low,
                        "high": high,
                    }
                    | common
                )
    columns = ["measure", "subject", "roi", "value", "low", "high", "n"]
    return pd.DataFrame(rows)[columns]


def category_members(truth: xr.Dataset, rois: xr.Dataset) -> tuple[np.ndarray, list[str]]:
    """Return the category ROIs and, as ``all``, their union: bool (roi, voxel), and names."""
    planted = np.isin(truth["main"].values, list(SYNONYMS))
    names = [str(roi) for roi in rois["roi"].values if planted[rois["member"].sel(roi=roi)].any()]
    members = [rois["member"].sel(roi=name).values for name in names]
    return np.stack([*members, np.any(members, axis=0)]), [*names, "all"]


def form_members(truth: xr.Dataset, member: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the voxels of each planted response form: bool (form, voxel), and the forms' names.

    truth: in the responses' order, with ``form`` (voxel,). member: bool (voxel,), of which voxels
    are told apart: those of the category ROIs.
    """
    form = truth["form"].values
    names = [name for name in FORMS if (member & (form == name)).any()]
    return np.stack([member & (form == name) for name in names]), names


def tabulate_forms(scores: xr.Dataset, subject: str) -> pd.DataFrame:
    """Rows as of tabulate_scores of what was scored by response form in the place of ROIs.

    A form is no region: it is the end of the measure, ``r2_normalised_mine_tolerant``, and ``roi``
    is ``all``, since it takes its voxels from all category ROIs.
    """
    table = tabulate_scores(scores, subject)
    return table.assign(measure=table["measure"] + "_" + table["roi"], roi="all")
