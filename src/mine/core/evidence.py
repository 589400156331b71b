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
large is bounded without drawing any permutation
(:func:`mine.statistics.permutation.sign_flip_bound`). The suppressive evidence is the same with
negative attributions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.sparse import csr_array

from mine.core.synonyms import name_groups

SIGNS = ("positive", "negative")


@dataclass(frozen=True)
class WordScores:
    """Evidence for every group of synonyms: each (voxel, group), of which z in double precision;
    ``name`` is the group's best word."""

    z: np.ndarray
    z_within: np.ndarray
    effect: np.ndarray
    name: np.ndarray


@dataclass(frozen=True)
class LensPairs:
    """What the lens reads in some images. Of thousands of groups a few hundred are read in an
    image: each of these is a pair (image, group), and products are with them alone."""

    mass: csr_array
    """the lens's (pair, image · token)"""
    image: np.ndarray
    """(pair,), its place"""
    group: np.ndarray
    """(pair,)"""

    @property
    def voxel_bytes(self) -> int:
        """What work with a voxel's maps takes: four arrays (image · token) of float32, and two
        (pair,) of float64."""
        return 16 * sum(self.mass.shape)


def pair_lens(lens: xr.Dataset, group: np.ndarray) -> LensPairs:
    """Sort what the lens reads in images by image and group, once for any number of voxels.

    lens: ``word`` and ``score`` (image, token, rank). group: int (word,).
    """
    groups, read = int(group.max()) + 1, group[lens["word"].values]
    pair, place = np.unique(
        np.arange(len(read))[:, None, None] * groups + read, return_inverse=True
    )
    mass = _gather(place.reshape(read.shape), lens["score"].values.astype(np.float32))
    return LensPairs(mass, *np.divmod(pair, groups))


def score_words(
    attributions: xr.Dataset,
    lens: xr.Dataset,
    group: np.ndarray,
    *,
    sign: str = "positive",
    memory_bytes: int = 2**28,
) -> WordScores:
    """Score all words for all voxels of an attributions store (see the module's docstring).

    attributions: ``token`` and ``attribution`` (sign, voxel, image, rank). lens: ``word`` and
    ``score`` (image, token, rank) of the same images. group: int (word,). ``effect`` is the mean of
    d_n over images, in units of the response. Voxels without any attribution of the sign score 0.
    memory_bytes: of the work arrays, for which images are taken in blocks.
    """
    voxels, images = attributions.sizes["voxel"], attributions.sizes["image"]
    groups = int(group.max()) + 1
    totals = {name: np.zeros((groups, voxels)) for name in ("d", "dd", "within", "within2")}
    by_word = np.zeros((len(group), voxels), dtype=np.float32)
    for block in _read_blocks(attributions, lens, group, sign, memory_bytes):
        said, words = np.unique(lens["word"].values[block.images], return_inverse=True)
        by_word[said] += _gather(words.reshape(block.score.shape), block.score) @ block.maps
        pairs = block.pairs.mass.shape[0]
        named, place = np.unique(block.pairs.group, return_inverse=True)
        add = csr_array((np.ones(pairs, np.float32), (place, np.arange(pairs))))
        d = block.pairs.mass @ (block.maps - block.others)
        within = block.pairs.mass @ _centre(block.maps, lens.sizes["token"])
        for name, values in (("d", d), ("within", within)):
            totals[name][named] += add @ values
        for name, values in (("dd", d), ("within2", within)):
            totals[name][named] += add @ np.square(values)
    rounding = _bound_rounding(attributions, sign).sum(axis=1)
    effect = (totals["d"] / images).astype(np.float32)
    # In place: of a large region each of these arrays takes gigabytes.
    for total, power in (("d", "dd"), ("within", "within2")):
        root = totals.pop(power)
        np.sqrt(np.maximum(root, rounding, out=root), out=root)
        totals[total] /= root
    z, z_within = totals.pop("d"), totals.pop("within").astype(np.float32)
    name = name_groups(by_word.T, group, groups)
    return WordScores(z.T, z_within.T, effect.T, name)


def leave_out_words(
    attributions: xr.Dataset,
    pairs: LensPairs,
    part: np.ndarray,
    *,
    groups: int,
    sign: str = "positive",
) -> np.ndarray:
    """The evidence z of score_words of all images, and without each part of them:
    (1 + part, voxel, group).

    pairs: of all of these images. part: int (image,), of statistics.jackknife. groups: of synonyms.
    An image's null stays the mean map of all other images, so that d_n does not depend on what is
    left out, and each z follows from sums over parts: those of all images less those of the part.
    Work arrays take ``pairs.voxel_bytes`` for each voxel.
    """
    token = attributions["token"].sel(sign=sign).values
    strength = np.abs(attributions["attribution"].sel(sign=sign).values)
    voxels, images, _ = token.shape
    own = map_attributions(token, strength, pairs.mass.shape[1] // images)
    maps, others = _arrange(own, own.sum(axis=1).T, images)
    d = np.ascontiguousarray((pairs.mass @ (maps - others)).T, dtype=np.float64)
    parts = int(part.max()) + 1
    place = part[pairs.image] * groups + pairs.group
    rounding = _bound_rounding(attributions, sign) @ np.eye(parts)[part]
    z = np.empty((1 + parts, voxels, groups))
    for voxel in range(voxels):
        total, power = (
            _leave_out(np.bincount(place, values, parts * groups).reshape(parts, groups))
            for values in (d[voxel], np.square(d[voxel]))
        )
        z[:, voxel] = total / np.sqrt(np.maximum(power, _leave_out(rounding[voxel])[:, None]))
    return z


def _leave_out(sums: np.ndarray) -> np.ndarray:
    """The sum over parts, and that without each: (1 + part, …) of (part, …)."""
    whole = sums.sum(axis=0, keepdims=True)
    return np.concatenate([whole, whole - sums])


def _bound_rounding(attributions: xr.Dataset, sign: str) -> np.ndarray:
    """Least square of d_n that is more than rounding, (voxel, image): a map that is the same in
    every image differs by rounding alone, which is no evidence."""
    strength = np.abs(attributions["attribution"].sel(sign=sign).values)
    images = max(strength.shape[1], 1)
    return np.square(1e-6 * strength.sum(axis=-1)) + 1e-20 / images


@dataclass(frozen=True)
class _Block:
    """Some images."""

    images: slice
    score: np.ndarray
    """the lens's (image, token, rank)"""
    maps: np.ndarray
    """attributions (image · token, voxel)"""
    others: np.ndarray
    """the same, mean over each voxel's other images"""
    pairs: LensPairs


def _read_blocks(
    attributions: xr.Dataset, lens: xr.Dataset, group: np.ndarray, sign: str, memory_bytes: int
) -> Iterator[_Block]:
    """Blocks of images whose work arrays fit into ``memory_bytes``."""
    token = attributions["token"].sel(sign=sign).values
    strength = np.abs(attributions["attribution"].sel(sign=sign).values)
    voxels, images, _ = token.shape
    tokens, ranks = lens.sizes["token"], lens.sizes["rank"]
    groups = int(group.max()) + 1
    largest = max(tokens, min(groups, tokens * ranks))
    size = max(1, memory_bytes // (16 * max(voxels, 1) * largest))
    blocks = [slice(start, start + size) for start in range(0, images, size)]
    everywhere = np.transpose(
        sum(
            map_attributions(token[:, part], strength[:, part], tokens).sum(axis=1)
            for part in blocks
        )
    )
    for part in blocks:
        own = map_attributions(token[:, part], strength[:, part], tokens)
        maps, others = _arrange(own, everywhere, images)
        yield _Block(
            images=part,
            score=lens["score"].values[part].astype(np.float32),
            maps=maps,
            others=others,
            pairs=pair_lens(lens.isel(image=part), group),
        )


def _arrange(own: np.ndarray, everywhere: np.ndarray, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Maps (voxel, image, token) of some images, and the mean maps of each voxel's other images:
    (image · token, voxel) both. everywhere: (token, voxel), sum over all images, so many."""
    voxels, some, tokens = own.shape
    maps = np.ascontiguousarray(own.transpose(1, 2, 0))
    others = (everywhere - maps) / max(images - 1, 1)
    return maps.reshape(some * tokens, voxels), others.reshape(some * tokens, voxels)


def _gather(place: np.ndarray, score: np.ndarray) -> csr_array:
    """Sum the scores of tokens by place: (place, image · token) of both (image, token, rank)."""
    tokens = np.repeat(np.arange(place.size // place.shape[-1]), place.shape[-1])
    return csr_array((score.ravel(), (place.ravel(), tokens)))


def _centre(maps: np.ndarray, tokens: int) -> np.ndarray:
    """Maps (image · token, voxel) less the mean over the tokens of each image."""
    split = maps.reshape(len(maps) // tokens, tokens, maps.shape[1])
    return (split - split.mean(axis=1, keepdims=True)).reshape(maps.shape)


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
