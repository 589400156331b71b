"""Index of the stimuli: identity, captions, categories, and who saw what. Pixels stay in place."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from mine.datasets.images import ImageTable


def build_stimuli(images: ImageTable) -> xr.Dataset:
    """Index of the images that the experiment shows to any of the subjects, by identity.

    Returns, over ``image`` (coordinate: identity), ``shared``; ``held_out``: whether the image may
    be a test image, from which nothing is learned; ``seen`` bool (image, subject): whether the
    experiment shows the image to the subject; ``captions``: the sentences as a JSON list; as far as
    the dataset knows them ``coco_id``, ``crop`` float64 (image, edge) and ``name``; and where there
    are annotations of objects ``category_present`` bool (image, category), with the
    ``supercategory`` of each category as a coordinate, and ``annotated``: whether an annotation
    file covers the image at all.
    """
    variables: dict[str, tuple] = {}
    if images.coco_id is not None:
        coco_id = np.asarray(images.coco_id, dtype=np.int64)
        variables["coco_id"] = ("image", coco_id, {"long_name": "identity of the image in COCO"})
    if images.crop is not None:
        what = "share of COCO's image cut away above, below, left and right"
        variables["crop"] = (("image", "edge"), images.crop, {"long_name": what})
    if images.name is not None:
        name = np.asarray(images.name, dtype=np.str_)
        variables["name"] = ("image", name, {"long_name": "the image's file"})
    texts = [json.dumps(list(entry), ensure_ascii=False) for entry in images.captions]
    variables |= {
        "shared": ("image", images.shared, {"long_name": "whether all subjects see the image"}),
        "held_out": (
            "image",
            images.held_out,
            {"long_name": "whether the image may be one of a subject's test images"},
        ),
        "captions": (
            "image",
            np.array(texts, dtype=np.str_),
            {"long_name": "captions as a JSON list"},
        ),
        "seen": (
            ("image", "subject"),
            images.seen,
            {"long_name": "whether the experiment shows the image to the subject"},
        ),
    }
    coordinates: dict[str, tuple] = {
        "image": (
            "image",
            np.asarray(images.identity, dtype=np.int32),
            {"long_name": "identity of the image, from 0"},
        ),
        "subject": ("subject", np.array(list(images.subjects), dtype=np.str_)),
    }
    if images.categories is not None:
        categories = images.categories
        variables["category_present"] = (
            ("image", "category"),
            images.present,
            {"long_name": "whether the image shows an object of the category"},
        )
        variables["annotated"] = (
            "image",
            images.annotated,
            {"long_name": "whether the image's objects are annotated"},
        )
        coordinates["category"] = ("category", np.array(list(categories), dtype=np.str_))
        supercategories = np.array(list(categories.values()), dtype=np.str_)
        coordinates["supercategory"] = ("category", supercategories)
    return xr.Dataset(variables, coords=coordinates, attrs={"source": images.source})
