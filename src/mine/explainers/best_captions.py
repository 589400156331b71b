"""LaVCa's words from the captions of a voxel's best images (Matsuyama et al. 2025, arXiv
2502.13606).

The images for which the encoder predicts most are looked up, their captions searched for keywords,
and of these the ones kept whose text is nearest to the voxel's weights,

    score(word) = cos(w, text_word)        for words of the best images' captions

Published, the images are millions that no subject has seen, a multimodal model captions them, a
language model says what the captions share, and another makes a sentence of the keywords. Here the
images are the training images with the captions that the dataset has, and a word is shared if more
of the best images have it in a caption than of all.
"""

from __future__ import annotations

import numpy as np

from mine.core.lens import normalise_rows
from mine.explainers.interface import Explanation, Material, best_of_groups

IMAGES = 50
"""Best images of a voxel."""


def explain(material: Material) -> Explanation:
    """Name the keywords of a voxel's best images that are nearest to its weights."""
    predicted = material.weight @ material.features.T
    shared = find_keywords(predicted, material.presence)
    score = np.where(
        shared, normalise_rows(material.weight) @ normalise_rows(material.text).T, -np.inf
    )
    best, name = best_of_groups(score, material.group)
    # Below every cosine, and still a number.
    return Explanation(np.maximum(best, -2.0), name, named=np.isfinite(best))


def find_keywords(predicted: np.ndarray, presence: np.ndarray) -> np.ndarray:
    """Which words more of a voxel's best images have in their captions than of all images.

    predicted: (voxel, image). presence: bool (image, word). Returns bool (voxel, word).
    """
    best = np.argsort(-predicted, axis=1, kind="stable")[:, :IMAGES]
    usual = presence.mean(axis=0)
    return np.stack([presence[images].mean(axis=0) > usual for images in best])
