"""Regions of interest as parts of a voxel set: what readers of every dataset make of theirs."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from mine.datasets.voxels import VoxelSet
from mine.errors import InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Members:
    """An ROI within a voxel set. inside: bool (voxel,); size: of the ROI, inside it or not."""

    inside: np.ndarray
    size: int
    source: str


def describe_rois(
    subject: str,
    *,
    voxels: VoxelSet,
    found: Mapping[str, Members],
    absent: Mapping[str, str],
    t_values: Mapping[str, np.ndarray],
    t_threshold: float | Mapping[str, float] | None = None,
) -> xr.Dataset:
    """Which voxels belong to which ROI, and the localiser's t-values, as a dataset.

    found: name -> members. absent: name -> why the subject lacks it. t_values: contrast ->
    (voxel,); none without a localiser. t_threshold: what the ROIs were cut at.

    Returns ``member`` bool (roi, voxel), ``size`` (roi): voxels of the ROI inside and outside of
    the voxel set, and ``t`` float32 (contrast, voxel), nan where the localiser has no finite value;
    the log says of how many voxels. Absent ROIs are named in attrs ``absent``, each with the reason
    in ``absent_reason``, and logged.
    """
    for name, reason in absent.items():
        log.warning("ROI %s is left out: %s", name, reason)
    count = len(voxels)
    members = np.array([one.inside for one in found.values()], dtype=bool)
    t = np.array(list(t_values.values()), dtype=np.float32).reshape(-1, count)
    t[~np.isfinite(t)] = np.nan
    for contrast, lacking in zip(t_values, np.isnan(t).sum(axis=1), strict=True):
        if lacking:
            log.warning("localiser %s: %d of %d voxels have no t-value", contrast, lacking, count)
    return xr.Dataset(
        {
            "member": (
                ("roi", "voxel"),
                members.reshape(-1, count),
                {"long_name": "whether the voxel belongs to the ROI"},
            ),
            "size": (
                "roi",
                np.array([one.size for one in found.values()], dtype=np.int32),
                {"long_name": "voxels of the ROI, in the voxel set or not", "units": "voxels"},
            ),
            "t": (
                ("contrast", "voxel"),
                t,
                {"long_name": "t-value of the functional localiser", "units": "t"},
            ),
        },
        coords={
            "roi": ("roi", np.array(list(found), dtype=np.str_)),
            "source": ("roi", np.array([one.source for one in found.values()], dtype=np.str_)),
            "contrast": ("contrast", np.array(list(t_values), dtype=np.str_)),
            **voxels.to_coordinates(),
        },
        attrs={
            "subject": subject,
            "absent": list(absent),
            "absent_reason": list(absent.values()),
            "t_threshold": json.dumps(t_threshold),
            **voxels.to_attributes(),
        },
    )


def require_region(rois: xr.Dataset) -> None:
    """Raise InputError where a subject has none of the regions asked for, of which nothing could be
    told; each with the reason. rois: as describe_rois makes it."""
    if rois.sizes["roi"]:
        return
    subject, absent = rois.attrs["subject"], rois.attrs["absent"]
    reasons = zip(absent, rois.attrs["absent_reason"], strict=True)
    raise InputError(
        f"subject {subject}: expected at least one of rois, {', '.join(absent)}, found none; leave "
        f"the subject out, or name a region that it has "
        f"({'; '.join(f'{roi}: {reason}' for roi, reason in reasons)})"
    )
