"""Where a result comes from: digests of files and of models, versions of libraries."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from mine.errors import InputError

SCHEMA_VERSION = 4
"""Version of the stores' layout; raised when readers of old stores would go wrong."""


def manifest_path(path: Path | str) -> Path:
    """Return the place of a store's manifest: `results/encoder.zarr` -> `results/encoder.json`."""
    path = Path(path)
    if path.suffix != ".zarr":
        raise InputError(f"store {path}: expected a name that ends in .zarr")
    return path.with_suffix(".json")


def store_path(path: Path | str) -> Path:
    """Return the store that a path leads to: the store itself, or the one beside a manifest, which
    is what rules have as their input: `results/encoder.json` -> `results/encoder.zarr`."""
    path = Path(path)
    return path.with_suffix(".zarr") if path.suffix == ".json" else path


def library_versions(*names: str) -> dict[str, str]:
    """Return the installed version of each distribution named, and that of this package."""
    return {name: importlib.metadata.version(name) for name in ("mine", *sorted(names))}


def digest_files(
    path: Path | str, *, patterns: Iterable[str] = ("*",), without: Iterable[str] = ()
) -> str:
    """Digest a file, or every file of a folder by relative name and content.

    Args:
        path: the file or the folder.
        patterns: of names in a folder, of which a file that counts has one.
        without: names of files that do not count.

    Raises:
        InputError: there is nothing at `path`.
    """
    path = Path(path)
    if path.is_file():
        files = [(path.name, path)]
    elif path.is_dir():
        found = {file for pattern in patterns for file in path.rglob(pattern) if file.is_file()}
        files = sorted(
            (file.relative_to(path).as_posix(), file) for file in found if file.name not in without
        )
    else:
        raise InputError(f"{path}: expected a file or a folder, found nothing")
    digest = hashlib.sha256()
    for name, file in files:
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def describe_provenance(
    *,
    seed: int | None = None,
    models: Mapping[str, str] | None = None,
    libraries: Iterable[str] = (),
) -> dict[str, object]:
    """Gather what a manifest says of a store's origin; no time, no host, no path.

    Args:
        seed: the analysis's seed, where the store depends on it.
        models: digest of each model that was used, by its name.
        libraries: distributions whose versions can change the numbers.
    """
    return {
        "seed": seed,
        "models": dict(models or {}),
        "libraries": library_versions("numpy", *libraries),
    }


def dump_json(content: Mapping[str, object]) -> str:
    """Write a mapping as JSON that is the same text whenever the content is the same."""
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
