"""Whether the lens's probabilities are rates, and the temperature at which they are most nearly.

A token's first word is the one of largest score s, its cosine or logit, whatever the temperature.
It has the probability

    c(T) = Σ_{w in its group} softmax_w( s / T )

of all its near-synonyms. As a forecast that the captions of the image mention the word, y, its
negative log likelihood is

    −y log c(T) − (1 − y) log(1 − c(T))

and the T of the smallest mean of it is fitted, as Guo et al. (2017) do for classifiers. Only first
words are forecast: a token's probabilities add up to one, but captions mention several words, so
that of all words together no T would make rates. The expected calibration error is

    ECE = Σ_b n_b / n · | mean of y in b − mean of c in b |

over bins b of c. After the fit it is of images that had no part in it: each half of the images is
read at the temperature of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import optimize, special

from mine.core.lens import score_tokens
from mine.core.mentions import find_mentioned
from mine.statistics.bootstrap import (
    bootstrap_over_images,
    bootstrap_ratio,
    bootstrap_weights,
    interval,
)

if TYPE_CHECKING:
    import torch

READINGS = ("own", "fitted")
BINS = 10
RANGE = 32.0
"""How far the fitted temperature may be from the lens's own, either way, as a factor."""
LEAST = float(np.finfo(np.float32).tiny)
"""Smallest probability that is left for other words, over that of the first."""
STEP = 0.05
"""Of log T, over which the likelihood's slope and curvature are measured."""


def judge_temperature(
    tokens: np.ndarray,
    captions: list[list[str]],
    lens: Mapping[str, Any],
    words: np.ndarray,
    group: np.ndarray,
    *,
    resamples: int,
    generator: np.random.Generator,
    device: torch.device | str,
) -> pd.DataFrame:
    """Compare the probabilities of first words with how often captions mention them.

    tokens: raw (image, token, feature), of two images or more that no fit saw. captions: of each
    image. lens: of :func:`mine.core.lens.read_lens`. words, group: (word,), of the vocabulary.
    device: where tokens are scored, that of the model that made them.
    Returns rows of ``measure``, ``reading`` (``own``: at the lens's temperature; ``fitted``),
    ``from``, ``to`` (the bin of probabilities; nan for all), ``confidence`` (mean probability),
    ``value``, ``low``, ``high`` (95%, images resampled) and ``n``, tokens:

    * ``temperature``: T; without an interval at an end of its range
    * ``negative_log_likelihood``: mean over tokens
    * ``calibration_error``: ECE
    * ``right``: share of tokens whose first word the captions mention; of all, and in each bin

    Of fitted temperatures all but ``temperature`` itself is of images that had no part in the fit.
    """
    mentioned = find_mentioned(captions, words, group)
    own, score = lens["temperature"], _score(tokens, lens, device)
    first, odds = read_first(score, group, temperature=own)
    right = np.take_along_axis(mentioned, first, axis=1)

    def weigh(temperature: float, images: np.ndarray | slice = slice(None)) -> np.ndarray:
        return read_first(score[images], group, temperature=temperature)[1]

    def fit(images: np.ndarray | slice = slice(None)) -> float:
        return fit_temperature(lambda t: _lose(weigh(t, images), right[images]).mean(), own)

    fitted, after = fit(), np.empty_like(odds)
    folds = generator.permutation(len(tokens)) % 2
    for fold in (0, 1):
        here = np.flatnonzero(folds == fold)
        after[here] = weigh(fit(np.flatnonzero(folds != fold)), here)
    weights = bootstrap_weights(len(tokens), resamples=resamples, generator=generator)
    around = [fitted * np.exp(shift) for shift in (-STEP, 0, STEP)]
    losses = [_lose(weigh(t), right).mean(axis=1) for t in around]
    low, high = np.nan, np.nan
    if abs(np.log(fitted / own)) < np.log(RANGE) - STEP:
        low, high = fitted * np.exp(interval(move_optimum(losses, weights)))
    bounds = {"own": (own, np.nan, np.nan), "fitted": (fitted, low, high)}
    tables = [
        _tabulate(odds, right, weights, bounds[reading]).assign(reading=reading)
        for reading, odds in zip(READINGS, (odds, after), strict=True)
    ]
    columns = ["measure", "reading", "from", "to", "confidence", "value", "low", "high", "n"]
    return pd.concat(tables, ignore_index=True)[columns]


def read_first(
    score: np.ndarray, group: np.ndarray, *, temperature: float, memory_bytes: int = 2**26
) -> tuple[np.ndarray, np.ndarray]:
    """Return the group of each token's first word, int (image, token), and the log odds of its
    probability, log c − log(1 − c), float64: a probability near one would be one.

    score: cosines or logits, (image, token, word). group: int (word,). Tokens are read in blocks of
    at most ``memory_bytes`` of scores.
    """
    flat = score.reshape(-1, len(group))
    first, odds = np.empty(len(flat), dtype=np.int64), np.empty(len(flat))
    block = max(1, memory_bytes // (4 * len(group)))
    for start in range(0, len(flat), block):
        part = slice(start, start + block)
        here = flat[part]
        first[part] = group[here.argmax(axis=1)]
        mass = np.exp((here - here.max(axis=1, keepdims=True)) / np.float32(temperature))
        own = group == first[part][:, None]
        inside = np.where(own, mass, 0).sum(axis=1, dtype=np.float64)
        mass[own] = 0
        outside = np.maximum(mass.sum(axis=1, dtype=np.float64), LEAST)
        odds[part] = np.log(inside) - np.log(outside)
    return first.reshape(score.shape[:2]), odds.reshape(score.shape[:2])


def fit_temperature(measure_loss: Callable[[float], float], start: float) -> float:
    """Return the temperature of the smallest loss, between start / RANGE and start · RANGE; it is
    one of these where every forecast is right, or none.
    """
    reach = np.log(RANGE)
    found = optimize.minimize_scalar(
        lambda shift: measure_loss(start * np.exp(shift)),
        bounds=(-reach, reach),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(start * np.exp(found.x))


def move_optimum(losses: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Return by how much each resample of the images moves the optimum of log T: (resample,).

    losses: of each image at the optimum less STEP, at it, and at it plus STEP. One step of Newton's
    for each resample, whose loss is taken for a parabola.
    """
    below, here, above = (weights @ loss for loss in losses)
    slope, curvature = (above - below) / (2 * STEP), (above - 2 * here + below) / STEP**2
    return -slope / curvature


def _score(tokens: np.ndarray, lens: Mapping[str, Any], device: torch.device | str) -> np.ndarray:
    """The cosines or logits of all words, float32 (image, token, word): once, since every
    temperature divides the same."""
    flat = tokens.reshape(-1, tokens.shape[-1])
    score = np.empty((len(flat), len(lens["text"])), dtype=np.float32)
    for part, found in score_tokens(flat, **{**lens, "temperature": 1.0}, device=device):
        score[part] = found.cpu().numpy()
    return score.reshape(*tokens.shape[:2], -1)


def _lose(odds: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The negative log likelihood of each token."""
    return np.logaddexp(0, np.where(right, -odds, odds))


def _tabulate(
    odds: np.ndarray, right: np.ndarray, weights: np.ndarray, temperature: tuple[float, ...]
) -> pd.DataFrame:
    """The rows of one reading. odds, right: (image, token). temperature: value, low, high."""
    confidence = special.expit(odds)
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    member = place[..., None] == np.arange(BINS)
    there = member.sum(axis=1).astype(float)
    sure = np.where(member, confidence[..., None], 0).sum(axis=1)
    hit = (member & right[..., None]).sum(axis=1).astype(float)

    def gather_errors(hit: np.ndarray, sure: np.ndarray, there: np.ndarray) -> np.ndarray:
        return np.abs(hit - sure).sum(axis=-1) / there.sum(axis=-1)

    error = gather_errors(hit.sum(axis=0), sure.sum(axis=0), there.sum(axis=0))
    draws = bootstrap_over_images([hit, sure, there], gather_errors, weights)
    whole = there.sum(axis=1)
    rows = [
        ("temperature", np.nan, np.nan, *temperature),
        (
            "negative_log_likelihood",
            np.nan,
            np.nan,
            *bootstrap_ratio(_lose(odds, right).sum(axis=1), whole, weights),
        ),
        ("calibration_error", np.nan, np.nan, error, *interval(draws)),
        ("right", np.nan, np.nan, *bootstrap_ratio(hit.sum(axis=1), whole, weights)),
    ]
    used = np.flatnonzero(there.any(axis=0))
    rows += [
        (
            "right",
            number / BINS,
            (number + 1) / BINS,
            *bootstrap_ratio(hit[:, number], there[:, number], weights),
        )
        for number in used
    ]
    table = pd.DataFrame(rows, columns=["measure", "from", "to", "value", "low", "high"])
    counts, sums = there.sum(axis=0), sure.sum(axis=0)
    table["n"] = [confidence.size] * 4 + counts[used].astype(int).tolist()
    table["confidence"] = [np.nan] * 3 + [confidence.mean(), *(sums[used] / counts[used])]
    return table
