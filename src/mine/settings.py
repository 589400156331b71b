"""Typed settings: dataclasses whose fields carry help and limits, and the check against them.

Only the standard library is used, since the workflow's rules import this.
"""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import math
import os.path
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

REQUIRED: Any = dataclasses.MISSING

Known = Mapping[str, list[str]]
"""Name of a key, as it stands in its section -> the full paths of all keys of that name."""

SLIP = 0.85
"""How alike, from 0 to 1, a name and a letter more or less are at least: layer and layers."""

_NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a mapping",
}


def setting(
    help: str,
    default: Any = REQUIRED,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    pattern: str | None = None,
    advice: str = "",
    nonempty: bool = False,
    distinct: bool = False,
    example: Any = None,
) -> Any:
    """Declare a field of a section.

    Args:
        help: one sentence or two with the unit, shown wherever the key is documented.
        default: its value where the user says nothing; without one the key is required.
        minimum, maximum: bounds, included, of a number or of every number of a list or mapping.
        choices: the only texts allowed.
        pattern: regular expression that each whole text has to match.
        advice: what to do about a text that does not, as the end of its message.
        nonempty: a list needs at least one item, and none twice; a mapping at least one name.
        distinct: a list may be empty, but has no item twice.
        example: what the default YAML shows for a required key.
    """
    metadata = {
        "help": help,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "pattern": pattern,
        "advice": advice,
        "nonempty": nonempty,
        "distinct": nonempty or distinct,
        "example": example,
    }
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def section(cls: type, help: str, *, optional: bool = False) -> Any:
    """Declare a field that is a section of its own: with its defaults, or absent if optional."""
    metadata = {"help": help}
    if optional:
        return dataclasses.field(default=None, metadata=metadata)
    if any(is_required(field) for field in dataclasses.fields(cls)):
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default_factory=cls, metadata=metadata)


def sections(cls: type, help: str, default: Mapping[str, Any]) -> Any:
    """Declare a field that maps names, at least one, to sections of one kind.

    What a user sets stands in for ``default`` as a whole.
    """
    metadata = {"help": help, "nonempty": True}
    return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)


def parse_settings(cls: type, data: object, *, source: str) -> tuple[Any, list[str]]:
    """Check data against a section's declaration.

    Args:
        cls: the dataclass of the whole configuration.
        data: what was read from a file: mappings, lists, texts, numbers.
        source: name of the file, for the messages.

    Returns:
        The instance, None where anything is wrong; and every problem found, a sentence each.
    """
    problems: list[str] = []
    known: dict[str, list[str]] = {}
    for path in _key_paths(cls):
        known.setdefault(path.split(".")[-1], []).append(path)
    value = _parse_section(cls, data, "", problems, known)
    return (None if problems else value), [f"{source}: {problem}" for problem in problems]


def _parse_section(cls: type, data: object, path: str, problems: list[str], known: Known) -> Any:
    if not isinstance(data, Mapping):
        what = f"{path}: " if path else ""
        problems.append(f"{what}expected a mapping of keys to values, found {_show(data)}")
        return None
    kinds = typing.get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in data:
        if key not in fields:
            problems.append(_unknown_key(_join(path, key), key, list(fields), path, known))
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _parse_value(
                kinds[name], data[name], _join(path, name), field.metadata, problems, known
            )
        elif is_required(field):
            problems.append(
                f"{_join(path, name)}: expected {_expected(kinds[name], field.metadata)}"
                ", found no such key"
            )
    # A missing key has been reported already; the instance is then thrown away.
    if any(is_required(field) and name not in values for name, field in fields.items()):
        return None
    return cls(**values)


def _parse_value(
    kind: Any,
    data: object,
    path: str,
    limits: Mapping[str, Any],
    problems: list[str],
    known: Known,
) -> Any:
    """Return the value of one key, checked; a problem is noted, not raised."""
    inner, optional = unwrap(kind)
    if data is None and optional:
        return None
    if dataclasses.is_dataclass(inner):
        return _parse_section(inner, data, path, problems, known)
    container = typing.get_origin(inner)
    if container is list and isinstance(data, list):
        (item,) = typing.get_args(inner)
        values, right = [], []
        for index, entry in enumerate(data):
            found: list[str] = []
            value = _parse_value(item, entry, f"{path}[{index}]", limits, found, known)
            problems += found
            values.append(value)
            # Of items that are wrong already, nothing is said but that.
            right += [] if found else [value]
        if limits.get("nonempty") and not values:
            problems.append(f"{path}: expected at least one item, found none")
        if limits.get("distinct"):
            for value in sorted({str(value) for value in right if right.count(value) > 1}):
                problems.append(f"{path}: expected each item once, found {value!r} twice")
        return values
    if container is dict and isinstance(data, Mapping):
        _, item = typing.get_args(inner)
        if limits.get("nonempty") and not data:
            problems.append(f"{path}: expected at least one item, found none")
        return {
            str(name): _parse_value(item, entry, _join(path, name), limits, problems, known)
            for name, entry in data.items()
        }
    value = _as_scalar(inner, data)
    if value is None or not _within(value, limits):
        problems.append(
            f"{path}: expected {_expected(kind, limits)}, found {_show(data)}"
            f"{_advise(inner, data, limits)}"
        )
    return value


def _advise(kind: type, data: object, limits: Mapping[str, Any]) -> str:
    """Say how a text is written that YAML takes for a number, a truth value or a date, and what the
    key's declaration advises about a text that does not match."""
    if kind is not str or limits.get("choices"):
        return ""
    if isinstance(data, int | float | datetime.date):
        return "; put it in quotes"
    return f"; {limits['advice']}" if isinstance(data, str) and limits.get("advice") else ""


def _as_scalar(kind: type, data: object) -> Any:
    """Return data as a text, number or truth value; None where it is something else."""
    if kind is float:
        # YAML 1.1 reads 1e-3, without a point, as a text.
        if isinstance(data, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", data):
            data = float(data)
        if isinstance(data, int | float) and not isinstance(data, bool) and _is_finite(data):
            return float(data)
        return None
    # In Python true is a whole number, in a configuration it is not.
    if kind is int and isinstance(data, bool):
        return None
    return data if isinstance(kind, type) and isinstance(data, kind) else None


def _is_finite(number: int | float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        # Python's whole numbers may be larger than any other.
        return False


def _within(value: object, limits: Mapping[str, Any]) -> bool:
    if isinstance(value, str):
        if "\0" in value:
            # No path and no name may hold it.
            return False
        if limits.get("choices") and value not in limits["choices"]:
            return False
        return not limits.get("pattern") or re.fullmatch(limits["pattern"], value) is not None
    if isinstance(value, bool):
        return True
    low, high = limits.get("minimum"), limits.get("maximum")
    return (low is None or value >= low) and (high is None or value <= high)


def _unknown_key(path: str, key: object, siblings: list[str], section: str, known: Known) -> str:
    """Say that a key is unknown and name the nearest: one a letter off in its section, then those
    of the same name elsewhere, since a right key is often put in the wrong place, then one that is
    somewhat alike in its section, then anywhere."""
    name = str(key)
    if near := difflib.get_close_matches(name, siblings, n=1, cutoff=SLIP):
        paths = [_join(section, near[0])]
    elif name in known:
        paths = _choose_nearest(known[name], section)
    elif near := difflib.get_close_matches(name, siblings, n=1, cutoff=0.5):
        paths = [_join(section, near[0])]
    elif near := difflib.get_close_matches(name, known, n=1):
        paths = _choose_nearest(known[near[0]], section)
    else:
        paths = []
    if paths:
        suggestion = f"the nearest {'is' if len(paths) == 1 else 'are'} {', '.join(paths)}"
    else:
        suggestion = f"known here are {', '.join(siblings)}"
    return f"{path}: expected a known key, found this one; {suggestion}"


def _choose_nearest(paths: list[str], section: str) -> list[str]:
    """Return those of some paths that have the most sections in common with a section."""

    def count_common(path: str) -> int:
        return len(os.path.commonprefix([path.split("."), section.split(".")]))

    most = max(map(count_common, paths))
    return [path for path in paths if count_common(path) == most]


def _expected(kind: Any, limits: Mapping[str, Any]) -> str:
    inner, optional = unwrap(kind)
    if limits.get("choices"):
        text = f"one of {', '.join(limits['choices'])}"
    else:
        text = type_words(inner)
        low, high = limits.get("minimum"), limits.get("maximum")
        if low is not None and high is not None:
            text += f" from {low} to {high}"
        elif low is not None:
            text += f" of at least {low}"
        elif high is not None:
            text += f" of at most {high}"
        if limits.get("pattern"):
            text += f" that matches {limits['pattern']}"
    return f"{text} or null" if optional else text


def type_words(kind: Any) -> str:
    """Name a type as a user would: "a list of numbers"."""
    inner, optional = unwrap(kind)
    arguments = typing.get_args(inner)
    if dataclasses.is_dataclass(inner):
        text = "a mapping of keys to values"
    elif arguments:
        plurals = {str: "texts", int: "whole numbers", float: "numbers"}
        plural = plurals.get(unwrap(arguments[-1])[0], "mappings of keys to values")
        container = "a list of" if typing.get_origin(inner) is list else "a mapping of names to"
        text = f"{container} {plural}"
    else:
        text = _NAMES[inner]
    return f"{text} or null" if optional else text


def _show(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value) if isinstance(value, datetime.date) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def unwrap(kind: Any) -> tuple[Any, bool]:
    """Split `X | None` into X and whether None is allowed."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        inner = [part for part in typing.get_args(kind) if part is not type(None)]
        return inner[0], True
    return kind, False


def item_section(kind: Any) -> type | None:
    """Return the section that a mapping of names holds one of for each name; None for others."""
    item = (typing.get_args(kind) or (None,))[-1]
    return item if typing.get_origin(kind) is dict and dataclasses.is_dataclass(item) else None


def is_required(field: dataclasses.Field[Any]) -> bool:
    """Tell whether a field has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _key_paths(cls: type, path: str = "") -> Iterator[str]:
    """Yield the full path of every key, sections included."""
    for name, kind in typing.get_type_hints(cls).items():
        yield _join(path, name)
        inner, _ = unwrap(kind)
        if dataclasses.is_dataclass(inner):
            yield from _key_paths(inner, _join(path, name))
