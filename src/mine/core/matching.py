"""Do clusters of two subjects match? One region's voxels in both, by the words that they answer to.

No voxel of one subject is a voxel of another, but words are the same. A cluster c stands with

    x_c = mean of its voxels' tunings − mean of all voxels' tunings        over words, each centred

so that what the whole region shares says nothing. Clusters of two subjects are matched one to one
so that the sum of their correlations over words is largest (Kuhn 1955); the statistic is the mean
of the matched correlations. It is above 0 for any two sets of clusters, since the best match is
taken; so it is compared with that of clusters whose labels are dealt out anew among one subject's
voxels, sizes and tunings being kept, matched in the same way.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import optimize

LEAST_WORDS = 3
"""Words in common without which two tunings are not correlated."""


class Matching(NamedTuple):
    """Clusters of two subjects matched one to one, as many as the subject with fewer has."""

    first: np.ndarray
    """(match,): cluster of the first subject, ascending"""
    second: np.ndarray
    """(match,): its match in the second"""
    correlation: np.ndarray
    """(match,): of both over words"""


def contrast_tunings(tuning: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return x_c of the module's docstring at unit length: (cluster, word).

    tuning: (voxel, word). labels: (voxel,), from 0, none left out. A cluster that does not differ
    from all voxels is all 0.
    """
    member = labels == np.arange(labels.max() + 1)[:, None]
    mean = member @ tuning / member.sum(axis=1, keepdims=True)
    contrast = mean - tuning.mean(axis=0)
    contrast -= contrast.mean(axis=1, keepdims=True)
    length = np.linalg.norm(contrast, axis=1, keepdims=True)
    return np.where(length > 1e-9, contrast / np.maximum(length, 1e-9), 0.0)


def match_clusters(first: np.ndarray, second: np.ndarray) -> Matching:
    """Match clusters one to one, their correlations summing to the most.

    first, second: (cluster, word), of :func:`contrast_tunings`.
    """
    correlation = first @ second.T
    row, column = optimize.linear_sum_assignment(-correlation)
    return Matching(row, column, correlation[row, column])


def draw_matchings(
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    *,
    draws: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Mean matched correlation with the labels of one subject dealt out anew: (subject, draw).

    first, second: tuning (voxel, word), words in common, and labels (voxel,). Row 0: labels of the
    first subject are dealt out, those of the second kept; row 1: the other way round. To deal out
    both would make both noise, which correlates less than clusters do that are there but do not
    match: such a test rejects too often.
    """
    kept = contrast_tunings(*first), contrast_tunings(*second)
    found = np.empty((2, draws))
    for row, (tuning, labels) in enumerate((first, second)):
        for draw in range(draws):
            dealt = contrast_tunings(tuning, generator.permutation(labels))
            found[row, draw] = match_clusters(dealt, kept[1 - row]).correlation.mean()
    return found
