"""Laws of maps: numbers lie where their voxels are, in the space of the recording."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

from mine.datasets import listing
from mine.datasets.maps import read_map, write_map
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


def make_list() -> ListedVoxels:
    return ListedVoxels(
        name=np.array(["NA", "b", "c"]),
        number=np.array([4, 2, 7]),
        hemisphere=np.array(["left", "unknown", "right"]),
        space="list",
    )


GEOMETRIES = {
    "volume": (lambda: make_volume([[0, 1, 2], [3, 0, 1], [1, 2, 4]]), ["a.nii.gz"]),
    "surface": (make_surface, ["a.lh.gii", "a.rh.gii"]),
    "list": (make_list, ["a.tsv"]),
}


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("labels", [False, True])
def test_what_is_written_is_read_again_and_nothing_elsewhere(
    tmp_path: Path, geometry: str, several: bool, labels: bool
):
    make, names = GEOMETRIES[geometry]
    voxels, paths = make(), [tmp_path / name for name in names]
    values = (
        np.array([[2, 0], [0, 1], [40, 3]]) if labels else np.float32([[1, 2], [3, 0], [-1, 5]])
    )
    values, titles = (values, ["words", "t"]) if several else (values[:, 0], ["value"])
    keep = np.array([True, False, True])
    write_map(paths, values[keep], voxels.select(keep), titles=titles)
    expected = np.where(keep[:, None] if several else keep, values, 0 if labels else np.nan)
    np.testing.assert_array_equal(read_map(paths, voxels), expected)


def test_several_maps_are_a_fourth_axis_arrays_or_columns(tmp_path: Path):
    values, titles = np.array([[1, 0], [0, 3], [2, 2]]), ["words", "localiser"]
    for make, names in GEOMETRIES.values():
        paths = [tmp_path / name for name in names]
        write_map(paths, values, make(), names={1: "faces"}, titles=titles)
    volume = np.asarray(nibabel.load(tmp_path / "a.nii.gz").dataobj)
    assert volume.shape == (4, 3, 5, 2) and volume.dtype == np.int16
    assert volume[0, 1, 2].tolist() == [1, 0] and volume.sum() == 8
    left = nibabel.load(tmp_path / "a.lh.gii")
    assert [array.meta["Name"] for array in left.darrays] == titles
    assert [array.data.tolist() for array in left.darrays] == [[0, 1, 0, 0, 0], [0, 0, 0, 3, 0]]
    assert left.labeltable.get_labels_as_dict()[1] == "faces"
    table = pd.read_csv(tmp_path / "a.tsv", sep="\t")
    assert list(table.columns) == ["index", "name", "hemisphere", *titles]
    assert table["localiser"].tolist() == [0, 3, 2]


def test_a_table_without_rows_has_no_label(tmp_path: Path):
    voxels = make_list()
    nobody = voxels.select(np.zeros(3, bool))
    write_map(tmp_path / "a.tsv", np.zeros(0, np.int32), nobody)
    assert read_map(tmp_path / "a.tsv", voxels).tolist() == [0, 0, 0]


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
