"""Patched predictions equal forward passes, and faithful rankings come out ahead."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mine.core.integrated_gradients import stream_attributions
from mine.core.rankings import RANKINGS, place_by_score
from mine.stages.attributions import attribute
from mine.stages.faithfulness import FaithfulnessCurves, predict_patched
from mine.statistics.curves import area_under_curve
from mine.statistics.scores import r_squared
from tests.reference import literal_encoder
from tests.reference.problems import double, random_problem

QUADRATURE = {"nodes": 8, "tolerance": 1e-3, "maximum_nodes": 64}
FRACTIONS = (0, 0.1, 0.25, 0.5, 1)


def one_batch(problem):
    (batch,) = stream_attributions(*problem, **QUADRATURE, voxel_batch=99, image_batch=99)
    return batch


def measure(problem, *, seed=3, voxel_batch=99, image_batch=99, **options):
    arguments = {
        "norm": np.random.default_rng(0).random(problem.tokens.shape[:2]),
        "fractions": FRACTIONS,
        "resamples": 200,
        **options,
    }
    curves = FaithfulnessCurves(
        voxels=len(problem.weights.bias), generator=np.random.default_rng(seed), **arguments
    )
    batches = {"voxel_batch": voxel_batch, "image_batch": image_batch}
    for batch in stream_attributions(*problem, **QUADRATURE, **batches):
        curves.add(batch)
    return curves.dataset()


@pytest.mark.parametrize("sharpness", [1.0, 20.0])
def test_patched_predictions_equal_forward_passes_on_patched_tokens(sharpness):
    problem = random_problem(sharpness=sharpness)
    batch = one_batch(problem)
    place = place_by_score(torch.rand(4, 5, 12, generator=torch.Generator().manual_seed(1)))
    counts = [0, 1, 4, 9, 12]
    keep, remove = (each[0] for each in predict_patched(batch, [place], counts))
    baseline = double(problem.baseline)
    for image, tokens in enumerate(double(problem.tokens)):
        for voxel in range(5):
            for column, count in enumerate(counts):
                first = place[image, voxel] < count
                for found, replaced in ((keep, ~first), (remove, first)):
                    expected = literal_encoder.predict(
                        problem.weights,
                        voxel,
                        literal_encoder.patch(tokens, baseline, replaced),
                        double(problem.phi),
                    )
                    assert float(found[image, voxel, column]) == pytest.approx(
                        float(expected), rel=1e-5, abs=2e-5
                    )


def test_patching_none_and_all_gives_the_image_and_the_baseline():
    batch = one_batch(random_problem())
    place = torch.arange(12).expand(4, 1, 12)
    keep, remove = (each[0] for each in predict_patched(batch, [place], [0, 12]))
    full, baseline = batch.prediction, batch.baseline_prediction.expand(4, 5)
    for found, expected in (
        (keep[..., 1], full),
        (remove[..., 0], full),
        (keep[..., 0], baseline),
        (remove[..., 1], baseline),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_keeping_the_first_is_removing_the_last():
    batch = one_batch(random_problem())
    place = place_by_score(torch.rand(4, 5, 12))
    counts = [0, 3, 5, 7, 9, 12]
    keep, _ = predict_patched(batch, [place], counts)
    _, remove = predict_patched(batch, [11 - place], counts)
    np.testing.assert_allclose(keep, remove.flip(-1), rtol=1e-6, atol=1e-6)


def test_no_logits_are_too_far_apart():
    batch = one_batch(random_problem(sharpness=200.0))
    for patched in predict_patched(batch, [torch.arange(12).expand(4, 1, 12)], [0, 1, 6, 12]):
        assert bool(torch.isfinite(patched).all())


def test_curves_are_the_scores_of_the_patched_predictions():
    problem = random_problem(images=30, seed=2)
    batch = one_batch(problem)
    measured = batch.prediction.numpy() + np.random.default_rng(5).normal(size=(30, 5))
    found = measure(problem, measured=measured)
    full = batch.prediction.numpy()
    place = place_by_score(batch.attribution.abs())
    counts = [round(fraction * 12) for fraction in FRACTIONS]
    for mode, patched in zip(
        ("keep", "remove"), predict_patched(batch, [place], counts), strict=True
    ):
        curves = found.sel(ranking="integrated_gradients", mode=mode)
        for column in range(len(counts)):
            values = patched[0, ..., column].numpy()
            here = curves.isel(fraction=column)
            for target, reference in (("prediction", full), ("measured", measured)):
                expected = r_squared(reference, values)
                np.testing.assert_allclose(here.r2.sel(target=target), expected, atol=2e-4)
            distance = np.square(full - batch.baseline_prediction.numpy()).sum(axis=0)
            expected = np.square(values - full).sum(axis=0) / distance
            np.testing.assert_allclose(here.normalised_error, expected, atol=1e-5)
    np.testing.assert_allclose(
        found.auc, area_under_curve(found.r2, np.array(FRACTIONS), axis=3), atol=1e-5
    )
    np.testing.assert_allclose(
        found.roi_auc.sel(bound="value"), found.auc.mean("voxel"), rtol=1e-4, atol=1e-4
    )


def test_curves_begin_and_end_at_the_baseline_and_the_prediction():
    found = measure(random_problem(images=10))
    error, r2 = found.normalised_error, found.r2.sel(target="prediction")
    for mode, full, none in (("keep", 1, 0), ("remove", 0, 1)):
        np.testing.assert_allclose(error.sel(mode=mode, fraction=full), 0, atol=1e-6)
        np.testing.assert_allclose(error.sel(mode=mode, fraction=none), 1, atol=1e-4)
        np.testing.assert_allclose(r2.sel(mode=mode, fraction=full), 1, atol=1e-5)


def test_paired_intervals_equal_a_bootstrap_by_resampled_images():
    """The same draws of images, gathered one by one, give the same interval."""
    problem = random_problem(images=20, seed=4)
    batch = one_batch(problem)
    found = measure(problem, fractions=(0.1, 0.5), resamples=50, seed=11)
    generator = np.random.default_rng(11)
    random = torch.as_tensor(generator.random((20, 12)))
    counts = generator.multinomial(20, np.full(20, 1 / 20), size=50)
    full = batch.prediction.numpy()
    curves = {}
    for ranking, score in (
        ("integrated_gradients", batch.attribution.abs()),
        ("random", random[:, None]),
    ):
        keep, _ = predict_patched(batch, [place_by_score(score)], [1, 6])
        curves[ranking] = keep[0].numpy()
    differences = []
    for draw in counts:
        images = np.repeat(np.arange(20), draw)
        areas = {
            name: np.mean([r_squared(full[images], keep[images][..., k]).mean() for k in range(2)])
            for name, keep in curves.items()
        }
        differences.append(areas["integrated_gradients"] - areas["random"])
    interval = np.quantile(differences, [0.025, 0.975])
    here = found.auc_difference.sel(target="prediction", ranking="random", mode="keep")
    np.testing.assert_allclose(here.sel(bound=["low", "high"]), interval, rtol=1e-3, atol=1e-4)
    assert float(np.abs(found.auc_difference.sel(ranking="integrated_gradients")).max()) == 0


@pytest.mark.parametrize(("voxel_batch", "image_batch"), [(1, 3), (2, 99), (5, 1)])
def test_batches_change_nothing(voxel_batch, image_batch):
    problem = random_problem(images=7)
    options = {
        "measured": np.random.default_rng(5).normal(size=(7, 5)),
        "images": np.array([1, 1, 0, 1, 1, 0, 1], bool),
    }
    whole = measure(problem, **options)
    parts = measure(problem, voxel_batch=voxel_batch, image_batch=image_batch, **options)
    for name in whole.data_vars:
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-3, atol=2e-4, err_msg=name)


def test_one_pass_with_the_attributions_equals_a_pass_of_its_own():
    """Faithfulness on some of the images, in the stream of the attributions of all."""
    problem = random_problem(images=9)
    norm = np.random.default_rng(0).random((9, 12))
    used = np.array([0, 1, 1, 0, 1, 1, 1, 0, 1], bool)
    rankings = [name for name in RANKINGS if name != "random"]
    curves = FaithfulnessCurves(
        voxels=5,
        norm=norm,
        fractions=FRACTIONS,
        generator=np.random.default_rng(1),
        resamples=50,
        images=used,
        rankings=rankings,
    )
    attribute(
        *problem,
        **QUADRATURE,
        token_fraction=2 / 12,
        voxel_batch=2,
        image_batch=2,
        on_batch=curves.add,
    )
    alone = measure(
        problem._replace(tokens=problem.tokens[used]), norm=norm[used], rankings=rankings
    )
    together = curves.dataset()
    for name in ("r2", "normalised_error", "auc"):
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-3, atol=2e-4)


def test_a_planted_feature_is_found_by_ig_and_not_by_chance():
    """One token per image carries the feature that the voxels read: IG finds it first."""
    problem = random_problem(images=40, tokens=30, features=16, voxels=3, seed=6)
    generator = np.random.default_rng(6)
    tokens = 0.3 * generator.normal(size=problem.tokens.shape).astype(np.float32)
    direction = torch.zeros(16)
    direction[0] = 1.0
    weights = problem.weights
    weights.position.zero_()
    for voxel in range(3):
        for head in range(2):
            weights.query[voxel, head] = 4 * (direction @ weights.key[head])
            weights.readout[voxel, head] = 2 * (direction @ weights.value[head])
    strength = generator.uniform(2, 8, size=40)
    tokens[np.arange(40), generator.integers(0, 30, 40), 0] += strength
    found = measure(problem._replace(tokens=tokens, baseline=tokens.mean(axis=0)))
    for measured in ("auc_difference", "error_auc_difference"):
        better = 1 if measured == "auc_difference" else -1
        for mode, direction in (("keep", better), ("remove", -better)):
            difference = found[measured].sel(mode=mode)
            if "target" in difference.dims:
                difference = difference.sel(target="prediction")
            for ranking in ("random", "lowest"):
                low, high = difference.sel(ranking=ranking, bound=["low", "high"]).values
                assert min(direction * low, direction * high) > 0


def test_a_voxel_that_never_changes_is_left_out_of_the_means():
    problem = random_problem(images=8)
    problem.weights.readout[2] = 0
    found = measure(problem)
    assert bool(found.r2.sel(voxel=2).isnull().all())
    others = found.auc.isel(voxel=[0, 1, 3, 4]).mean("voxel")
    np.testing.assert_allclose(found.roi_auc.sel(bound="value"), others, rtol=1e-4, atol=1e-4)
    assert bool(found.roi_auc.notnull().all())


def test_images_that_never_came_are_not_passed_over():
    problem = random_problem()
    curves = FaithfulnessCurves(
        voxels=5,
        norm=np.ones((5, 12)),
        fractions=FRACTIONS,
        generator=np.random.default_rng(0),
        resamples=9,
    )
    curves.add(one_batch(problem))
    with pytest.raises(RuntimeError, match="before all their images"):
        curves.dataset()
    with pytest.raises(ValueError, match="unknown rankings"):
        measure(problem, rankings=["integrated_gradients", "saliency"])
