"""What a model is shown: images, read as they are asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Reader = Callable[[np.ndarray], np.ndarray]
"""Reads images by identity: uint8 (image, row, column, 3)."""


def show_blank(images: np.ndarray, read_images: Reader) -> tuple[np.ndarray, Reader, slice]:
    """Return what a model is shown of a shard, how that is read, and what of it is kept.

    These are the shard's images. Of a shard of which no subject saw an image it is a blank of 224 ×
    224 pixels, and nothing is kept: what a model gives for it has the shape that others have.
    images: (image,) identities.
    """
    if len(images):
        return images, read_images, slice(None)
    blank = np.full((1, 224, 224, 3), 128, dtype=np.uint8)
    return np.zeros(1, images.dtype), lambda _: blank, slice(0)
