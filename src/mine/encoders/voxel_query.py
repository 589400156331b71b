"""MINE's own form (core/encoder.py, core/fitting.py), as the analysis fits it, and its mean over
seeds, which is of the same form with more heads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mine.core.encoder import EncoderWeights, move_weights, position_basis, predict
from mine.core.fitting import fit_ensemble
from mine.core.splits import derive_seeds
from mine.encoders.interface import Stimuli, Terms, score_validation

# What decides on the split and on the basis, not on the descent.
OUTSIDE = ("members", "position_orders", "validation_fraction", "device")

ALL = "all"  # the analysis's name of its fit to all training images


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


def _fit(stimuli: Stimuli, responses: np.ndarray, terms: Terms, *, members: int) -> VoxelQuery:
    phi = position_basis(stimuli.rows, stimuli.columns, terms.encoder["position_orders"])
    options = {name: value for name, value in terms.encoder.items() if name not in OUTSIDE}
    weights, histories = fit_ensemble(
        stimuli.tokens,
        responses,
        phi=phi,
        validation=terms.validation,
        seeds=derive_seeds(terms.seed, ALL, members),
        device=terms.device,
        **options,
    )
    heads, features, width = weights.key.shape
    rank, voxels = options["rank"], responses.shape[1]
    # Embeddings, the maps from them, projections, biases: what descent moves (core/fitting.py).
    maps = rank * heads * (2 * width + phi.shape[1])
    parameters = members * voxels * (rank + 1) + maps + 2 * heads * features * width
    fitted = VoxelQuery(move_weights(weights, terms.device), phi, parameters, choices={})
    fitted.choices.update(
        {f"best_epoch_{place}": history.best_epoch for place, history in enumerate(histories)},
        validation_r2=score_validation(fitted, stimuli, responses, terms),
    )
    return fitted
