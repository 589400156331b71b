"""Ways to read tokens, compared by objects whose place is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mine.core.neighbours import Contexts
from mine.datasets import coco
from mine.demo import nsd_writer
from mine.errors import InputError
from mine.figures.alignments import TITLES, draw_alignments
from mine.stages.alignments import (
    MEASURES,
    POINTS,
    choose_images,
    compare_alignments,
    share_tokens,
)

NAMES = ["dog", "cat", "sea"]
ROWS, COLUMNS, FEATURES = 3, 4, 16


# --- where objects are ---


def write_instances(path: Path, annotations: list[dict], *, size=(10, 20)) -> Path:
    content = {
        "images": [{"id": 7, "height": size[0], "width": size[1]}],
        "categories": [{"id": 3, "name": "cat"}, {"id": 1, "name": "dog"}],
        "annotations": [{"image_id": 7, "bbox": [0, 0, 1, 1], **entry} for entry in annotations],
    }
    path.write_text(json.dumps(content))
    return path


def read(path: Path, crop=(0.0, 0.0, 0.0, 0.0), *, rows: int, columns: int):
    return coco.read_masks(
        [path], coco_ids=np.array([7, 8]), crops=np.array([crop, crop]), rows=rows, columns=columns
    )


def test_run_lengths_are_read_as_they_were_written(tmp_path):
    random = np.random.default_rng(0)
    masks = [random.random((16, 16)) < share for share in (0.3, 0.8)]
    masks += [np.zeros((16, 16), bool), np.ones((16, 16), bool)]
    boxes = [("dog", (0, 0, 16, 16))] * len(masks)
    path = nsd_writer.write_coco_instances(
        tmp_path / "a.json", {7: boxes}, categories={"dog": ""}, side=16, masks={7: masks}
    )
    categories, (objects, nothing) = read(path, rows=16, columns=16)
    assert categories == ["dog"] and nothing == []
    for (name, found), mask in zip(objects, masks, strict=True):
        assert name == "dog"
        np.testing.assert_array_equal(found, mask)


def test_polygons_and_boxes_cover_the_pixels_whose_centre_they_hold(tmp_path):
    # Two triangles, of which together a square; and a box alone.
    square = [[4, 2, 12, 2, 12, 8], [4, 2, 12, 8, 4, 8]]
    path = write_instances(
        tmp_path / "a.json",
        [
            {"category_id": 1, "segmentation": square},
            {"category_id": 3, "bbox": [4, 2, 8, 6], "segmentation": []},
        ],
    )
    categories, (objects, _) = read(path, rows=10, columns=20)
    assert categories == ["dog", "cat"] and [name for name, _ in objects] == ["dog", "cat"]
    expected = np.zeros((10, 20), dtype=bool)
    expected[2:8, 4:12] = True
    for _, mask in objects:
        np.testing.assert_array_equal(mask, expected)


def test_masks_are_of_the_part_that_is_shown(tmp_path):
    path = write_instances(tmp_path / "a.json", [{"category_id": 1, "bbox": [10, 0, 5, 10]}])
    # Of 20 columns the middle ten are shown, of which the object takes the right half.
    _, (objects, _) = read(path, (0.0, 0.0, 0.25, 0.25), rows=4, columns=6)
    np.testing.assert_array_equal(objects[0][1], [[False] * 3 + [True] * 3] * 4)
    # Of ten rows the upper fifth and the lower two are cut away.
    path = write_instances(tmp_path / "b.json", [{"category_id": 1, "bbox": [0, 2, 20, 2]}])
    _, (objects, _) = read(path, (0.2, 0.4, 0.0, 0.0), rows=4, columns=2)
    np.testing.assert_array_equal(objects[0][1][:, 0], [True, True, False, False])


# --- what is measured ---


def draw_objects(images: int, seed: int = 0) -> list[list[tuple[str, np.ndarray]]]:
    """Boxes of one to three objects an image, of a category that may come twice."""
    random = np.random.default_rng(seed)
    shape = (ROWS * POINTS, COLUMNS * POINTS)
    objects = []
    for _ in range(images):
        entries = []
        for name in random.choice([*NAMES, "owl"], size=random.integers(1, 4)):
            mask = np.zeros(shape, dtype=bool)
            top, left = random.integers(0, shape[0] - 8), random.integers(0, shape[1] - 8)
            mask[top : top + random.integers(6, 20), left : left + random.integers(6, 20)] = True
            entries.append((str(name), mask))
        objects.append(entries)
    return objects


@dataclass(frozen=True)
class Planted:
    """Tokens are the vector of what they show, and noise; images are numbers."""

    shares: np.ndarray
    noise: float = 0.0
    reads_logits: bool = False
    known: tuple[str, ...] = tuple(NAMES)
    rows: int = ROWS
    columns: int = COLUMNS
    device: str = "cpu"

    def vectors(self) -> np.ndarray:
        return np.random.default_rng(9).normal(1, 1, (len(NAMES), FEATURES)).astype(np.float32)

    def encode_images(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tokens = self.shares[images] @ (self.vectors() - 1)
        noise = [np.random.default_rng(one).normal(size=tokens.shape[1:]) for one in images]
        tokens = tokens + self.noise * np.array(noise, dtype=np.float32)
        return tokens.astype(np.float32), tokens.mean(axis=1)

    def choose_words(self, words: list[str]) -> list[str]:
        return [word for word in words if word in self.known]

    def embed_words(self, words: list[str], prompts: list[str]) -> np.ndarray:
        return self.vectors()[[NAMES.index(word) for word in words]]

    def variants(self) -> dict[str, Planted]:
        return {f"noise {noise}": replace(self, noise=noise) for noise in (0.01, 1.5, 1e4)}

    def encode_variants(self, images: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        for name, one in self.variants().items():
            yield name, one.encode_images(images)[0]


def compare(backbone: Planted, objects, **options) -> pd.DataFrame:
    settings = {
        "categories": [*NAMES, "owl"],
        "prompts": ["{}"],
        "text_mean": np.ones(FEATURES, np.float32),
        "contexts": None,
        "batch_size": 7,
        "resamples": 50,
        "generator": np.random.default_rng(0),
    }
    return compare_alignments(
        backbone, np.arange(len(objects)), objects, lambda images: images, **(settings | options)
    )


def overall(table: pd.DataFrame) -> pd.DataFrame:
    rows = table[table["category"] == ""]
    return rows.pivot(index="alignment", columns="measure", values="value")


@pytest.mark.parametrize("reads_logits", [False, True])
def test_measures_equal_their_literal_form(reads_logits):
    objects = draw_objects(20)
    shares = share_tokens(objects, NAMES, rows=ROWS, columns=COLUMNS)
    backbone = Planted(shares, reads_logits=reads_logits)
    table = compare(backbone, objects)
    for name, variant in backbone.variants().items():
        raw, _ = variant.encode_images(np.arange(20))
        if not reads_logits:
            raw = raw - raw.mean(axis=(0, 1))
        right, shown, said, hits = [], [], [], []
        for image, entries in enumerate(objects):
            scores = np.zeros((ROWS * COLUMNS, len(NAMES)))
            inside = np.zeros((ROWS * COLUMNS, len(NAMES)))
            for token in range(ROWS * COLUMNS):
                row, column = divmod(token, COLUMNS)
                cell = (
                    slice(row * POINTS, (row + 1) * POINTS),
                    slice(column * POINTS, (column + 1) * POINTS),
                )
                for place, category in enumerate(NAMES):
                    own = [mask[cell] for found, mask in entries if found == category]
                    inside[token, place] = np.any(own, axis=0).mean() if own else 0
                    vector, token_vector = variant.vectors()[place] - 1, raw[image, token]
                    scores[token, place] = token_vector @ vector
                    if not reads_logits:
                        lengths = np.linalg.norm(vector) * np.linalg.norm(token_vector)
                        scores[token, place] /= lengths
                if (inside[token] >= 0.5).sum() == 1:
                    shown.append(inside[token].argmax())
                    said.append(scores[token].argmax())
                    right.append(shown[-1] == said[-1])
            for place in range(len(NAMES)):
                if (inside[:, place] >= 0.5).any():
                    hits.append(inside[scores[:, place].argmax(), place] > 0)
        shown, said = np.array(shown), np.array(said)
        ious = [
            ((shown == place) & (said == place)).sum() / ((shown == place) | (said == place)).sum()
            for place in range(len(NAMES))
        ]
        found = overall(table).loc[name]
        assert found["token_accuracy"] == pytest.approx(np.mean(right))
        assert found["mean_iou"] == pytest.approx(np.mean(ious))
        assert found["pointing"] == pytest.approx(np.mean(hits))
        rows = table[(table["alignment"] == name) & (table["category"] == "")].set_index("measure")
        assert rows.loc["token_accuracy", "n"] == len(right)
        assert rows.loc["pointing", "n"] == len(hits)


def draw_contexts(names: list[str]) -> Contexts:
    """Three to five vectors of each category, around what shows it."""
    random = np.random.default_rng(3)
    owner = np.repeat(np.arange(len(names), dtype=np.int32), random.integers(3, 6, len(names)))
    centre = Planted(np.zeros(0)).vectors()[[NAMES.index(name) for name in names]] - 1
    vectors = centre[owner] + random.normal(size=(len(owner), FEATURES))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Contexts(names, vectors.astype(np.float16), owner)


def test_neighbours_are_read_beside_the_model_s_own_lens():
    objects = draw_objects(20)
    shares = share_tokens(objects, NAMES, rows=ROWS, columns=COLUMNS)
    backbone, contexts = Planted(shares, reads_logits=True), draw_contexts(NAMES)
    table = compare(backbone, objects, contexts=contexts)
    alone = compare(backbone, objects)
    own = table[~table["alignment"].str.endswith(", neighbours")].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, alone)
    found = overall(table)
    for name, variant in backbone.variants().items():
        raw, _ = variant.encode_images(np.arange(20))
        best = np.zeros((20, ROWS * COLUMNS, len(NAMES)))
        for place in range(len(NAMES)):
            vectors = contexts.vectors[contexts.owner == place].astype(float)
            length = np.linalg.norm(raw, axis=-1)[..., None] * np.linalg.norm(vectors, axis=-1)
            best[..., place] = (raw @ vectors.T / np.maximum(length, 1e-12)).max(axis=-1)
        shown = shares >= 0.5
        alone = shown & (shown.sum(axis=-1, keepdims=True) == 1)
        right = best.argmax(axis=-1)[alone.any(axis=-1)] == np.nonzero(alone)[2]
        assert found.loc[f"{name}, neighbours", "token_accuracy"] == pytest.approx(right.mean())
        hits = [
            shares[image, best[image, :, place].argmax(), place] > 0
            for image, place in zip(*np.nonzero(shown.any(axis=1)), strict=True)
        ]
        assert found.loc[f"{name}, neighbours", "pointing"] == pytest.approx(np.mean(hits))
    assert found.loc["noise 0.01, neighbours", "token_accuracy"] > 0.8


def test_both_lenses_are_asked_for_the_same_categories():
    objects = draw_objects(20)
    shares = share_tokens(objects, NAMES, rows=ROWS, columns=COLUMNS)
    backbone, known = Planted(shares, reads_logits=True), ["dog", "sea"]
    table = compare(backbone, objects, contexts=draw_contexts(known))
    assert set(table["category"]) == {"", *known}
    with pytest.raises(InputError, match="model and in lens.corpus, found 1 of 4"):
        compare(backbone, objects, contexts=draw_contexts(["cat"]))


def test_what_is_planted_is_found_and_noise_is_not():
    objects = draw_objects(60)
    table = compare(Planted(share_tokens(objects, NAMES, rows=ROWS, columns=COLUMNS)), objects)
    assert list(dict.fromkeys(table["measure"])) == list(MEASURES)
    assert set(table["category"]) == {"", *NAMES}
    found = overall(table)
    assert (found.loc["noise 0.01"] > 0.95).all()
    assert found.loc["noise 10000.0", "token_accuracy"] == pytest.approx(1 / 3, abs=0.12)
    assert (found.loc["noise 0.01"] > found.loc["noise 1.5"]).all()
    assert (found.loc["noise 1.5"] > found.loc["noise 10000.0"]).all()
    assert ((table["low"] <= table["value"]) & (table["value"] <= table["high"])).all()


def test_the_batch_changes_no_number():
    objects = draw_objects(9)
    backbone = Planted(share_tokens(objects, NAMES, rows=ROWS, columns=COLUMNS))
    first, second = (compare(backbone, objects, batch_size=size) for size in (2, 9))
    pd.testing.assert_frame_equal(first, second)


def test_categories_that_the_model_cannot_name_are_left_out():
    objects = draw_objects(20)
    known = NAMES[:2]
    backbone = Planted(share_tokens(objects, NAMES, rows=ROWS, columns=COLUMNS), known=tuple(known))
    assert set(compare(backbone, objects)["category"]) == {"", *known}
    with pytest.raises(InputError, match="found 1 of 4"):
        compare(replace(backbone, known=("dog",)), objects)


def test_only_training_images_with_known_objects_are_drawn():
    count = 40
    stimuli = xr.Dataset(
        {
            "held_out": ("image", np.arange(count) < 10),
            "annotated": ("image", np.arange(count) % 3 > 0),
            "crop": (("image", "edge"), np.zeros((count, 4))),
        },
        coords={"image": np.arange(count)},
    )
    drawn = choose_images(stimuli, count=12, generator=np.random.default_rng(0))
    assert drawn.sizes["image"] == 12 and (np.diff(drawn["image"]) > 0).all()
    assert not drawn["held_out"].any() and drawn["annotated"].all()
    every = choose_images(stimuli, count=1000, generator=np.random.default_rng(0))
    assert every.sizes["image"] == 20
    for lacking in ("annotated", "crop"):
        with pytest.raises(InputError, match="dataset.instances: expected .* found none"):
            choose_images(stimuli.drop_vars(lacking), count=3, generator=np.random.default_rng(0))
    with pytest.raises(InputError, match="training images"):
        choose_images(stimuli.isel(image=slice(10)), count=3, generator=np.random.default_rng(0))
    stimuli["crop"][:30] = np.nan
    known = choose_images(stimuli, count=1000, generator=np.random.default_rng(0))
    np.testing.assert_array_equal(known["image"], [31, 32, 34, 35, 37, 38])


def test_figure_has_a_line_for_each_alignment_and_a_dot_for_each_category():
    objects = draw_objects(20)
    table = compare(Planted(share_tokens(objects, NAMES, rows=ROWS, columns=COLUMNS)), objects)
    figure = draw_alignments(table)
    assert [axes.get_title() for axes in figure.axes] == list(TITLES.values())
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == list(dict.fromkeys(table["alignment"]))
    for axes, measure in zip(figure.axes, MEASURES, strict=True):
        (dots,) = [dots for dots in axes.collections if dots.get_gid() == "category"]
        own = table[(table["measure"] == measure) & (table["category"] != "")]
        np.testing.assert_allclose(dots.get_offsets()[:, 0], own["value"])
        (line,) = [line for line in axes.lines if line.get_marker() == "o"]
        whole = table[(table["measure"] == measure) & (table["category"] == "")]
        np.testing.assert_allclose(line.get_xdata(), whole["value"])
