"""How the demo's smaller models are optimised: AdamW under a one-cycle learning rate."""

from __future__ import annotations

from collections.abc import Sequence

import torch

WEIGHT_DECAY = 0.05


def make_optimiser(
    parameters: Sequence[torch.nn.Parameter],
    *,
    rate: float,
    steps: int,
    betas: tuple[float, float],
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Return an optimiser, and the schedule that reaches ``rate`` after a tenth of ``steps``.

    Matrices decay; biases and scales of norms, which have less than two dimensions, do not.
    """
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ],
        betas=betas,
    )
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=steps, pct_start=0.1
    )
