"""Words made into what a generator is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def join_words(vocabulary: Sequence[str], words: np.ndarray, template: str) -> str | None:
    """Ask for some words, with commas between them: "a photo of dog, grass"; None for no word.

    words: (rank,) indices into the vocabulary, -1 for none. template: with {} for the words.
    """
    named = [str(vocabulary[word]) for word in words if word >= 0]
    return template.format(", ".join(named)) if named else None
