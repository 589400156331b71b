"""How a job is run, as far as no result depends on it: keys that are no parameters of rules.

Snakemake does a job again whenever a parameter of its rule is another. Rules therefore leave out
the keys of `mine.sections.HANDLING`, and scripts find them in the configuration of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from mine.sections import HANDLING


def drop_handling(name: str, section: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section of the configuration without the keys that say how it is run.

    name: of the section. section: its keys, all or some of them.
    """
    return {key: value for key, value in section.items() if key not in HANDLING.get(name, ())}


def add_handling(
    name: str, section: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a section of the configuration with the keys that say how it is run.

    name: of the section. section: what a rule has given of it. config: section -> keys, all that
    there are, as the workflow's rules leave it.
    """
    return {**section, **{key: config[name][key] for key in HANDLING.get(name, ())}}


def read_parameters(snakemake: Any) -> SimpleNamespace:
    """Return a job's parameters by name, its sections with the keys that say how they are run.

    snakemake: the object that Snakemake gives to scripts.
    """
    parameters = dict(snakemake.params.items())
    sections = {
        name: add_handling(name, parameters[name], snakemake.config)
        for name in parameters.keys() & HANDLING.keys()
    }
    return SimpleNamespace(**(parameters | sections))
