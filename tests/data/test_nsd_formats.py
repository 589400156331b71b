"""Laws of reading NSD in every format: what is read equals a literal reader of that format.

Each law is held on random miniatures (tests/data/random_nsd.py), a new one for each seed.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from mine.datasets import nsd, nsd_files, nsd_sessions, nsd_surfaces
from mine.datasets.reader import open_dataset
from mine.datasets.voxels import voxels_of
from mine.errors import InputError
from mine.sections import Dataset
from mine.stages.responses import LEAST_TEST_IMAGES
from tests.data import surface_writer
from tests.data.random_nsd import BETAS, FORMATS, SUBJECTS, RandomNsd
from tests.reference import nsd_readers
from tests.reference.responses import build_responses

SEEDS = 6
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
"""Responses are stored in single precision."""


def read_literally(world: RandomNsd, subject: str, **options):
    sessions = {
        number: world.read(world.root, subject, number, **world.key)
        for number in world.sessions[subject]
    }
    return nsd_readers.average(world.root, subject, sessions, **options)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("format", FORMATS)
def test_responses_equal_those_of_a_literal_reader(tmp_path: Path, format: str, seed: int) -> None:
    world = RandomNsd(tmp_path, format=format, seed=seed)
    zscore = ["training", "all"][seed % 2]
    test = ["shared", "shared_three_repeats"][seed // 2 % 2]
    for subject in SUBJECTS:
        images, repeats, tested, response, valid, ncsnr = read_literally(
            world, subject, standardise_on=zscore, test=test
        )
        recording = nsd.read_subject(tmp_path, subject, skip_missing=True, **world.key)
        if len(tested) < LEAST_TEST_IMAGES:
            with pytest.raises(InputError, match="expected .*test images"):
                build_responses(recording, test=test, standardise_on=zscore)
            continue
        found = build_responses(recording, test=test, standardise_on=zscore)
        np.testing.assert_array_equal(found["image"], images)
        np.testing.assert_array_equal(found["repeats"], repeats)
        np.testing.assert_array_equal(found["image"][found["split"] == "test"], tested)
        assert found.attrs["voxels_invalid"] == (~valid).sum()
        np.testing.assert_allclose(found["response"], response[:, valid], **CLOSE)
        if world.published:
            ncsnr = nsd_readers.read_ncsnr(tmp_path, subject, **world.key)
        if ncsnr is None:
            assert found["noise_ceiling"].isnull().all()
            continue
        np.testing.assert_allclose(found["ncsnr"], ncsnr[valid], rtol=1e-4, atol=1e-6)
        power = np.nan_to_num(ncsnr[valid]) ** 2
        counts = repeats[np.isin(images, tested)]
        np.testing.assert_allclose(
            found["noise_ceiling"], power / (power + np.mean(1 / counts)), rtol=2e-4, atol=1e-6
        )


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("format", FORMATS)
def test_rois_and_hemispheres_equal_those_of_a_literal_reader(
    tmp_path: Path, format: str, seed: int
) -> None:
    world = RandomNsd(tmp_path, format=format, seed=seed)
    for subject in SUBJECTS:
        voxels = nsd.read_subject(tmp_path, subject, skip_missing=True, **world.key).voxels
        rois = nsd.read_rois(tmp_path, subject, rois=["OFA", "FFA-1", "floc-faces"], voxels=voxels)
        if world.surface:
            owner = subject if world.space == "nativesurface" else "fsaverage"
            general, faces = (
                nsd_readers.read_surface(tmp_path, owner, name)
                for name in ("nsdgeneral", "floc-faces")
            )
            left = np.arange(len(general)) < world.vertices[0]
        else:
            general, faces = (
                nsd_readers.read_volume(tmp_path, subject, name, world.space).ravel()
                for name in ("nsdgeneral", "floc-faces")
            )
            ijk = np.indices(world.shape).reshape(3, -1)
            left = (world.affine[:3, :3] @ ijk + world.affine[:3, 3:])[0] < 0
        np.testing.assert_array_equal(voxels.index, np.flatnonzero(general == 1))
        inside = general == 1
        np.testing.assert_array_equal(voxels.hemisphere == "left", left[inside])
        labels = {"OFA": faces == 1, "FFA-1": faces == 2, "floc-faces": faces > 0}
        expected = {name: mask[inside] for name, mask in labels.items() if mask[inside].any()}
        assert list(rois["roi"].values) == list(expected)
        assert rois.attrs["absent"] == [name for name in labels if name not in expected]
        np.testing.assert_array_equal(rois["member"], list(expected.values()))


@pytest.mark.parametrize("format", FORMATS)
def test_a_whole_miniature_has_nothing_wrong_in_any_format(tmp_path: Path, format: str) -> None:
    world = RandomNsd(tmp_path, format=format, seed=1, regular=True)
    settings = {"space": world.space, "test_images": "shared_common"}
    reader = open_dataset(Dataset(root=str(tmp_path), **settings))
    rois = {"FFA-1": "FFA-1", "OFA": "OFA"}
    assert reader.check(subjects=SUBJECTS, rois=rois) == []
    assert reader.list_contrasts(SUBJECTS) == ["faces"]
    assert reader.measure_session(SUBJECTS) == 24 * world.places * (
        4 if format == "fsaverage" else 2
    )
    assert len(reader.read_images(SUBJECTS).identity) == reader.count_images(SUBJECTS)
    for subject in SUBJECTS:
        recording = reader.read_subject(subject)
        responses = build_responses(recording, test="shared_common")
        assert responses.attrs["voxels_invalid"] == 0
        stored = voxels_of(responses)
        np.testing.assert_array_equal(stored.index, recording.voxels.index)
        assert stored.position.shape == (len(stored), 3)


@pytest.mark.parametrize("slab", [1, 2000, 2**26])
@pytest.mark.parametrize("format", ["nativesurface", "fsaverage"])
def test_slabs_do_not_change_what_is_read_of_a_surface(
    tmp_path: Path, monkeypatch, format: str, slab: int
) -> None:
    monkeypatch.setattr(nsd_surfaces, "SLAB_BYTES", slab)
    world = RandomNsd(tmp_path, format=format, seed=3, regular=True)
    for number in world.sessions["subj01"]:
        expected = world.read(tmp_path, "subj01", number, **world.key)
        found = nsd.read_subject(tmp_path, "subj01", **world.key).read_session(number - 1)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_betas_on_fsaverage_are_not_divided_by_300(tmp_path: Path) -> None:
    world = RandomNsd(tmp_path, format="fsaverage", seed=2, regular=True)
    found = nsd.read_subject(tmp_path, "subj01", **world.key).read_session(0)
    assert 1.5 < found.std() < 2.5


def test_common_images_are_those_that_every_subject_saw_three_times(tmp_path: Path) -> None:
    world = RandomNsd(tmp_path, format="hdf5", seed=4)
    common = []
    for image in world.shared:
        counts = []
        for number, subject in enumerate(SUBJECTS):
            shown = world.subject_images[number][world.ordering]
            counts.append((shown[: 24 * max(world.sessions[subject])] == image).sum())
        if min(counts) >= 3:
            common.append(image)
    np.testing.assert_array_equal(nsd_sessions.find_common(tmp_path), common)
    (tmp_path / "nsddata/ppdata/subj02/behav/responses.tsv").unlink()
    assert nsd_sessions.find_common(tmp_path) is None, "how far subj02 came is not known"


def test_sessions_that_are_missing_keep_the_images_of_the_others(tmp_path: Path) -> None:
    world = RandomNsd(tmp_path, format="nifti", seed=5, regular=True)
    whole = nsd.read_subject(tmp_path, "subj01", **world.key)
    (tmp_path / f"nsddata_betas/ppdata/subj01/func1pt8mm/{BETAS}/betas_session02.nii.gz").unlink()
    with pytest.raises(InputError, match="betas_session02: expected a file"):
        nsd.read_subject(tmp_path, "subj01", **world.key)
    some = nsd.read_subject(tmp_path, "subj01", skip_missing=True, **world.key)
    assert some.attributes["sessions"] == 3 and some.attributes["sessions_recorded"] == 4
    for place, number in enumerate((0, 2, 3)):
        np.testing.assert_array_equal(some.images[place], whole.images[number])
        np.testing.assert_array_equal(some.read_session(place), whole.read_session(number))
    reader = open_dataset({"root": str(tmp_path), "skip_missing_sessions": True})
    assert reader.check(subjects=["subj01"], rois={"FFA-1": "FFA-1"}) == []


@pytest.mark.parametrize("key", ["least_ncsnr", "least_noise_ceiling"])
def test_voxels_too_noisy_are_left_out_and_counted(tmp_path: Path, key: str) -> None:
    world = RandomNsd(tmp_path, format="nifti", seed=6, regular=True)
    recording = nsd.read_subject(tmp_path, "subj01", **world.key)
    whole = build_responses(recording)
    values = whole[key.removeprefix("least_")].values
    least = float(np.median(values)) + 1e-4
    found = build_responses(recording, **{key: least})
    np.testing.assert_array_equal(found["index"], whole["index"][values >= least])
    np.testing.assert_array_equal(found["response"], whole["response"][:, values >= least])
    assert found.attrs["voxels_too_noisy"] == (values < least).sum() > 0
    with pytest.raises(InputError, match=f"dataset.{key}: expected voxels of subj01 with 9 "):
        build_responses(recording, **{key: 9})


def test_a_mask_of_both_hemispheres_is_an_roi(tmp_path: Path) -> None:
    world = RandomNsd(tmp_path, format="nativesurface", seed=7, regular=True)
    mask = world.random.random(world.places) < 0.5
    surface_writer.write_sides(tmp_path / "masks/subj01", "food.mgz", mask, world.vertices)
    voxels = nsd.read_subject(tmp_path, "subj01", **world.key).voxels
    reference = {"food": "masks/{subject}/{hemisphere}.food.mgz"}
    rois = nsd.read_rois(tmp_path, "subj01", rois=reference, voxels=voxels)
    np.testing.assert_array_equal(rois["member"].values[0], mask[voxels.index])
    other = nsd.read_subject(tmp_path, "subj02", **world.key).voxels
    assert nsd.read_rois(tmp_path, "subj02", rois=reference, voxels=other).attrs["absent"] == [
        "food"
    ]
    with pytest.raises(InputError, match="expected {hemisphere} in the name"):
        nsd.read_rois(tmp_path, "subj01", rois={"food": "food.mgz"}, voxels=voxels)


def test_a_mask_may_be_gifti(tmp_path: Path) -> None:
    values = np.array([0, 1, 1], dtype=np.int32)
    for side in ("lh", "rh"):
        array = nib.gifti.GiftiDataArray(values, intent="NIFTI_INTENT_LABEL")
        nib.save(nib.gifti.GiftiImage(darrays=[array]), tmp_path / f"{side}.a.label.gii")
    found = nsd_files.read_surface(nsd_files.name_sides(tmp_path / "lh.a.label.gii"))
    assert found.vertices == (3, 3) and found.values.tolist() == [0, 1, 1] * 2


def test_vertices_without_surfaces_have_no_places(tmp_path: Path) -> None:
    world = RandomNsd(tmp_path, format="fsaverage", seed=8, regular=True)
    assert nsd.read_subject(tmp_path, "subj01", **world.key).voxels.position is not None
    for path in tmp_path.glob("nsddata/freesurfer/fsaverage/surf/*"):
        path.unlink()
    assert nsd.read_subject(tmp_path, "subj01", **world.key).voxels.position is None
