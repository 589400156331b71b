"""The voxel-query encoder: each voxel asks the image's tokens where to look, and reads them out.

    ŷ(v, x) = b_v + Σ_h Σ_t a_vht u_vht        a_vh = softmax_t(s_vh)
    s_vht = ⟨q_vh, x_t W_K^h⟩ / √w + ⟨p_vh, φ_t⟩       u_vht = ⟨r_vh, x_t W_V^h⟩

(Grosbard, Geva & Yovel 2026, with a receptive field ⟨p_vh, φ_t⟩ added to the attention logits; a
basis without columns gives the paper's form). Query q, readout r, place p and bias b belong to a
voxel; the projections W_K and W_V are shared by all voxels of a fit. The logits s and the values u
are linear in the tokens, so integrated gradients have a closed form (integrated_gradients.py).

Tokens are standardised per token (LayerNorm without affine), responses are z-scored. No array
ever has a voxel, a token and a feature dimension at once: keys and values are computed once per
batch of images and serve all voxels. How an encoder is fitted is in fitting.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr
from torch.nn import functional

from mine.randomness import generator

DIMENSIONS = {
    "query": ("voxel", "head", "width"),
    "readout": ("voxel", "head", "width"),
    "key": ("head", "feature", "width"),
    "value": ("head", "feature", "width"),
    "position": ("voxel", "head", "basis"),
    "bias": ("voxel",),
}
SHARED = ("key", "value")


@dataclass(frozen=True)
class EncoderWeights:
    """All weights of an encoder, float32, on one device. See the module's equation."""

    query: torch.Tensor
    """(voxel, head, width)"""
    readout: torch.Tensor
    """(voxel, head, width), response units"""
    key: torch.Tensor
    """(head, feature, width)"""
    value: torch.Tensor
    """(head, feature, width)"""
    position: torch.Tensor
    """(voxel, head, basis)"""
    bias: torch.Tensor
    """(voxel,), response units"""


def position_basis(rows: int, columns: int, orders: int) -> torch.Tensor:
    """Smooth functions of a token's place, from which receptive fields are built.

    φ_(a,b)(row, column) = cos(π a (row + ½) / rows) cos(π b (column + ½) / columns) for
    0 <= a, b <= orders, without the constant, to which a softmax is blind. The columns are
    orthogonal to each other and to the constant as long as orders < rows and columns.

    Returns (token, basis), float32, tokens row-major; no columns for orders = 0.
    """
    row = (np.arange(rows) + 0.5) / rows
    column = (np.arange(columns) + 0.5) / columns
    products = [
        np.outer(np.cos(np.pi * a * row), np.cos(np.pi * b * column)).ravel()
        for a in range(orders + 1)
        for b in range(orders + 1)
        if a or b
    ]
    basis = np.stack(products, axis=1) if products else np.zeros((rows * columns, 0))
    return torch.as_tensor(basis, dtype=torch.float32)


def project_tokens(projection: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Keys x W_K, or values x W_V, of all heads: (image, head, token, width).

    projection: (head, feature, width). tokens: (image, token, feature).
    """
    heads, features, width = projection.shape
    # One product for all heads: as many narrow ones would take several times as long.
    wide = projection.transpose(0, 1).reshape(features, heads * width)
    projected = tokens.reshape(-1, features) @ wide
    return projected.view(*tokens.shape[:2], heads, width).transpose(1, 2)


def token_scalars(
    weights: EncoderWeights, tokens: torch.Tensor, phi: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention logits and read-out values: all that a prediction or an attribution needs.

    tokens: (image, token, feature). phi: (token, basis). The caller batches images and voxels.

    Returns (s, u), each (image, voxel, head, token): the prediction is
    bias + Σ_head Σ_token softmax_token(s) u.
    """
    tokens = tokens.to(weights.query)
    keys, values = (project_tokens(each, tokens) for each in (weights.key, weights.value))
    query = (weights.query / math.sqrt(weights.query.shape[-1])).transpose(0, 1)
    place = weights.position.transpose(0, 1) @ phi.to(weights.query).T
    s = query @ keys.transpose(-1, -2) + place
    u = weights.readout.transpose(0, 1) @ values.transpose(-1, -2)
    return s.transpose(1, 2).contiguous(), u.transpose(1, 2).contiguous()


def ask(
    query: torch.Tensor, readout: torch.Tensor, position: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What attention takes of voxels: queries with their places, and readouts.

    query: over √width, and readout (voxel, head, width); position (voxel, head, basis). Returns
    both as (head, voxel, side), with side as of :func:`answer`.
    """
    side = _fused_width(query.shape[-1], position.shape[-1])
    asked = _widen(torch.cat([query, position], dim=-1), side)
    return asked.transpose(0, 1), _widen(readout, side).transpose(0, 1)


def answer(
    key: torch.Tensor, value: torch.Tensor, tokens: torch.Tensor, phi: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What attention takes of images: keys with φ, so that ⟨query, key⟩ is the logit, and values.

    key, value (head, feature, width); tokens (image, token, feature); phi (token, basis). Returns
    both as (image, head, token, side), with zeros in what is over.
    """
    width = key.shape[-1]
    side = _fused_width(width, phi.shape[-1])
    keys, values = (project_tokens(_widen(each, side), tokens) for each in (key, value))
    place = functional.pad(phi, (width, side - width - phi.shape[-1]))
    return keys + place, values


def _fused_width(width: int, basis: int) -> int:
    """Fused attention wants queries, keys and values equally wide, on GPUs by a multiple of 8."""
    return 8 * math.ceil((width + basis) / 8)


def _widen(array: torch.Tensor, side: int) -> torch.Tensor:
    return functional.pad(array, (0, side - array.shape[-1]))


def read_out(
    query: torch.Tensor, readout: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
) -> torch.Tensor:
    """Predictions without scalars: Σ_h Σ_t a_vht ⟨r_vh, v_ht⟩ = Σ_h ⟨r_vh, Σ_t a_vht v_ht⟩.

    No array has both a voxel and a token dimension. query, readout: of :func:`ask`; keys, values:
    of :func:`answer`. Returns (image, voxel).
    """
    seen = functional.scaled_dot_product_attention(
        query.expand(len(keys), -1, -1, -1), keys, values, scale=1.0
    )
    return (seen * readout).sum(dim=(1, 3))


def predict(
    weights: EncoderWeights,
    tokens: np.ndarray,
    phi: torch.Tensor,
    *,
    images: np.ndarray | None = None,
    voxel_batch: int = 1024,
    image_batch: int = 32,
) -> np.ndarray:
    """Predicted responses to images.

    tokens: (image, token, feature), float16 or float32; read in blocks of ``image_batch`` images,
    so a lazily loaded array will do. images: int (image,), positions of those that are predicted,
    in the order of the result; None predicts all. Memory: two work arrays of image_batch ×
    voxel_batch × head × width floats. The result does not depend on either batch but for rounding.

    Returns float32 (image, voxel).
    """
    count, device = len(weights.bias), weights.bias.device
    total = len(tokens) if images is None else len(images)
    predicted = np.empty((total, count), dtype=np.float32)
    scaled = weights.query / math.sqrt(weights.query.shape[-1])
    query, readout = ask(scaled, weights.readout, weights.position)
    phi = phi.to(query)
    with torch.no_grad():
        for start in range(0, total, image_batch):
            place = slice(start, start + image_batch)
            block = to_tensor(tokens[place if images is None else images[place]], device)
            keys, values = answer(weights.key, weights.value, block, phi)
            for first in range(0, count, voxel_batch):
                part = slice(first, first + voxel_batch)
                seen = read_out(query[:, part], readout[:, part], keys, values)
                predicted[place, part] = (seen + weights.bias[part]).cpu().numpy()
    return predicted


def random_encoder(
    *, voxels: int, features: int, heads: int, head_width: int, basis: int, seed: int
) -> EncoderWeights:
    """An encoder that has seen no response: the control for everything that is read from one.

    Projections, queries and readouts are drawn from normal distributions such that logits and
    values of standardised tokens have unit variance: each voxel attends somewhere, sharply enough
    for its attributions to look like something. Places and biases are zero.
    """
    stream = torch.Generator().manual_seed(int(generator(seed, "random").integers(2**62)))

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=stream)

    return EncoderWeights(
        query=draw(voxels, heads, head_width),
        readout=draw(voxels, heads, head_width) * (1.0 / math.sqrt(head_width * heads)),
        key=draw(heads, features, head_width) / math.sqrt(features),
        value=draw(heads, features, head_width) / math.sqrt(features),
        position=torch.zeros(voxels, heads, basis),
        bias=torch.zeros(voxels),
    )


def select_voxels(weights: EncoderWeights, indices: np.ndarray) -> EncoderWeights:
    """The encoder of some voxels, in the order of ``indices``; the projections are shared."""
    indices = torch.as_tensor(np.array(indices), device=weights.bias.device)
    return replace(
        weights,
        **{name: getattr(weights, name)[indices] for name in DIMENSIONS if name not in SHARED},
    )


def gather_voxels(subjects: Sequence[EncoderWeights]) -> EncoderWeights:
    """One encoder of the voxels of several that were fitted together, in their order.

    Raises ValueError where their projections are not the same.
    """
    first = subjects[0]
    if not all(torch.equal(getattr(one, n), getattr(first, n)) for one in subjects for n in SHARED):
        raise ValueError("expected encoders with the same projections")
    return replace(
        first,
        **{
            name: torch.cat([getattr(each, name) for each in subjects])
            for name in DIMENSIONS
            if name not in SHARED
        },
    )


def join_encoders(members: Sequence[EncoderWeights]) -> EncoderWeights:
    """The mean of encoders, as one encoder that has the heads of all.

    With K members, (1/K) Σ_k ŷ_k has the module's equation over all their heads, readouts and
    biases divided by K. So its attributions have the same closed form, and are the members' mean.
    """

    def join(name: str, axis: int) -> torch.Tensor:
        return torch.cat([getattr(member, name) for member in members], dim=axis)

    return EncoderWeights(
        query=join("query", 1),
        readout=join("readout", 1) / len(members),
        key=join("key", 0),
        value=join("value", 0),
        position=join("position", 1),
        bias=torch.stack([member.bias for member in members]).mean(dim=0),
    )


def split_encoder(weights: EncoderWeights, members: int) -> list[EncoderWeights]:
    """The members of a mean of encoders; each has the mean's bias, which no attribution depends on.

    Raises ValueError where the heads do not divide by the members.
    """
    heads = len(weights.key)
    if heads % members:
        raise ValueError(f"members: expected a divisor of {heads} heads, found {members}")

    def split(name: str, axis: int) -> Sequence[torch.Tensor]:
        return getattr(weights, name).chunk(members, dim=axis)

    parts = zip(
        split("query", 1),
        split("readout", 1),
        split("key", 0),
        split("value", 0),
        split("position", 1),
        strict=True,
    )
    return [
        EncoderWeights(query, readout * members, key, value, position, weights.bias)
        for query, readout, key, value, position in parts
    ]


def move_weights(weights: EncoderWeights, device: str) -> EncoderWeights:
    """The same weights on another device; predictions are computed where the weights are."""
    return replace(weights, **{name: getattr(weights, name).to(device) for name in DIMENSIONS})


def weights_to_dataset(weights: EncoderWeights) -> xr.Dataset:
    """The weights as variables of the same names, with the dimensions of EncoderWeights."""
    return xr.Dataset(
        {
            name: (dimensions, getattr(weights, name).detach().cpu().numpy())
            for name, dimensions in DIMENSIONS.items()
        }
    )


def weights_from_dataset(dataset: xr.Dataset, *, device: str = "cpu") -> EncoderWeights:
    """The inverse of weights_to_dataset; other variables of the dataset are ignored."""
    return EncoderWeights(
        **{
            name: to_tensor(dataset[name].transpose(*dimensions).values, device)
            for name, dimensions in DIMENSIONS.items()
        }
    )


def to_tensor(array: np.ndarray, device: str | torch.device) -> torch.Tensor:
    """The array in float32, the precision of all weights, on a device, where it is converted."""
    return torch.as_tensor(array).to(device).to(torch.float32)
