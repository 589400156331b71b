"""How well encoders predict responses to test images: each voxel, each region, with intervals."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import xarray as xr
from scipy.special import ndtri

from mine.randomness import generator
from mine.statistics.bootstrap import (
    bootstrap_interval,
    bootstrap_over_images,
    bootstrap_weights,
    interval,
)
from mine.statistics.ceiling import LEAST_CEILING
from mine.statistics.scores import (
    pearson,
    pearson_of_means,
    pearson_terms,
    r_squared,
    r_squared_of_means,
    r_squared_terms,
)

# Voxels whose bootstrap draws are in memory at once.
VOXEL_BLOCK = 1024

LEVELS = (0.5, 0.8, 0.95)
"""Levels of the intervals that are predicted of measured responses."""


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


_LONG_NAMES = {
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


def _annotate(dataset: xr.Dataset) -> xr.Dataset:
    for name in dataset.data_vars:
        stem = str(name).removesuffix("_interval")
        said = _LONG_NAMES[stem] if stem == name else f"95% interval of: {_LONG_NAMES[stem]}"
        dataset[name].attrs |= {"long_name": said, "units": "1"}
    return dataset
