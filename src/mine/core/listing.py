"""Which words a profile lists: the first from the attributions, each checked against responses.

Words ride on each other: a face is happy or sad, and always human. So only the first word of a
profile is taken from the attributions alone; those after it are listed if they add to the words
before them in the measured responses to training images.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import sparse

from mine.core.evidence import SIGNS, WordScores, read_images, score_words
from mine.core.readings import bend_presence, gather_presence, gather_together
from mine.statistics import (
    Selection,
    benjamini_hochberg,
    forward_selection,
    normal_scores,
    sign_flip_bound,
)


class ListedWords(NamedTuple):
    """A profile's words in order, for each voxel; see :func:`list_words`."""

    group: np.ndarray
    """(voxel, rank)"""
    listed: np.ndarray
    """bool (voxel, rank): whether the evidence is sure; what is not follows what is"""
    added: np.ndarray
    """(voxel, rank): partial correlation with the measured response; nan if not asked"""
    added_p: np.ndarray
    """(voxel, rank): its probability, corrected for the number of words; nan if not asked"""


class ProfileWords(NamedTuple):
    """The evidence for every group of synonyms and the words listed from it, each by sign."""

    scores: dict[str, WordScores]
    q: dict[str, np.ndarray]
    """(voxel, group): false discovery rate over words"""
    listed: dict[str, ListedWords]


def read_profiles(
    attributions: xr.Dataset,
    lens: xr.Dataset,
    group: np.ndarray,
    *,
    measured: np.ndarray,
    measured_lens: xr.Dataset,
    count: int,
    level: float,
    reading_reliability: float,
) -> ProfileWords:
    """Read each voxel's profile off the attributions of one fit; the arguments of
    :func:`list_words`, in which words are sure at a false discovery rate of ``level``."""
    scores = {sign: score_words(attributions, lens, group, sign=sign) for sign in SIGNS}
    q = {sign: benjamini_hochberg(sign_flip_bound(scores[sign].z), axis=1) for sign in SIGNS}
    listed = list_words(
        attributions,
        lens,
        {sign: scores[sign].z for sign in SIGNS},
        {sign: q[sign] <= level for sign in SIGNS},
        group,
        measured=measured,
        measured_lens=measured_lens,
        count=count,
        level=level,
        reading_reliability=reading_reliability,
    )
    return ProfileWords(scores, q, listed)


def list_words(
    attributions: xr.Dataset,
    lens: xr.Dataset,
    z: dict[str, np.ndarray],
    sure: dict[str, np.ndarray],
    group: np.ndarray,
    *,
    measured: np.ndarray,
    measured_lens: xr.Dataset,
    count: int,
    level: float,
    reading_reliability: float,
) -> dict[str, ListedWords]:
    """List each voxel's words in order, by sign.

    The first word comes from the attributions: of the groups that are ``sure`` the one whose mass
    correlates most with the predicted response over images. It is checked against the measured
    responses to training images, and those after it are sought there: each is the group that adds
    most to a regression on the words before it (:func:`mine.statistics.forward_selection`), by how
    clearly it is read anywhere in the image or in one place with the first. The first stands in it
    with how clearly it is read and how much of the image it fills, each bent in two ways
    (:func:`mine.core.readings.bend_presence`). Readings miss a part of what they read, and another
    word that tells where would be listed for it: all are taken to hold no more than
    ``reading_reliability`` of its variance. Suppressive words are those of the groups that are
    ``sure`` in the negative attributions, in the order in which they lower what the excitatory
    words leave of the measured response.

    z: evidence (voxel, group), sure: bool (voxel, group), by sign. measured: (image, voxel)
    responses to the images of measured_lens, which enter by their ranks
    (:func:`mine.statistics.normal_scores`): most words are read in few images, of which one with an
    outlier would decide. A voxel without any sure word of a sign has its words of that sign by z,
    none listed. Every p is corrected for all groups of the vocabulary, where a
    word was chosen from the sure ones alone too, since these were found with the same responses. A
    word is listed if its p, and that of those before it, is at most ``level``.
    """
    groups = next(iter(z.values())).shape[1]
    ranks = min(count, groups)
    shape = len(measured.T), ranks
    result = {
        sign: ListedWords(
            np.empty(shape, np.int64),
            np.zeros(shape, bool),
            np.full(shape, np.nan),
            np.full(shape, np.nan),
        )
        for sign in SIGNS
    }
    first = _choose_first(attributions, lens, sure["positive"], group)
    largest, mean = (each.astype(np.float64) for each in gather_presence(measured_lens, group))
    together = gather_together(measured_lens, group, np.unique(first[first >= 0]))
    scores = normal_scores(measured)
    for main in np.unique(first):
        # Of each first word the offers are in memory for its own voxels alone.
        offers = sparse.hstack([largest, together.pop(main)], format="csc") if main >= 0 else None
        for voxel in np.flatnonzero(first == main):
            response, known = scores[:, voxel], np.empty((len(scores), 0))
            positive, negative = (result[sign] for sign in SIGNS)
            taken: list[int] = []
            if offers is not None:
                own = largest[:, [main]].toarray()
                # It was chosen among all groups, by an encoder fitted to these responses.
                confirmed = forward_selection(response, known, own, count=1, tests=groups)
                _note(positive, voxel, 0, confirmed, 0, level)
                known = bend_presence(own[:, 0], mean[:, [main]].toarray()[:, 0])
                selection = forward_selection(
                    response, known, offers, count=ranks, reliability=reading_reliability
                )
                taken, columns = _take_words(positive, voxel, int(main), selection, groups, level)
                known = np.column_stack([known, offers[:, columns].toarray()])
            positive.group[voxel] = _follow(taken, z["positive"][voxel], ranks)
            suppressive = np.flatnonzero(sure["negative"][voxel])
            offered = largest[:, suppressive]
            selection = forward_selection(
                -response,
                known,
                offered,
                count=ranks,
                tests=groups,
                reliability=reading_reliability,
            )
            for step in range(len(selection.order)):
                _note(negative, voxel, step, selection, step, level)
            taken = suppressive[selection.order].tolist()
            negative.group[voxel] = _follow(taken, z["negative"][voxel], ranks)
    return result


def _take_words(
    words: ListedWords, voxel: int, main: int, selection: Selection, groups: int, level: float
) -> tuple[list[int], list[int]]:
    """Note the words that follow the first, each once though it is offered in two ways. Returns the
    groups taken, the first before them, and the columns of those that are listed."""
    taken, columns = [main], []
    for step, column in enumerate(selection.order.tolist()):
        if column % groups in taken or len(taken) == words.group.shape[1]:
            continue
        _note(words, voxel, len(taken), selection, step, level)
        if words.listed[voxel, len(taken)]:
            columns.append(column)
        taken.append(column % groups)
    return taken, columns


def _note(
    words: ListedWords, voxel: int, place: int, selection: Selection, step: int, level: float
) -> None:
    """Write what a step of a selection found; a word is listed if those before it are."""
    if step < len(selection.order):
        words.added[voxel, place] = selection.correlation[step]
        words.added_p[voxel, place] = selection.p[step]
        before = place == 0 or words.listed[voxel, place - 1]
        words.listed[voxel, place] = before and selection.p[step] <= level


def _follow(taken: list[int], z: np.ndarray, ranks: int) -> np.ndarray:
    """The groups that were taken, then the others by falling z."""
    by_evidence = np.argsort(-z, kind="stable")
    others = by_evidence[~np.isin(by_evidence, taken)]
    return np.concatenate([np.array(taken, dtype=np.int64), others])[:ranks]


def _choose_first(
    attributions: xr.Dataset, lens: xr.Dataset, sure: np.ndarray, group: np.ndarray
) -> np.ndarray:
    """The sure group whose mass goes most with the predicted response, or -1: (voxel,)."""
    token = attributions["token"].sel(sign="positive").values
    strength = attributions["attribution"].sel(sign="positive").values
    response = attributions["prediction"].values.astype(np.float64)
    first = np.full(len(sure), -1)
    for voxel, candidates in enumerate(map(np.flatnonzero, sure)):
        column = np.full(sure.shape[1], -1)
        column[candidates] = np.arange(len(candidates))
        mass = read_images(token[voxel], strength[voxel], lens, column[group])
        known = np.empty((len(mass), 0))
        best = forward_selection(response[voxel], known, mass, count=1).order
        if len(best):
            first[voxel] = candidates[best[0]]
    return first
