"""Closed-form attributions equal automatic differentiation, and say how far they have converged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients

from mine.core import integrated_gradients as fast
from mine.core import rankings
from mine.core.encoder import join_encoders, token_scalars
from mine.stages.attributions import BLOCK, attribute, choose_images, mean_tokens
from tests.reference import literal_encoder
from tests.reference.problems import double, random_problem

FIXED = {"nodes": 8, "tolerance": 1.0, "maximum_nodes": 8}
ADAPTIVE = {"nodes": 4, "tolerance": 1e-5, "maximum_nodes": 256}


def stream(problem, *, voxel_batch=100, image_batch=100, **quadrature):
    return list(
        fast.stream_attributions(
            *problem, voxel_batch=voxel_batch, image_batch=image_batch, **quadrature
        )
    )


def literal(problem, compute):
    """compute(voxel, tokens, baseline) of every image and voxel, (image, voxel, token)."""
    baseline = double(problem.baseline)
    rows = [
        torch.stack([compute(voxel, double(image), baseline) for voxel in range(5)])
        for image in problem.tokens
    ]
    return torch.stack(rows)


def relative_difference(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_closed_form_equals_automatic_differentiation(sharpness):
    problem = random_problem(sharpness=sharpness)
    (batch,) = stream(problem, **FIXED)
    expected = literal(
        problem,
        lambda voxel, tokens, baseline: literal_encoder.integrated_gradients(
            problem.weights, voxel, tokens, baseline, double(problem.phi), nodes=8
        ),
    )
    assert relative_difference(batch.attribution, expected) < 1e-5


def test_closed_form_equals_captum():
    problem = random_problem(sharpness=2.0)
    (batch,) = stream(problem, **FIXED)

    def forward(tokens, voxel):
        s, u = token_scalars(problem.weights, tokens, problem.phi)
        prediction = fast.predict_from_scalars(s, u, problem.weights.bias)
        return prediction[:, voxel]

    baseline = torch.as_tensor(problem.baseline)[None]
    for voxel in range(5):
        expected = IntegratedGradients(forward).attribute(
            torch.as_tensor(problem.tokens),
            baseline,
            additional_forward_args=voxel,
            n_steps=8,
            method="gausslegendre",
        )
        difference = relative_difference(batch.attribution[:, voxel], expected.sum(dim=-1))
        assert difference < 1e-5


def test_attributions_of_joined_encoders_are_the_mean_of_theirs():
    one, other = random_problem(sharpness=2.0), random_problem(sharpness=0.5, seed=1)
    problems = [one, one._replace(weights=other.weights)]
    joined = one._replace(weights=join_encoders([each.weights for each in problems]))
    (batch,) = stream(joined, **FIXED)
    parts = [stream(each, **FIXED)[0] for each in problems]
    mean = torch.stack([part.attribution for part in parts]).mean(dim=0)
    assert relative_difference(batch.attribution, mean) < 1e-6


def test_an_offset_common_to_all_read_outs_costs_no_precision():
    (batch,) = stream(random_problem(), **FIXED)
    moved = fast.integrated_gradients(
        batch.s0, batch.s1, batch.u0 + 100, batch.u1 + 100, nodes=8, tolerance=1, maximum_nodes=8
    )
    # The scalars themselves have lost three digits by the offset; the integral loses no more.
    assert relative_difference(moved.attribution, batch.attribution) < 3e-5


def test_attributions_complete_to_the_change_of_the_prediction():
    (batch,) = stream(random_problem(), **ADAPTIVE)
    change = batch.prediction - batch.baseline_prediction
    missing = (batch.attribution.sum(dim=-1) - change).abs()
    assert bool((batch.completeness_error <= ADAPTIVE["tolerance"]).all())
    np.testing.assert_allclose(
        missing / batch.attribution.abs().sum(dim=-1), batch.completeness_error, rtol=0, atol=2e-6
    )


def test_a_linear_encoder_gets_its_exact_linear_contributions():
    problem = random_problem()
    weights = replace(problem.weights, query=torch.zeros_like(problem.weights.query))
    (batch,) = stream(problem._replace(weights=weights), **{**FIXED, "nodes": 1})
    attention = torch.softmax(weights.position @ problem.phi.T, dim=-1)
    vector = torch.einsum("hfw,vhw->vhf", weights.value, weights.readout)
    change = torch.as_tensor(problem.tokens - problem.baseline)
    expected = torch.einsum("vht,vhf,itf->ivt", attention, vector, change)
    np.testing.assert_allclose(batch.attribution, expected, rtol=1e-5, atol=1e-6)


def test_the_baseline_image_gets_nothing():
    problem = random_problem(images=1)
    (batch,) = stream(problem._replace(tokens=problem.baseline[None]), **ADAPTIVE)
    assert batch.attribution.abs().max() == 0
    assert batch.completeness_error.max() == 0


def test_nodes_are_doubled_only_where_the_tolerance_is_missed():
    problem = random_problem(sharpness=12.0, voxels=5)
    # Voxel 0 has no query: one node would do.
    problem.weights.query[0] = 0
    (batch,) = stream(problem, nodes=4, tolerance=1e-4, maximum_nodes=1024)
    assert bool((batch.completeness_error <= 1e-4).all())
    assert bool((batch.nodes[:, 0] == 4).all())
    assert batch.nodes.max() >= 32
    (coarse,) = stream(problem, nodes=4, tolerance=1.0, maximum_nodes=4)
    (exact,) = stream(problem, nodes=256, tolerance=1.0, maximum_nodes=256)
    # The sum can be right before its parts are, so that their error is not held to the tolerance.
    assert relative_difference(batch.attribution, exact.attribution) < 0.02
    assert relative_difference(coarse.attribution, exact.attribution) > 0.1


def test_an_error_that_remains_is_reported():
    (batch,) = stream(random_problem(sharpness=30.0), nodes=2, tolerance=1e-6, maximum_nodes=4)
    missed = batch.completeness_error > 1e-6
    assert bool(missed.any())
    assert bool((batch.nodes[missed] == 4).all())


@pytest.mark.parametrize(("voxel_batch", "image_batch"), [(1, 1), (2, 3), (5, 2)])
def test_batches_change_nothing(voxel_batch, image_batch, monkeypatch):
    problem = random_problem(sharpness=6.0)
    settings = {**ADAPTIVE, "token_fraction": 4 / 12}
    whole = attribute(*problem, **settings, voxel_batch=100, image_batch=100)
    monkeypatch.setattr(fast, "CHUNK", 60)
    parts = attribute(*problem, **settings, voxel_batch=voxel_batch, image_batch=image_batch)
    for name in whole.data_vars:
        if name != "completeness_error":
            np.testing.assert_allclose(parts[name], whole[name], rtol=1e-4, atol=1e-5)


def test_stored_attributions_are_the_strongest_of_each_sign():
    problem = random_problem(tokens=9)
    (batch,) = stream(problem, **FIXED)
    full = batch.attribution.numpy()
    stored = attribute(*problem, **FIXED, token_fraction=6 / 9, voxel_batch=2, image_batch=3)
    for sign, direction in (("positive", 1), ("negative", -1)):
        part = stored.sel(sign=sign)
        for image in range(4):
            for voxel in range(5):
                values = full[image, voxel]
                order = [t for t in np.argsort(-direction * values) if direction * values[t] > 0]
                here = part.isel(image=image, voxel=voxel)
                found = [t for t in here.token.values.tolist() if t >= 0]
                assert found == order[:6]
                strongest = np.zeros(6)
                strongest[: len(found)] = values[found]
                np.testing.assert_allclose(here.attribution, strongest, rtol=1e-4, atol=1e-7)
    padded = stored.token == -1
    assert bool(padded.any())
    assert float(np.abs(stored.attribution.where(padded)).max()) == 0


def test_signs_together_give_the_prediction_and_the_map_of_positions():
    problem = random_problem()
    (batch,) = stream(problem, **ADAPTIVE)
    stored = attribute(*problem, **ADAPTIVE, token_fraction=3 / 12, voxel_batch=100, image_batch=1)
    np.testing.assert_allclose(
        stored.total.sum("sign"), stored.prediction - stored.baseline_prediction, atol=1e-4
    )
    np.testing.assert_allclose(
        stored.position_map.sum("sign"), batch.attribution.mean(dim=0), atol=1e-6
    )
    assert float(stored.position_map.sel(sign="positive").min()) >= 0
    assert float(stored.position_map.sel(sign="negative").max()) <= 0


def test_a_token_is_stored_however_small_the_share():
    # As a description takes one however small its own share is.
    batches = {"voxel_batch": 100, "image_batch": 100}
    stored = attribute(*random_problem(), **FIXED, token_fraction=0.01, **batches)
    assert stored.sizes["rank"] == 1


def test_every_batch_reaches_who_listens():
    seen = np.zeros((5, 4))

    def listen(batch):
        seen[batch.voxels, batch.images] += 1

    attribute(
        *random_problem(),
        **FIXED,
        token_fraction=1 / 12,
        voxel_batch=2,
        image_batch=3,
        on_batch=listen,
    )
    assert (seen == 1).all()


@pytest.mark.parametrize("ranking", ["attention", "attention_value", "gradient_input", "ablation"])
@pytest.mark.parametrize("sharpness", [1.0, 10.0])
def test_each_ranking_equals_its_slow_reference(ranking, sharpness):
    problem = random_problem(sharpness=sharpness)
    (batch,) = stream(problem, **FIXED)
    scalars = (batch.s0, batch.s1, batch.u0, batch.u1)
    found = {
        "attention": lambda: rankings.attention(batch.s1),
        "attention_value": lambda: rankings.attention_value(batch.s1, batch.u1),
        "gradient_input": lambda: rankings.gradient_times_change(*scalars),
        "ablation": lambda: rankings.ablation(*scalars),
    }[ranking]()
    expected = literal(
        problem,
        lambda voxel, tokens, baseline: literal_encoder.score_tokens(
            ranking, problem.weights, voxel, tokens, baseline, double(problem.phi)
        ),
    )
    assert relative_difference(found, expected) < 1e-4


def test_places_sort_the_scores_and_lowest_is_ig_backwards():
    problem = random_problem()
    (batch,) = stream(problem, **FIXED)
    norm, random = torch.rand(2, 4, 12)
    places = rankings.place_tokens(batch, norm=norm, random=random)
    assert tuple(places) == rankings.RANKINGS
    expected = batch.attribution.abs().argsort(dim=-1, descending=True)
    np.testing.assert_allclose(places["integrated_gradients"].argsort(dim=-1), expected)
    np.testing.assert_allclose(places["lowest"], 11 - places["integrated_gradients"])
    np.testing.assert_allclose(places["norm"][:, 0].argsort(dim=-1), (-norm).argsort(dim=-1))
    np.testing.assert_allclose(places["random"][:, 0].argsort(dim=-1), (-random).argsort(dim=-1))


def test_the_baseline_is_the_mean_of_blocks_that_are_read_one_at_a_time():
    tokens = np.random.default_rng(0).normal(size=(2 * BLOCK + 9, 6, 4)).astype(np.float16)
    images = np.flatnonzero(np.arange(len(tokens)) % 3)[::-1]
    asked = []

    def read(block):
        asked.append(block)
        return tokens[block]

    found = mean_tokens(read, images)
    expected = tokens[images].mean(axis=0, dtype=np.float64).astype(np.float32)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(np.concatenate(asked), images)
    assert max(map(len, asked)) == BLOCK


def test_an_encoder_is_read_on_its_own_images_and_one_of_all_on_the_test_images_too():
    seen = np.arange(100, 160)
    is_test = np.arange(60) % 3 == 0
    training, test = seen[~is_test], seen[is_test]
    random = np.random.default_rng
    whole = choose_images(training, seen, is_test, most=None, generator=random(0))
    np.testing.assert_array_equal(whole, seen)
    half = choose_images(training[::2], seen, is_test, most=None, generator=random(0))
    np.testing.assert_array_equal(half, training[::2])
    few = choose_images(training, seen, is_test, most=30, generator=random(0))
    assert len(few) == 30 and np.isin(test, few).all() and (np.diff(few) > 0).all()
    assert not np.array_equal(
        few, choose_images(training, seen, is_test, most=30, generator=random(1))
    )
    assert len(choose_images(training[::2], seen, is_test, most=5, generator=random(0))) == 5
    for most in (5, len(test)):  # none of the test images is ever left out
        none_left = choose_images(training, seen, is_test, most=most, generator=random(0))
        np.testing.assert_array_equal(none_left, test)
