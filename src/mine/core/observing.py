"""New pictures, seen by both encoders and read by the lens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from mine.core.backbone import Backbone, open_backbone, standardise
from mine.core.conditions import MODELS
from mine.core.encoder import EncoderWeights, position_basis, predict
from mine.core.encoder import weights_from_dataset as encoder_weights
from mine.core.evaluator import FeatureModel, open_features
from mine.core.evaluator import weights_from_dataset as evaluator_weights
from mine.core.lens import apply_lens, read_lens
from mine.core.ridge import Ridge

Seen = tuple[dict[str, np.ndarray], xr.Dataset]
"""Predictions by MODELS, float32 (image, voxel) of all voxels, and the lens's ``word`` and
``score`` (image, token, rank)."""


@dataclass(frozen=True)
class Observer:
    """All that is needed to predict a subject's responses to pictures that nobody has seen."""

    backbone: Backbone
    vocabulary: xr.Dataset
    """``text``, ``token_mean`` and the temperature, of the backbone"""
    words_per_token: int
    encoder: EncoderWeights
    phi: torch.Tensor
    features: FeatureModel
    evaluator: Ridge
    batch_size: int

    @property
    def digests(self) -> dict[str, str]:
        """What identifies the models, for a manifest."""
        return {"backbone": self.backbone.digest, "evaluator": self.features.digest}

    def observe(self, images: np.ndarray) -> Seen:
        """Predict and read images, uint8 (image, row, column, 3)."""
        predictions, readings = zip(*self.observe_parts(images), strict=True)
        joined = {name: np.concatenate([part[name] for part in predictions]) for name in MODELS}
        return joined, xr.concat(readings, "image")

    def observe_parts(self, images: np.ndarray) -> Iterator[Seen]:
        """Give what :meth:`observe` gives a batch at a time, first of no image: predictions of all
        of a subject's voxels may take as much memory as the images."""
        voxels, tokens = len(self.encoder.bias), self.backbone.rows * self.backbone.columns
        nothing = np.zeros((0, voxels), np.float32)
        unread = np.zeros((0, tokens, min(self.words_per_token, self.vocabulary.sizes["word"])))
        yield self._describe(nothing, nothing, unread.astype(np.int32), unread.astype(np.float16))
        lens = read_lens(self.vocabulary)
        for start in range(0, len(images), self.batch_size):
            block = images[start : start + self.batch_size]
            raw, _ = self.backbone.encode_images(block)
            # Rounded as the stored tokens are on which the encoder was fitted.
            tokens = standardise(raw).astype(np.float16)
            word, score = apply_lens(
                raw, **lens, words_per_token=self.words_per_token, device=self.backbone.device
            )
            judged = self.evaluator.predict(self.features.encode_images(block))
            explained = predict(self.encoder, tokens, self.phi)
            yield self._describe(judged.astype(np.float32), explained, word, score)

    def _describe(
        self, judged: np.ndarray, explained: np.ndarray, word: np.ndarray, score: np.ndarray
    ) -> Seen:
        place = ("image", "token", "rank")
        grid = {"rows": self.backbone.rows, "columns": self.backbone.columns}
        read = xr.Dataset({"word": (place, word), "score": (place, score)}, attrs=grid)
        return dict(zip(MODELS, (judged, explained), strict=True)), read


def load_observer(
    backbone: dict[str, object],
    evaluator: dict[str, object],
    *,
    vocabulary: xr.Dataset,
    words_per_token: int,
    encoder: xr.Dataset,
    position_orders: int,
    weights: xr.Dataset,
) -> Observer:
    """Load both models and put a subject's encoders on them.

    backbone, evaluator: the sections of the configuration. encoder, weights: stores of the
    explained encoder and of the evaluator.
    """
    model = open_backbone(backbone)
    device = str(model.device)
    return Observer(
        backbone=model,
        vocabulary=vocabulary.load(),
        words_per_token=words_per_token,
        encoder=encoder_weights(encoder, device=device),
        phi=position_basis(model.rows, model.columns, position_orders),
        features=open_features(evaluator),
        evaluator=evaluator_weights(weights),
        batch_size=int(backbone["batch_size"]),
    )
