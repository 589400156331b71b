"""How the demo's smaller models are trained: AdamW under a one-cycle learning rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import torch

from mine.demo.gradients import take_step

WEIGHT_DECAY = 0.05


def descend(
    find_losses: Callable[[int], Mapping[str, torch.Tensor]],
    parameters: Sequence[torch.nn.Parameter],
    *,
    rate: float,
    steps: int,
    betas: tuple[float, float],
    told: int,
    weights: Mapping[str, float] | None = None,
    after: Callable[[int], None] | None = None,
) -> None:
    """Take steps against the sum of some losses, and print the losses now and then.

    The rate reaches ``rate`` after a tenth of ``steps``. Matrices decay; biases and scales of
    norms, which have less than two dimensions, do not.

    find_losses: draws a batch for a step, counted from 1, and returns its losses by name. told:
    after how many steps they are printed. weights: of losses in the sum, by name; None counts each
    once. after: is called at the end of every step.
    """
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ],
        betas=betas,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=steps, pct_start=0.1
    )
    started = time.time()
    for step in range(1, steps + 1):
        losses = find_losses(step)
        weighted = losses if weights is None else {n: weights[n] * v for n, v in losses.items()}
        take_step(sum(weighted.values()), parameters, optimiser)
        schedule.step()
        if step % told == 0:
            said = " ".join(f"{name} {loss.item():.3f}" for name, loss in losses.items())
            print(f"step {step} {said} seconds {time.time() - started:.0f}", flush=True)
        if after is not None:
            after(step)
