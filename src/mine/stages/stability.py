"""How much what the lens says depends on the prompts, the vocabulary and the temperature.

The same tokens are read again, and every reading is held to a null of its own, of the same shuffled
tokens (mine.core.calibration):

    prompts      by some of the prompts, against others of them, where words are put into prompts
    vocabulary   by a random half of the words, against all; a word that is left out does not count
    temperature  at half and at twice the temperature, against the lens's own

Two readings of a token give two sets, of the words that it says or of the first word alone. Their
agreement is Jaccard's, the share of words in either that are in both; of first words this is the
share of tokens that have the same. Near-synonyms are one word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import sparse

from mine.core.calibration import label_groups, measure_null, read_groups
from mine.core.lens import apply_lens, embed_vocabulary, keep_words
from mine.statistics.bootstrap import bootstrap_ratio, bootstrap_weights

if TYPE_CHECKING:
    import torch

FEW = 4
"""Prompts of which each is read alone; of more, two random halves."""
SPLITS = 5
"""Times that the vocabulary is cut into halves, of which either is read."""
FACTORS = {"half": 0.5, "twice": 2.0}
"""Other temperatures, over the lens's own."""


@dataclass(frozen=True)
class Reading:
    """What is read in tokens, in groups of the whole vocabulary."""

    known: np.ndarray
    """bool (group,), those that the reading's vocabulary has a word of"""
    first: sparse.csr_array
    """(token, group), 1 for the group of the first word"""
    said: sparse.csr_array
    """the same for groups that are said"""


def measure_stability(
    tokens: np.ndarray,
    shuffled: np.ndarray,
    lens: Mapping[str, Any],
    base_rates: xr.Dataset,
    embed_words: Callable[[list[str], list[str]], np.ndarray],
    *,
    prompts: list[str],
    level: float,
    words_per_token: int,
    device: torch.device | str,
    resamples: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Read tokens again and compare what is said (see the module's docstring).

    tokens: raw (image, token, feature). shuffled: raw (token, feature), the second half of other
    images than the first, none of them among the tokens'. lens: of
    :func:`mine.core.lens.read_lens`. base_rates: see
    :func:`mine.stages.embeddings.measure_base_rates`. embed_words: of the backbone. prompts: of the
    lens; one by logits or by contexts has none, and they are not looked at. level: largest chance
    of a word that is said.

    Returns rows of ``varied``, ``readings`` (the two; empty for all pairs together), ``measure``
    (``first``, ``said``), ``word`` (that of largest base rate in its group; empty for all),
    ``value``, ``low``, ``high`` (95%, images resampled) and ``n``. Of all words the value is the
    mean over tokens, n of them, which say a word in either reading; of one word it is the share of
    the n tokens that say it in either reading which do so in both.
    """
    words, group = base_rates["word"].values, base_rates["group"].values
    flat = tokens.reshape(-1, 1, tokens.shape[-1])[:, 0]
    how = {"level": level, "words_per_token": words_per_token, "device": device}

    def read(changes: Mapping[str, Any], kept: np.ndarray | slice = slice(None)) -> Reading:
        return read_again(flat, shuffled, {**lens, **changes}, group[kept], groups, **how)

    groups = int(group.max()) + 1
    whole, pairs = read({}), []
    by_prompts = lens["unit"] and "contexts" not in lens
    if by_prompts:
        vectors = embed_words(words.tolist(), prompts)
        parts = {
            " | ".join(part): read({"text": embed_vocabulary(embed_words(words.tolist(), part))[0]})
            for part in split_prompts(prompts, generator)
        }
        pairs += [
            ("prompts", f"{one}; {other}", parts[one], parts[other])
            for one, other in combinations(parts, 2)
        ]
    for name, kept in split_words(words, generator):
        part = keep_words(lens, kept)
        if by_prompts:
            part["text"] = embed_vocabulary(vectors[kept])[0]
        pairs.append(("vocabulary", f"{name}; all", read(part, kept), whole))
    for name, factor in FACTORS.items():
        changed = read({"temperature": factor * lens["temperature"]})
        pairs.append(("temperature", f"{name}; own", changed, whole))
    image = np.repeat(np.arange(len(tokens)), tokens.shape[1])
    weights = bootstrap_weights(len(tokens), resamples=resamples, generator=generator)
    names = label_groups(base_rates)
    return pd.DataFrame(_tabulate(pairs, image, names, weights))


def split_prompts(prompts: list[str], generator: np.random.Generator) -> list[list[str]]:
    """Return each prompt alone, or of more than FEW two halves, drawn at random."""
    if len(prompts) <= FEW:
        return [[prompt] for prompt in prompts]
    order = generator.permutation(len(prompts))
    halves = np.split(order, [len(order) // 2])
    return [[prompts[place] for place in np.sort(half)] for half in halves]


def split_words(
    words: np.ndarray, generator: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    """Return the places of the words of random halves, ascending, whatever the order of words."""
    place = np.argsort(words)
    for split in range(SPLITS):
        for part, half in enumerate(np.array_split(generator.permutation(place.size), 2)):
            yield f"half {2 * split + part + 1}", np.sort(place[half])


def read_again(
    tokens: np.ndarray,
    shuffled: np.ndarray,
    lens: Mapping[str, Any],
    group: np.ndarray,
    groups: int,
    *,
    level: float,
    words_per_token: int,
    device: torch.device | str,
) -> Reading:
    """Read tokens by a lens of some of the words.

    tokens, shuffled: see :func:`measure_stability`, (token, feature). group: int (word,), of the
    lens's words, among so many groups of the whole vocabulary.
    """
    known, own = np.unique(group, return_inverse=True)
    options = {**lens, "words_per_token": words_per_token, "device": device}
    word, score = (part[0] for part in apply_lens(shuffled[None], **options))
    mean, deviation, largest = measure_null(word, score, own)
    null = xr.Dataset(
        {
            "group": ("word", own),
            "null_mean": ("word", mean),
            "null_deviation": ("word", deviation),
            "null_largest": ("shuffled", largest),
        }
    )
    word, score = (part[0] for part in apply_lens(tokens[None], **options))
    token, found, chance = read_groups(word, score, null)
    clear, shape = chance <= level, (len(tokens), groups)

    def mark(token: np.ndarray, group: np.ndarray) -> sparse.csr_array:
        return sparse.csr_array((np.ones(len(token)), (token, group)), shape=shape)

    return Reading(
        np.isin(np.arange(groups), known),
        mark(np.arange(len(tokens)), group[word[:, 0]]),
        mark(token[clear], known[found[clear]]),
    )


def compare_readings(
    one: Reading, other: Reading
) -> dict[str, tuple[sparse.csr_array, sparse.csr_array]]:
    """Return, for ``first`` and ``said``, which groups are in both readings of a token and in
    either: (token, group). A group that one of the vocabularies lacks is in neither, and with
    such a first word a token has none."""
    both = sparse.diags_array((one.known & other.known).astype(float))
    firsts = [reading.first @ both for reading in (one, other)]
    has = sparse.diags_array(firsts[0].sum(axis=1) * firsts[1].sum(axis=1))
    sets = {
        "first": [has @ first for first in firsts],
        "said": [reading.said @ both for reading in (one, other)],
    }
    shared = {measure: mine.multiply(yours) for measure, (mine, yours) in sets.items()}
    return {name: (shared[name], sum(sets[name]) - shared[name]) for name in sets}


def _tabulate(
    pairs: list[tuple[str, str, Reading, Reading]],
    image: np.ndarray,
    names: list[str],
    weights: np.ndarray,
) -> Iterator[dict[str, object]]:
    """The rows of all pairs, of each, and of words. image: that of each token."""
    images = weights.shape[1]
    pool = sparse.csr_array(
        (np.ones(len(image)), (image, np.arange(len(image)))), shape=(images, len(image))
    )
    for varied in dict.fromkeys(pair[0] for pair in pairs):
        compared = {
            readings: compare_readings(one, other)
            for name, readings, one, other in pairs
            if name == varied
        }
        for measure in ("first", "said"):
            sums, totals = [], []
            for readings, found in compared.items():
                both, either = found[measure]
                size = either.sum(axis=1)
                agreement = both.sum(axis=1) / np.maximum(size, 1)
                sums.append(pool @ agreement)
                totals.append(pool @ (size > 0))
                ratio = bootstrap_ratio(sums[-1], totals[-1], weights)
                yield _describe(varied, readings, measure, "", ratio, totals[-1])
            ratio = bootstrap_ratio(sum(sums), sum(totals), weights)
            yield _describe(varied, "", measure, "", ratio, sum(totals))
            shared, every = (
                (pool @ sum(found[measure][part] for found in compared.values())).tocsc()
                for part in (0, 1)
            )
            for number in np.flatnonzero(every.sum(axis=0)):
                count, total = (array[:, [number]].toarray()[:, 0] for array in (shared, every))
                ratio = bootstrap_ratio(count, total, weights)
                yield _describe(varied, "", measure, names[number], ratio, total)


def _describe(
    varied: str,
    readings: str,
    measure: str,
    word: str,
    ratio: tuple[float, float, float],
    total: np.ndarray,
) -> dict[str, object]:
    value, low, high = ratio
    row = {"varied": varied, "readings": readings, "measure": measure, "word": word}
    return row | {"value": value, "low": low, "high": high, "n": int(total.sum())}
