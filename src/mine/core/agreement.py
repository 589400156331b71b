"""How far several readers of the same voxels agree, each of them an encoder with what was read from
it: fits from other random starts, or other analyses.

A reading is centred and of unit length over its columns (words, or tokens), so that a correlation
is a sum of products, and that with all other voxels one product with their sum: no array has two
voxel dimensions. Readers are compared in pairs, and each asks the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from mine.core.evidence import SIGNS, map_attributions
from mine.logging import split_work


@dataclass(frozen=True)
class Agreement:
    """Correlations between readers, means over all pairs of them."""

    own: np.ndarray
    """(voxel,): of a voxel's reading with its own by the other reader; 0 for an empty one"""
    others: np.ndarray
    """(voxel,): with the readings of all other voxels, NaN where it is the only one"""
    mean_own: np.ndarray
    """(1 + part,): mean of own over the able voxels, of all images and without each part of them;
    NaN where there are none"""
    mean_others: np.ndarray
    """(1 + part,): that of others"""


def scale_readings(readings: np.ndarray) -> np.ndarray:
    """Readings (…, column) less their mean, at unit length; empty ones are 0."""
    centred = readings - readings.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(centred, axis=-1, keepdims=True)
    return np.where(length > 1e-9, centred / np.maximum(length, 1e-9), 0.0)


def correlate_profiles(
    blocks: Iterable[tuple[slice, np.ndarray]], able: np.ndarray, *, columns: int
) -> Agreement:
    """Agreement of profiles over words.

    blocks: some voxels and their profiles by all readers, of scale_readings, (reader, 1 + part,
    voxel, column), of all images and without each part of them; together they have every voxel
    once. able: bool (voxel,), which voxels the means are over. columns: of a profile.
    """
    voxels = len(able)
    # Summed over the able voxels and over all, and those of all images.
    asking = answering = whole = own = np.empty(0)
    for part, profiles in blocks:
        readers, left = profiles.shape[:2]
        if not own.size:
            asking, answering = np.zeros((2, readers, left, columns))
            whole, own = np.empty((readers, voxels, columns)), np.empty((left, voxels))
        asking += profiles[:, :, able[part]].sum(axis=2)
        answering += profiles.sum(axis=2)
        whole[:, part] = profiles[:, 0]
        own[:, part] = _pair_readers(profiles, profiles)
    others = _pair_readers(whole, answering[:, 0, None])
    total = _pair_readers(asking, answering)
    return _average(own[0], others, own[:, able].sum(axis=1), total, able)


def correlate_maps(
    readers: Sequence[xr.Dataset],
    weights: np.ndarray,
    able: np.ndarray,
    *,
    tokens: int,
    memory_bytes: int = 2**28,
) -> Agreement:
    """Agreement of attributions: Spearman correlation over the tokens of an image, mean over
    images; others are the region's other voxels on the same image.

    readers: attributions of the same voxels and images, of which the strongest tokens of each sign
    are stored; all others count as 0 and share a rank. weights: (1 + part, image), of
    statistics.jackknife.leave_out_weights. able: bool (voxel,), which voxels the means are over.
    tokens: of an image. memory_bytes: of maps (reader, voxel, image, token) that are in memory at
    once.
    """
    voxels, images = len(able), weights.shape[1]
    own, others = np.zeros((2, voxels))
    able_own, total = np.empty((2, images))
    # Maps, their ranks, and those at unit length.
    size = max(1, memory_bytes // (24 * len(readers) * max(voxels, 1) * tokens))
    for part in split_work(images, size=size, what="images"):
        ranks = np.stack([_rank_tokens(each.isel(image=part), tokens) for each in readers])
        maps = scale_readings(ranks)
        answering = maps.sum(axis=1)
        here = _pair_readers(maps, maps)
        own += here.sum(axis=1)
        others += _pair_readers(maps, answering[:, None]).sum(axis=1)
        able_own[part] = here[able].sum(axis=0)
        total[part] = _pair_readers(maps[:, able].sum(axis=1), answering)
    return _average(own / images, others / images, weights @ able_own, weights @ total, able)


def _rank_tokens(attributions: xr.Dataset, tokens: int) -> np.ndarray:
    """Ranks of signed attributions: (voxel, image, token)."""
    signed = sum(
        map_attributions(
            attributions["token"].sel(sign=sign).values,
            attributions["attribution"].sel(sign=sign).values,
            tokens,
        )
        for sign in SIGNS
    )
    return rankdata(signed, axis=-1)


def _pair_readers(asking: np.ndarray, answering: np.ndarray) -> np.ndarray:
    """Sum of products over columns, mean over all ordered pairs of readers."""
    pairs = list(itertools.permutations(range(len(asking)), 2))
    return sum((asking[a] * answering[b]).sum(axis=-1) for a, b in pairs) / len(pairs)


def _average(
    own: np.ndarray,
    total: np.ndarray,
    able_own: np.ndarray,
    able_total: np.ndarray,
    able: np.ndarray,
) -> Agreement:
    """own, total: (voxel,), correlations with a voxel's own and summed over all voxels; able_own,
    able_total: (1 + part,), the same summed over the able voxels."""
    count, rest = np.float64(able.sum()), np.float64(len(able) - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Agreement(
            own=own,
            others=(total - own) / rest,
            mean_own=able_own / count,
            mean_others=(able_total - able_own) / (count * rest),
        )
