"""Banded ridge regression on the pooled embedding and the low-level features.

ŷ(v, x) = Σ_b ⟨w_vb, z_b(x)⟩ + b_v, a penalty for each band and voxel (Dupré la Tour et al. 2022,
NeuroImage 264; core/ridge.py has the equation that is minimised).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mine.core.ridge import Predictor, fit_banded_ridge
from mine.encoders.interface import Stimuli, Terms


@dataclass(frozen=True)
class Banded:
    """Banded ridge regression."""

    predict_bands: Predictor
    parameters: int
    choices: dict[str, float] = field(default_factory=dict)

    def predict(self, stimuli: Stimuli) -> np.ndarray:
        return self.predict_bands(read_bands(stimuli)).sum(axis=0).astype(np.float32)


def fit(stimuli: Stimuli, responses: np.ndarray, terms: Terms) -> Banded:
    """Fit by cross-validation over penalties and mixtures of the two bands."""
    bands = read_bands(stimuli)
    predict_bands, *_ = fit_banded_ridge(
        bands, responses, alphas=terms.alphas, folds=terms.folds, mixtures=terms.mixtures
    )
    width = sum(band.shape[1] for band in bands)
    return Banded(predict_bands, (width + 1) * responses.shape[1])


def read_bands(stimuli: Stimuli) -> list[np.ndarray]:
    """The two bands, float64 (image, feature)."""
    return [stimuli.pooled.astype(np.float64), stimuli.low_level.astype(np.float64)]
