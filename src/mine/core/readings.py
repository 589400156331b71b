"""What the lens reads in whole images: in how much of one, anywhere in it, or in one place with
something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import ndimage, sparse

from mine.core.masks import NEIGHBOURS
from mine.core.prompts import join_words

BLOCK_BYTES = 2**26
"""Memory of the readings that are spread over groups at once."""


def gather_presence(
    lens: xr.Dataset, group: np.ndarray
) -> tuple[sparse.csc_array, sparse.csc_array]:
    """How clearly each group is read anywhere in an image, and how much of the image it fills.

    lens: ``word`` and ``score`` (image, token, rank). group: int (word,). Returns the largest
    probability over tokens and its mean, both sparse float32 (image, group): of tens of thousands
    of words an image is read as some hundreds.
    """
    largest, mean = [], []
    for readings in _spread_readings(lens, group):
        largest.append(_over_tokens(readings, np.maximum, tokens=lens.sizes["token"]))
        mean.append(_over_tokens(readings, np.add, tokens=lens.sizes["token"]))
    return _stack(largest), _stack(mean) / np.float32(lens.sizes["token"])


def bend_presence(largest: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """One group's presence as a regression is to know it: float64 (image, 6).

    largest, mean: of :func:`gather_presence`, (image,). Each in three forms, its root, itself and
    its square, of each as a share of its largest value: a response need not rise in proportion to
    a probability, and where it bends otherwise another word that rides on the group would seem to
    add what is only the bend. All zero for a group that is never read.
    """
    shares = [
        values / max(values.max(initial=0.0), np.finfo(np.float64).tiny)
        for values in (largest.astype(np.float64), mean.astype(np.float64))
    ]
    return np.column_stack([form for share in shares for form in (share**0.5, share, share**2)])


def gather_together(
    lens: xr.Dataset, group: np.ndarray, firsts: np.ndarray
) -> dict[int, sparse.csc_array]:
    """How clearly each group is read in one place with another.

    firsts: groups. Returns for each of them max_t L_nt(first) L_nt(w), sparse float32 (image,
    group).
    """
    parts: dict[int, list[sparse.csr_array]] = {int(first): [] for first in firsts}
    for readings in _spread_readings(lens, group):
        columns = readings.tocsc()
        for first, found in parts.items():
            product = readings.multiply(columns[:, [first]]).tocsr()
            found.append(_over_tokens(product, np.maximum, tokens=lens.sizes["token"]))
    return {first: _stack(found) for first, found in parts.items()}


def measure_deviation(readings: sparse.csc_array) -> np.ndarray:
    """Return the standard deviation of each group over images, float64 (group,); 0 for one that is
    constant but for rounding."""
    exact = readings.astype(np.float64)
    square, mean = (exact**2).mean(axis=0), exact.mean(axis=0)
    variance = square - mean**2
    return np.sqrt(np.where(variance > 1e-6 * square, variance, 0))


def read_presence(lens: xr.Dataset, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of :func:`gather_presence` as arrays, float32 (image, group)."""
    largest, mean = gather_presence(lens, group)
    return largest.toarray(), mean.toarray()


def _spread_readings(lens: xr.Dataset, group: np.ndarray) -> Iterator[sparse.csr_array]:
    """Probabilities of the groups that are read, a block of images at a time: sparse float32 (image
    and token, group)."""
    tokens, ranks = lens.sizes["token"], lens.sizes["rank"]
    # A reading takes a row, a column and a number, before and after equal groups are added up.
    block = max(1, BLOCK_BYTES // (32 * tokens * ranks))
    for start in range(0, lens.sizes["image"], block):
        here = lens[["word", "score"]].isel(image=slice(start, start + block))
        word, score = here["word"].values, here["score"].values.astype(np.float32)
        rows = np.repeat(np.arange(word.shape[0] * tokens), ranks)
        entries = score.ravel(), (rows, group[word].ravel())
        yield sparse.csr_array(entries, shape=(word.shape[0] * tokens, int(group.max()) + 1))


def _over_tokens(readings: sparse.csr_array, join: np.ufunc, *, tokens: int) -> sparse.csr_array:
    """Join the readings of an image's tokens: sparse (image and token, group) → (image, group)."""
    images, groups = readings.shape[0] // tokens, readings.shape[1]
    listed = readings.tocoo()
    place = (listed.coords[0] // tokens).astype(np.int64) * groups + listed.coords[1]
    order = np.argsort(place, kind="stable")
    place, start = np.unique(place[order], return_index=True)
    values = join.reduceat(listed.data[order], start) if len(start) else listed.data
    return sparse.csr_array((values, np.divmod(place, groups)), shape=(images, groups))


def _stack(parts: list[sparse.csr_array]) -> sparse.csc_array:
    return sparse.vstack(parts).tocsc()


def read_feature(
    word: np.ndarray, score: np.ndarray, group: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """How clearly some groups are read in each token of one image: float32 (token,).

    word, score: (token, rank) of the lens. wanted: groups, whose probabilities are summed.
    """
    return np.where(np.isin(group[word], wanted), score.astype(np.float32), 0).sum(axis=-1)


def split_presence(
    presence: np.ndarray | sparse.csc_array, *, memory_bytes: int = 2**26
) -> np.ndarray:
    """Threshold above which a group counts as present: float (group,).

    presence: (image, group) of :func:`gather_presence` on training images. The threshold between
    two neighbouring values that leaves the least variance within the two sides (Otsu 1979, here
    without a histogram); infinity for a group that reads the same in every image. Groups are taken
    in blocks, of which an array in double precision has at most ``memory_bytes``.
    """
    block = max(1, memory_bytes // (8 * presence.shape[0]))
    starts = range(0, presence.shape[1], block)
    return np.concatenate([_split_block(presence[:, start : start + block]) for start in starts])


def _split_block(presence: np.ndarray | sparse.csc_array) -> np.ndarray:
    dense = presence.toarray() if sparse.issparse(presence) else presence
    values = np.sort(dense.astype(np.float64), axis=0)
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
    return split_presence(gather_presence(lens, group)[0])


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
        """The words read around a mask, but for some groups: those of more than half the largest
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
