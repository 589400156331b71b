"""Words that a text encoder hardly tells apart: groups of near-synonyms, lists without repeats."""

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


def group_mass(word: np.ndarray, score: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Spread the lens's best words over groups of synonyms, the scores of a group's words summed:
    (…, token, rank) → float32 (…, token, group).
    """
    rows = np.arange(word.size // word.shape[-1])[:, None] * groups
    place = rows + group[word].reshape(len(rows), -1)
    mass = np.bincount(place.ravel(), weights=score.ravel(), minlength=len(rows) * groups)
    return mass.astype(np.float32).reshape(*word.shape[:-1], groups)


def name_groups(mass: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """Return the word of largest mass in each group: (row, word) → int32 (row, group)."""
    names = np.empty((len(mass), groups), dtype=np.int32)
    order = np.argsort(mass, axis=1, kind="stable")
    np.put_along_axis(names, group[order], order.astype(np.int32), axis=-1)
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
