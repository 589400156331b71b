"""Rival explainers written out slowly as their equations say, one voxel and word at a time."""

from __future__ import annotations

import numpy as np
from scipy import stats


def cosine(one, other):
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def score_projection(weight, features, text, temperature):
    """cos(w* − mean e, text_word) of one voxel: (word,)."""
    images = [row / np.linalg.norm(row) for row in features]
    near = [np.exp(cosine(weight, image) / temperature) for image in images]
    projected = sum(s * image for s, image in zip(near, images, strict=True)) / sum(near)
    projected = projected / np.linalg.norm(projected)
    return np.array([cosine(projected - np.mean(images, axis=0), word) for word in text])


def rank_tokens(weight, dense):
    """R_nt of one voxel, largest first: (relevance, image, token)."""
    mean = np.mean([token for image in dense for token in image], axis=0)
    found = [
        (float(weight @ (token - mean)), n, t)
        for n, image in enumerate(dense)
        for t, token in enumerate(image)
    ]
    return sorted(found, reverse=True)


def score_relevance(weight, dense, lens, base_rate, kept):
    """Mean lens probability over the most relevant tokens, less the base rate: (word,)."""
    score = -np.asarray(base_rate, dtype=float)
    for _, n, t in rank_tokens(weight, dense)[:kept]:
        for word, probability in zip(
            lens["word"].values[n, t], lens["score"].values[n, t], strict=True
        ):
            score[word] += float(probability) / kept
    return score


def score_captions(weight, features, presence, text, count):
    """cos(w, text_word) of words that more of the best images have than of all; nan: others."""
    order = sorted(range(len(features)), key=lambda n: -float(weight @ features[n]))
    score = np.full(len(text), np.nan)
    for word in range(len(text)):
        among_best = sum(presence[n][word] for n in order[:count]) / len(order[:count])
        if among_best > sum(row[word] for row in presence) / len(presence):
            score[word] = cosine(weight, text[word])
    return score


def correlate_captions(response, presence, group):
    """Correlation of the response's normal scores with the presence of each group and its q over
    groups that vary: two (group,)."""
    rank = [sum(other <= one for other in response) for one in response]  # no two are equal
    response = stats.norm.ppf(np.array(rank) / (len(response) + 1))
    r, p = [], []
    for number in range(max(group) + 1):
        has = [any(row[w] for w in np.flatnonzero(group == number)) for row in presence]
        if len(set(has)) < 2:
            r.append(np.nan)
            p.append(np.nan)
            continue
        found = stats.pearsonr(np.array(has, dtype=float), response, alternative="greater")
        r.append(found.statistic)
        p.append(found.pvalue)
    q = np.full(len(r), np.nan)
    known = np.isfinite(p)
    q[known] = stats.false_discovery_control(np.array(p)[known])
    return np.array(r), q
