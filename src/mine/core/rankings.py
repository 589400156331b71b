"""Ways to rank an image's tokens for a voxel, for comparison with integrated gradients.

All come in closed form from the scalars of mine.core.integrated_gradients: s1, u1 at the image
(image, voxel, head, token) and s0, u0 at the baseline (1, voxel, head, token).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mine.core.integrated_gradients import AttributionBatch
from mine.sections import RANKINGS


def attention(s1: torch.Tensor) -> torch.Tensor:
    """Attention at the image, summed over heads: Σ_h a_ht. Returns (image, voxel, token)."""
    return torch.softmax(s1, dim=-1).sum(dim=-2)


def attention_value(s1: torch.Tensor, u1: torch.Tensor) -> torch.Tensor:
    """Direct contribution of a token to the prediction: Σ_h a_ht u_ht; sums to ŷ − b."""
    return (torch.softmax(s1, dim=-1) * u1).sum(dim=-2)


def gradient_times_change(
    s0: torch.Tensor, s1: torch.Tensor, u0: torch.Tensor, u1: torch.Tensor
) -> torch.Tensor:
    """Gradient at the image times (x − x̄): Σ_h a [Δu + Δs (u − z)], the end of IG's path."""
    a = torch.softmax(s1, dim=-1)
    z = (a * u1).sum(dim=-1, keepdim=True)
    return (a * ((u1 - u0) + (s1 - s0) * (u1 - z))).sum(dim=-2)


def ablation(
    s0: torch.Tensor, s1: torch.Tensor, u0: torch.Tensor, u1: torch.Tensor
) -> torch.Tensor:
    """Change of the prediction that one token makes: ŷ(x) − ŷ(x with token t at its baseline)."""
    # In double precision the sum of the other tokens is the total less one, however dominant.
    s0, s1, u0, u1 = s0.double(), s1.double(), u0.double(), u1.double()
    highest = torch.maximum(s0, s1).amax(dim=-1, keepdim=True)
    e0, e1 = torch.exp(s0 - highest), torch.exp(s1 - highest)
    total, weighted = e1.sum(dim=-1, keepdim=True), (e1 * u1).sum(dim=-1, keepdim=True)
    without = (weighted - e1 * u1 + e0 * u0) / (total - e1 + e0)
    return (weighted / total - without).sum(dim=-2).float()


def place_tokens(
    batch: AttributionBatch,
    *,
    norm: torch.Tensor,
    random: torch.Tensor,
    rankings: Sequence[str] = RANKINGS,
) -> dict[str, torch.Tensor]:
    """Place of every token in every ranking, 0 first: by magnitude where a score has a sign.

    norm, random: (image, token) of the batch's images, the raw token's norm and a random key,
    the same for all voxels. Returns int64 (image, voxel, token), or (image, 1, token) for these
    two. "lowest" is "integrated_gradients" read backwards. Equal scores keep the tokens' order.
    """
    scalars = (batch.s0, batch.s1, batch.u0, batch.u1)
    scores = {
        "integrated_gradients": lambda: batch.attribution.abs(),
        "attention": lambda: attention(batch.s1),
        "attention_value": lambda: attention_value(batch.s1, batch.u1).abs(),
        "gradient_input": lambda: gradient_times_change(*scalars).abs(),
        "ablation": lambda: ablation(*scalars).abs(),
        "norm": lambda: norm[:, None],
        "random": lambda: random[:, None],
    }
    places: dict[str, torch.Tensor] = {}
    for ranking in rankings:
        if ranking == "lowest":
            first = (
                places["integrated_gradients"]
                if "integrated_gradients" in places
                else place_by_score(scores["integrated_gradients"]())
            )
            places[ranking] = first.shape[-1] - 1 - first
        else:
            places[ranking] = place_by_score(scores[ranking]())
    return places


def place_by_score(score: torch.Tensor) -> torch.Tensor:
    """Place of each token along the last axis when scores are sorted from high to low."""
    order = torch.argsort(score, dim=-1, descending=True, stable=True)
    place = torch.arange(score.shape[-1], device=score.device).expand_as(order)
    return torch.empty_like(order).scatter_(-1, order, place)
