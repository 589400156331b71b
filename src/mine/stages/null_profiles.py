"""The random profiles with which those of all of a subject's regions are compared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from mine.core.preference import deal_profiles, join_voxels, order_regions

WEIGHT_VARIABLES = ("group_z", "described")
"""What is read of profiles."""


def deal_null(
    profiles: Mapping[str, xr.Dataset],
    *,
    text: np.ndarray,
    group_text: np.ndarray,
    generator: np.random.Generator,
    random_profiles: int = 10_000,
) -> xr.Dataset:
    """Deal the random profiles with which those of all of a subject's ROIs are compared.

    profiles: by ROI, all of the subject's, of one fit: ``described`` (voxel,) and ``group_z``
    (voxel, group), which is read a ROI at a time and kept of the described voxels. Voxels that ROIs
    share count once, as described if any ROI does. text: (category, feature). group_text: (group,
    feature), text of each group's word.

    Returns ``cosine`` (profile, category), with no profile where no voxel is described by a word.
    """
    described = [
        own.isel(voxel=own["described"].values.nonzero()[0]).load()
        for own in order_regions(profiles)
    ]
    weights = np.maximum(join_voxels(described)["group_z"].values, 0)
    cosine = np.zeros((0, len(text)), np.float32)
    if weights.any():
        dealt = deal_profiles(weights, group_text, count=random_profiles, generator=generator)
        cosine = dealt @ text.T
    name = "cosine of a random profile with the category in text space"
    return xr.Dataset({"cosine": (("profile", "category"), cosine, {"long_name": name})})
