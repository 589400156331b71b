"""Clusters of a region's voxels by their tuning: how many, how stable, and whether any.

A voxel stands with the positive part of its tuning, the larger of both readings, at unit length:
what it answers to besides, however strongly. Voxels are grouped by Ward's method. As many clusters
are reported as explain most of the *other* half of the images, to which the grouping was blind:
with labels from half a, tunings x_v from half b, and m_v the mean of the other voxels of v's
cluster, M_v of all other voxels,

    explained = 1 − Σ_v |x_v − m_v|² / Σ_v |x_v − M_v|²          averaged over both directions

It falls below 0 where clusters are made of noise, and rises no more where one is cut into parts.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy import optimize
from scipy.cluster import hierarchy


def stand_for_voxels(tuning: np.ndarray) -> np.ndarray:
    """Return what is clustered, (voxel, group), from tuning z (reading, voxel, group)."""
    values = np.maximum(tuning.max(axis=0), 0)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(length > 0, length, 1.0)


def cut_tree(values: np.ndarray, counts: range) -> np.ndarray:
    """Group rows by Ward's method into each number of clusters: labels from 0, (count, row)."""
    tree = hierarchy.linkage(values, "ward")
    return hierarchy.cut_tree(tree, list(counts)).T


def explain_half(labels: np.ndarray, values: np.ndarray) -> float:
    """Share of the variation of one half that labels of the other explain; equation above.

    labels: (voxel,). values: (voxel, group). A voxel alone in its cluster is compared with all.
    """
    count = len(values)
    among_all = (values.sum(axis=0) - values) / (count - 1)
    member = labels[:, None] == np.unique(labels)
    size = member.sum(axis=0)[np.argmax(member, axis=1)][:, None]
    others = (member @ (member.T.astype(float) @ values) - values) / np.maximum(size - 1, 1)
    own = np.where(size > 1, others, among_all)
    total = np.square(values - among_all).sum()
    return 1 - np.square(values - own).sum() / total if total > 0 else 0.0


def explain_across_halves(halves: np.ndarray, *, most: int) -> np.ndarray:
    """Explained variation for 2 to ``most`` clusters, (count,); nan above half the voxels.

    halves: tuning z (half, reading, voxel, group), from disjoint images.
    """
    values = [stand_for_voxels(half) for half in halves]
    counts = range(2, min(most, len(values[0]) // 2) + 1)
    explained = np.full(max(most - 1, 0), np.nan)
    if len(counts):
        pairs = ((cut_tree(values[0], counts), values[1]), (cut_tree(values[1], counts), values[0]))
        found = [[explain_half(labels, other) for labels in cuts] for cuts, other in pairs]
        explained[: len(counts)] = np.mean(found, axis=0)
    return explained


def count_clusters(explained: np.ndarray) -> int:
    """The number of clusters that explains most of the other half; 1 where none explains any."""
    best = np.nan_to_num(explained, nan=-np.inf)
    return int(np.argmax(best)) + 2 if len(best) and best.max() > 0 else 1


def share_clusters(resamples: Iterable[np.ndarray], count: int) -> np.ndarray:
    """How often two voxels fall into one cluster: (voxel, voxel), over resamples of the images.

    resamples: tuning z (reading, voxel, group) of each. Consensus clustering (Monti et al. 2003,
    Machine Learning 52).
    """
    together, drawn = None, 0
    for tuning in resamples:
        labels = cut_tree(stand_for_voxels(tuning), range(count, count + 1))[0]
        if together is None:
            # Added up as they come: all at once take a hundred times the memory.
            together = np.zeros((len(labels), len(labels)), np.int32)
        together += labels[:, None] == labels
        drawn += 1
    return together / drawn


def agree_on_clusters(together: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels on which resamples agree, and each voxel's stability.

    together: (voxel, voxel), of :func:`share_clusters`. Labels from 0 by falling size, (voxel,),
    are those of average linkage of 1 − together. Stability (voxel,) is the mean of ``together``
    with the others of the voxel's cluster less the largest such mean with another cluster: 1 where
    it always falls with its own and never with others; nan where it is alone.
    """
    distance = 1 - together[np.triu_indices(len(together), k=1)]
    labels = hierarchy.cut_tree(hierarchy.linkage(distance, "average"), [count])[:, 0]
    labels = np.argsort(np.argsort(-np.bincount(labels), kind="stable"))[labels]
    member = (labels[:, None] == np.arange(labels.max() + 1)).astype(float)
    others = together - np.diag(np.diagonal(together))
    size = member.sum(axis=0)
    row = np.arange(len(labels))
    mean = others @ member / np.maximum(size - member, 1)
    own = np.where(size[labels] > 1, mean[row, labels], np.nan)
    mean[row, labels] = -np.inf
    return labels, own - mean.max(axis=1)


def match_labels(labels: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Rename labels so that as many voxels as can be have that of the reference: (voxel,).

    Both from 0, with equally many clusters (Kuhn 1955).
    """
    count = max(labels.max(), reference.max()) + 1
    overlap = np.zeros((count, count))
    np.add.at(overlap, (labels, reference), 1)
    row, column = optimize.linear_sum_assignment(-overlap)
    return column[np.argsort(row)][labels]
