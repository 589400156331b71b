"""Fits an encoder (encoder.py) to all voxels of a subject at once.

While it is fitted, what belongs to a voxel is a product of its embedding and of maps that all
voxels share; what is returned are the products. The gradient is taken by hand, in the same pass
as the error, for some voxels at a time: here too, no array has a voxel, a token and a feature
dimension at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mine.config import generator
from mine.core.encoder import EncoderWeights, join_encoders, predict, to_tensor
from mine.logging import Progress

# Standard deviations of a fit's initial query and readout. Attention starts almost uniform, that
# is as average pooling, and the first steps learn what to read before they learn where to look.
INITIAL_QUERY = 0.02
INITIAL_READOUT = 0.01


@dataclass(frozen=True)
class FitHistory:
    """What a fit went through, and what its validation images say about each voxel."""

    training_loss: np.ndarray
    """(epoch,): mean squared error on the training batches as they came"""
    validation_r2: np.ndarray
    """(epoch,): mean over voxels of R² on the validation images"""
    best_epoch: int
    """the epoch, from 0, whose weights were kept"""


def fit_encoder(
    tokens: np.ndarray,
    responses: np.ndarray,
    *,
    phi: torch.Tensor,
    validation: np.ndarray,
    heads: int = 4,
    head_width: int = 32,
    rank: int = 128,
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
    progress = Progress(epochs * len(training_images), "images", at_most=True)
    for epoch in range(epochs):
        order = training_images[torch.randperm(len(training_images), generator=stream).numpy()]
        total = 0.0
        for first in range(0, len(order), image_batch):
            images = order[first : first + image_batch]
            total += _take_step(
                parameters,
                shapes,
                to_tensor(tokens[images], device),
                to_tensor(responses[images], device),
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
            progress.add(len(images))
        weights = _to_weights(average, shapes)
        predicted = predict(
            weights, validation_tokens, phi, voxel_batch=voxel_batch, image_batch=image_batch
        )
        losses.append(total / (len(order) * responses.shape[1]))
        scores.append(mean_r2(measured, predicted, centre))
        if best_epoch < 0 or scores[-1] > scores[best_epoch]:
            best_epoch, best_weights = epoch, weights
        elif epoch - best_epoch >= patience:
            break
    history = FitHistory(
        training_loss=np.array(losses), validation_r2=np.array(scores), best_epoch=best_epoch
    )
    return best_weights, history


def fit_ensemble(
    tokens: np.ndarray, responses: np.ndarray, *, seeds: Sequence[int], **options: Any
) -> tuple[EncoderWeights, list[FitHistory]]:
    """Fit an encoder from each seed on the same images, and return their mean as one encoder.

    What differs between fits is what the random start and the order of images made of the noise;
    their mean has less of it, and stays an encoder of the same equation (encoder.join_encoders).
    tokens, responses, options: as of fit_encoder.
    """
    fits = [fit_encoder(tokens, responses, seed=seed, **options) for seed in seeds]
    if len(fits) == 1:
        return fits[0][0], [fits[0][1]]
    return join_encoders([weights for weights, _ in fits]), [history for _, history in fits]


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


def mean_r2(measured: np.ndarray, predicted: np.ndarray, centre: np.ndarray) -> float:
    """Mean over voxels of 1 − Σ(y − ŷ)² / Σ(y − training mean)²."""
    error = np.square(measured - predicted).sum(axis=0, dtype=np.float64)
    reference = np.square(measured - centre).sum(axis=0, dtype=np.float64)
    return float(np.mean(1.0 - error / np.where(reference > 0, reference, 1.0)))
