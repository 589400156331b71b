"""Words that a text encoder hardly tells apart: groups of near-synonyms and inflections, lists
without repeats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

ENDINGS = tuple(
    pair.split(":")
    for pair in "s: ses:s xes:x zes:z ches:ch shes:sh men:man ies:y ves:f ves:fe es:e es: ed:e ed: "
    "ing:e ing:".split(" ")
)
"""Endings of English inflections, and those of the base form: those of WordNet's Morphy (Miller et
al. 1990) for nouns and verbs, and of wolves and knives. Of -er and -est more words are others."""

IRREGULAR = {
    "children": "child",
    "people": "person",
    "feet": "foot",
    "teeth": "tooth",
    "geese": "goose",
    "mice": "mouse",
}

BLOCK = 512
"""Words that are compared with all others at a time."""


def find_bases(words: Sequence[str]) -> dict[int, set[int]]:
    """Find words that may be inflections of others of the list: place of each to those of its base
    forms.

    A form may have several bases, as *leaves* has, and a base that is none of its, as *news* has;
    :func:`merge_inflections` decides.
    """
    place = {word: number for number, word in enumerate(words)}
    bases = {}
    for word, number in place.items():
        stems = [
            (word.removesuffix(ending), new) for ending, new in ENDINGS if word.endswith(ending)
        ]
        # stopping, of stop
        stems += [(stem[:-1], "") for stem, new in stems if not new and stem[-1:] == stem[-2:-1]]
        found = {stem + new for stem, new in stems if len(stem) > 1} | {IRREGULAR.get(word, word)}
        known = {place[base] for base in found if base in place} - {number}
        if known:
            bases[number] = known
    return bases


def merge_inflections(words: Sequence[str], text: np.ndarray) -> np.ndarray:
    """Return the place of each word's base form, its own where it has none: int (word,).

    text: (word, feature) of unit length. A word counts as a form of the nearest of its bases
    (:func:`find_bases`) if no word is nearer to it, other forms of these bases apart: *cars* of
    *car*, but not *news* of *new*.
    """
    bases, root = find_bases(words), np.arange(len(words))
    forms: dict[int, set[int]] = {}
    for form, own in bases.items():
        for base in own:
            forms.setdefault(base, {base}).add(form)
    inflected = np.fromiter(bases, dtype=np.int64, count=len(bases))
    for start in range(0, len(inflected), BLOCK):
        part = inflected[start : start + BLOCK]
        for form, similarity in zip(part.tolist(), text[part] @ text.T, strict=True):
            own = sorted(bases[form])
            nearest = own[int(np.argmax(similarity[own]))]
            reached = similarity[nearest]
            # Forms of its own are no others: paintings, of painting.
            related = set().union(forms.get(form, {form}), *(forms[base] for base in own))
            similarity[list(related)] = -np.inf
            if reached >= similarity.max():
                root[form] = nearest
    # A base may be a form itself. Bases are shorter or irregular, so that this ends.
    while (root[root] != root).any():
        root = root[root]
    return root


def group_synonyms(
    text: np.ndarray, base_rate: np.ndarray, *, cosine: float, root: np.ndarray | None = None
) -> np.ndarray:
    """Group near-synonyms: int32 (word,), the index of each word's group.

    text: (word, feature) of unit length. root: of :func:`merge_inflections`; None for none. Forms
    go with their root and count for it. Words are taken by falling base rate; each joins the group
    whose first word is nearest to it, if their cosine reaches ``cosine``, and else founds a group.
    """
    root = np.arange(len(text)) if root is None else root
    rate = np.bincount(root, weights=base_rate, minlength=len(text))
    order = np.argsort(-rate, kind="stable")
    order = order[root[order] == order]
    group = np.empty(len(text), dtype=np.int32)
    leaders: list[int] = []
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        # Those of earlier blocks are compared with at once, those that this one adds one by one.
        nearest, reached = np.zeros(len(block), dtype=np.int64), np.full(len(block), -np.inf)
        if leaders:
            similarity = text[block] @ text[leaders].T
            nearest, reached = similarity.argmax(axis=1), similarity.max(axis=1)
        within, first = text[block] @ text[block].T, len(leaders)
        added = np.empty_like(within)
        for row, word in enumerate(block.tolist()):
            near, value = nearest[row], reached[row]
            among = added[row, : len(leaders) - first]
            if len(among):
                best = int(np.argmax(among))
                if among[best] > value:
                    near, value = first + best, among[best]
            if value >= cosine:
                group[word] = near
                continue
            group[word] = len(leaders)
            added[:, len(leaders) - first] = within[:, row]
            leaders.append(word)
    return group[root]


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


def name_by_rate(rate: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the most frequent word of each group, of equals the first: int32 (group,).

    rate, group: (word,)."""
    return name_groups(rate[None], group, int(group.max()) + 1)[0]


def gather_listed(profiles: xr.Dataset) -> np.ndarray:
    """Return the words that drive the described voxels of a region, as often as they are listed:
    int (listed,). profiles: store of the region."""
    own = profiles[["word", "listed"]].sel(sign="positive")
    chosen = own["listed"].values & profiles["described"].values[:, None]
    return own["word"].values[chosen]


def name_as_listed(regions: Iterable[xr.Dataset], group: np.ndarray) -> np.ndarray:
    """Return the word by which each word's group goes among some voxels: int (word,).

    It is the one that most described voxels list, of equals the first. Of a group that none lists
    each word stays itself. regions: profiles of each region. group: (word,).
    """
    words = len(group)
    count = sum(
        (np.bincount(gather_listed(own), minlength=words) for own in regions), np.zeros(words)
    )
    groups = int(group.max()) + 1
    name = name_groups(count[None], group, groups)[0]
    listed = np.bincount(group, weights=count, minlength=groups) > 0
    return np.where(listed[group], name[group], np.arange(words))


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
