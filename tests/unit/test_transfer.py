"""Laws of voxels as mixtures of other subjects' voxels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.linalg import helmert
from scipy.stats import multivariate_normal

from mine.core.encoder import EncoderWeights, position_basis, predict, random_encoder
from mine.core.transfer import RATIOS, mix_voxels, solve_dual
from mine.statistics.scores import r_squared

ROWS, COLUMNS, FEATURES, KNOWN = 3, 3, 10, 12
PHI = position_basis(ROWS, COLUMNS, 1)


def draw_known(*, alike: bool = False) -> EncoderWeights:
    """Random known voxels; ``alike``: all of them attend where the first does."""
    weights = random_encoder(
        voxels=KNOWN, features=FEATURES, heads=2, head_width=4, basis=PHI.shape[1], seed=0
    )
    if not alike:
        return weights
    return replace(weights, query=weights.query[:1].expand(KNOWN, -1, -1).clone())


def draw_tokens(images: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.standard_normal((images, ROWS * COLUMNS, FEATURES)).astype(np.float32)


def test_noise_is_where_the_likelihood_is_largest():
    generator = np.random.default_rng(0)
    features = generator.standard_normal((15, 6))
    features -= features.mean(axis=0)
    covariance = features @ features.T
    centred = 0.7 * features @ generator.standard_normal((6, 4)) + generator.standard_normal(
        (15, 4)
    )
    centred[:, 3] = generator.standard_normal(15)
    centred -= centred.mean(axis=0)
    found = solve_dual(covariance, centred)
    contrasts = helmert(15)  # an orthonormal basis of what has mean zero
    values = np.linalg.eigvalsh(covariance)[1:]
    for voxel in range(4):
        y = contrasts @ centred[:, voxel]
        likelihoods = []
        for noise in RATIOS * values.mean():
            shape = contrasts @ covariance @ contrasts.T + noise * np.eye(14)
            scale = y @ np.linalg.solve(shape, y) / 14
            likelihoods.append(multivariate_normal.logpdf(y, cov=scale * shape))
        noise = RATIOS[np.argmax(likelihoods)] * values.mean()
        expected = np.linalg.solve(covariance + noise * np.eye(15), centred[:, voxel])
        np.testing.assert_allclose(found[:, voxel], expected, rtol=1e-6, atol=1e-9)


def test_where_known_voxels_attend_alike_the_mixture_is_of_their_predictions():
    known, seen, unseen = draw_known(alike=True), draw_tokens(20, 1), draw_tokens(30, 2)
    # Attention does not depend on the weights of the mixture if it is the same everywhere.
    known = replace(known, query=torch.zeros_like(known.query))
    responses = np.random.default_rng(3).standard_normal((20, 5)).astype(np.float32)
    responses[:, 0] += 2 * predict(known, seen, PHI)[:, 4]
    mixed = mix_voxels(known, seen, responses, PHI)
    features, others = predict(known, seen, PHI), predict(known, unseen, PHI)
    mean = features.mean(axis=0)
    centre = responses.mean(axis=0)
    centred = (features - mean).astype(np.float64)
    dual = solve_dual(centred @ centred.T, responses - centre)
    expected = (others - mean) @ centred.T @ dual + centre
    np.testing.assert_allclose(predict(mixed, unseen, PHI), expected, atol=1e-4)
    assert torch.equal(mixed.key, known.key) and torch.equal(mixed.value, known.value)


def test_a_known_voxel_is_found_again_from_few_images_and_noise_is_not():
    known, unseen = draw_known(), draw_tokens(400, 2)
    seen = draw_tokens(40, 1)
    generator = np.random.default_rng(4)
    clean = predict(known, seen, PHI)
    clean = (clean - clean.mean(axis=0)) / clean.std(axis=0)
    noise = generator.standard_normal((40, KNOWN + 50))
    responses = noise.copy()
    responses[:, :KNOWN] = clean + 0.5 * noise[:, :KNOWN]
    predicted = predict(mix_voxels(known, seen, responses, PHI), unseen, PHI)
    r2 = r_squared(_standardise(predict(known, unseen, PHI)), _standardise(predicted[:, :KNOWN]))
    assert np.median(r2) > 0.7
    # What is predicted for noise hardly varies.
    assert np.median(predicted[:, KNOWN:].var(axis=0)) < 0.1


def test_predictions_average_to_the_responses():
    seen = draw_tokens(25, 1)
    responses = 3 + np.random.default_rng(5).standard_normal((25, 4))
    predicted = predict(mix_voxels(draw_known(), seen, responses, PHI), seen, PHI)
    np.testing.assert_allclose(predicted.mean(axis=0), responses.mean(axis=0), atol=1e-4)


def test_responses_that_do_not_vary_are_predicted_as_they_are():
    seen = draw_tokens(10, 1)
    predicted = predict(mix_voxels(draw_known(), seen, np.full((10, 2), 0.5), PHI), seen, PHI)
    assert predicted == pytest.approx(np.full((10, 2), 0.5), abs=1e-5)


def _standardise(array: np.ndarray) -> np.ndarray:
    return (array - array.mean(axis=0)) / array.std(axis=0)
