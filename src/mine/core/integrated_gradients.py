"""Integrated gradients of the voxel-query encoder, in closed form from scalars.

With tokens moving on the straight path from the baseline to the image, the attention logits s and
the read-out values u of every (voxel, head, token) are linear in the position α on the path. The
attribution of a token is then an integral over α of a softmax and a product, with no backward pass
and no array with a feature dimension (Sundararajan, Taly & Yan 2017, equation 1, for this encoder):

    IG_t = Σ_h ∫₀¹ a_ht(α) [Δu_ht + Δs_ht (u_ht(α) − z_h(α))] dα,   z_h = Σ_t a_ht u_ht

Shapes: s1, u1 (image, voxel, head, token) at the image, s0, u0 (1, voxel, head, token) at the
baseline, in the units of the response.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from mine.core.encoder import EncoderWeights, select_voxels, token_scalars

# Floats of one (pair, head, token) work array: the handful that a node touches stay in the cache.
CHUNK = 2**18


class Attribution(NamedTuple):
    """Attributions with the evidence that their integral has converged."""

    attribution: torch.Tensor
    """(image, voxel, token)"""
    completeness_error: torch.Tensor
    """(image, voxel): |Σ_t IG_t − (ŷ(x) − ŷ(x̄))| / Σ_t |IG_t|"""
    nodes: torch.Tensor
    """(image, voxel), int32: quadrature nodes used"""


@dataclass(frozen=True)
class AttributionBatch:
    """Some images and voxels: their scalars, and what follows from them at once."""

    images: slice
    voxels: slice
    s0: torch.Tensor
    """logits at the baseline (1, voxel, head, token)"""
    s1: torch.Tensor
    """logits at the image (image, voxel, head, token)"""
    u0: torch.Tensor
    """read-out values at the baseline (1, voxel, head, token)"""
    u1: torch.Tensor
    """read-out values at the image (image, voxel, head, token)"""
    bias: torch.Tensor
    """(voxel,)"""
    prediction: torch.Tensor
    """(image, voxel)"""
    baseline_prediction: torch.Tensor
    """(voxel,)"""
    attribution: torch.Tensor
    """(image, voxel, token)"""
    completeness_error: torch.Tensor
    """(image, voxel)"""
    nodes: torch.Tensor
    """(image, voxel)"""


def integrated_gradients(
    s0: torch.Tensor,
    s1: torch.Tensor,
    u0: torch.Tensor,
    u1: torch.Tensor,
    *,
    nodes: int,
    tolerance: float,
    maximum_nodes: int,
) -> Attribution:
    """Attribute each prediction to its tokens, to a stated accuracy.

    The integral is taken by Gauss–Legendre quadrature. Pairs (image, voxel) whose completeness
    error exceeds ``tolerance`` are done again with twice the nodes, up to ``maximum_nodes``; the
    error that remains is returned, never hidden.

    Invariant: Σ_t IG_t = ŷ(x) − ŷ(x̄), up to the completeness error.
    """
    attribution = torch.empty(s1.shape[0], s1.shape[1], s1.shape[3], device=s1.device)
    change = torch.empty(attribution.shape[:2], device=s1.device)
    # IG does not change if a constant joins all u of a head: measured from the baseline's own
    # read-out, nothing large cancels in float32.
    origin = (torch.softmax(s0, dim=-1) * u0).sum(dim=-1, keepdim=True)
    u0 = u0 - origin
    prediction = predict_from_scalars(s0, u0)

    for images, voxels in _blocks(s1.shape, CHUNK):
        start, logits = s0[:, voxels], s1[images, voxels]
        end = u1[images, voxels] - origin[:, voxels]
        change[images, voxels] = predict_from_scalars(logits, end) - prediction[:, voxels]
        attribution[images, voxels] = _integrate(
            start, logits - start, u0[:, voxels], end - u0[:, voxels], nodes
        )

    error = _completeness_error(attribution, change)
    used = torch.full(error.shape, nodes, dtype=torch.int32, device=s1.device)
    pairs_at_once = max(1, CHUNK // (s1.shape[2] * s1.shape[3]))
    while 2 * nodes <= maximum_nodes and bool((error > tolerance).any()):
        nodes *= 2
        for pairs in (error > tolerance).nonzero().split(pairs_at_once):
            image, voxel = pairs.unbind(1)
            start, values = s0[0, voxel], u0[0, voxel]
            end = u1[image, voxel] - origin[0, voxel]
            redone = _integrate(start, s1[image, voxel] - start, values, end - values, nodes)
            attribution[image, voxel] = redone
            error[image, voxel] = _completeness_error(redone, change[image, voxel])
            used[image, voxel] = nodes
    return Attribution(attribution, error, used)


def predict_from_scalars(
    s: torch.Tensor, u: torch.Tensor, bias: torch.Tensor | float = 0.0
) -> torch.Tensor:
    """The encoder's prediction from its scalars: b_v + Σ_h Σ_t softmax_t(s) u, (image, voxel)."""
    return bias + (torch.softmax(s, dim=-1) * u).sum(dim=(-1, -2))


@torch.no_grad()
def stream_attributions(
    weights: EncoderWeights,
    tokens: np.ndarray,
    baseline: np.ndarray,
    phi: torch.Tensor | np.ndarray,
    *,
    nodes: int,
    tolerance: float,
    maximum_nodes: int,
    voxel_batch: int,
    image_batch: int,
) -> Iterator[AttributionBatch]:
    """Scalars, predictions and attributions of all voxels and images, batch by batch.

    Everything that needs the scalars (attributions, patching) reads them from this one stream.
    All images of a batch of voxels come before the next voxels, each batch of images in order.
    Memory is about 8 × 4 bytes × image_batch × voxel_batch × head × token. Each batch of voxels
    projects the tokens again, so prefer many voxels and few images.

    weights: of all voxels. tokens: (image, token, feature), an array or anything that gives one
    when sliced over images (a lazy store). baseline: (token, feature), the mean training token at
    each position. phi: (token, basis).
    """
    device = weights.bias.device
    phi = torch.as_tensor(phi, dtype=torch.float32, device=device)
    start = torch.as_tensor(np.asarray(baseline), dtype=torch.float32, device=device)[None]
    for voxels in _slices(len(weights.bias), voxel_batch):
        part = select_voxels(weights, np.arange(voxels.start, voxels.stop))
        s0, u0 = token_scalars(part, start, phi)
        baseline_prediction = predict_from_scalars(s0, u0, part.bias)[0]
        for images in _slices(len(tokens), image_batch):
            block = np.asarray(tokens[images], dtype=np.float32)
            s1, u1 = token_scalars(part, torch.as_tensor(block, device=device), phi)
            result = integrated_gradients(
                s0, s1, u0, u1, nodes=nodes, tolerance=tolerance, maximum_nodes=maximum_nodes
            )
            yield AttributionBatch(
                images=images,
                voxels=voxels,
                s0=s0,
                s1=s1,
                u0=u0,
                u1=u1,
                bias=part.bias,
                prediction=predict_from_scalars(s1, u1, part.bias),
                baseline_prediction=baseline_prediction,
                attribution=result.attribution,
                completeness_error=result.completeness_error,
                nodes=result.nodes,
            )


def _integrate(
    s0: torch.Tensor, ds: torch.Tensor, u0: torch.Tensor, du: torch.Tensor, nodes: int
) -> torch.Tensor:
    """Quadrature of IG over α, summed over heads: (..., head, token) to (..., token)."""
    attention = torch.zeros_like(ds)
    deviation = torch.zeros_like(ds)
    for position, weight in zip(*_gauss_legendre(nodes), strict=True):
        a = torch.softmax(torch.add(s0, ds, alpha=position), dim=-1)
        au = torch.add(u0, du, alpha=position).mul_(a)
        z = au.sum(dim=-1, keepdim=True)
        deviation.add_(au.addcmul_(a, z, value=-1), alpha=weight)
        attention.add_(a, alpha=weight)
    return attention.mul_(du).addcmul_(deviation, ds).sum(dim=-2)


def _completeness_error(attribution: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """Missing sum relative to Σ|IG|; 0 where nothing is attributed and nothing changed."""
    missing = (attribution.sum(dim=-1) - change).abs()
    return torch.where(missing > 0, missing / attribution.abs().sum(dim=-1), missing)


@lru_cache
def _gauss_legendre(nodes: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Positions and weights of Gauss–Legendre quadrature on [0, 1]."""
    positions, weights = np.polynomial.legendre.leggauss(nodes)
    return tuple(((positions + 1) / 2).tolist()), tuple((weights / 2).tolist())


def _slices(size: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]


def _blocks(shape: torch.Size, limit: int) -> Iterator[tuple[slice, slice]]:
    """Blocks of (image, voxel) of at most about ``limit`` scalars each."""
    images, voxels, heads, tokens = shape
    pairs = max(1, limit // (heads * tokens))
    voxel_step = min(voxels, pairs)
    for image_block in _slices(images, max(1, pairs // voxel_step)):
        for voxel_block in _slices(voxels, voxel_step):
            yield image_block, voxel_block
