"""Ridge regressions on the encoder's split, and what a voxel owes to content and to contrast.

All features are standardised on the images of the fit, all penalties chosen by cross-validation
within them, in float64: the smallest penalties leave kernels that float32 cannot invert.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from himalaya.scoring import r2_score_split
from sklearn.model_selection import KFold

from mine.core.ridge import fit_banded_ridge, fit_ridge
from mine.core.splits import draw_folds
from mine.randomness import generator
from mine.statistics.permutation import sign_flip_test
from mine.statistics.scores import r_squared

BANDS = ("semantic", "low_level")

VOXEL_BLOCK = 16_384
"""Voxels that are fitted at once: 90 bytes for each of them and each image."""


def fit_baselines(
    embedding: np.ndarray,
    low_level: np.ndarray,
    responses: np.ndarray,
    *,
    training: np.ndarray,
    halves: tuple[np.ndarray, np.ndarray],
    captions: np.ndarray,
    alphas: Sequence[float],
    folds: int = 5,
    mixtures: int = 9,
    permutations: int = 10_000,
    seed: int,
) -> xr.Dataset:
    """Fit the baselines of a subject, and partition each voxel's variance between two bands.

    embedding: (image, feature), the pooled embedding. captions: (image, feature), the embedding of
    the image's captions, zeros where it has none. low_level: (image, feature). responses: (image,
    voxel), z-scored. training: bool (image,); the rest are test images, which are only predicted.
    halves: positions (image,) of two disjoint halves of the training images, those of the encoder's
    fits. alphas: penalties to choose from, per voxel. folds: of the cross-validation. mixtures:
    weights of the two bands to choose from, per voxel, evenly from one band alone to the other
    alone.

    Returns

    - prediction (model, image, voxel), float32: of the test images in their order, by ``ridge`` on
      the embedding, ``caption`` on the captions (left out unless both training and test images have
      some), ``banded`` on embedding and low-level features, each fitted on all training images:
      ridge needs none apart from its folds to validate on
    - ridge_weight (voxel, feature), of ``ridge``, per unit of the embedding as it was given
    - alpha (model, voxel), and band_weight (band, voxel): banded ridge's share of each band
    - split_r2 (band, voxel): banded ridge's R² partitioned by the product measure; the sum over
      bands is R². low_level_r2 (voxel): that of ridge on the low-level band alone
      The semantic band enters these last less its ridge regression on the low-level features over
      the training images (which takes no response), so that what both could tell is low-level
    - semantic_z (half, voxel): image-level test (sign flips) that the semantic band adds to the
      low-level one, see measure_semantic_gain, on the images of each half. semantic_p (voxel): the
      larger of the halves' one-sided p: only what both halves show counts. These last four are
      taken over training images, each predicted by the fits of the half that it does not belong
      to: neither their weights nor their penalties have seen it.
    """
    training = np.asarray(training, dtype=bool)
    options = {"alphas": np.asarray(alphas, dtype=np.float64)}
    options |= {"folds": draw_folds(folds, seed)}
    bands = [np.asarray(embedding, np.float64), np.asarray(low_level, np.float64)]
    fitted, test = np.flatnonzero(training), np.flatnonzero(~training)
    singles = {"ridge": bands[0]}
    # Learned from zeros alone, or asked of zeros alone, it would say nothing of captions.
    if captions[fitted].any() and captions[test].any():
        singles["caption"] = np.asarray(captions, np.float64)
    # What the low-level features tell of the embedding counts as low-level.
    told = fit_ridge(bands[1][fitted], bands[0][fitted], **options)
    rest = bands[0] - told.predict(bands[1])

    parts = []
    for start in range(0, responses.shape[1], VOXEL_BLOCK):
        own = responses[:, start : start + VOXEL_BLOCK]
        predicted = _fit_to_all(singles, bands, own, fitted, test, mixtures=mixtures, **options)
        semantic = _compare_bands(
            [rest, bands[1]],
            own,
            halves,
            mixtures=mixtures,
            permutations=permutations,
            seed=seed,
            **options,
        )
        parts.append(predicted | semantic)
    dataset = xr.concat(
        [xr.Dataset(part) for part in parts], "voxel", data_vars="minimal"
    ).assign_coords(
        model=[*singles, "banded"], band=list(BANDS), half=["first_half", "second_half"]
    )
    for name, long_name in _LONG_NAMES.items():
        dataset[name].attrs = {"long_name": long_name, "units": _UNITS.get(name, "1")}
    return dataset


def _fit_to_all(
    singles: Mapping[str, np.ndarray],
    bands: Sequence[np.ndarray],
    responses: np.ndarray,
    fitted: np.ndarray,
    test: np.ndarray,
    *,
    mixtures: int,
    **options: Any,
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Fit every model to all training images: what fit_baselines returns of them, by name.

    singles: by model, and bands: (image, feature). fitted, test: positions of images.
    """
    fits = {
        model: fit_ridge(features[fitted], responses[fitted], **options)
        for model, features in singles.items()
    }
    predict, alpha, band_weight = fit_banded_ridge(
        [band[fitted] for band in bands], responses[fitted], mixtures=mixtures, **options
    )
    predictions = [fit.predict(singles[model][test]) for model, fit in fits.items()]
    predictions.append(predict([band[test] for band in bands]).sum(axis=0))
    return {
        "prediction": (("model", "image", "voxel"), np.stack(predictions).astype(np.float32)),
        "ridge_weight": (
            ("voxel", "feature"),
            fits["ridge"].read_weights().T.astype(np.float32),
        ),
        "alpha": (("model", "voxel"), np.stack([*(fit.alpha for fit in fits.values()), alpha])),
        "band_weight": (("band", "voxel"), band_weight),
    }


def _compare_bands(
    bands: Sequence[np.ndarray],
    responses: np.ndarray,
    halves: tuple[np.ndarray, np.ndarray],
    *,
    permutations: int,
    seed: int,
    **options: Any,
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """Ask across halves what either band tells: what fit_baselines returns of it, by name.

    bands: (image, feature), the semantic one less what the low-level features tell of it.
    """
    crossed, low_only = _predict_across_halves(bands, responses, halves, **options)
    members = np.sort(np.concatenate(halves))
    measured = responses[members].astype(np.float64)
    semantic_z, semantic_p = [], []
    for name, half in zip(("first", "second"), halves, strict=True):
        rows = np.searchsorted(members, half)
        gain = measure_semantic_gain(measured[rows], crossed[0, rows], low_only[rows])
        flips = generator(seed, "baselines", "flips", name)
        z, p = sign_flip_test(gain, permutations=permutations, generator=flips)
        semantic_z.append(z)
        semantic_p.append(p)
    return {
        "split_r2": (("band", "voxel"), partition_variance(measured, crossed)),
        "low_level_r2": (("voxel",), r_squared(measured, low_only)),
        "semantic_z": (("half", "voxel"), np.stack(semantic_z)),
        "semantic_p": (("voxel",), np.max(semantic_p, axis=0)),
    }


def partition_variance(measured: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Share of R² of each summand of a prediction, by the product measure.

    With ŷ = Σ_b ŷ_b:  R²_b = Σ_n ŷ_b (2 y − ŷ) / Σ_n y², y centred; Σ_b R²_b = R² of ŷ.

    measured: (image, voxel). predicted: (band, image, voxel). Returns (band, voxel).
    """
    mean = measured.mean(axis=0)
    # Himalaya's measure wants centred responses; it goes in equal parts to the bands.
    return r2_score_split(measured - mean, predicted - mean / len(predicted))


def measure_semantic_gain(
    measured: np.ndarray, semantic: np.ndarray, low_level: np.ndarray
) -> np.ndarray:
    """What each image says for the semantic band, once the low-level ridge has said its part.

    The product, per image, of measured response and semantic prediction, each less its regression
    on the low-level ridge's prediction: the terms of their partial covariance. It is near zero on
    average for a voxel that the low-level features explain, however much of them the embedding
    encodes too. A comparison of squared errors is not: the banded ridge, which can drop the many
    low-level features, gains by overfitting less where there is nothing to fit, and by a better
    penalty where there is only contrast.

    All (image, voxel), predictions by fits that have not seen these images.
    """
    return _remove_linear(measured, low_level) * _remove_linear(semantic, low_level)


def _remove_linear(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Residual of the regression, per column, of values on known, with an intercept."""
    values, known = values - values.mean(axis=0), known - known.mean(axis=0)
    power = np.square(known).sum(axis=0)
    slope = (values * known).sum(axis=0) / np.where(power > 0, power, 1.0)
    return values - slope * known


def _predict_across_halves(
    bands: Sequence[np.ndarray],
    responses: np.ndarray,
    halves: tuple[np.ndarray, np.ndarray],
    *,
    alphas: np.ndarray,
    folds: KFold,
    mixtures: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Predict each half by fits of the other: banded (band, image, voxel), low-level alone."""
    members = np.sort(np.concatenate(halves))
    joint = np.empty((len(bands), len(members), responses.shape[1]))
    alone = np.empty(joint.shape[1:])
    for fitted, other in (halves, halves[::-1]):
        place = np.searchsorted(members, other)
        predict, *_ = fit_banded_ridge(
            [band[fitted] for band in bands],
            responses[fitted],
            alphas=alphas,
            folds=folds,
            mixtures=mixtures,
        )
        joint[:, place] = predict([band[other] for band in bands])
        fit = fit_ridge(bands[1][fitted], responses[fitted], alphas=alphas, folds=folds)
        alone[place] = fit.predict(bands[1][other])
    return joint, alone


_LONG_NAMES = {
    "ridge_weight": "weights of ridge on the pooled embedding",
    "prediction": "predicted response to the test images",
    "alpha": "ridge penalty",
    "band_weight": "share of each band in banded ridge",
    "split_r2": "R² of banded ridge by band, product measure, across halves",
    "low_level_r2": "R² of ridge on the low-level band alone, across halves",
    "semantic_z": "image-level test that the semantic band adds to the low-level one",
    "semantic_p": "larger one-sided p of semantic_z, by sign flips over the images of each half",
}

_UNITS = {"prediction": "z-scored response"}
