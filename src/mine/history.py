"""How a file of the results was made: the record that each job leaves beside what it wrote.

A manifest says what a store holds, and what comes after a store depends on it. Its history is
kept apart, so that a store made again by other code, with the same content, makes nothing stale.
No record holds a time, a host or an absolute path: the same analysis gives the same records.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mine.errors import InputError
from mine.handling import read_parameters
from mine.provenance import SCHEMA_VERSION, dump_json, manifest_path, store_path

HASHED_BYTES = 64 * 2**20
"""Largest file whose content is digested; of a larger one the size is recorded."""

SUFFIX = ".provenance.json"
ENDINGS = re.compile(r"(\.nii\.gz|\.(lh|rh)\.(label|func)\.gii|\.\w+)$")
KEYS = {"rule", "wildcards", "code", "parameters", "inputs", "outputs", "models", "versions"}


def history_path(path: Path | str) -> Path:
    """Return the place of a file's record; files of one name, such as a figure's PNG and its table,
    have one record, since one job writes them: `maps.png` -> `maps.provenance.json`. The name of a
    folder that is no store has no ending: `sub.01` -> `sub.01.provenance.json`."""
    path = Path(path)
    is_folder = path.suffix != ".zarr" and path.is_dir()
    return path.with_name((path.name if is_folder else ENDINGS.sub("", path.name)) + SUFFIX)


def write_history(
    snakemake: Any,
    *,
    models: Mapping[str, str] | None = None,
    images: Iterable[int] = (),
    sources: Iterable[Path | str] = (),
) -> None:
    """Record beside every output of a job how it was made; call it last in a script.

    The record names the rule with its wildcards, the digest of its code, its parameters with the
    keys that say how it was run, digests of all inputs and outputs, digests of models, and the
    versions of what MINE depends on.

    Args:
        snakemake: the object that Snakemake gives to scripts.
        models: digest of each model that was used, by its role, where the job writes no store whose
            manifest names it.
        images: identities of the dataset's images that a figure shows.
        sources: files of the dataset that were read and are no inputs of the rule, being many or
            large; recorded by their sizes.
    """
    parameters = vars(read_parameters(snakemake))
    outputs = _list_paths(snakemake.output)
    content = {
        "schema_version": SCHEMA_VERSION,
        "rule": snakemake.rule,
        "wildcards": dict(snakemake.wildcards.items()),
        "code": parameters.pop("code", None),
        "seed": parameters.get("seed"),
        "models": _gather_models(outputs) | dict(models or {}),
        "versions": dependency_versions(),
        "images": sorted({int(image) for image in images}),
    }
    content["parameters"] = hide_folders(parameters)
    named = map(_find_store, [*_list_paths(snakemake.input), *outputs])
    known = {path: describe_file(path) for path in named}
    for place in sorted({history_path(path) for path in outputs}):
        folder = place.parent
        content["inputs"] = _describe_named(snakemake.input, folder, known)
        content["outputs"] = _describe_named(snakemake.output, folder, known)
        content["sources"] = [
            _place(Path(path), folder) | {"size": Path(path).stat().st_size} for path in sources
        ]
        partial = place.with_name(place.name + ".partial")
        partial.write_text(dump_json(content), encoding="utf-8")
        os.replace(partial, place)


def read_history(path: Path | str) -> dict[str, Any] | None:
    """Return the record of a file of the results, or None where there is none.

    Raises:
        InputError: there is something else in its place.
    """
    place = history_path(path)
    if not place.is_file():
        return None
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not _is_record(content):
        raise InputError(f"{place}: expected the record of a job, found something else")
    return content


def describe_file(path: Path | str) -> dict[str, str | int]:
    """Say what stands at a path: a store's digest of its content, a file's digest, or the size of a
    file of more than HASHED_BYTES or of all files of another folder; nothing where nothing is."""
    path = Path(path)
    if path.suffix == ".zarr":
        manifest = manifest_path(path)
        if not manifest.is_file():
            return {}
        try:
            return {"digest": json.loads(manifest.read_text(encoding="utf-8"))["content_digest"]}
        except (ValueError, KeyError, TypeError):
            return {}
    if path.is_dir():
        return {"size": sum(file.stat().st_size for file in path.rglob("*") if file.is_file())}
    if not path.is_file():
        return {}
    if path.stat().st_size > HASHED_BYTES:
        return {"size": path.stat().st_size}
    with path.open("rb") as stream:
        return {"digest": hashlib.file_digest(stream, "sha256").hexdigest()}


def list_entries(named: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the inputs or the outputs of a record in one list: name and entry."""
    found = []
    for name, value in named.items():
        found += [(name, entry) for entry in (value if isinstance(value, list) else [value])]
    return found


def hide_folders(value: Any) -> Any:
    """Return a parameter with the last name of each absolute path in the place of the path."""
    if isinstance(value, Mapping):
        return {str(key): hide_folders(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [hide_folders(one) for one in value]
    if isinstance(value, str):
        scheme, colon, place = value.rpartition(":")
        if place.startswith("/") and not place.startswith("//"):
            return f"{scheme}{colon}{Path(place).name}"
    return value


@functools.cache
def dependency_versions() -> dict[str, str]:
    """Return the versions of Python, of MINE and of all that it depends on."""
    names = [
        re.match(r"[\w.-]+", text)[0]
        for text in importlib.metadata.requires("mine") or []
        if "extra ==" not in text
    ]
    found = {name: importlib.metadata.version(name) for name in ("mine", *names)}
    return {"python": platform.python_version(), **found}


def _is_record(content: Any) -> bool:
    """Tell whether this has the form of a record, as far as anybody reads it."""
    if not isinstance(content, dict) or not content.keys() >= KEYS:
        return False
    mappings = [content[key] for key in ("wildcards", "parameters", "inputs", "outputs")]
    if not all(isinstance(one, dict) for one in mappings):
        return False
    if not all(isinstance(value, str) for value in content["wildcards"].values()):
        return False
    entries = list_entries(content["inputs"]) + list_entries(content["outputs"])
    return all(isinstance(one, dict) and isinstance(one.get("path"), str) for _, one in entries)


def _find_store(path: Path) -> Path:
    """Return the store where a path is its manifest's, and any other path as it is."""
    store = store_path(path)
    return store if store.is_dir() else path


def _list_paths(files: Any) -> list[Path]:
    return [Path(str(path)) for path in files]


def _describe_named(files: Any, folder: Path, known: Mapping[Path, Any]) -> dict[str, Any]:
    """Describe inputs or outputs by their names, those without one under "": a single file as
    an entry, several as a list, as the script is given them."""
    manifests = {manifest_path(path) for path in _list_paths(files) if path.suffix == ".zarr"}
    named = dict(files.items())
    taken = {str(path) for value in named.values() for path in _as_list(value)}
    rest = [str(path) for path in files if str(path) not in taken]
    found = {}
    for name, value in {**named, **({"": rest} if rest else {})}.items():
        # A manifest is of its store, whose entry has the digest that it names.
        paths = [Path(str(path)) for path in _as_list(value)]
        if paths and manifests.issuperset(paths):
            continue
        paths = list(map(_find_store, paths))
        entries = [_place(path, folder) | known[path] for path in paths]
        found[name] = entries[0] if isinstance(value, str) else entries
    return found


def _as_list(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) else list(value)


def _place(path: Path, folder: Path) -> dict[str, Any]:
    """Say where a file is as seen from the record's folder; of an absolute path, which is that of
    somebody's machine, only the last name."""
    if path.is_absolute() and not folder.is_absolute():
        return {"path": path.name, "outside": True}
    return {"path": Path(os.path.relpath(path, folder)).as_posix()}


def _gather_models(outputs: Iterable[Path]) -> dict[str, str]:
    """Return the digests of the models that the manifests of a job's stores name."""
    found: dict[str, str] = {}
    for path in outputs:
        if path.suffix == ".zarr":
            found |= json.loads(manifest_path(path).read_text(encoding="utf-8")).get("models", {})
    return found
