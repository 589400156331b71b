"""Predictions for images of another kind than those that an encoder was fitted on."""

from __future__ import annotations

import numpy as np
import torch

from mine.core.backbone import Backbone, standardise
from mine.core.encoder import EncoderWeights, predict
from mine.core.showing import Reader


def predict_images(
    backbone: Backbone,
    weights: EncoderWeights,
    phi: torch.Tensor,
    images: np.ndarray,
    read_images: Reader,
    *,
    batch_size: int,
) -> np.ndarray:
    """Predicted responses to images that are embedded for this alone: float32 (image, voxel).

    phi: of mine.core.encoder.position_basis. Some images are in memory at a time.
    """
    parts = []
    for start in range(0, len(images), batch_size):
        raw, _ = backbone.encode_images(read_images(images[start : start + batch_size]))
        # Rounded as the stored tokens are on which the encoder was fitted.
        parts.append(predict(weights, standardise(raw).astype(np.float16), phi))
    return np.concatenate(parts)
