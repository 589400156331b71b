"""Things of another category than a voxel's feature, for the control that paints one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Alternatives:
    """A word for each category, and which category a word of the vocabulary is nearest to."""

    words: Sequence[np.ndarray]
    """by category: which words of the vocabulary it goes by, that which is painted first"""
    nearest: np.ndarray
    """(word,): the category of the vocabulary's words"""

    def draw(self, own: np.ndarray, group: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Draw a word of a category that is not the voxel's: int64 (1,), or (0,) where there is
        none.

        own: the voxel's words, of which the first is its main feature. group: (word,), of synonyms.
        Neither the category nearest to the main feature is drawn nor one that goes by any of the
        voxel's words. Of voxels with one main feature the same random numbers draw the same word,
        where their other words allow it.
        """
        for category in random.permutation(len(self.words)):
            words = self.words[category]
            is_own = category == self.nearest[own[0]] or np.isin(group[words], group[own]).any()
            if len(words) and not is_own:
                return words[:1]
        return np.empty(0, dtype=np.int64)


def find_alternatives(
    prompts: Mapping[str, Sequence[str]],
    text: np.ndarray,
    vocabulary: Sequence[str],
    vocabulary_text: np.ndarray,
) -> Alternatives:
    """Find the vocabulary's words for each category, and the category nearest to each of its words.

    prompts: category -> its words; those that the vocabulary lacks are left out, and a category
    without any is never drawn. text: (category, feature), in their order and of unit length.
    vocabulary_text: (word, feature), in the same space.
    """
    place = {str(word): number for number, word in enumerate(vocabulary)}
    words = [
        np.array([place[prompt] for prompt in own if prompt in place], dtype=np.int64)
        for own in prompts.values()
    ]
    return Alternatives(words, np.argmax(vocabulary_text @ text.T, axis=1))
