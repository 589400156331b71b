"""The feature-weighted receptive field: where a voxel looks, times what it looks for.

    ŷ(v, x) = Σ_d w_vd f_d(x; v) + b_v        f_d(x; v) = Σ_t g_vt x_td, standardised over images
    g_vt ∝ exp(−‖place_t − μ_v‖² / 2 σ_v²)    Σ_t g_vt = 1

(St-Yves & Naselaris 2018, NeuroImage 180). The place μ and the size σ of the Gaussian are one of a
grid of candidates, of which one is the whole field, so that ridge on the mean token is among them.
As published, candidates share all feature maps and the best is taken for each voxel; here by the
cross-validation that chooses the penalties too, in the place of one held-out part and gradient
descent that is stopped early.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

from mine.core.ridge import measure_spread
from mine.encoders.interface import Stimuli, Terms

CENTRES = 8  # along each axis, evenly
SIZES = (0.06, 0.12, 0.24, 0.48, np.inf)  # σ in sides of the image
FIELD_BLOCK = 16  # candidates whose features are in memory at once
IMAGE_BLOCK = 256  # images whose tokens are in single precision at once
VOXEL_BLOCK = 1024  # voxels whose errors are computed at once


@dataclass(frozen=True)
class ReceptiveField:
    """A fitted feature-weighted receptive field. See the module's equation."""

    fields: np.ndarray
    """(candidate, token), each summing to 1"""
    candidate: np.ndarray
    """(voxel,), which of them"""
    alpha: np.ndarray
    """(voxel,), the penalty"""
    weight: np.ndarray
    """(feature, voxel), per unit of the feature as the tokens have it"""
    intercept: np.ndarray
    """(voxel,)"""
    choices: dict[str, float] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        return self.weight.size + self.intercept.size

    def predict(self, stimuli: Stimuli) -> np.ndarray:
        predicted = np.empty((len(stimuli.tokens), len(self.candidate)), dtype=np.float32)
        for number in np.unique(self.candidate):
            own = np.flatnonzero(self.candidate == number)
            (seen,) = look_through(stimuli.tokens, self.fields[[number]])
            predicted[:, own] = seen @ self.weight[:, own] + self.intercept[own]
        return predicted


def fit(stimuli: Stimuli, responses: np.ndarray, terms: Terms) -> ReceptiveField:
    """Choose field and penalty for each voxel by cross-validation, then fit on all images."""
    fields = make_fields(stimuli.rows, stimuli.columns)
    responses = np.asarray(responses, dtype=np.float64)
    folds = list(terms.folds.split(responses))
    voxels = responses.shape[1]
    least = np.full(voxels, np.inf)
    candidate, choice = np.zeros(voxels, dtype=int), np.zeros(voxels, dtype=int)
    blocks = (fields[start : start + FIELD_BLOCK] for start in range(0, len(fields), FIELD_BLOCK))
    all_seen = itertools.chain.from_iterable(look_through(stimuli.tokens, b) for b in blocks)
    for number, seen in enumerate(all_seen):
        error = np.zeros((len(terms.alphas), voxels))
        for fitted, held in folds:
            error += _cross_validate(seen, responses, fitted, held, terms.alphas)
        best = error.argmin(axis=0)
        found = error[best, np.arange(voxels)]
        better = found < least
        least[better], candidate[better], choice[better] = found[better], number, best[better]

    alpha = np.asarray(terms.alphas, dtype=np.float64)[choice]
    weight = np.empty((stimuli.tokens.shape[2], voxels))
    intercept = np.empty(voxels)
    for number in np.unique(candidate):
        own = np.flatnonzero(candidate == number)
        (seen,) = look_through(stimuli.tokens, fields[[number]])
        scaled, mean, inverse = _standardise(seen)
        centre = responses[:, own].mean(axis=0)
        values, vectors = _decompose(scaled)
        projected = vectors.T @ (scaled.T @ (responses[:, own] - centre))
        weight[:, own] = inverse[:, None] * (vectors @ (projected / (values[:, None] + alpha[own])))
        intercept[own] = centre - mean @ weight[:, own]
    return ReceptiveField(fields, candidate, alpha, weight, intercept)


def make_fields(rows: int, columns: int) -> np.ndarray:
    """Candidates of g over the tokens' places, (candidate, token): every size at every centre, the
    infinite one once."""
    row = (np.repeat(np.arange(rows), columns) + 0.5) / rows
    column = (np.tile(np.arange(columns), rows) + 0.5) / columns
    middle = (np.arange(CENTRES) + 0.5) / CENTRES
    found = []
    for size in SIZES:
        centres = [(down, across) for down in middle for across in middle]
        for down, across in centres if np.isfinite(size) else centres[:1]:
            distance = np.square(row - down) + np.square(column - across)
            # Before the exponential: where fields are narrower than tokens, the nearest counts.
            exponent = -(distance - distance.min()) / (2 * size**2)
            found.append(np.exp(exponent) / np.exp(exponent).sum())
    return np.array(found)


def look_through(tokens: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """Σ_t g_t x_t of some candidates (candidate, token): (candidate, image, feature), float64."""
    seen = np.empty((len(fields), len(tokens), tokens.shape[2]))
    for start in range(0, len(tokens), IMAGE_BLOCK):
        images = slice(start, start + IMAGE_BLOCK)
        block = fields.astype(np.float32) @ tokens[images].astype(np.float32)
        seen[:, images] = block.swapaxes(0, 1)
    return seen


def _cross_validate(
    seen: np.ndarray,
    responses: np.ndarray,
    fitted: np.ndarray,
    held: np.ndarray,
    alphas: np.ndarray,
) -> np.ndarray:
    """Σ over held-out images of the squared error, for each penalty: (alpha, voxel)."""
    scaled, mean, inverse = _standardise(seen[fitted])
    values, vectors = _decompose(scaled)
    rotated = ((seen[held] - mean) * inverse) @ vectors
    centre = responses[fitted].mean(axis=0)
    projected = vectors.T @ (scaled.T @ (responses[fitted] - centre))
    error = np.empty((len(alphas), responses.shape[1]))
    for start in range(0, responses.shape[1], VOXEL_BLOCK):
        part = slice(start, start + VOXEL_BLOCK)
        target = responses[held, part] - centre[part]
        for place, alpha in enumerate(alphas):
            residual = target - (rotated / (values + alpha)) @ projected[:, part]
            error[place, part] = np.square(residual).sum(axis=0)
    return error


def _standardise(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The features with mean 0 and variance 1, their mean and one over their deviation (feature,);
    a constant feature becomes 0."""
    mean, deviation = measure_spread(seen)
    inverse = np.where(deviation > 0, 1 / np.where(deviation > 0, deviation, 1), 0.0)
    return (seen - mean) * inverse, mean, inverse


def _decompose(scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of XᵀX, by which ridge takes one division a penalty."""
    values, vectors = np.linalg.eigh(scaled.T @ scaled)
    return np.maximum(values, 0), vectors
