"""Which words captions mention."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from mine.core.synonyms import find_bases


def find_mentioned(
    captions: Sequence[Sequence[str]], words: np.ndarray, group: np.ndarray
) -> np.ndarray:
    """Return which groups of words captions mention: bool (image, group).

    captions: of each image. words: of the vocabulary, group: int (word,). A caption mentions a word
    if it, one of its group or an inflection of these is in it, in any case.
    """
    owner = dict(zip(words.tolist(), group.tolist(), strict=True))
    longest = max(len(word.split()) for word in owner)
    texts = [set(_list_phrases(own, longest)) for own in captions]
    # Forms that the vocabulary lacks, by the bases that it has.
    new = sorted(set().union(*texts) - owner.keys())
    bases = find_bases([*words.tolist(), *new])
    for place, text in enumerate(new, start=len(words)):
        owner[text] = [group[base] for base in bases.get(place, ()) if base < len(words)]
    mentioned = np.zeros((len(captions), int(group.max()) + 1), dtype=bool)
    for image, own in enumerate(texts):
        for text in own:
            mentioned[image, owner[text]] = True
    return mentioned


def _list_phrases(captions: Sequence[str], longest: int) -> Iterator[str]:
    for caption in captions:
        said = re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", caption.lower())
        for size in range(1, longest + 1):
            for start in range(len(said) - size + 1):
                yield " ".join(said[start : start + size])
