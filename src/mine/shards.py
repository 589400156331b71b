"""Shards: stores that hold the images of an analysis by ranges of their identities."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mine.errors import InputError
from mine.stores import CHUNK_BYTES, open_store

if TYPE_CHECKING:
    import xarray as xr

READ_BYTES = 16 * 2**20
"""Most that is read of a shard at a time, where some of its images are wanted."""


def shard_of(images: np.ndarray, shard: int, *, size: int) -> np.ndarray:
    """Return the images of one shard: those whose identity is in [shard · size, (shard + 1) ·
    size).

    images: (image,) identities from 0. A shard's place depends on identities alone, so that images
    added later leave the other shards as they are.
    """
    return images[images // size == shard]


def list_shards(path: Path | str) -> list[Path]:
    """Return the stores that a list of shards names, which lie beside it.

    Raises InputError if there is no such list.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"list of shards {path}: expected a file, found none")
    names = json.loads(path.read_text(encoding="utf-8"))["shards"]
    return [path.with_name(name) for name in names]


def open_images(
    paths: Iterable[Path | str], images: np.ndarray, *, only: Sequence[str] | None = None
) -> xr.Dataset:
    """Read some images out of the shards that hold them, in the order asked for.

    paths: stores with an ``image`` coordinate of identities. images: (image,) identities. only:
    names of the variables that are read; None reads all. Hardly more than the chunks that hold them
    is read. Raises InputError if one is in none of the shards.
    """
    import xarray as xr

    shards = list(map(open_store, paths))
    if only is not None:
        shards = [shard[list(only)] for shard in shards]
    missing = np.setdiff1d(images, np.concatenate([shard["image"].values for shard in shards]))
    if len(missing):
        raise InputError(
            f"{len(missing)} images, the first of them {missing[0]}: expected each in one of the "
            "shards, found in none"
        )
    # Made once and filled shard by shard: put together and brought into order afterwards, the
    # tokens of a subject would be in memory three times.
    variables = {}
    for name, variable in shards[0].variables.items():
        if "image" in variable.dims:
            shape = [
                len(images) if one == "image" else variable.sizes[one] for one in variable.dims
            ]
            dtype = np.result_type(*(shard[name].dtype for shard in shards))
            variable = xr.Variable(variable.dims, np.empty(shape, dtype), variable.attrs)
        variables[name] = variable.load()
    for shard in shards:
        rows = shard.indexes["image"].get_indexer(images)
        held = np.unique(rows[rows >= 0])
        for name, variable in variables.items():
            if "image" not in variable.dims:
                continue
            stored, axis = shard.variables[name], variable.get_axis_num("image")
            filled = np.moveaxis(variable.values, axis, 0)
            for run in _runs(held, row_bytes=stored[{"image": slice(1)}].nbytes):
                places = np.flatnonzero((rows >= run.start) & (rows < run.stop))
                part = np.moveaxis(stored[{"image": run}].values, axis, 0)
                filled[places] = part[rows[places] - run.start]
    return xr.Dataset(variables, attrs=shards[0].attrs).set_coords(list(shards[0].coords))


def _runs(rows: np.ndarray, *, row_bytes: int) -> list[slice]:
    """Return slices that hold ascending rows, of at most READ_BYTES each. Rows that are less than a
    chunk apart are read together, with those between them."""
    near, most = (max(1, limit // max(1, row_bytes)) for limit in (CHUNK_BYTES, READ_BYTES))
    parts = np.split(rows, np.flatnonzero(np.diff(rows) > near) + 1)
    return [
        slice(int(start), int(min(start + most, part[-1] + 1)))
        for part in parts
        if len(part)
        for start in range(part[0], part[-1] + 1, most)
    ]
