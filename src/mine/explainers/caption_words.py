"""Which words of a vocabulary captions have."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np


def find_words(captions: Sequence[Sequence[str]], vocabulary: Sequence[str]) -> np.ndarray:
    """Whether any caption of an image has a word: bool (image, word).

    captions: of each image. A word of the vocabulary may be several with a space between; case
    counts for nothing, and other forms of a word are other words.
    """
    place = {tuple(_split(word)): number for number, word in enumerate(vocabulary)}
    longest = max(map(len, place), default=0)
    has = np.zeros((len(captions), len(vocabulary)), dtype=bool)
    for image, texts in enumerate(captions):
        for said in map(_split, texts):
            for length in range(1, longest + 1):
                for start in range(len(said) - length + 1):
                    number = place.get(tuple(said[start : start + length]))
                    if number is not None:
                        has[image, number] = True
    return has


def _split(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
