"""Laws of a subject's fits: which images they see, what they are judged by, and their scores."""

from __future__ import annotations

import numpy as np
import pytest

from mine.core.encoder import position_basis, predict, weights_from_dataset
from mine.core.splits import draw_folds, split_halves
from mine.sections import FITS
from mine.stages import encoder as encoder_stage
from mine.stages.encoder import (
    HALVES,
    TrainingData,
    shuffle_halves,
)
from mine.stages.scoring import LEVELS, score_intervals, score_predictions, score_roi
from mine.statistics.scores import r_squared
from tests.reference.fits import fit_subject, fit_subjects
from tests.reference.planted_encoder import (
    COLUMNS,
    QUICK,
    ROWS,
    SMALL,
    draw_tokens,
    plant,
)


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


class Lent:
    """Tokens of which no more images are handed out at a time than are computed at once."""

    def __init__(self, tokens: np.ndarray, most: int) -> None:
        self.tokens, self.most, self.shape = tokens, most, tokens.shape

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, images: np.ndarray) -> np.ndarray:
        part = self.tokens[images]
        assert len(part) <= self.most
        return part


@pytest.mark.parametrize("fit", ["all", "first_half", "all_random", "second_half_shuffled"])
def test_a_fit_holds_no_second_copy_of_its_subjects_tokens(fit):
    tokens, responses, _ = plant(220, noise=0.3)
    options = {"rows": ROWS, "columns": COLUMNS, "position_orders": 1, "validation_fraction": 0.2}
    options |= {"permutations": 20, "seed": 0, "fit": fit, **SMALL}
    if not fit.endswith("random"):
        options |= {"epochs": 1, "image_batch": 32}
    lent, whole = (
        fit_subject(given, responses, np.arange(220), **options)
        for given in (Lent(tokens, most=32), tokens)
    )
    assert lent.identical(whole)


@pytest.mark.parametrize("fit", ["first_half", "first_half_shuffled", "first_half_random"])
def test_subjects_together_have_the_images_that_they_have_apart(fit):
    tokens, responses, _ = plant(100, noise=0.3)
    subjects = [
        TrainingData(tokens[:60], responses[:60], np.arange(60), "subj01"),
        TrainingData(tokens[60:], responses[60:, :3], np.arange(60, 100), "subj02"),
    ]
    options = {"rows": ROWS, "columns": COLUMNS, "position_orders": 1, "validation_fraction": 0.2}
    options |= {"permutations": 20, "seed": 0, "fit": fit, **SMALL}
    if not fit.endswith("random"):
        options["epochs"] = 1
    together = fit_subjects(subjects, **options)
    for subject, found in zip(subjects, together, strict=True):
        given = subject.tokens, subject.responses, subject.images
        alone = fit_subject(*given, name=subject.name, **options)
        np.testing.assert_array_equal(found["image"], alone["image"])
        np.testing.assert_array_equal(found["role"], alone["role"])
        assert found["held_out_p"].sizes == alone["held_out_p"].sizes
        assert set(found.data_vars) == set(alone.data_vars)
        # An encoder that is not fitted knows of nobody.
        same = np.array_equal(found["query"], alone["query"])
        assert same == fit.endswith("random")


def test_untrained_encoders_of_two_subjects_are_two_and_fitted_ones_know_no_names():
    tokens, responses, _ = plant(60, noise=0.3)
    options = {"rows": ROWS, "columns": COLUMNS, "position_orders": 1, "validation_fraction": 0.2}
    options |= {"epochs": 1, "permutations": 20, "seed": 0, **SMALL}
    for fit, alike in (("all_random", False), ("all", True)):
        first, second = (
            fit_subject(tokens, responses, np.arange(60), name=name, fit=fit, **options)
            for name in ("subj01", "subj02")
        )
        for weight in ("key", "query", "readout"):
            assert np.array_equal(first[weight], second[weight]) == alike


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
    ceiling = np.array([0.5, 0.09, 0.1, np.nan])
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


def test_the_deviation_that_is_predicted_holds_for_images_that_were_never_seen(subject_fits):
    images, fits = subject_fits
    own = fits["all"]
    tokens, responses, _ = plant(320, noise=0.3)
    phi = position_basis(ROWS, COLUMNS, 1)
    left = responses - predict(weights_from_dataset(own), tokens, phi)
    validated = own["role"].values == "validation"
    for voxel, found in enumerate(own["residual_deviation"].values):
        errors = left[validated, voxel].astype(float)
        assert found == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-4)
    # Each half's own, on the images of the other half, of which it has seen nothing.
    others = np.isin(images, fits["second_half"]["image"])
    half = fits["first_half"]
    found = score_intervals(
        predict(weights_from_dataset(half), tokens[others], phi), responses[others],
        half["residual_deviation"].values, np.ones((1, responses.shape[1]), bool),
        rois=["all"], resamples=200, seed=0,
    )  # fmt: skip
    np.testing.assert_allclose(found["roi_coverage"][:, 0], LEVELS, atol=0.08)


def test_coverage_counts_measured_responses_inside_the_predicted_interval():
    generator = np.random.default_rng(0)
    deviation = np.array([0.5, 1.0, 2.0])
    prediction = generator.standard_normal((4000, 3))
    measured = prediction + deviation * generator.standard_normal((4000, 3))
    members = np.array([[1, 1, 0], [0, 0, 0]], bool)
    options = {"rois": ["FFA-1", "none"], "resamples": 300, "seed": 0}
    found = score_intervals(prediction, measured, deviation, members, **options)
    for place, (level, reach) in enumerate(zip(LEVELS, (0.6745, 1.2816, 1.96), strict=True)):
        for voxel in range(3):
            inside = [
                abs(measured[image, voxel] - prediction[image, voxel]) <= reach * deviation[voxel]
                for image in range(4000)
            ]
            assert found["coverage"][place, voxel] == pytest.approx(np.mean(inside), abs=1e-3)
        whole = float(found["roi_coverage"][place, 0])
        assert whole == pytest.approx(float(found["coverage"][place, :2].mean()))
        low, high = found["roi_coverage_interval"][place, 0].values
        # Its standard error, of 8,000 responses, is at most 0.006.
        assert low < whole < high and high - low < 0.04 and whole == pytest.approx(level, abs=0.02)
    assert np.isnan(found["roi_coverage"][:, 1]).all()
    # A deviation that is half of what it should be holds too few.
    narrow = score_intervals(prediction, measured, deviation / 2, members, **options)
    assert float(narrow["roi_coverage"].sel(level=0.95, roi="FFA-1")) < 0.75


def test_an_roi_is_the_ratio_of_sums_and_differences_are_paired():
    generator = np.random.default_rng(0)
    measured = generator.standard_normal((150, 5))
    shared = 2 * generator.standard_normal((150, 5))
    good, poor = measured + 0.5 * shared, measured + 0.6 * shared
    ceiling = np.array([0.5, 0.1, 0.6, 0.09, 0.9])
    members = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 1, 0]], bool)
    scores = score_roi(
        {"good": good, "poor": poor}, measured, ceiling, members,
        rois=["FFA-1", "noise"], resamples=300, seed=0,
    )  # fmt: skip
    expected = r_squared(measured, good)[:2].sum() / 0.6
    assert float(scores["roi_r2_normalised"].sel(model="good", roi="FFA-1")) == pytest.approx(
        expected
    )
    assert np.isnan(scores["roi_r2_normalised"].sel(roi="noise")).all()
    np.testing.assert_array_equal(scores["roi_voxels"], [2, 0])
    pair = scores.sel(model="good", reference="poor", roi="FFA-1")
    values = scores["roi_r2_normalised"].sel(roi="FFA-1")
    assert float(pair["roi_difference"]) == pytest.approx(float(values[0] - values[1]))
    low, high = pair["roi_difference_interval"].values
    assert 0 < low < float(pair["roi_difference"]) < high
    # Errors that both models share cancel in the paired interval.
    bounds = scores["roi_r2_normalised_interval"].sel(roi="FFA-1").values
    assert high - low < np.ptp(bounds, axis=-1).min()


def test_folds_follow_from_the_seed_and_the_name_of_the_model_alone():
    images = np.zeros(20)
    drawn = [
        [held.tolist() for _, held in draw_folds(5, seed, *model).split(images)]
        for seed, model in ((0, ()), (0, ("baselines",)), (0, ("evaluator",)), (1, ()))
    ]
    assert drawn[0] == drawn[1]
    assert drawn[2] not in (drawn[0], drawn[3]) and drawn[0] != drawn[3]
