"""The figure of a region's structure says what the store holds, and no more."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.text import Text

from mine.figures.strips import format_p
from mine.figures.structure import draw_structure, tabulate_structure
from mine.figures.style import MM_PER_INCH, SIZE, WIDTH, save_figure

WORDS = np.array(["face", "dog", "red", "happy", "beach", "car"])
VOXELS, OTHERS = 12, 20
"""Described ones, and all of the region."""


def make_structure(clusters: int, *, words: int = 2) -> xr.Dataset:
    random = np.random.default_rng(clusters)
    label = np.arange(VOXELS) % max(clusters, 1)
    draws = np.clip(random.normal(0.5, 0.1, (2, 2, 50)), 0, 1)
    voxels, others = (VOXELS, OTHERS) if clusters else (0, 0)
    listed = np.full((max(clusters, 1), 8), -1)
    if clusters > 1:
        listed[:, :words] = 1 + (np.arange(words) + np.arange(clusters)[:, None]) % 5
    shape = max(clusters, 1), 5
    mean = np.array([0.84, 0.44])
    dataset = xr.Dataset(
        {
            "word": ("group", np.arange(1, 6)),
            "identification_mean": ("source", mean if clusters else np.full(2, np.nan)),
            "identification_null": (("source", "null", "draw"), draws),
            "identification_p": (("source", "null"), [[0.005, 0.02], [0.7, 0.0004]]),
            "similarity": (
                ("source", "roi_voxel", "roi_other"),
                random.normal(0, 0.3, (2, others, others)),
            ),
            "explained": ("count", np.append(random.normal(0, 0.1, 6), np.nan)),
            "explained_null": ("draw", random.normal(-0.05, 0.02, 50)),
            "cluster": ("voxel", label[:voxels]),
            "stability": (
                "voxel",
                random.random(voxels) if clusters > 1 else np.full(voxels, np.nan),
            ),
            "together": (
                ("voxel", "other"),
                (label[:voxels, None] == label[:voxels]).astype(float),
            ),
            "cluster_z": (("cluster_number", "group"), random.normal(5, 2, shape)),
            "cluster_q": (("cluster_number", "group"), random.random(shape)),
            "cluster_word": (("cluster_number", "rank"), listed),
            "cluster_added": (("cluster_number", "rank"), random.random(listed.shape)),
            "cluster_added_p": (("cluster_number", "rank"), random.random(listed.shape) / 20),
            "exemplar": (("cluster_number", "exemplar"), random.integers(0, 9, (shape[0], 5))),
        },
        coords={
            "source": ["tuning", "attributions"],
            "null": ["shared", "spatial"],
            "count": np.arange(2, 9),
            "voxel": 100 + np.arange(voxels),
            "roi_voxel": 95 + np.arange(others),
        },
        attrs={
            "clusters": clusters,
            "clusters_p": 0.02 if clusters > 1 else 0.31,
            "shared_group": 0,
            "shared_word": 0,
        },
    )
    return dataset.isel(voxel=slice(0, voxels))


def draw(structure: xr.Dataset) -> Figure:
    pixels = np.zeros((9, 8, 8, 3), np.uint8)
    pictures = xr.DataArray(
        pixels, dims=("image", "row", "column", "channel"), coords={"image": np.arange(9)}
    )
    return draw_structure(
        structure, pictures, words=WORDS, voxels=20, least_voxels=10, region="FFA-1, subj01"
    )


def said(figure: Figure, gid: str | None = None) -> list[str]:
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    return [text.get_text() for text in shown if gid is None or text.get_gid() == gid]


def test_every_number_that_is_written_is_in_the_table():
    structure = make_structure(3)
    table = tabulate_structure(structure, words=WORDS)
    values = table[["value", "p", "q"]].to_numpy(float).ravel()
    known = {f"{value:.{digits}f}" for value in values for digits in (1, 2, 3)}
    known |= {"0.001"}
    written = " ".join(said(draw(structure), "number")).replace("−", "-")
    numbers = re.findall(r"-?\d+\.\d+", written)
    # Two identifications with two p each; stability of three clusters; two words with four each.
    assert len(numbers) == 2 * 3 + 3 + 3 * 2 * 4
    assert set(numbers) <= known


def test_a_null_that_could_not_be_drawn_is_named_and_has_no_numbers():
    structure = make_structure(3)
    structure["identification_null"].loc[{"null": "spatial"}] = np.nan
    structure["identification_p"].loc[{"null": "spatial"}] = np.nan
    assert said(draw(structure), "number").count("no places") == 2
    table = tabulate_structure(structure, words=WORDS)
    spatial = table[table["null"] == "spatial"]
    assert spatial["item"].tolist() == ["null"] * 2 and (spatial["n"] == 0).all()
    assert spatial[["value", "p"]].isna().all(axis=None)


def test_a_cluster_has_a_card_with_its_voxels_words_and_exemplars():
    structure = make_structure(3)
    figure = draw(structure)
    text = said(figure)
    assert "FFA-1, subj01: 3 clusters" in text
    assert [f"cluster {number}" in text for number in range(1, 5)] == [True] * 3 + [False]
    assert text.count("4 voxels") == 3
    for word in np.unique(structure["cluster_word"].values[:, :2]):
        assert text.count(WORDS[word]) == (structure["cluster_word"].values == word).sum()
    pictures = [
        axes for axes in figure.axes if axes.images and axes.images[0].get_array().ndim == 3
    ]
    assert len(pictures) == 3 * 4


def test_the_matrix_stands_by_cluster():
    figure = draw(make_structure(3))
    matrix = next(
        axes.images[0] for axes in figure.axes if axes.get_xlabel() == "Voxels, by cluster"
    )
    expected = np.kron(np.eye(3), np.ones((4, 4)))
    assert (np.asarray(matrix.get_array()) == expected).all()


def test_halves_are_compared_over_all_voxels_with_those_in_no_cluster_last():
    structure = make_structure(3)
    structure["stability"] = structure["stability"] * 0 + np.arange(VOXELS, 0, -1)
    figure = draw(structure)
    axes = next(axes for axes in figure.axes if axes.get_xlabel() == "Voxels, second half")
    clustered = 5 + np.argsort(structure["cluster"].values, kind="stable")
    order = np.concatenate([clustered, np.arange(5), np.arange(17, OTHERS)])
    expected = structure["similarity"].sel(source="tuning").values[np.ix_(order, order)]
    assert (np.asarray(axes.images[0].get_array()) == expected).all()
    table = tabulate_structure(structure, words=WORDS).set_index("item")
    assert (table.loc["identification", "n"] == OTHERS).all()
    assert table.loc["clusters", "n"] == VOXELS


def test_what_correlates_is_orange_as_in_other_figures():
    from mine.figures.preference import COLOURS

    figure = draw(make_structure(3))
    matrix = next(axes for axes in figure.axes if axes.get_xlabel() == "Voxels, second half")
    assert matrix.images[0].get_cmap().name == COLOURS
    red, _, blue, _ = matrix.images[0].to_rgba(np.array([[1.0]]))[0, 0]
    assert red > blue
    assert "orange above 0" in " ".join(said(figure)).replace("\n", " ")


def test_without_clusters_it_is_said_with_p_and_n():
    text = said(draw(make_structure(1)))
    assert "No clusters: p = 0.310, 12 voxels." in text
    assert "FFA-1, subj01: no clusters" in text and "cluster 1" not in text


def test_a_region_of_few_voxels_gets_one_sentence_and_an_empty_table():
    structure = make_structure(0)
    assert "Not measured: fewer than 10 of the 20 voxels are described." in said(draw(structure))
    assert len(tabulate_structure(structure, words=WORDS)) == 0


def test_a_cluster_without_a_sure_word_says_so():
    assert said(draw(make_structure(2, words=0))).count("no word is sure") == 2


def test_the_limit_of_the_null_is_its_95th_percentile():
    structure = make_structure(3)
    table = tabulate_structure(structure, words=WORDS).set_index("item")
    null = structure["explained_null"].values
    assert table.loc["explained_null", "value"] == pytest.approx(np.quantile(null, 0.95))
    assert (table.loc["draw", "value"].astype(float) > 0).sum() == 2 * 2 * 50
    assert len(table.loc["voxel"]) == VOXELS


@pytest.mark.parametrize("clusters", [0, 1, 2, 8])
def test_type_can_be_read_and_nothing_leaves_the_figure(clusters: int, tmp_path: Path):
    structure = make_structure(clusters, words=5)
    figure = draw(structure)
    save_figure(figure, tabulate_structure(structure, words=WORDS), tmp_path / "a.png")
    assert min(text.get_fontsize() for text in figure.findobj(Text)) >= SIZE
    width, height = figure.get_size_inches()
    assert width * MM_PER_INCH == pytest.approx(WIDTH) and height * MM_PER_INCH <= 245
    box = figure.get_tightbbox()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
    assert isinstance(tabulate_structure(structure, words=WORDS), pd.DataFrame)


def test_the_smallest_p_that_draws_allow_is_written_as_a_bound():
    assert format_p(1 / 201, draws=200) == "≤ 0.005"
    assert format_p(2 / 201, draws=200) == "= 0.010"
    assert format_p(1 / 201) == "= 0.005" and format_p(1e-5) == "< 0.001"
