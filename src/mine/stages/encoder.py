"""Encoders of a subject: which images each fit may see, how it is fitted, how well it predicts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import ndtri

from mine.core.encoder import (
    move_weights,
    position_basis,
    predict,
    random_encoder,
    weights_to_dataset,
)
from mine.core.fitting import FitHistory, FittingData, fit_ensemble
from mine.core.splits import derive_seed, derive_seeds, draw_validation, split_halves
from mine.randomness import generator
from mine.sections import FITS
from mine.statistics import (
    LEAST_CEILING,
    bootstrap_interval,
    bootstrap_over_images,
    bootstrap_weights,
    gain_test,
    interval,
    pearson,
    pearson_of_means,
    pearson_terms,
    r_squared,
    r_squared_of_means,
    r_squared_terms,
)

HALVES = ("first_half", "second_half")

# Voxels whose bootstrap draws are in memory at once.
VOXEL_BLOCK = 1024

LEVELS = (0.5, 0.8, 0.95)
"""Levels of the intervals that are predicted of measured responses."""


def shuffle_halves(responses: np.ndarray, training_images: np.ndarray, *, seed: int) -> np.ndarray:
    """Exchange whole rows of responses between the images of either half: (image, voxel).

    Fits of both halves are given the same exchange. Each is judged by the responses that the other
    was fitted to, so their scores go together, and do so under the null too.
    """
    shuffled, draws = np.empty_like(responses), generator(seed, "shuffle")
    for half in split_halves(training_images, seed=seed):
        own = np.isin(training_images, half)
        shuffled[own] = draws.permutation(responses[own], axis=0)
    return shuffled


@dataclass(frozen=True)
class TrainingData:
    """What a fit may see of one subject: its training images."""

    tokens: np.ndarray
    """(image, token, feature), standardised, row-major over rows × columns"""
    responses: np.ndarray
    """(image, voxel), z-scored"""
    images: np.ndarray
    """(image,), their identities"""
    name: str = ""
    """of the subject: weights that are not fitted are drawn for each by its name"""


def fit_subject(
    tokens: np.ndarray, responses: np.ndarray, images: np.ndarray, *, name: str = "", **options: Any
) -> xr.Dataset:
    """Fit one encoder of a subject: fit_subjects of one, with its options. tokens, responses,
    images, name: see TrainingData."""
    (dataset,) = fit_subjects([TrainingData(tokens, responses, images, name)], **options)
    return dataset


def fit_subjects(
    subjects: Sequence[TrainingData],
    *,
    fit: str,
    rows: int,
    columns: int,
    position_orders: int,
    validation_fraction: float,
    heads: int,
    head_width: int,
    members: int = 1,
    permutations: int = 10_000,
    seed: int,
    device: str = "cpu",
    **options: float,
) -> list[xr.Dataset]:
    """Fit one encoder of each subject, wholly apart from those of other fits.

    Several subjects are fitted together, with projections that serve all of them
    (core.fitting.fit_subjects); each subject's images and split are those that it has by itself.

    fit: one of FITS. ``_shuffled``: whole rows of the responses are exchanged between images
    (:func:`shuffle_halves`), so the covariance of voxels stays and nothing is left to be learned;
    those of the other half too, or the luck of a fit would count as prediction half of the time.
    ``_random``: not fitted, of weights that each subject has by its name: voxels of two subjects
    are to be as many controls.
    validation_fraction: share of the fit's images held out of the gradient. permutations: sign
    flips of the tests. members: encoders that are fitted from seeds of their own and averaged
    (core.fitting.fit_ensemble); an untrained one has as many heads as they. options: passed on to
    core.fitting.fit_subjects.

    Returns by subject the weights (see core.encoder.weights_to_dataset) and

    - image: the images that the fit uses; role (image): "train" or "validation"
    - validation_r2 (voxel), and validation_z, validation_p: the image-level test that the
      prediction of the validation images beats the training mean (Σ of the differences of squared
      errors over its root sum of squares, and the one-sided p of a sign flip)
    - residual_deviation (voxel): the root of the mean squared error on the validation images, the
      standard deviation that a measured response is predicted to have around its prediction
    - held_out_r2, held_out_z, held_out_p (voxel), for fits of a half: the same on all images of
      the *other* half, of which the fit has seen nothing
    - training_loss, validation_score (epoch), unless random: see core.fitting.FitHistory; of the
      first member, and of all subjects that were fitted together

    Raises ValueError for an unknown fit, or too few images to validate on.
    """
    if fit not in FITS:
        raise ValueError(f"fit: expected one of {', '.join(FITS)}; found {fit}")
    part = fit.removesuffix("_shuffled").removesuffix("_random")
    phi = position_basis(rows, columns, position_orders)
    chosen, data = [], []
    for subject in subjects:
        own = np.ones(len(subject.images), dtype=bool)
        if part in HALVES:
            halves = dict(zip(HALVES, split_halves(subject.images, seed=seed), strict=True))
            own = np.isin(subject.images, halves[part])
        responses = subject.responses
        if fit.endswith("_shuffled"):
            responses = shuffle_halves(responses, subject.images, seed=seed)
        validation = draw_validation(int(own.sum()), validation_fraction, seed, part)
        chosen.append((own, responses))
        data.append(FittingData(subject.tokens[own], responses[own], validation))

    history: FitHistory | None = None
    if fit.endswith("_random"):
        fitted = [
            random_encoder(
                voxels=each.responses.shape[1],
                features=each.tokens.shape[2],
                heads=heads * members,
                head_width=head_width,
                basis=phi.shape[1],
                seed=derive_seed(seed, f"{fit} {subject.name}".strip()),
            )
            for subject, each in zip(subjects, data, strict=True)
        ]
    else:
        fitted, (history, *_) = fit_ensemble(
            data,
            phi=phi,
            heads=heads,
            head_width=head_width,
            seeds=derive_seeds(seed, fit, members),
            device=device,
            **options,
        )

    datasets = []
    flips = {"permutations": permutations, "seed": seed}
    for subject, (own, responses), given, weights in zip(
        subjects, chosen, data, fitted, strict=True
    ):
        validation = given.validation
        dataset = weights_to_dataset(weights).assign_coords(image=np.asarray(subject.images)[own])
        dataset["role"] = ("image", np.where(validation, "validation", "train"))
        centre = given.responses[~validation].mean(axis=0)
        tested = {"validation": (given.tokens[validation], given.responses[validation])}
        if part in HALVES:
            tested["held_out"] = (subject.tokens[~own], responses[~own])
        for name, (unseen, measured) in tested.items():
            predicted = predict(move_weights(weights, device), unseen, phi)
            dataset.update(_test_prediction(name, measured, predicted, centre, **flips))
            if name == "validation":
                dataset["residual_deviation"] = ("voxel", _root_mean_square(measured - predicted))
        if history is not None:
            dataset["training_loss"] = ("epoch", history.training_loss)
            dataset["validation_score"] = ("epoch", history.validation_score)
            dataset.attrs["best_epoch"] = history.best_epoch
        dataset.attrs |= {"fit": fit, "rows": rows, "columns": columns}
        datasets.append(_annotate(dataset))
    return datasets


def score_predictions(
    predictions: Mapping[str, np.ndarray],
    measured: np.ndarray,
    noise_ceiling: np.ndarray,
    *,
    resamples: int,
    seed: int,
) -> xr.Dataset:
    """R², correlation, and R² over the noise ceiling, per model and voxel, with intervals.

    predictions: model -> (image, voxel). measured: (image, voxel). noise_ceiling: (voxel,), the
    largest R² that can be reached. A voxel with a ceiling below LEAST_CEILING has no normalised
    R²; nothing is clipped. Intervals: 95% bootstrap percentiles over images, the same resamples
    for all models and voxels.

    Returns r2, r, r2_normalised (model, voxel), each with <name>_interval (model, voxel, bound).
    """
    weights = _draw_resamples(len(measured), resamples, seed)
    usable = xr.DataArray(
        np.where(noise_ceiling >= LEAST_CEILING, noise_ceiling, np.nan), dims="voxel"
    )
    models = list(predictions)
    values: dict[str, list[np.ndarray]] = {name: [] for name in ("r2", "r")}
    bounds: dict[str, list[np.ndarray]] = {name: [] for name in values}
    kinds = {
        "r2": (r_squared, r_squared_terms, r_squared_of_means),
        "r": (pearson, pearson_terms, pearson_of_means),
    }
    for model in models:
        for name, (score, make_terms, of_means) in kinds.items():
            values[name].append(score(measured, predictions[model]))
            terms = make_terms(measured, predictions[model])
            bounds[name].append(
                np.stack(bootstrap_interval(terms, of_means, weights, columns=VOXEL_BLOCK), axis=-1)
            )
    dataset = xr.Dataset(coords={"model": models, "bound": ["low", "high"]})
    for name in kinds:
        dataset[name] = (("model", "voxel"), np.stack(values[name]))
        dataset[f"{name}_interval"] = (("model", "voxel", "bound"), np.stack(bounds[name]))
    dataset["r2_normalised"] = dataset["r2"] / usable
    dataset["r2_normalised_interval"] = dataset["r2_interval"] / usable
    return _annotate(dataset)


def score_roi(
    predictions: Mapping[str, np.ndarray],
    measured: np.ndarray,
    noise_ceiling: np.ndarray,
    members: np.ndarray,
    *,
    rois: list[str],
    resamples: int,
    seed: int,
) -> xr.Dataset:
    """Share of an ROI's explainable variance that each model explains: Σ R² / Σ noise ceiling.

    Sums run over the ROI's voxels with a ceiling of LEAST_CEILING or more. predictions, measured,
    noise_ceiling: as for score_predictions. members: bool (roi, voxel).

    Returns roi_r2_normalised (model, roi); roi_r2 (model, roi): the mean over all of the ROI's
    voxels, which is what remains where a dataset has no noise ceiling; roi_difference (model,
    reference, roi): that of the first model less that of the second; all with <name>_interval
    (..., bound), 95% bootstrap percentiles over images, paired between models; roi_voxels (roi):
    how many the sums run over. NaN where there is none.
    """
    weights = _draw_resamples(len(measured), resamples, seed)
    usable = np.nan_to_num(noise_ceiling) >= LEAST_CEILING
    every = np.asarray(members, dtype=bool)
    members = every & usable
    models = list(predictions)
    total = (members * np.where(usable, noise_ceiling, 0.0)).sum(axis=1)
    total = np.where(total > 0, total, np.nan)
    size = every.sum(axis=1)
    size = np.where(size > 0, size, np.nan)

    value, mean = np.empty((2, len(models), len(rois)))
    draws, mean_draws = np.zeros((2, len(models), len(rois), resamples))
    for number, model in enumerate(models):
        r2 = np.nan_to_num(r_squared(measured, predictions[model]))
        value[number], mean[number] = members @ r2 / total, every @ r2 / size
        terms = r_squared_terms(measured, predictions[model])
        for start in range(0, len(usable), VOXEL_BLOCK):
            part = slice(start, start + VOXEL_BLOCK)
            block = bootstrap_over_images(
                [term[:, part] for term in terms], r_squared_of_means, weights
            )
            block = np.nan_to_num(block).T
            draws[number] += members[:, part] @ block
            mean_draws[number] += every[:, part] @ block
    draws /= total[:, None]
    mean_draws /= size[:, None]

    dataset = xr.Dataset(
        coords={"model": models, "reference": models, "roi": rois, "bound": ["low", "high"]}
    )
    for name, values, drawn in (("r2_normalised", value, draws), ("r2", mean, mean_draws)):
        dataset[f"roi_{name}"] = (("model", "roi"), values)
        bounds = np.stack(interval(drawn, axis=-1), axis=-1)
        dataset[f"roi_{name}_interval"] = (("model", "roi", "bound"), bounds)
    difference = np.zeros((len(models), len(models), len(rois)))
    bounds = np.zeros((*difference.shape, 2))
    for one, other in itertools.permutations(range(len(models)), 2):
        difference[one, other] = value[one] - value[other]
        bounds[one, other] = np.stack(interval(draws[one] - draws[other], axis=-1), axis=-1)
    dataset["roi_difference"] = (("model", "reference", "roi"), difference)
    dataset["roi_difference_interval"] = (("model", "reference", "roi", "bound"), bounds)
    dataset["roi_voxels"] = ("roi", members.sum(axis=1))
    return _annotate(dataset)


def score_intervals(
    prediction: np.ndarray,
    measured: np.ndarray,
    residual_deviation: np.ndarray,
    members: np.ndarray,
    *,
    rois: list[str],
    resamples: int,
    seed: int,
) -> xr.Dataset:
    """Count how many measured responses lie in the intervals that the encoder predicts for them.

    The interval of level c is prediction ± Φ⁻¹((1 + c) / 2) · residual_deviation; where it is
    calibrated, a share c of the measured responses lies in it. prediction, measured: (image,
    voxel), of images that had no part in the fit. residual_deviation: (voxel,), of fit_subjects.
    members: bool (roi, voxel).

    Returns coverage (level, voxel), the share over images; roi_coverage (level, roi), the mean over
    the ROI's voxels, with roi_coverage_interval (level, roi, bound): 95% bootstrap percentiles over
    images. NaN of an ROI without voxels.
    """
    weights = _draw_resamples(len(measured), resamples, seed)
    reach = ndtri((1 + np.array(LEVELS)) / 2)
    distance = np.abs(measured - prediction) / residual_deviation
    inside = np.stack([distance <= each for each in reach])
    size = members.sum(axis=1)
    share = np.asarray(members, dtype=float) / np.where(size > 0, size, np.nan)[:, None]
    by_image = np.einsum("liv,rv->lri", inside, share)
    bounds = np.stack(interval(by_image @ weights.T, axis=-1), axis=-1)
    dataset = xr.Dataset(
        {
            "coverage": (("level", "voxel"), inside.mean(axis=1)),
            "roi_coverage": (("level", "roi"), by_image.mean(axis=-1)),
            "roi_coverage_interval": (("level", "roi", "bound"), bounds),
        },
        coords={"level": list(LEVELS), "roi": rois, "bound": ["low", "high"]},
    )
    return _annotate(dataset)


def _draw_resamples(images: int, resamples: int, seed: int) -> np.ndarray:
    return bootstrap_weights(images, resamples=resamples, generator=generator(seed, "scores"))


def _root_mean_square(error: np.ndarray) -> np.ndarray:
    """Over images, (image, voxel): float32 (voxel,)."""
    return np.sqrt(np.square(error).mean(axis=0)).astype(np.float32)


def _test_prediction(
    name: str,
    measured: np.ndarray,
    predicted: np.ndarray,
    centre: np.ndarray,
    *,
    permutations: int,
    seed: int,
) -> dict[str, tuple[str, np.ndarray]]:
    flips = generator(seed, "flip", name)
    z, p = gain_test(measured, predicted, centre, permutations=permutations, generator=flips)
    return {
        f"{name}_r2": ("voxel", r_squared(measured, predicted).astype(np.float32)),
        f"{name}_z": ("voxel", z.astype(np.float32)),
        f"{name}_p": ("voxel", p),
    }


_LONG_NAMES = {
    "query": "query of each voxel and head",
    "readout": "readout of each voxel and head",
    "key": "key projection, shared by all voxels",
    "value": "value projection, shared by all voxels",
    "position": "weights of the receptive field over the position basis",
    "bias": "bias",
    "role": "what the fit used the image for",
    "validation_r2": "R² on the validation images",
    "validation_z": "image-level test that the prediction beats the mean, validation images",
    "validation_p": "one-sided p of validation_z by sign flips over images",
    "residual_deviation": "root mean squared error on the validation images",
    "held_out_r2": "R² on the images of the other half",
    "held_out_z": "image-level test that the prediction beats the mean, the other half's images",
    "held_out_p": "one-sided p of held_out_z by sign flips over images",
    "training_loss": "mean squared error on training images",
    "validation_score": "mean over voxels of R² on the validation images",
    "r2": "coefficient of determination",
    "r": "Pearson correlation",
    "r2_normalised": "R² over the noise ceiling",
    "roi_r2": "coefficient of determination",
    "roi_r2_normalised": "R² over the noise ceiling",
    "roi_difference": "difference of R² over the noise ceiling, model less reference",
    "coverage": "share of measured responses inside the predicted interval",
    "roi_coverage": "the same, mean over the ROI's voxels",
    "roi_voxels": "voxels with a sufficient noise ceiling",
}

_UNITS = dict.fromkeys(("readout", "bias", "residual_deviation"), "z-scored response")


def _annotate(dataset: xr.Dataset) -> xr.Dataset:
    for name in dataset.data_vars:
        stem = str(name).removesuffix("_interval")
        dataset[name].attrs["long_name"] = (
            _LONG_NAMES[stem] if stem == name else f"95% interval of: {_LONG_NAMES[stem]}"
        )
        dataset[name].attrs["units"] = _UNITS.get(stem, "1")
    return dataset
