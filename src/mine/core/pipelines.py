"""Pipelines of diffusers: how one is found, read, refused and called.

Only weights in safetensors are read, and no code that comes with a model is run.
"""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mine.core.hubs import is_on_hub
from mine.core.models import check_finite
from mine.errors import InputError, describe_error
from mine.provenance import digest_files
from mine.sections import MODEL_SCORES

INDEX = "model_index.json"


@dataclass(frozen=True)
class Model:
    """What is known of a pipeline before its weights are read.

    key: of the configuration, which names it; name: a folder, or an id of the Hugging Face hub;
    digest: what identifies it; parts: what its index lists.
    """

    key: str
    name: str
    digest: str
    parts: frozenset[str]


@dataclass(frozen=True)
class Task:
    """What a pipeline is wanted for.

    finder: the class of diffusers that finds the right one for a model; ability: in words; needs:
    the argument of its call without which it could not be done.
    """

    finder: str
    ability: str
    needs: str


TASKS = {
    "generate": Task("AutoPipelineForText2Image", "makes images from text", "prompt"),
    "vary": Task("AutoPipelineForImage2Image", "makes images from images", "strength"),
    "inpaint": Task("AutoPipelineForInpainting", "can inpaint", "mask_image"),
    "instruct": Task("DiffusionPipeline", "edits by instruction", "image_guidance_scale"),
}

# Stable Diffusion XL may have zeros for an empty negative prompt, and the scale of Flux is a
# number that the model is told.
SAME_ENCODING = (
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
)


def find_model(key: str, name: str, *, variant: str | None, allow_download: bool) -> Model:
    """Find a pipeline by its index, without its weights.

    Raises InputError if there is none, or if a folder has weights only in a form that runs code
    when read.
    """
    if not is_on_hub(name):
        index = _read_folder(key, Path(name))
        return Model(key, name, digest_files(name, without=MODEL_SCORES), frozenset(index))
    from diffusers import DiffusionPipeline

    try:
        with _quieten():
            index = DiffusionPipeline.load_config(name, local_files_only=not allow_download)
    except (OSError, ValueError) as error:
        found = (
            f"none that can be had as {name}: {describe_error(error)}"
            if allow_download
            else f"neither a folder {name} nor that model in the hub's cache{_remedy(name)}"
        )
        raise InputError(
            f"{key}: expected a folder, or a pipeline of the Hugging Face hub, found {found}"
        ) from error
    return Model(key, name, f"{name}:{variant}", frozenset(index))


def _read_folder(key: str, folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    if not path.is_file():
        raise InputError(
            f"{key}: expected the folder of a pipeline of diffusers, with {path}, found no such "
            "file"
        )
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        index = None
    if not isinstance(index, dict) or "_class_name" not in index:
        raise InputError(f"{key}: expected {path} to name a pipeline's class, found something else")
    for part in sorted(folder.iterdir()):
        pickles = [file for end in ("bin", "ckpt", "pt", "pth") for file in part.glob(f"*.{end}")]
        if pickles and part.name in index and not any(part.glob("*.safetensors")):
            raise InputError(
                f"{key}: expected weights as safetensors in {part}, found only {pickles[0].name}, "
                "a form that runs code when read"
            )
    return index


def open_pipeline(model: Model, task: Task, *, shared: Any, loading: dict[str, Any]) -> Any:
    """Make the pipeline of a model for a task.

    shared: another pipeline of this model, whose weights are used; None reads them. loading: what
    diffusers is told for that. Raises InputError if it cannot be made, or could not do the task.
    """
    import diffusers
    from safetensors import SafetensorError

    finder = getattr(diffusers, task.finder)
    try:
        with _quieten():
            pipeline = (
                finder.from_pretrained(model.name, **loading, **_leave_out_checker(model))
                if shared is None
                else finder.from_pipe(shared)
            )
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        raise InputError(_explain(model, task, error, loading)) from error
    _check_pipeline(pipeline, model, task)
    pipeline.set_progress_bar_config(disable=True)
    if hasattr(pipeline, "watermark"):
        # Drawn into the pixels where a certain package happens to be installed.
        pipeline.watermark = None
    return pipeline


def _leave_out_checker(model: Model) -> dict[str, Any]:
    """Return options that leave out the safety checker, which blackens images that it dislikes.

    The feature extractor serves nothing else here, and old models name a class for it that is gone
    from transformers.
    """
    options: dict[str, Any] = {
        name: None for name in ("safety_checker", "feature_extractor") if name in model.parts
    }
    return options | ({"requires_safety_checker": False} if "safety_checker" in options else {})


def _explain(model: Model, task: Task, error: Exception, loading: dict[str, Any]) -> str:
    """Return one sentence on why a pipeline could not be made."""
    reason = describe_error(error)
    if "can't find a pipeline linked to" in reason:
        return f"{model.key}: expected a model that {task.ability}, found {model.name}: {reason}"
    is_offline = loading["local_files_only"] and is_on_hub(model.name)
    variant = f" with generator.variant {loading['variant']}" if loading["variant"] else ""
    return (
        f"{model.key}: expected a pipeline that diffusers can load from safetensors, found "
        f"{model.name}{variant}: {reason}{_remedy(model.name) if is_offline else ''}"
    )


def _remedy(name: str) -> str:
    return f"; `hf download {name}` or generator.allow_download: true fetches it"


def _check_pipeline(pipeline: Any, model: Model, task: Task) -> None:
    kind = type(pipeline).__name__
    problem = None
    if task.needs not in inspect.signature(pipeline.__call__).parameters:
        problem = f"whose {kind} takes no {task.needs}"
    elif not all(hasattr(pipeline, part) for part in ("vae", "vae_scale_factor")):
        problem = f"whose {kind} has no autoencoder"
    elif getattr(pipeline, "unet", None) is not None and task.needs != "image_guidance_scale":
        # Those of diffusers inpaint with 4 channels, latents alone, or 9: with mask and image.
        latent = pipeline.vae.config.latent_channels
        allowed = (4, 9) if task.needs == "mask_image" else (latent,)
        channels = pipeline.unet.config.in_channels
        if channels not in allowed:
            expected = " or ".join(map(str, allowed))
            problem = f"whose denoiser takes {channels} channels instead of {expected}"
    if problem:
        raise InputError(
            f"{model.key}: expected a model that {task.ability}, found {model.name}, {problem}"
        )


def choose_side(pipeline: Any, size: int | None) -> int:
    """Return the side of a pipeline's images, in pixels; None takes that of its training.

    Raises InputError if the model cannot divide it, or if it knows none.
    """
    denoiser = getattr(pipeline, "unet", None) or pipeline.transformer
    cell = pipeline.vae_scale_factor
    # Transformers take patches of latents; some pipelines pack them, which their processor knows.
    unit = max(cell * (denoiser.config.get("patch_size") or 1), _processor_unit(pipeline))
    if size is None:
        cells = denoiser.config.get("sample_size") or getattr(pipeline, "default_sample_size", None)
        if not isinstance(cells, int):
            raise InputError(
                "generator.size: expected a number of pixels, since the model has no single size "
                "of its own, found null"
            )
        size = cells * cell
    if size % unit:
        raise InputError(
            f"generator.size: expected a multiple of {unit}, by which the model divides an image, "
            f"found {size}"
        )
    return size


def _processor_unit(pipeline: Any) -> int:
    return pipeline.image_processor.config.vae_scale_factor


def set_memory_format(pipeline: Any) -> None:
    """Lay a convolutional denoiser out with channels last, in which convolutions take less time."""
    if getattr(pipeline, "unet", None) is not None:
        pipeline.unet.to(memory_format=torch.channels_last)


def needs_guidance(
    pipeline: Any, prompts: Sequence[str], negative: Sequence[str] | None
) -> np.ndarray:
    """Return for which prompts guidance makes a difference: bool (prompt,).

    Guidance goes by u + s (c - u), with u the denoiser's output for the negative prompt and c for
    the prompt. Where the two are one, it is c, and u need not be computed. Only of the pipelines in
    ``SAME_ENCODING`` is it known that they encode both alike.
    """
    if type(pipeline).__name__ not in SAME_ENCODING:
        return np.ones(len(prompts), bool)
    others = [""] * len(prompts) if negative is None else negative
    return np.array([prompt != other for prompt, other in zip(prompts, others, strict=True)], bool)


def gives_negative(
    pipeline: Any, prompts: Sequence[str], negative: Sequence[str] | None, *, guidance: float
) -> np.ndarray:
    """Return for which prompts a pipeline is given the negative one: bool (prompt,).

    Stable Diffusion XL guides away from zeros where it is given none, and from an empty one's
    encoding: the empty are left out, so that nothing is the same whether it is said or not.
    """
    zeros = guidance > 1 and pipeline.config.get("force_zeros_for_empty_prompt", False)
    given = [False] * len(prompts) if negative is None else [bool(n) or not zeros for n in negative]
    return np.array(given, bool)


def call_pipeline(pipeline: Any, **options: Any) -> np.ndarray:
    """Call a pipeline with those options that it knows.

    Returns uint8 (image, row, column, 3). Raises InputError if the model's numbers overflow.
    """
    accepted = inspect.signature(pipeline.__call__).parameters
    known = {name: value for name, value in options.items() if name in accepted}
    if type(pipeline).__name__ == "StableDiffusion3InpaintPipeline":
        known["callback_on_step_end"] = _add_shift
    images = np.asarray(pipeline(**known, output_type="np").images)
    check_finite(images, pipeline.dtype, key="generator.dtype")
    return (images * 255).round().astype(np.uint8)


def _add_shift(
    pipeline: Any, step: int, time: Any, tensors: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Return the latents after a step, the last with the autoencoder's shift.

    The inpainting of Stable Diffusion 3 in diffusers 0.42 encodes images as (z - shift) scale, as
    the model was trained, and decodes latents / scale without the shift, which changes colours.
    """
    config = pipeline.vae.config
    if step < pipeline.num_timesteps - 1:
        return {}
    return {"latents": tensors["latents"] + config.shift_factor * config.scaling_factor}


@contextmanager
def _quieten() -> Iterator[None]:
    """Keep progress bars out of the logs while models are found and read, and a warning about an
    argument that diffusers itself gives to huggingface_hub.
    """
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    loud = [
        library
        for library in (diffusers_logging, transformers_logging)
        if library.is_progress_bar_enabled()
    ]
    for library in loud:
        library.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The `local_dir_use_symlinks` argument", UserWarning)
            yield
    finally:
        for library in loud:
            library.enable_progress_bar()
