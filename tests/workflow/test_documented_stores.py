"""Every store of a finished demo has the variables that docs/stores.md says, and the other way."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mine.config import Config, load_config
from mine.stores import open_store
from tests.reference.documented import read_columns

pytestmark = pytest.mark.slow

ELSEWHERE = {"name", "ijk", "position", "vertex", "length", "context", "context_word"}
"""What other datasets have (names of images, voxels on surfaces) and other models (lengths and
contexts of words)."""

PLANS = {"pictures": "generated", "edits": "edits"}
"""Store of what is to be made → of what was made, which has the same variables and more."""

ALIKE = {"geometry", "shape", "affine", "rows", "columns"}
"""Attributes that the page explains for one store, and of others says "as above"."""

Variables = dict[str, tuple[str, str]]
"""Of a store: variable → type and dimensions."""


def test_stores_hold_what_is_documented(finished: Path, repository: Path) -> None:
    config = load_config(finished / "config.yaml")
    documented = document_variables((repository / "docs/stores.md").read_text())
    results = finished / "results" / config.name
    manifests = [path for path in results.rglob("*.json") if path.with_suffix(".zarr").is_dir()]
    found: dict[str, set[str]] = {}
    for path in manifests:
        store = path.relative_to(results).with_suffix(".zarr").as_posix()
        name = generalise(store, config)
        for variable, entry in json.loads(path.read_text())["variables"].items():
            kind = entry["type"].replace("string", "text")
            expected = (kind, ", ".join(entry["dimensions"]))
            assert documented[name].get(variable) == expected, f"{store}: {variable}"
            found.setdefault(name, set()).add(variable)
    assert len(found) > 20
    for name, variables in found.items():
        if "/plans/" not in name:
            assert documented[name].keys() - variables <= ELSEWHERE, name


def test_tables_have_the_columns_that_are_documented(finished: Path) -> None:
    config = load_config(finished / "config.yaml")
    results = finished / "results" / config.name
    documented, found = read_columns(), set()
    for path in results.rglob("*.tsv"):
        name = generalise(path.relative_to(results).as_posix(), config)
        # Those of figures and summaries have tests of their own; the rest is no analysis.
        if name.split("/")[0] not in ("dataset", "benchmarks", "figures", "summary"):
            # Which measure comes first depends on the first row's.
            columns = path.read_text().split("\n")[0].split("\t")
            assert sorted(columns) == sorted(documented[name]), name
            found.add(name)
    assert len(found) >= 10


def test_every_variable_says_what_it_is(finished: Path) -> None:
    results = finished / "results" / load_config(finished / "config.yaml").name
    silent, looked_at = set(), 0
    for path in results.rglob("*.zarr"):
        for name, variable in open_store(path).data_vars.items():
            looked_at += 1
            if not variable.attrs.get("long_name"):
                silent.add(f"{path.relative_to(results)}: {name}")
    assert looked_at > 400
    assert not silent


def test_attributes_are_what_is_documented(finished: Path, repository: Path) -> None:
    config = load_config(finished / "config.yaml")
    sections = split_sections((repository / "docs/stores.md").read_text())
    results = finished / "results" / config.name
    for path in results.rglob("*.zarr"):
        store = path.relative_to(results).as_posix()
        if "/plans/" not in store:
            said = set(re.findall(r"`(\w+)`", sections[generalise(store, config)]))
            assert open_store(path).attrs.keys() - said <= ALIKE, store


def generalise(store: str, config: Config) -> str:
    """The name of a store as the documentation has it."""
    parts = store.replace("profiles_random", "profiles").split("/")
    for place, part in enumerate(parts[:-1]):
        if part in config.subjects:
            parts[place] = "<subject>"
        elif part in config.rois:
            parts[place] = "<roi>"
        elif part in (config.backbone.name, config.evaluator.name):
            parts[place] = "<backbone>" if part == config.backbone.name else "<evaluator>"
    stem = parts[-1].removesuffix(".zarr")
    if stem.isdecimal():
        parts[-1] = "<shard>.zarr"
    elif stem in config.subjects:
        parts[-1] = "<subject>.zarr"
    elif len(parts) > 1 and parts[-2] in ("encoder", "attributions"):
        parts[-1] = "<fit>.zarr"
    return "/".join(parts)


def document_variables(page: str) -> dict[str, Variables]:
    """What the tables of docs/stores.md say of each store."""
    found = {}
    for name, block in split_sections(page).items():
        rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*?) \|", block, flags=re.MULTILINE)
        found[name] = {variable: (kind, dims) for variable, kind, dims in rows}
    for plan, made in PLANS.items():
        found[f"<subject>/<roi>/plans/{plan}.zarr"] = found[f"<subject>/<roi>/{made}.zarr"]
    return found


def split_sections(page: str) -> dict[str, str]:
    """The section of each store, by its name."""
    blocks = re.split(r"^## ", page, flags=re.MULTILINE)
    return {block.splitlines()[0].strip("`"): block for block in blocks if block.startswith("`")}
