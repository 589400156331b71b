"""What the lens says where there is nothing to read, and how far a reading has to exceed it.

A softmax over words gives every token some word. What it gives to a token that shows nothing is
measured on *shuffled* tokens, each feature of which comes from another token, of any place in any
image: features as they are, and nothing in them that would make a direction. With M_g the lens's
probability of a word g in such a token, and x_g in a token at hand,

    z_g = (x_g − mean M_g) / sd M_g        chance(g) = P( max over all words of z in M ≥ z_g )

so that each word is held to its own null, and the maximum corrects for their number (Westfall &
Young 1993). Mean and deviation are of one half of the shuffled tokens and the maxima of the other,
on images of their own: to a further shuffled token the second half is exchangeable, whichever words
the first one lacks, and

    P(any word has chance ≤ α | the token shows nothing) ≤ α

over draws of the images that either are made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mine.core.lens import apply_lens
from mine.core.synonyms import name_by_rate

if TYPE_CHECKING:  # scipy is imported where it is used
    import torch
    import xarray as xr
    from scipy import sparse


SHUFFLED, EACH = 20_000, 16
"""Shuffled tokens, and the tokens of every image that they are made of."""


def shuffle_tokens(tokens: np.ndarray, *, count: int, generator: np.random.Generator) -> np.ndarray:
    """Make tokens that show nothing: (image, token, feature) → (count, feature).

    Every feature is taken from a token of its own, drawn with replacement: of the first half of the
    images for the first half of the result, of the others for the second.
    """
    images, half = len(tokens) // 2, count // 2
    parts = []
    for pool, size in ((tokens[:images], half), (tokens[images:], count - half)):
        rows = pool.reshape(-1, pool.shape[-1])
        drawn = generator.integers(len(rows), size=(size, rows.shape[1]))
        parts.append(np.take_along_axis(rows, drawn, axis=0))
    return np.concatenate(parts)


def read_shuffled(
    tokens: np.ndarray,
    lens: Mapping[str, Any],
    *,
    words_per_token: int,
    device: torch.device | str,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the lens reads in SHUFFLED tokens that are made of others, (image, token,
    feature): ``word`` and ``score`` of :func:`mine.core.lens.apply_lens`, (token, rank). lens: of
    :func:`mine.core.lens.read_lens`."""
    shuffled = shuffle_tokens(tokens, count=SHUFFLED, generator=generator)
    word, score = apply_lens(shuffled[None], **lens, words_per_token=words_per_token, device=device)
    return word[0], score[0]


def measure_null(
    word: np.ndarray, score: np.ndarray, group: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measure how clearly words are read in tokens that show nothing.

    word, score: the lens's, (token, rank), of shuffled tokens; the two halves are of images of
    their own. group: int (word,), of near-synonyms, whose probabilities count together. Returns
    mean and deviation of each word's group over the first half, float32 (word,), and the largest z
    of each token of the second, ascending, float32 (token,).

    The deviation is √(variance + mean variance of the groups that are read): many of a large
    vocabulary never are, and have none of their own.
    """
    half = len(word) // 2
    first = _sum_groups(word[:half], score[:half], group)
    mean = np.asarray(first.mean(axis=0)).ravel()
    variance = np.maximum(np.asarray(first.multiply(first).mean(axis=0)).ravel() - mean**2, 0)
    deviation = np.sqrt(variance + variance[mean > 0].mean())
    second = _sum_groups(word[half:], score[half:], group)
    z = (second.data - mean[second.indices]) / deviation[second.indices]
    largest = np.sort(np.maximum.reduceat(z, second.indptr[:-1]))
    return tuple(array.astype(np.float32) for array in (mean[group], deviation[group], largest))


def read_groups(
    word: np.ndarray, score: np.ndarray, base_rates: xr.Dataset
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List what is read in tokens: token, group and chance, each (reading,).

    word, score: the lens's, (token, rank). base_rates: see
    :func:`mine.stages.embeddings.measure_base_rates`. The probabilities of a group's words count
    together.
    """
    group = base_rates["group"].values
    read = _sum_groups(word, score, group).tocoo()
    token, found = read.coords
    members = np.unique(group, return_index=True)[1]
    return token, found, chance_of(read.data, members[found], base_rates)


def label_groups(base_rates: xr.Dataset) -> list[str]:
    """Return the name of each group: its word of largest base rate."""
    group, rate = base_rates["group"].values, base_rates["base_rate"].values
    largest = name_by_rate(rate, group)
    return base_rates["word"].values[largest].tolist()


def find_said(described: xr.Dataset) -> np.ndarray:
    """Return which words of descriptions are said, bool, as ``word``: those of positive weight that
    are read more clearly than in tokens that show nothing."""
    clear = described["chance"].values <= described.attrs["false_words"]
    return clear & (described["weight"].values > 0)


def join_said(described: xr.Dataset, words: np.ndarray) -> np.ndarray:
    """Return the first words of descriptions that are said, with commas between them: text, of the
    shape of ``word`` without its ranks, empty where nothing is said.

    words: (word,), the vocabulary. How many are joined is the descriptions' own ``phrase_words``.
    """
    ranked = described["word"].transpose(..., "rank")
    said = find_said(described.transpose(..., "rank"))
    most = described.attrs["phrase_words"]
    phrases = [
        ", ".join(words[own[clear][:most]])
        for own, clear in zip(
            ranked.values.reshape(-1, ranked.sizes["rank"]),
            said.reshape(-1, ranked.sizes["rank"]),
            strict=True,
        )
    ]
    return np.array(phrases, dtype=str).reshape(ranked.shape[:-1])


def chance_of(mass: np.ndarray, word: np.ndarray, base_rates: xr.Dataset) -> np.ndarray:
    """Return how often a token that shows nothing has any word as clear as these: float32, as mass.

    mass: probabilities of groups; word: one of each group, of the same shape. base_rates: see
    :func:`mine.stages.embeddings.measure_base_rates`.
    """
    largest = base_rates["null_largest"].values
    mean, deviation = (base_rates[name].values[word] for name in ("null_mean", "null_deviation"))
    reached = len(largest) - np.searchsorted(largest, (mass - mean) / deviation)
    return ((1 + reached) / (1 + len(largest))).astype(np.float32)


def _sum_groups(word: np.ndarray, score: np.ndarray, group: np.ndarray) -> sparse.csr_array:
    """Sum the probabilities of groups: sparse (token, group); what is not stored has none."""
    from scipy import sparse

    rows = np.repeat(np.arange(len(word)), word.shape[1])
    entries = score.ravel().astype(np.float64), (rows, group[word].ravel())
    return sparse.csr_array(entries, shape=(len(word), int(group.max()) + 1))
