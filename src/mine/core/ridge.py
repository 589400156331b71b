"""Ridge regression with a penalty for each voxel.

    ŷ = (x − mean) / scale · weight + intercept
    weight minimises, for each voxel,  ‖y − intercept − X weight‖² + α ‖weight‖²

with X = (x − mean) / scale: the features standardised on the images of the fit and, where some
are to count for less than others, multiplied by an importance. α is chosen for each voxel by
cross-validation within these images, in float64: the smallest penalties leave kernels that float32
cannot invert.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.model_selection import KFold

# Voxels whose predictions for all penalties are in memory at once.
VOXEL_BLOCK = 2048

# Share of a band that is as good as off. At none at all, himalaya's group ridge divides by zero.
LEAST_SHARE = 1e-6

Predictor = Callable[[Sequence[np.ndarray]], np.ndarray]


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


def fit_banded_ridge(
    bands: Sequence[np.ndarray],
    responses: np.ndarray,
    *,
    alphas: np.ndarray,
    folds: KFold,
    mixtures: int,
) -> tuple[Predictor, np.ndarray, np.ndarray]:
    """Ridge regression with a penalty for each of two bands (Dupré la Tour et al. 2022).

    min_w ‖y − Σ_b √γ_b X_b w_b‖² + α Σ_b ‖w_b‖², γ on the simplex, X_b standardised and brought to
    equal total variance. α and γ are chosen per voxel. The grid for γ runs
    from one band alone to the other alone.

    bands: two arrays (image, feature). Returns the predictor, two arrays -> (band, image, voxel)
    whose sum over bands is the prediction (the mean is shared out evenly), alpha (voxel,),
    and γ (band, voxel).
    """
    from himalaya.kernel_ridge import MultipleKernelRidgeCV
    from himalaya.ridge import GroupRidgeCV

    scale = np.sqrt(np.mean([band.shape[1] for band in bands]))
    standardisers = [make_standardiser(band) for band in bands]

    def prepare(new: Sequence[np.ndarray]) -> list[np.ndarray]:
        pairs = zip(standardisers, new, strict=True)
        return [standardise(band) * scale / np.sqrt(band.shape[1]) for standardise, band in pairs]

    first = np.clip(np.linspace(0, 1, mixtures), LEAST_SHARE, 1 - LEAST_SHARE)
    solver = {
        "n_iter": np.stack([first, 1 - first], axis=1),
        "alphas": alphas,
        "n_targets_batch": VOXEL_BLOCK,
        "progress_bar": False,
    }
    fitted = prepare(bands)
    # Himalaya splits predictions only without an intercept; bands and responses are centred here.
    responses = np.asarray(responses, np.float64)
    centre = responses.mean(axis=0)
    # The same estimate from the smaller of the two matrices: image × image, or feature × feature.
    if sum(band.shape[1] for band in bands) > len(responses):

        def make_input(new: Sequence[np.ndarray]) -> np.ndarray:
            return np.stack([n @ f.T for n, f in zip(prepare(new), fitted, strict=True)])

        model = MultipleKernelRidgeCV(kernels="precomputed", cv=folds, solver_params=solver)
    else:
        make_input = prepare
        model = GroupRidgeCV(groups="input", cv=folds, solver_params=solver | {"warn": False})
    model.fit(make_input(bands), responses - centre)

    def predict(new: Sequence[np.ndarray]) -> np.ndarray:
        return model.predict(make_input(new), split=True) + centre / len(bands)

    weight = np.exp(model.deltas_)
    return predict, 1 / weight.sum(axis=0), weight / weight.sum(axis=0)


def measure_spread(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation (feature,) of features (image, feature), in their
    precision; a deviation that is rounding error alone is 0."""
    # Sums of thousands of float32 round off enough for a constant to look as if it varied.
    mean = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64)
    varies = deviation > 1e-9 * np.maximum(1.0, np.abs(mean))
    precision = np.result_type(features, np.float32)
    return mean.astype(precision), np.where(varies, deviation, 0.0).astype(precision)


def make_standardiser(features: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Zero mean, unit variance on these images; a constant feature becomes zero on all images."""
    mean, deviation = measure_spread(features)
    inverse = np.where(deviation > 0, 1.0 / np.where(deviation > 0, deviation, 1.0), 0.0)
    return lambda new: (new - mean) * inverse
