"""Words that a text encoder hardly tells apart: groups of near-synonyms, lists without repeats."""

from __future__ import annotations

from dataclasses import dataclass

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


def group_mass(word: np.ndarray, score: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Spread the lens's best words over groups of synonyms, the scores of a group's words summed:
    (…, token, rank) → float32 (…, token, group).
    """
    rows = np.arange(word.size // word.shape[-1])[:, None] * groups
    place = rows + group[word].reshape(len(rows), -1)
    mass = np.bincount(place.ravel(), weights=score.ravel(), minlength=len(rows) * groups)
    return mass.astype(np.float32).reshape(*word.shape[:-1], groups)


@dataclass(frozen=True)
class Words:
    """Some groups of the vocabulary, with all their words, each by its place among the others.

    A few tokens are read as a few hundred words of tens of thousands: work arrays hold these alone.
    """

    groups: np.ndarray
    """(group,), ascending"""
    words: np.ndarray
    """(word,), ascending"""
    group: np.ndarray
    """(word,), the place of each word's group"""

    def place(self, word: np.ndarray) -> np.ndarray:
        """Places of words of the vocabulary among these."""
        return np.searchsorted(self.words, word)


def choose_groups(wanted: np.ndarray, group: np.ndarray) -> Words:
    """Take some groups out of a vocabulary. wanted: groups, repeated or not; group: (word,)."""
    groups = np.unique(wanted)
    words = np.flatnonzero(np.isin(group, groups))
    return Words(groups, words, np.searchsorted(groups, group[words]))


def name_groups(mass: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Return the word of largest mass in each group, of equals the first: (row, word) → int32
    (row, group)."""
    order = np.argsort(group, kind="stable").astype(np.int32)
    sizes = np.bincount(group, minlength=groups)
    names = np.tile(order[np.cumsum(sizes) - sizes], (len(mass), 1))
    # Of many words most are alone in their group, and named.
    several = sizes > 1
    if several.any():
        word, count = order[np.repeat(several, sizes)], sizes[several]
        starts, own = np.cumsum(count) - count, mass[:, word]
        largest = np.maximum.reduceat(own, starts, axis=1)
        candidate = np.where(own == np.repeat(largest, count, axis=1), word, np.int32(len(group)))
        names[:, several] = np.minimum.reduceat(candidate, starts, axis=1)
    return names


def drop_repeats(words: np.ndarray, text: np.ndarray, *, cosine: float) -> np.ndarray:
    """Drop from each list the words that repeat an earlier one that stays.

    words: int (…, rank), best first, -1 for none. text: (word, feature) of unit length. A word
    repeats another if their cosine reaches ``cosine``: "person" and "people", say, of which a
    generator would paint both. Returns lists of the same shape, those that stay moved up.
    """
    known, place = np.unique(words, return_inverse=True)
    vectors = np.where(known[:, None] >= 0, text[known], 0).astype(np.float32)
    near = vectors @ vectors.T >= cosine
    lists = place.reshape(-1, words.shape[-1])
    stays = words.reshape(lists.shape) >= 0
    for rank in range(1, lists.shape[1]):
        repeats = near[lists[:, rank, None], lists[:, :rank]] & stays[:, :rank]
        stays[:, rank] &= ~repeats.any(axis=1)
    order = np.argsort(~stays, axis=1, kind="stable")
    kept = np.where(stays, words.reshape(lists.shape), -1)
    return np.take_along_axis(kept, order, axis=1).reshape(words.shape)
