"""Captions and objects of images from COCO's JSON files, as far as a crop leaves them visible."""

from __future__ import annotations

import ast
import json
import math
import mmap
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mine.datasets.attempts import attempt
from mine.errors import InputError

Box = tuple[float, float, float, float]

LEAST_VISIBLE = 0.5
"""Share of an object's box that has to lie within the crop for its category to be present."""

OVERHANG = 1.0
"""Pixels by which a box may stand out of its image: COCO's own are rounded to hundredths of one."""

READ_BYTES = 50 * 10**6
"""Most of some files that a check reads whole: COCO's own are half a gigabyte."""


class Instances(NamedTuple):
    """Objects of some images.

    categories: all that the files know, name -> supercategory ("" for none), in the order of their
    numbers. objects: of each image that a file covers, (category, box), the box (left, top, right,
    bottom) in fractions of the whole COCO image; an empty list where it shows nothing. sizes: of
    the same images, (rows, columns) of the whole COCO image.
    """

    categories: dict[str, str]
    objects: dict[int, list[tuple[str, Box]]]
    sizes: dict[int, tuple[int, int]]


def read_captions(paths: Iterable[Path], *, coco_ids: Iterable[int]) -> dict[int, list[str]]:
    """Read COCO captions (captions_train2017.json and the like): cocoId -> sentences.

    Only the images of coco_ids are kept; one without captions is left out. Raises InputError for a
    file of another form, and where the files hold no caption of any of the images: they are then
    not those that were meant, or the images are known by other numbers.
    """
    wanted, paths = set(map(int, coco_ids)), list(paths)
    captions: dict[int, list[str]] = {}
    for path in paths:
        for entry in _read_coco(path, "annotations", ("image_id", "caption")):
            if entry["image_id"] in wanted:
                captions.setdefault(entry["image_id"], []).append(entry["caption"].strip())
    _require_some(captions, paths, wanted, "captions")
    return captions


def read_instances(paths: Iterable[Path], *, coco_ids: Iterable[int]) -> Instances:
    """Read COCO objects (instances_train2017.json and the like) of the images of coco_ids.

    Raises InputError for a file of another form, a box outside its image, a category that the file
    does not list, and where no image is covered.
    """
    wanted, paths = set(map(int, coco_ids)), list(paths)
    known: dict[int, dict] = {}
    objects: dict[int, list[tuple[str, Box]]] = {}
    whole: dict[int, tuple[int, int]] = {}
    for path in paths:
        categories, sizes, entries = _read_objects(path, wanted)
        known |= categories
        whole |= sizes
        for image in sizes:
            objects.setdefault(image, [])
        for entry in entries:
            height, width = sizes[entry["image_id"]]
            x, y, w, h = entry["bbox"]
            box = (x / width, y / height, (x + w) / width, (y + h) / height)
            objects[entry["image_id"]].append((categories[entry["category_id"]]["name"], box))
    _require_some(objects, paths, wanted, "objects")
    return Instances(_name_categories(known), objects, whole)


def read_masks(
    paths: Iterable[Path],
    *,
    coco_ids: np.ndarray,
    crops: np.ndarray,
    rows: int,
    columns: int,
) -> tuple[list[str], list[list[tuple[str, np.ndarray]]]]:
    """Read where COCO's objects are in the shown part of images.

    coco_ids: (image,). crops: (image, 4) of :func:`read_crops`. Returns all categories, in the
    order of their numbers, and for each image its objects as (category, bool (row, column)): what
    lies inside at the centres of a grid over the shown part. An object without a mask (polygons or
    run lengths) is its box. Raises InputError as :func:`read_instances`, and for a mask of another
    form.
    """
    wanted, paths = set(map(int, coco_ids)), list(paths)
    known: dict[int, dict] = {}
    found: dict[int, list[tuple[str, Path, dict, tuple[int, int]]]] = {}
    for path in paths:
        categories, sizes, entries = _read_objects(path, wanted)
        known |= categories
        for entry in entries:
            image = entry["image_id"]
            name = categories[entry["category_id"]]["name"]
            found.setdefault(image, []).append((name, path, entry, sizes[image]))
    objects = []
    for image, (top, bottom, left, right) in zip(coco_ids.tolist(), crops.tolist(), strict=True):
        down = top + (np.arange(rows) + 0.5) / rows * (1 - top - bottom)
        across = left + (np.arange(columns) + 0.5) / columns * (1 - left - right)
        own = []
        for name, path, entry, size in found.get(image, []):
            mask = _draw_object(path, entry, size)
            own.append((name, mask[_place(down, size[0])][:, _place(across, size[1])]))
        objects.append(own)
    return list(_name_categories(known)), objects


def _place(fractions: np.ndarray, size: int) -> np.ndarray:
    """Pixels in which fractions of a side lie."""
    return np.minimum((fractions * size).astype(np.int64), size - 1)


def _read_objects(
    path: Path, wanted: set[int]
) -> tuple[dict[int, dict], dict[int, tuple[int, int]], list[dict]]:
    """Read a file of COCO objects: its categories by number, and of the wanted images the sizes
    (rows, columns) and the objects, in the file's order."""
    content = _load_json(path)
    categories = {
        entry["id"]: entry for entry in _entries(path, content, "categories", ("id", "name"))
    }
    sizes = {
        entry["id"]: (entry["height"], entry["width"])
        for entry in _entries(path, content, "images", ("id", "width", "height"))
        if entry["id"] in wanted
    }
    objects = []
    for entry in _entries(path, content, "annotations", ("image_id", "category_id", "bbox")):
        if entry["category_id"] not in categories:
            raise InputError(
                f"{path}: expected one of categories as category_id in each of annotations, found "
                f"{entry['category_id']}, which is none"
            )
        if entry["image_id"] in sizes:
            _check_box(path, entry, sizes[entry["image_id"]])
            objects.append(entry)
    return categories, sizes, objects


def _check_box(path: Path, entry: Mapping[str, Any], size: tuple[int, int]) -> None:
    """Raise InputError where an object lies outside its image of a size (rows, columns)."""
    x, y, width, height = entry["bbox"]
    if min(x, y) < -OVERHANG or x + width > size[1] + OVERHANG or y + height > size[0] + OVERHANG:
        raise InputError(
            f"{path}: expected each bbox within its image, found {entry['bbox']} in image "
            f"{entry['image_id']} of {size[1]} × {size[0]} pixels"
        )


def _draw_object(path: Path, entry: Mapping[str, Any], size: tuple[int, int]) -> np.ndarray:
    """Mask of an object in its whole image of a size (rows, columns): bool (row, column)."""
    try:
        return _draw_shape(entry, size)
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f"{path}: expected each segmentation as polygons of x and y or as run lengths that "
            f"fill the image, found another in image {entry['image_id']}"
        ) from None


def _draw_shape(entry: Mapping[str, Any], size: tuple[int, int]) -> np.ndarray:
    mask, shape = np.zeros(size, dtype=bool), entry.get("segmentation")
    if isinstance(shape, dict) and isinstance(shape["counts"], list):
        runs = np.repeat(np.arange(len(shape["counts"])) % 2, shape["counts"])
        return runs.reshape(size[::-1]).T.astype(bool)
    if isinstance(shape, list) and shape:
        from skimage.draw import polygon

        for corners in shape:
            x, y = np.reshape(corners, (-1, 2)).T
            # A pixel's centre is half a pixel into it.
            mask[polygon(y - 0.5, x - 0.5, size)] = True
        return mask
    x, y, width, height = entry["bbox"]
    row, column = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
    return np.outer((row >= y) & (row < y + height), (column >= x) & (column < x + width))


def read_categories(paths: Iterable[Path]) -> dict[str, str]:
    """Read only the categories of COCO instance files: name -> supercategory ("" for none).

    Neither images nor objects are parsed, which in COCO's own files are half a gigabyte.
    """
    known: dict[int, dict] = {}
    for path in map(Path, paths):
        content = {"categories": _find_list(path, "categories")}
        entries = _entries(path, content, "categories", ("id", "name"))
        known |= {entry["id"]: entry for entry in entries}
    return _name_categories(known)


def _name_categories(known: Mapping[int, dict]) -> dict[str, str]:
    """Categories in the order of their numbers: name -> supercategory."""
    entries = [known[number] for number in sorted(known)]
    return {entry["name"]: str(entry.get("supercategory") or "") for entry in entries}


def _find_list(path: Path, key: str) -> object:
    """Return the first list that stands under a key of a JSON file; None where there is none."""
    if not path.is_file() or path.stat().st_size == 0:
        return _load_json(path)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        for found in re.finditer(rf'"{key}"\s*:\s*(?=\[)'.encode(), text):
            # Of the list only its end is not known; no list of categories is a megabyte long.
            part = text[found.end() : found.end() + 2**20].decode("utf-8", errors="ignore")
            try:
                return json.JSONDecoder().raw_decode(part)[0]
            except ValueError as error:
                raise InputError(f"{path}: expected JSON, found something else: {error}") from None
    return None


def find_present(
    coco_ids: np.ndarray,
    crops: np.ndarray,
    *,
    categories: Iterable[str],
    instances: Mapping[int, Sequence[tuple[str, Box]]],
) -> tuple[np.ndarray, np.ndarray]:
    """Which categories the shown part of each image holds: bool (image, category), and whether a
    file covers the image at all: bool (image,).

    coco_ids: (image,). crops: (image, 4) of :func:`read_crops`. instances: objects of
    :func:`read_instances`. A category is present if at least LEAST_VISIBLE of the box of one of its
    objects lies within the crop.
    """
    column = {name: number for number, name in enumerate(categories)}
    present = np.zeros((len(coco_ids), len(column)), dtype=bool)
    for row, (image, crop) in enumerate(zip(coco_ids, crops.tolist(), strict=True)):
        for name, box in instances.get(int(image), ()):
            present[row, column[name]] |= measure_visible(box, crop) >= LEAST_VISIBLE
    annotated = np.array([int(image) in instances for image in coco_ids], dtype=bool)
    return present, annotated


def read_crop(text: str) -> Box:
    """Read a cropBox such as "(0, 0, 0.125, 0.125)": fractions cut away (top, bottom, left, right).

    Raises InputError unless it is four numbers that leave something of the image.
    """
    try:
        values = tuple(float(value) for value in ast.literal_eval(str(text)))
    except (ValueError, SyntaxError, TypeError):
        values = ()
    if len(values) != 4 or min(values) < 0 or values[0] + values[1] >= 1 or sum(values[2:]) >= 1:
        raise InputError(
            f"table of images: expected cropBox as (top, bottom, left, right), found {text!r}"
        )
    return values


def read_crops(texts: Iterable[str]) -> np.ndarray:
    """Read cropBoxes (:func:`read_crop`): float64 (image, 4)."""
    return np.array([read_crop(text) for text in texts], dtype=np.float64).reshape(-1, 4)


def has_shape(size: tuple[int, int], whole: tuple[int, int]) -> bool:
    """Whether an image of a size can be a whole one scaled, each (rows, columns): there is a scale
    from which neither side strays by a pixel."""
    sides = list(zip(size, whole, strict=True))
    return max((one - 1) / of for one, of in sides) < min((one + 1) / of for one, of in sides)


def measure_visible(box: Box, crop: Box) -> float:
    """Fraction of a box (left, top, right, bottom) that a crop (top, bottom, left, right) leaves.

    A box without area counts as a point in its centre.
    """
    left, top, right, bottom = box
    window = (crop[2], crop[0], 1 - crop[3], 1 - crop[1])
    width = min(right, window[2]) - max(left, window[0])
    height = min(bottom, window[3]) - max(top, window[1])
    area = (right - left) * (bottom - top)
    if area <= 0:
        return float(width >= 0 and height >= 0)
    return max(width, 0) * max(height, 0) / area


def list_missing(paths: Iterable[Path | str]) -> list[str]:
    """Return a sentence for each file of annotations that is not there, or not to its end."""
    problems = []
    for path in map(Path, paths):
        if not path.is_file():
            problems.append(_say_missing(path))
        elif not _begins_as_object(path):
            problems.append(
                f"{path}: expected COCO annotations, a JSON object in braces, found something else"
            )
        elif not _is_whole(path):
            problems.append(f"{path}: expected whole JSON, found one that is cut off")
    return problems


def check_annotations(
    captions: Iterable[Path | str],
    instances: Iterable[Path | str],
    *,
    coco_ids: Iterable[int] = (),
) -> list[str]:
    """Return a sentence for each of COCO's files that is absent or cut off, and what reading them
    would tell, as far as those of a kind have no more than READ_BYTES.

    coco_ids: of the images; of none if they are not known, and then what only they would show is
    not looked for.
    """
    problems, wanted = [], list(coco_ids)
    for read, kind in ((read_captions, captions), (read_instances, instances)):
        paths = [Path(path) for path in kind]
        missing = list_missing(paths)
        problems += missing
        if not missing and sum(path.stat().st_size for path in paths) <= READ_BYTES:
            attempt(problems, read, paths, coco_ids=wanted)
    return problems


def _begins_as_object(path: Path) -> bool:
    """Whether the first character of a file, blanks aside, is an object's; so of an empty one."""
    with open(path, "rb") as file:
        return file.read(2**10).lstrip()[:1] in (b"{", b"")


def _is_whole(path: Path) -> bool:
    """Whether a file ends as a JSON object does; of the half gigabyte before nothing is read."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 2**10))
        end = b"".join(file.read().split())
    if end.endswith((b"]}", b"}}")) or not end.endswith(b"}"):
        return end.endswith(b"}")
    # The end of a smaller object looks the same as that of one whose last value is a number.
    try:
        _load_json(path)
    except InputError:
        return False
    return True


def _say_missing(path: Path | str) -> str:
    return f"{path}: expected COCO annotations, found no file"


def _read_coco(path: Path, key: str, fields: tuple[str, ...]) -> list[dict]:
    return _entries(path, _load_json(path), key, fields)


def _load_json(path: Path) -> object:
    path = Path(path)
    if not path.is_file():
        raise InputError(_say_missing(path))
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON, found something else: {error}") from None


def _entries(path: Path, content: object, key: str, fields: tuple[str, ...]) -> list[dict]:
    """The list under a key of a file, each of whose entries has some fields as FIELDS says."""
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise InputError(f"{path}: expected COCO annotations with a list {key}, found none")
    needed = [(name, *FIELDS[name]) for name in fields]
    for entry in entries:
        if not isinstance(entry, dict) or any(name not in entry for name in fields):
            raise InputError(
                f"{path}: expected {', '.join(fields)} in each of {key}, found one without"
            )
        for name, is_right, what in needed:
            if not is_right(entry[name]):
                raise InputError(
                    f"{path}: expected {what} as {name} in each of {key}, found "
                    f"{json.dumps(entry[name])[:60]}"
                )
    return entries


def _require_some(
    found: Mapping[int, object], paths: Sequence[Path], wanted: set[int], what: str
) -> None:
    """Raise InputError where files say nothing about any of the images that are wanted."""
    if paths and wanted and not found:
        raise InputError(
            f"{', '.join(map(str, paths))}: expected {what} of the dataset's {len(wanted)} images, "
            "by their identities in COCO, found none of any"
        )


def _is_whole_number(value: object) -> bool:
    # in Python true is a whole number
    return type(value) is int


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_size(value: object) -> bool:
    return type(value) is int and value > 0


def _is_box(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(type(number) in (int, float) and math.isfinite(number) for number in value)
        and min(value[2:]) >= 0
    )


FIELDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "id": (_is_whole_number, "a whole number"),
    "image_id": (_is_whole_number, "a whole number"),
    "category_id": (_is_whole_number, "a whole number"),
    "name": (_is_text, "a text"),
    "caption": (_is_text, "a text"),
    "width": (_is_size, "a whole number of pixels above 0"),
    "height": (_is_size, "a whole number of pixels above 0"),
    "bbox": (_is_box, "four numbers (left, top, width, height)"),
}
"""What the fields of COCO's entries are: whether a value is so, and how that is called."""
