"""The rivals by name."""

from __future__ import annotations

from collections.abc import Callable

from mine.explainers import (
    best_captions,
    caption_correlation,
    dense_relevance,
    weight_projection,
)
from mine.explainers.interface import Explanation, Material

RIVALS: dict[str, Callable[[Material], Explanation]] = {
    "weight_projection": weight_projection.explain,
    "dense_relevance": dense_relevance.explain,
    "best_captions": best_captions.explain,
    "caption_correlation": caption_correlation.explain,
}
