"""Counterfactuals: does inserting or removing a feature shift the response as it should?

With Δ the predicted response to the edited image less that to the image before, and s = +1 for
insertion, -1 for removal,

    shift     = s Δ(condition)
    effect    = s [Δ(guide) - Δ(control)]            guide: description or profile
    guidance  = s [Δ(profile) - Δ(description)]

each paired over the images of a voxel: positive is as expected. An edit of random content shifts
responses too, which is why the effect, not the shift, is the evidence.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from mine.core.conditions import CONTROLS, DIRECTIONS, GUIDES
from mine.core.contrasts import contrast

EXPECTED = xr.DataArray(list(DIRECTIONS.values()), {"direction": list(DIRECTIONS)}, ("direction",))


def measure_counterfactuals(edits: xr.Dataset, *, generator: np.random.Generator) -> xr.Dataset:
    """Measure the edits of one region's voxels.

    edits: the plan (mine.stages.editing) with ``change`` (model, edit, voxel), ``off_target``
    (model, edit), ``outside_similarity`` (edit), ``presence_before`` and ``presence_after`` (edit).

    Returns, per (model, direction, …, voxel, chosen), the shifts; the statistics of
    :func:`mine.core.contrasts.contrast` for shift, effect and guidance under names that begin so;
    and by (direction, condition) how the edits went: see docs/stores.md.
    """
    index = edits["index"]
    shift = _gather(edits["change"], index) * EXPECTED
    shift = shift.transpose("model", "direction", "condition", "voxel", "chosen")
    guides = shift.sel(condition=list(GUIDES)).rename(condition="guide")
    controls = shift.sel(condition=list(CONTROLS)).rename(condition="control")
    differences = {
        "shift": shift,
        "effect": (guides - controls).transpose("model", "direction", "guide", "control", ...),
        "guidance": guides.sel(guide="profile", drop=True)
        - guides.sel(guide="description", drop=True),
    }
    result = xr.Dataset(
        {
            "start": edits["start"],
            "shift": shift.astype(np.float32).assign_attrs(
                long_name="change of the prediction in the expected direction",
                units="standard deviations of the response",
            ),
        }
    )
    for name, difference in differences.items():
        difference = difference.transpose(..., "voxel", "chosen")
        measured = [
            contrast(
                difference.sel(direction=direction, drop=True),
                edits["start"].sel(direction=direction).values,
                generator=generator,
            )
            for direction in edits["direction"].values
        ]
        together = xr.concat(measured, edits["direction"])
        result = result.merge(together.rename({key: f"{name}_{key}" for key in together.data_vars}))
    for name in ("off_target", "outside_similarity", "presence_before", "presence_after"):
        values = _gather(edits[name], index)
        result[name] = values.mean(("voxel", "chosen")).assign_attrs(edits[name].attrs)
    return result


def _gather(values: xr.DataArray, index: xr.DataArray) -> xr.DataArray:
    """Values (…, edit) or (…, edit, voxel) at an index of edits by voxel; nan where it is -1."""
    own = "voxel" in values.dims
    leading = values.dims[: -2 if own else -1]
    missing = np.full((*values.shape[: len(leading)], 1, *values.shape[len(leading) + 1 :]), np.nan)
    padded = np.concatenate([values.values, missing], axis=len(leading))
    voxel = np.arange(index.sizes["voxel"])[:, None]
    place = (..., index.values, voxel) if own else (..., index.values)
    coords = {name: values[name] for name in leading if name in values.coords}
    return xr.DataArray(padded[place], coords | dict(index.coords), (*leading, *index.dims))
