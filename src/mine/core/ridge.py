"""Ridge regression with a penalty for each voxel.

    ŷ = (x − mean) / scale · weight + intercept
    weight minimises, for each voxel,  ‖y − intercept − X weight‖² + α ‖weight‖²

with X = (x − mean) / scale: the features standardised on the images of the fit and, where some
are to count for less than others, multiplied by an importance. α is chosen for each voxel by
cross-validation within these images, in float64: the smallest penalties leave kernels that float32
cannot invert.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.model_selection import KFold

# Voxels whose predictions for all penalties are in memory at once.
VOXEL_BLOCK = 2048


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge regression. See the module's equation."""

    mean: np.ndarray
    """(feature,)"""
    scale: np.ndarray
    """(feature,), standard deviation over importance; 1 where a feature is constant"""
    weight: np.ndarray
    """(feature, voxel), per scale of the feature"""
    intercept: np.ndarray
    """(voxel,)"""
    alpha: np.ndarray
    """(voxel,), the penalty"""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict the responses (image, voxel) to images of which the features (image, feature) are
        given, in the type of the weights."""
        scaled = ((features - self.mean) / self.scale).astype(self.weight.dtype, copy=False)
        return scaled @ self.weight + self.intercept

    def read_weights(self) -> np.ndarray:
        """Return the weights (feature, voxel) per unit of the features as they are given."""
        return self.weight / self.scale[:, None]


def fit_ridge(
    features: np.ndarray,
    responses: np.ndarray,
    *,
    alphas: np.ndarray,
    folds: KFold,
    importance: np.ndarray | float = 1.0,
) -> Ridge:
    """Fit a ridge regression.

    features: (image, feature). responses: (image, voxel). alphas: penalties to choose from. folds:
    of the cross-validation that chooses. importance: (feature,), above 0; a feature of half the
    importance pays four times the penalty for the same share in the prediction. A feature that is
    constant on these images gets no weight.
    """
    from himalaya.ridge import RidgeCV

    mean, deviation = measure_spread(features)
    varies = deviation > 0
    scale = np.where(varies, deviation / importance, 1.0)
    model = RidgeCV(
        alphas=alphas,
        fit_intercept=True,
        cv=folds,
        solver_params={"n_targets_batch": VOXEL_BLOCK, "warn": False},
    ).fit((features - mean) / scale * varies, np.asarray(responses, np.float64))
    weight = np.where(varies[:, None], model.coef_, 0.0)
    return Ridge(mean, scale, weight, model.intercept_, model.best_alphas_)


def measure_spread(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation (feature,) of features (image, feature); a
    deviation that is rounding error alone is 0."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    varies = deviation > 1e-9 * np.maximum(1.0, np.abs(mean))
    return mean, np.where(varies, deviation, 0.0)
