"""Laws of making responses from single trials, held on recordings in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mine.datasets.coco import measure_visible, read_crop
from mine.datasets.recording import Recording
from mine.datasets.voxels import ListedVoxels, SurfaceVoxels, VolumeVoxels, voxels_of
from mine.errors import InputError
from mine.stages.responses import describe_recording, standardise_session
from mine.statistics.ceiling import ncsnr_from_trials, noise_ceiling
from mine.stores import open_store, write_store
from tests.reference.responses import build_responses

VOXELS = 6
SHARED = np.array([2, 5, 9, 30])


def make_recording(sessions: int = 3, trials: int = 50, seed: int = 0, **changes) -> Recording:
    random = np.random.default_rng(seed)
    images = random.permutation(np.repeat(np.arange(sessions * trials // 3), 3))
    signal = random.normal(0, 1.5, (sessions * trials, VOXELS))
    # sessions differ in level and scale, as real ones do
    betas = [
        random.normal(2 * n, 1 + n, VOXELS)
        + (1 + n) * (signal[part] + random.normal(0, 1, (trials, VOXELS)))
        for n, part in enumerate(np.split(images, sessions))
    ]
    voxels = VolumeVoxels(
        ijk=np.stack(np.unravel_index(np.arange(VOXELS), (1, 2, 3)), axis=1),
        shape=(1, 2, 3),
        affine=np.eye(4),
        hemisphere=np.full(VOXELS, "left"),
        space="func1pt8mm",
    )
    recording = Recording(
        subject="subj01",
        images=tuple(np.split(images, sessions)),
        shared=SHARED,
        voxels=voxels,
        read_session=lambda number: betas[number].astype(np.float32),
    )
    return replace(recording, **changes)


def change_betas(recording: Recording, change) -> Recording:
    read = recording.read_session
    return replace(recording, read_session=lambda number: change(number, read(number)))


@pytest.mark.parametrize("standardise_on", ["training", "all"])
def test_response_is_the_mean_of_z_scored_trials(standardise_on: str) -> None:
    recording = make_recording()
    expected: dict[int, list[np.ndarray]] = {}
    for number, images in enumerate(recording.images):
        betas = recording.read_session(number).astype(np.float64)
        fit = betas if standardise_on == "all" else betas[~np.isin(images, SHARED)]
        for image, trial in zip(images, (betas - fit.mean(0)) / fit.std(0), strict=True):
            expected.setdefault(int(image), []).append(trial)
    dataset = build_responses(recording, standardise_on=standardise_on)
    assert dataset["image"].values.tolist() == sorted(expected)
    np.testing.assert_allclose(
        dataset["response"],
        [np.mean(expected[image], axis=0) for image in sorted(expected)],
        atol=1e-5,
    )
    assert dataset["response"].dtype == np.float32


def test_test_trials_do_not_reach_the_training_responses() -> None:
    recording = make_recording()

    def shift(number: int, betas: np.ndarray) -> np.ndarray:
        betas[np.isin(recording.images[number], SHARED)] += 100
        return betas

    train = np.array(build_responses(recording)["split"]) == "training"
    shifted = change_betas(recording, shift)
    for standardise_on, same in (("training", True), ("all", False)):
        before, after = (
            build_responses(one, standardise_on=standardise_on)["response"].values[train]
            for one in (recording, shifted)
        )
        assert np.allclose(before, after, atol=1e-5) == same


def test_training_trials_of_every_session_have_mean_zero_and_variance_one() -> None:
    random = np.random.default_rng(3)
    betas = random.normal(5, 3, (40, VOXELS)).astype(np.float32)
    fit = random.random(40) < 0.6
    assert standardise_session(betas, fit).all()
    np.testing.assert_allclose(betas[fit].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(betas[fit].std(axis=0), 1, atol=1e-6)


@pytest.mark.parametrize("value", [0, 1.7, np.nan, np.inf])
def test_voxels_that_are_invalid_in_any_session_are_left_out_and_counted(value: float) -> None:
    def spoil(number: int, betas: np.ndarray) -> np.ndarray:
        if number == 1:
            betas[:, 2] = value
        return betas

    recording = make_recording()
    whole = build_responses(recording)
    dataset = build_responses(change_betas(recording, spoil))
    assert dataset.attrs["voxels_invalid"] == 1 and dataset.attrs["voxels_selected"] == VOXELS
    keep = [0, 1, 3, 4, 5]
    np.testing.assert_array_equal(dataset["index"], keep)
    np.testing.assert_array_equal(dataset["response"], whole["response"][:, keep])
    np.testing.assert_allclose(dataset["noise_ceiling"], whole["noise_ceiling"][keep], rtol=1e-5)


def test_shared_images_with_fewer_than_three_repeats_can_be_left_out() -> None:
    recording = make_recording()
    first_two = replace(recording, images=recording.images[:2])
    every = build_responses(first_two)
    dataset = build_responses(first_two, test="shared_three_repeats")
    seen, repeats = np.unique(np.concatenate(first_two.images), return_counts=True)
    shared = np.isin(seen, SHARED)
    assert 0 < (shared & (repeats == 3)).sum() < shared.sum()
    np.testing.assert_array_equal(dataset["image"], seen[~shared | (repeats == 3)])
    np.testing.assert_array_equal(every["image"], seen)
    assert dataset.attrs["images_left_out"] == (shared & (repeats < 3)).sum()
    np.testing.assert_array_equal(
        dataset["response"], every.sel(image=dataset["image"].values)["response"]
    )
    for one in (every, dataset):
        assert not np.isin(one["image"][one["split"] == "training"], SHARED).any()


def test_a_shared_image_that_was_shown_more_than_three_times_is_kept() -> None:
    recording = make_recording()
    images = [own.copy() for own in recording.images]
    images[0][np.isin(images[0], SHARED).argmin()] = SHARED[0]
    more = replace(recording, images=tuple(images))
    dataset = build_responses(more, test="shared_three_repeats").sel(image=SHARED[0])
    assert dataset["repeats"] == 4 and dataset["split"] == "test"


def test_ceiling_comes_from_the_repeats_of_the_test_images_without_ncsnr() -> None:
    recording = make_recording()
    trials, images = [], []
    for number, shown in enumerate(recording.images):
        betas = recording.read_session(number)
        standardise_session(betas, ~np.isin(shown, SHARED))
        trials.append(betas[np.isin(shown, SHARED)])
        images.append(shown[np.isin(shown, SHARED)])
    ncsnr = ncsnr_from_trials(np.concatenate(trials), np.concatenate(images))
    dataset = build_responses(recording)
    assert dataset.attrs["noise_ceiling_source"] == "repeats of the test images"
    np.testing.assert_allclose(dataset["ncsnr"], ncsnr, rtol=1e-5)
    np.testing.assert_allclose(
        dataset["noise_ceiling"], noise_ceiling(ncsnr, repeats=np.full(4, 3)), rtol=1e-5
    )


def test_a_ceiling_that_is_not_published_for_a_voxel_is_zero() -> None:
    ncsnr = np.array([0.1, np.nan, 0.5, 0.7, 0.9, 1.1])
    dataset = build_responses(make_recording(ncsnr=ncsnr))
    assert dataset["noise_ceiling"].values[1] == 0
    assert dataset.attrs["ncsnr_not_a_number"] == 1
    assert dataset.attrs["noise_ceiling_source"] == "published ncsnr"


def test_no_ceiling_can_be_had_from_single_trials() -> None:
    recording = make_recording(sessions=1, trials=51)
    once = replace(recording, images=(np.arange(51),))
    dataset = build_responses(once)
    assert np.isnan(dataset["noise_ceiling"]).all()
    assert dataset.attrs["noise_ceiling_source"] == "none: no test image was repeated"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"test": "all"},
            "test: expected shared, shared_three_repeats or shared_common, found 'all'",
        ),
        ({"standardise_on": "test"}, "standardise_on: expected training or all, found 'test'"),
    ],
)
def test_unknown_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_responses(make_recording(), **options)


@pytest.mark.parametrize(
    ("shared", "message"),
    [
        ([900], "expected test images"),
        (np.arange(900), "expected training images"),
    ],
)
def test_an_empty_split_is_refused(shared, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_responses(make_recording(shared=np.asarray(shared)))


def test_a_session_without_training_trials_is_refused() -> None:
    recording = make_recording()
    with pytest.raises(InputError, match="session 2: expected two training trials"):
        build_responses(replace(recording, shared=np.unique(recording.images[1])))


def test_a_voxel_set_without_a_valid_voxel_is_refused() -> None:
    recording = change_betas(make_recording(), lambda number, betas: betas * 0)
    with pytest.raises(InputError, match="found none among the 6"):
        build_responses(recording)


def test_a_subject_without_sessions_is_refused() -> None:
    with pytest.raises(InputError, match="expected at least one session"):
        make_recording(images=())


def test_responses_and_voxel_set_survive_a_store(tmp_path: Path) -> None:
    dataset = build_responses(make_recording())
    write_store(dataset, tmp_path / "responses.zarr", provenance={})
    stored = open_store(tmp_path / "responses.zarr")
    assert stored.identical(dataset)
    voxels = voxels_of(stored)
    np.testing.assert_array_equal(voxels.index, dataset["index"])
    assert voxels.shape == (1, 2, 3) and voxels.space == "func1pt8mm"
    np.testing.assert_array_equal(voxels.affine, np.eye(4))


def test_a_split_of_the_dataset_stands_above_the_shared_images() -> None:
    recording = make_recording()
    test = np.setdiff1d(np.unique(np.concatenate(recording.images)), SHARED)[3:12]
    dataset = build_responses(replace(recording, test=test), test="shared_three_repeats")
    np.testing.assert_array_equal(dataset["image"][dataset["split"] == "test"], test)
    assert dataset.attrs["test"] == "dataset" and dataset.attrs["images_left_out"] == 0
    other = build_responses(replace(recording, test=test, shared=np.array([900])))
    np.testing.assert_array_equal(other["response"], dataset["response"])


def test_images_common_to_all_subjects_are_those_the_dataset_names() -> None:
    recording = make_recording()
    dataset = build_responses(replace(recording, common=SHARED[:2]), test="shared_common")
    np.testing.assert_array_equal(dataset["image"][dataset["split"] == "test"], SHARED[:2])
    assert dataset.attrs["images_left_out"] == len(SHARED) - 2
    assert not np.isin(SHARED[2:], dataset["image"]).any()
    with pytest.raises(InputError, match="a dataset that does not say"):
        build_responses(recording, test="shared_common")


@pytest.mark.parametrize("averaged", [False, True])
def test_a_trial_without_a_finite_voxel_is_named(averaged: bool) -> None:
    def spoil(number: int, betas: np.ndarray) -> np.ndarray:
        betas[:, 0] = np.nan  # beside the field of view
        betas[17] = np.nan if number == len(recording.images) - 1 else betas[17]
        return betas

    recording = make_averaged() if averaged else make_recording()
    spoiled = change_betas(recording, spoil)
    session = len(recording.images)
    with pytest.raises(InputError, match=f"^subj01, session {session}, trial 18: expected finite"):
        build_responses(spoiled)
    placed = replace(spoiled, tell_trial=lambda session, trial: f"s{session}.npy, response {trial}")
    with pytest.raises(InputError, match=rf"^s{session - 1}.npy, response 17, subj01, session"):
        build_responses(placed)


@pytest.mark.parametrize("averaged", [False, True])
def test_a_trial_that_is_zero_wherever_others_vary_is_named(averaged: bool) -> None:
    def spoil(number: int, betas: np.ndarray, *, inside: int = VOXELS) -> np.ndarray:
        betas[:, inside:] = 0  # beside the field of view
        if number == 0:
            betas[[17, 20], :inside] = 0
            betas[17, 0] = np.nan
        return betas

    recording = make_averaged() if averaged else make_recording()
    with pytest.raises(InputError) as refused:
        build_responses(change_betas(recording, spoil))
    assert str(refused.value) == (
        "subj01, session 1, trial 18: expected finite responses other than 0, found 0 in every "
        "voxel that varies, and so for 1 other trial of this session; n/a as `trial` leaves a "
        "trial out"
    )
    with pytest.raises(InputError, match="found 0 in every voxel that varies"):
        build_responses(change_betas(recording, lambda *given: spoil(*given, inside=5)))
    # among a few voxels 0 may be a response
    build_responses(change_betas(recording, lambda *given: spoil(*given, inside=4)))


def test_a_trial_that_is_zero_in_some_voxels_is_a_response() -> None:
    def spoil(number: int, betas: np.ndarray) -> np.ndarray:
        betas[3, 1:] = 0
        return betas

    dataset = build_responses(change_betas(make_recording(), spoil))
    assert dataset.attrs["voxels_invalid"] == 0


def test_trials_that_cost_voxels_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    def spoil(number: int, betas: np.ndarray) -> np.ndarray:
        if number == 1:
            betas[4, 2:4] = betas[9, 3] = np.nan
        return betas

    caplog.set_level("INFO")
    dataset = build_responses(change_betas(make_recording(), spoil))
    assert dataset.attrs["voxels_invalid"] == 2
    said = [text for text in caplog.messages if "not finite" in text]
    assert said == [
        "subj01, session 2: 2 of 6 voxels are left out, since 2 trials are not finite there, first "
        "subj01, session 2, trial 5"
    ]


def test_a_session_in_which_no_voxel_varies_is_named() -> None:
    def spoil(number: int, betas: np.ndarray) -> np.ndarray:
        return np.zeros_like(betas) if number == 1 else betas

    with pytest.raises(InputError, match="^subj01, session 2: expected voxels with a response"):
        build_responses(change_betas(make_recording(), spoil))


def test_what_was_understood_is_said_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    recording = make_recording()
    said = "subj01: 3 sessions of 50 trials, 50 images, of which 4 test images (3 trials each)"
    assert describe_recording(recording, test="shared") == said
    build_responses(recording)
    assert caplog.messages[0] == f"{said}, 6 voxels"
    images = tuple(part[: len(part) - number] for number, part in enumerate(recording.images))
    changed = replace(
        recording, images=images, labels=("1", "2", "n"), drawn=True, responses=150, test=SHARED[:2]
    )
    assert describe_recording(changed, test="shared").startswith(
        "subj01: 3 sessions of 48 to 50 trials, named 1, 2, n, 50 images (147 of 150 responses are "
        "used), of which 2 test images (drawn; "
    )
    assert describe_recording(make_averaged(), test="shared") == (
        "subj01: averaged responses to 30 images, of which 6 test images (no noise ceiling: the "
        "responses come averaged over repeats, and there is no ncsnr)"
    )


def test_a_lack_of_repeats_is_said() -> None:
    recording = make_recording()
    images = (np.unique(np.concatenate(recording.images)),)
    once = replace(recording, images=images, ncsnr=None)
    said = "subj01: 1 session of 50 trials, 50 images, of which 4 test images (1 trial each"
    assert describe_recording(once, test="shared") == (
        f"{said}; no noise ceiling: no test image was repeated, and there is no ncsnr)"
    )
    source = build_responses(once).attrs["noise_ceiling_source"]
    assert source == "none: no test image was repeated"
    published = replace(once, ncsnr=np.ones(len(recording.voxels), dtype=np.float32))
    assert describe_recording(published, test="shared") == f"{said})"


def repeat_some(repeated: list[int]) -> Recording:
    """Every image once, and of each of some a second trial."""
    recording = make_recording(sessions=1, trials=51)
    other = np.setdiff1d(np.arange(60), SHARED)[: 51 - len(SHARED) - len(repeated)]
    return replace(recording, images=(np.r_[SHARED, other, repeated],), test=SHARED)


def test_one_repeated_test_image_gives_no_ceiling() -> None:
    """Its trials vary by what varies within the image alone: every ceiling would be 0."""
    dataset = build_responses(repeat_some([2]))
    assert dataset.attrs["noise_ceiling_source"] == "none: one test image was repeated"
    assert np.isnan(dataset["noise_ceiling"]).all()
    dataset = build_responses(repeat_some([2, 9]))
    assert dataset.attrs["noise_ceiling_source"] == "repeats of the test images"
    assert np.isfinite(dataset["noise_ceiling"]).all()


@pytest.mark.parametrize(
    ("repeated", "drawn", "said"),
    [
        (
            [2],
            False,
            "1 of them repeated; 1 to 2 trials each; no noise ceiling: one test image was "
            "repeated, and there is no ncsnr",
        ),
        ([2, 9, 10], False, "2 of them repeated; 1 to 2 trials each"),
        (
            [2, 9, 10],
            True,
            "drawn; 2 of them repeated, and 1 other, which a column split makes test images; 1 to "
            "2 trials each",
        ),
        ([2, 5, 9, 30, 10, 11], True, "drawn; 2 trials each"),
        (
            [10, 11],
            True,
            "drawn; 0 of them repeated, and 2 others, which a column split makes test images; 1 "
            "trial each; no noise ceiling: no test image was repeated, and there is no ncsnr",
        ),
    ],
)
def test_how_many_test_images_are_repeated_is_said(
    repeated: list[int], drawn: bool, said: str
) -> None:
    recording = replace(repeat_some(repeated), drawn=drawn)
    assert describe_recording(recording, test="shared").endswith(f"4 test images ({said})")


def test_one_test_image_is_refused() -> None:
    with pytest.raises(InputError, match="expected 2 test images or more .* found 1$"):
        build_responses(make_recording(test=SHARED[:1]))


def make_averaged(**changes) -> Recording:
    values = np.random.default_rng(2).normal(0, 1, (30, VOXELS)).astype(np.float32)
    images = np.random.default_rng(3).permutation(40)[:30]
    recording = make_recording(
        images=(images,), read_session=lambda number: values.copy(), averaged=True
    )
    return replace(recording, test=images[:6], **changes)


def test_averaged_responses_are_taken_as_they_are_and_have_no_ceiling() -> None:
    recording = make_averaged()
    dataset = build_responses(recording)
    values = recording.read_session(0)[np.argsort(recording.images[0])]
    np.testing.assert_array_equal(dataset["response"], values)
    np.testing.assert_array_equal(dataset["image"], np.sort(recording.images[0]))
    assert set(dataset["repeats"].values) == {0} and dataset.attrs["standardise_on"] == "dataset"
    assert np.isnan(dataset["noise_ceiling"]).all() and np.isnan(dataset["ncsnr"]).all()
    assert dataset.attrs["noise_ceiling_source"].startswith("none: the responses come averaged")


@pytest.mark.parametrize(("scale", "shift"), [(1, 0.7), (3, 0), (1, -100)])
def test_averages_that_were_not_z_scored_are_refused(scale: float, shift: float) -> None:
    def spoil(_number: int, betas: np.ndarray) -> np.ndarray:
        return scale * betas + shift

    with pytest.raises(InputError, match="^subj01: expected averages of z-scored responses"):
        build_responses(change_betas(make_averaged(), spoil))


def test_averages_of_many_z_scored_trials_are_small_and_pass() -> None:
    build_responses(change_betas(make_averaged(), lambda _number, betas: 0.1 * betas))


def test_averaged_responses_have_a_ceiling_once_ncsnr_and_repeats_are_known() -> None:
    ncsnr = np.linspace(0.2, 0.9, VOXELS)
    without = build_responses(make_averaged(ncsnr=ncsnr))
    assert np.isnan(without["noise_ceiling"]).all()
    assert "repeats of the test images are not known" in without.attrs["noise_ceiling_source"]
    repeats = 1 + np.arange(30) // 4  # those of test images are the fewest
    dataset = build_responses(make_averaged(ncsnr=ncsnr, repeats=repeats))
    np.testing.assert_allclose(
        dataset["noise_ceiling"], noise_ceiling(ncsnr, repeats=repeats[:6]), rtol=1e-6
    )


def test_averaged_responses_hold_each_image_once() -> None:
    with pytest.raises(InputError, match="with each image once, found more"):
        make_recording(averaged=True)


GEOMETRIES = {
    "surface": SurfaceVoxels(
        vertex=np.array([1, 4, 5, 0, 2, 6]),
        vertices=(8, 7),
        hemisphere=np.repeat(["left", "right"], 3),
        millimetres=np.arange(18.0).reshape(6, 3),
        space="fsaverage",
    ),
    "list": ListedVoxels(
        name=np.array(list("abcdef")),
        number=np.array([7, 3, 4, 9, 1, 0]),
        hemisphere=np.full(6, "unknown"),
        space="responses.npy",
    ),
}


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_every_kind_of_voxel_set_survives_selection_and_a_store(
    tmp_path: Path, geometry: str
) -> None:
    voxels = GEOMETRIES[geometry]

    def spoil(number: int, betas: np.ndarray) -> np.ndarray:
        betas[:, 2] = np.nan
        return betas

    dataset = build_responses(change_betas(make_recording(voxels=voxels), spoil))
    write_store(dataset, tmp_path / "responses.zarr", provenance={})
    stored = voxels_of(open_store(tmp_path / "responses.zarr"))
    keep = np.array([0, 1, 3, 4, 5])
    assert type(stored) is type(voxels) and stored.space == voxels.space and len(stored) == 5
    np.testing.assert_array_equal(stored.index, voxels.index[keep])
    np.testing.assert_array_equal(stored.hemisphere, voxels.hemisphere[keep])
    if voxels.position is None:
        assert stored.position is None
    else:
        np.testing.assert_array_equal(stored.position, voxels.position[keep])


def test_the_right_surface_counts_on_from_the_left() -> None:
    np.testing.assert_array_equal(GEOMETRIES["surface"].index, [1, 4, 5, 8, 10, 14])


def test_crops_and_boxes_share_the_image() -> None:
    assert read_crop("(0, 0, 0.125, 0.25)") == (0, 0, 0.125, 0.25)
    assert measure_visible((0, 0, 1, 1), (0, 0, 0.125, 0.25)) == pytest.approx(0.625)
    assert measure_visible((0, 0, 0.1, 0.1), (0, 0, 0.125, 0.25)) == 0
    assert measure_visible((0.5, 0.5, 0.5, 0.5), (0, 0, 0, 0)) == 1
    for text in ("(0, 0)", "left", "(0.5, 0.5, 0, 0)", "(-1, 0, 0, 0)", "nan"):
        with pytest.raises(InputError, match="cropBox"):
            read_crop(text)
