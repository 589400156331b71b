"""Trains the autoencoder of the demo's generator on rendered scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from mine.demo.clip_model import SIDE
from mine.demo.generator_model import build_autoencoder
from mine.demo.gradients import take_step

CROP = 32

RATE = 3e-3
"""Largest learning rate."""


def train_autoencoder(
    images: np.ndarray, *, steps: int, seed: int, checkpoint: Path
) -> torch.nn.Module:
    """Train the autoencoder, on crops and in the last fifth of the steps on whole images.

    images: uint8 (image, row, column, 3). The loss is |error| + error² + half the |error| of the
    differences between neighbours, which keeps edges, with a little of the divergence from a normal
    distribution.
    """
    autoencoder = build_autoencoder()
    if checkpoint.is_file():
        autoencoder.load_state_dict(torch.load(checkpoint, weights_only=True))
        return autoencoder
    torch.manual_seed(seed)
    random = np.random.default_rng([seed, 1])
    optimiser = torch.optim.AdamW(
        autoencoder.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=1e-3
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, RATE, total_steps=steps, pct_start=0.05
    )
    for step in range(1, steps + 1):
        whole = step > 0.8 * steps
        pixels = images[random.integers(0, len(images), 12 if whole else 32)]
        if not whole:
            row, column = 4 * random.integers(0, (SIDE - CROP) // 4 + 1, 2)
            pixels = pixels[:, row : row + CROP, column : column + CROP]
        shown = to_signed(pixels)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            distribution = autoencoder.encode(shown).latent_dist
            latents = distribution.sample()
            made = autoencoder.decode(latents).sample
        error = made.float() - shown
        edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        mean, spread = distribution.mean.float(), distribution.logvar.float()
        divergence = 0.5 * (mean.square() + spread.exp() - 1 - spread).mean()
        loss = error.abs().mean() + error.square().mean() + 0.5 * edges + 1e-3 * divergence
        take_step(loss, list(autoencoder.parameters()), optimiser)
        schedule.step()
        if step % 100 == 0:
            noise = 10 * np.log10(4 / error.square().mean().item())
            print(f"autoencoder {step} of {steps}: {noise:.1f} dB", flush=True)
    torch.save(autoencoder.state_dict(), checkpoint)
    return autoencoder


def to_signed(images: np.ndarray) -> torch.Tensor:
    """uint8 (image, row, column, 3) to (image, 3, row, column) from -1 to 1."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float() / 127.5 - 1
