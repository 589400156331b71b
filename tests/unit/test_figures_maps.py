"""Maps of the brain show each label where it is, count it, and touch no global state."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import nibabel
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from PIL import Image

from mine.datasets.reader import open_dataset
from mine.datasets.voxels import SurfaceVoxels, VolumeVoxels
from mine.errors import InputError
from mine.figures.maps import (
    NO_CLUSTERS,
    Map,
    choose_slices,
    draw_counts,
    draw_maps,
    map_clusters,
    map_preferences,
    place_maps,
    straighten_labels,
    straighten_volume,
    tabulate_maps,
)
from mine.figures.style import HUES, MM_PER_INCH, SIZE, WIDTH, save_figure

SHAPE = (12, 10, 8)
AFFINE = np.array([[1.8, 0, 0, -10], [0, 1.8, 0, -8], [0, 0, 1.8, -6], [0, 0, 0, 1.0]])
NAMES = ["faces", "places"]


def make_volume() -> np.ndarray:
    """Faces on the left, places on the right, by all evidence but the localiser."""
    volume = np.zeros((*SHAPE, 4), np.int16)
    volume[2:4, 4:6, 3:6, :3] = 1
    volume[8:10, 4:6, 3:6, :3] = 2
    return volume


def make_mask() -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[1:11, 2:8, 2:7] = True
    return mask


def draw(maps, background: np.ndarray | None = None):
    return draw_maps(maps, mask=make_mask(), affine=AFFINE, background=background, subject="s1")


def count_pixels(path: Path, colour: str) -> np.ndarray:
    """Columns of the picture at which the colour is found, from 0 to 1."""
    pixels = np.asarray(Image.open(path).convert("RGB"))
    _, columns = np.nonzero((pixels == np.round(255 * np.array(to_rgb(colour)))).all(axis=-1))
    return columns / pixels.shape[1]


def test_evidence_without_a_preference_has_no_map():
    maps = map_preferences(make_volume(), NAMES)
    assert [each.title.split(": ")[1] for each in maps] == [
        "words",
        "predicted responses",
        "measured responses",
    ]


def test_clusters_of_regions_share_a_map_and_one_cluster_is_none():
    first, second = np.zeros((2, *SHAPE), int)
    first[0, 0, :3] = [1, 2, 3]
    second[0, 0, 2:5] = 1  # one voxel is of both regions
    found = map_clusters([first, second])
    assert found.labels[0, 0, :6].tolist() == [1, 2, 3, 4, 4, 0]
    assert found.names == ["cluster 1", "cluster 2", "cluster 3", NO_CLUSTERS]
    assert map_clusters([second]).names == [NO_CLUSTERS]
    assert map_clusters([first * 0]) is None and map_clusters([]) is None


def test_the_table_counts_voxels():
    table = tabulate_maps(map_preferences(make_volume(), NAMES))
    assert table["voxels"].tolist() == [12, 12] * 3 and table["name"].tolist() == NAMES * 3


def make_map(labels: np.ndarray) -> Map:
    return Map("map", labels, NAMES, list(HUES[:2]))


def test_slices_go_through_voxels_and_leave_no_label_out():
    labels = np.zeros(SHAPE, int)
    labels[:, :, 2:5] = 1
    labels[:, :, 4] = 1
    labels[3, 4, 6] = 2
    # Of three full slices and one of a single voxel the latter comes second.
    heights = [float(place) * 1.8 - 6 for place in range(SHAPE[2])]
    assert choose_slices([make_map(labels)], AFFINE, 2) == pytest.approx([heights[2], heights[6]])
    found = choose_slices([make_map(labels)], AFFINE, 9)
    assert found == pytest.approx([heights[place] for place in (2, 3, 4, 6)])


def test_slices_of_an_oblique_volume_are_a_voxel_apart():
    turned = np.eye(4)
    turned[1:3, 1:3] = 1.8 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    labels = np.ones(SHAPE, int)
    found = choose_slices([make_map(labels)], turned, 4)
    assert len(found) == 4 and np.diff(found).min() > 1.8 - 1e-9


def test_labels_are_drawn_on_their_side_in_their_colour(tmp_path: Path):
    maps = map_preferences(make_volume(), NAMES)[:1]
    for background in (None, np.random.default_rng(0).random(SHAPE, np.float32)):
        figure = draw(maps, background)
        for text in figure.findobj(Text):
            if text.get_text() in [f"{name} 12" for name in NAMES]:
                text.remove()
        save_figure(figure, tabulate_maps(maps), tmp_path / "a.png")
        left, right = (count_pixels(tmp_path / "a.png", HUES[place]) for place in (0, 1))
        assert len(left) and len(left) == pytest.approx(len(right), rel=0.2)
        # Slices of one size stand side by side: within each, faces are left of places.
        assert left.min() < right.min() and left.max() < right.max()


def make_oblique(degrees: float) -> np.ndarray:
    turn = np.deg2rad(degrees)
    affine = AFFINE.copy()
    affine[1:3, 1:3] = 1.8 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return affine


@pytest.mark.parametrize("degrees", [0, 15, -40])
def test_a_turned_volume_shows_no_label_and_no_grey_that_it_does_not_hold(degrees: float):
    labels = np.zeros(SHAPE, int)
    labels[2:4, 3:6, 3:6], labels[8:10, 3:6, 3:6] = 2, 5
    names = ["faces", "bodies", "places", "words", "food"]
    figure = draw_maps(
        [Map("map", labels, names, HUES[:5])],
        mask=make_mask(),
        affine=make_oblique(degrees),
        background=None,
        subject="s1",
    )
    behind, drawn = set(), set()
    for axes in figure.axes:
        if len(axes.images) == 2:
            first, second = (image.get_array() for image in axes.images)
            behind |= set(np.unique(first.astype(float).round(3)).tolist())
            drawn |= set(np.ma.unique(second).compressed().tolist())
    assert drawn == {2, 5}
    assert behind == {0.9, 1.0}  # white, not black, around what was turned


def test_a_straightened_volume_holds_what_was_there_and_the_given_outside():
    volume = np.random.default_rng(0).integers(3, 9, SHAPE).astype(np.int16)
    same, affine = straighten_volume(volume, AFFINE)
    np.testing.assert_array_equal(same, volume)
    np.testing.assert_array_equal(affine, AFFINE)
    turned, affine = straighten_volume(volume, make_oblique(20), 7)
    assert turned.dtype == volume.dtype and set(np.unique(turned)) == set(range(3, 9))
    np.testing.assert_allclose(affine[:3, :3], 1.8 * np.eye(3))
    assert (turned[:, 0, 0] == 7).all()  # a corner that nothing fills
    # Each point of the grid has the voxel that it lies in.
    points = np.argwhere(turned) @ affine[:3, :3].T + affine[:3, 3]
    inverse = np.linalg.inv(make_oblique(20))
    place = points @ inverse[:3, :3].T + inverse[:3, 3]
    inside = ((place >= 0) & (place <= np.array(SHAPE) - 1)).all(axis=1)
    ijk = np.rint(place[inside]).astype(int)
    np.testing.assert_array_equal(turned.ravel()[inside], volume[tuple(ijk.T)])


def test_no_voxel_that_stands_alone_is_lost_in_a_turned_volume():
    alone = [(0, 0, 0), (11, 9, 7), (5, 4, 3), (6, 9, 0)]
    labels = np.zeros(SHAPE, int)
    labels[tuple(np.transpose(alone))] = [1, 2, 3, 4]
    for degrees in range(-45, 46, 5):
        found = straighten_labels(labels, make_oblique(degrees))
        assert set(np.unique(found)) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(straighten_labels(labels, AFFINE), labels)


def test_the_colours_of_labels_are_not_grey_and_differ():
    clusters = map_clusters([np.arange(9), np.array([0] * 8 + [1])])
    assert len(clusters.colours) == 9
    for colour in clusters.colours:
        assert np.ptp(to_rgb(colour)) > 0.3
    for one, other in combinations(clusters.colours, 2):
        assert np.abs(np.subtract(to_rgb(one), to_rgb(other))).max() > 0.2
    assert map_preferences(make_volume(), NAMES)[0].colours == clusters.colours[:2]


@pytest.mark.parametrize("most", [2, 6, 9])
def test_slices_begin_below_the_legend(most: int):
    # Higher than wide, as brains are, so that slices fill their row.
    shape = (18, 22, 8)
    labels = np.zeros(shape, int)
    names = [f"cluster {number}" for number in range(1, most + 1)]
    labels[2 : 2 + most, 10:14, 2:6] = np.arange(1, most + 1)[:, None, None]
    figure = draw_maps(
        [Map("Clusters", labels, names, [*HUES, "#7F3F00"][:most])],
        mask=np.ones(shape, bool),
        affine=AFFINE,
        background=np.random.default_rng(0).random(shape, np.float32),
        subject="s1",
    )
    figure.draw_without_rendering()
    legend = [text for text in figure.texts if text.get_text().startswith("cluster ")]
    assert len(legend) == most
    slices = [axes.get_window_extent() for axes in figure.axes if axes.images]
    assert max(box.y1 for box in slices) < min(text.get_window_extent().y0 for text in legend)


def test_the_note_says_how_many_slices_are_not_drawn_and_what_is_behind():
    def say(labels: np.ndarray, background: np.ndarray | None) -> str:
        texts = [text.get_text() for text in draw([make_map(labels)], background).texts]
        return next(text for text in texts if text.startswith("s1")).replace("\n", " ")

    labels = np.zeros(SHAPE, int)
    labels[3, 4, 1:8] = 1
    text = say(labels, None)
    assert "6 of the 7 axial slices that hold a coloured voxel" in text and "Light grey" in text
    labels[3, 4, 1] = 0
    text = say(labels, np.random.default_rng(0).random(SHAPE, np.float32))
    assert "all axial slices that hold a coloured voxel" in text
    assert "Grey scale: the mean functional volume" in text and "Light grey" not in text


def test_type_can_be_read_and_no_global_figure_is_made(tmp_path: Path):
    from matplotlib import pyplot

    figure = draw(map_preferences(make_volume(), NAMES))
    assert figure.get_size_inches()[0] * MM_PER_INCH == pytest.approx(WIDTH)
    shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in shown) >= SIZE
    assert not pyplot.get_fignums()
    assert {"L", "R"} <= {text.get_text() for text in shown}


def test_a_legend_names_everything_and_stays_within_the_figure():
    labels = np.arange(1, 41)
    names = [f"a long name of {label}" for label in labels]
    each = Map("Many", labels, names, ["#0072B2"] * len(labels))
    figure = draw_counts([each], geometry="list", subject="s1")
    figure.draw_without_rendering()
    said = [text.get_text() for text in figure.texts]
    assert all(f"{name} 1" in said for name in names)
    boxes = [text.get_window_extent() for text in figure.texts]
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
    note = next(box for box, text in zip(boxes, said, strict=True) if text.startswith("s1:"))
    others = [box.y0 for box in boxes if box is not note]
    assert 0 <= note.y0 and note.y1 <= min(others)


def test_without_maps_it_is_said():
    text = [each.get_text() for each in draw([]).findobj(Text)]
    assert "No voxel prefers a category, and no region has clusters." in text


def make_voxels(shape: tuple[int, int, int] = SHAPE) -> VolumeVoxels:
    ijk = np.argwhere(np.ones(shape, bool))
    return VolumeVoxels(
        ijk=ijk,
        shape=shape,
        affine=AFFINE,
        hemisphere=np.full(len(ijk), "unknown"),
        space="func1pt8mm",
    )


def test_labels_of_voxels_are_put_where_these_lie():
    volume, mask = make_volume(), make_mask()
    voxels = make_voxels().select(mask.ravel())
    by_voxel = map_preferences(volume[tuple(voxels.ijk.T)], NAMES)
    for placed, each in zip(
        place_maps(by_voxel, voxels), map_preferences(volume, NAMES), strict=True
    ):
        np.testing.assert_array_equal(placed.labels, each.labels)
    assert tabulate_maps(by_voxel).equals(tabulate_maps(map_preferences(volume, NAMES)))


@pytest.mark.parametrize("geometry", ["surface", "list"])
def test_where_there_is_no_volume_it_is_said_and_counted(geometry: str):
    labels = np.array([[1, 1, 0, 0], [2, 0, 0, 0], [2, 0, 0, 0]])
    figure = draw_counts(map_preferences(labels, NAMES), geometry=geometry, subject="s1")
    text = " ".join(each.get_text().replace("\n", " ") for each in figure.findobj(Text))
    assert "places 2" in text and "faces 1" in text and "s1: its voxels lie" in text
    assert "drawn" in text and not figure.axes


def test_the_mean_volume_is_read_where_it_shows_something(tmp_path: Path):
    reader, voxels = open_dataset({"root": str(tmp_path)}), make_voxels()
    assert reader.read_background("subj01", voxels) is None
    folder = tmp_path / "nsddata/ppdata/subj01/func1pt8mm"
    folder.mkdir(parents=True)
    values = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    for given, found in ((np.full_like(values, 5), None), (values, values)):
        image = nibabel.Nifti1Image(given, AFFINE)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, folder / "mean.nii.gz")
        np.testing.assert_array_equal(reader.read_background("subj01", voxels), found)
    with pytest.raises(InputError, match="expected the shape"):
        reader.read_background("subj01", make_voxels((3, 3, 3)))
    surface = SurfaceVoxels(
        vertex=np.array([0]), vertices=(1, 1), hemisphere=np.array(["left"]), space="fsaverage"
    )
    assert reader.read_background("subj01", surface) is None
