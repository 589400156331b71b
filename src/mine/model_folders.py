"""What the models of a configuration say of themselves, in their folders or in the hub's cache, and
what is wrong with them. No weights are read."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mine.config import Config
from mine.core.hubs import PIPELINES, find_cached, find_pipeline, is_on_hub
from mine.errors import InputError
from mine.sections import MODEL_FILES, Backbone, Evaluator, Generator

PICTURE_SIDE = 512
"""Side of the pictures, in pixels, of most generators whose size is left to the model."""
CELL = 8
"""Pixels of a side that a latent stands for in the generators of which configurations are ready."""
ENTRIES = {
    "open_clip": "model_cfg",
    "timm": "architecture",
    "vlm": "model_type",
    "language": "model_type",
}
"""What the description of a model in a folder has to say, by the kind of model."""
UNTOLD = (OSError, ValueError, LookupError, TypeError)
"""What reading a description raises that is not there or says something else."""


def check_model_folders(config: Config) -> list[str]:
    """List what is wrong with the models of all sections, a sentence each."""
    return [
        *_check_model("backbone", config.backbone),
        *_check_model("evaluator", config.evaluator),
        *_check_generator(config.generator),
        *_check_phrasing(config.phrasing.model),
    ]


def list_unchecked(config: Config) -> dict[str, str]:
    """Return the models of which only the network could tell whether there are any of that name, by
    the keys that name them: those of a hub that are not in its cache and that a run may fetch."""
    unchecked = {}
    for name, chosen in {"backbone": config.backbone, "evaluator": config.evaluator}.items():
        scheme, _, place = chosen.model.partition(":")
        if scheme == "hf-hub" and find_cached(place, MODEL_FILES[chosen.kind][0]) is None:
            unchecked[f"{name}.model"] = place
    for key in PIPELINES:
        model = getattr(config.generator, key)
        if model is not None and is_on_hub(model) and find_pipeline(model) is None:
            unchecked[f"generator.{key}"] = model
    return unchecked


def read_side(generator: Generator) -> int:
    """Return the side of the pictures in pixels; what most generators have where the model, whose
    own it is, is not there or does not say it as Stable Diffusion does."""
    if generator.size is not None:
        return generator.size
    folder = _find_generator(generator.model)
    if folder is None:
        return PICTURE_SIDE
    try:
        latents = json.loads(Path(folder, "unet/config.json").read_text("utf-8"))["sample_size"]
        return int(latents * _read_cell(Path(folder)))
    except UNTOLD:
        return PICTURE_SIDE


def read_token_shape(backbone: Backbone) -> tuple[int, int] | None:
    """Return how many tokens an image has and how many features a token; None where it is not
    known before the model is there."""
    scheme, _, place = backbone.model.rpartition(":")
    if backbone.kind == "vlm":
        # How many tokens an image takes only the model's own preparation of it can tell.
        return None
    if scheme == "local-dir":
        try:
            model = _read_description(Path(place), kind=backbone.kind, key="backbone.model")
        except InputError:
            # Told already, among the problems of the models.
            return None
    elif scheme:
        return None
    else:
        import open_clip

        model = open_clip.get_model_config(backbone.model) or {}
    vision = model.get("vision_cfg", {})
    side, patch = vision.get("image_size"), vision.get("patch_size")
    if not isinstance(side, int) or not isinstance(patch, int):
        return None
    return (side // patch) ** 2, model["embed_dim"]


def _check_model(name: str, chosen: Backbone | Evaluator) -> list[str]:
    """List what is wrong with the model of a section, by its name and its keys."""
    model, pretrained, key = chosen.model, chosen.pretrained, f"{name}.model"
    scheme, _, place = model.rpartition(":")
    if scheme == "local-dir":
        return _check_model_folder(Path(place), kind=chosen.kind, key=key)
    if scheme == "hf-hub":
        # Only the network could tell; a local rule fetches it before anything else runs.
        return []
    if scheme:
        return [f"{key}: expected a name, local-dir: or hf-hub:, found {scheme}: in {model}"]
    models, list_tags = _list_models(chosen.kind)
    if model not in models:
        near = _nearest(model, models)
        return [f"{key}: expected a model of {chosen.kind}, found {model!r}; {near}"]
    tags = list_tags(model)
    if pretrained not in tags:
        near = _nearest(str(pretrained), tags)
        return [
            f"{name}.pretrained: expected a tag of {model}'s weights, found {pretrained!r}; {near}"
        ]
    return []


def _list_models(kind: str) -> tuple[list[str], Callable[[str], list[str]]]:
    """Return the names of a kind of models, and what lists the tags of one's weights."""
    # Imported late: both bring torch, and a model in a folder needs neither.
    if kind == "open_clip":
        import open_clip

        return open_clip.list_models(), open_clip.list_pretrained_tags_by_model
    import timm

    def list_tags(model: str) -> list[str]:
        names = timm.list_models(f"{model}.*", pretrained=True)
        return [name.partition(".")[2] for name in names]

    return timm.list_models(), list_tags


def _check_model_folder(folder: Path, *, kind: str, key: str) -> list[str]:
    if not folder.is_dir():
        return [f"{key}: expected a folder {folder}, found none"]
    try:
        _read_description(folder, kind=kind, key=key)
    except InputError as error:
        return [str(error)]
    weights = folder / MODEL_FILES[kind][1]
    if not any(folder.glob(weights.name)):
        return [f"{key}: expected the weights {weights}, found no such file"]
    return []


def _read_description(folder: Path, *, kind: str, key: str) -> Any:
    """Return what the description of a model in a folder says of its architecture."""
    path, entry = folder / MODEL_FILES[kind][0], ENTRIES[kind]
    if not path.is_file():
        raise InputError(f"{key}: expected the description {path}, found no such file")
    try:
        return json.loads(path.read_text(encoding="utf-8"))[entry]
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{path}: expected JSON with an entry {entry}, found something else"
        ) from None


def _check_generator(generator: Generator) -> list[str]:
    """List what is wrong with the generator's models, in folders or in the hub's cache."""
    problems = []
    for key in PIPELINES:
        model = getattr(generator, key)
        if model is None or (is_on_hub(model) and generator.allow_download):
            # A local rule fetches it before anything else runs.
            continue
        folder = _find_generator(model)
        if folder is None:
            problems.append(
                f"generator.{key}: expected a folder, or a model in the cache of the Hugging Face "
                f"hub, found neither of {model}; `mine download --models` or "
                "generator.allow_download: true fetches it"
            )
        elif not Path(folder).is_dir():
            problems.append(f"generator.{key}: expected a folder {folder}, found none")
        elif not (index := Path(folder) / "model_index.json").is_file():
            problems.append(
                f"generator.{key}: expected the folder of a pipeline of diffusers, with {index}, "
                "found no such file"
            )
        elif not any(Path(folder).glob("*/*.safetensors")):
            problems.append(
                f"generator.{key}: expected weights as safetensors in {folder}, found none"
            )
    return problems + _check_size(generator)


def _check_size(generator: Generator) -> list[str]:
    """List by which model the side of a generator's images cannot be divided."""
    for key in PIPELINES:
        model = getattr(generator, key)
        cell = 1 if model is None or generator.size is None else _find_cell(model)
        if generator.size is not None and generator.size % cell:
            return [
                f"generator.size: expected a multiple of {cell}, by which generator.{key} divides "
                f"an image, found {generator.size}"
            ]
    return []


def _find_cell(model: str) -> int:
    """Pixels of a side that a latent of a pipeline stands for; CELL where the model is not there
    yet, 1 where it does not say."""
    folder = _find_generator(model)
    if folder is None or not Path(folder).is_dir():
        return CELL
    try:
        return _read_cell(Path(folder))
    except UNTOLD:
        return 1


def _read_cell(folder: Path) -> int:
    """Read what `_find_cell` returns: each block of the autoencoder but the last halves the side.
    Raises UNTOLD."""
    text = Path(folder, "vae/config.json").read_text(encoding="utf-8")
    return 2 ** (len(json.loads(text)["block_out_channels"]) - 1)


def _find_generator(model: str) -> Path | str | None:
    """Return the folder of a model of the generator, which may not be there; None where it is one
    of a hub that is not in its cache."""
    return find_pipeline(model) if is_on_hub(model) else model


def _check_phrasing(model: str | None) -> list[str]:
    if model is None:
        return []
    folder = Path(model.removeprefix("local-dir:"))
    return _check_model_folder(folder, kind="language", key="phrasing.model")


def _nearest(name: str, known: list[str]) -> str:
    near = _find_nearest(name, known)
    if near:
        return f"the nearest are {', '.join(near)}"
    return f"there are {', '.join(known[:8])}" if known else "it has none"


def _find_nearest(name: str, known: list[str]) -> list[str]:
    """Return at most three known names: those that a slip leads from, or else those that share the
    most parts with a name, as another library's name of the same model does."""
    slips = difflib.get_close_matches(name, known, n=3, cutoff=0.8)
    if slips:
        return slips
    alike = {one: difflib.SequenceMatcher(None, one, name).ratio() for one in known}
    shared = {one: len(_split_name(one) & _split_name(name)) for one in known}
    near = [one for one in known if shared[one] or alike[one] >= 0.4]
    return sorted(near, key=lambda one: (-shared[one], -alike[one]))[:3]


def _split_name(name: str) -> set[str]:
    return set(re.split(r"[-_./]", name.lower()))
