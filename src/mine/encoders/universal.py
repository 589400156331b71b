"""The universal brain encoder's form: an embedding of each voxel asks, and reads.

With the tokens x_t, the voxel's embedding e_v and a learned vector p_t for each place,

    y_t = W_in LN(x_t) + b_in
    a_vt = softmax_t ⟨W_q e_v + b_q, W_k y_t + b_k + p_t⟩         (not divided by √width)
    z_v = LN(Σ_t a_vt y_t)        z'_v = z_v + MLP(z_v)
    ŷ(v, x) = ⟨e_v M, z'_v⟩                                       (the embedding reads, too)
    loss = mean (ŷ − y)² − 0.1 · mean over images of cos(ŷ, y), the cosine over voxels

(Beliy et al. 2024, arXiv 2406.12179; sizes, the loss and the dropout after LN as in the authors'
published code). The original takes five depths of DINOv2, tuned by low-rank updates, and sums their
readouts; here the depth that MINE has, as it is. Without the MLP and the second LN it would be
MINE's form with one head.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mine.encoders.descent import Descended, Form, descend
from mine.encoders.interface import Stimuli, Terms

EMBEDDING = 256  # numbers of a voxel
WIDTH = 128  # of the projected tokens
DROPOUT = 0.25
COSINE = 0.1  # weight of the cosine in the loss
VOXELS_A_STEP = 5000


class Universal(Form):
    """See the module's equations."""

    def __init__(self, voxels: int, tokens: int, features: int) -> None:
        super().__init__()
        scale = 1 / (2 * math.sqrt(32))
        self.embedding = nn.Parameter(
            0.1 / (2 * math.sqrt(EMBEDDING)) * torch.randn(voxels, EMBEDDING)
        )
        self.readout = nn.Parameter(scale * torch.randn(EMBEDDING, WIDTH))
        self.place = nn.Parameter(scale * torch.randn(tokens, EMBEDDING))
        self.norm_in, self.project = nn.LayerNorm(features), nn.Linear(features, WIDTH)
        self.query, self.key = nn.Linear(EMBEDDING, EMBEDDING), nn.Linear(WIDTH, EMBEDDING)
        self.norm, self.dropout = nn.LayerNorm(WIDTH), nn.Dropout(DROPOUT)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, tokens: torch.Tensor, voxels: torch.Tensor) -> torch.Tensor:
        embedding = self.embedding[voxels]
        projected = self.project(self.norm_in(tokens))
        scores = self.query(embedding) @ (self.key(projected) + self.place).transpose(1, 2)
        seen = self.dropout(self.norm(torch.softmax(scores, dim=-1) @ projected))
        return ((seen + self.mlp(seen)) * (embedding @ self.readout)).sum(dim=-1)


def measure_loss(predicted: torch.Tensor, measured: torch.Tensor) -> torch.Tensor:
    """The squared error less a tenth of the cosine over voxels. See the module's equations."""
    cosine = functional.cosine_similarity(predicted, measured, dim=1)
    return functional.mse_loss(predicted, measured) - COSINE * cosine.mean()


def fit(stimuli: Stimuli, responses: np.ndarray, terms: Terms) -> Descended:
    """Fit by descent."""
    _, tokens, features = stimuli.tokens.shape
    return descend(
        lambda: Universal(responses.shape[1], tokens, features),
        stimuli,
        responses,
        terms,
        loss=measure_loss,
        voxels_a_step=VOXELS_A_STEP,
    )
