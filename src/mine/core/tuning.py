"""Fine tuning: what each voxel answers to beyond the word that its region shares.

All voxels of a face region answer to faces; what may tell them apart is what else they answer to.
With g the word that the region shares, L_nt the lens's probabilities at token t of image n, the
readings of a group of synonyms w are

    anywhere_n(w) = max_t L_nt(w)            together_n(w) = max_t L_nt(g) L_nt(w)

and a voxel's tuning to w is the partial correlation r of its measured response with a reading over
images, given how clearly g is read and how much of the image it fills, as Fisher's

    z = atanh(r) √(images − known − 3)

which is standard normal where there is none. Measured responses and readings alone enter, no
encoder: nothing that was fitted to other voxels can make two voxels alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import linalg

from mine.core.readings import gather_presence, gather_together, measure_deviation

READINGS = ("anywhere", "together")


class WordReadings(NamedTuple):
    """What the lens reads in images, by word."""

    shared: np.ndarray
    """(image, 2): how clearly the shared word is read, and how much of the image it fills"""
    words: np.ndarray
    """(reading, image, group): READINGS of every group kept"""
    group: np.ndarray
    """(group,): the groups kept, ascending"""


def find_shared_word(first: np.ndarray) -> int:
    """The group that most voxels' profiles have first, the smallest of equals; -1 for no voxel.

    first: (voxel,), groups; -1 for a voxel without a word.
    """
    counts = np.bincount(first[first >= 0])
    return int(np.argmax(counts)) if len(counts) else -1


def read_words(lens: xr.Dataset, group: np.ndarray, *, shared: int, most: int) -> WordReadings:
    """Read words in images (see the module's docstring).

    lens: ``word`` and ``score`` (image, token, rank). group: int (word,). shared: a group; with -1,
    for none, no word is read. most: groups kept, those whose reading varies most over the images.
    The choice knows no response, so that it favours no voxel.
    """
    if shared < 0:
        images = lens.sizes["image"]
        return WordReadings(np.zeros((images, 2)), np.zeros((2, images, 0)), np.zeros(0, int))
    largest, mean = gather_presence(lens, group)
    together = gather_together(lens, group, np.array([shared]))[shared]
    spread = measure_deviation(largest)
    spread[shared] = 0
    kept = np.argsort(-spread, kind="stable")[:most]
    kept = np.sort(kept[spread[kept] > 0])
    return WordReadings(
        np.hstack([part[:, [shared]].toarray() for part in (largest, mean)]).astype(np.float64),
        np.stack([part[:, kept].toarray() for part in (largest, together)]).astype(np.float64),
        kept,
    )


def measure_tuning(response: np.ndarray, readings: WordReadings, images: np.ndarray) -> np.ndarray:
    """Measure the tuning of voxels on some of the images: z (reading, voxel, group).

    response: (image, voxel), to the images of the readings. images: positions, each as often as it
    is to count (bootstrap). A reading that is constant, or nothing but the shared word's, has z 0.
    """
    left, rests, degrees = _give_known(response, readings, images)
    left = _unit(left)
    z = [np.arctanh(np.clip(left.T @ _unit(rest), -1 + 1e-12, 1 - 1e-12)) for rest in rests]
    return np.stack(z) * np.sqrt(max(degrees - 2, 1))


def sign_flip_tuning(
    response: np.ndarray, readings: WordReadings, images: np.ndarray
) -> np.ndarray:
    """Test the tuning of voxels on some of the images: z (reading, voxel, group), whose p is
    mine.statistics.permutation.sign_flip_bound.

    With e what the shared word's readings leave of the response and u what they leave of a word's,
    z = Σ_n e_n u_n / √Σ_n (e_n u_n)². It does not ask, as that of :func:`measure_tuning` does, that
    e varies alike in all images: voxels that differ in where they look differ in images of the
    shared word alone, where words that are read together with it are not zero. Arguments are those
    of measure_tuning.
    """
    left, rests, _ = _give_known(response, readings, images)
    z = []
    for rest in rests:
        size = np.sqrt(np.square(left).T @ np.square(rest))
        z.append((left.T @ rest) / np.where(size > 0, size, 1.0))
    return np.stack(z)


def _give_known(
    response: np.ndarray, readings: WordReadings, images: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray], int]:
    """What the shared word's readings leave of the response (image, voxel) and of the readings of
    each kind (image, group), and the degrees of freedom left. A reading of which a thousandth is
    left is constant, or nothing but the shared word's, and counts as zero."""
    known = np.column_stack([np.ones(len(images)), readings.shared[images]])
    # Pivots put dependent columns last; dropped from the middle, they take a part of later ones.
    basis, scale, _ = linalg.qr(known, mode="economic", pivoting=True)
    basis = basis[:, np.abs(np.diag(scale)) > 1e-9 * np.abs(scale).max()]
    left = _without(response[images].astype(np.float64), basis)
    rests = []
    for reading in readings.words:
        values = reading[images]
        rest = _without(values, basis)
        least = 1e-3 * np.linalg.norm(values - values.mean(axis=0), axis=0) + 1e-12
        rests.append(np.where(np.linalg.norm(rest, axis=0) > least, rest, 0.0))
    return left, rests, len(images) - basis.shape[1]


def join_readings(tuning: np.ndarray) -> np.ndarray:
    """Set both readings of a voxel side by side: (..., reading, voxel, group) → (..., voxel,
    reading and group).
    """
    *others, reading, voxel, group = tuning.shape
    return np.moveaxis(tuning, -3, -2).reshape(*others, voxel, reading * group)


def _without(values: np.ndarray, basis: np.ndarray) -> np.ndarray:
    return values - basis @ (basis.T @ values)


def _unit(columns: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(columns, axis=0)
    return columns / np.where(length > 0, length, 1.0)
