"""Faults in the Algonauts 2023 data: each gives one sentence, and no traceback."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.faults import Damaged, Faults, hold_to_one_sentence
from tests.data.random_algonauts import SUBJECTS, RandomAlgonauts

ROIS = {"FFA-1": "FFA-1", "V1v": "V1v"}
FMRI = "subj01/training_split/training_fmri"
IMAGES = "subj01/training_split/training_images"
MASKS = "subj01/roi_masks"

faults = Faults()
fault = faults.add


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RandomAlgonauts:
    return RandomAlgonauts(tmp_path_factory.mktemp("whole"), seed=5, regular=True)


def copy_world(whole: RandomAlgonauts, folder: Path) -> Damaged:
    return Damaged(whole.root, whole.key, folder / "own", subjects=SUBJECTS, rois=ROIS)


def first_image(world: Damaged) -> Path:
    return sorted(world.path(IMAGES).iterdir())[0]


@fault("dataset.root: expected the dataset's folder, found none at /", "/own")
def root_is_missing(world):
    shutil.rmtree(world.root)


@fault("own/subj01: expected the folder of subj01, found none")
def subject_is_missing(world):
    shutil.rmtree(world.path("subj01"))


@fault("subjects: expected a name such as subj01, found 'sub-01'")
def subject_is_misnamed(world):
    world.subjects = ["sub-01"]


@fault("training_images: expected the folder of training images, found none")
def images_are_missing(world):
    shutil.rmtree(world.path(IMAGES))


@fault("training_images: expected images such as train-0001_nsd-00013.png, found none")
def there_are_no_images(world):
    for path in world.path(IMAGES).iterdir():
        path.unlink()


@fault("training_images: expected an image for each row from 1 to 40, found none for row 1")
def an_image_is_missing(world):
    first_image(world).unlink()


@fault("lh_training_fmri.npy: expected a response to each of the 39 training images, found 40")
def the_last_image_is_missing(world):
    sorted(world.path(IMAGES).iterdir())[-1].unlink()


@fault("image.png: expected a name such as train-0001_nsd-00013.png, found another")
def an_image_is_misnamed(world):
    shutil.copy(first_image(world), world.path(IMAGES) / "image.png")


@fault("_nsd-99999.png: expected one image for each row, found train-0001_nsd-")
def a_row_has_two_images(world):
    shutil.copy(first_image(world), world.path(IMAGES) / "train-0001_nsd-99999.png")


@fault("training_images: expected each nsdId once, found", "more than once")
def an_image_is_there_twice(world):
    name = first_image(world).name.replace("0001", "0041", 1)
    shutil.copy(first_image(world), world.path(IMAGES) / name)


@fault("nsd-", ".png: expected an image as PNG, JPEG, BMP, GIF, TIFF, WEBP, found something else")
def an_image_is_a_web_page(world):
    first_image(world).write_text("<html>403</html>")


@fault(".png: expected square images of one size, 16 × 16 pixels, found 20 × 16")
def an_image_has_another_size(world):
    Image.new("RGB", (16, 20)).save(sorted(world.path(IMAGES).iterdir())[3])


@fault("rh_training_fmri.npy: expected an array of NumPy, found no file")
def a_hemisphere_is_missing(world):
    world.path(f"{FMRI}/rh_training_fmri.npy").unlink()


@fault("lh_training_fmri.npy: expected a whole array of NumPy, found a damaged one")
def responses_are_cut_off(world):
    path = world.path(f"{FMRI}/lh_training_fmri.npy")
    path.write_bytes(path.read_bytes()[:-100])


@fault("lh_training_fmri.npy: expected an array of numbers, found Python objects (a pickle)")
def responses_are_a_pickle(world):
    np.save(world.path(f"{FMRI}/lh_training_fmri.npy"), np.array([{}, []], dtype=object))


@fault("lh_training_fmri.npy: expected an array of 2 axes, found shape (40,)")
def responses_have_one_axis(world):
    np.save(world.path(f"{FMRI}/lh_training_fmri.npy"), np.zeros(40))


@fault("lh_training_fmri.npy: expected z-scored responses as floats, found int64")
def responses_are_whole_numbers(world):
    np.save(world.path(f"{FMRI}/lh_training_fmri.npy"), np.zeros((40, 5), dtype=int))


@fault("rh_training_fmri.npy: expected the 40 images of lh_training_fmri.npy, found 39")
def hemispheres_differ(world):
    path = world.path(f"{FMRI}/rh_training_fmri.npy")
    np.save(path, np.load(path)[:-1])


@fault("lh.all-vertices_fsaverage_space.npy: expected the 163842 vertices of fsaverage, found 100")
def surface_is_another_one(world):
    np.save(world.path(f"{MASKS}/lh.all-vertices_fsaverage_space.npy"), np.ones(100))


@fault("lh.all-vertices_fsaverage_space.npy: expected the", "of lh_training_fmri.npy, found 0")
def vertices_do_not_match(world):
    np.save(world.path(f"{MASKS}/lh.all-vertices_fsaverage_space.npy"), np.zeros(163842))


@fault("lh.floc-faces_challenge_space.npy: expected a label for each of", "vertices, found 3")
def roi_has_another_length(world):
    np.save(world.path(f"{MASKS}/lh.floc-faces_challenge_space.npy"), np.zeros(3))


@fault("lh.floc-faces_challenge_space.npy: expected whole numbers as labels, found others")
def roi_is_no_label(world):
    path = world.path(f"{MASKS}/lh.floc-faces_challenge_space.npy")
    np.save(path, np.load(path) + 0.5)


class Call:
    def __reduce__(self):
        return os.getcwd, ()


@fault("mapping_floc-faces.npy: expected a mapping of numbers to texts, found posix.getcwd")
def mapping_calls_something(world):
    np.save(world.path(f"{MASKS}/mapping_floc-faces.npy"), np.array({1: Call()}, dtype=object))


@fault("mapping_floc-faces.npy: expected a mapping of labels, found a damaged one")
def mapping_is_cut_off(world):
    path = world.path(f"{MASKS}/mapping_floc-faces.npy")
    path.write_bytes(path.read_bytes()[:-30])


@fault("mapping_floc-faces.npy: expected a mapping of numbers to names, found something else")
def mapping_is_a_list(world):
    np.save(world.path(f"{MASKS}/mapping_floc-faces.npy"), np.array({"OFA": 1}, dtype=object))


@fault("mapping_floc-faces.npy: expected one mapping of labels, found an array of float64")
def mapping_is_an_array(world):
    np.save(world.path(f"{MASKS}/mapping_floc-faces.npy"), np.zeros(3))


@fault("ROI 'FFA1': expected one of the regions of", "found no such name; the nearest is FFA-1")
def roi_is_unknown(world):
    world.rois["FFA"] = "FFA1"


@fault("ROI 'nsdgeneral': expected one of the regions of")
def voxel_set_is_unknown(world):
    world.key["voxels"] = ["nsdgeneral"]


@fault("ROI V1v: expected voxels in one of subj01, subj02, found none: none of its")
def roi_lies_outside_of_the_voxel_set(world):
    world.key["voxels"] = ["V1d"]
    world.rois = {"V1v": "V1v"}


@fault("dataset.algonauts.information: expected NSD's nsd_stim_info_merged.csv")
def captions_without_information(world):
    world.path("captions.json").write_text('{"annotations": []}')
    world.key["captions"] = [str(world.path("captions.json"))]


@fault("absent.csv: expected the table of images, found no file")
def information_is_missing(world):
    world.key["algonauts"]["information"] = str(world.path("absent.csv"))


@fault("dataset.algonauts.repeats: expected the trials that a response is the mean of")
def repeats_are_not_told(world):
    for subject in SUBJECTS:
        for side in ("lh", "rh"):
            np.save(world.path(f"{subject}/{side}.ncsnr.npy"), np.ones(163842))
    world.key["algonauts"]["ncsnr"] = "{subject}/{hemisphere}.ncsnr.npy"


@fault("lh.ncsnr.mgh: expected the published ncsnr of subj01, found no file")
def ncsnr_is_missing(world):
    world.key["algonauts"] |= {"ncsnr": "{subject}/{hemisphere}.ncsnr.mgh", "repeats": 3}
    world.subjects = ["subj01"]


@fault("ncsnr.npy: expected the 163842 vertices of", "found 5")
def ncsnr_is_of_another_surface(world):
    for side in ("lh", "rh"):
        np.save(world.path(f"{side}.ncsnr.npy"), np.ones(5))
    world.key["algonauts"] |= {"ncsnr": "{hemisphere}.ncsnr.npy", "repeats": 3}


@fault("ncsnr.npy: expected an ncsnr, which is rarely above 1, found 60 in the median", "percent")
def ncsnr_is_a_ceiling_in_percent(world):
    for side in ("lh", "rh"):
        np.save(world.path(f"{side}.ncsnr.npy"), np.full(163842, 60.0))
    world.key["algonauts"] |= {"ncsnr": "{hemisphere}.ncsnr.npy", "repeats": 3}


@fault("dataset.algonauts.ncsnr: expected {hemisphere} in the path, found ncsnr.npy")
def ncsnr_is_of_no_hemisphere(world):
    world.key["algonauts"] |= {"ncsnr": "ncsnr.npy", "repeats": 3}


HARMLESS = {
    "captions_without_information",
    "repeats_are_not_told",
    "roi_lies_outside_of_the_voxel_set",
}
"""What the reader can go on with, leaving something out or unknown."""


def test_there_are_at_least_fifteen_faults() -> None:
    assert len(faults.table) >= 15


@pytest.mark.parametrize("name", faults.table)
def test_each_fault_gives_its_own_sentence(
    whole: RandomAlgonauts, tmp_path: Path, name: str
) -> None:
    world = copy_world(whole, tmp_path)
    _, damage, parts = faults.table[name]
    hold_to_one_sentence(world, damage, parts, harmless=name in HARMLESS)


def test_all_faults_are_told_at_once_and_in_order(whole: RandomAlgonauts, tmp_path: Path) -> None:
    world = copy_world(whole, tmp_path)
    faulty = (roi_is_unknown, voxel_set_is_unknown, hemispheres_differ, an_image_is_missing)
    for damage in faulty:
        damage(world)
    said = world.check()
    assert "training_images: expected an image for each row" in said[0]
    assert "rh_training_fmri.npy" in said[1]
    assert len(said) == 4, said


def test_no_fault_is_seen_in_a_whole_dataset(whole: RandomAlgonauts, tmp_path: Path) -> None:
    world = copy_world(whole, tmp_path)
    assert world.check() == []
    world.read_all()
