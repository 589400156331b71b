"""Steps of gradient descent shared by processes, and Muon for matrices.

Muon: Jordan et al. 2024, github.com/KellerJordan/Muon, scaled as in arXiv 2502.16982 so that the
rate of AdamW fits. It learns from fewer examples than AdamW, which is what a CPU is short of.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed

WEIGHT_DECAY = 0.01


def take_step(
    loss: torch.Tensor,
    parameters: Sequence[torch.nn.Parameter],
    optimiser: torch.optim.Optimizer,
) -> None:
    """Take one step with the mean gradient of all processes, clipped to unit length."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    if torch.distributed.is_initialized():
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(together)
        together /= torch.distributed.get_world_size()
        for parameter, part in zip(
            parameters, together.split([p.numel() for p in parameters]), strict=True
        ):
            parameter.grad = part.view_as(parameter)
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimiser.step()


def choose_matrices(unet: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The denoiser's large matrices, convolutions among them: all but the first and last layer."""
    return [
        parameter
        for name, parameter in unet.named_parameters()
        if parameter.ndim >= 2
        and not name.startswith(("conv_in", "conv_out"))
        and min(len(parameter), parameter[0].numel()) >= 64
    ]


def turn_matrices(
    matrices: list[torch.nn.Parameter], momentum: list[torch.Tensor], *, rate: float
) -> None:
    """Take one step of Muon: momentum with all singular values made one.

    Processes share the matrices out between them.
    """
    shared = torch.distributed.is_initialized()
    rank = torch.distributed.get_rank() if shared else 0
    count = torch.distributed.get_world_size() if shared else 1
    turned = [torch.zeros_like(matrix) for matrix in matrices]
    for place, (matrix, kept) in enumerate(zip(matrices, momentum, strict=True)):
        kept.lerp_(matrix.grad, 0.05)
        if place % count == rank:
            flat = matrix.grad.lerp(kept, 0.95).flatten(1)
            step = orthogonalise(flat) * 0.2 * max(flat.shape) ** 0.5
            turned[place] = step.view_as(matrix)
    if shared:
        together = torch.cat([step.flatten() for step in turned])
        torch.distributed.all_reduce(together)
        parts = together.split([matrix.numel() for matrix in matrices])
        turned = [part.view_as(matrix) for part, matrix in zip(parts, matrices, strict=True)]
    with torch.no_grad():
        for matrix, step in zip(matrices, turned, strict=True):
            matrix.mul_(1 - rate * WEIGHT_DECAY).sub_(step, alpha=rate)


def orthogonalise(matrix: torch.Tensor) -> torch.Tensor:
    """Bring all singular values near one, by five Newton-Schulz steps: (row, column)."""
    wide = matrix.bfloat16() if len(matrix) <= matrix.shape[1] else matrix.bfloat16().T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(5):
        square = wide @ wide.T
        wide = 3.4445 * wide + (-4.7750 * square + 2.0315 * square @ square) @ wide
    return (wide if len(matrix) <= matrix.shape[1] else wide.T).float()
