"""Read the workflow once with a configuration whose values know their keys, and print as JSON all
keys and those that the params of each rule hold. Run as a script: repository, configuration.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

import mine.config


class Text(str):
    key: str


class Whole(int):
    """Truth values too, which no class can be derived from."""

    key: str


class Number(float):
    key: str


KINDS = {str: Text, int: Whole, float: Number}


def trace(value: Any, key: str = "") -> Any:
    """The same settings, in which each text and number knows its key; None cannot."""
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value)]
        below = {name: trace(getattr(value, name), f"{key}.{name}".strip(".")) for name in fields}
        return dataclasses.replace(value, **below)
    if isinstance(value, dict):
        return {name: trace(one, key) for name, one in value.items()}
    if isinstance(value, list):
        return [trace(one, key) for one in value]
    for kind, traced in KINDS.items():
        if isinstance(value, kind):
            own = traced(value)
            own.key = key
            return own
    return value


def find_keys(value: Any, section: str | None = None) -> Iterator[str]:
    """The keys that a parameter holds. One without a value that knows it goes by the section of
    those beside it in a mapping, or by that of the mapping around them."""
    if hasattr(value, "key"):
        yield value.key
    elif isinstance(value, dict):
        own = {one.key.rpartition(".")[0] for one in value.values() if hasattr(one, "key")}
        if own:
            section = own.pop() if len(own) == 1 else None
        for name, one in value.items():
            below = None if section is None else f"{section}.{name}".strip(".")
            if one is None or one in ([], {}):
                if below is not None:
                    yield below
            else:
                yield from find_keys(one, below)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from find_keys(one)


def list_keys(value: Any, key: str = "") -> Iterator[str]:
    """Every key of the settings, section by section."""
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from list_keys(getattr(value, field.name), f"{key}.{field.name}".strip("."))
    elif isinstance(value, dict) and any(map(dataclasses.is_dataclass, value.values())):
        for one in value.values():
            yield from list_keys(one, key)
    else:
        yield key


def main(repository: Path, configuration: Path) -> None:
    load_config = mine.config.load_config
    mine.config.load_config = lambda *given, **named: trace(load_config(*given, **named))
    with SnakemakeApi(OutputSettings()) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(configfiles=[configuration]),
            snakefile=repository / "Snakefile",
            workdir=Path.cwd(),
        )._workflow
        held = {
            rule.name: sorted({key for _, value in rule.params.items() for key in find_keys(value)})
            for rule in workflow.rules
        }
    print(json.dumps({"keys": sorted({*list_keys(load_config(configuration))}), "held": held}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
