"""Which words captions mention."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from mine.core.synonyms import find_bases


def find_words(captions: Sequence[Sequence[str]], words: Sequence[str]) -> np.ndarray:
    """Return which words captions have: bool (image, word).

    captions: of each image. A word of the vocabulary may be several. Case counts for nothing, nor
    does what stands between the parts of a word: *T-shirt* is in "a t shirt", and *dog* in "a dog's
    head". Other forms of a word are other words.
    """
    places = _place_by_phrase(words)
    has = np.zeros((len(captions), len(words)), dtype=bool)
    for image, said in enumerate(_list_phrases(captions, places)):
        for phrase in said:
            has[image, places.get(phrase, [])] = True
    return has


def find_mentioned(
    captions: Sequence[Sequence[str]], words: np.ndarray, group: np.ndarray
) -> np.ndarray:
    """Return which groups of words captions mention: bool (image, group).

    captions: of each image. words: of the vocabulary, group: int (word,). A caption mentions a word
    if it, one of its group or an inflection of these is in it, as :func:`find_words` matches words.
    """
    places = _place_by_phrase(words.tolist())
    texts = list(_list_phrases(captions, places))
    owner = {phrase: group[place] for phrase, place in places.items()}
    # Forms that the vocabulary lacks, by the bases that it has.
    known, new = list(places), sorted(set().union(*texts) - places.keys())
    bases = find_bases([*known, *new])
    for place, phrase in enumerate(new, start=len(known)):
        own = [owner[known[base]] for base in bases.get(place, ()) if base < len(known)]
        if own:
            owner[phrase] = np.concatenate(own)
    mentioned = np.zeros((len(captions), int(group.max()) + 1), dtype=bool)
    for image, said in enumerate(texts):
        for phrase in said:
            mentioned[image, owner.get(phrase, [])] = True
    return mentioned


def _place_by_phrase(words: Sequence[str]) -> dict[str, list[int]]:
    """Places of the words that are one phrase, as *US* and *us* are."""
    places: dict[str, list[int]] = {}
    for place, word in enumerate(words):
        places.setdefault(" ".join(_split(word)), []).append(place)
    return places


def _list_phrases(
    captions: Sequence[Sequence[str]], places: dict[str, list[int]]
) -> Iterator[set[str]]:
    """What the captions of each image say, in phrases of up to as many parts as a word has, image
    by image: all at once take a gigabyte."""
    longest = max((len(phrase.split()) for phrase in places), default=0)
    for texts in captions:
        yield {
            " ".join(said[start : start + size])
            for said in map(_split, texts)
            for size in range(1, longest + 1)
            for start in range(len(said) - size + 1)
        }


def _split(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())
