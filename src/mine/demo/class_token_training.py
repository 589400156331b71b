"""Trains a CLIP of the demo's size that is pooled by its class token, as most public ones are.

``python -m mine.demo.class_token_training --output resources/demo/clip-class-token`` writes a
folder as :mod:`mine.demo.training` does. The image tower begins with the patches' filters and the
first blocks of the demo's CLIP, so that shapes need not be learned once more; the last block, the
projection and the text tower are new. The losses see the class token alone: what a patch token
says is whatever pooling leaves it, which ``backbone.alignment`` has to mend.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional

from mine.demo.clip_losses import Truths, caption_loss, phrase_loss, sample_phrases
from mine.demo.clip_model import (
    build_model,
    encode,
    encode_images,
    encode_texts,
    to_input,
    token_ids,
    write_model,
)
from mine.demo.clip_scores import score_model
from mine.demo.optimising import make_optimiser
from mine.demo.scenes import describe_scene
from mine.demo.training import augment, render_scenes
from mine.demo.training_command import parse_options, write_scores

FIRST_PARTS = ("conv1", "class_embedding", "positional_embedding", "ln_pre")


def begin_model(clip: Path, *, blocks: int) -> torch.nn.Module:
    """Build a model that is pooled by its class token, whose image tower begins as another's.

    clip: the folder of the demo's CLIP. blocks: number of its first blocks that are taken over.
    """
    model = build_model(pool_type="tok")
    parts = (*FIRST_PARTS, *(f"transformer.resblocks.{block}." for block in range(blocks)))
    taken = tuple(f"visual.{part}" for part in parts)
    weights = load_file(clip / "open_clip_model.safetensors")
    first = {name: value.float() for name, value in weights.items() if name.startswith(taken)}
    model.load_state_dict(model.state_dict() | first)
    return model


def train(
    *,
    clip: Path,
    blocks: int,
    scenes: int,
    steps: int,
    batch: int,
    rate: float,
    seed: int,
    output: Path,
    workers: int,
) -> None:
    """Train on captions and phrases, and write the model's folder with its scores."""
    torch.manual_seed(seed)
    random = np.random.default_rng([seed, 1])
    all_scenes, images, owners = render_scenes(scenes, seed=seed, workers=workers)
    truths, ids = Truths.of(all_scenes), token_ids()
    model = begin_model(clip, blocks=blocks)
    scale = torch.nn.Parameter(torch.tensor(math.log(20.0)))
    offset = torch.nn.Parameter(torch.tensor(-8.0))
    parameters = [*model.parameters(), scale, offset]
    optimiser, schedule = make_optimiser(parameters, rate=rate, steps=steps, betas=(0.9, 0.98))
    started = time.time()
    for step in range(1, steps + 1):
        rows = random.choice(len(images), size=batch, replace=False)
        pixels, _ = augment(images[rows], owners[rows], random)
        phrases, labels = sample_phrases(truths, rows, random)
        captions = [describe_scene(all_scenes[row], random)[random.integers(2)] for row in rows]
        pooled = functional.normalize(encode_images(model, to_input(pixels))[1], dim=-1)
        contrast = model.logit_scale.exp().clamp(max=100)
        evidence = scale.exp() * pooled @ encode_texts(model, encode(phrases, ids)).T
        losses = {
            "caption": caption_loss(pooled, encode_texts(model, encode(captions, ids)), contrast),
            "pooled": phrase_loss(evidence + offset, labels),
        }
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            said = " ".join(f"{name} {loss.item():.3f}" for name, loss in losses.items())
            print(f"step {step} {said} seconds {time.time() - started:.0f}", flush=True)
    write_model(model, output)
    write_scores(score_model(model, seed=seed + 1, scenes=2000), output)


def main() -> None:
    """Command line: see the module's docstring."""
    options = parse_options(
        __doc__,
        clip=Path("resources/demo/clip"),
        blocks=2,
        scenes=8_000,
        steps=1_500,
        batch=64,
        rate=2e-3,
        seed=20,
        workers=2,
    )
    train(**vars(options))


if __name__ == "__main__":
    main()
