"""Encoders of a subject: which images each fit may see, how it is fitted, and how well it predicts
those that it may judge itself by. Scores on test images are those of mine.stages.scoring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

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
from mine.statistics.permutation import gain_test
from mine.statistics.scores import r_squared

HALVES = ("first_half", "second_half")


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
    members: int,
    permutations: int = 10_000,
    seed: int,
    device: str,
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
        own = np.arange(len(subject.images))
        if part in HALVES:
            halves = dict(zip(HALVES, split_halves(subject.images, seed=seed), strict=True))
            own = np.flatnonzero(np.isin(subject.images, halves[part]))
        responses = subject.responses
        if fit.endswith("_shuffled"):
            responses = shuffle_halves(responses, subject.images, seed=seed)
        held = draw_validation(len(own), validation_fraction, seed, part)
        chosen.append((own, held))
        data.append(FittingData(subject.tokens, responses, own[~held], own[held]))

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
    for subject, (own, held), given, weights in zip(subjects, chosen, data, fitted, strict=True):
        dataset = weights_to_dataset(weights).assign_coords(image=np.asarray(subject.images)[own])
        dataset["role"] = ("image", np.where(held, "validation", "train"))
        centre = given.responses[given.training].mean(axis=0)
        tested = {"validation": given.validation}
        if part in HALVES:
            tested["held_out"] = np.setdiff1d(np.arange(len(subject.images)), own)
        for name, unseen in tested.items():
            measured = given.responses[unseen]
            predicted = predict(move_weights(weights, device), given.tokens, phi, images=unseen)
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
}

_UNITS = dict.fromkeys(("readout", "bias", "residual_deviation"), "z-scored response")


def _annotate(dataset: xr.Dataset) -> xr.Dataset:
    for name in dataset.data_vars:
        dataset[name].attrs |= {"long_name": _LONG_NAMES[name], "units": _UNITS.get(name, "1")}
    return dataset
