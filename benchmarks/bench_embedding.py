"""Embedding images with tokens, lens readings and a store against open_clip's encode_image alone.

The model is a ViT-B/16 with random weights, which takes as long as one with learned weights does;
both sides read the same uint8 images and prepare them in the same way. The lens has as many words
as a large vocabulary, and by itself is compared with a plain numpy one that ranks all words.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from common import peak_memory, read_options, time_call, write_records
from PIL import Image

from mine.core.clip_backbone import ClipBackbone
from mine.core.lens import apply_lens
from mine.stages.embeddings import embed_images
from mine.stores import write_store

MODEL = "ViT-B-16"
FEATURES = 512


def make_backbone() -> ClipBackbone:
    import open_clip

    torch.manual_seed(0)
    model, _, preprocess = open_clip.create_model_and_transforms(MODEL, pretrained=None)
    grid = {"rows": 14, "columns": 14}
    return ClipBackbone(
        model.eval(), preprocess, None, "value", torch.device("cpu"), "random weights", **grid
    )


def make_vocabulary(words: int):
    import xarray as xr

    text = np.random.default_rng(0).normal(size=(words, FEATURES)).astype(np.float32)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    return xr.Dataset(
        {"text": (("word", "feature"), text), "token_mean": (("feature",), np.zeros(FEATURES))},
        attrs={"temperature": 0.01},
    )


def read_by_hand(tokens: np.ndarray, text: np.ndarray, kept: int) -> np.ndarray:
    """Probabilities of each token's best words, all words ranked: (image, token, rank)."""
    unit = tokens / np.linalg.norm(tokens, axis=-1, keepdims=True)
    logits = unit @ text.T / 0.01
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probability = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return -np.sort(-probability, axis=-1)[..., :kept]


def main() -> None:
    options = read_options(
        __doc__.splitlines()[0], images=64, batch=16, words=2000, many_words=40000, kept=10
    )
    torch.set_num_threads(options.threads)
    backbone = make_backbone()
    pixels = np.random.default_rng(1).integers(0, 256, (options.images, 425, 425, 3), np.uint8)

    @torch.inference_mode()
    def encode_plainly() -> np.ndarray:
        parts = []
        for start in range(0, len(pixels), options.batch):
            block = pixels[start : start + options.batch]
            batch = torch.stack([backbone.preprocess(Image.fromarray(image)) for image in block])
            parts.append(backbone.model.encode_image(batch).numpy())
        return np.concatenate(parts)

    def embed(words: int):
        embedded, lens = embed_images(
            backbone,
            np.arange(len(pixels)),
            lambda images: pixels[images],
            vocabulary=make_vocabulary(words),
            words_per_token=options.kept,
            batch_size=options.batch,
        )
        with tempfile.TemporaryDirectory() as folder:
            write_store(embedded, Path(folder) / "images.zarr", provenance={})
            write_store(lens, Path(folder) / "lens.zarr", provenance={})
        return embedded["pooled"].values

    encode_plainly()
    plain, expected = time_call(encode_plainly, repeats=2)
    records = []
    for name, words in (("embedding", options.words), ("embedding_words", options.many_words)):
        seconds, pooled = time_call(lambda words=words: embed(words), repeats=2)
        records.append(
            {
                "name": name,
                "seconds": round(seconds, 2),
                "images_per_second": round(len(pixels) / seconds, 1),
                "rival": "encode_image alone, nothing written",
                "rival_seconds": round(plain, 2),
                "ratio": round(plain / seconds, 3),
                "relative_difference": float(np.abs(pooled - expected).max() / expected.max()),
                "sizes": {"images": len(pixels), "tokens": 196, "words": words},
            }
        )
    tokens = np.random.default_rng(2).normal(size=(4, 196, FEATURES)).astype(np.float32)
    text = make_vocabulary(options.many_words)["text"].values
    arguments = {"text": text, "token_mean": np.zeros(FEATURES), "temperature": 0.01}
    seconds, (_, score) = time_call(
        lambda: apply_lens(tokens, words_per_token=options.kept, **arguments), repeats=3
    )
    slow, expected = time_call(lambda: read_by_hand(tokens, text, options.kept))
    records.append(
        {
            "name": "lens",
            "seconds": round(seconds, 3),
            "rival": "numpy, all words ranked",
            "rival_seconds": round(slow, 3),
            "ratio": round(slow / seconds, 1),
            # Scores are kept in half precision.
            "relative_difference": float(np.abs(score - expected).max() / expected.max()),
            "sizes": {"images": len(tokens), "tokens": 196, "words": options.many_words},
        }
    )
    common = {"peak_mb": peak_memory(), "threads": options.threads, "model": MODEL}
    write_records(
        "embedding",
        [record | common for record in records],
        libraries=("torch", "open_clip_torch", "numpy", "zarr"),
        directory=options.results,
    )


if __name__ == "__main__":
    main()
