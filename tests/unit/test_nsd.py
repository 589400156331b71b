"""Laws of reading the Natural Scenes Dataset, held on a miniature written in its own layout."""

from __future__ import annotations

import gzip
import json
import shutil
import tracemalloc
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mine.datasets import coco, nsd, nsd_files, nsd_rois, nsd_sessions
from mine.datasets.reader import open_dataset
from mine.datasets.voxels import voxels_of
from mine.demo import nsd_writer
from mine.errors import InputError
from mine.sections import Dataset
from mine.stages.stimuli import build_stimuli
from mine.statistics.ceiling import noise_ceiling
from tests.data.faults import store_damaged
from tests.reference.responses import build_responses

SHAPE = (7, 9, 11)
AFFINE = np.array([[1.8, 0, 0, -6.3], [0, 1.8, 0, -8], [0, 0, 1.8, -10], [0, 0, 0, 1.0]])
TRIALS = 60
OWN = 40
SHARED = 8
IMAGES = 2 * OWN - SHARED
FACES = {1: "OFA", 2: "FFA-1"}
SUPERCATEGORIES = {"dog": "animal", "cat": "animal"}
BETAS = "nsddata_betas/ppdata/{}/func1pt8mm/betas_fithrf_GLMdenoise_RR"


class World:
    """A miniature dataset and all that was written into it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        random = np.random.default_rng(5)
        # as in NSD, shared images lie anywhere among all images and first among a subject's
        identities = random.permutation(IMAGES)
        self.shared = np.sort(identities[:SHARED])
        self.subject_images = np.stack(
            [
                np.concatenate([identities[:SHARED], identities[SHARED:OWN]]),
                np.concatenate([identities[:SHARED], identities[OWN:]]),
            ]
        )
        self.ordering = random.permutation(np.repeat(np.arange(OWN), 3))
        self.sessions = {1: 2, 2: 1}
        self.images = random.integers(0, 256, (IMAGES, 16, 16, 3), dtype=np.uint8)
        brain = random.random(SHAPE) < 0.7
        brain[0] = brain[:, 0] = brain[:, :, 0] = False
        self.brain = brain
        cortex = brain & (random.random(SHAPE) < 0.8)
        self.general = np.where(cortex, (random.random(SHAPE) < 0.6).astype(int), -1)
        self.faces = np.where(cortex, random.integers(0, 3, SHAPE), -1)
        self.t = random.normal(1, 2, SHAPE)
        self.ncsnr = np.abs(random.normal(0.5, 0.3, SHAPE))
        self.betas: dict[tuple[int, int], np.ndarray] = {}

    def write(self, format: str = "nii.gz") -> World:
        root, random = self.root, np.random.default_rng(6)
        nsd_writer.write_stimuli(root, self.images, chunk=5)
        nsd_writer.write_design(
            root,
            master_ordering=self.ordering + 1,
            subject_images=self.subject_images + 1,
            shared=self.shared + 1,
        )
        ijk = np.argwhere(self.brain)
        trials = {}
        for subject, sessions in self.sessions.items():
            own = self.subject_images[subject - 1]
            trials[subject] = own[self.ordering][: sessions * TRIALS]
            nsd_writer.write_behaviour(
                root,
                subject,
                trials=trials[subject],
                subject_images=own,
                trials_per_session=TRIALS,
            )
            nsd_writer.write_brain_mask(root, subject, self.brain, affine=AFFINE)
            nsd_writer.write_mean(root, subject, self.brain * 100.0, affine=AFFINE)
            nsd_writer.write_roi(
                root, subject, "nsdgeneral", self.general, {1: "nsdgeneral"}, affine=AFFINE
            )
            faces = self.faces if subject == 1 else np.where(self.faces == 1, 0, self.faces)
            nsd_writer.write_roi(root, subject, "floc-faces", faces, FACES, affine=AFFINE)
            nsd_writer.write_localiser(root, subject, "faces", self.t, affine=AFFINE)
            nsd_writer.write_noise_ceiling_snr(root, subject, self.ncsnr, affine=AFFINE)
            for session in range(1, sessions + 1):
                betas = random.normal(0.5, 2, (TRIALS, len(ijk)))
                self.betas[subject, session] = betas
                nsd_writer.write_valid_session(root, subject, session, self.brain, affine=AFFINE)
                nsd_writer.write_session(
                    root,
                    subject,
                    session,
                    betas,
                    ijk=ijk,
                    shape=SHAPE,
                    affine=AFFINE,
                    format=format,
                )
        nsd_writer.write_stimulus_information(
            root,
            coco_ids=1000 + np.arange(IMAGES),
            shared=np.isin(np.arange(IMAGES), self.shared),
            trials=trials,
            crop_box=[(0, 0, 0.25, 0.25)] * IMAGES,
        )
        return self

    def file(self, name: str) -> Path:
        return self.root / name.format("subj01")

    def check(self, *, subjects=("subj01", "subj02"), rois=("OFA", "FFA-1"), **keys) -> list[str]:
        dataset = Dataset(root=str(self.root), test_images="shared", **keys)
        references = rois if isinstance(rois, dict) else {name: name for name in rois}
        return open_dataset(dataset).check(subjects=subjects, rois=references)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("nsd")).write()


@pytest.fixture
def world(written: World, tmp_path: Path) -> World:
    """A copy that a test may damage."""
    copy = World(tmp_path / "nsd")
    copy.betas = written.betas
    shutil.copytree(written.root, copy.root)
    return copy


def compute_reference(world: World, subject: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Responses one voxel and one image at a time, straight from what was meant to be written."""
    ijk = np.argwhere(world.brain)
    chosen = [n for n, place in enumerate(ijk) if world.general[tuple(place)] == 1]
    own = world.subject_images[subject - 1]
    seen: dict[int, list[np.ndarray]] = {}
    for session in range(1, world.sessions[subject] + 1):
        betas = world.betas[subject, session][:, chosen]
        shown = [own[world.ordering[(session - 1) * TRIALS + trial]] for trial in range(TRIALS)]
        train = [trial for trial in range(TRIALS) if shown[trial] not in world.shared]
        mean, deviation = betas[train].mean(axis=0), betas[train].std(axis=0)
        for trial in range(TRIALS):
            seen.setdefault(shown[trial], []).append((betas[trial] - mean) / deviation)
    images = np.array(sorted(seen))
    repeats = np.array([len(seen[image]) for image in images])
    return images, repeats, np.array([np.mean(seen[image], axis=0) for image in images])


def test_partly_seen_images_keep_their_repeats(written: World) -> None:
    dataset = build_responses(nsd.read_subject(written.root, "subj02"))
    shown = written.subject_images[1][written.ordering[:TRIALS]]
    images, repeats = np.unique(shown, return_counts=True)
    assert set(repeats) == {1, 2, 3} and len(images) < OWN
    np.testing.assert_array_equal(dataset["image"], images)
    np.testing.assert_array_equal(dataset["repeats"], repeats)


def test_noise_ceiling_follows_the_published_ncsnr_and_the_repeats(written: World) -> None:
    dataset = build_responses(nsd.read_subject(written.root, "subj02"))
    repeats = dataset["repeats"].values[dataset["split"].values == "test"]
    a, b, c = ((repeats == count).sum() for count in (3, 2, 1))
    ncsnr = written.ncsnr[written.general == 1]
    expected = ncsnr**2 / (ncsnr**2 + (a / 3 + b / 2 + c) / (a + b + c))
    np.testing.assert_allclose(dataset["noise_ceiling"], expected, rtol=1e-5)
    np.testing.assert_allclose(expected, noise_ceiling(ncsnr, repeats=repeats), rtol=1e-6)
    assert dataset.attrs["noise_ceiling_source"] == "published ncsnr"


def test_voxel_set_is_above_zero_and_not_merely_other_than_minus_one(written: World) -> None:
    voxels = nsd.read_subject(written.root, "subj01").voxels
    assert len(voxels.ijk) == (written.general == 1).sum() < (written.general != -1).sum()


def test_voxel_set_of_several_labels_is_their_union(written: World) -> None:
    both = nsd.read_subject(written.root, "subj01", voxels=["OFA", "FFA-1"]).voxels
    np.testing.assert_array_equal(both.ijk, np.argwhere(written.faces > 0))
    whole = nsd.read_subject(written.root, "subj01", voxels="floc-faces").voxels
    np.testing.assert_array_equal(whole.ijk, both.ijk)
    brain = nsd.read_subject(written.root, "subj01", voxels="brainmask").voxels
    np.testing.assert_array_equal(brain.ijk, np.argwhere(written.brain))


def test_hemisphere_comes_from_the_hemisphere_files(written: World) -> None:
    voxels = nsd.read_subject(written.root, "subj01").voxels
    x = (AFFINE[:3, :3] @ voxels.ijk.T + AFFINE[:3, 3:])[0]
    np.testing.assert_array_equal(voxels.hemisphere, np.where(x < 0, "left", "right"))


def test_a_voxel_that_both_hemispheres_claim_goes_to_the_one_that_labels_it(world: World) -> None:
    expected = nsd.read_subject(world.root, "subj01").voxels.hemisphere
    folder = world.root / "nsddata/ppdata/subj01/func1pt8mm/roi"
    for path in folder.glob("?h.*"):
        if path.name[3:] != "nsdgeneral.nii.gz":
            path.unlink()
    paths = [folder / f"{side}.nsdgeneral.nii.gz" for side in ("lh", "rh")]
    values = [np.asarray(nib.load(path).dataobj) for path in paths]
    for path, own, other in zip(paths, values, values[::-1], strict=True):
        claimed = np.where(other > 0, 0, own)
        assert (claimed != own).any()
        nib.save(nib.Nifti1Image(claimed.astype(np.int16), nib.load(path).affine), path)
    found = nsd.read_subject(world.root, "subj01").voxels.hemisphere
    np.testing.assert_array_equal(found, expected)
    assert set(found) == {"left", "right"}


def test_hemisphere_is_unknown_without_hemisphere_files(world: World) -> None:
    for path in world.root.glob("nsddata/ppdata/subj01/func1pt8mm/roi/?h.*"):
        path.unlink()
    assert set(nsd.read_subject(world.root, "subj01").voxels.hemisphere) == {"unknown"}


def test_rois_are_members_of_the_voxel_set(written: World) -> None:
    voxels = nsd.read_subject(written.root, "subj01").voxels
    rois = nsd.read_rois(written.root, "subj01", rois=["OFA", "FFA-1"], voxels=voxels)
    labels = written.faces[written.general == 1]
    np.testing.assert_array_equal(rois["member"], np.stack([labels == 1, labels == 2]))
    np.testing.assert_array_equal(rois["size"], [(written.faces == n).sum() for n in (1, 2)])
    np.testing.assert_array_equal(rois["roi"], ["OFA", "FFA-1"])
    np.testing.assert_array_equal(rois["source"], ["floc-faces:OFA", "floc-faces:FFA-1"])
    np.testing.assert_allclose(
        rois["t"].sel(contrast="faces"), written.t[written.general == 1], rtol=1e-6
    )
    assert rois.attrs["absent"] == []


@pytest.mark.parametrize("threshold", [2.0, {"faces": 2.0, "bodies": 9.0}])
def test_t_threshold_narrows_the_rois_of_its_contrast(written: World, threshold) -> None:
    voxels = nsd.read_subject(written.root, "subj01").voxels
    rois = nsd.read_rois(
        written.root, "subj01", rois=["FFA-1", "nsdgeneral"], voxels=voxels, t_threshold=threshold
    )
    inside = written.general == 1
    expected = ((written.faces == 2) & (written.t > 2))[inside]
    np.testing.assert_array_equal(rois["member"].sel(roi="FFA-1"), expected)
    assert rois["member"].sel(roi="nsdgeneral").all()


def test_rois_of_responses_stay_aligned_after_voxels_were_left_out(world: World) -> None:
    place = tuple(np.argwhere(world.general == 1)[4])
    path = world.file(BETAS + "/betas_session02.nii.gz")
    rewrite_betas(path, lambda values: np.where(mark(values.shape, place), 0, values))
    responses = build_responses(nsd.read_subject(world.root, "subj01"))
    assert responses.attrs["voxels_invalid"] == 1
    voxels = voxels_of(responses)
    assert place not in set(map(tuple, voxels.ijk.tolist()))
    rois = nsd.read_rois(world.root, "subj01", rois=["FFA-1"], voxels=voxels)
    np.testing.assert_array_equal(rois["member"].values[0], world.faces[tuple(voxels.ijk.T)] == 2)


def mark(shape: tuple[int, ...], place: tuple[int, ...]) -> np.ndarray:
    marked = np.zeros(shape, dtype=bool)
    marked[place] = True
    return marked


def rewrite_betas(path: Path, change) -> None:
    image = nib.load(path)
    values = change(np.asarray(image.dataobj)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, image.affine, image.header), path)


def test_hemisphere_files_stand_in_for_the_combined_one(world: World) -> None:
    before = nsd.read_subject(world.root, "subj01")
    expected = nsd.read_rois(world.root, "subj01", rois=["FFA-1"], voxels=before.voxels)
    roi = "nsddata/ppdata/{}/func1pt8mm/roi/"
    world.file(roi + "nsdgeneral.nii.gz").unlink()
    world.file(roi + "floc-faces.nii.gz").unlink()
    after = nsd.read_subject(world.root, "subj01")
    np.testing.assert_array_equal(after.voxels.ijk, before.voxels.ijk)
    found = nsd.read_rois(world.root, "subj01", rois=["FFA-1"], voxels=after.voxels)
    np.testing.assert_array_equal(found["member"], expected["member"])


def test_an_roi_that_one_subject_lacks_is_reported_and_left_out(written: World) -> None:
    voxels = nsd.read_subject(written.root, "subj02").voxels
    rois = nsd.read_rois(written.root, "subj02", rois=["OFA", "FFA-1"], voxels=voxels)
    assert list(rois["roi"].values) == ["FFA-1"]
    assert rois.attrs["absent"] == ["OFA"]
    assert rois.attrs["absent_reason"] == ["no voxel of subj02 is in OFA"]
    assert written.check(rois=["OFA", "FFA-1"]) == []


def test_an_atlas_that_one_subject_lacks_is_reported_and_left_out(world: World) -> None:
    for path in [
        *world.root.glob("nsddata/ppdata/subj02/func1pt8mm/roi/*floc-faces*"),
        *world.root.glob("nsddata/freesurfer/subj02/label/floc-faces*"),
    ]:
        path.unlink()
    voxels = nsd.read_subject(world.root, "subj02").voxels
    rois = nsd.read_rois(world.root, "subj02", rois=["FFA-1"], voxels=voxels)
    assert rois.attrs["absent"] == ["FFA-1"] and rois.sizes["roi"] == 0
    assert world.check() == []


def test_check_names_an_roi_that_every_subject_lacks(written: World) -> None:
    problems = written.check(subjects=["subj02"], rois=["OFA"])
    expect_one(problems, "ROI OFA: expected voxels in one of subj02", "no voxel of subj02 is in")


def test_the_finer_space_reads_alike(world: World) -> None:
    for folder in list(world.root.glob("nsddata*/ppdata/subj01/func1pt8mm")):
        folder.rename(folder.with_name("func1mm"))
    dataset = build_responses(nsd.read_subject(world.root, "subj01", space="func1mm"))
    assert set(dataset["space"].values) == {"func1mm"}
    np.testing.assert_allclose(dataset["response"], compute_reference(world, 1)[2], atol=0.01)
    assert world.check(subjects=["subj01"], space="func1mm", rois=["FFA-1"]) == []
    with pytest.raises(InputError, match="func1pt8mm"):
        nsd.read_subject(world.root, "subj01")


def test_an_roi_outside_of_the_voxel_set_is_reported_and_left_out(written: World) -> None:
    voxels = nsd.read_subject(written.root, "subj01", voxels="OFA").voxels
    rois = nsd.read_rois(written.root, "subj01", rois=["FFA-1", "OFA"], voxels=voxels)
    assert rois.attrs["absent"] == ["FFA-1"] and list(rois["roi"].values) == ["OFA"]
    assert "in the voxel set" in rois.attrs["absent_reason"][0]


def test_an_unknown_roi_is_refused_with_the_names_that_exist(written: World) -> None:
    voxels = nsd.read_subject(written.root, "subj01").voxels
    with pytest.raises(InputError, match="OFA.*found no such name. Did you mean FFA-1?"):
        nsd.read_rois(written.root, "subj01", rois=["ffa1"], voxels=voxels)


def test_a_name_of_two_atlases_has_to_say_which(world: World) -> None:
    for atlas in ("Kastner2015", "visualsulc"):
        nsd_writer.write_roi(world.root, 1, atlas, world.faces, {1: "V1v"}, affine=AFFINE)
    voxels = nsd.read_subject(world.root, "subj01").voxels
    with pytest.raises(InputError, match="Kastner2015:V1v or visualsulc:V1v"):
        nsd.read_rois(world.root, "subj01", rois=["V1v"], voxels=voxels)
    rois = nsd.read_rois(world.root, "subj01", rois={"V1v": "visualsulc:V1v"}, voxels=voxels)
    assert rois["source"].values[0] == "visualsulc:V1v"
    nsd_writer.write_roi(world.root, 1, "prf-visualrois", world.faces, {2: "V1v"}, affine=AFFINE)
    rois = nsd.read_rois(world.root, "subj01", rois=["V1v"], voxels=voxels)
    assert rois["source"].values[0] == "prf-visualrois:V1v"


def test_a_mask_file_is_an_roi(world: World) -> None:
    mask = (world.general == 1) & (world.t > 0)
    path = world.root / "masks/subj01/food.nii.gz"
    path.parent.mkdir(parents=True)
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), AFFINE), path)
    voxels = nsd.read_subject(world.root, "subj01").voxels
    for reference in ("masks/{subject}/food.nii.gz", str(path)):
        rois = nsd.read_rois(world.root, "subj01", rois={"food": reference}, voxels=voxels)
        np.testing.assert_array_equal(rois["member"].values[0], mask[world.general == 1])
    other = nsd.read_rois(
        world.root, "subj02", rois={"food": "masks/{subject}/food.nii.gz"}, voxels=voxels
    )
    assert other.attrs["absent"] == ["food"]


@pytest.mark.parametrize("path", ["../food.nii.gz", "masks/../../food.nii.gz"])
def test_a_relative_mask_may_not_leave_the_dataset(written: World, path: str) -> None:
    voxels = nsd.read_subject(written.root, "subj01").voxels
    with pytest.raises(InputError, match="inside .* or an absolute one"):
        nsd.read_rois(written.root, "subj01", rois={"food": path}, voxels=voxels)


def test_labels_are_read_between_tabs_and_spaces(tmp_path: Path) -> None:
    path = tmp_path / "x.mgz.ctab"
    path.write_text("0 Unknown\t\n 1\t V1v \n\n2   hV4 \t 25 5 25 0\n10\tmfs-words\n")
    assert nsd_files.read_labels(path) == {1: "V1v", 2: "hV4", 10: "mfs-words"}


def test_design_of_the_real_size_gives_the_image_of_each_trial(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ordering = random.integers(1, 10001, 30000)
    images = np.stack([random.permutation(73000)[:10000] + 1 for _ in range(8)])
    nsd_writer.write_design(
        tmp_path, master_ordering=ordering, subject_images=images, shared=images[0, :1000]
    )
    design = nsd_files.read_design(tmp_path)
    assert design.subject_images.shape == (8, 10000) and design.shared.shape == (1000,)
    trials = design.trial_images("subj08")
    for trial in (0, 749, 29999):
        assert trials[trial] == images[7, ordering[trial] - 1] - 1


def test_both_formats_read_alike_and_hdf5_comes_first(written: World, world: World) -> None:
    ijk = np.argwhere(world.brain)
    for session in (1, 2):
        nsd_writer.write_session(
            world.root,
            1,
            session,
            world.betas[1, session],
            ijk=ijk,
            shape=SHAPE,
            affine=AFFINE,
            format="hdf5",
        )
    both, one = (nsd.read_subject(w.root, "subj01") for w in (world, written))
    assert both.attributes["betas_format"] == "hdf5"
    assert one.attributes["betas_format"] == "nii.gz"
    for session in (0, 1):
        np.testing.assert_array_equal(both.read_session(session), one.read_session(session))
    np.testing.assert_allclose(
        one.read_session(1),
        world.betas[1, 2][:, world.general[tuple(ijk.T)] == 1],
        atol=1.01 * 0.5 / 300,
    )


@pytest.mark.parametrize("chunks", [None, (TRIALS, 1, 1, 1), (7, 11, 4, 7), (TRIALS, 3, 9, 2)])
@pytest.mark.parametrize("slab", [1, 2000, 2**26])
def test_slabs_do_not_change_what_is_read(tmp_path: Path, monkeypatch, chunks, slab: int) -> None:
    monkeypatch.setattr(nsd_sessions, "SLAB_BYTES", slab)
    random = np.random.default_rng(1)
    values = random.integers(-3000, 3000, (TRIALS, *SHAPE[::-1]), dtype=np.int16)
    path = tmp_path / "betas_session01.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset("betas", data=values, chunks=chunks)
    ijk = random.permutation(np.argwhere(random.random(SHAPE) < 0.3))
    expected = np.stack([values[:, k, j, i] for i, j, k in ijk], axis=1) / 300
    found = nsd_sessions.read_session(nsd_sessions.open_session(path, 1), ijk)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    path = tmp_path / "betas_session01.nii.gz"
    nib.save(nib.Nifti1Image(values.T, AFFINE), path)
    found = nsd_sessions.read_session(nsd_sessions.open_session(path, 1), ijk)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("format", ["nii.gz", "hdf5"])
def test_memory_holds_less_than_two_sessions(tmp_path: Path, monkeypatch, format: str) -> None:
    monkeypatch.setattr(nsd_sessions, "SLAB_BYTES", 2**20)
    shape, trials = (20, 21, 22), 200
    ijk = np.argwhere(np.ones(shape, dtype=bool))
    betas = np.random.default_rng(2).normal(0, 2, (trials, len(ijk))).astype(np.float32)
    ordering = np.arange(3 * trials) % (3 * trials // 3) + 1
    nsd_writer.write_design(
        tmp_path,
        master_ordering=ordering,
        subject_images=np.arange(1, trials + 1)[None],
        shared=np.arange(1, 11),
    )
    general = np.zeros(shape, dtype=int)
    general[4:9, 3:12, 5:15] = 1
    nsd_writer.write_roi(tmp_path, 1, "nsdgeneral", general, {1: "nsdgeneral"}, affine=AFFINE)
    for session in (1, 2, 3):
        nsd_writer.write_session(
            tmp_path, 1, session, betas, ijk=ijk, shape=shape, affine=AFFINE, format=format
        )
    session_bytes = 2 * trials * len(ijk)
    del betas
    tracemalloc.start()
    try:
        recording = nsd.read_subject(tmp_path, "subj01")
        dataset = build_responses(recording)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * session_bytes + dataset.nbytes


def test_stimuli_are_read_in_the_order_asked_for(written: World) -> None:
    stimuli = nsd.open_stimuli(written.root)
    assert stimuli.shape == written.images.shape
    indices = np.array([70, 3, 3, 0, 41, 4, 71])
    np.testing.assert_array_equal(stimuli.read(indices), written.images[indices])
    assert stimuli.read([]).shape == (0, 16, 16, 3)
    with pytest.raises(InputError, match="expected image 72, found 72 images"):
        stimuli.read([72])


def test_stimulus_index_joins_captions_and_categories(written: World, tmp_path: Path) -> None:
    # the crop leaves the middle half of the width: x from 0.25 to 0.75
    objects = {
        1000 + image: [("dog", (0, 0, 4, 4)), ("cat", (6, 0, 4, 4))] for image in range(IMAGES)
    }
    objects[1003] = [("dog", (2, 0, 4, 4))]
    objects[1006] = [("dog", (1, 0, 4, 4))]
    del objects[1004]
    captions = {1000 + image: [f"image {image}", "naïve"] for image in range(IMAGES - 1)}
    paths = [
        nsd_writer.write_coco_captions(tmp_path / "captions.json", captions),
        nsd_writer.write_coco_instances(
            tmp_path / "instances.json", objects, categories=SUPERCATEGORIES, side=16
        ),
    ]
    images = nsd.read_images(
        written.root, subjects=["subj01", "subj02"], captions=paths[:1], instances=paths[1:]
    )
    dataset = build_stimuli(images)
    shown = [
        np.unique(written.subject_images[s][written.ordering[:n]]) for s, n in ((0, 120), (1, 60))
    ]
    np.testing.assert_array_equal(dataset["image"], np.union1d(*shown))
    for column, images in enumerate(shown):
        np.testing.assert_array_equal(dataset["seen"][:, column], np.isin(dataset["image"], images))
    np.testing.assert_array_equal(dataset["shared"], np.isin(dataset["image"], written.shared))
    np.testing.assert_array_equal(dataset["held_out"], dataset["shared"])
    np.testing.assert_array_equal(dataset["coco_id"], dataset["image"] + 1000)
    np.testing.assert_array_equal(dataset["crop"], [[0, 0, 0.25, 0.25]] * dataset.sizes["image"])
    one = dataset.sel(image=3)
    assert one["captions"].item() == '["image 3", "naïve"]'
    assert dataset.sel(image=IMAGES - 1)["captions"].item() == "[]"
    assert list(dataset["category"].values) == ["dog", "cat"]
    assert dataset["supercategory"].sel(category="cat") == "animal"
    # of a dog at x from 2 to 6 of 16 the crop leaves a half, from 1 to 5 a quarter
    assert not dataset.sel(image=6)["category_present"].any()
    assert one["category_present"].values.tolist() == [True, False]
    assert dataset.sel(image=5)["category_present"].values.tolist() == [False, True]
    assert not dataset.sel(image=4)["annotated"] and dataset.sel(image=5)["annotated"]


def test_categories_are_read_alone_as_with_all_objects(tmp_path: Path) -> None:
    paths = [
        nsd_writer.write_coco_instances(tmp_path / name, {7: []}, categories=categories, side=4)
        for name, categories in (("a.json", SUPERCATEGORIES), ("b.json", SUPERCATEGORIES))
    ]
    # A name that reads as the key, behind which no list stands, is passed over.
    text = json.loads(paths[1].read_text())
    text = {"info": {"categories": "two"}} | text
    del text["categories"][1]["supercategory"]
    paths[1].write_text(json.dumps(text))
    assert coco.read_categories(paths[:1]) == SUPERCATEGORIES
    assert coco.read_categories(paths) == {"dog": "animal", "cat": ""}
    assert coco.read_instances(paths, coco_ids=[7])[0] == coco.read_categories(paths)
    for content, problem in (
        ("{}", "with a list categories, found none"),
        ('{"categories": [{]}', "expected JSON, found something else"),
        ("", "expected JSON, found something else"),
    ):
        paths[0].write_text(content)
        with pytest.raises(InputError, match=problem):
            coco.read_categories(paths)


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        ({"annotations": [{"image_id": 1}]}, True),
        ({"annotations": [{"image_id": 1}], "info": {"year": 2017}}, True),
        ({"annotations": [{"image_id": 1}], "year": 2017}, True),
        ({"annotations": [{"image_id": 1}], "info": "a {braced} text"}, True),
        ({"annotations": [{"image_id": 1}, {"image_id": 2}]}, False),
    ],
)
def test_annotations_are_seen_to_be_whole_whatever_they_end_with(tmp_path, content, whole):
    path, text = tmp_path / "captions.json", json.dumps(content, indent=1)
    path.write_text(text + "\n" if whole else text[: text.rindex("}", 0, text.rindex("]")) + 1])
    assert (coco.list_missing([path]) == []) == whole


def test_behaviour_and_information_agree_with_the_design(written: World) -> None:
    table = pd.read_csv(written.file("nsddata/ppdata/{}/behav/responses.tsv"), sep="\t")
    design = nsd_files.read_design(written.root)
    trials = design.trial_images("subj01")
    np.testing.assert_array_equal(table["73KID"] - 1, trials)
    np.testing.assert_array_equal(table["10KID"] - 1, design.master_ordering)
    information = nsd_files.read_information(written.root)
    for image, row in information[information["subject1"] == 1].iterrows():
        shown = [row[f"subject1_rep{n}"] for n in range(3)]
        np.testing.assert_array_equal(shown, np.flatnonzero(trials == image) + 1)


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (World(tmp_path / name).write() for name in ("a", "b"))
    files = sorted(path.relative_to(first.root) for path in first.root.rglob("*.*"))
    assert len(files) > 20
    for name in files:
        if name.suffix not in (".mat",):
            assert (first.root / name).read_bytes() == (second.root / name).read_bytes(), name


# --- what the check sees beyond the faults of tests/data/test_nsd_faults.py -------------------


def expect_one(problems: list[str], *parts: str) -> None:
    assert len(problems) == 1, problems
    for part in parts:
        assert part in problems[0], (part, problems[0])
    assert "\n" not in problems[0]


def test_a_gap_between_sessions_is_refused(world: World) -> None:
    world.file(BETAS + "/betas_session01.nii.gz").unlink()
    with pytest.raises(InputError, match="betas_session01: expected a file .hdf5 or .nii.gz"):
        nsd.read_subject(world.root, "subj01")


def test_sessions_beyond_those_that_are_read_may_be_missing(world: World) -> None:
    world.file(BETAS + "/betas_session02.nii.gz").unlink()
    assert world.check(sessions=1) == []


def test_a_missing_t_map_matters_only_where_it_cuts_a_region(world: World) -> None:
    world.file("nsddata/ppdata/{}/func1pt8mm/floc_facestval.nii.gz").unlink()
    assert world.check() == []


def test_check_names_a_nifti_that_ends_early_but_cleanly(world: World) -> None:
    path = world.file(BETAS + "/betas_session01.nii.gz")
    with gzip.open(path) as file:
        content = file.read()
    path.write_bytes(gzip.compress(content[:-2000]))
    expect_one(world.check(), str(path), f"found a truncated file of {len(content) - 2000}")
    with pytest.raises(InputError, match="it ends in trial 59"):
        nsd.read_subject(world.root, "subj01").read_session(0)


def test_a_damaged_byte_of_a_session_is_told_by_the_checksum(world: World) -> None:
    path = world.file(BETAS + "/betas_session01.nii.gz")
    store_damaged(path)
    recording = nsd.read_subject(world.root, "subj01")
    with pytest.raises(InputError, match="betas_session01.*found a truncated or damaged file: CRC"):
        recording.read_session(0)


def test_check_accepts_a_nifti_of_several_gzip_members(world: World) -> None:
    path = world.file(BETAS + "/betas_session01.nii.gz")
    with gzip.open(path) as file:
        content = file.read()
    path.write_bytes(gzip.compress(content[:5000]) + gzip.compress(content[5000:]))
    assert world.check() == []


ROI = "nsddata/ppdata/{}/func1pt8mm/roi/floc-faces.nii.gz"


def test_a_volume_that_states_no_position_is_taken_as_it_lies(world: World) -> None:
    image = nib.Nifti1Image(world.faces.astype(np.int16), AFFINE)
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nib.save(image, world.file(ROI))
    assert world.check() == []


def test_check_names_an_empty_mask(world: World) -> None:
    path = world.root / "food.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, dtype=np.uint8), AFFINE), path)
    expect_one(
        world.check(rois={"food": "food.nii.gz"}),
        "ROI food: expected voxels in one of",
        "no voxel of subj01 is in food.nii.gz",
    )


def test_check_names_a_missing_mask(written: World) -> None:
    expect_one(
        written.check(rois={"food": "food.nii.gz"}),
        "food.nii.gz: expected a NIfTI file, found none",
    )


def test_check_names_an_unknown_subject(written: World) -> None:
    problems = written.check(subjects=["subj05"])
    assert any("expected sessions of betas" in problem for problem in problems)
    assert any("expected a row of subjectim for subj05" in problem for problem in problems)


def test_all_that_check_accepts_can_be_read(written: World) -> None:
    for subject in nsd_rois.list_subjects(written.root):
        assert written.check(subjects=[subject], rois=["FFA-1"]) == []
        build_responses(nsd.read_subject(written.root, subject))


def test_a_written_design_does_not_say_when_it_was_written(tmp_path: Path) -> None:
    nsd_writer.write_design(
        tmp_path,
        master_ordering=np.array([1, 2, 1]),
        subject_images=np.array([[1, 2]]),
        shared=np.array([1]),
    )
    data = (tmp_path / "nsddata/experiments/nsd/nsd_expdesign.mat").read_bytes()
    assert data[:116].decode().strip() == "MATLAB 5.0 MAT-file"
    assert nsd_files.read_design(tmp_path)
