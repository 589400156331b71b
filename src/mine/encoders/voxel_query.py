"""MINE's own form (core/encoder.py, core/fitting.py): as the analysis fits it, its mean over seeds,
which is of the same form with more heads, and its fits across subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mine.core.encoder import EncoderWeights, move_weights, position_basis, predict
from mine.core.fitting import FittingData, fit_ensemble
from mine.core.splits import derive_seeds
from mine.core.transfer import mix_voxels
from mine.encoders.interface import Stimuli, Terms, score_validation
from mine.sections import ALL

# What decides on the split and on the basis, not on the descent.
OUTSIDE = ("members", "position_orders", "validation_fraction", "device")


@dataclass(frozen=True)
class VoxelQuery:
    """MINE's fitted encoder."""

    weights: EncoderWeights
    phi: torch.Tensor
    parameters: int
    choices: dict[str, float]

    def predict(self, stimuli: Stimuli) -> np.ndarray:
        return predict(self.weights, stimuli.tokens, self.phi)


def fit(stimuli: Stimuli, responses: np.ndarray, terms: Terms) -> VoxelQuery:
    """Fit with the settings of the analysis: the same weights as of its fit to all images."""
    return _fit(stimuli, responses, terms, members=terms.encoder["members"])


def fit_mean(stimuli: Stimuli, responses: np.ndarray, terms: Terms) -> VoxelQuery:
    """Fit as many times as the comparison's settings say, and take the mean."""
    return _fit(stimuli, responses, terms, members=terms.members)


def fit_shared(
    subjects: Sequence[FittingData],
    *,
    rows: int,
    columns: int,
    encoder: Mapping[str, Any],
    seed: int,
    device: str,
) -> list[VoxelQuery]:
    """Fit several subjects together, each image seen by its own subject's voxels alone: the
    projections and the maps from embeddings are shared (core/fitting.py)."""
    return _fit_subjects(
        subjects,
        phi=position_basis(rows, columns, encoder["position_orders"]),
        encoder=encoder,
        members=encoder["members"],
        seed=seed,
        device=device,
    )


def transfer(
    known: EncoderWeights, tokens: np.ndarray, responses: np.ndarray, *, phi: torch.Tensor
) -> VoxelQuery:
    """Fit a subject as mixtures of other subjects' voxels (core/transfer.py).

    Of each voxel a weight for every image, and a bias, are its own.
    """
    weights = mix_voxels(known, tokens, responses, phi)
    return VoxelQuery(weights, phi, (len(tokens) + 1) * len(weights.bias), choices={})


def _fit(stimuli: Stimuli, responses: np.ndarray, terms: Terms, *, members: int) -> VoxelQuery:
    training, validation = np.flatnonzero(~terms.validation), np.flatnonzero(terms.validation)
    (fitted,) = _fit_subjects(
        [FittingData(stimuli.tokens, responses, training, validation)],
        phi=position_basis(stimuli.rows, stimuli.columns, terms.encoder["position_orders"]),
        encoder=terms.encoder,
        members=members,
        seed=terms.seed,
        device=terms.device,
    )
    return fitted


def _fit_subjects(
    subjects: Sequence[FittingData],
    *,
    phi: torch.Tensor,
    encoder: Mapping[str, Any],
    members: int,
    seed: int,
    device: str,
) -> list[VoxelQuery]:
    options = {name: value for name, value in encoder.items() if name not in OUTSIDE}
    fits, histories = fit_ensemble(
        subjects, phi=phi, seeds=derive_seeds(seed, ALL, members), device=device, **options
    )
    epochs = {f"best_epoch_{place}": each.best_epoch for place, each in enumerate(histories)}
    fitted = []
    for subject, weights in zip(subjects, fits, strict=True):
        heads, features, width = weights.key.shape
        rank, voxels = options["rank"], len(weights.bias)
        # Embeddings, the maps from them, projections, biases: what descent moves (core/fitting.py).
        maps = rank * heads * (2 * width + phi.shape[1])
        parameters = members * voxels * (rank + 1) + maps + 2 * heads * features * width
        own = VoxelQuery(move_weights(weights, device), phi, parameters, choices=dict(epochs))
        own.choices["validation_r2"] = score_validation(
            predict(own.weights, subject.tokens, phi, images=subject.validation),
            subject.responses,
            training=subject.training,
            validation=subject.validation,
        )
        fitted.append(own)
    return fitted
