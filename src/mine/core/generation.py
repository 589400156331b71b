"""Images made from words, from images and from both, by any latent diffusion model of diffusers.

Text-to-image, image-to-image and inpainting are the pipelines that diffusers links to a model; they
share its weights. Editing by instruction needs a model that was trained for it (InstructPix2Pix,
arXiv 2211.09800).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mine.core.devices import choose_device
from mine.core.pipelines import (
    TASKS,
    Model,
    call_pipeline,
    choose_side,
    find_model,
    gives_negative,
    needs_guidance,
    open_pipeline,
    set_memory_format,
)
from mine.errors import InputError

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Generator:
    """Models that make images, and how they are run. Use :func:`load_generator`.

    Images are uint8 (image, row, column, 3). There is a seed for each image, a whole number: an
    image follows from its own prompt and seed, and depends neither on what else is in its batch
    (but for rounding) nor on what was made before. Weights are read when they are first needed.

    ``negative`` names for each image what to keep away from, the empty text for nothing. It has no
    effect on a model that is run without guidance, as distilled ones are, or that knows no such
    prompts.
    """

    models: dict[str, Model]
    steps: int
    guidance: float
    inpainting_guidance: float
    size: int | None
    device: torch.device
    batch_size: int
    loading: dict[str, Any]
    vae_tiling: bool
    vae_slicing: bool
    cpu_offload: bool
    pipelines: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def digest(self) -> str:
        """Identify the models."""
        return " + ".join(model.digest for model in self.models.values())

    def generate(
        self,
        prompts: Sequence[str],
        *,
        seeds: Sequence[int],
        negative: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Make an image for each prompt: (image, size, size, 3)."""
        return self._run("generate", prompts, seeds=seeds, negative=negative)

    def vary(
        self,
        images: np.ndarray,
        prompts: Sequence[str],
        *,
        seeds: Sequence[int],
        strength: float,
        negative: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Make images anew from images and prompts.

        strength: share of the steps that are run, and so of the noise that is added first; at 1
        next to nothing is left of the image. Returns images of the size of those given. Raises
        InputError where not even one step is left. No rule uses it.
        """
        if not 0 < strength <= 1 or int(self.steps * strength) < 1:
            raise InputError(
                f"strength: expected from {1 / self.steps:.3g} to 1, so that one of "
                f"{self.steps} steps is left, found {strength:g}"
            )
        return self._run(
            "vary", prompts, seeds=seeds, images=images, strength=strength, negative=negative
        )

    def inpaint(
        self,
        images: np.ndarray,
        masks: np.ndarray,
        prompts: Sequence[str],
        *,
        seeds: Sequence[int],
        negative: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Repaint parts of images by prompts.

        masks: bool (image, row, column), True where repainted. Returns images of the size of those
        given, which equal them exactly outside of the masks.
        """
        masks = np.asarray(masks)
        if masks.shape != images.shape[:3] or masks.dtype != bool:
            raise InputError(
                f"masks: expected bool {images.shape[:3]}, the images' rows and columns, found "
                f"{masks.dtype} {masks.shape}"
            )
        painted = self._run(
            "inpaint",
            prompts,
            seeds=seeds,
            images=images,
            masks=masks,
            # From pure noise: at less, what is to go would shine through.
            strength=1.0,
            negative=negative,
        )
        return np.where(masks[..., None], painted, images)

    def instruct(
        self, images: np.ndarray, instructions: Sequence[str], *, seeds: Sequence[int]
    ) -> np.ndarray:
        """Edit images by instructions such as "make the dog red".

        How closely an edit keeps to its image is left to the pipeline's own image guidance. Returns
        images of the size of those given. Raises InputError if there is no model for it.
        """
        if "editing" not in self.models:
            raise InputError(
                "generator.editing: expected a model that edits by instruction, such as "
                "timbrooks/instruct-pix2pix, found null"
            )
        return self._run("instruct", instructions, seeds=seeds, images=images)

    def _run(
        self,
        task: str,
        prompts: Sequence[str],
        *,
        seeds: Sequence[int],
        images: np.ndarray | None = None,
        negative: Sequence[str] | None = None,
        **options: Any,
    ) -> np.ndarray:
        """Run a task batch by batch; the images that it makes have the size of those given."""
        _check_lengths(prompts, images, seeds=seeds, negative=negative)
        pipeline = self._open(task)
        side = choose_side(pipeline, self.size)
        made = np.zeros((len(prompts), side, side, 3), np.uint8)
        guidance = self.inpainting_guidance if task == "inpaint" else self.guidance
        kinds = (
            needs_guidance(pipeline, prompts, negative),
            gives_negative(pipeline, prompts, negative, guidance=guidance),
        )
        for batch, is_guided, is_kept_away in self._batches(*kinds):
            made[batch] = call_pipeline(
                pipeline,
                prompt=[prompts[one] for one in batch],
                height=side,
                width=side,
                num_inference_steps=self.steps,
                guidance_scale=guidance if is_guided else 1.0,
                # On the CPU, so that the noise of a seed is the same on every device.
                generator=[torch.Generator("cpu").manual_seed(int(seeds[one])) for one in batch],
                **({"negative_prompt": [negative[i] for i in batch]} if is_kept_away else {}),
                **_give_images(images, batch, pipeline, side, **options),
            )
        return made if images is None else resize_images(made, *images.shape[1:3])

    def _batches(self, *kinds: np.ndarray) -> Iterator[tuple[Any, ...]]:
        """Divide what is to be made into batches of one kind each, by kinds, bool (prompt,)."""
        for kind in product((True, False), repeat=len(kinds)):
            those = np.flatnonzero(np.all(np.stack(kinds, axis=1) == kind, axis=1))
            for start in range(0, len(those), self.batch_size):
                yield those[start : start + self.batch_size], *kind

    def _open(self, task: str) -> Any:
        """Return the pipeline of a task; the first that uses a model reads the weights."""
        if task in self.pipelines:
            return self.pipelines[task]
        model = self._model_for(task)
        shared = [pipe for other, pipe in self.pipelines.items() if self._model_for(other) == model]
        pipeline = open_pipeline(
            model, TASKS[task], shared=next(iter(shared), None), loading=self.loading
        )
        if self.vae_tiling:
            pipeline.vae.enable_tiling()
        if self.vae_slicing:
            pipeline.vae.enable_slicing()
        set_memory_format(pipeline)
        if self.cpu_offload and self.device.type != "cpu":
            pipeline.enable_model_cpu_offload(device=self.device)
        else:
            pipeline.to(self.device)
        return self.pipelines.setdefault(task, pipeline)

    def _model_for(self, task: str) -> Model:
        own = {"inpaint": "inpainting", "instruct": "editing"}.get(task, "model")
        return self.models.get(own, self.models["model"])


def load_generator(
    *,
    model: str,
    inpainting: str | None,
    editing: str | None,
    variant: str | None,
    steps: int,
    guidance: float,
    inpainting_guidance: float | None,
    size: int | None,
    dtype: str,
    device: str,
    batch_size: int,
    vae_tiling: bool,
    vae_slicing: bool,
    cpu_offload: bool,
    allow_download: bool,
) -> Generator:
    """Find the models that make images; their weights are read when they are first needed.

    Args:
        model: a text-to-image pipeline of diffusers: a folder, or an id of the Hugging Face hub.
        inpainting: one that repaints; None takes ``model`` for this too.
        editing: one that edits by instruction; None for none.
        variant: which files of weights to read, ``fp16`` for example; None the plain ones.
        steps: steps of denoising.
        guidance: scale of classifier-free guidance; up to 1 there is none.
        inpainting_guidance: the same where parts of images are repainted; None takes ``guidance``.
        size: side of the images made, in pixels; None takes each model's own.
        dtype: one of ``DTYPES``.
        device: where to compute.
        batch_size: images in one call.
        vae_tiling, vae_slicing: decode images in overlapping tiles, or one by one, which takes less
            memory; tiles change pixels a little, and an image of the model's own size is one tile.
        cpu_offload: keep on the device only the part of a pipeline that is at work.
        allow_download: fetch from the hub what is not in its cache.

    Raises:
        InputError: a model is not there, or does not go with the other arguments.
    """
    chosen = choose_device(device, key="generator.device")
    if dtype not in DTYPES:
        raise InputError(f"generator.dtype: expected one of {DTYPES}, found {dtype!r}")
    if dtype == "float16" and chosen.type == "cpu":
        raise InputError("generator.dtype: expected float32 or bfloat16 on a CPU, found float16")
    if editing is not None and guidance <= 1:
        raise InputError(
            "generator.guidance: expected above 1, without which generator.editing heeds no "
            f"instruction, found {guidance:g}"
        )
    # A model that is named twice is read once.
    names = {
        "model": model,
        "inpainting": None if inpainting == model else inpainting,
        "editing": editing,
    }
    finding = {"variant": variant, "allow_download": allow_download}
    return Generator(
        models={
            key: find_model(f"generator.{key}", name, **finding)
            for key, name in names.items()
            if name is not None
        },
        steps=steps,
        guidance=guidance,
        inpainting_guidance=guidance if inpainting_guidance is None else inpainting_guidance,
        size=size,
        device=chosen,
        batch_size=batch_size,
        loading={
            "dtype": getattr(torch, dtype),
            "variant": variant,
            "use_safetensors": True,
            "local_files_only": not allow_download,
        },
        vae_tiling=vae_tiling,
        vae_slicing=vae_slicing,
        cpu_offload=cpu_offload,
    )


def cover_cells(masks: np.ndarray, *, side: int, cell: int) -> np.ndarray:
    """Bring masks to a model's images, grown to the whole latent cells that they touch.

    Of each cell a pipeline looks at one pixel: parts of a mask that are thinner would not be
    repainted at all. masks: bool (image, row, column). Returns bool (image, side, side), constant
    over cells of ``cell`` × ``cell`` pixels.
    """
    touched = functional.adaptive_max_pool2d(
        torch.from_numpy(masks).float().unsqueeze(1), side // cell
    )
    return touched[:, 0].bool().numpy().repeat(cell, axis=1).repeat(cell, axis=2)


def resize_images(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Resize images, bicubic, whatever their proportions; those of that size stay as they are."""
    from PIL import Image

    if images.shape[1:3] == (rows, columns):
        return images
    resized = np.empty((len(images), rows, columns, 3), np.uint8)
    for target, picture in zip(resized, _to_pictures(images), strict=True):
        target[:] = np.asarray(picture.resize((columns, rows), Image.Resampling.BICUBIC))
    return resized


def _give_images(
    images: np.ndarray | None,
    batch: np.ndarray,
    pipeline: Any,
    side: int,
    *,
    masks: np.ndarray | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Return a pipeline's options for a batch of images and masks, in the size that it works at."""
    if images is not None:
        options["image"] = _to_pictures(resize_images(images[batch], side, side))
    if masks is not None:
        cells = cover_cells(masks[batch], side=side, cell=pipeline.vae_scale_factor)
        options["mask_image"] = _to_pictures(cells.astype(np.uint8) * 255)
    return options


def _to_pictures(images: np.ndarray) -> list[Any]:
    from PIL import Image

    return [Image.fromarray(image) for image in images]


def _check_lengths(
    prompts: Sequence[str],
    images: np.ndarray | None,
    **others: Sequence[Any] | None,
) -> None:
    """Raise InputError unless there is one of everything for each prompt."""
    for name, values in others.items():
        if values is not None and len(values) != len(prompts):
            raise InputError(
                f"{name}: expected one for each of {len(prompts)} prompts, found {len(values)}"
            )
    if images is None:
        return
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise InputError(
            f"images: expected uint8 (image, row, column, 3), found {images.dtype} {images.shape}"
        )
    if len(images) != len(prompts):
        raise InputError(
            f"prompts: expected one for each of {len(images)} images, found {len(prompts)}"
        )
