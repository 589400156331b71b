"""COCO's files of captions and objects: what is wrong in one is told in one sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mine.datasets import coco
from mine.errors import InputError

CONTENT = {
    "images": [{"id": 7, "width": 20, "height": 10}, {"id": 8, "width": 20, "height": 10}],
    "categories": [{"id": 1, "name": "dog", "supercategory": "animal"}],
    "annotations": [
        {"image_id": 7, "category_id": 1, "bbox": [0, 0, 20, 10], "caption": "a dog"},
        {"image_id": 8, "category_id": 1, "bbox": [4.5, 2, 0, 3.5], "caption": "two dogs"},
    ],
}


def write(path: Path, key: str = "annotations", **fields: object) -> Path:
    """Write a file in whose last entry under a key some fields have other values."""
    content = json.loads(json.dumps(CONTENT))
    content[key][-1] |= fields
    path.write_text(json.dumps(content))
    return path


def read_masks(paths: list[Path], *, coco_ids: list[int]) -> Any:
    crops = np.zeros((len(coco_ids), 4))
    return coco.read_masks(paths, coco_ids=np.array(coco_ids), crops=crops, rows=4, columns=4)


def hold_to_one_sentence(read: Callable, path: Path, sentence: str, *, coco_ids=(7, 8)) -> None:
    with pytest.raises(InputError) as refused:
        read([path], coco_ids=list(coco_ids))
    assert str(refused.value) == f"{path}: {sentence}"


def test_nothing_is_wrong_with_a_whole_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json")
    assert coco.check_annotations([path], [path], coco_ids=[7, 8]) == []
    assert coco.read_captions([path], coco_ids=[7]) == {7: ["a dog"]}
    assert coco.read_instances([path], coco_ids=[7])[1] == {7: [("dog", (0, 0, 1, 1))]}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"image_id": "8"},
            'expected a whole number as image_id in each of annotations, found "8"',
        ),
        (
            {"image_id": [8]},
            "expected a whole number as image_id in each of annotations, found [8]",
        ),
        ({"caption": None}, "expected a text as caption in each of annotations, found null"),
    ],
)
def test_a_fault_of_captions_is_told_before_a_run(
    tmp_path: Path, fields: dict[str, object], sentence: str
) -> None:
    path = write(tmp_path / "a.json", **fields)
    hold_to_one_sentence(coco.read_captions, path, sentence)
    assert coco.check_annotations([path], []) == [f"{path}: {sentence}"]


BOX = "expected four numbers (left, top, width, height) as bbox in each of annotations, found"
OUTSIDE = "expected each bbox within its image, found"


@pytest.mark.parametrize(
    ("key", "fields", "sentence"),
    [
        ("annotations", {"bbox": [0, 0, 1]}, f"{BOX} [0, 0, 1]"),
        ("annotations", {"bbox": "0 0 1 1"}, f'{BOX} "0 0 1 1"'),
        ("annotations", {"bbox": [0, 0, 1, math.nan]}, f"{BOX} [0, 0, 1, NaN]"),
        ("annotations", {"bbox": [0, 0, 1, -1]}, f"{BOX} [0, 0, 1, -1]"),
        ("annotations", {"bbox": [0, 0, 1, True]}, f"{BOX} [0, 0, 1, true]"),
        (
            "annotations",
            {"bbox": [-5, 0, 9, 9]},
            f"{OUTSIDE} [-5, 0, 9, 9] in image 8 of 20 × 10 pixels",
        ),
        (
            "annotations",
            {"bbox": [0, 0, 9, 1e9]},
            f"{OUTSIDE} [0, 0, 9, 1000000000.0] in image 8 of 20 × 10 pixels",
        ),
        (
            "annotations",
            {"category_id": 3},
            "expected one of categories as category_id in each of annotations, found 3, which is "
            "none",
        ),
        (
            "annotations",
            {"image_id": [8]},
            "expected a whole number as image_id in each of annotations, found [8]",
        ),
        (
            "images",
            {"width": 0},
            "expected a whole number of pixels above 0 as width in each of images, found 0",
        ),
        ("images", {"id": "8"}, 'expected a whole number as id in each of images, found "8"'),
        ("categories", {"name": 1}, "expected a text as name in each of categories, found 1"),
    ],
)
def test_a_fault_of_objects_is_told_before_a_run_and_by_all_who_read_them(
    tmp_path: Path, key: str, fields: dict[str, object], sentence: str
) -> None:
    path = write(tmp_path / "a.json", key, **fields)
    hold_to_one_sentence(coco.read_instances, path, sentence)
    hold_to_one_sentence(read_masks, path, sentence)
    assert coco.check_annotations([], [path], coco_ids=[7, 8]) == [f"{path}: {sentence}"]


def test_a_box_may_be_rounded_out_of_its_image(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", bbox=[-0.01, 0, 20.02, 10.01])
    assert coco.check_annotations([], [path], coco_ids=[7, 8]) == []


@pytest.mark.parametrize(
    "shape", [[[1, 2, 3]], ["a"], {"counts": [3, 4]}, {"counts": ["a"]}, {"size": [1, 1]}]
)
def test_a_mask_of_another_form_is_refused(tmp_path: Path, shape: object) -> None:
    path = write(tmp_path / "a.json", segmentation=shape)
    sentence = (
        "expected each segmentation as polygons of x and y or as run lengths that fill the image, "
        "found another in image 8"
    )
    hold_to_one_sentence(read_masks, path, sentence)


@pytest.mark.parametrize(("read", "what"), [("captions", "captions"), ("instances", "objects")])
def test_files_that_are_of_none_of_the_images_are_refused(
    tmp_path: Path, read: str, what: str
) -> None:
    path = write(tmp_path / "a.json")
    sentence = (
        f"expected {what} of the dataset's 2 images, by their identities in COCO, found none of any"
    )
    hold_to_one_sentence(getattr(coco, f"read_{read}"), path, sentence, coco_ids=(1, 2))
    files = {"captions": [], "instances": [], read: [path]}
    assert coco.check_annotations(**files, coco_ids=[1, 2]) == [f"{path}: {sentence}"]
    # Of a subset it is enough that one is there; and of no images nothing can be said.
    getattr(coco, f"read_{read}")([path], coco_ids=[1, 7])
    assert coco.check_annotations(**files) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "expected COCO annotations, a JSON object in braces, found something else"),
        ("a picture", "expected COCO annotations, a JSON object in braces, found something else"),
        ('{"annotations": [', "expected whole JSON, found one that is cut off"),
        ("", "expected whole JSON, found one that is cut off"),
        ('{"annotations": [}]}', "expected JSON, found something else: Expecting value"),
        ('{"annotations": {}}', "expected COCO annotations with a list annotations, found none"),
    ],
)
def test_a_file_of_another_form_is_called_what_it_is(
    tmp_path: Path, text: str, sentence: str
) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    (problem,) = coco.check_annotations([path], [])
    assert problem.startswith(f"{path}: {sentence}") and "\n" not in problem


def test_a_check_reads_no_more_than_small_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.json", caption=None)
    monkeypatch.setattr(coco, "READ_BYTES", path.stat().st_size - 1)
    assert coco.check_annotations([path], []) == []
