"""Gradient descent for forms without a closed form: the optimiser and the stopping of MINE's own
encoder (core/fitting.py), with learning rate and weight decay chosen on the validation images.

Their papers use other schedules. Here all are alike, so that forms differ by their form alone.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel

from mine.core.encoder import to_tensor
from mine.core.fitting import mean_r2
from mine.encoders.interface import Stimuli, Terms
from mine.randomness import generator

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# Voxels predicted at once: bounds the memory, changes no number.
VOXEL_BLOCK = 1024


class Form(torch.nn.Module):
    """A form that is fitted by descent: its ``forward(tokens, voxels)`` returns (image, voxel), for
    tokens (image, token, feature) and the positions (voxel,) of the voxels that are asked for."""


@dataclass(frozen=True)
class Descended:
    """A form that was fitted by descent."""

    module: Form
    voxels: int
    image_batch: int
    choices: dict[str, float]

    @property
    def parameters(self) -> int:
        return sum(tensor.numel() for tensor in self.module.parameters())

    def predict(self, stimuli: Stimuli) -> np.ndarray:
        return predict(self.module, stimuli.tokens, self.voxels, image_batch=self.image_batch)


def descend(
    make: Callable[[], Form],
    stimuli: Stimuli,
    responses: np.ndarray,
    terms: Terms,
    *,
    loss: Loss,
    voxels_a_step: int | None = None,
) -> Descended:
    """Fit a form once for each learning rate and weight decay, and keep the best.

    make: the form before it is fitted, its weights drawn by torch's global generator, which is
    seeded alike for each. loss: (predicted, measured), both (image, voxel) -> a number.
    voxels_a_step: voxels of a step, drawn anew for each; None takes all.

    The best is that of largest mean R² over voxels on the validation images, at its best epoch.
    """
    best, best_score, choices = None, -math.inf, {}
    for rate, decay in itertools.product(terms.learning_rates, terms.weight_decays):
        module, score, epoch = _fit_once(
            make,
            stimuli.tokens,
            responses,
            terms,
            loss=loss,
            voxels_a_step=voxels_a_step,
            learning_rate=rate,
            weight_decay=decay,
        )
        if best is None or score > best_score:
            best, best_score = module, score
            choices = {"learning_rate": rate, "weight_decay": decay, "best_epoch": epoch}
            choices["validation_r2"] = score
    return Descended(best, responses.shape[1], terms.encoder["image_batch"], choices)


def predict(module: Form, tokens: np.ndarray, voxels: int, *, image_batch: int) -> np.ndarray:
    """Predicted responses, float32 (image, voxel), without dropout."""
    device = next(module.parameters()).device
    module.eval()
    blocks = torch.arange(voxels, device=device).split(VOXEL_BLOCK)
    predicted = np.empty((len(tokens), voxels), dtype=np.float32)
    with torch.no_grad():
        for start in range(0, len(tokens), image_batch):
            images = slice(start, start + image_batch)
            given = to_tensor(tokens[images], device)
            parts = [module(given, block) for block in blocks]
            predicted[images] = torch.cat(parts, dim=1).cpu().numpy()
    return predicted


def _fit_once(
    make: Callable[[], Form],
    tokens: np.ndarray,
    responses: np.ndarray,
    terms: Terms,
    *,
    loss: Loss,
    voxels_a_step: int | None,
    learning_rate: float,
    weight_decay: float,
) -> tuple[Form, float, int]:
    """The form at its best epoch, its validation score, and that epoch."""
    settings = terms.encoder
    training, held = np.flatnonzero(~terms.validation), np.flatnonzero(terms.validation)
    centre = responses[training].mean(axis=0, dtype=np.float64).astype(np.float32)
    seed = int(generator(terms.seed, "descent").integers(2**62))
    count = responses.shape[1]
    # Weights and dropout are drawn by torch's global generator, which is left as it was found.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = make().to(terms.device)
        # Biases and scales of norms are not decayed.
        groups = [
            {"params": [p for p in module.parameters() if p.ndim > 1]},
            {"params": [p for p in module.parameters() if p.ndim < 2], "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(
            groups, lr=learning_rate, weight_decay=weight_decay, betas=(0.9, 0.99)
        )
        batch = settings["image_batch"]
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            learning_rate,
            total_steps=settings["epochs"] * math.ceil(len(training) / batch),
            pct_start=0.15,
        )
        average = AveragedModel(module, avg_fn=_make_average(settings["averaging"]))
        best, best_score, best_epoch = None, -math.inf, -1
        for epoch in range(settings["epochs"]):
            module.train()
            order = training[torch.randperm(len(training)).numpy()]
            for start in range(0, len(order), batch):
                images = order[start : start + batch]
                voxels = torch.randperm(count)[:voxels_a_step].sort().values
                predicted = module(to_tensor(tokens[images], terms.device), voxels.to(terms.device))
                measured = to_tensor(responses[np.ix_(images, voxels.numpy())], terms.device)
                optimiser.zero_grad()
                loss(predicted, measured).backward()
                optimiser.step()
                schedule.step()
                average.update_parameters(module)
            guess = predict(average.module, tokens[held], count, image_batch=batch)
            score = mean_r2(responses[held], guess, centre)
            if best is None or score > best_score:
                best, best_score, best_epoch = copy.deepcopy(average.module), score, epoch
            elif epoch - best_epoch >= settings["patience"]:
                break
    return best, best_score, best_epoch


def _make_average(averaging: float) -> Callable[..., torch.Tensor]:
    """The running average of core/fitting.py: of short memory at first."""

    def average(kept: torch.Tensor, new: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        decay = min(averaging, (int(steps) + 1) / (int(steps) + 11))
        return torch.lerp(kept, new, 1 - decay)

    return average
