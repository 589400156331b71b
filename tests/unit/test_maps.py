"""Laws of maps: numbers lie where their voxels are, in the space of the recording."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

from mine.datasets import listing
from mine.datasets.maps import write_map
from mine.datasets.voxels import ListedVoxels, SurfaceVoxels, VolumeVoxels
from mine.sections import Dataset

AFFINE = np.array([[1.8, 0, 0, -9], [0, 1.8, 0, -7], [0, 0, 1.8, -5], [0, 0, 0, 1.0]])


def make_volume(places: list[list[int]]) -> VolumeVoxels:
    ijk = np.array(places, dtype=np.int64).reshape(-1, 3)
    hemisphere = np.full(len(ijk), "unknown")
    return VolumeVoxels(
        ijk=ijk, shape=(4, 3, 5), affine=AFFINE, hemisphere=hemisphere, space="func1pt8mm"
    )


def make_surface() -> SurfaceVoxels:
    return SurfaceVoxels(
        vertex=np.array([1, 3, 0]),
        vertices=(5, 4),
        hemisphere=np.array(["left", "left", "right"]),
        space="fsaverage",
    )


def test_labels_lie_where_their_voxels_are(tmp_path: Path):
    write_map(tmp_path / "a.nii.gz", np.array([2, 1]), make_volume([[0, 1, 2], [3, 0, 1]]))
    image = nibabel.load(tmp_path / "a.nii.gz")
    volume = np.asarray(image.dataobj)
    assert volume.shape == (4, 3, 5) and volume.sum() == 3
    assert volume[0, 1, 2] == 2 and volume[3, 0, 1] == 1
    assert np.allclose(image.affine, AFFINE) and image.header.get_xyzt_units()[0] == "mm"


def test_no_voxel_gives_an_empty_volume(tmp_path: Path):
    write_map(tmp_path / "a.nii.gz", np.zeros(0, np.int32), make_volume([]))
    assert not np.asarray(nibabel.load(tmp_path / "a.nii.gz").dataobj).any()


def test_measurements_are_nan_where_there_is_no_voxel(tmp_path: Path):
    write_map(tmp_path / "a.nii.gz", np.array([0.5, 0.0]), make_volume([[0, 1, 2], [3, 0, 1]]))
    volume = np.asarray(nibabel.load(tmp_path / "a.nii.gz").dataobj)
    assert volume.dtype == np.float32 and np.isfinite(volume).sum() == 2
    assert volume[0, 1, 2] == 0.5 and volume[3, 0, 1] == 0


def test_labels_of_surfaces_keep_their_names(tmp_path: Path):
    paths = [tmp_path / f"{side}.label.gii" for side in ("lh", "rh")]
    write_map(paths, np.array([2, 1, 1]), make_surface(), names={1: "faces"})
    left, right = map(nibabel.load, paths)
    assert left.darrays[0].data.tolist() == [0, 2, 0, 1, 0]
    assert right.darrays[0].data.tolist() == [1, 0, 0, 0]
    assert left.labeltable.get_labels_as_dict() == {0: "none", 1: "faces", 2: "2"}
    assert left.meta["AnatomicalStructurePrimary"] == "CortexLeft"
    assert right.meta["AnatomicalStructurePrimary"] == "CortexRight"


def test_measurements_of_surfaces(tmp_path: Path):
    paths = [tmp_path / f"{side}.func.gii" for side in ("lh", "rh")]
    write_map(paths, np.array([0.5, -1.0, 2.0]), make_surface())
    left, right = (nibabel.load(path).darrays[0].data for path in paths)
    np.testing.assert_array_equal(left, np.float32([np.nan, 0.5, np.nan, -1, np.nan]))
    np.testing.assert_array_equal(right, np.float32([2, np.nan, np.nan, np.nan]))


def test_a_list_becomes_a_table(tmp_path: Path):
    voxels = ListedVoxels(
        name=np.array(["a", "b"]),
        number=np.array([4, 2]),
        hemisphere=np.array(["left", "unknown"]),
        space="list",
    )
    write_map(tmp_path / "a.tsv", np.array([3, 1]), voxels)
    table = pd.read_csv(tmp_path / "a.tsv", sep="\t")
    assert table.to_dict("list") == {
        "index": [4, 2],
        "name": ["a", "b"],
        "hemisphere": ["left", "unknown"],
        "value": [3, 1],
    }


@pytest.mark.parametrize(
    ("space", "labels", "names"),
    [
        ("func1mm", True, ["a.nii.gz"]),
        ("func1pt8mm", False, ["a.nii.gz"]),
        ("fsaverage", True, ["a.lh.label.gii", "a.rh.label.gii"]),
        ("nativesurface", False, ["a.lh.func.gii", "a.rh.func.gii"]),
    ],
)
def test_a_rule_knows_the_files_of_a_map(space: str, labels: bool, names: list[str]):
    assert listing.list_maps(Dataset(root="nsd", space=space), "a", labels=labels) == names
