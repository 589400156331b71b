"""The transformer brain encoder's form: a query for each region routes, each voxel reads.

One decoder layer, with the tokens x_t, their places π_t (sines, Carion et al. 2020, arXiv
2005.12872) and a learned query q_r for each region and hemisphere:

    h_r  = LN₂(c + W_o Σ_t a_rt (W_v x_t + b_v) + b_o)       c = LN₁(0), the layer's learned start
    a_rt = softmax_t of ⟨W_q (c + q_r) + b_q, W_k (x_t + π_t) + b_k⟩ / √width, by heads
    o_r  = LN₄(LN₃(h_r + MLP(h_r)))
    ŷ(v, x) = ⟨w_v, o_r(v)⟩ + b_v

(Adeli, Sun & Kriegeskorte 2025, arXiv 2505.17329; sizes and order of norms as in the authors'
published code, which has no self-attention in the decoder). A voxel of several regions belongs to
the first, one of none to a region of its hemisphere's rest.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mine.encoders.descent import Descended, Form, descend
from mine.encoders.interface import Stimuli, Terms

HEADS = 16
HIDDEN = 1024
DROPOUT = 0.1


class RegionQuery(Form):
    """See the module's equations. regions: (voxel,), from 0."""

    def __init__(self, regions: np.ndarray, rows: int, columns: int, features: int) -> None:
        super().__init__()
        count = int(regions.max()) + 1
        self.register_buffer("regions", torch.as_tensor(regions, dtype=torch.long))
        self.register_buffer("place", make_sines(rows, columns, features))
        self.query = nn.Parameter(torch.randn(count, features))
        # As many heads as divide the width.
        self.attention = nn.MultiheadAttention(
            features, math.gcd(HEADS, features), dropout=DROPOUT, batch_first=True
        )
        self.norms = nn.ModuleList(nn.LayerNorm(features) for _ in range(4))
        self.mlp = nn.Sequential(
            nn.Linear(features, HIDDEN),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(HIDDEN, features),
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.readout = nn.Parameter(torch.empty(len(regions), features))
        nn.init.xavier_uniform_(self.readout)
        self.bias = nn.Parameter(torch.zeros(len(regions)))

    def forward(self, tokens: torch.Tensor, voxels: torch.Tensor) -> torch.Tensor:
        start = self.norms[0](torch.zeros_like(self.query)).expand(len(tokens), -1, -1)
        found, _ = self.attention(
            start + self.query, tokens + self.place, tokens, need_weights=False
        )
        hidden = self.norms[1](start + self.dropout(found))
        output = self.norms[3](self.norms[2](hidden + self.dropout(self.mlp(hidden))))
        predicted = tokens.new_empty(len(tokens), len(voxels))
        # By region: no array has an image, a voxel and a feature dimension at once.
        for region in self.regions[voxels].unique():
            own = self.regions[voxels] == region
            predicted[:, own] = output[:, region] @ self.readout[voxels[own]].T
        return predicted + self.bias[voxels]


def make_sines(rows: int, columns: int, features: int) -> torch.Tensor:
    """Sines and cosines of a token's row in the first half of the features, of its column in the
    second: sin and cos of 2π place / 10000^(2i / half) in turns, (token, feature)."""
    half = features // 2
    rate = 10000 ** (2 * (torch.arange(half) // 2) / half)
    encoded = []
    for count in (rows, columns):
        angle = 2 * math.pi * (torch.arange(count)[:, None] + 1) / count / rate
        even = torch.arange(half) % 2 == 0
        encoded.append(torch.where(even, angle.sin(), angle.cos()))
    down = encoded[0][:, None].expand(-1, columns, -1)
    across = encoded[1][None].expand(rows, -1, -1)
    both = torch.cat([down, across], dim=-1).reshape(rows * columns, 2 * half)
    return functional.pad(both, (0, features - 2 * half))


def fit(stimuli: Stimuli, responses: np.ndarray, terms: Terms) -> Descended:
    """Fit by descent on the squared error."""
    return descend(
        lambda: RegionQuery(terms.regions, stimuli.rows, stimuli.columns, stimuli.tokens.shape[2]),
        stimuli,
        responses,
        terms,
        loss=functional.mse_loss,
    )
