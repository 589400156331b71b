"""Sufficiency: do pictures made from a description alone drive the voxel as the original did?

With p the prediction for a picture, o that for the original, both by the same encoder, and a mean
over the samples of a prompt, the error of condition c is

    e_c(voxel, image) = mean |p_c - o|

and the advantage of the description's words over a control is e_control - e_description, paired
over images. All is measured a second time with the *measured* response to the original for o. There
no model is its own reference, and the noise of the measurement is in the errors of all conditions.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from mine.core.conditions import TO_MEASURED
from mine.core.contrasts import contrast
from mine.statistics.scores import pearson


def measure_sufficiency(
    generated: xr.Dataset,
    *,
    measured: np.ndarray,
    generator: np.random.Generator,
) -> xr.Dataset:
    """Compare the pictures' predicted responses with the originals'.

    generated: of mine.stages.generation.record_pictures. measured: (voxel, chosen), responses to
    the originals. Where there is no image or no picture all is nan.

    Returns the predictions with, for each model, errors and correlations by condition and, by
    control, the advantage of the description's pictures (:func:`mine.core.contrasts.contrast`);
    those of the measured responses under names that begin with TO_MEASURED: see docs/stores.md.
    """
    picture, original = generated["picture"].values, generated["original"].values
    shown = np.stack([_gather(values, picture) for values in generated["response"].values])
    response = shown.mean(axis=-1)
    by_image = ("model", "condition", "voxel", "chosen")
    unit = {"units": "standard deviations of the response"}
    result = xr.Dataset(
        {
            "image": generated["image"],
            "measured": (
                by_image[2:],
                measured.astype(np.float32),
                {"long_name": "measured response to the original", **unit},
            ),
            "original": (
                ("model", "voxel", "chosen"),
                original.astype(np.float32),
                {"long_name": "predicted response to the original", **unit},
            ),
            "response": (
                by_image,
                response.astype(np.float32),
                {"long_name": "predicted response to the pictures, mean over samples", **unit},
            ),
        },
        coords={"condition": generated["condition"].values},
    )
    references = {"": ("predicted", original[:, None]), TO_MEASURED: ("measured", measured)}
    for prefix, (kind, reference) in references.items():
        error = np.abs(shown - reference[..., None]).mean(axis=-1)
        found = _contrast_errors(error, generated, generator).assign(
            error=(
                by_image,
                error.astype(np.float32),
                {"long_name": f"|picture, predicted - original, {kind}|, over samples", **unit},
            ),
            correlation=(
                by_image[:3],
                _correlate(response, reference),
                {"long_name": f"over images, of picture, predicted, and original, {kind}"},
            ),
        )
        result = result.merge(found.rename({name: prefix + name for name in found.data_vars}))
    return result


def _contrast_errors(
    error: np.ndarray, generated: xr.Dataset, generator: np.random.Generator
) -> xr.Dataset:
    """Test whether the description's errors, (model, condition, voxel, chosen), are the smaller."""
    advantage = xr.DataArray(
        error[:, 1:] - error[:, :1],
        {
            "model": generated["model"].values,
            "control": list(generated["condition"].values[1:]),
            "voxel": generated["voxel"].values,
        },
        ("model", "control", "voxel", "chosen"),
    )
    return contrast(advantage, generated["image"].values, generator=generator)


def measured_originals(generated: xr.Dataset, responses: xr.Dataset) -> np.ndarray:
    """Measured responses to the originals, float32 (voxel, chosen); nan where there is none.

    responses: ``response`` (image, voxel) of all the subject's voxels.
    """
    image = generated["image"]
    known = responses["response"].sel(image=np.unique(image.values[image.values >= 0]))
    measured = np.full(image.shape, np.nan, np.float32)
    for row, voxel in enumerate(generated["voxel"].values):
        chosen = image.values[row] >= 0
        response = known.isel(voxel=int(voxel)).sel(image=image.values[row][chosen])
        measured[row][chosen] = response.values
    return measured


def _gather(values: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """(picture, voxel) by a plan's (condition, voxel, chosen, sample); nan where it has none."""
    voxel = np.arange(picture.shape[1])[:, None, None]
    padded = np.concatenate([values, np.full((1, values.shape[1]), np.nan, values.dtype)])
    return padded[picture, voxel]


def _correlate(response: np.ndarray, original: np.ndarray) -> np.ndarray:
    """Pearson correlation along the last axis, over pairs that are known; nan for fewer than 3."""
    response, original = np.broadcast_arrays(response, original)
    result = np.full(response.shape[:-1], np.nan)
    for index in np.ndindex(result.shape):
        known = np.isfinite(response[index]) & np.isfinite(original[index])
        if known.sum() > 2:
            result[index] = pearson(original[index][known], response[index][known])
    return result
