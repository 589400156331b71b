"""The demo's evaluator model: a convolutional net that says what is in a picture.

It shares nothing with the demo's CLIP: another architecture, scenes of its own, and labels in
place of captions. A folder of :func:`write_model` is a timm ``local-dir:`` folder: ``config.json``
and ``model.safetensors``. All its answers are outputs of the model's one linear head, in the order
of :data:`ANSWERS`:

    presence    a logit for each category; each may be there or not
    colour      for each category, a logit for each colour: what colour it has if it is there
    expression  a logit for each expression: what a face shows if one is there
    background  a logit for each background
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mine.demo.scenes import Scene
from mine.demo.words import BACKGROUNDS, CATEGORIES, COLOURS, EXPRESSIONS

SIDE = 64
MEAN, DEVIATION = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
ARCHITECTURE = "resnet10t"
# Narrower than the original, and its last maps are kept at 4 × 4.
ARGUMENTS = {"stem_width": 16, "channels": [32, 64, 128, 256], "output_stride": 16}

ANSWERS = {
    "presence": (len(CATEGORIES),),
    "colour": (len(CATEGORIES), len(COLOURS)),
    "expression": (len(EXPRESSIONS),),
    "background": (len(BACKGROUNDS),),
}
"""Shape of each answer for one image."""

NOTHING = -1
"""Label of what a scene does not have: the colour of an absent thing, say."""


@dataclass(frozen=True)
class Labels:
    """What is true of scenes.

    presence bool (image, category); indices, NOTHING where there is none: colour (image, category),
    expression (image,), background (image,).
    """

    presence: np.ndarray
    colour: np.ndarray
    expression: np.ndarray
    background: np.ndarray


@dataclass(frozen=True)
class Recognition:
    """What a model says of images, as probabilities (float32).

    presence (image, category); colour (image, category, colour), given that the category is there,
    which sums to one over colours; expression (image, expression), given that a face is there;
    background (image, background).
    """

    presence: np.ndarray
    colour: np.ndarray
    expression: np.ndarray
    background: np.ndarray


def label_scenes(scenes: list[Scene]) -> Labels:
    """Return the labels of scenes."""
    categories, colours = list(CATEGORIES), list(COLOURS)
    colour = np.full((len(scenes), len(categories)), NOTHING)
    expression = np.full(len(scenes), NOTHING)
    for row, scene in enumerate(scenes):
        for item in scene.objects:
            colour[row, categories.index(item.category)] = colours.index(item.colour)
            if item.expression is not None:
                expression[row] = list(EXPRESSIONS).index(item.expression)
    background = np.array([list(BACKGROUNDS).index(scene.background) for scene in scenes])
    return Labels(colour != NOTHING, colour, expression, background)


def name_answers() -> list[str]:
    """Return what each output of the head stands for, in their order."""
    pairs = [f"{colour} {category}" for category in CATEGORIES for colour in COLOURS]
    return [*CATEGORIES, *pairs, *EXPRESSIONS, *BACKGROUNDS]


def build_model() -> torch.nn.Module:
    """Build the model from timm's own classes, with random weights."""
    import timm

    return timm.create_model(ARCHITECTURE, num_classes=len(name_answers()), **ARGUMENTS)


def split_answers(logits: torch.Tensor) -> dict[str, torch.Tensor]:
    """Split logits (image, output) into the answers: name → (image, *shape of ANSWERS)."""
    sizes = [math.prod(shape) for shape in ANSWERS.values()]
    parts = logits.split(sizes, dim=1)
    return {
        name: part.unflatten(1, shape)
        for (name, shape), part in zip(ANSWERS.items(), parts, strict=True)
    }


def to_input(images: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Return the model's input (image, 3, row, column) of images (image, row, column, 3) with
    values from 0 to 1."""
    pixels = torch.as_tensor(images, dtype=torch.float32).permute(0, 3, 1, 2)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    return ((pixels - mean) / deviation).contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def recognise(model: torch.nn.Module, images: np.ndarray, *, batch_size: int = 256) -> Recognition:
    """Say what is in images.

    model: of :func:`build_model` or :func:`read_model`; its mode is left as it was found. images:
    uint8 (image, row, column, 3), SIDE pixels a side.
    """
    training = model.training
    model.eval()
    parts = [
        split_answers(model(to_input(images[start : start + batch_size] / np.float32(255))))
        for start in range(0, len(images), batch_size)
    ]
    model.train(training)
    logits = {name: torch.cat([part[name] for part in parts]) for name in ANSWERS}
    return Recognition(
        presence=logits.pop("presence").sigmoid().numpy(),
        **{name: values.softmax(dim=-1).numpy() for name, values in logits.items()},
    )


def write_model(model: torch.nn.Module, folder: Path) -> None:
    """Write a timm ``local-dir:`` folder: description and half-precision safetensors."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    names = name_answers()
    description = {
        "architecture": ARCHITECTURE,
        "num_classes": len(names),
        "num_features": model.num_features,
        "global_pool": "avg",
        "label_names": names,
        "model_args": ARGUMENTS,
        "pretrained_cfg": {
            "input_size": [3, SIDE, SIDE],
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "mean": MEAN,
            "std": DEVIATION,
            "first_conv": "conv1.0",
            "classifier": "fc",
        },
    }
    (folder / "config.json").write_text(json.dumps(description, indent=2) + "\n")
    weights = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in model.state_dict().items()
    }
    save_file(weights, folder / "model.safetensors")


def read_model(folder: Path | str) -> torch.nn.Module:
    """Read the model of a folder of :func:`write_model`, ready to be asked."""
    import timm

    return timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
