"""Forms of encoders on equal terms: one split, one noise ceiling, one table."""

from __future__ import annotations

import itertools
import json
import resource
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from mine.core.encoder import weights_to_dataset
from mine.core.splits import draw_folds, draw_validation
from mine.encoders.forms import FORMS
from mine.encoders.interface import Stimuli, Terms
from mine.encoders.voxel_query import VoxelQuery
from mine.errors import InputError
from mine.randomness import generator
from mine.statistics import (
    bootstrap_over_images,
    bootstrap_weights,
    interval,
    pearson,
    pearson_of_means,
    pearson_terms,
)

ALL = "all"
"""All training images; in the table all voxels of a subject, or the mean over subjects."""

# Voxels whose bootstrap draws are in memory at once.
VOXEL_BLOCK = 1024

COLUMNS = ["form", "images", "subject", "roi", "measure", "value", "low", "high", "n"]


def fit_form(
    stimuli: Stimuli,
    responses: np.ndarray,
    *,
    form: str,
    size: str,
    training: np.ndarray,
    regions: np.ndarray,
    encoder: Mapping[str, Any],
    baselines: Mapping[str, Any],
    learning_rates: Sequence[float],
    weight_decays: Sequence[float],
    members: int,
    seed: int,
    device: str = "cpu",
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Fit one form of encoder to a subject and predict the test images.

    stimuli: of all images of the subject. responses: (image, voxel), z-scored. form: one of
    encoders.forms.FORMS. size: ``all``, or how many of the training images are used (draw_subset).
    training: bool (image,); the rest are test images. regions: (voxel,), see assign_regions.
    encoder, baselines: settings of these sections. learning_rates, weight_decays: see
    encoders.descent. members: fits of the form ``mine_mean``.

    The validation images and the folds are those of the analysis, and so with all images are the
    predictions of ``mine``, ``ridge``, ``caption`` and ``banded``. Returns

    - prediction (image, voxel), float32: of the test images in their order. Attributes: form,
      training_images, parameters (how many numbers were fitted), choices (JSON: what was chosen
      once for all voxels, such as the learning rate). Of ``mine`` and ``mine_mean`` the weights
      besides (core.encoder.weights_to_dataset)
    - one row of what the fit cost: seconds, with whatever was tried and thrown away, and megabytes,
      the largest memory of this process and, on a GPU, of that. They are no part of the dataset,
      since no two runs agree on them.

    Raises ValueError for an unknown form, InputError for a size of more images than there are.
    """
    if form not in FORMS:
        raise ValueError(f"form: expected one of {', '.join(FORMS)}; found {form}")
    training = np.asarray(training, dtype=bool)
    used = np.flatnonzero(training)
    if size != ALL:
        used = used[draw_subset(len(used), int(size), seed=seed)]
    terms = Terms(
        validation=draw_validation(len(used), encoder["validation_fraction"], seed, ALL),
        regions=regions,
        alphas=np.asarray(baselines["alphas"], dtype=np.float64),
        folds=draw_folds(baselines["folds"], seed),
        mixtures=baselines["mixtures"],
        encoder=encoder,
        learning_rates=learning_rates,
        weight_decays=weight_decays,
        members=members,
        seed=seed,
        device=device,
    )
    start = time.perf_counter()
    fitted = FORMS[form](stimuli.select(used), responses[used], terms)
    seconds = time.perf_counter() - start
    prediction = fitted.predict(stimuli.select(~training))
    dataset = xr.Dataset(
        {"prediction": (("image", "voxel"), prediction)},
        attrs={
            "form": form,
            "training_images": len(used),
            "parameters": int(fitted.parameters),
            "choices": json.dumps(fitted.choices),
        },
    )
    if isinstance(fitted, VoxelQuery):
        dataset = dataset.merge(weights_to_dataset(fitted.weights))
    dataset["prediction"].attrs = {
        "long_name": "predicted response to the test images",
        "units": "z-scored response",
    }
    cost = {"form": form, "images": size, "seconds": seconds, "megabytes": measure_memory()}
    return dataset, pd.DataFrame([cost])


def draw_subset(count: int, size: int, *, seed: int) -> np.ndarray:
    """Positions (image,), ascending, of ``size`` of ``count`` training images, drawn at random: a
    smaller subset lies in every larger one. Raises InputError for a size above count."""
    if size > count:
        raise InputError(
            f"encoders.images: expected at most the {count} training images of the subject, found "
            f"{size}"
        )
    return np.sort(generator(seed, "subset").permutation(count)[:size])


def assign_regions(member: np.ndarray, hemisphere: np.ndarray) -> np.ndarray:
    """Number (voxel,), from 0 without gaps, of the first region that a voxel is in, apart by
    hemisphere; voxels of no region make one of their own.

    member: bool (roi, voxel). hemisphere: (voxel,), names.
    """
    member = np.asarray(member, dtype=bool)
    first = np.where(member.any(axis=0), member.argmax(axis=0), len(member))
    names = np.unique(np.asarray(hemisphere, dtype=str), return_inverse=True)[1]
    return np.unique(first * (names.max() + 1) + names, return_inverse=True)[1]


def measure_memory() -> float:
    """The largest memory of this process so far, and that of its GPU, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    own = peak / 2**20 if sys.platform == "darwin" else peak / 2**10
    return own + (torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0)


def score_correlations(
    predictions: Mapping[str, np.ndarray],
    measured: np.ndarray,
    members: np.ndarray,
    *,
    rois: list[str],
    resamples: int,
    seed: int,
) -> xr.Dataset:
    """Mean over an ROI's voxels of the Pearson correlation over images, and of its difference.

    predictions: model -> (image, voxel). measured: (image, voxel). members: bool (roi, voxel). A
    prediction that does not vary counts as a correlation of 0.

    Returns r (model, roi), r_difference (model, reference, roi), both with <name>_interval
    (..., bound): 95% bootstrap percentiles over images, the resamples of stages.encoder.score_roi.
    """
    weights = bootstrap_weights(
        len(measured), resamples=resamples, generator=generator(seed, "scores")
    )
    members = np.asarray(members, dtype=np.float64)
    voxels = members.sum(axis=1)
    voxels = np.where(voxels > 0, voxels, np.nan)
    models = list(predictions)
    value = np.empty((len(models), len(rois)))
    draws = np.zeros((len(models), len(rois), resamples))
    for number, model in enumerate(models):
        value[number] = members @ np.nan_to_num(pearson(measured, predictions[model])) / voxels
        terms = pearson_terms(measured, predictions[model])
        for start in range(0, members.shape[1], VOXEL_BLOCK):
            part = slice(start, start + VOXEL_BLOCK)
            block = bootstrap_over_images([t[:, part] for t in terms], pearson_of_means, weights)
            draws[number] += members[:, part] @ np.nan_to_num(block).T / voxels[:, None]
    dataset = xr.Dataset(
        coords={"model": models, "reference": models, "roi": rois, "bound": ["low", "high"]}
    )
    dataset["r"] = (("model", "roi"), value)
    dataset["r_interval"] = (("model", "roi", "bound"), np.stack(interval(draws, axis=-1), axis=-1))
    bounds = np.zeros((len(models), len(models), len(rois), 2))
    for one, other in itertools.permutations(range(len(models)), 2):
        bounds[one, other] = np.stack(interval(draws[one] - draws[other], axis=-1), axis=-1)
    dataset["r_difference"] = (("model", "reference", "roi"), value[:, None] - value[None])
    dataset["r_difference_interval"] = (("model", "reference", "roi", "bound"), bounds)
    for name, text in (
        ("r", "mean over voxels of the Pearson correlation"),
        ("r_difference", "difference of that, model less reference"),
    ):
        dataset[name].attrs = {"long_name": text, "units": "1"}
        dataset[f"{name}_interval"].attrs = {"long_name": f"95% interval of: {text}", "units": "1"}
    return dataset


def tabulate_forms(
    scores: Mapping[tuple[str, str], xr.Dataset], costs: Iterable[pd.DataFrame]
) -> pd.DataFrame:
    """Put the scores and the costs of all forms, subjects and numbers of images in one table.

    scores: (subject, size) -> the store of that comparison. costs: rows form, images, subject,
    seconds, megabytes.

    Returns rows form, images, subject, roi, measure, value, low, high, n. Measures of a region:
    ``r2`` (mean over its voxels), ``r2_normalised`` (ΣR² / Σ noise ceiling), ``r`` (mean over its
    voxels), and ``r2_normalised_minus_mine``, ``r_minus_mine``, paired over images; n is the number
    of voxels. Of a form, with an empty roi: ``parameters``, ``seconds``, ``megabytes``. Subject
    ``all`` is the mean over subjects, without an interval; n is their number.
    """
    rows: list[dict[str, Any]] = []
    for (subject, size), own in scores.items():
        forms = [str(form) for form in own["model"].values]
        for form, roi in itertools.product(forms, own["roi"].values):
            here = own.sel(model=form, roi=roi)
            common = {"form": form, "images": size, "subject": subject, "roi": str(roi)}
            voxels = int(here["roi_voxels"])
            names = {"r2": "roi_r2", "r2_normalised": "roi_r2_normalised", "r": "roi_r"}
            for measure, name in names.items():
                rows.append(common | _read_interval(here, name, measure, voxels))
            if form != "mine" and "mine" in forms:
                pair = here.sel(reference="mine")
                for measure, name in (
                    ("r2_normalised_minus_mine", "roi_difference"),
                    ("r_minus_mine", "roi_r_difference"),
                ):
                    rows.append(common | _read_interval(pair, name, measure, voxels))
        for form in forms:
            common = {"form": form, "images": size, "subject": subject, "roi": ""}
            value = float(own["parameters"].sel(model=form))
            rows.append(common | {"measure": "parameters", "value": value})
    for cost in costs:
        for row in cost.to_dict("records"):
            common = {name: str(row[name]) for name in ("form", "images", "subject")}
            for measure in ("seconds", "megabytes"):
                rows.append(common | {"roi": "", "measure": measure, "value": row[measure]})
    table = pd.DataFrame(rows, columns=COLUMNS)
    keys = ["form", "images", "roi", "measure"]
    groups = table.groupby(keys, sort=False)["value"]
    mean = groups.agg(value="mean", n="count").reset_index().assign(subject=ALL)
    whole = pd.concat([table, mean], ignore_index=True)[COLUMNS]
    return whole.astype({"n": "Int64"})


def _read_interval(here: xr.Dataset, name: str, measure: str, voxels: int) -> dict[str, Any]:
    low, high = here[f"{name}_interval"].values
    value = float(here[name])
    return {"measure": measure, "value": value, "low": low, "high": high, "n": voxels}
