"""Trains a CLIP of the demo's size that is pooled by its class token, as most public ones are.

``python -m mine.demo.class_token_training --output resources/demo/clip-class-token`` writes a
folder as :mod:`mine.demo.training` does. The image tower begins with the patches' filters and the
first blocks of the demo's CLIP, so that shapes need not be learned once more; the last block, the
projection and the text tower are new. The losses see the class token alone: what a patch token
says is whatever pooling leaves it, which ``backbone.alignment`` has to mend.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional

from mine.demo.clip_losses import Truths, pooled_losses, sample_phrases
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
from mine.demo.optimising import descend
from mine.demo.scenes import draw_captions
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

    def find_losses(_: int) -> dict[str, torch.Tensor]:
        rows = random.choice(len(images), size=batch, replace=False)
        pixels, _ = augment(images[rows], owners[rows], random)
        phrases, labels = sample_phrases(truths, rows, random)
        captions = draw_captions([all_scenes[row] for row in rows], random)
        _, pooled = encode_images(model, to_input(pixels))
        return pooled_losses(
            functional.normalize(pooled, dim=-1),
            encode_texts(model, encode(captions, ids)),
            encode_texts(model, encode(phrases, ids)),
            labels,
            contrast=model.logit_scale.exp().clamp(max=100),
            scale=scale.exp(),
            offset=offset,
        )

    parameters = [*model.parameters(), scale, offset]
    descend(find_losses, parameters, rate=rate, steps=steps, betas=(0.9, 0.98), told=100)
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
