"""Denoised tokens of images, which a rival explainer reads (mine.explainers.dense_relevance)."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mine.core.backbone import Backbone
from mine.core.showing import Reader, show_blank
from mine.explainers.dense_relevance import denoise_tokens
from mine.logging import split_work


def embed_dense(
    backbone: Backbone,
    images: np.ndarray,
    read_images: Reader,
    *,
    moves: np.ndarray,
    batch_size: int,
) -> xr.Dataset:
    """Average the tokens of one shard of images over views of them.

    images: (image,) identities, none where no subject saw an image of the shard. moves:
    mine.explainers.dense_relevance.draw_moves. Returns ``dense`` float16 (image, token, feature),
    each token of length √D.
    """
    images, read_images, kept = show_blank(images, read_images)
    grid = {"rows": backbone.rows, "columns": backbone.columns}
    parts = [
        denoise_tokens(
            lambda moved: backbone.encode_images(moved)[0],
            read_images(images[part]),
            moves,
            **grid,
        ).astype(np.float16)
        for part in split_work(len(images), size=batch_size, what="images")
    ]
    dense = xr.Dataset(
        {"dense": (("image", "token", "feature"), np.concatenate(parts))},
        coords={"image": images},
        attrs=grid | {"moves": len(moves)},
    )
    dense["dense"].attrs = {"long_name": "token averaged over views of the image, length √D"}
    return dense.isel(image=kept)
