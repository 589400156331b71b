"""Laws of the forms of encoders, and of their comparison."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler
from torch.nn import functional

from mine.core.encoder import position_basis, predict, weights_from_dataset
from mine.encoders import descent, linear, receptive_field, region_query, universal
from mine.encoders.forms import FORMS
from mine.encoders.interface import Stimuli, Terms, score_validation
from mine.errors import InputError
from mine.figures.forms import LOWEST, draw_forms
from mine.figures.style import SIZE
from mine.sections import ACROSS, ALL
from mine.sections import FORMS as NAMES
from mine.stages.baselines import fit_baselines
from mine.stages.comparison import (
    Subject,
    assign_regions,
    draw_subset,
    fit_form,
    fit_others,
    fit_shared,
    fit_transfer,
    score_correlations,
    tabulate_forms,
    tabulate_transfer,
)
from mine.stages.encoder import fit_subject
from mine.stages.scoring import score_predictions, score_roi
from mine.statistics.scores import pearson, r_squared
from tests.reference import literal_forms
from tests.reference.texts import find_boxes, find_overlaps

ROWS, COLUMNS, FEATURES, VOXELS = 4, 3, 8, 5
ALPHAS = np.array([1.0, 10.0, 100.0])
ENCODER = {
    "heads": 2,
    "head_width": 4,
    "members": 1,
    "rank": 4,
    "position_orders": 1,
    "epochs": 3,
    "patience": 2,
    "image_batch": 16,
    "voxel_batch": 64,
    "learning_rate": 1e-2,
    "weight_decay": 0.3,
    "projection_decay": 3.0,
    "averaging": 0.98,
    "validation_fraction": 0.1,
    "device": "cpu",
}
SETTINGS = {
    "encoder": ENCODER,
    "baselines": {"alphas": list(ALPHAS), "folds": 3, "mixtures": 3},
    "learning_rates": [1e-2],
    "weight_decays": [0.01],
    "members": 2,
    "seed": 0,
    "device": "cpu",
}


def draw_stimuli(images: int = 90) -> Stimuli:
    generator = np.random.default_rng(0)
    tokens = generator.standard_normal((images, ROWS * COLUMNS, FEATURES)).astype(np.float32)
    return Stimuli(
        tokens=tokens,
        pooled=(tokens.mean(axis=1) + 0.1).astype(np.float32),
        low_level=generator.standard_normal((images, 6)),
        captions=generator.standard_normal((images, FEATURES)),
        rows=ROWS,
        columns=COLUMNS,
    )


def draw_responses(stimuli: Stimuli, noise: float = 1.0) -> np.ndarray:
    """Each voxel answers to one feature of one place, the last to none."""
    generator = np.random.default_rng(1)
    responses = noise * generator.standard_normal((len(stimuli.tokens), VOXELS))
    for voxel in range(VOXELS - 1):
        responses[:, voxel] += stimuli.tokens[:, voxel, voxel]
    return responses.astype(np.float32)


def draw_terms(images: int) -> Terms:
    return Terms(
        validation=np.arange(images) % 6 == 0,
        regions=np.array([0, 1, 1, 0, 2]),
        alphas=ALPHAS,
        folds=KFold(3, shuffle=True, random_state=0),
        mixtures=3,
        encoder=ENCODER,
        learning_rates=[1e-2],
        weight_decays=[0.01],
        members=2,
        seed=0,
        device="cpu",
    )


def draw_form(make: Callable[[], descent.Form]) -> descent.Form:
    """A form in double precision whose every number, those that start at 0 or 1 too, is random."""
    torch.manual_seed(0)
    form = make().double()
    with torch.no_grad():
        for tensor in form.parameters():
            tensor.add_(0.5 * torch.randn_like(tensor))
    return form.eval()


MAKERS = {
    "universal": lambda: universal.Universal(VOXELS, ROWS * COLUMNS, FEATURES),
    "region_query": lambda: region_query.RegionQuery(
        np.array([0, 1, 1, 0, 2]), ROWS, COLUMNS, FEATURES
    ),
}


def test_every_form_of_the_configuration_exists():
    assert tuple(FORMS) == tuple(name for name in NAMES if name not in ACROSS)
    assert set(ACROSS) <= set(NAMES)


@pytest.mark.parametrize("name", MAKERS)
def test_form_equals_its_equation(name):
    form = draw_form(MAKERS[name])
    reference = getattr(literal_forms, f"predict_{name}")
    tokens = torch.as_tensor(draw_stimuli(4).tokens).double()
    with torch.no_grad():
        predicted = form(tokens, torch.arange(VOXELS))
        literal = [[reference(form, voxel, image) for voxel in range(VOXELS)] for image in tokens]
    np.testing.assert_allclose(predicted, literal, rtol=1e-5, atol=1e-6)
    assert predicted.std(dim=0).min() > 1e-3


@pytest.mark.parametrize("name", MAKERS)
def test_batches_of_images_and_voxels_change_nothing(name, monkeypatch):
    form = draw_form(MAKERS[name])
    tokens = draw_stimuli(5).tokens
    whole = form(torch.as_tensor(tokens).double(), torch.arange(VOXELS)).detach()
    chosen = torch.tensor([3, 1])
    torch.testing.assert_close(
        form(torch.as_tensor(tokens).double(), chosen).detach(), whole[:, chosen]
    )
    monkeypatch.setattr(descent, "VOXEL_BLOCK", 2)
    predicted = descent.predict(form.float(), tokens, VOXELS, image_batch=2)
    np.testing.assert_allclose(predicted, whole, rtol=1e-3, atol=1e-3)


def test_places_are_told_apart_by_their_sines():
    sines = region_query.make_sines(5, 7, 16)
    assert sines.shape == (35, 16)
    assert len(np.unique(sines.numpy().round(4), axis=0)) == 35
    half = sines.reshape(5, 7, 16)
    # The first half knows the row alone, the second the column alone.
    assert torch.equal(half[:, :1, :8].expand(-1, 7, -1), half[:, :, :8])
    assert torch.equal(half[:1, :, 8:].expand(5, -1, -1), half[:, :, 8:])
    assert region_query.make_sines(2, 2, 9).shape == (4, 9)


def test_universal_loss_is_the_error_less_a_tenth_of_the_cosine():
    generator = torch.Generator().manual_seed(0)
    predicted, measured = torch.randn(2, 4, VOXELS, generator=generator)
    cosines = [p @ m / (p.norm() * m.norm()) for p, m in zip(predicted, measured, strict=True)]
    expected = (predicted - measured).square().mean() - 0.1 * torch.stack(cosines).mean()
    torch.testing.assert_close(universal.measure_loss(predicted, measured), expected)


def test_unit_length_form_is_ridge_on_unit_vectors():
    stimuli = draw_stimuli()
    responses = draw_responses(stimuli)
    fitted = linear.fit_unit_length(stimuli, responses, draw_terms(90))
    pooled = stimuli.pooled.astype(np.float64)
    unit = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    predicted = fitted.predict(stimuli)
    for voxel in range(VOXELS):
        # ‖y − √D e w‖² + α ‖w‖² is, in the weights of e itself, a penalty of α / D.
        alpha = fitted.ridge.alpha[voxel] / FEATURES
        reference = Ridge(alpha=alpha).fit(unit, responses[:, voxel])
        np.testing.assert_allclose(predicted[:, voxel], reference.predict(unit), atol=1e-5)
    longer = replace(stimuli, pooled=3 * stimuli.pooled)
    np.testing.assert_allclose(fitted.predict(longer), predicted, atol=1e-5)


@pytest.mark.parametrize(
    ("fit", "name"), [(linear.fit_pooled, "pooled"), (linear.fit_captions, "captions")]
)
def test_linear_form_is_ridge_on_its_vector(fit, name):
    stimuli = draw_stimuli()
    responses = draw_responses(stimuli)
    fitted = fit(stimuli, responses, draw_terms(90))
    scaled = StandardScaler().fit_transform(getattr(stimuli, name).astype(np.float64))
    for voxel in range(VOXELS):
        reference = Ridge(alpha=fitted.ridge.alpha[voxel]).fit(scaled, responses[:, voxel])
        np.testing.assert_allclose(
            fitted.predict(stimuli)[:, voxel], reference.predict(scaled), atol=1e-5
        )


def test_receptive_field_equals_ridge_solved_for_each_candidate(monkeypatch):
    monkeypatch.setattr(receptive_field, "CENTRES", 2)
    monkeypatch.setattr(receptive_field, "SIZES", (0.2, np.inf))
    stimuli, terms = draw_stimuli(60), draw_terms(60)
    responses = draw_responses(stimuli)
    fitted = receptive_field.fit(stimuli, responses, terms)
    assert len(fitted.fields) == 5
    folds = list(terms.folds.split(responses))
    predicted = fitted.predict(stimuli)
    for voxel in range(VOXELS):
        response = responses[:, voxel].astype(np.float64)
        number, alpha = literal_forms.choose_receptive_field(
            stimuli.tokens, response, fitted.fields, ALPHAS, folds
        )
        assert (fitted.candidate[voxel], fitted.alpha[voxel]) == (number, alpha)
        seen = np.tensordot(stimuli.tokens.astype(np.float64), fitted.fields[number], (1, 0))
        weight, intercept = literal_forms.solve_ridge(seen, response, alpha)
        np.testing.assert_allclose(predicted[:, voxel], seen @ weight + intercept, atol=1e-4)


def test_receptive_field_finds_the_planted_place():
    stimuli = draw_stimuli(300)
    responses = draw_responses(stimuli, noise=0.3)
    fitted = receptive_field.fit(stimuli, responses, draw_terms(300))
    for voxel in range(VOXELS - 1):
        assert fitted.fields[fitted.candidate[voxel]].argmax() == voxel


def test_fields_are_shares_and_one_is_the_whole():
    fields = receptive_field.make_fields(5, 6)
    assert len(fields) == 8 * 8 * 4 + 1
    np.testing.assert_allclose(fields.sum(axis=1), 1)
    np.testing.assert_allclose(fields[-1], 1 / 30)
    # Narrower than a token, a field is that token, and not nothing.
    assert fields.max() > 0.9


def test_descent_chooses_by_validation_images_and_repeats_itself():
    stimuli = draw_stimuli()
    responses, terms = draw_responses(stimuli), draw_terms(90)
    # A learning rate of nothing leaves the form as it was drawn.
    terms = replace(terms, learning_rates=[1e-8, 1e-2])
    state = torch.get_rng_state()
    fits = [region_query.fit(stimuli, responses, terms) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert fits[0].choices["learning_rate"] == 1e-2
    np.testing.assert_array_equal(fits[0].predict(stimuli), fits[1].predict(stimuli))
    held = terms.validation
    alone = region_query.fit(stimuli, responses, replace(terms, learning_rates=[1e-8]))
    assert fits[0].choices["validation_r2"] == pytest.approx(
        score_validation(
            fits[0].predict(stimuli.select(held)),
            responses,
            training=np.flatnonzero(~held),
            validation=np.flatnonzero(held),
        )
    )
    better, worse = (
        functional.mse_loss(
            torch.as_tensor(fit.predict(stimuli.select(held))), torch.as_tensor(responses[held])
        )
        for fit in (fits[0], alone)
    )
    assert better < worse


def test_no_form_sees_the_test_responses():
    stimuli = draw_stimuli()
    responses, training = draw_responses(stimuli), np.arange(90) >= 20
    changed = responses.copy()
    changed[~training] = 100
    options = SETTINGS | {"training": training, "regions": np.zeros(VOXELS, dtype=int)}
    for form in FORMS:
        one, other = (
            fit_form(stimuli, each, form=form, size=ALL, **options)[0]
            for each in (responses, changed)
        )
        np.testing.assert_array_equal(one["prediction"], other["prediction"], form)
        assert one["prediction"].dtype == np.float32
        assert one.attrs["parameters"] > 0
        json.loads(one.attrs["choices"])


def draw_subjects() -> list[Subject]:
    """Two subjects with images of their own."""
    stimuli = draw_stimuli(150)
    responses = draw_responses(stimuli)
    parts = slice(0, 90), slice(90, 150)
    training = np.arange(150) % 5 > 0
    return [Subject(stimuli.tokens[own], responses[own], training[own]) for own in parts]


def test_forms_across_subjects_see_no_test_response():
    subjects = draw_subjects()
    options = {"size": "40", "rows": ROWS, "columns": COLUMNS, "seed": 0}
    fit = {"encoder": ENCODER, "device": "cpu"}
    changed = []
    for each in subjects:
        other = np.where(each.training[:, None], each.responses, 100)
        changed.append(replace(each, responses=other))
    found = []
    for each in (subjects, changed):
        shared = fit_shared(each, **fit, **options)
        known = fit_others(each[1:], rows=ROWS, columns=COLUMNS, members=2, seed=0, **fit)
        found.append([*shared, fit_transfer(known, each[0], position_orders=1, **options)])
    for (one, cost), (other, _) in zip(*found, strict=True):
        np.testing.assert_array_equal(one["prediction"], other["prediction"])
        assert one.attrs["training_images"] == 40
        assert (cost[["seconds", "megabytes"]] > 0).all(axis=None)
    first, second, transferred = (one for one, _ in found[0])
    np.testing.assert_array_equal(first["key"], second["key"])
    assert [one.sizes["image"] for one, _ in found[0]] == [18, 12, 18]
    assert transferred.attrs["parameters"] == 41 * VOXELS
    assert transferred.sizes["head"] == 2 * first.sizes["head"]
    assert "validation_r2" in json.loads(first.attrs["choices"])


def test_a_single_subject_fitted_together_is_fitted_alone():
    subject = draw_subjects()[0]
    ((shared, _),) = fit_shared(
        [subject], size=ALL, rows=ROWS, columns=COLUMNS, encoder=ENCODER, seed=0, device="cpu"
    )
    stimuli = replace(draw_stimuli(150), rows=ROWS).select(np.arange(90))
    options = {"training": subject.training, "regions": np.zeros(VOXELS, dtype=int)}
    alone, _ = fit_form(stimuli, subject.responses, form="mine", size=ALL, **SETTINGS | options)
    np.testing.assert_array_equal(shared["prediction"], alone["prediction"])
    assert shared.attrs["choices"] == alone.attrs["choices"]
    assert shared.attrs["parameters"] == alone.attrs["parameters"]


def test_gain_is_the_difference_of_the_two_scores():
    scores = {}
    for number, subject in enumerate(("subj01", "subj02")):
        measured, predictions, members, _ = make_scores(number)
        named = dict(zip(("mine/300", "mine_transfer/100"), predictions.values(), strict=True))
        scores[subject] = score_roi(
            named,
            measured,
            np.full(VOXELS, 0.5),
            members,
            rois=["FFA-1", ALL],
            resamples=50,
            seed=0,
        )
    table = tabulate_transfer(scores, few="100", more="300")
    keys = ["measure", "form", "images", "subject", "roi"]
    assert not table.duplicated(keys).any()
    rows = table.set_index(keys)
    for subject in ("subj01", "subj02", ALL):
        gain = rows.loc["cross_subject_gain", "mine_transfer", "100", subject, "FFA-1"]
        one = rows.loc["r2_normalised", "mine_transfer", "100", subject, "FFA-1"]
        other = rows.loc["r2_normalised", "mine", "300", subject, "FFA-1"]
        assert gain["value"] == pytest.approx(one["value"] - other["value"])
        assert subject == ALL or gain["low"] < gain["value"] < gain["high"]


def test_mine_is_the_encoder_of_the_analysis():
    stimuli = draw_stimuli()
    responses, training = draw_responses(stimuli), np.arange(90) >= 20
    options = {"training": training, "regions": np.zeros(VOXELS, dtype=int)}
    compared, cost = fit_form(stimuli, responses, form="mine", size=ALL, **SETTINGS | options)
    weights = fit_subject(
        stimuli.tokens[training],
        responses[training],
        np.flatnonzero(training),
        fit="all",
        rows=ROWS,
        columns=COLUMNS,
        seed=SETTINGS["seed"],
        **ENCODER,
    )
    phi = position_basis(ROWS, COLUMNS, ENCODER["position_orders"])
    expected = predict(weights_from_dataset(weights), stimuli.tokens[~training], phi)
    np.testing.assert_array_equal(compared["prediction"], expected)
    assert (cost[["seconds", "megabytes"]] > 0).all(axis=None)


def test_ridges_are_the_baselines_of_the_analysis():
    stimuli = draw_stimuli()
    responses, training = draw_responses(stimuli), np.arange(90) >= 20
    options = {"training": training, "regions": np.zeros(VOXELS, dtype=int)}
    baselines = fit_baselines(
        stimuli.pooled,
        stimuli.low_level,
        responses,
        training=training,
        halves=(np.arange(20, 55), np.arange(55, 90)),
        captions=stimuli.captions,
        permutations=10,
        seed=SETTINGS["seed"],
        **SETTINGS["baselines"],
    )
    for model in baselines["model"].values:
        fitted, _ = fit_form(stimuli, responses, form=model, size=ALL, **SETTINGS | options)
        expected = baselines["prediction"].sel(model=model)
        np.testing.assert_allclose(fitted["prediction"], expected, atol=1e-5)


@pytest.mark.parametrize("without", [slice(20, 90), slice(20)], ids=["training", "test"])
def test_a_form_of_captions_is_refused_where_there_are_none(without):
    stimuli = draw_stimuli()
    stimuli.captions[without] = 0
    options = {"training": np.arange(90) >= 20, "regions": np.zeros(VOXELS, dtype=int)}
    with pytest.raises(InputError, match="^encoders.forms: expected no form caption"):
        fit_form(stimuli, draw_responses(stimuli), form="caption", size=ALL, **SETTINGS | options)


def test_parameters_of_mine_are_those_that_descent_moves(monkeypatch):
    from mine.core import fitting

    moved = []
    start = fitting._initialise_factors

    def count(**options):
        factors = start(**options)
        moved.append(sum(tensor.numel() for tensor in factors.values()))
        return factors

    monkeypatch.setattr(fitting, "_initialise_factors", count)
    stimuli = draw_stimuli()
    for form in ("mine", "mine_mean"):
        moved.clear()
        fitted = FORMS[form](stimuli, draw_responses(stimuli), draw_terms(90))
        assert fitted.parameters == sum(moved)


def test_subsets_are_nested():
    parts = [draw_subset(100, size, seed=0) for size in (10, 50, 100)]
    assert set(parts[0]) < set(parts[1]) < set(parts[2]) == set(range(100))
    with pytest.raises(InputError, match="few_images.*the 100 training images.*found 101"):
        draw_subset(100, 101, seed=0)
    stimuli = draw_stimuli()
    options = {"training": np.arange(90) >= 20, "regions": np.zeros(VOXELS, dtype=int)}
    fitted, _ = fit_form(
        stimuli, draw_responses(stimuli), form="ridge", size="50", **SETTINGS | options
    )
    assert fitted.attrs["training_images"] == 50
    assert fitted.sizes["image"] == 20


def test_regions_are_the_first_by_hemisphere():
    member = np.array([[1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]], dtype=bool)
    found = assign_regions(member, np.array(["lh", "rh", "lh", "lh", "rh"]))
    assert found.tolist() == [0, 1, 2, 3, 4]
    assert assign_regions(member, np.full(5, "")).tolist() == [0, 0, 1, 2, 2]


def make_scores(seed: int = 0, images: int = 40):
    generator = np.random.default_rng(seed)
    measured = generator.standard_normal((40, VOXELS))
    predictions = {
        form: measured + (place + 1) * generator.standard_normal(measured.shape)
        for place, form in enumerate(("mine", "ridge"))
    }
    predictions["ridge"][:, 0] = 0
    members = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]], dtype=bool)
    options = {"rois": ["FFA-1", ALL], "resamples": 50, "seed": 0}
    ceiling = np.full(VOXELS, 0.5)
    scores = score_roi(predictions, measured, ceiling, members, **options).merge(
        score_correlations(predictions, measured, members, **options)
    )
    scores = scores.merge(score_predictions(predictions, measured, ceiling, resamples=50, seed=0))
    scores["parameters"] = ("model", [7, 9])
    scores["training_images"] = ("model", [images, images])
    return measured, predictions, members, scores


def test_correlations_are_means_over_voxels_and_paired():
    measured, predictions, members, scores = make_scores()
    for form, predicted in predictions.items():
        r = np.nan_to_num(pearson(measured, predicted))
        np.testing.assert_allclose(
            scores["roi_r"].sel(model=form), [r[member].mean() for member in members]
        )
    pair = scores.sel(model="ridge", reference="mine")
    np.testing.assert_allclose(
        pair["roi_r_difference"],
        scores["roi_r"].sel(model="ridge") - scores["roi_r"].sel(model="mine"),
    )
    low, high = pair["roi_r_difference_interval"].values.T
    assert (low <= pair["roi_r_difference"]).all() and (pair["roi_r_difference"] <= high).all()
    assert (high < 0).all()


def test_table_has_every_score_difference_and_cost():
    parts = {("subj01", ALL): make_scores(0)[-1], ("subj02", ALL): make_scores(1)[-1]}
    costs = [
        pd.DataFrame([{"form": f, "images": ALL, "subject": s, "seconds": n, "megabytes": 2.0}])
        for n, (s, f) in enumerate((s, f) for s, _ in parts for f in ("mine", "ridge"))
    ]
    table = tabulate_forms(parts, costs)
    keys = ["form", "images", "subject", "roi", "measure"]
    assert not table.duplicated(keys).any()
    found = table.set_index(keys)["value"]
    measured, predictions, members, _ = make_scores(1)
    r2 = r_squared(measured, predictions["ridge"])
    assert found["ridge", ALL, "subj02", "FFA-1", "r2_normalised"] == pytest.approx(
        r2[members[0]].sum() / members[0].sum() / 0.5
    )
    for subject in ("subj01", "subj02", ALL):
        name = ("ridge", ALL, subject, "FFA-1")
        assert found[*name, "r2_normalised_minus_mine"] == pytest.approx(
            found[*name, "r2_normalised"] - found["mine", *name[1:], "r2_normalised"]
        )
    assert found["mine", ALL, "subj01", "", "parameters"] == 7
    assert found["mine", ALL, "subj01", "", "training_images"] == 40
    assert found["ridge", ALL, ALL, "", "seconds"] == 2
    means = table[table["subject"] == ALL]
    assert means["low"].isna().all() and (means["n"] == 2).all()


@pytest.mark.parametrize("counts", [(ALL,), ("50", ALL)])
def test_figure_draws_every_form(counts):
    parts = {
        (subject, count): make_scores(0, 120 if count == ALL else int(count))[-1]
        for subject in ("subj01", "subj02")
        for count in counts
    }
    costs = [
        pd.DataFrame([{"form": f, "images": c, "subject": s, "seconds": 1.0, "megabytes": 2.0}])
        for s, c in parts
        for f in ("mine", "ridge")
    ]
    figure = draw_forms(tabulate_forms(parts, costs))
    upper, left, right = figure.axes
    (key,) = figure.legends
    assert [text.get_text() for text in key.get_texts()] == [
        "MINE",
        "ridge, image embedding",
        "subj01",
        "subj02",
    ]
    means = [[line for line in axes.lines if line.get_gid() == "mean"] for axes in (left, right)]
    assert [line.get_xdata().tolist() for line in means[0]] == [[1.0], [1.0]]
    assert "mean over 2 subjects" in left.get_title() and "mean over 2 subj" in right.get_title()
    assert ("Training images" in right.get_xlabel()) == (len(counts) > 1)
    if len(counts) > 1:
        assert [text.get_text() for text in right.get_xticklabels()] == ["50", "120"]
        assert means[1][0].get_xdata().tolist() == [50, 120]


def make_compared(rois: list[str], *, counts: tuple[str, ...] = (ALL,)) -> pd.DataFrame:
    """As tabulate_forms gives it: two forms, whose costs are within a decade, in two subjects."""
    rows = [
        (form, count, subject, roi, "r2_normalised", 0.5, 0.4, 0.6)
        for form in ("mine", "ridge")
        for count in counts
        for subject in ("subj01", "subj02", ALL)
        for roi in (*rois, ALL)
    ]
    rows += [
        (form, count, ALL, "", measure, value * (1 + 0.4 * place), np.nan, np.nan)
        for place, form in enumerate(("mine", "ridge"))
        for count in counts
        for measure, value in (("seconds", 100.0), ("parameters", 2e5), ("training_images", 50.0))
    ]
    columns = ["form", "images", "subject", "roi", "measure", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def test_names_and_numbers_of_the_comparison_stay_apart():
    figure = draw_forms(make_compared([f"midventral-{number}" for number in range(13)]))
    boxes = find_boxes(figure)
    assert not find_overlaps(boxes)
    assert min(text.get_fontsize() for text in boxes) >= SIZE
    left, right = figure.axes[1:]
    assert [text.get_text() for text in left.get_xticklabels()] == ["50", "100", "200"]
    assert [text.get_text() for text in right.get_xticklabels()] == ["100k", "200k", "500k"]


def test_what_lies_below_the_axis_has_an_arrow_in_every_panel():
    table = make_compared(["FFA-1"], counts=("50", ALL))
    low = (table["form"] == "ridge") & (table["measure"] == "r2_normalised")
    table.loc[low, ["value", "low", "high"]] = -2.0, -3.0, -1.0
    figure = draw_forms(table)
    # Of each subject: two places above; below, the same and their mean, of one count and of two.
    for axes, count in zip(figure.axes, (4, 3, 6), strict=True):
        arrows = [text for text in axes.texts if text.get_text() == "▼"]
        assert len(arrows) == count
        low, high = axes.get_ylim()
        assert low <= LOWEST < high
        assert all(low <= y <= high for line in axes.lines for y in np.atleast_1d(line.get_ydata()))
