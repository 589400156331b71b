"""Forms that are linear in one vector z of an image: ŷ(v, x) = ⟨w_v, z(x)⟩ + b_v.

Ridge regression with a penalty for each voxel, chosen by cross-validation (core/ridge.py). What
differs is the vector: the pooled embedding, the captions' embedding, or the pooled embedding at
unit length (BrainSCUBA, Luo et al. 2024, arXiv 2310.04420).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mine.core.ridge import Ridge, fit_ridge
from mine.encoders.interface import Stimuli, Terms

if TYPE_CHECKING:
    from sklearn.model_selection import KFold


@dataclass(frozen=True)
class Linear:
    """Ridge regression on a vector that `read` takes from stimuli."""

    read: Callable[[Stimuli], np.ndarray]
    ridge: Ridge
    choices: dict[str, float] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        return self.ridge.weight.size + self.ridge.intercept.size

    def predict(self, stimuli: Stimuli) -> np.ndarray:
        return self.ridge.predict(self.read(stimuli)).astype(np.float32)


def fit_pooled(stimuli: Stimuli, responses: np.ndarray, terms: Terms) -> Linear:
    """Ridge on the standardised pooled embedding."""
    return _fit(lambda given: given.pooled.astype(np.float64), stimuli, responses, terms)


def fit_captions(stimuli: Stimuli, responses: np.ndarray, terms: Terms) -> Linear:
    """Ridge on the standardised embedding of the captions."""
    return _fit(lambda given: given.captions.astype(np.float64), stimuli, responses, terms)


def fit_unit_length(stimuli: Stimuli, responses: np.ndarray, terms: Terms) -> Linear:
    """Ridge on the pooled embedding at unit length: see :func:`fit_unit_ridge`."""
    options = {"alphas": terms.alphas, "folds": terms.folds}
    ridge = fit_unit_ridge(stimuli.pooled, responses, **options)
    return Linear(lambda given: scale_to_unit(given.pooled), ridge)


def fit_unit_ridge(
    pooled: np.ndarray, responses: np.ndarray, *, alphas: np.ndarray, folds: KFold
) -> Ridge:
    """Ridge on the pooled embedding e at unit length, z = √D e / ‖e‖, whose features keep the
    spread that they have: one penalty for all of them, as weight decay is.

    Published with AdamW in the place of the closed form. √D of D features gives the penalties the
    meaning that they have for standardised features. pooled: (image, feature). responses: (image,
    voxel).
    """
    features = scale_to_unit(pooled)
    # fit_ridge divides by the deviation; an importance that equals it takes that back.
    deviation = features.std(axis=0)
    importance = np.where(deviation > 0, deviation, 1.0)
    return fit_ridge(features, responses, alphas=alphas, folds=folds, importance=importance)


def scale_to_unit(pooled: np.ndarray) -> np.ndarray:
    """The pooled embedding e, (…, feature), as √D e / ‖e‖; zeros stay zeros."""
    pooled = pooled.astype(np.float64)
    length = np.linalg.norm(pooled, axis=-1, keepdims=True)
    return np.sqrt(pooled.shape[-1]) * pooled / np.where(length > 0, length, 1.0)


def _fit(
    read: Callable[[Stimuli], np.ndarray], stimuli: Stimuli, responses: np.ndarray, terms: Terms
) -> Linear:
    options = {"alphas": terms.alphas, "folds": terms.folds}
    return Linear(read, fit_ridge(read(stimuli), responses, **options))
