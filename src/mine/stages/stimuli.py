"""Index of the stimuli: identity, captions, categories, and who saw what. Pixels stay in place."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from mine.errors import InputError

Box = tuple[float, float, float, float]


def build_stimuli(
    information: pd.DataFrame,
    *,
    subjects: Sequence[str],
    source: str,
    captions: Mapping[int, Sequence[str]] | None = None,
    categories: Mapping[str, str] | None = None,
    instances: Mapping[int, Sequence[tuple[str, Box]]] | None = None,
    least_visible: float = 0.5,
) -> xr.Dataset:
    """Index of the images that the experiment shows to any of the subjects, by ascending nsdId.

    information: table of images with columns nsdId, cocoId, cropBox, shared1000 and, for subject
    subj0N, subjectN. source: where the pixels are. captions: cocoId -> sentences. categories:
    name -> supercategory. instances: cocoId -> objects (category, (left, top, right, bottom)), in
    fractions of the whole COCO image.
    NSD shows a square cut out of the COCO image: a category counts as present if at least
    ``least_visible`` of the box of one of its objects lies within that square.

    Returns, over ``image`` (coordinate: nsdId), ``coco_id``; ``shared``; ``seen`` bool (image,
    subject): whether the experiment shows the image to the subject; ``captions``: the sentences as
    a JSON list; and where instances are given ``category_present`` bool (image, category), with the
    ``supercategory`` of each category as a coordinate, and ``annotated``: whether an annotation
    file covers the image at all.
    Raises InputError for a subject that the table lacks.
    """
    columns = {}
    for subject in subjects:
        column = f"subject{int(subject.removeprefix('subj'))}"
        if column not in information:
            raise InputError(f"table of images: expected a column {column}, found none")
        columns[subject] = information[column].to_numpy() != 0
    seen = np.array(list(columns.values()), dtype=bool).reshape(len(columns), -1).T
    table = information[seen.any(axis=1)]
    seen = seen[seen.any(axis=1)]
    coco_ids = table["cocoId"].to_numpy(dtype=np.int64)
    texts = [
        json.dumps(list((captions or {}).get(int(image), ())), ensure_ascii=False)
        for image in coco_ids
    ]
    dataset = xr.Dataset(
        {
            "coco_id": ("image", coco_ids, {"long_name": "identity of the image in COCO"}),
            "shared": (
                "image",
                table["shared1000"].to_numpy(dtype=bool),
                {"long_name": "whether all subjects see the image"},
            ),
            "captions": (
                "image",
                np.array(texts, dtype=np.str_),
                {"long_name": "captions as a JSON list"},
            ),
            "seen": (
                ("image", "subject"),
                seen,
                {"long_name": "whether the experiment shows the image to the subject"},
            ),
        },
        coords={
            "image": (
                "image",
                table["nsdId"].to_numpy(dtype=np.int32),
                {"long_name": "identity of the image, from 0"},
            ),
            "subject": ("subject", np.array(list(subjects), dtype=np.str_)),
        },
        attrs={"source": source},
    )
    if instances is None:
        return dataset
    categories = categories or {}
    rank = {name: number for number, name in enumerate(categories)}
    present = np.zeros((len(coco_ids), len(rank)), dtype=bool)
    for row, (image, crop) in enumerate(zip(coco_ids, table["cropBox"], strict=True)):
        cut = read_crop(crop)
        for name, box in instances.get(int(image), ()):
            present[row, rank[name]] |= measure_visible(box, cut) >= least_visible
    annotated = np.array([int(image) in instances for image in coco_ids], dtype=bool)
    return dataset.assign(
        category_present=(
            ("image", "category"),
            present,
            {"long_name": "whether the image shows an object of the category"},
        ),
        annotated=("image", annotated, {"long_name": "whether the image's objects are annotated"}),
    ).assign_coords(
        category=("category", np.array(list(categories), dtype=np.str_)),
        supercategory=("category", np.array(list(categories.values()), dtype=np.str_)),
    )


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
