"""What is made from the declaration of a configuration: default file, schema, reference page."""

from __future__ import annotations

import dataclasses
import re
import textwrap
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from mine.settings import is_required, item_section, type_words, unwrap

_JSON_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def json_schema(cls: type, *, title: str) -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a configuration."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **_section_schema(cls),
    }


def default_yaml(cls: type) -> str:
    """Return a configuration file with every key, its help above it and its default behind it."""
    return "\n".join(_yaml_lines(cls, "")) + "\n"


def reference_markdown(cls: type) -> str:
    """Return a table of all keys for each section, for the documentation."""
    parts = []
    for name, help, fields, named in _sections(cls):
        rows = [
            f"| `{field.name}` | {type_words(kind)} | {_default_words(field, kind)} | "
            f"{_limits(field)} |"
            for field, kind in fields
        ]
        parts.append(
            f"## {name}\n\n{help}\n\n| key | type | default | meaning |\n|---|---|---|---|\n"
            + "\n".join(rows)
        )
        if named:
            keys = [field.name for field, _ in fields]
            rows = [
                f"| `{entry}` | {' | '.join(f'`{_yaml_value(values[key])}`' for key in keys)} |"
                for entry, values in named.items()
            ]
            parts.append(
                "By default there are\n\n"
                f"| name | {' | '.join(keys)} |\n|---{'|---' * len(keys)}|\n" + "\n".join(rows)
            )
    return "\n\n".join(parts) + "\n"


def _sections(cls: type) -> Iterator[tuple[str, str, list[tuple[Any, Any]], dict[str, Any]]]:
    """Yield name, help and plain fields of the top level and of each section, and the entries that
    a mapping of sections has by default."""
    kinds = typing.get_type_hints(cls)
    plain, nested = [], []
    for field in dataclasses.fields(cls):
        inner, _ = unwrap(kinds[field.name])
        inner = item_section(inner) or inner
        (nested if dataclasses.is_dataclass(inner) else plain).append((field, inner))
    yield "top level", (cls.__doc__ or "").strip(), [(f, kinds[f.name]) for f, _ in plain], {}
    for field, inner in nested:
        named = _default(field) if item_section(kinds[field.name]) else {}
        hints = typing.get_type_hints(inner)
        fields = [(entry, hints[entry.name]) for entry in dataclasses.fields(inner)]
        yield field.name, field.metadata["help"], fields, named
        # sections within a section: a row in its table, and a table of their own
        for entry, kind in fields:
            part, _ = unwrap(kind)
            if dataclasses.is_dataclass(part):
                hints = typing.get_type_hints(part)
                own = [(one, hints[one.name]) for one in dataclasses.fields(part)]
                yield f"{field.name}.{entry.name}", entry.metadata["help"], own, {}


def _section_schema(cls: type) -> dict[str, Any]:
    kinds = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)
    schema: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {field.name: _field_schema(field, kinds[field.name]) for field in fields},
    }
    required = [field.name for field in fields if is_required(field)]
    return {**schema, "required": required} if required else schema


def _field_schema(field: dataclasses.Field[Any], kind: Any) -> dict[str, Any]:
    inner, optional = unwrap(kind)
    schema = _value_schema(inner, field.metadata)
    if optional:
        schema = {"anyOf": [schema, {"type": "null"}]}
    schema = {"description": field.metadata["help"], **schema}
    if not is_required(field) and not dataclasses.is_dataclass(inner):
        schema["default"] = _default(field)
    return schema


def _value_schema(kind: Any, limits: Mapping[str, Any]) -> dict[str, Any]:
    kind, optional = unwrap(kind)
    if dataclasses.is_dataclass(kind):
        return _section_schema(kind)
    container = typing.get_origin(kind)
    if container is list:
        schema = {"type": "array", "items": _value_schema(typing.get_args(kind)[0], limits)}
        unique = {"uniqueItems": True} if limits["distinct"] else {}
        return {**schema, **({"minItems": 1} if limits["nonempty"] else {}), **unique}
    if container is dict:
        item = _value_schema(typing.get_args(kind)[1], limits)
        schema = {"type": "object", "additionalProperties": item}
        return {**schema, "minProperties": 1} if limits.get("nonempty") else schema
    schema = {"type": _JSON_NAMES[kind]}
    if limits["choices"]:
        schema["enum"] = list(limits["choices"])
    if limits["pattern"]:
        schema["pattern"] = f"^(?:{limits['pattern']})$"
    schema |= {name: limits[name] for name in ("minimum", "maximum") if limits[name] is not None}
    return {"anyOf": [schema, {"type": "null"}]} if optional else schema


def _yaml_lines(cls: type, indent: str) -> Iterator[str]:
    kinds = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        inner, _ = unwrap(kinds[field.name])
        nested = dataclasses.is_dataclass(inner) and field.default is not None
        item = item_section(inner)
        if nested or item:
            yield ""
        plain = not nested and item is None
        yield from _comment(_limits(field) if plain else field.metadata["help"], indent)
        if item:
            for key in dataclasses.fields(item):
                yield from _comment(f"{key.name}: {_limits(key)}", indent)
            yield f"{indent}{field.name}:"
            for name, values in _default(field).items():
                yield f"{indent}  {name}:"
                for key, value in values.items():
                    yield f"{indent}    {key}: {_yaml_value(value)}"
        elif nested:
            yield f"{indent}{field.name}:"
            yield from _yaml_lines(inner, indent + "  ")
        else:
            required = is_required(field)
            value = field.metadata["example"] if required else _default(field)
            yield f"{indent}{field.name}: {_yaml_value(value)}"


def _comment(text: str, indent: str) -> list[str]:
    return [
        f"{indent}# {line}"
        for line in textwrap.wrap(text, 96 - len(indent), break_on_hyphens=False)
    ]


def _yaml_value(value: object) -> str:
    """Write a value in YAML's flow style."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml_value, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, float):
        # A mantissa with a point, or YAML reads the number as a text.
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z][\w./-]*", value):
        return "'" + value.replace("'", "''") + "'"
    return str(value)


def _limits(field: dataclasses.Field[Any]) -> str:
    """Return a key's help with the values it may take."""
    limits = field.metadata
    words = limits["help"]
    low, high = limits.get("minimum"), limits.get("maximum")
    if limits.get("choices"):
        words += f" One of {', '.join(limits['choices'])}."
    elif low is not None and high is not None:
        words += f" From {low} to {high}."
    elif low is not None:
        words += f" At least {low}."
    return words


def _default_words(field: dataclasses.Field[Any], kind: Any) -> str:
    if dataclasses.is_dataclass(unwrap(kind)[0]):
        return "below"
    return "required" if is_required(field) else f"`{_yaml_value(_default(field))}`"


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is dataclasses.MISSING:
        return field.default
    value = field.default_factory()
    if isinstance(value, dict):
        # Sections as plain values, which is how they are written.
        value = {
            name: dataclasses.asdict(item) if dataclasses.is_dataclass(item) else item
            for name, item in value.items()
        }
    return value
