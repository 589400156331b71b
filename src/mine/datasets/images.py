"""What any dataset gives about its images: what is known about each, and its pixels on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Stimuli(Protocol):
    """The pixels of a dataset's images, which are read as they are asked for."""

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Images by identity, in the order asked for: uint8 (image, row, column, 3).

        All images have one size. Raises InputError for an identity that the dataset lacks.
        """


@dataclass(frozen=True, kw_only=True)
class ImageTable:
    """What is known about the images that are shown to any of some subjects.

    identity: int (image,), ascending from 0. source: where the pixels are. subjects: names of the
    columns of seen. seen: bool (image, subject), whether the experiment shows it to the subject.
    shared: bool (image,), whether all subjects see it. held_out: bool (image,), whether it may be a
    test image of any subject, so that nothing is learned from it. captions: per image, sentences.

    What not all datasets know is None: coco_id, int (image,), identity in COCO; crop, (image, 4),
    the fractions of COCO's image cut away above, below, left and right to show it, NaN where which
    part it shows is not known; name, (image,) text, the image's file; categories, name ->
    supercategory ("" for none), with present, bool (image, category), and annotated, bool (image,),
    whether its objects are annotated at all.
    """

    identity: np.ndarray
    source: str
    subjects: Sequence[str]
    seen: np.ndarray
    shared: np.ndarray
    held_out: np.ndarray
    captions: Sequence[Sequence[str]]
    coco_id: np.ndarray | None = None
    crop: np.ndarray | None = None
    name: np.ndarray | None = None
    categories: Mapping[str, str] | None = None
    present: np.ndarray | None = None
    annotated: np.ndarray | None = None
