"""The forms by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mine.encoders import (
    banded,
    linear,
    receptive_field,
    region_query,
    universal,
    voxel_query,
)
from mine.encoders.interface import Fitted, Stimuli, Terms

FORMS: dict[str, Callable[[Stimuli, np.ndarray, Terms], Fitted]] = {
    "mine": voxel_query.fit,
    "mine_mean": voxel_query.fit_mean,
    "ridge": linear.fit_pooled,
    "banded": banded.fit,
    "caption": linear.fit_captions,
    "unit_length": linear.fit_unit_length,
    "receptive_field": receptive_field.fit,
    "universal": universal.fit,
    "region_query": region_query.fit,
}
