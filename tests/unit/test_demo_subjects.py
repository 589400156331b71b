"""Simulated subjects: what is planted, by which formula, under how much noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mine.demo.miniature import (
    REPEATS,
    Design,
    describe_images,
    describe_truth,
    draw_design,
    render_stimuli,
    subject_number,
    subject_responses,
)
from mine.demo.planting import (
    DEMO,
    DOMINANT,
    FORMS,
    NOISE_CEILING_TOP,
    REGIONS,
    SHAPE,
    SUPPRESSED_SHARE,
    VOLUME_LABELS,
    Difficulty,
    Plan,
    Second,
    place_regions,
    plan_subject,
    spatial_kernel,
)
from mine.demo.responding import (
    NOISE_SHARED,
    PLACE_WIDTH,
    SECOND_GAIN,
    SUPPRESSION,
    draw_noise,
    main_drive,
    noise_root,
    noiseless_responses,
    planted_regressors,
    receptive_field_contrast,
    second_drive,
)
from mine.demo.scene_tables import tabulate_scenes
from mine.demo.words import BACKGROUNDS, CATEGORIES, COLOURS, SYNONYMS
from mine.sections import SECOND_KINDS
from mine.statistics.ceiling import ncsnr_from_trials, noise_ceiling

SIZES = {"shared": 20, "unique": 60}


@pytest.fixture(scope="module")
def miniature():
    return render_stimuli(**SIZES, subjects_count=2, side=64, seed=0)


@pytest.fixture(scope="module")
def design() -> Design:
    return draw_design(**SIZES, subjects_count=2, sessions=4, seed=0)


@pytest.fixture(scope="module")
def table(miniature):
    return tabulate_scenes(miniature.scenes, miniature.labels)


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return [plan_subject("subj01", seed=seed, difficulty=DEMO) for seed in range(12)]


# --- regions ---


def test_regions_have_the_sizes_asked_for_and_share_no_voxel():
    placed = place_regions()
    seen = set()
    for region in REGIONS:
        voxels = [tuple(place) for place in placed[region.name]]
        assert len(voxels) == len(set(voxels)) == region.voxels
        assert all(0 <= value < size for v in voxels for value, size in zip(v, SHAPE, strict=True))
        assert not seen & set(voxels)
        seen |= set(voxels)


def test_category_regions_have_30_to_60_voxels_and_noise_200():
    sizes = {region.name: region.voxels for region in REGIONS}
    for name in ("FFA-1", "EBA", "PPA", "VWFA-1", "food"):
        assert 30 <= sizes[name] <= 60
    assert sum(region.voxels for region in REGIONS if not region.mains) >= 200
    assert any(region.mains and not region.seconds for region in REGIONS if region.localiser)


def test_every_region_is_drawn_in_a_volume_that_names_it():
    for region in REGIONS:
        assert VOLUME_LABELS[region.volume][region.label] == region.name
        concepts = [*region.mains, *(s.concept for s in region.seconds if s.kind != "place")]
        concepts += [region.suppressed] if region.suppressed else []
        assert set(concepts) <= {*SYNONYMS, "contrast"}
        assert all(second.kind in SECOND_GAIN for second in region.seconds)


def test_both_hemispheres_hold_half_of_each_region():
    for region in REGIONS:
        left = place_regions()[region.name][:, 0] < SHAPE[0] / 2
        assert left.sum() == region.voxels // 2


# --- plans ---


def test_equal_seeds_give_equal_plans_and_others_others():
    first, again = (plan_subject("subj01", seed=0, difficulty=DEMO) for _ in range(2))
    for name, values in vars(first).items():
        np.testing.assert_array_equal(values, getattr(again, name))
    for other in (
        plan_subject("subj02", seed=0, difficulty=DEMO),
        plan_subject("subj01", seed=1, difficulty=DEMO),
    ):
        assert (other.noise_ceiling != first.noise_ceiling).any()
        np.testing.assert_array_equal(other.ijk, first.ijk)


def test_a_harder_plan_has_more_voxels_lower_ceilings_and_chosen_second_features():
    assert tuple(SECOND_GAIN) == SECOND_KINDS == Difficulty().second_kinds
    hard = plan_subject("subj01", seed=0, difficulty=Difficulty(4, 0.4, ("conjunction", "place")))
    left = hard.ijk[:, 0] < SHAPE[0] / 2
    assert len({tuple(place) for place in hard.ijk.tolist()}) == len(hard.ijk)
    for region in REGIONS:
        own = hard.region == region.name
        assert own.sum() == 4 * region.voxels and (own & left).sum() == 2 * region.voxels
        allowed = [second.kind in ("conjunction", "place") for second in region.seconds]
        mixture = hard.mixture[own]
        assert not mixture[:, : len(allowed)][:, ~np.array(allowed, dtype=bool)].any()
        objects = own & np.isin(hard.main, list(CATEGORIES))
        np.testing.assert_allclose(hard.mixture[objects].sum(axis=1), float(any(allowed)))
    signal = hard.noise_ceiling[hard.main != ""]
    assert signal.max() <= 0.4 and abs(np.median(signal) - 0.2) < 0.04
    kinds = {second.kind for second in hard.dominant() if second}
    assert kinds == {"conjunction", "place"}


def test_noise_ceilings_spread_as_in_nsd(plans):
    medians = []
    for plan in plans:
        category = np.isin(plan.main, list(SYNONYMS))
        ceilings = plan.noise_ceiling[category]
        assert (ceilings >= 0).all() and (ceilings <= NOISE_CEILING_TOP).all()
        assert not plan.noise_ceiling[plan.main == ""].any()
        medians.append(np.median(ceilings))
    assert NOISE_CEILING_TOP == 0.8
    assert abs(np.mean(medians) - 0.4) < 0.03
    pooled = np.concatenate([p.noise_ceiling[np.isin(p.main, list(SYNONYMS))] for p in plans])
    assert pooled.min() < 0.1 and pooled.max() > 0.7


def test_response_forms_have_their_stated_shares(plans):
    forms = np.concatenate([plan.form for plan in plans])
    for name, share in FORMS.items():
        assert abs((forms == name).mean() - share) < 0.03
    assert sum(FORMS.values()) == pytest.approx(1)


def test_features_are_planted_where_their_region_says(plans):
    regions = {region.name: region for region in REGIONS}
    suppressed, able = 0, 0
    for plan in plans:
        for name, region in regions.items():
            here = plan.region == name
            assert set(plan.main[here]) <= (set(region.mains) or {""})
            mixture = plan.mixture[here]
            assert (mixture >= 0).all()
            count = len(region.seconds)
            assert not mixture[:, count:].any()
            objects_only = np.isin(plan.main[here], list(BACKGROUNDS))
            if count:
                np.testing.assert_allclose(mixture[~objects_only].sum(axis=1), 1)
            for row in mixture[objects_only]:
                kinds = {s.kind for s, w in zip(region.seconds, row, strict=False) if w}
                assert kinds <= {"object"}
            assert set(plan.suppressed[here]) <= {"", region.suppressed or ""}
            if region.suppressed:
                able += here.sum()
                suppressed += (plan.suppressed[here] != "").sum()
    assert abs(suppressed / able - SUPPRESSED_SHARE) < 0.06


def test_every_main_and_second_feature_is_dominant_somewhere(plans):
    for region in REGIONS:
        mains, seconds = set(), set()
        for plan in plans:
            here = np.flatnonzero(plan.region == region.name)
            dominant = plan.dominant()
            mains |= set(plan.main[here]) - {""}
            seconds |= {dominant[voxel] for voxel in here} - {None}
        assert mains == set(region.mains)
        assert seconds == set(region.seconds)


def test_dominant_second_holds_its_share_of_the_mixture(plans):
    for voxel, second in enumerate(plans[0].dominant()):
        weights = plans[0].mixture[voxel]
        assert (second is None) == (weights.max() < DOMINANT)


def test_tuning_is_spatially_correlated(plans):
    near, far = [], []
    for plan in plans:
        for name in ("EBA", "FFA-1"):
            here = plan.region == name
            distance = np.linalg.norm(plan.ijk[here][:, None] - plan.ijk[here][None], axis=-1)
            likeness = np.corrcoef(plan.mixture[here])
            near.append(np.nanmean(likeness[distance == 1]))
            far.append(np.nanmean(likeness[distance > 4]))
    assert np.mean(near) > np.mean(far) + 0.3


# --- responses ---


def test_table_of_scenes_counts_pixels(miniature, table):
    names = list(CATEGORIES)
    for image in range(20):
        labels, scene = miniature.labels[image], miniature.scenes[image]
        for index, name in enumerate(names):
            mask = labels == 1 + index
            assert table.area[image, index] == mask.mean()
            assert table.visible(name)[image] == mask.any()
            if mask.any():
                rows, columns = np.nonzero(mask)
                assert table.row[image, index] == pytest.approx((rows.mean() + 0.5) / 64)
                assert table.column[image, index] == pytest.approx((columns.mean() + 0.5) / 64)
            owner = [item for item in scene.objects if item.category == name]
            colour = list(COLOURS).index(owner[0].colour) if owner else -1
            assert table.colour[image, index] == colour
        assert table.visible(scene.background)[image]
        assert table.open[image] == (labels == 0).mean()
        assert table.happy[image] == any(o.expression == "happy" for o in scene.objects)


def test_response_forms_follow_their_formulas(table):
    area = table.area[:, list(CATEGORIES).index("dog")]
    shown = area > 0
    typical, average = np.median(area[shown]), area[shown].mean()
    for image in range(len(area)):
        a = area[image]
        expected = {
            "tolerant": float(a > 0),
            "saturating": 2 * a / (a + typical),
            "additive": min(a / average, 3.0),
        }
        for form, value in expected.items():
            assert main_drive("dog", form, table)[image] == pytest.approx(value)


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("main", ["dog", "beach"])
def test_drive_is_zero_without_the_feature_and_grows_with_it(table, main, form):
    drive = main_drive(main, form, table)
    shown = table.visible(main)
    assert not drive[~shown].any() and (drive[shown] > 0).all()
    area = table.open if main in BACKGROUNDS else table.area[:, list(CATEGORIES).index(main)]
    order = np.argsort(area[shown])
    assert (np.diff(drive[shown][order]) >= -1e-12).all()


def test_second_features_follow_their_formulas(table):
    drive = main_drive("face", "saturating", table)
    face = list(CATEGORIES).index("face")
    red = table.colour[:, face] == list(COLOURS).index("red")
    cases = {
        Second("colour", "red"): drive * red,
        Second("expression", "happy"): drive * table.happy,
        Second("object", "dog"): table.visible("dog").astype(float),
        Second("conjunction", "beach"): drive * table.visible("beach"),
    }
    for second, expected in cases.items():
        np.testing.assert_allclose(second_drive(second, "face", drive, table), expected)
    found = second_drive(Second("place", (0.5, 0.25)), "face", drive, table)
    squared = (table.row[:, face] - 0.5) ** 2 + (table.column[:, face] - 0.25) ** 2
    near = np.exp(-squared / (2 * PLACE_WIDTH**2))
    shown = drive > 0
    np.testing.assert_allclose(found[shown], 2 * drive[shown] * (near - near[shown].mean())[shown])
    assert not found[~shown].any()


def test_response_is_the_stated_sum_standardised(table):
    """s = drive(main) + Σ_k mixture_k · gain_k · second_k − SUPPRESSION · 1[suppressed visible]"""
    plan = plan_subject("subj01", seed=0, difficulty=DEMO)
    contrast = np.random.default_rng(0).random((len(table.open), len(plan.main)))
    responses = noiseless_responses(plan, table, contrast)
    seconds = {region.name: region.seconds for region in REGIONS}
    for voxel in range(0, len(plan.main), 7):
        main = str(plan.main[voxel])
        if main == "":
            assert not responses[:, voxel].any()
            continue
        if main == "contrast":
            c = contrast[:, voxel]
            expected = c / (c + np.median(c))
        else:
            drive = main_drive(main, str(plan.form[voxel]), table)
            expected = drive.copy()
            for weight, second in zip(
                plan.mixture[voxel], seconds[plan.region[voxel]], strict=False
            ):
                if weight:
                    part = second_drive(second, main, drive, table)
                    expected += weight * SECOND_GAIN[second.kind] * part
            if plan.suppressed[voxel]:
                expected -= SUPPRESSION * table.visible(str(plan.suppressed[voxel]))
        expected = (expected - expected.mean()) / expected.std()
        np.testing.assert_allclose(responses[:, voxel], expected, atol=1e-9)


def test_planted_regressors_span_the_noiseless_responses(table):
    plan = plan_subject("subj01", seed=3, difficulty=DEMO)
    responses = noiseless_responses(plan, table, np.ones((len(table.open), len(plan.main))))
    regressors, names = planted_regressors(table)
    assert len(set(names)) == len(names) == regressors.shape[1]
    design = np.column_stack([regressors, np.ones(len(regressors))])
    category = np.isin(plan.main, list(SYNONYMS))
    fitted = design @ np.linalg.lstsq(design, responses[:, category], rcond=None)[0]
    np.testing.assert_allclose(fitted, responses[:, category], atol=1e-6)


def test_contrast_is_the_deviation_of_luminance_under_the_window(miniature):
    images, fields = miniature.images[:3], np.array([[0.3, 0.7], [0.5, 0.5]])
    found = receptive_field_contrast(images, fields)
    place = (np.arange(64) + 0.5) / 64
    for image in range(3):
        luminance = images[image] @ np.array([0.299, 0.587, 0.114]) / 255
        for voxel, (row, column) in enumerate(fields):
            squared = (place[:, None] - row) ** 2 + (place[None, :] - column) ** 2
            window = np.exp(-squared / (2 * 0.1**2))
            window /= window.sum()
            mean = (window * luminance).sum()
            expected = np.sqrt((window * (luminance - mean) ** 2).sum())
            assert found[image, voxel] == pytest.approx(expected, abs=1e-3)


# --- noise ---


def small_plan(voxels: int, seed: int) -> Plan:
    plan = plan_subject("subj01", seed=seed, difficulty=DEMO)
    chosen = np.r_[np.arange(voxels // 2), len(plan.main) - np.arange(1, voxels // 2 + 1)]
    return replace(plan, **{name: values[chosen] for name, values in vars(plan).items()})


def test_noise_gives_the_planted_ceiling():
    plan, random = small_plan(40, 0), np.random.default_rng(0)
    images = 800
    signal = random.normal(size=(images, 40))
    signal = (signal - signal.mean(axis=0)) / signal.std(axis=0) * (plan.noise_ceiling > 0)
    order = np.repeat(np.arange(images), REPEATS)
    trials = signal[order] + draw_noise(
        signal[order], plan, repeats=REPEATS, kernel_root=noise_root(plan.ijk), random=random
    )
    measured = noise_ceiling(
        ncsnr_from_trials(trials, order), repeats=np.full(images, float(REPEATS))
    )
    planted = plan.noise_ceiling
    shown = planted > 0.1
    assert np.abs(measured - planted)[shown].max() < 0.08
    assert abs((measured - planted)[shown].mean()) < 0.02
    assert measured[planted == 0].max() < 0.15


def test_noise_is_correlated_between_neighbours_as_stated():
    plan, random = small_plan(24, 0), np.random.default_rng(1)
    noise = draw_noise(
        np.zeros((20_000, 24)), plan, repeats=3, kernel_root=noise_root(plan.ijk), random=random
    )
    expected = NOISE_SHARED * spatial_kernel(plan.ijk)
    np.fill_diagonal(expected, 1)
    np.testing.assert_allclose(np.corrcoef(noise.T), expected, atol=0.04)


# --- design, stimuli, truth ---


def test_every_image_of_a_subject_is_shown_three_times(design):
    for subject in range(2):
        shown = design.images_of_trials(subject)
        images, counts = np.unique(shown, return_counts=True)
        assert (counts == REPEATS).all() and len(images) == 80
        assert set(range(20)) <= set(images)
    own = [set(design.images[row]) for row in range(2)]
    assert own[0] & own[1] == set(range(20))
    assert design.trials_per_session * 4 == len(design.order)


def test_repeats_are_spread_over_sessions(design):
    session = np.arange(len(design.order)) // design.trials_per_session
    several = [len(set(session[design.order == image])) > 1 for image in range(80)]
    assert np.mean(several) > 0.8


def test_trials_that_do_not_fill_the_sessions_are_refused():
    with pytest.raises(ValueError, match="240 trials do not fill 7 sessions"):
        draw_design(**SIZES, subjects_count=2, sessions=7, seed=0)


def test_equal_seeds_give_equal_stimuli_and_designs(miniature, design):
    small = {"shared": 3, "unique": 2, "subjects_count": 1}
    first, again, other = (render_stimuli(**small, side=64, seed=seed) for seed in (0, 0, 1))
    assert first.scenes == again.scenes and first.captions == again.captions
    np.testing.assert_array_equal(first.images, again.images)
    assert first.scenes != other.scenes
    same = draw_design(**SIZES, subjects_count=2, sessions=4, seed=0)
    np.testing.assert_array_equal(design.order, same.order)


def test_labels_name_the_object_of_each_pixel(miniature):
    assert miniature.labels.shape == miniature.images.shape[:3]
    for scene, labels in zip(miniature.scenes, miniature.labels, strict=True):
        shown = {list(CATEGORIES)[label - 1] for label in np.unique(labels) if label}
        assert shown <= {item.category for item in scene.objects}
        assert shown


def test_truth_holds_what_was_planted(miniature, design):
    truth = describe_truth(miniature, design, 1, "subj02", seed=0)
    plan, responses = subject_responses(miniature, design, 1, "subj02", seed=0)
    seen = design.images[1]
    assert truth["image"].values.tolist() == sorted(seen.tolist())
    np.testing.assert_allclose(
        truth["response"].sel(image=seen), responses.astype(np.float32), rtol=1e-6
    )
    np.testing.assert_array_equal(truth["main"], plan.main)
    for voxel, second in enumerate(plan.dominant()):
        here = truth.isel(voxel=voxel)
        assert str(here["second_kind"].values) == (second.kind if second else "")
        if second and second.kind == "place":
            np.testing.assert_allclose(here["second_place"], second.concept)
            assert str(here["second_word"].values) == ""
        else:
            assert np.isnan(here["second_place"]).all()
            assert str(here["second_word"].values) == (str(second.concept) if second else "")


def test_truth_about_images_is_what_was_rendered(miniature):
    truth = describe_images(miniature)
    np.testing.assert_array_equal(truth["label"], miniature.labels)
    assert truth.attrs["categories"] == list(CATEGORIES)
    assert f'"{miniature.scenes[4].background}"' in str(truth["scene"].values[4])


def test_number_of_a_subject_is_read_from_its_name():
    assert [subject_number(name) for name in ("subj01", "subj08")] == [1, 8]
