"""Forms of encoders on equal terms: one split, one noise ceiling, one table."""

from __future__ import annotations

import itertools
import json
import resource
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from mine.core.encoder import (
    EncoderWeights,
    gather_voxels,
    position_basis,
    predict,
    weights_to_dataset,
)
from mine.core.fitting import FittingData
from mine.core.splits import draw_folds, draw_validation
from mine.encoders import voxel_query
from mine.encoders.forms import FORMS
from mine.encoders.interface import Fitted, Stimuli, Terms
from mine.encoders.voxel_query import VoxelQuery
from mine.errors import InputError
from mine.randomness import generator
from mine.sections import ALL
from mine.statistics.bootstrap import bootstrap_over_images, bootstrap_weights, interval
from mine.statistics.scores import pearson, pearson_of_means, pearson_terms

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
    device: str,
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
      once for all voxels, such as the learning rate). Of MINE's forms the weights besides
      (core.encoder.weights_to_dataset)
    - one row of what the fit cost: seconds, with whatever was tried and thrown away, and megabytes,
      the largest memory of this process and, on a GPU, of that. They are no part of the dataset,
      since no two runs agree on them.

    Raises ValueError for an unknown form, InputError for a size of more images than there are, and
    for the form ``caption`` where no training image, or no test image, has captions.
    """
    if form not in FORMS:
        raise ValueError(f"form: expected one of {', '.join(FORMS)}; found {form}")
    training = np.asarray(training, dtype=bool)
    used = _draw_images(training, size, seed)
    captions = stimuli.captions
    if form == "caption" and not (captions[used].any() and captions[~training].any()):
        raise InputError(
            "encoders.forms: expected no form caption, since the training or the test images of "
            "the subject have no captions, found it"
        )
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
    cost = _count_cost(form, size, time.perf_counter() - start)
    prediction = fitted.predict(stimuli.select(~training))
    return _describe_fit(form, fitted, prediction, training_images=len(used)), cost


@dataclass(frozen=True)
class Subject:
    """What fits across subjects are given of each."""

    tokens: np.ndarray
    """(image, token, feature), standardised"""
    responses: np.ndarray
    """(image, voxel), z-scored"""
    training: np.ndarray
    """bool (image,); the rest are test images"""


def fit_shared(
    subjects: Sequence[Subject],
    *,
    size: str,
    rows: int,
    columns: int,
    encoder: Mapping[str, Any],
    seed: int,
    device: str,
) -> list[tuple[xr.Dataset, pd.DataFrame]]:
    """Fit ``mine_shared``: one fit of all subjects, ``size`` training images of each.

    The training and the validation images of a subject are those of its fits alone. Returns what
    fit_form does, by subject; seconds are each one's share by its number of images.
    """
    used = [_draw_images(each.training, size, seed) for each in subjects]
    start = time.perf_counter()
    fits = _fit_together(subjects, used, rows, columns, encoder, seed, device)
    seconds = time.perf_counter() - start
    made = []
    for each, fitted, images in zip(subjects, fits, used, strict=True):
        test = np.flatnonzero(~each.training)
        prediction = predict(fitted.weights, each.tokens, fitted.phi, images=test)
        share = seconds * len(images) / sum(map(len, used))
        made.append(
            (
                _describe_fit("mine_shared", fitted, prediction, training_images=len(images)),
                _count_cost("mine_shared", size, share),
            )
        )
    return made


def fit_others(
    others: Sequence[Subject],
    *,
    rows: int,
    columns: int,
    encoder: Mapping[str, Any],
    members: int,
    seed: int,
    device: str,
) -> EncoderWeights:
    """Fit the subjects that another is to be a mixture of, together, on all their training images.

    members: fits from different random starts, whose mean is taken; encoder's own does not count.
    Returns one encoder of all their voxels, in the order of the subjects.
    """
    used = [_draw_images(each.training, ALL, seed) for each in others]
    fits = _fit_together(others, used, rows, columns, {**encoder, "members": members}, seed, device)
    return gather_voxels([fitted.weights for fitted in fits])


def fit_transfer(
    known: EncoderWeights,
    subject: Subject,
    *,
    size: str,
    rows: int,
    columns: int,
    position_orders: int,
    seed: int,
) -> tuple[xr.Dataset, pd.DataFrame]:
    """Fit ``mine_transfer``: a subject's voxels as mixtures of those of other subjects.

    known: the encoder of all other subjects' voxels. The rest, and what is returned, as of
    fit_form; seconds are without the fit of the others.
    """
    images = _draw_images(subject.training, size, seed)
    start = time.perf_counter()
    fitted = voxel_query.transfer(
        known,
        subject.tokens[images],
        subject.responses[images],
        phi=position_basis(rows, columns, position_orders),
    )
    cost = _count_cost("mine_transfer", size, time.perf_counter() - start)
    test = np.flatnonzero(~subject.training)
    prediction = predict(fitted.weights, subject.tokens, fitted.phi, images=test)
    described = _describe_fit("mine_transfer", fitted, prediction, training_images=len(images))
    return described, cost


def _fit_together(
    subjects: Sequence[Subject],
    used: Sequence[np.ndarray],
    rows: int,
    columns: int,
    encoder: Mapping[str, Any],
    seed: int,
    device: str,
) -> list[VoxelQuery]:
    """One fit of subjects, of each the images at the positions ``used``, split as it is alone."""
    fraction = encoder["validation_fraction"]
    data = []
    for each, images in zip(subjects, used, strict=True):
        held = draw_validation(len(images), fraction, seed, ALL)
        data.append(FittingData(each.tokens, each.responses, images[~held], images[held]))
    options = {"rows": rows, "columns": columns, "encoder": encoder}
    return voxel_query.fit_shared(data, seed=seed, device=device, **options)


def _draw_images(training: np.ndarray, size: str, seed: int) -> np.ndarray:
    """Positions of the training images that a fit of that size uses."""
    used = np.flatnonzero(training)
    return used if size == ALL else used[draw_subset(len(used), int(size), seed=seed)]


def _describe_fit(
    form: str, fitted: Fitted, prediction: np.ndarray, *, training_images: int
) -> xr.Dataset:
    dataset = xr.Dataset(
        {"prediction": (("image", "voxel"), prediction)},
        attrs={
            "form": form,
            "training_images": training_images,
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
    return dataset


def _count_cost(form: str, size: str, seconds: float) -> pd.DataFrame:
    memory = measure_memory()
    return pd.DataFrame([{"form": form, "images": size, "seconds": seconds, "megabytes": memory}])


def draw_subset(count: int, size: int, *, seed: int) -> np.ndarray:
    """Positions (image,), ascending, of ``size`` of ``count`` training images, drawn at random: a
    smaller subset lies in every larger one. Raises InputError for a size above count."""
    if size > count:
        raise InputError(
            f"encoders.images, few_images or more_images: expected at most the {count} training "
            f"images of the subject, found {size}"
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

    Returns roi_r (model, roi), roi_r_difference (model, reference, roi), both with <name>_interval
    (..., bound): 95% bootstrap percentiles over images, the resamples of stages.scoring.score_roi.
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
    dataset["roi_r"] = (("model", "roi"), value)
    bounds = np.stack(interval(draws, axis=-1), axis=-1)
    dataset["roi_r_interval"] = (("model", "roi", "bound"), bounds)
    bounds = np.zeros((len(models), len(models), len(rois), 2))
    for one, other in itertools.permutations(range(len(models)), 2):
        bounds[one, other] = np.stack(interval(draws[one] - draws[other], axis=-1), axis=-1)
    dataset["roi_r_difference"] = (("model", "reference", "roi"), value[:, None] - value[None])
    dataset["roi_r_difference_interval"] = (("model", "reference", "roi", "bound"), bounds)
    for name, text in (
        ("roi_r", "mean over voxels of the Pearson correlation"),
        ("roi_r_difference", "difference of that, model less reference"),
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
    of voxels. Of a form, with an empty roi: ``parameters``, ``training_images``, ``seconds``,
    ``megabytes``. Images ``all`` are all training images, and roi ``all`` all voxels of a subject;
    subject ``all`` is the mean over subjects, without an interval; n is their number.
    """
    rows: list[dict[str, Any]] = []
    for (subject, size), own in scores.items():
        forms = [str(form) for form in own["model"].values]
        for form, roi in itertools.product(forms, own["roi"].values):
            here = own.sel(model=form, roi=roi)
            common = {"form": form, "images": size, "subject": subject, "roi": str(roi)}
            voxels = int(here["roi_voxels"])
            for measure in ("r2", "r2_normalised", "r"):
                rows.append(common | _read_interval(here, f"roi_{measure}", measure, voxels))
            if form != "mine" and "mine" in forms:
                pair = here.sel(reference="mine")
                for measure, name in (
                    ("r2_normalised_minus_mine", "roi_difference"),
                    ("r_minus_mine", "roi_r_difference"),
                ):
                    rows.append(common | _read_interval(pair, name, measure, voxels))
        for form in forms:
            common = {"form": form, "images": size, "subject": subject, "roi": ""}
            for measure in ("parameters", "training_images"):
                value = float(own[measure].sel(model=form))
                rows.append(common | {"measure": measure, "value": value})
    for cost in costs:
        for row in cost.to_dict("records"):
            common = {name: str(row[name]) for name in ("form", "images", "subject")}
            for measure in ("seconds", "megabytes"):
                rows.append(common | {"roi": "", "measure": measure, "value": row[measure]})
    return _add_means(pd.DataFrame(rows, columns=COLUMNS))


def tabulate_transfer(scores: Mapping[str, xr.Dataset], *, few: str, more: str) -> pd.DataFrame:
    """What other subjects' voxels are worth to a subject that has few images.

    scores: subject -> stages.scoring.score_roi of models ``<form>/<size>``, among them
    ``mine_transfer/<few>`` and ``mine/<more>``.

    Returns rows measure, form, images, subject, roi, value, low, high, n: ``r2_normalised`` of
    every model, and ``cross_subject_gain``, that of mine_transfer with few images less that of
    mine, fitted alone, with more, paired over images. Subject ``all``: means, as of tabulate_forms.
    """
    rows: list[dict[str, Any]] = []
    for subject, own in scores.items():
        for model, roi in itertools.product(own["model"].values, own["roi"].values):
            here = own.sel(model=model, roi=roi)
            voxels = int(here["roi_voxels"])
            form, images = str(model).split("/")
            common = {"form": form, "images": images, "subject": subject, "roi": str(roi)}
            rows.append(common | _read_interval(here, "roi_r2_normalised", "r2_normalised", voxels))
            if model == f"mine_transfer/{few}":
                pair = here.sel(reference=f"mine/{more}")
                row = _read_interval(pair, "roi_difference", "cross_subject_gain", voxels)
                rows.append(common | row)
    return _add_means(pd.DataFrame(rows, columns=COLUMNS))


def _add_means(table: pd.DataFrame) -> pd.DataFrame:
    """The table with rows of the means over subjects; n is their number."""
    keys = ["form", "images", "roi", "measure"]
    groups = table.groupby(keys, sort=False)["value"]
    mean = groups.agg(value="mean", n="count").reset_index().assign(subject=ALL)
    whole = pd.concat([table, mean], ignore_index=True)[COLUMNS]
    return whole.astype({"n": "Int64"})


def _read_interval(here: xr.Dataset, name: str, measure: str, voxels: int) -> dict[str, Any]:
    low, high = here[f"{name}_interval"].values
    value = float(here[name])
    return {"measure": measure, "value": value, "low": low, "high": high, "n": voxels}
