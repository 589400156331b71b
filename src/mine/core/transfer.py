"""The encoder of a new subject from few images: its voxels are mixtures of voxels that are known.

    θ_v = Σ_u c_vu θ_u        θ: query, readout and place of a voxel (encoder.py)

The projections stay as they are. The mixture c_v is that of a Gaussian process whose covariance is
that of the known voxels' predictions F (image, known voxel), both centred over the images:

    c_v = Fᵀ (F Fᵀ + λ_v I)⁻¹ y_v

and λ_v, the noise over the signal, is where the marginal likelihood of the responses is largest
(Rasmussen & Williams 2006, sections 2.2 and 5.4.1), the mean being one degree of freedom less. No
image is held out, and nothing is descended.

Did the known voxels of a mixture attend alike, its prediction would be the mixture of theirs, since
a readout is linear; as it is, a new voxel looks where the mixed query does. What comes out is an
encoder like any other, and its attributions have their closed form.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from mine.core.encoder import EncoderWeights, predict, to_tensor

# Noise over signal to choose from, in units of the mean variance that a known voxel predicts.
RATIOS = np.logspace(-4, 4, 49)


def mix_voxels(
    known: EncoderWeights, tokens: np.ndarray, responses: np.ndarray, phi: torch.Tensor
) -> EncoderWeights:
    """The encoder of new voxels from an encoder of others. See the module's equations.

    tokens: (image, token, feature), two images or more, seen by the new voxels; the known ones need
    not have seen them. responses: (image, voxel), z-scored. phi: (token, basis).

    No array has a known and a new voxel dimension at once.
    """
    seen = predict(known, tokens, phi).astype(np.float64)
    seen -= seen.mean(axis=0)
    centre = responses.mean(axis=0, dtype=np.float64)
    dual = solve_dual(seen @ seen.T, responses - centre)

    def mix(part: torch.Tensor) -> torch.Tensor:
        rows = seen @ part.flatten(1).cpu().numpy().astype(np.float64)
        return to_tensor(dual.T @ rows, part.device).view(-1, *part.shape[1:])

    mixed = replace(
        known,
        query=mix(known.query),
        readout=mix(known.readout),
        position=mix(known.position),
        bias=known.bias.new_zeros(len(centre)),
    )
    # What a mixture predicts on average is not the mixture of averages: the softmax is in between.
    offset = centre - predict(mixed, tokens, phi).mean(axis=0)
    return replace(mixed, bias=to_tensor(offset, known.bias.device))


def solve_dual(covariance: np.ndarray, centred: np.ndarray) -> np.ndarray:
    """(K + λ_v I)⁻¹ y_v, each voxel's λ_v being where the likelihood of y_v ~ N(0, s (K + λ I)) is
    largest, at its best s: (image, voxel).

    covariance: (image, image), of centred predictions. centred: (image, voxel), responses less
    their means.
    """
    # Centring took the constant direction away from both. It is made the largest, and left out.
    constant = 2 * np.trace(covariance) + 1
    values, vectors = np.linalg.eigh(covariance + constant / len(covariance))
    values, vectors = np.maximum(values[:-1], 0), vectors[:, :-1]
    rotated = vectors.T @ centred
    power = np.square(rotated)
    most = np.full(centred.shape[1], -np.inf)
    noise = np.ones(centred.shape[1])
    for candidate in RATIOS * max(values.mean(), np.finfo(float).tiny):
        damped = values + candidate
        scale = np.maximum(1 / damped @ power, np.finfo(float).tiny)
        likelihood = -0.5 * (len(values) * np.log(scale) + np.log(damped).sum())
        better = likelihood > most
        most[better], noise[better] = likelihood[better], candidate
    return vectors @ (rotated / (values[:, None] + noise))
