"""Stores: one xarray dataset in one Zarr v3 group, with a manifest that says it is whole.

A store is written to a partial name, renamed, and only then gets its manifest. So a manifest
means a finished store, and whatever a killed job leaves behind is never taken for one.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mine.errors import InputError
from mine.provenance import (
    SCHEMA_VERSION,
    dump_json,
    library_versions,
    manifest_path,
    store_path,
)

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

CHUNK_BYTES = 2**20
"""Size of a chunk before compression: what the smallest read has to decompress. A few images of
tokens, since a subject has seen some of every shard's images and no others are to be read."""

SHARD_BYTES = 512 * 2**20
"""Size of a shard before compression: one file, held in memory while it is written."""

DIGEST_BYTES = 64 * 2**20
"""Most of a variable that is in memory while its content is digested; the digest is the same for
any."""

LIST_COST = 32
"""Places of a slice that take as much memory as one of a list: Zarr holds the coordinates of every
number that a list stands for."""

TEXT_COLUMNS = (
    *("subject", "other", "roi", "blob", "category", "name", "item", "part"),
    *("word", "other_word", "words", "suppressed_words", "listed_false", "main", "second"),
    *("profile", "measured", "localiser", "reason", "prompt", "instruction", "negative"),
    *("measure", "form", "explainer", "alignment", "varied", "reading", "readings"),
    *("model", "direction", "guide", "condition", "against", "panel", "source", "null", "map"),
    *("mode", "ranking", "sentence", "added", "list_colour"),
)
"""Columns of tables that hold text, whatever it looks like: a subject may be called 01, a word
null, a region NA."""

READER = {"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"}
"""What reads chunks: zarrs, twice as fast as Zarr's own code. It does not write them, since it does
not tell a full disk from another failure."""

DECODING = (ValueError, RuntimeError, LookupError, TypeError, AttributeError, FileNotFoundError)
"""What a store's damaged files raise: a group that is called something else is not found."""

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_store(dataset: xr.Dataset, path: Path | str, *, provenance: Mapping[str, object]) -> None:
    """Write a dataset as a store, whole or not at all.

    Whatever stood at `path` is replaced. The manifest holds the digest of the content, so two runs
    that give the same numbers give the same manifest, byte for byte.

    Args:
        dataset: variables of numbers, booleans or strings, with full-word dimensions.
        path: where to, ending in `.zarr`.
        provenance: what else the manifest says, see `mine.provenance.describe_provenance`.

    Raises:
        InputError: the disk is full; nothing is left of the store.
    """
    path = Path(path)
    # Checked first: a wrong name must not remove anything.
    manifest_path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        _write_whole(dataset, path, partial, provenance)
    except OSError as error:
        # What was written of it would go on filling the disk.
        _remove(partial)
        if error.errno not in DISK_FULL:
            raise
        raise InputError(
            f"store {path}: expected room on the disk to write it, found the disk full or the "
            "quota used up, so nothing of it was kept; make room and run again"
        ) from error


def _write_whole(
    dataset: xr.Dataset, path: Path, partial: Path, provenance: Mapping[str, object]
) -> None:
    """Write a store to its partial name, rename it, and write its manifest."""
    manifest = manifest_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The old manifest goes first: from here on until the new one there is no finished store.
    manifest.unlink(missing_ok=True)
    _remove(partial)
    dataset = _plain(dataset)
    encoding = {name: _layout(variable) for name, variable in dataset.variables.items()}
    # Zarr v3 has a stable form for strings of variable length only.
    storable = _with_strings(dataset, lambda array: array.astype(np.dtypes.StringDType()))
    storable.to_zarr(partial, mode="w", zarr_format=3, consolidated=False, encoding=encoding)
    content = {
        **provenance,
        "schema_version": SCHEMA_VERSION,
        "store": path.name,
        "content_digest": content_digest(dataset),
        "variables": _describe_variables(dataset),
        "files": _file_sizes(partial),
    }
    _remove(path)
    partial.rename(path)
    half = manifest.with_name(manifest.name + ".partial")
    half.write_text(dump_json(content), encoding="utf-8")
    os.replace(half, manifest)


def _describe_variables(dataset: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Return the dimensions, the shape and the type of each variable, as the manifest has them."""
    return {
        str(name): {
            "dimensions": list(map(str, variable.dims)),
            "shape": list(variable.shape),
            "type": _type_name(variable.dtype),
        }
        for name, variable in dataset.variables.items()
    }


def read_manifest(path: Path | str) -> dict[str, Any]:
    """Return the manifest of the store at `path`, which may be the manifest's own.

    Raises:
        InputError: the store is absent, unfinished, or of a layout that this version cannot read.
    """
    path = store_path(path)
    manifest = manifest_path(path)
    if not path.is_dir():
        left = f" but its manifest; delete {manifest} and run again, which makes both anew"
        raise InputError(
            f"store {path}: expected a folder, found nothing{left if manifest.is_file() else ''}"
        )
    if not manifest.is_file():
        raise InputError(
            f"store {path}: expected its manifest {manifest.name} beside it, found none, so the "
            "store was never finished"
        )
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or "content_digest" not in content:
        raise InputError(f"manifest {manifest}: expected a store's manifest, found something else")
    if content.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"store {path}: expected schema version {SCHEMA_VERSION}, found "
            f"{content.get('schema_version')!r}; run the workflow again, or read it by the version "
            "of mine that made it"
        )
    if not _lists_files(content) or not isinstance(content.get("variables"), dict):
        # Without sizes nobody would see that a chunk is missing.
        raise InputError(
            f"manifest {manifest}: expected the store's variables and the sizes of its files, "
            f"found none; {_say_anew(path)}"
        )
    return content


def _lists_files(content: Mapping[str, object]) -> bool:
    """Whether a manifest says how long each file of its store is, of which every store has one."""
    files = content.get("files")
    return isinstance(files, dict) and bool(files) and {int} == set(map(type, files.values()))


def _say_anew(path: Path) -> str:
    """Say how a store that is not whole is made anew; the end of a sentence."""
    return (
        "delete the store and its manifest and run "
        f"`snakemake {manifest_path(path)}`, which makes them anew"
    )


def check_models(
    path: Path | str, models: Mapping[str, str], *, libraries: Iterable[str] = ()
) -> None:
    """Refuse to go on with a store by other models than those that made it.

    Args:
        path: a finished store, or its manifest.
        models: digest of each model that is about to be used, by its name, as the store's manifest
            has it.
        libraries: distributions named in that manifest whose major version has to be the same.

    Raises:
        InputError: as `read_manifest`, or a model or a major version is another one.
    """
    path = store_path(path)
    manifest = read_manifest(path)
    again = f"delete {path} and {manifest_path(path).name} beside it, and run again"
    for name, found in models.items():
        made = manifest["models"].get(name)
        if made != found:
            raise InputError(
                f"{name}.model: expected the model that made {path}, of digest {made}, found one "
                f"of digest {found}; {again} to have all of it by the new one"
            )
    for name, found in library_versions(*libraries).items():
        made = manifest["libraries"].get(name, found)
        if name in libraries and made.split(".")[0] != found.split(".")[0]:
            raise InputError(
                f"{path}: expected {name} {made.split('.')[0]}, which made it, found {found}; "
                f"{again}"
            )


class Backbone(Protocol):
    """What a backbone says of itself, see mine.core.backbone."""

    digest: str
    library: str


def check_backbone(path: Path | str, backbone: Backbone) -> None:
    """Refuse to go on with a store by another backbone than the one that made it, or by another
    major version of the library that runs it. path, errors: of `check_models`.
    """
    check_models(path, {"backbone": backbone.digest}, libraries=[backbone.library])


def check_store(path: Path | str) -> None:
    """Make sure that a store is finished and whole, by its path or its manifest's, and read none of
    its numbers.

    Raises:
        InputError: as `read_manifest` and `check_files`.
    """
    check_files(path, read_manifest(path)["files"])


def check_files(path: Path | str, sizes: Mapping[str, int]) -> None:
    """Make sure that every file of a store is there and as long as it was.

    Zarr reads a chunk whose file is missing as fill values, without a word.

    Args:
        path: a store, or its manifest.
        sizes: of its files, in bytes, as the manifest has them.

    Raises:
        InputError: a file of the store is missing or has another size than when it was written.
    """
    path = store_path(path)
    for name, size in sizes.items():
        try:
            found = (path / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            found = None
        if found != size:
            raise InputError(
                f"store {path}: expected its file {name} of {size} bytes, found "
                f"{'none' if found is None else found}; {_say_anew(path)}"
            )


def open_store(path: Path | str) -> xr.Dataset:
    """Open a finished store, by its path or its manifest's; numbers are read when they are used,
    strings at once.

    Raises:
        InputError: as `check_store`, or a file does not hold what was written, though it is as
            long. Where this is a chunk of numbers, it is raised when these are used.
    """
    import xarray as xr
    import zarr

    path = store_path(path)
    manifest = read_manifest(path)
    check_files(path, manifest["files"])
    with warnings.catch_warnings(), zarr.config.set(READER):
        # Snakemake leaves a time stamp in the folder of every store it has made; whether anything
        # else that Zarr passes over was a variable, the manifest tells.
        warnings.filterwarnings("ignore", message=".*is not recognized as a component of a Zarr")
        with _telling_damage(path):
            dataset = xr.open_dataset(path, engine="zarr", chunks=None, consolidated=False)
            dataset = _plain(dataset)
            if _describe_variables(dataset) != manifest["variables"]:
                # Zarr passes over a variable whose description is none, and reads what lies
                # outside of its chunks as fill values.
                raise ValueError("other variables than those of the manifest")
    return _read_by_slices(dataset, path)


@contextlib.contextmanager
def _telling_damage(path: Path) -> Iterator[None]:
    """Tell in a sentence that what a store's files hold cannot be decoded.

    Zarr, its codecs and its JSON each raise an error of their own for a byte that has changed.
    """
    try:
        yield
    except DECODING as error:
        raise InputError(
            f"store {path}: expected what was written to it, found a file that cannot be decoded; "
            f"{_say_anew(path)}"
        ) from error


def _read_by_slices(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    """Return an opened dataset of which lists of places are picked in memory, out of a slice from
    the first to the last of them.

    Given a list, Zarr holds thirty times what it reads; of a slice, hardly more than that. Only
    where the places of a list are further apart (``LIST_COST``) is the list handed on.
    """
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class Slices(BackendArray):
        def __init__(self, variable: xr.Variable) -> None:
            self.variable, self.shape, self.dtype = variable, variable.shape, variable.dtype

        def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
            lists = [own for own in key.tuple if isinstance(own, np.ndarray) and own.size]
            is_far_spread = any(np.ptp(own) >= LIST_COST * own.size for own in lists)
            kinds = indexing.IndexingSupport
            support = kinds.OUTER if is_far_spread else kinds.BASIC
            return indexing.explicit_indexing_adapter(key, self.shape, support, self._read)

        def _read(self, key: tuple[int | slice | np.ndarray, ...]) -> np.ndarray:
            with _telling_damage(path):
                return self.variable[key].values

    def wrap(variable: xr.Variable) -> indexing.MemoryCachedArray:
        # As Xarray wraps its own: what was once read whole is kept.
        lazy = indexing.LazilyIndexedArray(Slices(variable))
        return indexing.MemoryCachedArray(indexing.CopyOnWriteArray(lazy))

    return dataset.assign(
        {
            name: (one.dims, wrap(one.variable), one.attrs)
            for name, one in dataset.data_vars.items()
            if _type_name(one.dtype) != "string"
        }
    )


def _file_sizes(path: Path) -> dict[str, int]:
    """Return the size of every file in a folder, by its name relative to it."""
    files = (file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): file.stat().st_size for file in files}


def load_store(path: Path | str, *, lazy: str) -> xr.Dataset:
    """Open a store and read it into memory, but for one large variable, read as it is used."""
    stored = open_store(path)
    return stored.drop_vars(lazy).load().assign({lazy: stored[lazy]})


def write_table(table: pd.DataFrame, path: Path | str) -> None:
    """Write a table as tab-separated text, numbers with six digits."""
    # Put together with an empty table, numbers are objects, which are written without a format.
    table.infer_objects().to_csv(path, sep="\t", index=False, float_format="%.6g")


def read_table(path: Path | str) -> pd.DataFrame:
    """Read a table of :func:`write_table`: what was written, numbers with six digits.

    Text stays text, by the names of ``TEXT_COLUMNS``, and any other column is what its cells are:
    integers, floats, booleans. Only a cell without anything is missing: NaN, or in a column of
    text, where it cannot be told from an empty one, the empty text.
    """
    import pandas as pd

    kinds = dict.fromkeys(TEXT_COLUMNS, str)
    table = pd.read_csv(path, sep="\t", dtype=kinds, keep_default_na=False, na_values=[""])
    return table.fillna(dict.fromkeys(table.select_dtypes("str").columns, ""))


def content_digest(dataset: xr.Dataset) -> str:
    """Digest what a dataset says: names, dimensions, types, numbers and attributes.

    The same dataset has the same digest in memory and on disk, however it is cut into chunks and
    in whatever order its variables were added.
    """
    digest = hashlib.sha256(_attributes_text(dataset.attrs))
    for name in sorted(dataset.variables, key=str):
        variable = dataset.variables[name]
        kind = "coordinate" if name in dataset.coords else "variable"
        head = [kind, str(name), list(map(str, variable.dims)), list(variable.shape)]
        digest.update(json.dumps([*head, _type_name(variable.dtype)]).encode())
        digest.update(_attributes_text(variable.attrs))
        for block in _blocks(variable):
            digest.update(_canonical_bytes(block))
    return digest.hexdigest()


def _plain(dataset: xr.Dataset) -> xr.Dataset:
    """Return the dataset without encodings, and with every string as fixed-width text.

    Strings come back from Zarr as another type than the one they had, so all are made one type:
    the dataset that was written and the one that is opened behave alike.
    """
    # By way of objects, because numpy does not measure its own strings of variable length.
    return _with_strings(dataset.drop_encoding(), lambda array: array.astype(object).astype(str))


def _with_strings(dataset: xr.Dataset, convert: Callable[[np.ndarray], np.ndarray]) -> xr.Dataset:
    """Return the dataset with every array of strings converted."""
    texts = {
        name: (variable.dims, convert(np.asarray(variable.values)), variable.attrs)
        for name, variable in dataset.variables.items()
        if _type_name(variable.dtype) == "string"
    }
    coordinates = {name: text for name, text in texts.items() if name in dataset.coords}
    others = {name: text for name, text in texts.items() if name not in dataset.coords}
    return dataset.assign_coords(coordinates).assign(others)


def _layout(variable: xr.Variable) -> dict[str, Any]:
    """Choose chunks and shards, in C order: a shard is a run of chunks along the first axes."""
    from zarr.codecs import BloscCodec

    encoding: dict[str, Any] = {}
    if _type_name(variable.dtype) != "string":
        # Without it every float array would get a value that stands for missing numbers.
        encoding["_FillValue"] = None
    if variable.ndim and variable.size:
        chunks = _shrink(variable.shape, CHUNK_BYTES // variable.dtype.itemsize)
        limit = SHARD_BYTES // variable.dtype.itemsize
        shards = tuple(
            chunk * math.ceil(bound / chunk)
            for chunk, bound in zip(chunks, _shrink(variable.shape, limit), strict=True)
        )
        encoding |= {"chunks": chunks, "shards": shards}
        if variable.dtype == np.float16:
            # Tokens: no codec that is fast makes them smaller, since their last bits are noise.
            encoding["compressors"] = None
        elif _type_name(variable.dtype) != "string":
            # Read three times as fast as by Zarr's own choice, for a tenth more of disk.
            encoding["compressors"] = BloscCodec(cname="lz4", clevel=1, shuffle="shuffle")
    return encoding


def _shrink(shape: tuple[int, ...], limit: int) -> tuple[int, ...]:
    """Halve a box along its first axes until it holds at most `limit` elements."""
    box = list(shape)
    for axis in range(len(box)):
        while box[axis] > 1 and math.prod(box) > limit:
            box[axis] = math.ceil(box[axis] / 2)
    return tuple(box)


def _blocks(variable: xr.Variable) -> Iterator[np.ndarray]:
    """Yield the array in C order, a few megabytes at a time, so that a large store stays lazy."""
    if variable.ndim == 0 or variable.size == 0:
        yield np.asarray(variable.values)
        return
    row_bytes = variable.size // variable.shape[0] * variable.dtype.itemsize
    rows = max(1, DIGEST_BYTES // max(1, row_bytes))
    for start in range(0, variable.shape[0], rows):
        yield np.asarray(variable[start : start + rows].values)


def _canonical_bytes(block: np.ndarray) -> bytes:
    if _type_name(block.dtype) == "string":
        words = [str(word).encode() for word in block.ravel()]
        return b"".join(len(word).to_bytes(8, "little") + word for word in words)
    return np.ascontiguousarray(block.astype(block.dtype.newbyteorder("<"), copy=False)).tobytes()


def _type_name(dtype: np.dtype) -> str:
    return "string" if dtype.kind in "OUT" else dtype.name


def _attributes_text(attributes: Mapping[Any, Any]) -> bytes:
    def plain(value: object) -> object:
        if isinstance(value, np.generic | np.ndarray):
            return value.tolist()
        raise TypeError(f"attribute of type {type(value).__name__} cannot be stored")

    names = {str(name): value for name, value in attributes.items()}
    return json.dumps(names, sort_keys=True, default=plain).encode()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
