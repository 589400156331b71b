"""How much of a picture an edit left as it was."""

from __future__ import annotations

import numpy as np


def outside_similarity(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> float:
    """Mean structural similarity (Wang et al. 2004) of two pictures outside a mask.

    before, after: uint8 (row, column, 3). mask: bool (row, column), True where it was edited. 1
    where nothing else changed; nan where the mask covers all.
    """
    from skimage.metrics import structural_similarity

    if mask.all():
        return float("nan")
    _, similarity = structural_similarity(before, after, channel_axis=2, full=True)
    return float(similarity[~mask].mean())
