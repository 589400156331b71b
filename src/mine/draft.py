"""A configuration to begin with: the ready one of a kind of dataset, with what is found on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mine.datasets.attempts import tell_unexpanded
from mine.datasets.file_sizes import GIGABYTE
from mine.datasets.finding import FINDERS
from mine.errors import InputError

TEMPLATES = Path(__file__).resolve().parents[2] / "configs"
"""The ready configurations, beside the workflow that reads them."""

SHARE = 0.9
"""Of the machine's memory, which the system needs some of."""


@dataclass(frozen=True)
class Draft:
    """text: of the configuration. notes: a sentence for what was looked for and not found."""

    text: str
    notes: list[str]


def draft_config(kind: str, root: Path) -> Draft:
    """Fill in the ready configuration of a kind of dataset with what is in a folder.

    What is not found keeps the value that the ready one has. Raises InputError if there is no such
    folder.
    """
    root, path = Path(root), TEMPLATES / f"{kind}.yaml"
    if not path.is_file():
        raise InputError(f"{path}: expected the ready configuration, found no file")
    if not root.is_dir():
        raise InputError(
            f"--root: expected the dataset's folder, found none at {root.absolute()}"
            f"{tell_unexpanded(root)}; to begin before it is there, copy {path} and set "
            "dataset.root in it"
        )
    found = FINDERS[kind](root)
    template = path.read_text(encoding="utf-8")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIGABYTE
    most = yaml.safe_load(template)["memory_gb"]
    values = {"memory_gb": min(most, max(1, int(SHARE * memory))), **found.values}
    return Draft(fill_in(template, values), found.notes)


def fill_in(text: str, values: Mapping[str, Any]) -> str:
    """Replace values of a YAML text, and keep its comments and its order.

    values: path of a key, with points -> value. A key that the text lacks is put at its end if it
    is one of the top level.
    """
    nodes = _find_nodes(yaml.compose(text), "")
    ends = []
    for path, value in values.items():
        if path in nodes:
            key, node = nodes[path]
            ends.append((key.end_mark.index + 1, _find_end(node), value))
        elif "." in path:
            raise KeyError(path)
    for start, end, value in sorted(ends, reverse=True, key=lambda one: one[0]):
        text = f"{text[:start]} {_write(value)}{text[end:]}"
    for path, value in values.items():
        if path not in nodes:
            block = yaml.safe_dump({path: value}, sort_keys=False, allow_unicode=True)
            text = f"{text.rstrip()}\n\n{block}"
    return text


def write_draft(draft: Draft, path: Path) -> None:
    """Write a configuration, whole or not at all, in the place of one that is there."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(draft.text, encoding="utf-8")
    partial.replace(path)


def _find_nodes(node: yaml.Node, path: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """Every key of a mapping and of those within it: path -> key and value."""
    nodes = {}
    for key, value in node.value:
        name = f"{path}.{key.value}" if path else key.value
        nodes[name] = (key, value)
        if isinstance(value, yaml.MappingNode):
            nodes |= _find_nodes(value, name)
    return nodes


def _find_end(node: yaml.Node) -> int:
    """Where a value ends: a block with its last item, not where the next key begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _find_end(last[1] if isinstance(last, tuple) else last)
    return node.end_mark.index


def _write(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True)
    return text.removesuffix("...\n").strip()
