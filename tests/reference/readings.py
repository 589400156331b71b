"""Small worlds of lens readings and attributions, for the tests of descriptions and profiles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import ndimage

ROWS = COLUMNS = 8
TOKENS = ROWS * COLUMNS


class World(NamedTuple):
    """Images with objects before backgrounds, as the lens reads them."""

    content: np.ndarray
    """(image, token): index of the word that each token shows"""
    lens: xr.Dataset
    words: int


def make_world(
    images: int, *, objects: int = 8, backgrounds: int = 4, distractors: int = 18, seed: int = 0
) -> World:
    """Words are the objects, then the backgrounds, then words of things that are never shown."""
    random = np.random.default_rng([seed, 7])
    words = objects + backgrounds + distractors
    content = np.empty((images, ROWS, COLUMNS), dtype=np.int64)
    content[:] = objects + random.integers(0, backgrounds, images)[:, None, None]
    for image in content:
        for shown in random.permutation(objects)[: random.integers(1, 4)]:
            top, left = random.integers(0, ROWS - 2, 2)
            image[top : top + 3, left : left + 3] = shown
    content = content.reshape(images, TOKENS)
    mass = 0.4 * random.dirichlet(np.full(words, 0.3), (images, TOKENS))
    mass += 0.6 * np.eye(words)[content]
    word = np.argsort(-mass, axis=-1)[..., :6]
    lens = xr.Dataset(
        {
            "word": (("image", "token", "rank"), word.astype(np.int32)),
            "score": (
                ("image", "token", "rank"),
                np.take_along_axis(mass, word, axis=-1).astype(np.float16),
            ),
        },
        coords={"image": np.arange(images)},
        attrs={"rows": ROWS, "columns": COLUMNS},
    )
    return World(content, lens, words)


def blob_maps(voxels: int, images: int, *, seed: int = 0) -> np.ndarray:
    """Smooth positive maps that know nothing of the images: (voxel, image, token).

    Contiguous blobs that favour a place of the voxel's own, and images that differ in total, as
    attributions of an encoder that has learned nothing have them.
    """
    random = np.random.default_rng([seed, 11])
    field = random.normal(size=(voxels, images, ROWS, COLUMNS))
    field += 0.5 * random.normal(size=(voxels, 1, ROWS, COLUMNS))
    field = ndimage.gaussian_filter(field, sigma=(0, 0, 1.2, 1.2), mode="wrap")
    field /= field.std()
    gain = random.lognormal(0, 0.7, (voxels, images, 1, 1))
    return (gain * np.maximum(field - 0.5, 0)).reshape(voxels, images, TOKENS)


def make_attributions(
    maps: np.ndarray,
    *,
    kept: int = TOKENS,
    lowest: int = 0,
    prediction: np.ndarray | None = None,
) -> xr.Dataset:
    """Store signed maps (voxel, image, token) as the stage of attributions does."""
    voxels, images, tokens = maps.shape
    token = np.full((2, voxels, images, kept), -1, dtype=np.int16)
    attribution = np.zeros(token.shape, dtype=np.float32)
    for sign, direction in enumerate((1, -1)):
        order = np.argsort(-direction * maps, axis=-1, kind="stable")[..., :kept]
        value = np.take_along_axis(maps, order, axis=-1)
        there = direction * value > 0
        token[sign] = np.where(there, order, -1)
        attribution[sign] = np.where(there, value, 0)
    positions = np.stack([np.maximum(maps, 0).mean(axis=1), np.minimum(maps, 0).mean(axis=1)])
    ranked = ("sign", "voxel", "image", "rank")
    return xr.Dataset(
        {
            "token": (ranked, token),
            "attribution": (ranked, attribution),
            "lowest": (
                ("voxel", "image", "lowest"),
                np.argsort(np.abs(maps), axis=-1, kind="stable")[..., :lowest].astype(np.int16),
            ),
            "position_map": (("sign", "voxel", "token"), positions.astype(np.float32)),
            "prediction": (
                ("voxel", "image"),
                maps.sum(axis=-1) if prediction is None else prediction,
            ),
        },
        coords={
            "sign": ["positive", "negative"],
            "voxel": np.arange(voxels),
            "image": np.arange(images),
        },
    )
