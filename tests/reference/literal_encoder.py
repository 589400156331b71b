"""The encoder, its attributions and its patching, written out slowly as their definitions say.

They exist only to hold the fast code against: forward passes and automatic differentiation, one
voxel, image and token at a time, in double precision unless the arguments say otherwise.
"""

from __future__ import annotations

import math

import numpy as np
import torch


def predict(weights, voxel, tokens, phi):
    """ŷ_v(x) of one image, tokens (token, feature): b_v + Σ_h Σ_t softmax_t(s) u."""
    prediction = weights.bias[voxel].to(tokens.dtype)
    for head in range(weights.query.shape[1]):
        attention, value = attend(weights, voxel, head, tokens, phi)
        prediction = prediction + (attention * value).sum()
    return prediction


def attend(weights, voxel, head, tokens, phi):
    """Attention and read-out values (token,) of one head."""
    kind = tokens.dtype
    query, readout = weights.query[voxel, head].to(kind), weights.readout[voxel, head].to(kind)
    keys = tokens @ weights.key[head].to(kind)
    logits = keys @ query / math.sqrt(len(query))
    logits = logits + phi.to(kind) @ weights.position[voxel, head].to(kind)
    value = (tokens @ weights.value[head].to(kind)) @ readout
    return torch.softmax(logits, dim=0), value


def gradient(weights, voxel, tokens, phi):
    """dŷ/dx by automatic differentiation, (token, feature)."""
    tokens = tokens.clone().requires_grad_(True)
    predict(weights, voxel, tokens, phi).backward()
    return tokens.grad


def integrated_gradients(weights, voxel, tokens, baseline, phi, *, nodes):
    """Σ_features (x − x̄) ∫ dŷ/dx dα by Gauss–Legendre quadrature, (token,)."""
    positions, quadrature = np.polynomial.legendre.leggauss(nodes)
    total = torch.zeros_like(tokens)
    for position, weight in zip((positions + 1) / 2, quadrature / 2, strict=True):
        point = baseline + position * (tokens - baseline)
        total += weight * gradient(weights, voxel, point, phi)
    return ((tokens - baseline) * total).sum(dim=-1)


def patch(tokens, baseline, replaced):
    """Tokens with those in `replaced` (token,) bool set to the baseline's."""
    return torch.where(torch.as_tensor(replaced)[:, None], baseline, tokens)


def score_tokens(ranking, weights, voxel, tokens, baseline, phi):
    """The score by which a ranking orders the tokens, before its magnitude is taken, (token,)."""
    heads = [attend(weights, voxel, h, tokens, phi) for h in range(weights.query.shape[1])]
    if ranking == "attention":
        return sum(attention for attention, _ in heads)
    if ranking == "attention_value":
        return sum(attention * value for attention, value in heads)
    if ranking == "gradient_input":
        return ((tokens - baseline) * gradient(weights, voxel, tokens, phi)).sum(dim=-1)
    if ranking == "ablation":
        full = predict(weights, voxel, tokens, phi)
        effects = []
        for token in range(len(tokens)):
            alone = np.arange(len(tokens)) == token
            patched = patch(tokens, baseline, alone)
            effects.append(full - predict(weights, voxel, patched, phi))
        return torch.stack(effects)
    raise ValueError(ranking)
