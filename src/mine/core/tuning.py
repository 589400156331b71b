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

from mine.core.readings import gather_presence, gather_together, measure_spread

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
    spread = measure_spread(largest)
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
    known = np.column_stack([np.ones(len(images)), readings.shared[images]])
    basis, scale = np.linalg.qr(known)
    basis = basis[:, np.abs(np.diag(scale)) > 1e-9 * np.abs(scale).max()]
    left = _unit(_without(response[images].astype(np.float64), basis))
    z = []
    for reading in readings.words:
        values = reading[images]
        rest = _without(values, basis)
        least = 1e-3 * np.linalg.norm(values - values.mean(axis=0), axis=0) + 1e-12
        rest = np.where(np.linalg.norm(rest, axis=0) > least, _unit(rest), 0.0)
        z.append(np.arctanh(np.clip(left.T @ rest, -1 + 1e-12, 1 - 1e-12)))
    return np.stack(z) * np.sqrt(max(len(images) - basis.shape[1] - 2, 1))


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
