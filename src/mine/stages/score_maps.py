"""What maps say of how well a subject's voxels are predicted, and what of it is content."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mine.sections import MEASURES


def gather_measures(scores: xr.Dataset, baselines: xr.Dataset) -> dict[str, np.ndarray]:
    """Return what is mapped of every voxel of a subject, float (voxel,), by mine.sections.MEASURES.

    scores: r2 and r2_normalised (model, voxel), of which those of ``mine`` are taken, and
    noise_ceiling (voxel); of mine.stages.scoring. baselines: split_r2 (band, voxel), what either
    band of banded ridge has of its R² across halves, which is their sum; of mine.stages.baselines.
    All are shares of variance, without a unit, and nothing is clipped. NaN where a measure is not
    known: the noise ceiling of a dataset without one, and what too low a ceiling would divide.
    """
    mine, parts = scores.sel(model="mine"), baselines["split_r2"]
    known = {
        "r2": mine["r2"],
        "noise_ceiling": scores["noise_ceiling"],
        "r2_normalised": mine["r2_normalised"],
        "split_r2_semantic": parts.sel(band="semantic"),
        "split_r2_low_level": parts.sel(band="low_level"),
    }
    return {measure: known[measure].values for measure in MEASURES}
