"""Tokens in the words of their nearest neighbours in running text: LatentLens.

A language model that is shown an image goes on as if it had read text. The states that it has at
the words of a corpus are kept, the *contexts* of these words, and an image's token is read by those
that it resembles most (Krojer et al., arXiv 2602.00462):

    score(word | token) = max over the word's contexts c of cos(token, c)

which puts words in the order in which a list of the token's nearest neighbours first names them. As
in the paper and its code (github.com/McGill-NLP/latentlens), contexts are of several layers, all in
one list whichever layer the token is of; of a word so many places in the corpus are drawn at
random, none of them among a text's first two, before which there is hardly any context; and no mean
is taken away on either side. Where this departs from them:

* Tokens and contexts are compared after the model's final norm, in which all that follows has them;
  theirs are compared as they are between layers.
* Only whole words count, those that are one token of the model; theirs are all tokens.
* Texts that begin alike have the same states as far as they do, and count once there. So do those
  of the package of their code, not those of the paper.
* The paper lists neighbours. The probability that all that follows asks of a lens is a softmax over
  words of the score, at TEMPERATURE unless another is set.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch.nn import functional

from mine.core.lens import read_sentences
from mine.errors import InputError
from mine.randomness import generator

if TYPE_CHECKING:
    import xarray as xr

    from mine.core.vlm_backbone import LanguageBackbone

TEMPERATURE = 0.01
"""That at which CLIPs end up comparing images with texts by their cosine; a language model has
none."""

FIRST, LONGEST = 2, 512
"""Position of a text from which its words count, and its most tokens; what comes after is cut."""

EARLY, LATE = (1, 2, 4, 8, 16, 24), 2
"""Layers that contexts are of, and how many besides right before the last one, which speaks of the
next word."""


@dataclass(frozen=True)
class Contexts:
    """States of words in running text. Use :func:`gather_contexts`."""

    words: list[str]
    """Those that the corpus has"""
    vectors: np.ndarray
    """float16 (context, feature), unit length, by word"""
    owner: np.ndarray
    """int32 (context,), index into words, ascending"""
    temperature: ClassVar[float] = TEMPERATURE

    def choose_words(self, words: list[str]) -> list[str]:
        """Return the words that have contexts, in their order."""
        return [word for word in words if word in self._places]

    def embed_words(self, words: list[str], prompts: list[str]) -> np.ndarray:
        """Return the mean of each word's contexts, float32 (word, feature); the corpus stands for
        the prompts."""
        means = [self.vectors[self._places[word]].mean(axis=0, dtype=np.float32) for word in words]
        return np.stack(means)

    def select(self, words: list[str]) -> Contexts:
        """Return the contexts of some words alone, in their order."""
        if words == self.words:
            return self
        parts = [self._places[word] for word in words]
        counts = [part.stop - part.start for part in parts]
        vectors = np.concatenate([self.vectors[part] for part in parts])
        return Contexts(words, vectors, np.repeat(np.arange(len(words), dtype=np.int32), counts))

    @cached_property
    def _places(self) -> dict[str, slice]:
        edges = np.searchsorted(self.owner, np.arange(len(self.words) + 1))
        return {word: slice(*edges[at : at + 2]) for at, word in enumerate(self.words)}


def read_contexts(vocabulary: xr.Dataset) -> Contexts | None:
    """Return the contexts that a vocabulary is of, None where it is of none. vocabulary: of
    mine.stages.embeddings.build_vocabulary."""
    if "context" not in vocabulary:
        return None
    words = vocabulary["word"].values.tolist()
    return Contexts(words, vocabulary["context"].values, vocabulary["context_word"].values)


def open_contexts(
    lens: Mapping[str, Any],
    backbone: LanguageBackbone,
    words: list[str],
    stimuli: xr.Dataset,
    *,
    seed: int,
) -> Contexts:
    """Gather the contexts that the configuration's section ``lens`` asks for. stimuli: of
    mine.stages.stimuli.build_stimuli."""
    return gather_contexts(
        backbone,
        words,
        read_corpus(lens["corpus"], stimuli),
        places=lens["contexts"],
        layers=lens["layers"],
        draw=partial(generator, seed, "contexts"),
    )


def read_corpus(corpus: str, stimuli: xr.Dataset) -> list[str]:
    """Return the sentences of a text file, or for ``captions`` those of the images that are not
    held out. Raises InputError if there are none."""
    if corpus != "captions":
        return read_sentences(Path(corpus))
    told = stimuli["captions"].values[~stimuli["held_out"].values]
    sentences = [sentence for entry in told for sentence in json.loads(entry)]
    if not sentences:
        raise InputError(
            "lens.corpus: expected a text file, since no image that is not held out has captions, "
            "found captions"
        )
    return sentences


def gather_contexts(
    backbone: LanguageBackbone,
    words: list[str],
    texts: Sequence[str],
    *,
    places: int,
    layers: Sequence[int] | None,
    draw: Callable[[str], np.random.Generator],
    batch_size: int = 32,
) -> Contexts:
    """Find words in texts and keep the model's states there.

    places: the most of a word that are kept, drawn by its own generator, so that no word's depend
    on another; each gives a context of every layer. layers: from 1; None takes those of the paper,
    EARLY and LATE. batch_size: texts in one forward pass. Raises InputError if there is no such
    layer.
    """
    layers = choose_layers(len(backbone.decoder.layers), layers)
    numbers = [own[:LONGEST] for own in backbone.number_texts(texts)]
    found = find_places(backbone, words, numbers)
    kept = [word for word in dict.fromkeys(words) if word in found]
    entries = []
    for owner, word in enumerate(kept):
        chosen = np.sort(draw(word).permutation(len(found[word]))[:places])
        entries += [(owner, *found[word][place]) for place in chosen]
    owner, text, position = np.array(entries, dtype=np.int64).reshape(-1, 3).T
    features = backbone.head.weight.shape[1]
    vectors = np.empty((len(entries), len(layers), features), dtype=np.float16)
    used = np.unique(text)
    for part, ids in backbone.batch_texts([numbers[one] for one in used], size=batch_size):
        here = np.flatnonzero(np.isin(text, used[part]))
        # Batches keep the order of texts.
        row = np.searchsorted(used[part], text[here])
        states = backbone.read_texts(ids, layers, row, position[here])
        vectors[here] = functional.normalize(states, dim=-1).cpu().numpy()
    return Contexts(
        kept, vectors.reshape(-1, features), np.repeat(owner, len(layers)).astype(np.int32)
    )


def choose_layers(count: int, layers: Sequence[int] | None) -> list[int]:
    """Return the layers that contexts are of, in a model that has count of them: see
    :func:`gather_contexts`."""
    if layers is None:
        inner = {*EARLY, *range(count - LATE, count)}
        return sorted(layer for layer in inner if 1 <= layer < count) or [count]
    if max(layers) > count:
        raise InputError(f"lens.layers: expected at most {count}, found {max(layers)}")
    return sorted(layers)


def find_places(
    backbone: LanguageBackbone, words: list[str], numbers: Sequence[list[int]]
) -> dict[str, list[tuple[int, int]]]:
    """Find where texts, given as tokens' numbers, have words: text and position of each, by word.

    Positions from FIRST on count, and of several that the same tokens lead to the first.
    """
    wanted, seen = set(words), set()
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for text, own in enumerate(numbers):
        prefix = 0
        for position, (number, word) in enumerate(zip(own, backbone.name_tokens(own), strict=True)):
            prefix = hash((prefix, number))
            if position >= FIRST and word in wanted and prefix not in seen:
                seen.add(prefix)
                places[word].append((text, position))
    return places
