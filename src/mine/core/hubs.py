"""Models that a hub holds: which they are, and how they get into its cache.

One job uses the network. All others run with the hubs' switches set, so that a node without
internet answers at once instead of trying, and so that none waits for another's download. Only the
standard library is imported at the top, because the workflow's rules read this.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mine.errors import InputError, describe_error

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
"""Organisation and name of a model of the Hugging Face hub."""

PIPELINES = ("model", "inpainting", "editing")
"""Keys of the section ``generator`` that name its models."""

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""Switches of the hubs' libraries, which read them when they are imported."""


def is_on_hub(model: str) -> bool:
    """Tell whether a model of the generator is one of a hub: it has the form of an id, and there is
    no folder of that name."""
    return HUB_ID.fullmatch(model) is not None and not Path(model).is_dir()


def list_hub_models(name: str, section: Mapping[str, Any]) -> list[str]:
    """Return the models that a section of the configuration has from a hub.

    Args:
        name: ``backbone``, ``evaluator`` or ``generator``.
        section: its keys.

    Returns:
        Names without those of folders.
    """
    if name == "generator":
        named = [section[key] for key in PIPELINES if section[key]]
        return [model for model in dict.fromkeys(named) if is_on_hub(model)]
    return [section["model"]] if not section["model"].startswith("local-dir:") else []


def fetch_models(name: str, section: Mapping[str, Any]) -> list[str]:
    """Fetch what :func:`list_hub_models` lists into the hub's cache, and return it.

    The network is allowed in this process, whatever its switches say; but a generator that may not
    be downloaded is only looked for in the cache. Backbone and evaluator are
    loaded, on the CPU, by what loads them later, so that nothing they need is left out; but not a
    vision–language model, which may be larger than the memory here.

    Raises InputError if a model cannot be had, or if a generator is neither a hub's nor a folder.
    """
    if name == "generator":
        _check_folders(section)
    for switch in OFFLINE:
        os.environ.pop(switch, None)
    models = list_hub_models(name, section)
    if models and name == "backbone" and section["kind"] == "vlm":
        _fetch_repository(models[0])
    elif models and name == "backbone":
        from mine.core.backbone import open_backbone

        open_backbone(section, device="cpu")
    elif models and name == "evaluator":
        from mine.core.evaluator import open_features

        open_features(section, device="cpu")
    elif models:
        _fetch_pipelines(models, variant=section["variant"], fetch=section["allow_download"])
    return models


def find_pipeline(name: str) -> Path | None:
    """Return the folder in the hub's cache of a pipeline of diffusers; None where it is not there.

    name: its id, organisation/name. The network is left alone.
    """
    return find_cached(name, "model_index.json")


def find_cached(name: str, file: str) -> Path | None:
    """Return the folder in the hub's cache of a model; None where it is not there.

    name: its id, organisation/name, with ``@`` and a revision of it or without. file: one that such
    a model has. The network is left alone.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    name, _, revision = name.partition("@")
    try:
        found = try_to_load_from_cache(name, file, revision=revision or None)
    except HFValidationError:
        # No model of the hub can have that name.
        return None
    return Path(found).parent if isinstance(found, str) else None


def _check_folders(section: Mapping[str, Any]) -> None:
    """Raise InputError if a model of the generator is to be in a folder that is not there."""
    for key in PIPELINES:
        model = section[key]
        if model and not is_on_hub(model) and not Path(model).is_dir():
            raise InputError(f"generator.{key}: expected a folder {model}, found none")


def _fetch_repository(name: str) -> None:
    """Fetch a model of transformers."""
    from huggingface_hub.errors import HfHubHTTPError

    from mine.core.models import find_repository

    try:
        find_repository(name, fetch=True)
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = describe_error(error)
        raise InputError(
            f"backbone.model: expected a repository that can be fetched, found {name!r}: {reason}"
        ) from error


def _fetch_pipelines(models: list[str], *, variant: str | None, fetch: bool) -> None:
    """Fetch pipelines of diffusers, all of their parts, without loading them, or look whether they
    are in the cache."""
    from diffusers import DiffusionPipeline

    for model in models:
        try:
            DiffusionPipeline.download(
                model, variant=variant, use_safetensors=True, local_files_only=not fetch
            )
        except (OSError, ValueError) as error:
            reason = describe_error(error)
            wanted = (
                "a pipeline that can be fetched"
                if fetch
                else "a pipeline in the cache of the Hugging Face hub, or allow_download: true"
            )
            raise InputError(f"generator: expected {wanted}, found {model!r}: {reason}") from error
