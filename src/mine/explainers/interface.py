"""What every explainer is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from mine.core.synonyms import name_groups


@dataclass(frozen=True)
class Material:
    """What an explainer may see of one region; of images, those for training alone."""

    responses: np.ndarray
    """(image, voxel), measured"""
    features: np.ndarray
    """(image, feature), the pooled embedding at length √D, what the linear encoder sees"""
    weight: np.ndarray
    """(voxel, feature), of that encoder: ŷ = ⟨weight, features⟩ + a constant"""
    dense: np.ndarray
    """(image, token, feature), denoised tokens at length √D"""
    lens: xr.Dataset
    """``word`` and ``score`` (image, token, rank), what the tokens are read as"""
    presence: np.ndarray
    """bool (image, word), which words of the vocabulary an image's captions have"""
    text: np.ndarray
    """(word, feature), the words' directions, centred over the vocabulary"""
    group: np.ndarray
    """int (word,), groups of near-synonyms"""
    base_rate: np.ndarray
    """(word,), mean lens probability"""
    level: float
    """false discovery rate of what is tested"""


@dataclass(frozen=True)
class Explanation:
    """Words of every voxel: of each group of near-synonyms, how much it is said and as which
    word."""

    score: np.ndarray
    """(voxel, group), the higher the sooner it is named"""
    name: np.ndarray
    """int (voxel, group), the group's best word"""
    sure: np.ndarray | None = None
    """bool (voxel, group), for explainers that test their words"""
    named: np.ndarray | None = None
    """bool (voxel, group), for explainers that may have nothing to say of a group"""


def best_of_groups(score: np.ndarray, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest score in each group, and the word that has it.

    score: (voxel, word). group: int (word,). Returns (voxel, group) both.
    """
    name = name_groups(score, group, int(group.max()) + 1)
    return np.take_along_axis(score, name, axis=1), name
