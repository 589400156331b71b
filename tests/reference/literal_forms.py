"""Forms of encoders written out slowly as their equations say, one voxel and image at a time."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn import functional


def normalise(vector, norm):
    """LN(x) = scale (x − mean) / √(variance + 1e-5) + shift."""
    mean, variance = vector.mean(), vector.var(unbiased=False)
    return norm.weight * (vector - mean) / torch.sqrt(variance + 1e-5) + norm.bias


def predict_universal(form, voxel, tokens):
    """ŷ_v(x) of one image, tokens (token, feature); without dropout."""
    embedding = form.embedding[voxel]
    query = form.query.weight @ embedding + form.query.bias
    projected, scores = [], []
    for place, token in enumerate(tokens):
        y = form.project.weight @ normalise(token, form.norm_in) + form.project.bias
        key = form.key.weight @ y + form.key.bias + form.place[place]
        projected.append(y)
        scores.append(float(query @ key))
    share = np.exp(np.array(scores) - max(scores))
    share /= share.sum()
    seen = sum(float(a) * y for a, y in zip(share, projected, strict=True))
    z = normalise(seen, form.norm)
    first, _, second = form.mlp
    hidden = first.weight @ z + first.bias
    hidden = torch.stack([0.5 * h * (1 + math.erf(float(h) / math.sqrt(2))) for h in hidden])
    z = z + second.weight @ hidden + second.bias
    return float((embedding @ form.readout) @ z)


def predict_region_query(form, voxel, tokens):
    """ŷ_v(x) of one image, tokens (token, feature); without dropout."""
    region, heads = int(form.regions[voxel]), form.attention.num_heads
    features = tokens.shape[1]
    width = features // heads
    start = form.norms[0].bias
    weights = form.attention.in_proj_weight.split(features)
    biases = form.attention.in_proj_bias.split(features)
    query = weights[0] @ (start + form.query[region]) + biases[0]
    found = torch.zeros(features, dtype=tokens.dtype)
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        scores, values = [], []
        for place, token in enumerate(tokens):
            key = weights[1] @ (token + form.place[place]) + biases[1]
            values.append((weights[2] @ token + biases[2])[part])
            scores.append(float(query[part] @ key[part]) / math.sqrt(width))
        share = np.exp(np.array(scores) - max(scores))
        share /= share.sum()
        found[part] = sum(float(a) * value for a, value in zip(share, values, strict=True))
    found = form.attention.out_proj.weight @ found + form.attention.out_proj.bias
    hidden = normalise(start + found, form.norms[1])
    first, last = form.mlp[0], form.mlp[-1]
    inner = functional.relu(first.weight @ hidden + first.bias)
    hidden = normalise(hidden + last.weight @ inner + last.bias, form.norms[2])
    output = normalise(hidden, form.norms[3])
    return float(form.readout[voxel] @ output + form.bias[voxel])


def choose_receptive_field(tokens, response, fields, alphas, folds):
    """Candidate and penalty of one voxel: the least Σ over held-out images of squared errors, each
    ridge solved anew. Returns (candidate, alpha)."""
    best = (math.inf, None, None)
    for number, field in enumerate(fields):
        seen = np.tensordot(tokens.astype(np.float64), field, axes=(1, 0))
        for alpha in alphas:
            total = 0.0
            for fitted, held in folds:
                weight, intercept = solve_ridge(seen[fitted], response[fitted], alpha)
                total += np.square(response[held] - seen[held] @ weight - intercept).sum()
            if total < best[0]:
                best = (total, number, alpha)
    return best[1:]


def solve_ridge(features, response, alpha):
    """Weights and intercept of ridge on standardised features, per unit of the features given."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scaled = (features - mean) / deviation
    gram = scaled.T @ scaled + alpha * np.eye(features.shape[1])
    weight = np.linalg.solve(gram, scaled.T @ (response - response.mean())) / deviation
    return weight, response.mean() - mean @ weight
