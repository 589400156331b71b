"""Can a voxel be told apart from the others of its region by its tuning to other images?

Each half of the images gives every voxel a tuning. With c_vw the correlation of voxel v's tuning in
one half with voxel w's in the other, what all voxels share removed from each, v is told apart from
w if c_vv > c_vw and if c_vv > c_wv:

    identification(v) = mean over w ≠ v of both                                      chance: 1/2

Two nulls say what it would be without voxel-unique structure. *Shared*: all voxels of a region have
one tuning, each in its own strength, and noise as it is measured between the halves, with its
covariance over voxels and over words. *Spatial*: tunings are as smooth over the cortex as they are,
but not tied to the place (Moran spectral randomisation, Wagner & Dray 2015, Methods in Ecology and
Evolution 6).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist


def remove_shared(tuning: np.ndarray) -> np.ndarray:
    """Remove the direction of the voxels' mean from each of them, and scale to unit length.

    tuning: (voxel, dimension). A voxel that is nothing but the mean becomes 0.
    """
    mean = tuning.sum(axis=0) / max(len(tuning), 1)
    length = mean @ mean
    rest = tuning - np.outer(tuning @ mean / length, mean) if length > 0 else tuning
    size = np.linalg.norm(rest, axis=1, keepdims=True)
    return rest / np.where(size > 0, size, 1.0)


def compare_halves(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Similarity of every voxel in one half with every voxel in the other: (voxel, voxel)."""
    return remove_shared(first) @ remove_shared(second).T


def span_halves(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of two halves in the space that they span, or as they are where that is no
    smaller.

    first, second: (voxel, dimension). Inner products within and between the halves stay as they
    are, and with them identification and how either null distributes it, in two dimensions a voxel
    in the place of one a word.
    """
    both = np.concatenate([first, second])
    if both.shape[1] <= len(both):
        return first, second
    # Rows are R'Q' with Q orthonormal: R has their coordinates, and Q need not be made.
    coordinates = np.linalg.qr(both.T, mode="r").T
    return coordinates[: len(first)], coordinates[len(first) :]


def identify(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Identification of each voxel between two halves, (voxel,); equation above, ties count half.

    first, second: (voxel, dimension). nan for a single voxel.
    """
    count = len(first)
    if count < 2:
        return np.full(count, np.nan)
    similarity = compare_halves(first, second)
    own = np.diagonal(similarity)
    beaten = np.zeros(count)
    for table in (similarity, similarity.T):
        beaten += (own[:, None] > table).sum(axis=1) + 0.5 * ((own[:, None] == table).sum(1) - 1)
    return beaten / (2 * (count - 1))


class SharedNull(NamedTuple):
    """The null of one shared tuning: what is the same in every draw."""

    fitted: np.ndarray
    """(voxel, dimension): the shared tuning, in the strength of each voxel"""
    left: np.ndarray
    """(voxel, rank): with middle and right, the noise's singular value decomposition"""
    middle: np.ndarray
    """(rank,)"""
    right: np.ndarray
    """(rank, dimension)"""
    scale: float
    """by which a draw is divided to be as large as the noise"""


def prepare_shared(first: np.ndarray, second: np.ndarray) -> SharedNull:
    """Prepare draws of two halves under the null of one shared tuning and noise.

    With z₁, z₂ the halves, m their mean over voxels and halves, a_v the strength of m in voxel v
    and D = (z₁ − z₂) / √2, of which every row's mean over voxels is removed, both halves of a draw
    are a_v m + noise, the noise normal with the covariances of D over voxels and over dimensions.
    """
    average = (first + second) / 2
    mean = average.mean(axis=0)
    length = mean @ mean
    fitted = np.outer(average @ mean / length, mean) if length > 0 else np.zeros_like(average)
    noise = (first - second) / np.sqrt(2)
    noise = noise - noise.mean(axis=0)
    left, middle, right = np.linalg.svd(noise, full_matrices=False)
    size = np.sqrt(np.square(noise).mean()) if middle.any() else 1.0
    return SharedNull(fitted, left, middle, right, np.sqrt(noise.size) * size)


def draw_shared(null: SharedNull, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw two halves (voxel, dimension) under the null of :func:`prepare_shared`."""
    rank = len(null.middle)
    halves = []
    for _ in range(2):
        drawn = null.middle[:, None] * generator.standard_normal((rank, rank)) * null.middle
        halves.append(null.fitted + null.left @ drawn @ null.right / null.scale)
    return halves[0], halves[1]


def spatial_basis(place: np.ndarray) -> np.ndarray:
    """Spatial patterns over voxels, from smooth to rough: orthonormal, (voxel, pattern).

    place: (voxel, axis), in millimetres. The eigenvectors of the inverse distances, centred
    (Moran's eigenvector maps), without the constant one. Voxels at one place, as vertices of a
    surface may be, are as near as the nearest two that are apart.
    """
    distance = cdist(place, place)
    np.fill_diagonal(distance, np.inf)
    weight = 1 / np.maximum(distance, distance[distance > 0].min())
    centred = weight - weight.mean(axis=0) - weight.mean(axis=1)[:, None] + weight.mean()
    value, vector = np.linalg.eigh(centred)
    order = np.argsort(-value)
    constant = np.argmin(np.abs(value)[order])
    return np.delete(vector[:, order], constant, axis=1)


class SpatialNull(NamedTuple):
    """The null of smooth maps: what is the same in every draw."""

    mean: np.ndarray
    """(dimension,): over voxels"""
    basis: np.ndarray
    """(voxel, pattern), of :func:`spatial_basis`"""
    weight: np.ndarray
    """(pattern, dimension): of each pattern in the tuning, its mean removed"""


def prepare_spatial(tuning: np.ndarray, basis: np.ndarray) -> SpatialNull:
    """Prepare draws with the same mean and spatial autocorrelation, not tied to the place.

    tuning: (voxel, dimension). basis: of :func:`spatial_basis`.
    """
    mean = tuning.mean(axis=0)
    return SpatialNull(mean, basis, basis.T @ (tuning - mean))


def draw_spatial(null: SpatialNull, generator: np.random.Generator) -> np.ndarray:
    """Draw a tuning (voxel, dimension) under the null of :func:`prepare_spatial`.

    The sign of each spatial pattern is drawn anew, the same for all dimensions, so that they stay
    as they covary.
    """
    sign = generator.choice([-1.0, 1.0], size=(len(null.weight), 1))
    return null.mean + null.basis @ (sign * null.weight)
