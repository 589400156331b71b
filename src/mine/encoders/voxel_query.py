"""MINE's own form (core/encoder.py, core/fitting.py), as the analysis fits it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mine.core.encoder import EncoderWeights, move_weights, position_basis, predict
from mine.core.fitting import fit_encoder
from mine.encoders.interface import Stimuli, Terms

# What decides on the split and on the basis, not on the descent.
OUTSIDE = ("position_orders", "validation_fraction", "device")


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
    phi = position_basis(stimuli.rows, stimuli.columns, terms.encoder["position_orders"])
    options = {name: value for name, value in terms.encoder.items() if name not in OUTSIDE}
    weights, history = fit_encoder(
        stimuli.tokens,
        responses,
        phi=phi,
        validation=terms.validation,
        seed=terms.seed,
        device=terms.device,
        **options,
    )
    heads, features, width = weights.key.shape
    rank, voxels = options["rank"], responses.shape[1]
    # Embeddings, the maps from them, projections, biases: what descent moves (core/fitting.py).
    maps = rank * heads * (2 * width + phi.shape[1])
    parameters = voxels * rank + maps + 2 * heads * features * width + voxels
    choices = {"best_epoch": history.best_epoch}
    return VoxelQuery(move_weights(weights, terms.device), phi, parameters, choices)
