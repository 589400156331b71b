"""Laws of the voxel-query encoder, its fits and its scores."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from mine.core.encoder import (
    EncoderWeights,
    gather_voxels,
    position_basis,
    predict,
    random_encoder,
    select_voxels,
    split_encoder,
    token_scalars,
    weights_from_dataset,
    weights_to_dataset,
)
from mine.core.fitting import (
    FittingData,
    SquaredError,
    _initialise_factors,
    _share_out,
    _take_step,
    _to_weights,
    fit_encoder,
    fit_ensemble,
)
from mine.core.fitting import fit_subjects as fit_recordings
from mine.sections import FITS
from mine.stages import encoder as encoder_stage
from mine.stages.encoder import (
    HALVES,
    TrainingData,
    fit_subject,
    fit_subjects,
    score_predictions,
    score_roi,
    shuffle_halves,
    split_halves,
)
from mine.statistics import r_squared

pytestmark = pytest.mark.usefixtures("one_thread")

ROWS, COLUMNS, FEATURES = 4, 4, 12
SMALL = {"heads": 2, "head_width": 4}
# A few hundred images need smaller batches and larger steps than a subject's thousands.
QUICK = {"image_batch": 8, "learning_rate": 1e-2, "weight_decay": 1.0, "epochs": 20}


def draw_tokens(images: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.standard_normal((images, ROWS * COLUMNS, FEATURES)).astype(np.float32)


def draw_weights(voxels: int = 5, *, basis: int = 3) -> EncoderWeights:
    weights = random_encoder(voxels=voxels, features=FEATURES, basis=basis, seed=0, **SMALL)
    stream = torch.Generator().manual_seed(1)
    return replace(
        weights,
        position=torch.randn(weights.position.shape, generator=stream),
        bias=torch.randn(voxels, generator=stream),
    )


def plant(images: int, *, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens in which directions appear at random places, and voxels that answer to presence.

    Voxels 0 to 2 answer to one direction each, voxels 3 and 4 to nothing. Returns tokens,
    responses and which images hold which direction (image, direction).
    """
    generator = np.random.default_rng(seed)
    tokens = 0.5 * generator.standard_normal((images, ROWS * COLUMNS, FEATURES))
    present = generator.random((images, 3)) < 0.4
    for direction in range(3):
        for image in np.flatnonzero(present[:, direction]):
            tokens[image, generator.integers(ROWS * COLUMNS), direction] += 4
    responses = generator.standard_normal((images, 5))
    clean = (present - present.mean(axis=0)) / present.std(axis=0)
    responses[:, :3] = math.sqrt(1 - noise) * clean + math.sqrt(noise) * responses[:, :3]
    return tokens.astype(np.float32), responses.astype(np.float32), present


def hold_out(images: int, every: int = 6) -> np.ndarray:
    return np.arange(images) % every == 0


@pytest.fixture(scope="module")
def planted_fit():
    tokens, responses, _ = plant(360, noise=0.3)
    phi = position_basis(ROWS, COLUMNS, 1)
    weights, history = fit_encoder(
        tokens, responses, phi=phi, validation=hold_out(360), seed=0, **SMALL, **QUICK
    )
    return tokens, responses, phi, weights, history


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


def test_scalars_are_linear_in_the_tokens():
    phi = position_basis(ROWS, COLUMNS, 1)
    weights = draw_weights()
    tokens = torch.as_tensor(draw_tokens(2))
    (s0, u0), (s1, u1) = (token_scalars(weights, tokens[i : i + 1], phi) for i in range(2))
    s, u = token_scalars(weights, 0.3 * tokens[:1] + 0.7 * tokens[1:], phi)
    assert s.shape == (1, 5, 2, ROWS * COLUMNS)
    torch.testing.assert_close(s, 0.3 * s0 + 0.7 * s1)
    torch.testing.assert_close(u, 0.3 * u0 + 0.7 * u1)


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
    responses = torch.randn(2 * images, voxels, generator=stream)
    # Of two subjects, each with voxels and images of its own.
    owned, seen = [slice(0, 3), slice(3, 5)], [slice(0, images), slice(images, 2 * images)]
    batches = [(tokens[rows], responses[rows, own]) for rows, own in zip(seen, owned, strict=True)]
    weights = _to_weights(factors, (heads, width), owned)
    expected = sum(
        np.square(predict(own, x.numpy(), phi) - y.numpy()).sum()
        for own, (x, y) in zip(weights, batches, strict=True)
    )
    still = torch.optim.SGD(factors.values(), lr=0.0)
    found = _take_step(factors, (heads, width), batches, owned, phi, still, voxel_batch=2)
    assert found == pytest.approx(expected, rel=1e-5)


def test_planted_directions_are_predicted_and_attended_to(planted_fit):
    *_, phi, weights, history = planted_fit
    tokens, _, present = plant(200, noise=0.3, seed=1)
    clean = (present - present.mean(axis=0)) / present.std(axis=0)
    predicted = predict(weights, tokens, phi)
    for voxel in range(3):
        assert np.corrcoef(predicted[:, voxel], clean[:, voxel])[0, 1] > 0.9
    assert history.validation_r2.max() == history.validation_r2[history.best_epoch]
    # The token that holds the direction weighs more than all others together.
    s, u = token_scalars(weights, torch.as_tensor(tokens), phi)
    weighted = (torch.softmax(s, dim=-1) * (u - u.mean(dim=-1, keepdim=True))).sum(dim=2).numpy()
    for voxel in range(3):
        held = tokens[:, :, voxel].argmax(axis=1)
        pointed = weighted[:, voxel].argmax(axis=1)
        assert (pointed == held)[present[:, voxel]].mean() > 0.9


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


def test_an_ensemble_is_one_encoder_that_predicts_the_mean():
    tokens, responses, _ = plant(60, noise=0.3)
    phi = position_basis(ROWS, COLUMNS, 1)
    recording = FittingData(tokens, responses, hold_out(60))
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
        np.testing.assert_array_equal(found.validation_r2, history.validation_r2)
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
    parts = [
        FittingData(tokens, responses[:, own], hold_out(60)) for own in (slice(0, 3), slice(3, 5))
    ]
    fits, together = fit_recordings(parts, **options)
    gathered = gather_voxels(fits)
    for field in fields(EncoderWeights):
        found, expected = (getattr(each, field.name) for each in (gathered, whole))
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-4)
    np.testing.assert_allclose(together.validation_r2, history.validation_r2, atol=1e-4)
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
        FittingData(tokens[:240], responses[:240], hold_out(240)),
        FittingData(tokens[240:], responses[240:, order], hold_out(120)),
    ]
    fits, _ = fit_recordings(parts, phi=phi, seed=0, **SMALL, **QUICK)
    unseen, measured, _ = plant(150, noise=0.0, seed=7)
    for weights, voxels in zip(fits, (np.arange(5), np.array(order)), strict=True):
        r2 = r_squared(measured[:, voxels], predict(weights, unseen, phi))
        assert r2[voxels < 3].min() > 0.6 and r2[voxels >= 3].max() < 0.1


def test_the_first_member_of_a_subjects_ensemble_is_its_encoder_by_itself():
    tokens, responses, _ = plant(60, noise=0.3)
    options = {"rows": ROWS, "columns": COLUMNS, "position_orders": 1, "validation_fraction": 0.2}
    options |= {"epochs": 2, "permutations": 20, "seed": 0, **SMALL}
    alone, two, untrained = (
        fit_subject(tokens, responses, np.arange(60), fit=fit, members=members, **options)
        for fit, members in (("all", 1), ("all", 2), ("all_random", 2))
    )
    heads = SMALL["heads"]
    assert two.sizes["head"] == untrained.sizes["head"] == 2 * heads
    np.testing.assert_array_equal(two["query"][:, :heads], alone["query"])
    np.testing.assert_array_equal(two["readout"][:, :heads], alone["readout"] / 2)
    np.testing.assert_array_equal(two["validation_score"], alone["validation_score"])


@pytest.mark.parametrize("fit", ["first_half", "first_half_shuffled", "first_half_random"])
def test_subjects_together_have_the_images_that_they_have_apart(fit):
    tokens, responses, _ = plant(100, noise=0.3)
    subjects = [
        TrainingData(tokens[:60], responses[:60], np.arange(60)),
        TrainingData(tokens[60:], responses[60:, :3], np.arange(60, 100)),
    ]
    options = {"rows": ROWS, "columns": COLUMNS, "position_orders": 1, "validation_fraction": 0.2}
    options |= {"permutations": 20, "seed": 0, "fit": fit, **SMALL}
    if not fit.endswith("random"):
        options["epochs"] = 1
    together = fit_subjects(subjects, **options)
    for subject, found in zip(subjects, together, strict=True):
        alone = fit_subject(subject.tokens, subject.responses, subject.images, **options)
        np.testing.assert_array_equal(found["image"], alone["image"])
        np.testing.assert_array_equal(found["role"], alone["role"])
        assert found["held_out_p"].sizes == alone["held_out_p"].sizes
        assert set(found.data_vars) == set(alone.data_vars)
        # An encoder that is not fitted knows of nobody.
        same = np.array_equal(found["query"], alone["query"])
        assert same == fit.endswith("random")


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
    assert history.best_epoch == history.validation_r2.argmax()
    # R² as of other test images: about the mean of those that trained.
    error = np.square(responses[held] - predict(weights, tokens[held], phi)).sum(axis=0)
    about = np.square(responses[held] - responses[~held].mean(axis=0)).sum(axis=0)
    reached = (1 - error / about).mean()
    assert reached == pytest.approx(history.validation_r2[history.best_epoch], abs=1e-6)
    assert np.abs(np.delete(history.validation_r2, history.best_epoch) - reached).min() > 1e-4


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


def test_halves_are_disjoint_complete_and_independent_of_order():
    images = np.random.default_rng(0).permutation(1000)[:101]
    first, second = split_halves(images, seed=0)
    assert (len(first), len(second)) == (51, 50)
    np.testing.assert_array_equal(np.sort(np.concatenate([first, second])), np.sort(images))
    np.testing.assert_array_equal(split_halves(images[::-1], seed=0)[0], first)
    assert not np.array_equal(split_halves(images, seed=1)[0], first)


def test_shuffling_exchanges_whole_rows_within_each_half():
    images = np.random.default_rng(0).permutation(np.arange(1000, 1101))
    responses = np.column_stack([images, 2 * images])
    shuffled = shuffle_halves(responses, images, seed=0)
    np.testing.assert_array_equal(shuffled[:, 1], 2 * shuffled[:, 0])
    for half in split_halves(images, seed=0):
        assert set(shuffled[np.isin(images, half), 0]) == set(half)
    assert (shuffled[:, 0] == images).mean() < 0.1


def test_what_one_half_learns_from_shuffled_responses_the_other_is_judged_by(monkeypatch):
    tokens, responses, _ = plant(60, noise=0.3)
    given = {}
    judge = encoder_stage._test_prediction

    def remember(name, measured, *rest, **options):
        given[name] = measured
        return judge(name, measured, *rest, **options)

    monkeypatch.setattr(encoder_stage, "_test_prediction", remember)
    fitted = []
    for half in HALVES:
        fit = fit_subject(
            tokens, responses, np.arange(60), fit=f"{half}_shuffled", rows=ROWS, columns=COLUMNS,
            position_orders=1, validation_fraction=0.2, permutations=20, seed=0, epochs=1, **SMALL,
        )  # fmt: skip
        fitted.append((fit["role"].values == "validation", dict(given)))
    for (own, validated), (_, judged) in (fitted, fitted[::-1]):
        np.testing.assert_array_equal(validated["validation"], judged["held_out"][own])


@pytest.fixture(scope="module")
def subject_fits():
    tokens, responses, _ = plant(320, noise=0.3)
    images = np.arange(1000, 1320)
    return images, {
        fit: fit_subject(
            tokens, responses, images, fit=fit, rows=ROWS, columns=COLUMNS, position_orders=1,
            validation_fraction=0.2, permutations=500, seed=0, **SMALL, **QUICK,
        )
        for fit in FITS
    }  # fmt: skip


def test_fits_see_their_own_images_only(subject_fits):
    images, fits = subject_fits
    halves = split_halves(images, seed=0)
    np.testing.assert_array_equal(fits["all"]["image"], images)
    for fit, half in zip(("first_half", "second_half"), halves, strict=True):
        for kind in ("", "_shuffled", "_random"):
            np.testing.assert_array_equal(fits[fit + kind]["image"], half)
            np.testing.assert_array_equal(fits[fit + kind]["role"], fits[fit]["role"])
        assert (fits[fit]["role"] == "validation").sum() == 32
    with pytest.raises(ValueError, match="fit: expected one of all, .*; found third"):
        fit_subject(
            draw_tokens(4), np.zeros((4, 1)), np.arange(4), fit="third", rows=4, columns=4,
            position_orders=0, validation_fraction=0.5, seed=0, **SMALL,
        )  # fmt: skip


def test_planted_voxels_are_predicted_and_noise_shuffles_and_random_encoders_are_not(subject_fits):
    _, fits = subject_fits
    for fit in ("all", "first_half", "second_half"):
        assert (fits[fit]["validation_p"][:3] < 0.05).all()
    for half in ("first_half", "second_half"):
        assert (fits[half]["held_out_r2"][:3] > 0.3).all()
        assert (fits[half]["held_out_p"][:3] < 5e-3).all()
        assert (fits[half]["held_out_p"][3:] > 0.05).all()
        for control in ("shuffled", "random"):
            null = fits[f"{half}_{control}"]
            assert float(null["held_out_r2"].mean()) < 0
            assert float(null["validation_r2"].mean()) < 0
            assert float(null["held_out_p"].min()) > 0.005
    assert not np.allclose(fits["first_half_random"]["query"], fits["second_half_random"]["query"])


def test_scores_equal_their_definitions_and_intervals_hold_them():
    generator = np.random.default_rng(0)
    measured = generator.standard_normal((200, 4))
    predictions = {
        "good": measured + 0.5 * generator.standard_normal((200, 4)),
        "poor": generator.standard_normal((200, 4)),
    }
    ceiling = np.array([0.5, 0.05, 0.8, np.nan])
    scores = score_predictions(predictions, measured, ceiling, resamples=200, seed=0)
    for model, predicted in predictions.items():
        row = scores.sel(model=model)
        np.testing.assert_allclose(row["r2"], r_squared(measured, predicted))
        np.testing.assert_allclose(row["r2_normalised"][0], row["r2"][0] / 0.5)
        for name in ("r2", "r"):
            bounds = row[f"{name}_interval"]
            assert (bounds.sel(bound="low").values < row[name].values).all()
            assert (row[name].values < bounds.sel(bound="high").values).all()
    np.testing.assert_array_equal(np.isnan(scores["r2_normalised"][0]), [0, 1, 0, 1])
    assert float(scores["r2"].min()) < 0, "negative values are not clipped"


def test_an_roi_is_the_ratio_of_sums_and_differences_are_paired():
    generator = np.random.default_rng(0)
    measured = generator.standard_normal((150, 5))
    shared = 2 * generator.standard_normal((150, 5))
    good, poor = measured + 0.5 * shared, measured + 0.6 * shared
    ceiling = np.array([0.5, 0.7, 0.6, 0.05, 0.9])
    members = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 1, 0]], bool)
    scores = score_roi(
        {"good": good, "poor": poor}, measured, ceiling, members,
        rois=["FFA-1", "noise"], resamples=300, seed=0,
    )  # fmt: skip
    expected = r_squared(measured, good)[:2].sum() / 1.2
    assert float(scores["r2_normalised"].sel(model="good", roi="FFA-1")) == pytest.approx(expected)
    assert np.isnan(scores["r2_normalised"].sel(roi="noise")).all()
    np.testing.assert_array_equal(scores["voxels"], [2, 0])
    pair = scores.sel(model="good", reference="poor", roi="FFA-1")
    values = scores["r2_normalised"].sel(roi="FFA-1")
    assert float(pair["difference"]) == pytest.approx(float(values[0] - values[1]))
    low, high = pair["difference_interval"].values
    assert 0 < low < float(pair["difference"]) < high
    # Errors that both models share cancel in the paired interval.
    bounds = scores["r2_normalised_interval"].sel(roi="FFA-1").values
    assert high - low < np.ptp(bounds, axis=-1).min()
