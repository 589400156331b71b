"""Fits an encoder (encoder.py) to all voxels of a subject at once, or of several subjects.

While it is fitted, what belongs to a voxel is a product of its embedding and of maps that all
voxels share; what is returned are the products. The gradient is taken by hand, in the same pass
as the error, for some voxels at a time: here too, no array has a voxel, a token and a feature
dimension at once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mine.core.encoder import (
    EncoderWeights,
    join_encoders,
    move_weights,
    predict,
    project_tokens,
    select_voxels,
    to_tensor,
)
from mine.logging import Progress
from mine.randomness import generator

# Standard deviations of a fit's initial query and readout. Attention starts almost uniform, that
# is as average pooling, and the first steps learn what to read before they learn where to look.
INITIAL_QUERY = 0.02
INITIAL_READOUT = 0.01

# Share of the mean variance of an axis of the tokens, below which an axis counts little.
LEAST_VARIANCE = 0.01


@dataclass(frozen=True)
class FitHistory:
    """What a fit went through, and what its validation images say about each voxel."""

    training_loss: np.ndarray
    """(epoch,): mean squared error on the training batches as they came"""
    validation_score: np.ndarray
    """(epoch,): mean over voxels of R² on the validation images"""
    best_epoch: int
    """the epoch, from 0, whose weights were kept"""


@dataclass(frozen=True)
class FittingData:
    """What a fit is given of one subject.

    Images are given by their positions, so that fits to some of them share one array of tokens.
    """

    tokens: np.ndarray
    """(image, token, feature), float16 or float32"""
    responses: np.ndarray
    """(image, voxel), z-scored"""
    training: np.ndarray
    """int (training image,): positions of the images that the gradient is taken on"""
    validation: np.ndarray
    """int (validation image,): positions of those that are held out of it"""


def fit_subjects(
    subjects: Sequence[FittingData],
    *,
    phi: torch.Tensor,
    heads: int,
    head_width: int,
    rank: int,
    epochs: int,
    patience: int,
    image_batch: int,
    voxel_batch: int,
    learning_rate: float,
    weight_decay: float,
    projection_decay: float,
    averaging: float,
    seed: int,
    device: str,
) -> tuple[list[EncoderWeights], FitHistory]:
    """Fit all voxels of all subjects at once, whatever images each has seen.

    Minimises the mean squared error with AdamW under a one-cycle learning rate. What is validated
    and kept is the running average of the weights over steps (``averaging``: its decay a step).
    The fit stops when ``patience`` epochs brought no better validation R². The projections serve
    all voxels, so one epoch is kept for all.

    W_K and W_V are fitted along the principal axes of the training tokens, W = A W', with A of
    :func:`find_axes`. AdamW gives each coordinate a step size of its own, and features of tokens
    go together: step sizes fit what is there only along the axes.

    While it is fitted, what belongs to a voxel is a product of its embedding e_v of ``rank``
    numbers and maps that all voxels share: q_v = e_v M_q, r_v = e_v M_r, p_v = e_v M_p. Voxels of
    like tuning so share their evidence, which a few hundred noisy images make worth more than
    free queries; the weights that are returned are the products, and the equation stays as it is.
    weight_decay: of embeddings and maps; projection_decay: of W_K and W_V.

    Subjects share the projections and the maps; an embedding and a bias are a voxel's own. Each
    step takes images of every subject, ``image_batch`` of the one that has most and of the others
    in proportion, so that an epoch shows each image once; a voxel's error counts on images of its
    own subject alone.

    phi: (token, basis). voxel_batch: voxels whose scalars are in memory at once: four work arrays
    of voxel_batch × image_batch × head × token floats. It changes the result by rounding alone.

    Returns each subject's weights, on the CPU, and the history. Equal seeds give equal weights.
    """
    for subject in subjects:
        training, validated = len(subject.training), len(subject.validation)
        if not training or validated < 2:
            raise ValueError(
                "expected at least one training image and two validation images, "
                f"found {training} and {validated}"
            )
    stream = torch.Generator().manual_seed(int(generator(seed, "encoder").integers(2**62)))
    centres = [
        each.responses[each.training].mean(axis=0, dtype=np.float64).astype(np.float32)
        for each in subjects
    ]
    start = _initialise_factors(
        centre=torch.as_tensor(np.concatenate(centres)),
        features=subjects[0].tokens.shape[2],
        heads=heads,
        head_width=head_width,
        basis=phi.shape[1],
        rank=rank,
        stream=stream,
    )
    phi = phi.to(device)
    axes = find_axes(subjects, image_batch=image_batch, device=device)
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
    most = max(len(each.training) for each in subjects)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        learning_rate,
        total_steps=epochs * math.ceil(most / image_batch),
        pct_start=0.15,
    )
    average = {name: tensor.detach().clone() for name, tensor in parameters.items()}
    voxels = list(map(len, centres))
    edges = [0, *itertools.accumulate(voxels)]
    owned = [slice(*pair) for pair in itertools.pairwise(edges)]

    losses, scores = [], []
    best_epoch, best_weights = -1, _to_weights(average, shapes, owned, axes)
    step = 0
    progress = Progress(
        epochs * sum(len(each.training) for each in subjects), "images", at_most=True
    )
    for epoch in range(epochs):
        orders = [
            each.training[torch.randperm(len(each.training), generator=stream).numpy()]
            for each in subjects
        ]
        total = 0.0
        for step_images in _share_out(orders, image_batch):
            batches = [
                (to_tensor(each.tokens[images], device), to_tensor(each.responses[images], device))
                for each, images in zip(subjects, step_images, strict=True)
            ]
            total += _take_step(
                parameters, shapes, batches, owned, phi, axes, optimiser, voxel_batch=voxel_batch
            )
            schedule.step()
            step += 1
            # Early on a long memory would hold the average at the random start.
            decay = min(averaging, step / (step + 10))
            for name, tensor in parameters.items():
                average[name].lerp_(tensor.detach(), 1 - decay)
            progress.add(sum(map(len, step_images)))
        weights = _to_weights(average, shapes, owned, axes)
        reached = []
        for each, own, mean in zip(subjects, weights, centres, strict=True):
            predicted = predict(
                move_weights(own, device),
                each.tokens,
                phi,
                images=each.validation,
                voxel_batch=voxel_batch,
                image_batch=image_batch,
            )
            reached.append(mean_r2(each.responses[each.validation], predicted, mean))
        losses.append(total / sum(map(math.prod, zip(map(len, orders), voxels, strict=True))))
        scores.append(float(np.average(reached, weights=voxels)))
        if best_epoch < 0 or scores[-1] > scores[best_epoch]:
            best_epoch, best_weights = epoch, weights
        elif epoch - best_epoch >= patience:
            break
    history = FitHistory(
        training_loss=np.array(losses), validation_score=np.array(scores), best_epoch=best_epoch
    )
    return best_weights, history


def fit_ensemble(
    subjects: Sequence[FittingData], *, seeds: Sequence[int], **options: Any
) -> tuple[list[EncoderWeights], list[FitHistory]]:
    """Fit encoders from each seed on the same images, and return each subject's mean as one.

    What differs between fits is what the random start and the order of images made of the noise;
    their mean has less of it, and stays an encoder of the same equation (encoder.join_encoders).
    subjects, options: as of fit_subjects. Returns weights by subject, and histories by seed.
    """
    fits = [fit_subjects(subjects, seed=seed, **options) for seed in seeds]
    if len(fits) == 1:
        return fits[0][0], [fits[0][1]]
    members = zip(*(weights for weights, _ in fits), strict=True)
    return [join_encoders(each) for each in members], [history for _, history in fits]


def find_axes(subjects: Sequence[FittingData], *, image_batch: int, device: str) -> torch.Tensor:
    """The principal axes of the training tokens of all subjects, those of little variance short.

    With eigenvectors a_i and eigenvalues λ_i of the mean of x xᵀ over training images and places
    (variances about zero), and their mean λ̄, the columns are

        A_i = a_i √( λ_i / (λ_i + LEAST_VARIANCE · λ̄) )

    AdamW's steps are of one size along all axes. Along those that hardly vary in training images,
    nothing would hold them back, and tokens of another kind would be answered at random.

    ``image_batch`` images are summed at a time, the sums in float64. An axis has no direction: each
    is turned so that its largest number is positive. Returns (feature, axis), float32, the axis of
    least variance first.
    """
    features = subjects[0].tokens.shape[2]
    moment = torch.zeros(features, features, dtype=torch.float64)
    for each in subjects:
        for first in range(0, len(each.training), image_batch):
            images = each.training[first : first + image_batch]
            tokens = to_tensor(each.tokens[images], device).flatten(0, 1)
            moment += (tokens.T @ tokens).cpu()
    variance, axes = torch.linalg.eigh(moment)
    variance = variance.clamp(min=0)
    length = (variance / (variance + LEAST_VARIANCE * variance.mean())).sqrt()
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    return (axes * largest.sign() * length).float().to(device)


def _share_out(orders: Sequence[np.ndarray], image_batch: int) -> Iterator[list[np.ndarray]]:
    """The images of each step of an epoch, by subject: ``image_batch`` of the one that has most, of
    the others in proportion."""
    most = max(map(len, orders))
    for first in range(0, most, image_batch):
        edges = first, min(first + image_batch, most)
        yield [
            order[slice(*(round(edge * len(order) / most) for edge in edges))] for order in orders
        ]


def _take_step(
    parameters: Mapping[str, torch.Tensor],
    shapes: tuple[int, int],
    batches: Sequence[tuple[torch.Tensor, torch.Tensor]],
    owned: Sequence[slice],
    phi: torch.Tensor,
    axes: torch.Tensor,
    optimiser: torch.optim.Optimizer,
    *,
    voxel_batch: int,
) -> float:
    """One step of the optimiser; returns the summed squared error.

    batches: tokens (image, token, feature) and responses (image, voxel) of each subject. owned:
    the voxels of each. axes: (feature, axis), along which the projections are fitted.
    """
    query, readout, position = _multiply_factors(parameters, shapes)
    asked = torch.cat([query, position], dim=2).transpose(0, 1)
    readout = readout.transpose(0, 1)
    summed, loss = 0.0, phi.new_zeros(())
    for (tokens, responses), own in zip(batches, owned, strict=True):
        if not len(tokens):
            continue
        keys, values = (
            project_tokens(axes @ parameters[name], tokens).transpose(0, 1).flatten(1, 2)
            for name in ("key", "value")
        )
        place = phi.repeat(len(tokens), 1).expand(len(keys), -1, -1)
        total = SquaredError.apply(
            asked[:, own].contiguous(),
            readout[:, own].contiguous(),
            parameters["bias"][own],
            torch.cat([keys, place], dim=2),
            values,
            responses.T,
            tokens.shape[1],
            voxel_batch,
        )
        # By image, not by voxel: a voxel's own gradient should not depend on how many are fitted.
        loss = loss + total / len(tokens)
        summed += float(total.detach())
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return summed


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


def _to_weights(
    parameters: Mapping[str, torch.Tensor],
    shapes: tuple[int, int],
    owned: Sequence[slice],
    axes: torch.Tensor,
) -> list[EncoderWeights]:
    """The products of the factors, on the CPU, without history, by the voxels of each subject."""
    plain = {name: tensor.detach().cpu() for name, tensor in parameters.items()}
    axes = axes.cpu()
    query, readout, position = _multiply_factors(plain, shapes)
    whole = EncoderWeights(
        query=query * math.sqrt(shapes[1]),
        readout=readout,
        key=axes @ plain["key"],
        value=axes @ plain["value"],
        position=position,
        bias=plain["bias"],
    )
    return [select_voxels(whole, np.arange(own.start, own.stop)) for own in owned]


def mean_r2(measured: np.ndarray, predicted: np.ndarray, centre: np.ndarray) -> float:
    """Mean over voxels of 1 − Σ(y − ŷ)² / Σ(y − training mean)²."""
    error = np.square(measured - predicted).sum(axis=0, dtype=np.float64)
    reference = np.square(measured - centre).sum(axis=0, dtype=np.float64)
    return float(np.mean(1.0 - error / np.where(reference > 0, reference, 1.0)))
