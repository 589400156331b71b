"""Laws of the voxel-query encoder: its equation, and how it is kept."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
import torch

from mine.core.encoder import (
    EncoderWeights,
    position_basis,
    predict,
    random_encoder,
    select_voxels,
    token_scalars,
    weights_from_dataset,
    weights_to_dataset,
)
from tests.reference.planted_encoder import (
    COLUMNS,
    ROWS,
    draw_tokens,
    draw_weights,
)


def test_position_basis_is_orthogonal_without_the_constant():
    basis = position_basis(4, 6, 2).numpy().astype(np.float64)
    assert basis.shape == (24, 8)
    gram = basis.T @ basis
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=1e-5)
    np.testing.assert_allclose(basis.sum(axis=0), 0, atol=1e-5)
    # Row-major: the first column varies along columns only.
    first = basis[:, 0].reshape(4, 6)
    np.testing.assert_allclose(first, np.broadcast_to(first[0], (4, 6)))
    assert position_basis(4, 6, 0).shape == (24, 0)


@pytest.mark.parametrize("orders", [0, 1])
def test_predict_equals_the_equation_in_loops(orders):
    phi = position_basis(ROWS, COLUMNS, orders)
    weights, tokens = draw_weights(3, basis=phi.shape[1]), draw_tokens(2)
    w = {field.name: getattr(weights, field.name).double().numpy() for field in fields(weights)}
    expected = np.zeros((2, 3))
    for image, voxel in np.ndindex(2, 3):
        total = w["bias"][voxel]
        for head in range(2):
            logits, values = [], []
            for token, x in enumerate(tokens[image].astype(np.float64)):
                place = float(w["position"][voxel, head] @ phi[token].double().numpy())
                key, value = x @ w["key"][head], x @ w["value"][head]
                logits.append(w["query"][voxel, head] @ key / math.sqrt(4) + place)
                values.append(w["readout"][voxel, head] @ value)
            attention = np.exp(logits) / np.exp(logits).sum()
            total += attention @ np.array(values)
        expected[image, voxel] = total
    np.testing.assert_allclose(predict(weights, tokens, phi), expected, rtol=1e-5, atol=1e-6)


def test_predictions_do_not_depend_on_batches_or_on_the_tokens_precision():
    phi = position_basis(ROWS, COLUMNS, 1)
    weights, tokens = draw_weights(7), draw_tokens(9).astype(np.float16)
    whole = predict(weights, tokens, phi)
    np.testing.assert_allclose(
        predict(weights, tokens, phi, voxel_batch=3, image_batch=4), whole, atol=1e-5
    )
    np.testing.assert_allclose(predict(weights, tokens.astype(np.float32), phi), whole, atol=1e-5)
    some = predict(select_voxels(weights, np.array([5, 1])), tokens, phi)
    np.testing.assert_allclose(some, whole[:, [5, 1]], atol=1e-5)
    chosen = np.array([7, 0, 3])
    some = predict(weights, tokens, phi, images=chosen, image_batch=2)
    np.testing.assert_array_equal(some, predict(weights, tokens[chosen], phi, image_batch=2))


def test_scalars_are_linear_in_the_tokens():
    phi = position_basis(ROWS, COLUMNS, 1)
    weights = draw_weights()
    tokens = torch.as_tensor(draw_tokens(2))
    (s0, u0), (s1, u1) = (token_scalars(weights, tokens[i : i + 1], phi) for i in range(2))
    s, u = token_scalars(weights, 0.3 * tokens[:1] + 0.7 * tokens[1:], phi)
    assert s.shape == (1, 5, 2, ROWS * COLUMNS)
    torch.testing.assert_close(s, 0.3 * s0 + 0.7 * s1)
    torch.testing.assert_close(u, 0.3 * u0 + 0.7 * u1)


def test_weights_survive_the_store_format():
    weights = draw_weights()
    dataset = weights_to_dataset(weights)
    assert dataset["query"].dims == ("voxel", "head", "width")
    back = weights_from_dataset(dataset.transpose(*reversed(list(dataset.sizes))))
    for field in fields(EncoderWeights):
        torch.testing.assert_close(getattr(back, field.name), getattr(weights, field.name))


def test_random_encoders_have_unit_logits_and_values():
    weights = random_encoder(voxels=200, features=64, heads=2, head_width=8, basis=0, seed=0)
    tokens = torch.randn(20, 16, 64, generator=torch.Generator().manual_seed(0))
    s, u = token_scalars(weights, tokens, torch.zeros(16, 0))
    assert float(s.std()) == pytest.approx(1, abs=0.15)
    assert float((u * math.sqrt(2)).std()) == pytest.approx(1, abs=0.15)
