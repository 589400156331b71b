"""Small tokens, encoders and voxels in which it is known what is to be found."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from mine.core.encoder import (
    EncoderWeights,
    random_encoder,
)

ROWS, COLUMNS, FEATURES = 4, 4, 12
SMALL = {"heads": 2, "head_width": 4}
# A few hundred images need smaller batches and larger steps than a subject's thousands.
QUICK = {"image_batch": 8, "learning_rate": 1e-2, "weight_decay": 1.0, "epochs": 20}


def draw_tokens(images: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.standard_normal((images, ROWS * COLUMNS, FEATURES)).astype(np.float32)


def draw_weights(voxels: int = 5, *, basis: int = 3) -> EncoderWeights:
    weights = random_encoder(voxels=voxels, features=FEATURES, basis=basis, seed=0, **SMALL)
    stream = torch.Generator().manual_seed(1)
    return replace(
        weights,
        position=torch.randn(weights.position.shape, generator=stream),
        bias=torch.randn(voxels, generator=stream),
    )


def plant(images: int, *, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens in which directions appear at random places, and voxels that answer to presence.

    Voxels 0 to 2 answer to one direction each, voxels 3 and 4 to nothing. Returns tokens,
    responses and which images hold which direction (image, direction).
    """
    generator = np.random.default_rng(seed)
    tokens = 0.5 * generator.standard_normal((images, ROWS * COLUMNS, FEATURES))
    present = generator.random((images, 3)) < 0.4
    for direction in range(3):
        for image in np.flatnonzero(present[:, direction]):
            tokens[image, generator.integers(ROWS * COLUMNS), direction] += 4
    responses = generator.standard_normal((images, 5))
    clean = (present - present.mean(axis=0)) / present.std(axis=0)
    responses[:, :3] = math.sqrt(1 - noise) * clean + math.sqrt(noise) * responses[:, :3]
    return tokens.astype(np.float32), responses.astype(np.float32), present


def hold_out(images: int, every: int = 6) -> np.ndarray:
    return np.arange(images) % every == 0
