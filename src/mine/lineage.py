"""Where a file of the results comes from: the chain of records back to the raw files, checked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mine.errors import InputError
from mine.history import describe_file, history_path, list_entries, read_history
from mine.provenance import dump_json, manifest_path
from mine.stores import check_files

DIGITS = 12
"""Of a digest, in the tree; JSON has all of them."""


@dataclass
class Link:
    """An input of a file. label: what the script calls it. path: where it is. used: what it was
    when it was read: its digest or its size."""

    label: str
    path: str
    used: dict[str, Any]


@dataclass
class Node:
    """A file on the way. found: its digest or its size now; empty where there is no such file.
    record: of `mine.history.write_history`, None of a raw file. problems: sentences on what does
    not agree. notes: sentences on what could not be looked at."""

    path: str
    found: dict[str, Any]
    record: dict[str, Any] | None
    inputs: list[Link] = field(default_factory=list)
    sources: list[Link] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def trace_origin(path: Path | str) -> dict[str, Node]:
    """Follow a file of the results back to the raw files, each file once.

    Returns:
        Path -> node, the file itself first.

    Raises:
        InputError: there is no such file, or something in the place of a record is none.
    """
    start = os.path.normpath(path)
    if not str(path) or not Path(start).exists():
        # An empty path would be the working folder.
        name = path or "an empty path"
        raise InputError(f"{name}: expected a store or a file of the results, found nothing")
    nodes: dict[str, Node] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in nodes:
            nodes[name] = _read_node(name, is_start=name == start)
            waiting += [link.path for link in reversed(nodes[name].inputs)]
    for node in nodes.values():
        for link in node.inputs:
            _compare(node, link, nodes[link.path].found)
        for link in node.sources:
            _compare(node, link, describe_size(link.path))
    return nodes


def describe_size(path: str) -> dict[str, int]:
    """Return the size of a file of the dataset; nothing where there is no such file."""
    return {"size": Path(path).stat().st_size} if Path(path).is_file() else {}


def list_problems(nodes: dict[str, Node]) -> list[str]:
    """Return what does not agree anywhere on the way, a sentence each."""
    return [problem for node in nodes.values() for problem in node.problems]


def render_tree(nodes: dict[str, Node]) -> str:
    """Write a chain as an indented tree. What was written out before is only named."""
    start = next(iter(nodes))
    versions = (nodes[start].record or {}).get("versions", {})
    lines = list(_render(nodes, start, label="", indent="", seen=set(), versions=versions))
    if versions:
        listed = ", ".join(f"{name} {version}" for name, version in versions.items())
        lines.append(f"versions, where nothing else is said: {listed}")
    return "\n".join(lines)


def render_json(nodes: dict[str, Node]) -> str:
    """Write a chain as JSON: every file once, the file itself first in ``start``."""
    files = {
        name: {
            "found": node.found,
            "record": node.record,
            "inputs": [vars(link) for link in node.inputs],
            "sources": [vars(link) for link in node.sources],
            "problems": node.problems,
            "notes": node.notes,
        }
        for name, node in nodes.items()
    }
    return dump_json({"start": next(iter(nodes)), "files": files})


def _read_node(path: str, *, is_start: bool) -> Node:
    record = read_history(path)
    node = Node(path, describe_file(path), record)
    is_store = path.endswith(".zarr")
    if is_store and not node.found:
        node.problems.append(
            f"{path}: expected a finished store with its manifest {manifest_path(path).name}, "
            "found none"
        )
    elif is_store and not Path(path).is_dir():
        node.notes.append(f"{path}: only its manifest is here")
    elif is_store:
        node.problems += _find_damage(path)
    if record is None:
        if is_start:
            node.problems.append(
                f"{path}: expected the record {history_path(path).name} beside it, found none, so "
                "nothing says how it was made"
            )
        elif is_store:
            node.notes.append(f"{path}: no record says how it was made")
        return node
    folder = os.path.dirname(path)
    node.inputs = list(_find_links(node, record["inputs"], folder))
    node.sources = list(_find_links(node, {"": record.get("sources", [])}, folder))
    _check_own(node, folder)
    return node


def _find_damage(path: str) -> Iterator[str]:
    """Yield what is not as a store's manifest says, of whatever layout: its first such file."""
    manifest = json.loads(manifest_path(path).read_text(encoding="utf-8"))
    try:
        check_files(path, manifest.get("files", {}))
    except InputError as error:
        yield str(error)


def _find_links(node: Node, named: dict[str, Any], folder: str) -> Iterator[Link]:
    for label, entry in list_entries(named):
        used = {key: entry[key] for key in ("digest", "size") if key in entry}
        if entry.get("outside"):
            node.notes.append(f"{entry['path']}: named by an absolute path, so not looked at")
            continue
        yield Link(label, os.path.normpath(os.path.join(folder, entry["path"])), used)


def _check_own(node: Node, folder: str) -> None:
    """Compare a file with what its own record says that the job wrote."""
    for _, entry in list_entries(node.record["outputs"]):
        written = os.path.normpath(os.path.join(folder, entry["path"]))
        if written == node.path and "digest" in entry and node.found:
            if node.found.get("digest") != entry["digest"]:
                node.problems.append(
                    f"{node.path}: expected {_show(entry)} as its record says, found "
                    f"{_show(node.found)}, so something else has written it since"
                )


def _compare(node: Node, link: Link, found: dict[str, Any]) -> None:
    if not found:
        node.problems.append(f"{node.path}: expected its input {link.path}, found none")
    elif link.used and found != link.used:
        node.problems.append(
            f"{node.path}: stale, made from {link.path} with {_show(link.used)}, which now has "
            f"{_show(found)}"
        )


def _render(
    nodes: dict[str, Node],
    path: str,
    *,
    label: str,
    indent: str,
    seen: set[str],
    versions: dict[str, str],
) -> Iterator[str]:
    node = nodes[path]
    name = f"{label}: {path}" if label else path
    if path in seen:
        yield f"{indent}{name}  (above)"
        return
    seen.add(path)
    yield f"{indent}{name}  {_show(node.found)}"
    inner = indent + "    "
    if node.record is not None:
        yield from (f"{inner}{line}" for line in _describe_record(node.record, versions))
    yield from (f"{inner}! {problem}" for problem in node.problems)
    yield from (f"{inner}({note})" for note in node.notes)
    for link in node.sources:
        yield f"{inner}{link.path}  {_show(link.used)}"
    for link in node.inputs:
        yield from _render(
            nodes, link.path, label=link.label, indent=inner, seen=seen, versions=versions
        )


def _describe_record(record: dict[str, Any], versions: dict[str, str]) -> Iterator[str]:
    wildcards = ", ".join(f"{name} {value}" for name, value in record["wildcards"].items() if value)
    rule = f"{record['rule']} of {wildcards}" if wildcards else record["rule"]
    seed = "" if record.get("seed") is None else f", seed {record['seed']}"
    yield f"made by rule {rule}, code {str(record['code'])[:DIGITS]}{seed}"
    for name, value in record["parameters"].items():
        if name != "seed":
            yield f"{name} = {json.dumps(value, ensure_ascii=False)}"
    for role, digest in record["models"].items():
        yield f"model {role} {digest}"
    others = {
        name: version
        for name, version in record["versions"].items()
        if versions.get(name) != version
    }
    if others:
        listed = ", ".join(f"{name} {version}" for name, version in others.items())
        yield f"other versions: {listed}"


def _show(found: dict[str, Any]) -> str:
    if "digest" in found:
        return f"digest {found['digest'][:DIGITS]}"
    if "size" in found:
        return f"{found['size']} bytes"
    return "no digest"
