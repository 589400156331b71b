"""The plain way: which words of the captions go with the measured response.

For each group of near-synonyms x_n is 1 where a caption of image n has any of its words. Its score
is the Pearson correlation over images of x with the normal scores of the response's ranks, sure
where the one-sided p of its t stays within the false discovery rate over the voxel's groups. Of the
responses themselves a heavy tail would make the few images that have a rare word significant. No
encoder takes part.
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr

from mine.core.synonyms import name_groups
from mine.explainers.interface import Explanation, Material
from mine.statistics.multiple_comparisons import benjamini_hochberg
from mine.statistics.regression import normal_scores
from mine.statistics.scores import correlate_rows


def explain(material: Material) -> Explanation:
    """Name the words whose presence in captions goes with a voxel's measured response."""
    group, presence = material.group, material.presence
    groups = int(group.max()) + 1
    has = np.zeros((groups, len(presence)), dtype=bool)
    np.logical_or.at(has, group, presence.T)
    # A group that all captions or none have says nothing of any response.
    correlation = correlate_rows(normal_scores(material.responses).T, has.astype(np.float64))
    degrees = len(presence) - 2
    r = np.clip(correlation, -1 + 1e-15, 1 - 1e-15)
    p = stdtr(degrees, -r * np.sqrt(degrees / (1 - r**2)))
    q = benjamini_hochberg(p, axis=1)
    commonest = name_groups(presence.sum(axis=0)[None], group, groups)
    return Explanation(
        np.nan_to_num(correlation, nan=-2.0),
        np.broadcast_to(commonest, correlation.shape),
        sure=q <= material.level,
        named=np.isfinite(correlation),
    )
