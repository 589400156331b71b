"""Laws of fitting encoders: gradients, ensembles, subjects together, and when to stop."""

from __future__ import annotations

import os
from dataclasses import fields

import numpy as np
import pytest
import torch

from mine.core import fitting
from mine.core.encoder import (
    EncoderWeights,
    gather_voxels,
    move_weights,
    position_basis,
    predict,
    split_encoder,
    token_scalars,
)
from mine.core.fitting import (
    FittingData,
    SquaredError,
    _initialise_factors,
    _share_out,
    _take_step,
    _to_weights,
    find_axes,
)
from mine.statistics.scores import r_squared
from tests.reference.fits import fit_encoder, fit_ensemble, fit_recordings, record
from tests.reference.planted_encoder import (
    COLUMNS,
    FEATURES,
    QUICK,
    ROWS,
    SMALL,
    draw_tokens,
    draw_weights,
    hold_out,
    plant,
)


@pytest.fixture(scope="module")
def planted_fit():
    tokens, responses, _ = plant(360, noise=0.3)
    phi = position_basis(ROWS, COLUMNS, 1)
    weights, history = fit_encoder(
        tokens, responses, phi=phi, validation=hold_out(360), seed=0, **SMALL, **QUICK
    )
    return tokens, responses, phi, weights, history


@pytest.mark.parametrize("voxel_batch", [2, 5])
def test_gradient_in_one_pass_equals_autograd_and_finite_differences(voxel_batch):
    heads, voxels, images, tokens, width = 2, 5, 3, 4, 3
    stream = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=stream, dtype=torch.float64, requires_grad=True)

    inputs = (
        draw(heads, voxels, width + 1),
        draw(heads, voxels, width),
        draw(voxels),
        draw(heads, images * tokens, width + 1),
        draw(heads, images * tokens, width),
    )
    target = torch.randn(voxels, images, generator=stream, dtype=torch.float64)

    def literal(query, readout, bias, keys, values):
        shape = (heads, voxels, images, tokens)
        attention = (query @ keys.transpose(1, 2)).view(shape).softmax(dim=-1)
        read = (readout @ values.transpose(1, 2)).view(shape)
        predicted = bias[:, None] + (attention * read).sum(dim=(0, 3))
        return (predicted - target).square().sum()

    def fused(*tensors):
        return SquaredError.apply(*tensors, target, tokens, voxel_batch)

    torch.testing.assert_close(fused(*inputs), literal(*inputs))
    expected = torch.autograd.grad(literal(*inputs), inputs)
    for found, wanted in zip(torch.autograd.grad(fused(*inputs), inputs), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    assert torch.autograd.gradcheck(fused, inputs)


def test_training_and_prediction_share_one_equation():
    phi, voxels, images = position_basis(ROWS, COLUMNS, 1), 5, 7
    heads, width = SMALL["heads"], SMALL["head_width"]
    start = _initialise_factors(
        centre=torch.zeros(voxels), features=FEATURES, heads=heads, head_width=width,
        basis=phi.shape[1], rank=3, stream=torch.Generator().manual_seed(0),
    )  # fmt: skip
    stream = torch.Generator().manual_seed(1)
    factors = {
        name: torch.randn(tensor.shape, generator=stream).requires_grad_()
        for name, tensor in start.items()
    }
    tokens = torch.as_tensor(draw_tokens(2 * images))
    axes = torch.linalg.qr(torch.randn(FEATURES, FEATURES, generator=stream)).Q
    responses = torch.randn(2 * images, voxels, generator=stream)
    # Of two subjects, each with voxels and images of its own.
    owned, seen = [slice(0, 3), slice(3, 5)], [slice(0, images), slice(images, 2 * images)]
    batches = [(tokens[rows], responses[rows, own]) for rows, own in zip(seen, owned, strict=True)]
    weights = _to_weights(factors, (heads, width), owned, axes)
    expected = sum(
        np.square(predict(own, x.numpy(), phi) - y.numpy()).sum()
        for own, (x, y) in zip(weights, batches, strict=True)
    )
    still = torch.optim.SGD(factors.values(), lr=0.0)
    found = _take_step(factors, (heads, width), batches, owned, phi, axes, still, voxel_batch=2)
    assert found == pytest.approx(expected, rel=1e-5)


def test_planted_directions_are_predicted_and_attended_to(planted_fit):
    *_, phi, weights, history = planted_fit
    tokens, _, present = plant(200, noise=0.3, seed=1)
    clean = (present - present.mean(axis=0)) / present.std(axis=0)
    predicted = predict(weights, tokens, phi)
    for voxel in range(3):
        assert np.corrcoef(predicted[:, voxel], clean[:, voxel])[0, 1] > 0.9
    assert history.validation_score.max() == history.validation_score[history.best_epoch]
    # The token that holds the direction weighs more than all others together.
    s, u = token_scalars(weights, torch.as_tensor(tokens), phi)
    weighted = (torch.softmax(s, dim=-1) * (u - u.mean(dim=-1, keepdim=True))).sum(dim=2).numpy()
    for voxel in range(3):
        held = tokens[:, :, voxel].argmax(axis=1)
        pointed = weighted[:, voxel].argmax(axis=1)
        assert (pointed == held)[present[:, voxel]].mean() > 0.9


def test_sums_are_taken_in_one_order_whatever_the_machine():
    assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])


def test_equal_seeds_give_equal_weights_whatever_the_voxel_batch():
    tokens, responses, _ = plant(60, noise=0.3)
    phi = position_basis(ROWS, COLUMNS, 1)
    options = {"phi": phi, "validation": hold_out(60), "epochs": 3, **SMALL}
    fits = [
        fit_encoder(tokens, responses, seed=seed, voxel_batch=voxel_batch, **options)[0]
        for seed, voxel_batch in ((0, 64), (0, 64), (0, 2), (1, 64))
    ]
    for field in fields(EncoderWeights):
        first, again, batched, _ = (getattr(fit, field.name) for fit in fits)
        torch.testing.assert_close(again, first, rtol=0, atol=0)
        torch.testing.assert_close(batched, first, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(fits[3].query, fits[0].query, atol=1e-2)


def test_images_that_are_given_by_their_places_are_fitted_as_if_they_were_copied():
    tokens, responses, _ = plant(90, noise=0.3)
    options = {"phi": position_basis(ROWS, COLUMNS, 1), "epochs": 3, "seed": 0, **SMALL}
    own, held = np.random.default_rng(0).permutation(90)[:60], hold_out(60)
    placed = FittingData(tokens, responses, own[~held], own[held])
    ((found,), history) = fit_recordings([placed], **options)
    expected, copied = fit_encoder(tokens[own], responses[own], validation=held, **options)
    for field in fields(EncoderWeights):
        assert torch.equal(getattr(found, field.name), getattr(expected, field.name))
    np.testing.assert_array_equal(history.training_loss, copied.training_loss)
    np.testing.assert_array_equal(history.validation_score, copied.validation_score)


def test_axes_are_the_principal_ones_and_short_where_tokens_hardly_vary():
    stream = np.random.default_rng(0)
    tokens = stream.normal(size=(40, 6, 5)) @ np.diag([3.0, 1.0, 0.3, 2.0, 0.0])
    turn = np.linalg.qr(stream.normal(size=(5, 5)))[0]
    tokens = (tokens @ turn).astype(np.float16)
    held = np.arange(40) >= 30
    parts = [record(tokens[:20], np.zeros((20, 1)), held[:20])]
    parts += [record(tokens[20:], np.zeros((20, 1)), held[20:])]
    axes = find_axes(parts, image_batch=7, device="cpu").double().numpy()
    seen = tokens[~held].reshape(-1, 5).astype(float)
    variance, expected = np.linalg.eigh(seen.T @ seen / len(seen))
    length = np.sqrt(variance / (variance + fitting.LEAST_VARIANCE * variance.mean()))
    np.testing.assert_allclose(np.linalg.norm(axes, axis=0), length, atol=1e-3)
    assert length[0] < 0.01 and length[1] > 0.8
    np.testing.assert_allclose(np.abs((axes * expected).sum(axis=0)), length, atol=1e-3)
    assert (axes[np.abs(axes).argmax(axis=0), np.arange(5)] > 0).all()


def test_subjects_that_are_fitted_together_have_one_set_of_axes(monkeypatch):
    tokens, responses, _ = plant(120, noise=0.3)
    parts = [
        record(tokens[own], responses[own], hold_out(60)) for own in (slice(60), slice(60, 120))
    ]
    found, find = [], fitting.find_axes

    def spy(subjects, **options):
        found.append([each is part for each, part in zip(subjects, parts, strict=True)])
        return find(subjects, **options)

    monkeypatch.setattr(fitting, "find_axes", spy)
    fit_recordings(parts, phi=position_basis(ROWS, COLUMNS, 1), epochs=1, seed=0, **SMALL)
    assert found == [[True, True]]


def test_weights_along_an_axis_without_variance_stay_small():
    tokens, responses, _ = plant(60, noise=0.3)
    # As standardised tokens, whose features add up to zero.
    tokens = (tokens - tokens.mean(axis=2, keepdims=True)).astype(np.float16)
    options = {"phi": position_basis(ROWS, COLUMNS, 1), "validation": hold_out(60), "seed": 0}
    weights, _ = fit_encoder(tokens, responses, epochs=3, **options, **SMALL)
    for projection in (weights.key, weights.value):
        flat = projection.sum(dim=1) / FEATURES**0.5
        assert flat.square().mean() < 1e-3 * projection.square().mean()


def test_features_that_change_places_change_nothing():
    tokens, responses, _ = plant(60, noise=0.3)
    options = {"phi": position_basis(ROWS, COLUMNS, 1), "validation": hold_out(60), "seed": 0}
    options |= {"epochs": 3, **SMALL}
    order = np.random.default_rng(0).permutation(FEATURES)
    plain, _ = fit_encoder(tokens, responses, **options)
    moved, _ = fit_encoder(tokens[:, :, order], responses, **options)
    for name in ("key", "value"):
        expected = getattr(plain, name)[:, order]
        torch.testing.assert_close(getattr(moved, name), expected, rtol=1e-2, atol=1e-3)
    for name in ("query", "readout", "position", "bias"):
        here, there = (getattr(each, name) for each in (plain, moved))
        torch.testing.assert_close(there, here, rtol=1e-2, atol=1e-4)


def test_an_ensemble_is_one_encoder_that_predicts_the_mean():
    tokens, responses, _ = plant(60, noise=0.3)
    phi = position_basis(ROWS, COLUMNS, 1)
    recording = record(tokens, responses, hold_out(60))
    options = {"phi": phi, "epochs": 2, **SMALL}
    (joined,), histories = fit_ensemble([recording], seeds=[3, 4, 5], **options)
    members = [
        fit_encoder(tokens, responses, validation=hold_out(60), seed=seed, **options)
        for seed in (3, 4, 5)
    ]
    assert joined.query.shape[1] == joined.key.shape[0] == 3 * SMALL["heads"]
    expected = np.mean([predict(weights, tokens, phi) for weights, _ in members], axis=0)
    np.testing.assert_allclose(predict(joined, tokens, phi), expected, atol=1e-5)
    for found, (_, history) in zip(histories, members, strict=True):
        np.testing.assert_array_equal(found.validation_score, history.validation_score)
    for member, (weights, _) in zip(split_encoder(joined, 3), members, strict=True):
        for name in ("query", "readout", "key", "value", "position"):
            torch.testing.assert_close(getattr(member, name), getattr(weights, name))
    with pytest.raises(ValueError, match="a divisor of 6 heads, found 4"):
        split_encoder(joined, 4)
    (alone,), _ = fit_ensemble([recording], seeds=[3], **options)
    for field in fields(EncoderWeights):
        assert torch.equal(getattr(alone, field.name), getattr(members[0][0], field.name))


def test_voxels_of_two_subjects_are_fitted_as_those_of_one_that_saw_the_same():
    tokens, responses, _ = plant(60, noise=0.3)
    # One step an epoch, of all images: their order, which differs by subject, changes nothing.
    options = {"phi": position_basis(ROWS, COLUMNS, 1), "epochs": 6, "image_batch": 60, "seed": 0}
    options |= {"learning_rate": 1e-2, **SMALL}
    whole, history = fit_encoder(tokens, responses, validation=hold_out(60), **options)
    parts = [record(tokens, responses[:, own], hold_out(60)) for own in (slice(0, 3), slice(3, 5))]
    fits, together = fit_recordings(parts, **options)
    gathered = gather_voxels(fits)
    for field in fields(EncoderWeights):
        found, expected = (getattr(each, field.name) for each in (gathered, whole))
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-4)
    np.testing.assert_allclose(together.validation_score, history.validation_score, atol=1e-4)
    np.testing.assert_allclose(together.training_loss, history.training_loss, rtol=1e-4)
    with pytest.raises(ValueError, match="the same projections"):
        gather_voxels([fits[0], draw_weights()])


def test_an_epoch_shows_every_image_once_and_the_subjects_side_by_side():
    orders = [np.random.default_rng(n).permutation(count) for n, count in enumerate((70, 33, 2))]
    steps = list(_share_out(orders, 16))
    assert [len(images) for images, *_ in steps] == [16, 16, 16, 16, 6]
    for subject, order in enumerate(orders):
        np.testing.assert_array_equal(np.concatenate([step[subject] for step in steps]), order)
    sizes = np.array([len(step[1]) for step in steps])
    assert np.abs(sizes - 33 / 70 * np.array([16, 16, 16, 16, 6])).max() <= 1


def test_a_subject_is_fitted_to_its_own_images_alone():
    tokens, responses, _ = plant(360, noise=0.1)
    phi = position_basis(ROWS, COLUMNS, 1)
    # The second saw half as many other images; its voxels are the first's in another order.
    order = [3, 0, 4, 1, 2]
    parts = [
        record(tokens[:240], responses[:240], hold_out(240)),
        record(tokens[240:], responses[240:, order], hold_out(120)),
    ]
    fits, _ = fit_recordings(parts, phi=phi, seed=0, **SMALL, **QUICK)
    unseen, measured, _ = plant(150, noise=0.0, seed=7)
    for weights, voxels in zip(fits, (np.arange(5), np.array(order)), strict=True):
        r2 = r_squared(measured[:, voxels], predict(weights, unseen, phi))
        assert r2[voxels < 3].min() > 0.6 and r2[voxels >= 3].max() < 0.1


def test_voxels_share_an_embedding_of_the_given_rank():
    tokens, responses, _ = plant(60, noise=0.3)
    phi = position_basis(ROWS, COLUMNS, 1)
    weights, _ = fit_encoder(
        tokens, responses, phi=phi, validation=hold_out(60), rank=2, epochs=2, seed=0, **SMALL
    )
    own = [weights.query, weights.readout, weights.position]
    values = torch.linalg.svdvals(torch.cat([part.flatten(1) / part.norm() for part in own], dim=1))
    assert (values > 1e-5).sum() == 2


def test_the_fit_stops_early_and_keeps_its_best_epoch():
    tokens, responses, _ = plant(60, noise=1.0)
    phi = position_basis(ROWS, COLUMNS, 1)
    held = hold_out(60)
    weights, history = fit_encoder(
        tokens, responses, phi=phi, validation=held, epochs=60, patience=3, seed=0,
        learning_rate=1e-2, weight_decay=0.0, **SMALL,
    )  # fmt: skip
    assert len(history.training_loss) == history.best_epoch + 1 + 3 < 60
    assert history.best_epoch == history.validation_score.argmax()
    # R² as of other test images: about the mean of those that trained.
    error = np.square(responses[held] - predict(weights, tokens[held], phi)).sum(axis=0)
    about = np.square(responses[held] - responses[~held].mean(axis=0)).sum(axis=0)
    reached = (1 - error / about).mean()
    assert reached == pytest.approx(history.validation_score[history.best_epoch], abs=1e-6)
    assert np.abs(np.delete(history.validation_score, history.best_epoch) - reached).min() > 1e-4


def test_an_epoch_is_validated_where_it_is_fitted(monkeypatch):
    tokens, responses, _ = plant(40, noise=1.0)
    asked, seen = [], []

    def move(weights, device):
        asked.append(device)
        # No number lies there, so none can be computed anywhere else.
        return move_weights(weights, "meta")

    def spy(weights, tokens, phi, *, images, **batches):
        seen.append(weights.key.device.type)
        return np.zeros((len(images), len(weights.bias)), np.float32)

    monkeypatch.setattr(fitting, "move_weights", move)
    monkeypatch.setattr(fitting, "predict", spy)
    weights, _ = fit_encoder(
        tokens, responses, phi=position_basis(ROWS, COLUMNS, 1), validation=hold_out(40), seed=0,
        device="cpu", epochs=2, **SMALL,
    )  # fmt: skip
    assert (asked, seen) == (["cpu"] * 2, ["meta"] * 2)
    assert weights.key.device.type == "cpu"


def test_what_is_kept_is_the_average_of_the_weights_and_changes_no_step():
    tokens, responses, _ = plant(60, noise=0.3)
    options = {"phi": position_basis(ROWS, COLUMNS, 1), "validation": hold_out(60), "seed": 0}
    options |= {"epochs": 1, "image_batch": 10, "learning_rate": 1e-2, **SMALL}
    averaged, last, start = (
        fit_encoder(tokens, responses, **options | change)
        for change in ({"averaging": 0.98}, {"averaging": 0.0}, {"learning_rate": 0.0})
    )
    np.testing.assert_array_equal(averaged[1].training_loss, last[1].training_loss)
    for name in ("key", "value", "bias"):
        (before, found, after) = (getattr(fit[0], name) for fit in (start, averaged, last))
        assert not torch.allclose(found, after, rtol=0, atol=1e-4)
        # Five steps with a memory of 1/11 to 5/15 leave it close behind the last.
        assert 0 < (after - found).norm() < 0.5 * (after - before).norm()


def test_validation_images_leave_no_trace_in_the_gradient():
    tokens, responses, _ = plant(60, noise=0.3)
    phi, validation = position_basis(ROWS, COLUMNS, 1), hold_out(60)
    other = responses.copy()
    other[validation] = other[validation][::-1]
    losses = [
        fit_encoder(tokens, y, phi=phi, validation=validation, epochs=2, seed=0, **SMALL)[1]
        for y in (responses, other)
    ]
    np.testing.assert_array_equal(losses[0].training_loss, losses[1].training_loss)
    with pytest.raises(ValueError, match="two validation images, found 60 and 0"):
        fit_encoder(tokens, responses, phi=phi, validation=np.zeros(60), seed=0)
