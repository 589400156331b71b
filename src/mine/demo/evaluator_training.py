"""Trains the demo's evaluator model on rendered scenes, and tabulates what it reaches.

``python -m mine.demo.evaluator_training --output resources/demo/evaluator`` writes a timm
``local-dir:`` folder (see evaluator_model.py) and ``scores.json``. The model has to judge pictures
that a generator made: its training images are varied in brightness, contrast, sharpness and noise,
and parts of them are covered, so that none of these decides an answer. A tenth of the scenes are
empty. The seed gives scenes that are in no dataset and not among those of the demo's CLIP.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from mine.demo.evaluator_model import (
    NOTHING,
    Labels,
    build_model,
    label_scenes,
    split_answers,
    to_input,
    write_model,
)
from mine.demo.evaluator_scores import render_images, sample_with_empty, score_model
from mine.demo.optimising import descend
from mine.demo.training_command import parse_options, write_scores

# Which is learned latest has the larger weight.
WEIGHTS = {"presence": 4.0, "colour": 3.0, "expression": 0.5, "background": 0.5}


def augment(images: np.ndarray, random: np.random.Generator) -> torch.Tensor:
    """Vary images, uint8 (image, row, column, 3): float32, the same shape, values from 0 to 1.

    Half are mirrored; brightness, contrast and tint vary a little; half are blurred by a Gaussian
    of up to 1.3 pixels; a rectangle of up to a quarter of the side, which no object fits into, is
    covered by one colour in a third of them; noise has a standard deviation of up to 0.05.
    """
    count, side = len(images), images.shape[1]
    pixels = torch.from_numpy(images).float().div_(255)
    pixels = torch.where(choose(random, count, 0.5), pixels.flip(2), pixels)
    tint = uniform(random, (count, 1, 1, 3), 0.95, 1.05)
    pixels = pixels * tint * uniform(random, (count, 1, 1, 1), 0.85, 1.15)
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
    pixels = mean + (pixels - mean) * uniform(random, (count, 1, 1, 1), 0.85, 1.15)
    blurred = blur_images(pixels, deviation=float(random.uniform(0.3, 1.3)))
    pixels = torch.where(choose(random, count, 0.5), blurred, pixels)
    covered = choose(random, count, 1 / 3) & draw_rectangles(random, count, side)
    pixels = torch.where(covered, uniform(random, (count, 1, 1, 3), 0, 1), pixels)
    noise = torch.from_numpy(random.standard_normal(pixels.shape, dtype=np.float32))
    return (pixels + uniform(random, (count, 1, 1, 1), 0, 0.05) * noise).clamp_(0, 1)


def blur_images(pixels: torch.Tensor, *, deviation: float) -> torch.Tensor:
    """Blur images (image, row, column, 3) by a Gaussian, in pixels, cut off at three."""
    line = torch.exp(-0.5 * (torch.arange(-3.0, 4.0) / deviation) ** 2)
    line = (line / line.sum()).expand(3, 1, 1, 7)
    maps = functional.pad(pixels.permute(0, 3, 1, 2), (3, 3, 3, 3), mode="replicate")
    maps = functional.conv2d(functional.conv2d(maps, line, groups=3), line.mT, groups=3)
    return maps.permute(0, 2, 3, 1)


def draw_rectangles(random: np.random.Generator, count: int, side: int) -> torch.Tensor:
    """Draw a rectangle for each image: bool (image, row, column, 1), true inside."""
    place = np.arange(side)
    within = []
    for _ in range(2):
        length = random.integers(side // 16, side // 4 + 1, (count, 1))
        start = random.integers(0, side, (count, 1)) - length // 2
        within.append((place >= start) & (place < start + length))
    return torch.from_numpy(within[0][:, :, None, None] & within[1][:, None, :, None])


def choose(random: np.random.Generator, count: int, probability: float) -> torch.Tensor:
    """Choose images at random: bool (image, 1, 1, 1)."""
    return torch.from_numpy(random.random((count, 1, 1, 1)) < probability)


def uniform(
    random: np.random.Generator, shape: tuple[int, ...], low: float, high: float
) -> torch.Tensor:
    """Draw uniform numbers, float32."""
    return torch.from_numpy(random.uniform(low, high, shape).astype(np.float32))


def compute_losses(
    logits: torch.Tensor, labels: Labels, rows: np.ndarray
) -> dict[str, torch.Tensor]:
    """Return the loss of each answer: logits (image, output) against labels in the given rows.

    Presence is a binary cross-entropy, summed over categories; the others are cross-entropies, of
    colour over the objects that are there, of expression over the faces.
    """
    said = split_answers(logits.float())
    presence = torch.from_numpy(labels.presence[rows]).float()
    losses = {
        "presence": functional.binary_cross_entropy_with_logits(said["presence"], presence)
        * presence.shape[1]
    }
    for name in ("colour", "expression", "background"):
        truth = torch.from_numpy(getattr(labels, name)[rows]).flatten()
        total = functional.cross_entropy(
            said[name].flatten(end_dim=-2), truth, ignore_index=NOTHING, reduction="sum"
        )
        # A batch may hold no face at all.
        losses[name] = total / max(int((truth != NOTHING).sum()), 1)
    return losses


def fit_model(
    images: np.ndarray, labels: Labels, *, steps: int, batch: int, rate: float, seed: int
) -> torch.nn.Module:
    """Train a model from scratch on images, uint8 (image, row, column, 3), and their labels."""
    torch.manual_seed(seed)
    random = np.random.default_rng([seed, 1])
    model = build_model().train().to(memory_format=torch.channels_last)

    def find_losses(_: int) -> dict[str, torch.Tensor]:
        rows = random.choice(len(images), size=batch, replace=False)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(to_input(augment(images[rows], random)))
        return compute_losses(logits, labels, rows)

    descend(
        find_losses,
        list(model.parameters()),
        rate=rate,
        steps=steps,
        betas=(0.9, 0.999),
        told=200,
        weights=WEIGHTS,
    )
    return model.eval()


def train(
    *, output: Path, scenes: int, steps: int, batch: int, rate: float, seed: int, threads: int
) -> None:
    """Render scenes, train on them, and write the model's folder with its scores."""
    torch.set_num_threads(threads)
    random = np.random.default_rng([seed, 0])
    drawn = [sample_with_empty(random) for _ in range(scenes)]
    print(f"rendering {scenes} scenes", flush=True)
    images, labels = render_images(drawn), label_scenes(drawn)
    model = fit_model(images, labels, steps=steps, batch=batch, rate=rate, seed=seed)
    write_model(model, output)
    scores = score_model(model, seed=seed + 1, scenes=4000)
    write_scores(scores, output)


def main() -> None:
    """Command line: see the module's docstring."""
    options = parse_options(
        __doc__,
        scenes=40_000,
        steps=6_000,
        batch=64,
        rate=4e-3,
        seed=1000,
        threads=1,
    )
    train(**vars(options))


if __name__ == "__main__":
    main()
