"""Evidence of attributions for words: the words that a voxel's attributions keep falling on.

For image n let A_n be a voxel's map of positive attributions over the tokens and L_n the lens's
probabilities (token, group of synonyms). The evidence of an image for a word is its mass under the
voxel's own map less its mass under the null, the mean map of the voxel's other images:

    d_n(w) = Σ_t [A_nt − mean_{m≠n} A_mt] L_nt(w),        z(w) = Σ_n d_n / √Σ_n d_n²

Exchanging maps between images keeps their spatial structure (blobs, a preferred place, their total)
and breaks only the tie to what the image shows there. Summed over images it is the covariance of
attribution and word at each place, so that scenes that fill an image survive as well as objects
that fill a patch. ``z_within`` shifts the map over its own image instead (the mean over all shifts
on the torus), so that only the place within the image counts.

The image is the unit: under the null the sign of d_n is a coin's, and the probability of a sum this
large is bounded without drawing any permutation (:func:`mine.statistics.sign_flip_bound`). The
suppressive evidence is the same with negative attributions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from mine.core.lens import word_mass
from mine.core.synonyms import Words, choose_groups, group_mass, name_groups

SIGNS = ("positive", "negative")


@dataclass(frozen=True)
class WordScores:
    """Evidence for every group of synonyms: each (voxel, group); ``name`` is the group's best
    word."""

    z: np.ndarray
    z_within: np.ndarray
    effect: np.ndarray
    name: np.ndarray


def score_words(
    attributions: xr.Dataset,
    lens: xr.Dataset,
    group: np.ndarray,
    *,
    sign: str = "positive",
    memory_bytes: int = 2**26,
) -> WordScores:
    """Score all words for all voxels of an attributions store (see the module's docstring).

    attributions: ``token`` and ``attribution`` (sign, voxel, image, rank). lens: ``word`` and
    ``score`` (image, token, rank) of the same images. group: int (word,). ``effect`` is the mean of
    d_n over images, in units of the response. Voxels without any attribution of the sign score 0.
    memory_bytes: of the work arrays (image, voxel, group); images are taken in blocks.
    """
    voxels, images = attributions.sizes["voxel"], attributions.sizes["image"]
    groups = int(group.max()) + 1
    totals = {name: np.zeros((groups, voxels)) for name in ("d", "dd", "within", "within2")}
    by_word = np.zeros((len(group), voxels), dtype=np.float32)
    blocks = _read_blocks(attributions, lens, group, sign, memory_bytes // max(voxels, 1))
    for _, read, own, mass, grouped, difference in blocks:
        by_word[read.words] += np.tensordot(own.transpose(1, 0, 2), mass, axes=2).T
        totals["d"][read.groups] += difference.sum(axis=0).T
        totals["dd"][read.groups] += np.square(difference).sum(axis=0).T
        within = (own - own.mean(axis=2, keepdims=True)) @ grouped
        totals["within"][read.groups] += within.sum(axis=0).T
        totals["within2"][read.groups] += np.square(within).sum(axis=0).T
    totals = {name: total.T for name, total in totals.items()}
    rounding = _bound_rounding(attributions, sign).sum(axis=1)[:, None]
    z = totals["d"] / np.sqrt(np.maximum(totals["dd"], rounding))
    z_within = totals["within"] / np.sqrt(np.maximum(totals["within2"], rounding))
    effect = totals["d"] / images
    return WordScores(z, z_within, effect, name_groups(by_word.T, group, groups))


def resample_words(
    attributions: xr.Dataset,
    lens: xr.Dataset,
    group: np.ndarray,
    weights: np.ndarray,
    *,
    sign: str = "positive",
    memory_bytes: int = 2**26,
) -> np.ndarray:
    """The evidence z of score_words with images drawn again: (resample, voxel, group).

    weights: (resample, image) of statistics.bootstrap_weights. An image's null stays the mean map
    of all other images, so that d_n does not depend on the draw.
    """
    voxels, images = attributions.sizes["voxel"], attributions.sizes["image"]
    drawn = weights * images
    total, power = np.zeros((2, len(weights), voxels, int(group.max()) + 1))
    blocks = _read_blocks(attributions, lens, group, sign, memory_bytes // max(voxels, 1))
    for part, read, *_, difference in blocks:
        total[:, :, read.groups] += np.tensordot(drawn[:, part], difference, axes=1)
        power[:, :, read.groups] += np.tensordot(drawn[:, part], np.square(difference), axes=1)
    rounding = drawn @ _bound_rounding(attributions, sign).T
    return total / np.sqrt(np.maximum(power, rounding[:, :, None]))


def _bound_rounding(attributions: xr.Dataset, sign: str) -> np.ndarray:
    """Least square of d_n that is more than rounding, (voxel, image): a map that is the same in
    every image differs by rounding alone, which is no evidence."""
    strength = np.abs(attributions["attribution"].sel(sign=sign).values)
    images = max(strength.shape[1], 1)
    return np.square(1e-6 * strength.sum(axis=-1)) + 1e-20 / images


def _read_blocks(
    attributions: xr.Dataset, lens: xr.Dataset, group: np.ndarray, sign: str, memory_bytes: int
) -> Iterator[tuple[slice, Words, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Blocks of images that fit into ``memory_bytes`` a voxel: which images, the groups that are
    read in them, maps (image, voxel, token), lens by word (image, token, word) and by group
    (image, token, group), and d_n (image, voxel, group)."""
    token = attributions["token"].sel(sign=sign).values
    strength = np.abs(attributions["attribution"].sel(sign=sign).values)
    images = token.shape[1]
    tokens, groups = lens.sizes["token"], int(group.max()) + 1
    block = max(1, memory_bytes // (16 * max(groups, tokens)))
    blocks = [slice(start, start + block) for start in range(0, images, block)]
    everywhere = sum(
        map_attributions(token[:, part], strength[:, part], tokens).sum(axis=1) for part in blocks
    )
    for part in blocks:
        word, score = lens["word"].values[part], lens["score"].values[part]
        read = choose_groups(group[word], group)
        word = read.place(word)
        mass = word_mass(word, score, words=len(read.words))
        grouped = group_mass(word, score, read.group, len(read.groups))
        own = map_attributions(token[:, part], strength[:, part], tokens)
        # One block of memory an image, as products over images want it.
        own = np.ascontiguousarray(own.transpose(1, 0, 2))
        difference = (own - (everywhere - own) / max(images - 1, 1)) @ grouped
        yield part, read, own, mass, grouped, difference


def map_attributions(token: np.ndarray, strength: np.ndarray, tokens: int) -> np.ndarray:
    """Spread stored attributions over the image: (voxel, image, rank) → (voxel, image, token).

    token: index of each entry, -1 for none.
    """
    maps = np.zeros((*token.shape[:2], tokens + 1), dtype=np.float32)
    np.put_along_axis(maps, np.where(token >= 0, token, tokens), strength, axis=2)
    return maps[..., :tokens]


def read_images(
    token: np.ndarray, strength: np.ndarray, lens: xr.Dataset, column: np.ndarray
) -> np.ndarray:
    """Mass of one voxel's attributions that is read as each of some words: (image, column).

    token, strength: (image, rank), token -1 for none. column: int (word,), where each word's mass
    goes; -1 for words that are left out.
    """
    images = np.arange(len(token))[:, None]
    to = column[lens["word"].values[images, token]]
    mass = lens["score"].values[images, token].astype(np.float32) * strength[..., None]
    columns = int(column.max(initial=-1)) + 1
    used = (to >= 0) & (token >= 0)[..., None]
    place = (images[..., None] * columns + to)[used]
    total = np.bincount(place, weights=mass[used], minlength=len(token) * columns)
    return total.reshape(len(token), columns)
