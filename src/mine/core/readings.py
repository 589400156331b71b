"""What the lens reads in whole images: in how much of one, anywhere in it, or in one place with
something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import ndimage

from mine.core.masks import NEIGHBOURS
from mine.core.prompts import join_words


def spread_readings(
    lens: xr.Dataset, group: np.ndarray, *, memory_bytes: int = 2**26
) -> Iterator[tuple[slice, np.ndarray]]:
    """Probabilities of every group of synonyms, a block of images at a time.

    lens: ``word`` and ``score`` (image, token, rank). group: int (word,). Yields the images and
    float32 (image, token, group), of at most ``memory_bytes``.
    """
    groups = int(group.max()) + 1
    word, score = lens["word"].values, lens["score"].values.astype(np.float32)
    block = max(1, memory_bytes // (4 * lens.sizes["token"] * groups))
    for start in range(0, lens.sizes["image"], block):
        part = slice(start, start + block)
        readings = np.zeros((*word[part].shape[:2], groups), np.float32)
        image, token = np.ogrid[: readings.shape[0], : readings.shape[1]]
        # A rank names each (image, token) once, so that nothing is lost in adding.
        for rank in range(word.shape[2]):
            readings[image, token, group[word[part, :, rank]]] += score[part, :, rank]
        yield part, readings


def read_presence(lens: xr.Dataset, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How clearly each group is read anywhere in an image, and how much of the image it fills.

    Returns the largest probability over tokens and its mean, both float32 (image, group).
    """
    shape = lens.sizes["image"], int(group.max()) + 1
    largest, mean = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for part, readings in spread_readings(lens, group):
        largest[part], mean[part] = readings.max(axis=1), readings.mean(axis=1)
    return largest, mean


def read_together(lens: xr.Dataset, group: np.ndarray, firsts: np.ndarray) -> dict[int, np.ndarray]:
    """How clearly each group is read in one place with another.

    firsts: groups. Returns for each of them max_t L_nt(first) L_nt(w), float32 (image, group).
    """
    shape = lens.sizes["image"], int(group.max()) + 1
    together = {int(first): np.zeros(shape, np.float32) for first in firsts}
    for part, readings in spread_readings(lens, group):
        for first, result in together.items():
            reading = readings[..., first]
            image, token = np.nonzero(reading)
            product = readings[image, token] * reading[image, token, None]
            seen, start = np.unique(image, return_index=True)
            if len(seen):
                result[part][seen] = np.maximum.reduceat(product, start)
    return together


def read_feature(
    word: np.ndarray, score: np.ndarray, group: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """How clearly some groups are read in each token of one image: float32 (token,).

    word, score: (token, rank) of the lens. wanted: groups, whose probabilities are summed.
    """
    return np.where(np.isin(group[word], wanted), score.astype(np.float32), 0).sum(axis=-1)


def split_presence(presence: np.ndarray, *, memory_bytes: int = 2**26) -> np.ndarray:
    """Threshold above which a group counts as present: float (group,).

    presence: (image, group) of :func:`read_presence` on training images. The threshold between two
    neighbouring values that leaves the least variance within the two sides (Otsu 1979, here without
    a histogram); infinity for a group that reads the same in every image. Groups are taken in
    blocks, of which an array in double precision has at most ``memory_bytes``.
    """
    block = max(1, memory_bytes // (8 * len(presence)))
    starts = range(0, presence.shape[1], block)
    return np.concatenate([_split_block(presence[:, start : start + block]) for start in starts])


def _split_block(presence: np.ndarray) -> np.ndarray:
    values = np.sort(presence.astype(np.float64), axis=0)
    count = np.arange(1, len(values))[:, None]
    total, below = values.sum(axis=0), values.cumsum(axis=0)[:-1]
    above = total - below
    between = np.square(below) / count + np.square(above) / (len(values) - count)
    # A split between equal values is none.
    between = np.where(np.diff(values, axis=0) > 0, between, -np.inf)
    best = np.argmax(between, axis=0)
    group = np.arange(values.shape[1])
    middle = 0.5 * (values[best, group] + values[best + 1, group])
    return np.where(np.isfinite(between[best, group]), middle, np.inf)


def find_thresholds(lens: xr.Dataset, group: np.ndarray) -> np.ndarray:
    """Threshold of each group's presence in the images of a lens: :func:`split_presence`."""
    return split_presence(read_presence(lens, group)[0])


@dataclass(frozen=True)
class Readings:
    """What the lens reads in the images at hand, and how their words are said."""

    lens: xr.Dataset
    vocabulary: Sequence[str]
    group: np.ndarray
    template: str

    def say(self, words: np.ndarray) -> str:
        """The prompt for some words; the empty one for none."""
        return join_words(self.vocabulary, words, self.template) or ""

    def find(self, image: int, words: np.ndarray) -> np.ndarray:
        """How clearly words are read in each patch of an image: (row, column)."""
        word, score = self.lens["word"].values[image], self.lens["score"].values[image]
        return self._on_grid(read_feature(word, score, self.group, self.group[words]))

    def surround(self, image: int, mask: np.ndarray, but: np.ndarray, most: int) -> np.ndarray:
        """The words read around a mask, but for some groups: those of at least half the largest
        mass in the patches that touch it, or in all outside where none does."""
        ring = ndimage.binary_dilation(mask, NEIGHBOURS) & ~mask
        outside = (ring if ring.any() else ~mask).ravel()
        word = self.lens["word"].values[image][outside]
        score = self.lens["score"].values[image][outside].astype(np.float64)
        mass = np.bincount(word.ravel(), score.ravel(), minlength=len(self.group))
        mass[np.isin(self.group, but)] = 0
        groups = np.bincount(self.group, mass)
        best = np.argsort(-groups, kind="stable")[:most]
        best = best[groups[best] > 0.5 * groups.max()]
        return np.array(
            [np.argmax(np.where(self.group == group, mass, -1)) for group in best], dtype=np.int64
        )

    def _on_grid(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(self.lens.attrs["rows"], self.lens.attrs["columns"])
