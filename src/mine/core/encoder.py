"""The voxel-query encoder: each voxel asks the image's tokens where to look, and reads them out.

    ŷ(v, x) = b_v + Σ_h Σ_t a_vht u_vht        a_vh = softmax_t(s_vh)
    s_vht = ⟨q_vh, x_t W_K^h⟩ / √w + ⟨p_vh, φ_t⟩       u_vht = ⟨r_vh, x_t W_V^h⟩

(Grosbard, Geva & Yovel 2026, with a receptive field ⟨p_vh, φ_t⟩ added to the attention logits; a
basis without columns gives the paper's form). Query q, readout r, place p and bias b belong to a
voxel; the projections W_K and W_V are shared by all voxels of a fit. The logits s and the values u
are linear in the tokens, so integrated gradients have a closed form (integrated_gradients.py).

Tokens are standardised per token (LayerNorm without affine), responses are z-scored. No array
ever has a voxel, a token and a feature dimension at once: keys and values are computed once per
batch of images and serve all voxels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr

from mine.config import generator

DIMENSIONS = {
    "query": ("voxel", "head", "width"),
    "readout": ("voxel", "head", "width"),
    "key": ("head", "feature", "width"),
    "value": ("head", "feature", "width"),
    "position": ("voxel", "head", "basis"),
    "bias": ("voxel",),
}
SHARED = ("key", "value")

# Standard deviations of a fit's initial query and readout. Attention starts almost uniform, that
# is as average pooling, and the first steps learn what to read before they learn where to look.
INITIAL_QUERY = 0.02
INITIAL_READOUT = 0.01


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


@dataclass(frozen=True)
class FitHistory:
    """What a fit went through, and what its validation images say about each voxel."""

    training_loss: np.ndarray
    """(epoch,): mean squared error on the training batches as they came"""
    validation_r2: np.ndarray
    """(epoch,): mean over voxels of R² on the validation images"""
    best_epoch: int
    """the epoch, from 0, whose weights were kept"""


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


def token_scalars(
    weights: EncoderWeights, tokens: torch.Tensor, phi: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention logits and read-out values: all that a prediction or an attribution needs.

    tokens: (image, token, feature). phi: (token, basis). The caller batches images and voxels.

    Returns (s, u), each (image, voxel, head, token): the prediction is
    bias + Σ_head Σ_token softmax_token(s) u.
    """
    tokens = tokens.to(weights.query)
    query = (weights.query / math.sqrt(weights.query.shape[-1])).transpose(0, 1)
    keys = (tokens[:, None] @ weights.key).transpose(-1, -2)
    values = (tokens[:, None] @ weights.value).transpose(-1, -2)
    place = weights.position.transpose(0, 1) @ phi.to(weights.query).T
    s = query @ keys + place
    u = weights.readout.transpose(0, 1) @ values
    return s.transpose(1, 2).contiguous(), u.transpose(1, 2).contiguous()


def predict(
    weights: EncoderWeights,
    tokens: np.ndarray,
    phi: torch.Tensor,
    *,
    voxel_batch: int = 256,
    image_batch: int = 32,
) -> np.ndarray:
    """Predicted responses to images.

    tokens: (image, token, feature), float16 or float32; read in blocks of ``image_batch`` images,
    so a lazily loaded array will do. Memory: two work arrays of image_batch × voxel_batch × head ×
    token floats. The result does not depend on either batch but for rounding.

    Returns float32 (image, voxel).
    """
    count = len(weights.bias)
    predicted = np.empty((len(tokens), count), dtype=np.float32)
    parts = [
        select_voxels(weights, np.arange(start, min(start + voxel_batch, count)))
        for start in range(0, count, voxel_batch)
    ]
    with torch.no_grad():
        for start in range(0, len(tokens), image_batch):
            images = slice(start, start + image_batch)
            block = _as_tensor(tokens[images], weights.bias.device)
            first = 0
            for part in parts:
                last = first + len(part.bias)
                s, u = token_scalars(part, block, phi)
                attended = (torch.softmax(s, dim=-1) * u).sum(dim=(2, 3))
                predicted[images, first:last] = (attended + part.bias).cpu().numpy()
                first = last
    return predicted


def fit_encoder(
    tokens: np.ndarray,
    responses: np.ndarray,
    *,
    phi: torch.Tensor,
    validation: np.ndarray,
    heads: int = 4,
    head_width: int = 32,
    rank: int = 48,
    epochs: int = 20,
    patience: int = 4,
    image_batch: int = 32,
    voxel_batch: int = 64,
    learning_rate: float = 6e-3,
    weight_decay: float = 0.3,
    projection_decay: float = 3.0,
    averaging: float = 0.98,
    seed: int,
    device: str = "cpu",
) -> tuple[EncoderWeights, FitHistory]:
    """Fit all voxels of a subject at once.

    Minimises the mean squared error with AdamW under a one-cycle learning rate. What is validated
    and kept is the running average of the weights over steps (``averaging``: its decay a step).
    The fit stops when ``patience`` epochs brought no better validation R². The projections serve
    all voxels, so one epoch is kept for all.

    While it is fitted, what belongs to a voxel is a product of its embedding e_v of ``rank``
    numbers and maps that all voxels share: q_v = e_v M_q, r_v = e_v M_r, p_v = e_v M_p. Voxels of
    like tuning so share their evidence, which a few hundred noisy images make worth more than
    free queries; the weights that are returned are the products, and the equation stays as it is.
    weight_decay: of embeddings and maps; projection_decay: of W_K and W_V.

    tokens: (image, token, feature), float16 or float32. responses: (image, voxel), z-scored.
    validation: bool (image,): images held out of the gradient. phi: (token, basis).
    voxel_batch: voxels whose scalars are in memory at once: four work arrays of voxel_batch ×
    image_batch × head × token floats. It changes the result by rounding alone.

    Returns the weights, on the CPU, and the history. Equal seeds give equal weights.
    """
    validation = np.asarray(validation, dtype=bool)
    training_images, validation_images = np.flatnonzero(~validation), np.flatnonzero(validation)
    if not len(training_images) or len(validation_images) < 2:
        raise ValueError(
            "expected at least one training image and two validation images, "
            f"found {len(training_images)} and {len(validation_images)}"
        )
    stream = torch.Generator().manual_seed(int(generator(seed, "encoder").integers(2**62)))
    centre = responses[training_images].mean(axis=0, dtype=np.float64).astype(np.float32)
    start = _initialise_factors(
        centre=torch.as_tensor(centre),
        features=tokens.shape[2],
        heads=heads,
        head_width=head_width,
        basis=phi.shape[1],
        rank=rank,
        stream=stream,
    )
    phi = phi.to(device)
    shapes = heads, head_width
    parameters = {
        name: tensor.to(device, copy=True).requires_grad_() for name, tensor in start.items()
    }
    decay_of = {"bias": 0.0, "key": projection_decay, "value": projection_decay}
    optimiser = torch.optim.AdamW(
        [
            {"params": [tensor], "weight_decay": decay_of.get(name, weight_decay)}
            for name, tensor in parameters.items()
        ],
        lr=learning_rate,
        betas=(0.9, 0.99),
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        learning_rate,
        total_steps=epochs * math.ceil(len(training_images) / image_batch),
        pct_start=0.15,
    )
    average = {name: tensor.detach().clone() for name, tensor in parameters.items()}

    validation_tokens = tokens[validation_images]
    measured = responses[validation_images]
    losses, scores = [], []
    best_epoch, best_weights = -1, _to_weights(average, shapes)
    step = 0
    for epoch in range(epochs):
        order = training_images[torch.randperm(len(training_images), generator=stream).numpy()]
        total = 0.0
        for first in range(0, len(order), image_batch):
            images = order[first : first + image_batch]
            total += _take_step(
                parameters,
                shapes,
                _as_tensor(tokens[images], device),
                _as_tensor(responses[images], device),
                phi,
                optimiser,
                voxel_batch=voxel_batch,
            )
            schedule.step()
            step += 1
            # Early on a long memory would hold the average at the random start.
            decay = min(averaging, step / (step + 10))
            for name, tensor in parameters.items():
                average[name].lerp_(tensor.detach(), 1 - decay)
        weights = _to_weights(average, shapes)
        predicted = predict(
            weights, validation_tokens, phi, voxel_batch=voxel_batch, image_batch=image_batch
        )
        losses.append(total / (len(order) * responses.shape[1]))
        scores.append(_mean_r2(measured, predicted, centre))
        if best_epoch < 0 or scores[-1] > scores[best_epoch]:
            best_epoch, best_weights = epoch, weights
        elif epoch - best_epoch >= patience:
            break
    history = FitHistory(
        training_loss=np.array(losses), validation_r2=np.array(scores), best_epoch=best_epoch
    )
    return best_weights, history


def random_encoder(
    *, voxels: int, features: int, heads: int, head_width: int, basis: int, seed: int
) -> EncoderWeights:
    """An encoder that has seen no response: the control for everything that is read from one.

    Projections, queries and readouts are drawn from normal distributions such that logits and
    values of standardised tokens have unit variance: each voxel attends somewhere, sharply enough
    for its attributions to look like something. Places and biases are zero.
    """
    stream = torch.Generator().manual_seed(int(generator(seed, "random").integers(2**62)))
    return _initialise(
        voxels=voxels,
        features=features,
        heads=heads,
        head_width=head_width,
        basis=basis,
        query_scale=1.0,
        readout_scale=1.0 / math.sqrt(head_width * heads),
        stream=stream,
    )


def select_voxels(weights: EncoderWeights, indices: np.ndarray) -> EncoderWeights:
    """The encoder of some voxels, in the order of ``indices``; the projections are shared."""
    indices = torch.as_tensor(np.asarray(indices), device=weights.bias.device)
    return replace(
        weights,
        **{name: getattr(weights, name)[indices] for name in DIMENSIONS if name not in SHARED},
    )


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
            name: _as_tensor(dataset[name].transpose(*dimensions).values, device)
            for name, dimensions in DIMENSIONS.items()
        }
    )


class SquaredError(torch.autograd.Function):
    """Σ over images and voxels of (ŷ − y)², with its gradient taken in the same pass.

    With the residual e = ŷ − y and z_h = Σ_t a_ht u_ht,

        ∂/∂s_ht = 2 e a_ht (u_ht − z_h)        ∂/∂u_ht = 2 e a_ht

    so that everything a voxel's gradient needs is at hand while its logits are in the cache: the
    scalars of voxel_batch voxels are made, used in both directions and overwritten by the next.
    Autograd would write the scalars of all voxels to memory several times over.

    Call: apply(query, readout, bias, keys, values, target, tokens, voxel_batch), the query
    divided by √width, and joined with the place as the keys are with φ: query (head, voxel,
    width + basis), readout (head, voxel, width), bias (voxel,), keys (head, image × token,
    width + basis), values (head, image × token, width), target (voxel, image).
    """

    @staticmethod
    def forward(ctx, query, readout, bias, keys, values, target, tokens, voxel_batch):
        heads, voxels, _ = query.shape
        images = target.shape[1]
        keys_t, values_t = keys.transpose(1, 2), values.transpose(1, 2)
        d_query, d_readout, d_bias = map(torch.empty_like, (query, readout, bias))
        d_keys, d_values = torch.zeros_like(keys), torch.zeros_like(values)
        work = query.new_empty(4, heads * min(voxel_batch, voxels) * images * tokens)
        total = query.new_zeros(())
        for first in range(0, voxels, voxel_batch):
            part = slice(first, min(first + voxel_batch, voxels))
            count = part.stop - part.start
            shape = (heads, count, images * tokens)
            flat = [array[: math.prod(shape)].view(shape) for array in work]
            split = [array.view(heads, count, images, tokens) for array in flat]
            torch.bmm(query[:, part], keys_t, out=flat[0])
            torch.softmax(split[0], dim=-1, out=split[1])
            torch.bmm(readout[:, part], values_t, out=flat[2])
            torch.mul(split[1], split[2], out=split[3])
            attended = split[3].sum(dim=-1)
            residual = attended.sum(dim=0) + bias[part, None] - target[part]
            total += residual.square().sum()
            slope = 2 * residual
            d_bias[part] = slope.sum(dim=1)
            d_values_part = split[1].mul_(slope[None, :, :, None])
            d_logits = split[3].mul_(slope[None, :, :, None])
            d_logits.addcmul_(d_values_part, attended[..., None], value=-1)
            d_query[:, part] = torch.bmm(flat[3], keys)
            d_readout[:, part] = torch.bmm(flat[1], values)
            d_keys.baddbmm_(flat[3].transpose(1, 2), query[:, part])
            d_values.baddbmm_(flat[1].transpose(1, 2), readout[:, part])
        ctx.save_for_backward(d_query, d_readout, d_bias, d_keys, d_values)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, d_total):
        return (*(d_total * gradient for gradient in ctx.saved_tensors), None, None, None)


def _take_step(
    parameters: Mapping[str, torch.Tensor],
    shapes: tuple[int, int],
    tokens: torch.Tensor,
    responses: torch.Tensor,
    phi: torch.Tensor,
    optimiser: torch.optim.Optimizer,
    *,
    voxel_batch: int,
) -> float:
    """One step of the optimiser on one batch of images; returns the summed squared error."""
    images, count, features = tokens.shape
    rows = tokens.reshape(-1, features)
    place = phi.repeat(images, 1).expand(len(parameters["key"]), -1, -1)
    query, readout, position = _multiply_factors(parameters, shapes)
    total = SquaredError.apply(
        torch.cat([query, position], dim=2).transpose(0, 1),
        readout.transpose(0, 1).contiguous(),
        parameters["bias"],
        torch.cat([rows @ parameters["key"], place], dim=2),
        rows @ parameters["value"],
        responses.T,
        count,
        voxel_batch,
    )
    optimiser.zero_grad()
    # By image, not by voxel: a voxel's own gradient should not depend on how many are fitted.
    (total / images).backward()
    optimiser.step()
    return float(total.detach())


def _initialise(
    *,
    voxels: int,
    features: int,
    heads: int,
    head_width: int,
    basis: int,
    query_scale: float,
    readout_scale: float,
    stream: torch.Generator,
) -> EncoderWeights:
    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=stream)

    return EncoderWeights(
        query=draw(voxels, heads, head_width) * query_scale,
        readout=draw(voxels, heads, head_width) * readout_scale,
        key=draw(heads, features, head_width) / math.sqrt(features),
        value=draw(heads, features, head_width) / math.sqrt(features),
        position=torch.zeros(voxels, heads, basis),
        bias=torch.zeros(voxels),
    )


def _initialise_factors(
    *,
    centre: torch.Tensor,
    features: int,
    heads: int,
    head_width: int,
    basis: int,
    rank: int,
    stream: torch.Generator,
) -> dict[str, torch.Tensor]:
    """What the optimiser sees: embeddings of the voxels, the maps from them, projections, bias.

    The query is kept divided by √width, so that all weights of a voxel live on one scale and one
    learning rate suits them.
    """

    def draw(*shape: int, scale: float) -> torch.Tensor:
        return torch.randn(shape, generator=stream) * scale

    width = heads * head_width
    return {
        "embedding": draw(len(centre), rank, scale=1 / math.sqrt(rank)),
        "query_map": draw(rank, width, scale=INITIAL_QUERY / math.sqrt(head_width)),
        "readout_map": draw(rank, width, scale=INITIAL_READOUT),
        "position_map": torch.zeros(rank, heads * basis),
        "key": draw(heads, features, head_width, scale=1 / math.sqrt(features)),
        "value": draw(heads, features, head_width, scale=1 / math.sqrt(features)),
        "bias": centre,
    }


def _multiply_factors(
    parameters: Mapping[str, torch.Tensor], shapes: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Query over √width and readout (voxel, head, width), and position (voxel, head, basis)."""
    heads, head_width = shapes
    embedding = parameters["embedding"]
    query, readout = (
        (embedding @ parameters[name]).view(-1, heads, head_width)
        for name in ("query_map", "readout_map")
    )
    position = embedding @ parameters["position_map"]
    return query, readout, position.view(len(embedding), heads, position.shape[1] // heads)


def _to_weights(parameters: Mapping[str, torch.Tensor], shapes: tuple[int, int]) -> EncoderWeights:
    """The products of the factors, on the CPU, without history."""
    plain = {name: tensor.detach().cpu() for name, tensor in parameters.items()}
    query, readout, position = _multiply_factors(plain, shapes)
    return EncoderWeights(
        query=query * math.sqrt(shapes[1]),
        readout=readout,
        key=plain["key"].clone(),
        value=plain["value"].clone(),
        position=position,
        bias=plain["bias"].clone(),
    )


def _mean_r2(measured: np.ndarray, predicted: np.ndarray, centre: np.ndarray) -> float:
    """Mean over voxels of 1 − Σ(y − ŷ)² / Σ(y − training mean)²."""
    error = np.square(measured - predicted).sum(axis=0, dtype=np.float64)
    reference = np.square(measured - centre).sum(axis=0, dtype=np.float64)
    return float(np.mean(1.0 - error / np.where(reference > 0, reference, 1.0)))


def _as_tensor(array: np.ndarray, device: str | torch.device) -> torch.Tensor:
    return torch.as_tensor(np.asarray(array, dtype=np.float32), device=device)
