"""Trains the demo's CLIP on rendered scenes and their captions, and tabulates what it reaches.

``python -m mine.demo.training --output resources/demo/clip`` writes an open_clip ``local-dir:``
folder: ``open_clip_config.json``, ``open_clip_model.safetensors``, a word-level tokenizer, and
``scores.json``.

There are four losses (clip_losses.py). Shape is learned much later than colour, and not at all
while the easier losses hold the gradient: so the region–phrase loss goes first, alone, and the
captions join it after ``region_steps``.
"""

from __future__ import annotations

import json
import math
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from mine.demo import words
from mine.demo.clip_losses import (
    Truths,
    label_regions,
    own_patches,
    phrase_loss,
    pooled_losses,
    region_loss,
    sample_phrases,
    token_evidence,
)
from mine.demo.clip_model import (
    SIDE,
    build_model,
    encode,
    encode_images,
    encode_texts,
    to_input,
    token_ids,
    write_model,
)
from mine.demo.clip_scores import score_model
from mine.demo.optimising import descend
from mine.demo.painting import render_scene
from mine.demo.scenes import Scene, draw_captions, sample_scene
from mine.demo.training_command import parse_options, write_scores


def render_scenes(
    count: int, *, seed: int, workers: int
) -> tuple[list[Scene], np.ndarray, np.ndarray]:
    """Render scenes in processes: scenes, uint8 (image, row, column, 3), and owners of patches."""
    parts = [count // workers + (index < count % workers) for index in range(workers)]
    with ProcessPoolExecutor(workers) as pool:
        results = list(pool.map(_render_part, parts, [(seed, index) for index in range(workers)]))
    scenes = [scene for part, _, _ in results for scene in part]
    images, owners = (np.concatenate([part[index] for part in results]) for index in (1, 2))
    return scenes, images, owners


def _render_part(count: int, seed: tuple[int, int]) -> tuple[list[Scene], np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scenes = [sample_scene(random) for _ in range(count)]
    rendered = [render_scene(scene, side=SIDE) for scene in scenes]
    owners = np.stack([own_patches(masks) for _, masks in rendered])
    return scenes, np.stack([image for image, _ in rendered]), owners


def augment(
    images: np.ndarray, owners: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mirror half of the images with their owners, and vary brightness: float32 in [0, 1]."""
    array, owners = images.astype(np.float32) / 255, owners.copy()
    mirrored = random.random(len(array)) < 0.5
    array[mirrored] = array[mirrored][:, :, ::-1]
    owners[mirrored] = owners[mirrored][:, :, ::-1]
    array *= random.uniform(0.85, 1.15, (len(array), 1, 1, 1)).astype(np.float32)
    array += random.normal(0, 0.01, array.shape).astype(np.float32)
    return np.clip(array, 0, 1), owners


def train(
    *,
    scenes: int,
    steps: int,
    region_steps: int,
    batch: int,
    rate: float,
    seed: int,
    output: Path,
    workers: int,
) -> None:
    """Train from scratch and write the model's folder (every 500 steps; at the end with scores)."""
    torch.manual_seed(seed)
    random = np.random.default_rng([seed, 1])
    all_scenes, images, owners = render_scenes(scenes, seed=seed, workers=workers)
    truths, ids = Truths.of(all_scenes), token_ids()
    model = build_model()
    scale = torch.nn.Parameter(torch.tensor(math.log(20.0)))
    offset = torch.nn.Parameter(torch.tensor(-10.0))
    pooled_scale = torch.nn.Parameter(torch.tensor(math.log(20.0)))
    pooled_offset = torch.nn.Parameter(torch.tensor(-8.0))

    def find_losses(step: int) -> dict[str, torch.Tensor]:
        rows = random.choice(len(images), size=batch, replace=False)
        pixels, owned = augment(images[rows], owners[rows], random)
        chosen = [all_scenes[row] for row in rows]
        phrases, labels = sample_phrases(truths, rows, random)
        alone = step <= region_steps
        if alone:
            # The first phrases are the concepts themselves, one synonym each.
            phrases = phrases[: len(words.CONCEPTS)]
        tokens, pooled = (
            functional.normalize(part, dim=-1) for part in encode_images(model, to_input(pixels))
        )
        phrase_texts = encode_texts(model, encode(phrases, ids))
        concepts = phrase_texts[: len(words.CONCEPTS)]
        losses = {
            "region": region_loss(tokens, concepts, label_regions(chosen, owned), scale.exp())
        }
        if not alone:
            evidence = token_evidence(tokens, phrase_texts, scale.exp())
            losses["phrase"] = phrase_loss(evidence + offset, labels)
            losses |= pooled_losses(
                pooled,
                encode_texts(model, encode(draw_captions(chosen, random), ids)),
                phrase_texts,
                labels,
                contrast=model.logit_scale.exp().clamp(max=100),
                scale=pooled_scale.exp(),
                offset=pooled_offset,
            )
        return losses

    def keep(step: int) -> None:
        if step % 500 == 0 and step < steps:
            write_model(model, output)
            print(json.dumps(score_model(model, seed=seed + 1, scenes=300)), flush=True)

    parameters = [*model.parameters(), scale, offset, pooled_scale, pooled_offset]
    descend(
        find_losses, parameters, rate=rate, steps=steps, betas=(0.9, 0.98), told=100, after=keep
    )
    write_model(model, output)
    scores = score_model(model, seed=seed + 1, scenes=2000)
    write_scores(scores, output)


def main() -> None:
    """Command line: see the module's docstring."""
    options = parse_options(
        __doc__,
        scenes=36_000,
        steps=6_500,
        region_steps=4_000,
        batch=64,
        rate=2e-3,
        seed=0,
        workers=2,
    )
    train(**vars(options))


if __name__ == "__main__":
    main()
