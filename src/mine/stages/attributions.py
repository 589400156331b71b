"""Attributions: which tokens of each image drive each voxel's prediction, and by how much."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import xarray as xr

from mine.core.encoder import EncoderWeights
from mine.core.evidence import SIGNS
from mine.core.integrated_gradients import AttributionBatch, stream_attributions
from mine.core.keeping import count_kept
from mine.logging import Progress

BLOCK = 256
"""Images whose tokens are summed at once."""


def attribute(
    weights: EncoderWeights,
    tokens: np.ndarray,
    baseline: np.ndarray,
    phi: torch.Tensor | np.ndarray,
    *,
    nodes: int,
    tolerance: float,
    maximum_nodes: int,
    token_fraction: float,
    keep_lowest: bool = False,
    voxel_batch: int,
    image_batch: int,
    on_batch: Callable[[AttributionBatch], None] | None = None,
) -> xr.Dataset:
    """Attribute the predictions of all voxels on all images to the images' tokens.

    weights: encoder of the voxels to attribute. tokens: (image, token, feature), standardised, an
    array or a lazy one. baseline: (token, feature), the mean training token at each position.
    phi: (token, basis). token_fraction: share of the tokens stored per sign, voxel and image,
    at least one.
    keep_lowest: whether as many of lowest |attribution| are stored besides, as controls that had
    their part in nothing.
    on_batch: called with every batch of scalars as it passes, so that patching shares the pass.

    Returns, in units of the response,
    - token (sign, voxel, image, rank): strongest first; -1 where fewer tokens have that sign
    - attribution (sign, voxel, image, rank): signed; 0 where token is -1
    - total (sign, voxel, image): sum over all tokens of that sign; both signs together are
      prediction − baseline_prediction, up to the completeness error
    - position_map (sign, voxel, token): mean over images of the attribution of that sign
    - lowest (voxel, image, lowest): index of the tokens of lowest |attribution|, lowest first
    - prediction (voxel, image), baseline_prediction (voxel)
    - completeness_error (voxel, image): relative to Σ|IG|; nodes (voxel, image): nodes used
    """
    images, token_count = tokens.shape[:2]
    voxels = len(weights.bias)
    kept = count_kept(token_count, token_fraction)
    index = np.int16 if token_count <= np.iinfo(np.int16).max else np.int32
    token = np.full((2, voxels, images, kept), -1, index)
    attribution = np.zeros((2, voxels, images, kept), np.float32)
    lowest = np.zeros((voxels, images, kept if keep_lowest else 0), index)
    total = np.zeros((2, voxels, images), np.float32)
    position_map = np.zeros((2, voxels, token_count))
    prediction = np.zeros((voxels, images), np.float32)
    baseline_prediction = np.zeros(voxels, np.float32)
    completeness_error = np.zeros((voxels, images), np.float32)
    nodes_used = np.zeros((voxels, images), np.int16)

    stream = stream_attributions(
        weights,
        tokens,
        baseline,
        phi,
        nodes=nodes,
        tolerance=tolerance,
        maximum_nodes=maximum_nodes,
        voxel_batch=voxel_batch,
        image_batch=image_batch,
    )
    progress = Progress(voxels * images, "predictions")
    for batch in stream:
        here = batch.voxels, batch.images
        for sign, direction in enumerate((1.0, -1.0)):
            part = (batch.attribution * direction).clamp_(min=0)
            strongest, which = part.topk(kept, dim=-1)
            which = torch.where(strongest > 0, which, -1)
            token[sign][here] = _by_voxel(which)
            attribution[sign][here] = direction * _by_voxel(strongest)
            total[sign][here] = direction * _by_voxel(part.sum(dim=-1))
            position_map[sign, batch.voxels] += direction * part.sum(dim=0).cpu().numpy()
        weakest = batch.attribution.abs().topk(lowest.shape[-1], dim=-1, largest=False).indices
        lowest[here] = _by_voxel(weakest)
        prediction[here] = _by_voxel(batch.prediction)
        baseline_prediction[batch.voxels] = batch.baseline_prediction.cpu().numpy()
        completeness_error[here] = _by_voxel(batch.completeness_error)
        nodes_used[here] = _by_voxel(batch.nodes)
        if on_batch is not None:
            on_batch(batch)
        progress.add(batch.prediction.numel())

    ranked = ("sign", "voxel", "image", "rank")
    response = {"units": "standard deviations of the response"}
    return xr.Dataset(
        {
            "token": (ranked, token, {"long_name": "token's index, row-major; -1: none"}),
            "attribution": (
                ranked,
                attribution,
                {"long_name": "integrated gradient of the token, signed", **response},
            ),
            "total": (
                ranked[:3],
                total,
                {"long_name": "sum of the attributions of that sign, all tokens", **response},
            ),
            "lowest": (
                ("voxel", "image", "lowest"),
                lowest,
                {"long_name": "index of the tokens of lowest |attribution|"},
            ),
            "position_map": (
                ("sign", "voxel", "token"),
                (position_map / max(images, 1)).astype(np.float32),
                {"long_name": "mean over images of the attributions of that sign", **response},
            ),
            "prediction": (
                ("voxel", "image"),
                prediction,
                {"long_name": "encoder's prediction for the image", **response},
            ),
            "baseline_prediction": (
                ("voxel",),
                baseline_prediction,
                {"long_name": "encoder's prediction for the mean training tokens", **response},
            ),
            "completeness_error": (
                ("voxel", "image"),
                completeness_error,
                {"long_name": "missing sum of the attributions over the sum of their magnitudes"},
            ),
            "nodes": (
                ("voxel", "image"),
                nodes_used,
                {"long_name": "Gauss-Legendre nodes used"},
            ),
        },
        coords={"sign": list(SIGNS)},
        attrs={"tolerance": tolerance, "nodes": nodes, "maximum_nodes": maximum_nodes},
    )


def mean_tokens(read_tokens: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """Mean token at each position over images: float32 (token, feature), the attributions'
    baseline.

    read_tokens: returns the tokens (image, token, feature) of some of the images. It is asked for
    a block of them at a time, so that no second copy of a subject's tokens is held; they are
    summed in double precision. images: (image,) identities.
    """
    blocks = [images[start : start + BLOCK] for start in range(0, len(images), BLOCK)]
    total = sum(read_tokens(block).sum(axis=0, dtype=np.float64) for block in blocks)
    return (total / len(images)).astype(np.float32)


def choose_images(
    own: np.ndarray,
    seen: np.ndarray,
    is_test: np.ndarray,
    *,
    most: int | None,
    generator: np.random.Generator,
) -> np.ndarray:
    """Choose the images on which a fit's encoder is read, ascending.

    own: images that the fit used. seen: all that the subject saw, is_test: which of them are test
    images. An encoder of all training images is read on the test images too; that of a half on its
    own half alone, so that the halves stay apart. most: how many at most, others than test images
    drawn at random; None takes all. Test images are never left out: of as many as ``most`` or more,
    the encoder of all training images is read on these alone.
    """
    of_all = len(own) == np.count_nonzero(~is_test)
    first = seen[is_test] if of_all else seen[:0]
    drawn = generator.permutation(own)
    if most is not None:
        drawn = drawn[: max(most - len(first), 0)]
    return np.sort(np.concatenate([first, drawn]))


def _by_voxel(values: torch.Tensor) -> np.ndarray:
    """(image, voxel, ...) as an array (voxel, image, ...)."""
    return values.transpose(0, 1).cpu().numpy()
