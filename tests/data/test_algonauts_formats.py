"""Laws of reading the Algonauts 2023 data: what is read equals a literal reader."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from mine.datasets import numpy_files
from mine.datasets.reader import open_dataset
from mine.datasets.voxels import voxels_of
from mine.errors import InputError
from mine.stages.stimuli import build_stimuli
from tests.data.random_algonauts import ATLASES, FSAVERAGE, SUBJECTS, RandomAlgonauts
from tests.reference import algonauts_readers
from tests.reference.nsd_readers import read_values
from tests.reference.responses import build_responses

SEEDS = 6
ROIS = {name: name for name in ("V1v", "FFA-1", "ventral")}


@pytest.mark.parametrize("seed", range(SEEDS))
def test_responses_equal_those_of_a_literal_reader(tmp_path: Path, seed: int) -> None:
    world = RandomAlgonauts(tmp_path, seed=seed)
    reader = open_dataset(world.key)
    assert reader.check(subjects=SUBJECTS, rois=ROIS) == []
    splits = {}
    for subject in SUBJECTS:
        found = build_responses(reader.read_subject(subject))
        identities, values = algonauts_readers.read_responses(tmp_path, subject)
        np.testing.assert_array_equal(found["image"], identities)
        np.testing.assert_array_equal(found["response"], values)
        assert np.isnan(found["noise_ceiling"]).all() and (found["repeats"] == 0).all()
        assert found.attrs["noise_ceiling_source"].startswith("none")
        assert found.attrs["test"] == "dataset"
        splits[subject] = dict(zip(identities.tolist(), found["split"].values, strict=True))
        left = np.load(tmp_path / subject / "training_split/training_fmri/lh_training_fmri.npy")
        sides = np.where(np.arange(values.shape[1]) < left.shape[1], "left", "right")
        np.testing.assert_array_equal(found["hemisphere"], sides)
        if world.placed:
            vertices = np.concatenate(algonauts_readers.read_vertices(tmp_path, subject))
            np.testing.assert_array_equal(found["vertex"], vertices)
            assert found.attrs["vertices"] == [FSAVERAGE, FSAVERAGE]
        assert (found["space"] == ("fsaverage" if world.placed else "challenge")).all()
    both = splits["subj01"].keys() & splits["subj02"].keys()
    assert all(splits["subj01"][image] == splits["subj02"][image] for image in both)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_rois_equal_those_of_a_literal_reader(tmp_path: Path, seed: int) -> None:
    world = RandomAlgonauts(tmp_path, seed=seed)
    reader = open_dataset(world.key)
    for subject in SUBJECTS:
        expected = {
            name: algonauts_readers.read_roi(tmp_path, subject, atlas, name)
            for atlas, mapping in ATLASES.items()
            for name in mapping.values()
            if name in ROIS and (tmp_path / subject / f"roi_masks/mapping_{atlas}.npy").is_file()
        }
        if world.on_fsaverage:
            for path in (tmp_path / subject / "roi_masks").glob("*_challenge_space.npy"):
                path.unlink()
        stored = build_responses(reader.read_subject(subject))
        rois = reader.read_rois(subject, rois=ROIS, voxels=voxels_of(stored))
        assert set(rois["roi"].values) == set(expected)
        assert set(rois.attrs["absent"]) == set(ROIS) - set(expected)
        for name, inside in expected.items():
            np.testing.assert_array_equal(rois["member"].sel(roi=name), inside)
            assert rois["size"].sel(roi=name) == inside.sum()


def test_voxel_set_of_rois(tmp_path: Path) -> None:
    world = RandomAlgonauts(tmp_path, seed=1, regular=True)
    reader = open_dataset({**world.key, "voxels": ["streams:ventral", "V1v"]})
    recording = reader.read_subject("subj01")
    inside = algonauts_readers.read_roi(tmp_path, "subj01", "streams", "ventral")
    inside = inside | algonauts_readers.read_roi(tmp_path, "subj01", "prf-visualrois", "V1v")
    _, values = algonauts_readers.read_responses(tmp_path, "subj01")
    np.testing.assert_array_equal(recording.read_session(0), values[:, inside])
    rois = reader.read_rois("subj01", rois={"FFA-1": "FFA-1"}, voxels=recording.voxels)
    faces = algonauts_readers.read_roi(tmp_path, "subj01", "floc-faces", "FFA-1")
    np.testing.assert_array_equal(rois["member"].sel(roi="FFA-1"), faces[inside])


def test_published_ncsnr_gives_a_noise_ceiling(tmp_path: Path) -> None:
    world = RandomAlgonauts(tmp_path, seed=2, regular=True)
    world.write_ncsnr()
    reader = open_dataset(world.key)
    assert reader.check(subjects=SUBJECTS, rois={}) == []
    found = build_responses(reader.read_subject("subj02"))
    vertices = algonauts_readers.read_vertices(tmp_path, "subj02")
    ncsnr = np.concatenate(
        [
            read_values(tmp_path / f"subj02/{side}.ncsnr.mgh").ravel()[own]
            for side, own in zip(("lh", "rh"), vertices, strict=True)
        ]
    )
    np.testing.assert_allclose(found["ncsnr"], ncsnr, rtol=1e-6)
    np.testing.assert_allclose(found["noise_ceiling"], ncsnr**2 / (ncsnr**2 + 1 / 3), rtol=1e-5)
    assert (found["repeats"] == 3).all()


def test_images_are_those_of_the_training_split(tmp_path: Path) -> None:
    world = RandomAlgonauts(tmp_path, seed=3, regular=True)
    world.write_information()
    captions = {
        "annotations": [{"image_id": image + 7, "caption": f"{image}"} for image in world.pixels]
    }
    (tmp_path / "captions.json").write_text(json.dumps(captions))
    reader = open_dataset({**world.key, "captions": [str(tmp_path / "captions.json")]})
    stimuli = build_stimuli(reader.read_images(SUBJECTS))
    own = {name: algonauts_readers.read_responses(tmp_path, name)[0] for name in SUBJECTS}
    np.testing.assert_array_equal(stimuli["image"], np.union1d(own["subj01"], own["subj02"]))
    for subject in SUBJECTS:
        np.testing.assert_array_equal(
            stimuli["seen"].sel(subject=subject), np.isin(stimuli["image"], own[subject])
        )
    tested = set()
    for subject in SUBJECTS:
        found = build_responses(reader.read_subject(subject))
        tested |= set(found["image"].values[found["split"] == "test"])
    assert set(stimuli["image"].values[stimuli["held_out"]]) == tested
    np.testing.assert_array_equal(stimuli["shared"], stimuli["seen"].all("subject"))
    assert (stimuli["held_out"] != stimuli["shared"]).any()
    assert (stimuli["coco_id"] == stimuli["image"] + 7).all()
    assert json.loads(str(stimuli["captions"].values[4])) == [str(stimuli["image"].values[4])]
    pixels = reader.open_stimuli().read(stimuli["image"].values[[5, 0, 5]])
    for image, identity in zip(pixels, stimuli["image"].values[[5, 0, 5]], strict=True):
        np.testing.assert_array_equal(image, world.pixels[int(identity)])


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_mapping_is_read_whatever_the_pickle(tmp_path: Path, protocol: int) -> None:
    mapping = {0: "Unknown", np.int64(1): "V1v", 300: np.str_("V1d"), -2: "é" * 300}
    array = np.empty((), dtype=object)
    array[()] = mapping
    path = write_pickle(tmp_path, array, protocol)
    if protocol == 2:
        # bytes were still calls then
        with pytest.raises(InputError, match="_codecs"):
            numpy_files.read_literal(path)
        return
    assert numpy_files.read_literal(path) == mapping


class Harmful:
    def __reduce__(self):
        return os.mkdir, (str(Path(os.environ["HARM"])),)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickle_is_never_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    monkeypatch.setenv("HARM", str(tmp_path / "harm"))
    array = np.empty((), dtype=object)
    array[()] = {1: Harmful()}
    path = write_pickle(tmp_path, array, protocol)
    with pytest.raises(InputError, match="which is not read"):
        numpy_files.read_literal(path)
    assert not (tmp_path / "harm").exists()
    np.load(path, allow_pickle=True)
    assert (tmp_path / "harm").exists(), "the pickle was not a harmful one"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"}.",
        b"]\x94h\x00a.",
        b"(lp0\ng0\na.",
        b"\x80\x04N.",
        b"\x80\x04K\x01K\x02s.",
        b"cbuiltins\neval\n(Vos\ntR.",
        b"\x80\x04]\x94(h\x00h\x00e.",
    ],
)
def test_odd_pickles_give_a_sentence_or_a_value(tmp_path: Path, content: bytes) -> None:
    path = write_pickle(tmp_path, None, 4, content)
    try:
        numpy_files.read_literal(path)
    except InputError as error:
        assert "\n" not in str(error)


def write_pickle(folder: Path, array: object, protocol: int, content: bytes | None = None) -> Path:
    path = folder / "mapping.npy"
    with open(path, "wb") as file:
        header = {"descr": "|O", "fortran_order": False, "shape": ()}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(pickle.dumps(array, protocol) if content is None else content)
    return path
