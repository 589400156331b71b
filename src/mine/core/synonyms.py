"""Groups of near-synonyms: words that a text encoder cannot tell apart count as one."""

from __future__ import annotations

import numpy as np


def group_synonyms(text: np.ndarray, base_rate: np.ndarray, *, cosine: float) -> np.ndarray:
    """Group near-synonyms: int32 (word,), the index of each word's group.

    text: (word, feature) of unit length. Words are taken by falling base rate; each joins the group
    whose first word is nearest to it, if their cosine reaches ``cosine``, and else founds a group.
    """
    group = np.empty(len(text), dtype=np.int32)
    leaders: list[int] = []
    for word in np.argsort(-base_rate, kind="stable"):
        if leaders:
            similarity = text[leaders] @ text[word]
            nearest = int(np.argmax(similarity))
            if similarity[nearest] >= cosine:
                group[word] = nearest
                continue
        group[word] = len(leaders)
        leaders.append(int(word))
    return group


def sum_groups(mass: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Sum word masses over groups of synonyms: (…, word) → (…, group)."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(groups))
    return np.add.reduceat(mass[..., order], starts, axis=-1)


def name_groups(mass: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Return the word of largest mass in each group: (row, word) → int32 (row, group)."""
    names = np.empty((len(mass), groups), dtype=np.int32)
    order = np.argsort(mass, axis=1, kind="stable")
    np.put_along_axis(names, group[order], order.astype(np.int32), axis=-1)
    return names
