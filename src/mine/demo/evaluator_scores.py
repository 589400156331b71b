"""What the demo's evaluator model reaches on scenes that it was not trained on."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from PIL import Image, ImageFilter

from mine.demo.evaluator_model import NOTHING, SIDE, Labels, label_scenes, recognise
from mine.demo.painting import render_scene
from mine.demo.scenes import Scene, sample_scene
from mine.demo.words import CATEGORIES

THRESHOLD = 0.5
"""Probability from which a category counts as found."""

EMPTY = 0.1
"""Share of scenes without an object."""

BLUR = 1.0
"""Standard deviation, in pixels, of the blur of the second set of scores."""


def sample_with_empty(random: np.random.Generator) -> Scene:
    """Draw a scene, with probability EMPTY a background alone."""
    scene = sample_scene(random)
    return dataclasses.replace(scene, objects=()) if random.random() < EMPTY else scene


def render_images(scenes: list[Scene]) -> np.ndarray:
    """Render scenes: uint8 (image, row, column, 3)."""
    return np.stack([render_scene(scene, side=SIDE)[0] for scene in scenes])


def blur(images: np.ndarray) -> np.ndarray:
    """Blur images, uint8 (image, row, column, 3), by a Gaussian of BLUR pixels."""
    return np.stack(
        [Image.fromarray(image).filter(ImageFilter.GaussianBlur(BLUR)) for image in images]
    )


def score_model(model: torch.nn.Module, *, seed: int, scenes: int) -> dict[str, float]:
    """Score on unseen scenes, a tenth of them empty, as they are and blurred (``…_blurred``).

    presence: balanced accuracy at THRESHOLD, (found of those there + left out of those absent) / 2,
    mean over categories; ``presence_<category>`` of each. found: share of the scenes' objects that
    are. invented: share of the absent categories that are found. colour, expression, background:
    share of objects, faces and scenes whose most probable one is right, whether found or not.
    """
    random = np.random.default_rng([seed, 2])
    drawn = [sample_with_empty(random) for _ in range(scenes)]
    images, labels = render_images(drawn), label_scenes(drawn)
    scores = measure(model, images, labels)
    blurred = measure(model, blur(images), labels)
    scores |= {
        f"{name}_blurred": value
        for name, value in blurred.items()
        if name.removeprefix("presence_") not in CATEGORIES
    }
    return {name: round(value, 4) for name, value in scores.items()}


def measure(model: torch.nn.Module, images: np.ndarray, labels: Labels) -> dict[str, float]:
    """Compare what the model says of images with their labels; see :func:`score_model`."""
    said = recognise(model, images)
    found, there = said.presence >= THRESHOLD, labels.presence
    balanced = {
        f"presence_{name}": (found[there[:, k], k].mean() + (~found[~there[:, k], k]).mean()) / 2
        for k, name in enumerate(CATEGORIES)
    }
    face = labels.expression != NOTHING
    scores = {
        "presence": np.mean(list(balanced.values())),
        "found": found[there].mean(),
        "invented": found[~there].mean(),
        "colour": (said.colour.argmax(axis=-1) == labels.colour)[there].mean(),
        "expression": (said.expression.argmax(axis=-1) == labels.expression)[face].mean(),
        "background": (said.background.argmax(axis=-1) == labels.background).mean(),
        **balanced,
    }
    return {name: float(value) for name, value in scores.items()}
