"""Small encoders with images, for the tests of attribution and patching."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from mine.core.encoder import EncoderWeights


class Problem(NamedTuple):
    weights: EncoderWeights
    tokens: np.ndarray
    baseline: np.ndarray
    phi: torch.Tensor


def random_problem(
    *, voxels=5, images=4, tokens=12, features=16, heads=2, width=4, basis=3, sharpness=1.0, seed=0
):
    """Random weights whose logits have a standard deviation of about `sharpness`."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    weights = EncoderWeights(
        query=sharpness * normal(voxels, heads, width),
        readout=normal(voxels, heads, width) / np.sqrt(width),
        key=normal(heads, features, width) / np.sqrt(features),
        value=normal(heads, features, width) / np.sqrt(features),
        position=0.5 * normal(voxels, heads, basis),
        bias=normal(voxels),
    )
    return Problem(
        weights,
        normal(images, tokens, features).numpy(),
        0.3 * normal(tokens, features).numpy(),
        normal(tokens, basis),
    )


def double(array):
    return torch.as_tensor(array, dtype=torch.float64)
