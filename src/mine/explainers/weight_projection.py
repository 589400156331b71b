"""BrainSCUBA's readout of a voxel's weights (Luo et al. 2024, arXiv 2310.04420).

A weight vector lies where no image does, so it is brought among images first: to the mean of the
unit embeddings e_n of natural images, weighted by how near they are,

    s_n = softmax over n of ⟨w, e_n⟩ / τ          w* = Σ_n s_n e_n / |Σ_n s_n e_n|

with w at unit length and τ = 1/150. Published, w* goes through a captioner that was trained on
such embeddings and has a length from the images' lengths, which a direction has no use for; the
images are millions that no subject has seen. Here they are the training images, and w* is read out
by the lens: the cosine of w* − mean e with each word.
"""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from mine.core.lens import normalise_rows
from mine.explainers.interface import Explanation, Material, best_of_groups

TEMPERATURE = 1 / 150


def explain(material: Material) -> Explanation:
    """Name what a voxel's weights are nearest to, once they are among images."""
    score = read_weights(material.weight, material.features, material.text)
    return Explanation(*best_of_groups(score, material.group))


def read_weights(weight: np.ndarray, features: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Return the cosine of w* − mean e with each word: (voxel, word).

    weight: (voxel, feature). features: (image, feature), embeddings of images, of any length. text:
    (word, feature), centred over the vocabulary, of unit length.
    """
    images = normalise_rows(features)
    projected = normalise_rows(
        softmax(normalise_rows(weight) @ images.T / TEMPERATURE, axis=1) @ images
    )
    return normalise_rows(projected - images.mean(axis=0)) @ text.T
