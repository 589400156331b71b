"""Image backbones: models whose image tokens are read in the words of the same model.

Two kinds serve. A CLIP (clip_backbone.py) has images and texts in one space; a word is the
embedding of sentences that hold it, and a token is read by directions. A vision–language model
(vlm_backbone.py) predicts words; a word is its row of the unembedding, and a token is read by the
model's own logits. What the stages ask of either is :class:`Backbone`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mine.core.backbone_keys import ALIGNMENTS
from mine.core.models import check_digest
from mine.core.showing import Reader
from mine.errors import InputError

if TYPE_CHECKING:
    import torch

LOADED = tuple("kind model pretrained digest alignment layer side dtype device".split())
"""Keys of the configuration's section that say which model is loaded and how it is read."""


class Backbone(Protocol):
    """A loaded model. Use :func:`load_backbone`."""

    device: torch.device
    digest: str
    library: str
    """Distribution that loads such models, prepares their images and runs them"""
    rows: int
    columns: int
    reads_logits: bool
    """Whether a token is read by the model's logits, and not by the cosine with words"""

    @property
    def temperature(self) -> float:
        """The model's own softmax temperature."""

    @property
    def tokenizer(self) -> Any:
        """Of the model's texts."""

    def encode_images(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Encode images, uint8 (image, row, column, 3).

        Returns raw tokens (image, token, feature), row-major over the grid of ``rows`` ×
        ``columns``, and the pooled embedding (image, feature), both float32 and not normalised.
        Raises InputError if the model's numbers overflow, as :meth:`encode_texts` does.
        """

    def encode_texts(self, texts: list[str], *, batch_size: int = 256) -> np.ndarray:
        """Encode texts: unit embeddings, float32 (text, feature)."""

    def choose_words(self, words: list[str]) -> list[str]:
        """Return the words that the model can be read in, in their order."""

    def embed_words(self, words: list[str], prompts: list[str]) -> np.ndarray:
        """Return a vector for each word that a token is compared with: float32 (word, feature)."""

    def encode_variants(self, images: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Give images' tokens, as :meth:`encode_images` does, in every way in which this model's
        can be read, its own among them, one after the other with the name of the way: together
        those of a large model take many gigabytes."""


def open_backbone(section: Mapping[str, Any], **changes: Any) -> Backbone:
    """Load the model that the configuration's section ``backbone`` names, with changes to it."""
    return load_backbone(**{key: section[key] for key in LOADED} | changes)


def load_backbone(
    *,
    model: str,
    pretrained: str | None,
    digest: str | None = None,
    kind: str = "open_clip",
    alignment: str = "output",
    layer: int | None = None,
    side: int | None = None,
    dtype: str = "float32",
    device: str = "auto",
) -> Backbone:
    """Load a model and choose how its tokens are read.

    kind: ``open_clip`` or ``vlm``. model: ``local-dir:`` and a folder, or ``hf-hub:`` and a
    repository; for open_clip also a name of its own, and pretrained the tag of the weights.
    alignment is of open_clip, layer and side are of vlm; see there. dtype: precision of weights and
    computation. digest: that the model has to have, if any. Raises InputError if the model cannot
    be had, is another than that, or has no tokens that can be read so.
    """
    if kind == "vlm":
        from mine.core.vlm_backbone import load_language_backbone

        backbone: Backbone = load_language_backbone(
            model=model, layer=layer, side=side, dtype=dtype, device=device
        )
    elif alignment not in ALIGNMENTS:
        raise InputError(f"backbone.alignment: expected one of {ALIGNMENTS}, found {alignment!r}")
    else:
        from mine.core.clip_backbone import load_clip_backbone

        backbone = load_clip_backbone(
            model=model, pretrained=pretrained, alignment=alignment, dtype=dtype, device=device
        )
    check_digest(backbone.digest, digest, key="backbone.digest")
    return backbone


def sample_tokens(
    backbone: Backbone,
    images: np.ndarray,
    read_images: Reader,
    *,
    each: int,
    batch_size: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean raw token over images, and at most ``each`` tokens of every image, drawn at
    random: float32 (feature,) and (image, token, feature)."""
    total, count, parts = 0.0, 0, []
    for start in range(0, len(images), batch_size):
        tokens, _ = backbone.encode_images(read_images(images[start : start + batch_size]))
        total = total + tokens.sum(axis=(0, 1), dtype=np.float64)
        count += tokens.shape[0] * tokens.shape[1]
        order = generator.random(tokens.shape[:2]).argsort(axis=1)[:, :each]
        parts.append(np.take_along_axis(tokens, order[..., None], axis=1))
    return (total / count).astype(np.float32), np.concatenate(parts)


def standardise(tokens: np.ndarray) -> np.ndarray:
    """LayerNorm without affine over features: (x − mean) / √(variance + 1e-5), any leading
    shape.
    """
    centred = tokens - tokens.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + 1e-5)
