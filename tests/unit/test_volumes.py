"""Laws of volumes: labels lie where their voxels are, in the space of the recording."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from mine.core.volumes import write_labels

AFFINE = np.array([[1.8, 0, 0, -9], [0, 1.8, 0, -7], [0, 0, 1.8, -5], [0, 0, 0, 1.0]])


def test_labels_lie_where_their_voxels_are(tmp_path: Path):
    ijk = np.array([[0, 1, 2], [3, 0, 1]])
    write_labels(tmp_path / "a.nii.gz", np.array([2, 1]), ijk, (4, 3, 5), AFFINE)
    image = nibabel.load(tmp_path / "a.nii.gz")
    volume = np.asarray(image.dataobj)
    assert volume.shape == (4, 3, 5) and volume.sum() == 3
    assert volume[0, 1, 2] == 2 and volume[3, 0, 1] == 1
    assert np.allclose(image.affine, AFFINE) and image.header.get_xyzt_units()[0] == "mm"


def test_no_voxel_gives_an_empty_volume(tmp_path: Path):
    nothing = np.zeros((0, 3), np.int32)
    write_labels(tmp_path / "a.nii.gz", np.zeros(0, np.int32), nothing, [4, 3, 5], AFFINE)
    assert not np.asarray(nibabel.load(tmp_path / "a.nii.gz").dataobj).any()


def test_several_maps_are_a_fourth_axis(tmp_path: Path):
    labels = np.array([[1, 0], [0, 3]])
    ijk = np.array([[0, 1, 2], [3, 2, 1]])
    write_labels(tmp_path / "a.nii.gz", labels, ijk, (4, 4, 4), np.eye(4))
    volume = np.asarray(nibabel.load(tmp_path / "a.nii.gz").dataobj)
    assert volume.shape == (4, 4, 4, 2) and volume.sum() == 4
    np.testing.assert_array_equal(volume[tuple(ijk.T)], labels)
