"""A small world for causal tests: images of a 4 by 4 grid, a word for each quadrant."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mine.core.alternatives import Alternatives
from mine.core.readings import Readings

VOCABULARY = ["dog", "cat", "car", "sky", "sea", "hat", "red", "tall"]
GRID = (4, 4)
CONDITIONS = ["description", "random", "lowest"]


def quadrant(number: int) -> np.ndarray:
    """The tokens of one quadrant, 0 to 3, row-major."""
    row, column = np.divmod(np.arange(16), 4)
    return np.flatnonzero((row // 2 == number // 2) & (column // 2 == number % 2))


def make_lens(words: np.ndarray) -> xr.Dataset:
    """Lens of images whose quadrants read one word each, words: (image, quadrant)."""
    word = np.zeros((len(words), 16, 2), np.int32)
    score = np.tile(np.array([0.9, 0.05], np.float16), (len(words), 16, 1))
    for number in range(4):
        word[:, quadrant(number), 0] = words[:, [number]]
        word[:, quadrant(number), 1] = (words[:, [number]] + 1) % len(VOCABULARY)
    place = ("image", "token", "rank")
    return xr.Dataset(
        {"word": (place, word), "score": (place, score)},
        coords={"image": 100 + np.arange(len(words))},
        attrs={"rows": 4, "columns": 4},
    )


def make_readings(words: np.ndarray) -> Readings:
    return Readings(
        lens=make_lens(words),
        vocabulary=VOCABULARY,
        group=np.arange(len(VOCABULARY)),
        template="a photo of {}",
    )


def make_alternatives() -> Alternatives:
    """Three categories of the vocabulary: dogs and cats, cars and hats, sky and sea."""
    words = [np.array(own) for own in ([0, 1], [2, 5], [3, 4])]
    return Alternatives(words, nearest=np.array([0, 0, 1, 2, 2, 1, 0, 1]))


def make_features(words: np.ndarray, profiles: list[list[int]], *, seed: int = 0) -> xr.Dataset:
    """Features of voxels that all attribute to quadrant 0; words: (image, quadrant)."""
    random = np.random.default_rng(seed)
    voxels, images = len(profiles), len(words)
    description = np.full((2, 3, voxels, images, 3), -1, np.int32)
    token = np.full((2, 3, voxels, images, 4), -1, np.int16)
    for draw, quadrants in enumerate(((0, 1, 3), (0, 2, 3))):
        for row, number in enumerate(quadrants):
            description[draw, row, :, :, 0] = words[:, number]
            description[draw, row, :, :, 1] = 6
            token[draw, row] = quadrant(number)
    profile = np.full((voxels, 4), -1, np.int32)
    for row, listed in enumerate(profiles):
        profile[row, : len(listed)] = listed
    position_map = np.zeros((voxels, 16))
    position_map[:, quadrant(0)] = 1
    return xr.Dataset(
        {
            "profile": (("voxel", "profile_rank"), profile),
            "description": (("draw", "condition", "voxel", "image", "rank"), description),
            "token": (("draw", "condition", "voxel", "image", "place"), token),
            "prediction": (("voxel", "image"), random.normal(size=(voxels, images))),
            "position_map": (("voxel", "token"), position_map),
        },
        coords={
            "condition": CONDITIONS,
            "voxel": 5 + np.arange(voxels),
            "image": 100 + np.arange(images),
        },
    )
