"""What profiles say of named lists (`lens.lists`): the word of each list that is sure."""

from __future__ import annotations

import xarray as xr


def find_sure_lists(profiles: xr.Dataset) -> xr.DataArray:
    """Return of which lists a voxel's word may be believed: bool, (list, voxel) or (list,).

    Measured responses confirm the word beside all that the profile lists, and the voxel is
    described. profiles: ``list_listed`` and ``described``, of voxels or of one.
    """
    return profiles["list_listed"] & profiles["described"]
