"""Which words a profile lists: the first from the attributions, each checked against responses.

Words ride on each other: a face is happy or sad, and always human. So only the first word of a
profile is taken from the attributions alone; those after it are listed if they add to the words
before them in the measured responses to training images. Of a named list, such as colours, the word
that adds most to those of the profile is asked for on its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import sparse

from mine.core.evidence import SIGNS, WordScores, read_images, score_words
from mine.core.readings import bend_presence, gather_presence, gather_together
from mine.statistics.multiple_comparisons import benjamini_hochberg
from mine.statistics.permutation import sign_flip_bound
from mine.statistics.regression import Selection, forward_selection, normal_scores


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


class ListWords(NamedTuple):
    """A voxel's word of each named list; see :func:`choose_of_lists`."""

    word: np.ndarray
    """int (list, voxel): index into the vocabulary, -1 for none"""
    listed: np.ndarray
    """bool (list, voxel): whether it is sure"""
    added: np.ndarray
    """(list, voxel): as of :class:`ListedWords`, what else is listed given"""
    added_p: np.ndarray
    """(list, voxel): its probability, corrected for the words of the list alone"""


class Offers(NamedTuple):
    """What the words of voxels are chosen from; see :func:`gather_offers`."""

    first: np.ndarray
    """int (voxel,): each voxel's first group, -1 for none"""
    response: np.ndarray
    """(image, voxel): measured responses by their ranks"""
    largest: sparse.csc_array
    """(image, group): how clearly each is read anywhere in an image"""
    mean: sparse.csc_array
    """(image, group): how much of the image it fills"""
    together: dict[int, sparse.csc_array]
    """first group → (image, group): how clearly each is read in one place with it"""

    def bend_first(self, main: int) -> np.ndarray:
        """What a regression knows of a first word, :func:`mine.core.readings.bend_presence`."""
        largest, mean = (each[:, [main]].toarray()[:, 0] for each in (self.largest, self.mean))
        return bend_presence(largest, mean)

    def follow(self, main: int, groups: np.ndarray | None = None) -> sparse.csc_array:
        """What may add to a first word, (image, 2 · group): each group anywhere in the image, and
        then each in one place with it. groups: some of them; None for all."""
        offered = [self.largest, self.together[main]]
        if groups is not None:
            offered = [each[:, groups] for each in offered]
        return sparse.hstack(offered, format="csc")


class ProfileWords(NamedTuple):
    """The evidence for every group of synonyms and the words listed from it, each by sign."""

    scores: dict[str, WordScores]
    q: dict[str, np.ndarray]
    """(voxel, group): false discovery rate over words"""
    listed: dict[str, ListedWords]
    lists: ListWords
    """none of no lists"""


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
    in_list: np.ndarray | None = None,
) -> ProfileWords:
    """Read each voxel's profile off the attributions of one fit; the arguments of
    :func:`gather_offers` and :func:`list_words`, in which words are sure at a false discovery rate
    of ``level``, and of :func:`choose_of_lists`."""
    scores = {sign: score_words(attributions, lens, group, sign=sign) for sign in SIGNS}
    q = {sign: benjamini_hochberg(sign_flip_bound(scores[sign].z), axis=1) for sign in SIGNS}
    sure = {sign: q[sign] <= level for sign in SIGNS}
    offers = gather_offers(
        attributions,
        lens,
        sure["positive"],
        group,
        measured=measured,
        measured_lens=measured_lens,
    )
    checked = {"level": level, "reading_reliability": reading_reliability}
    listed = list_words(
        offers, {sign: scores[sign].z for sign in SIGNS}, sure, count=count, **checked
    )
    in_list = np.zeros((0, len(group)), dtype=bool) if in_list is None else in_list
    of_lists = choose_of_lists(
        offers, listed["positive"], attributions, lens, group, in_list, **checked
    )
    return ProfileWords(scores, q, listed, of_lists)


def gather_offers(
    attributions: xr.Dataset,
    lens: xr.Dataset,
    sure: np.ndarray,
    group: np.ndarray,
    *,
    measured: np.ndarray,
    measured_lens: xr.Dataset,
) -> Offers:
    """Choose each voxel's first word from the attributions, and gather what may follow it.

    It is of the groups that are ``sure`` the one whose mass correlates most with the predicted
    response over images. attributions, lens: with the same images. sure: bool (voxel, group).
    group: int (word,). measured: (image, voxel) responses to the images of measured_lens, which
    enter by their ranks (:func:`mine.statistics.regression.normal_scores`): most words are read in
    few images, of which one with an outlier would decide.
    """
    first = _choose_first(attributions, lens, sure, group)
    largest, mean = (each.astype(np.float64) for each in gather_presence(measured_lens, group))
    together = gather_together(measured_lens, group, np.unique(first[first >= 0]))
    return Offers(first, normal_scores(measured), largest, mean, together)


def list_words(
    offers: Offers,
    z: dict[str, np.ndarray],
    sure: dict[str, np.ndarray],
    *,
    count: int,
    level: float,
    reading_reliability: float,
) -> dict[str, ListedWords]:
    """List each voxel's words in order, by sign.

    The first word comes from the attributions (:func:`gather_offers`). It is checked against the
    measured responses to training images, and those after it are sought there: each is the group
    that adds most to a regression on the words before it
    (:func:`mine.statistics.regression.forward_selection`), by how clearly it is read anywhere in
    the image or in one place with the first. The first stands in it with how clearly it is read and
    how much of the image it fills, each bent in two ways
    (:func:`mine.core.readings.bend_presence`). Readings miss a part of what they read, and another
    word that tells where would be listed for it: all are taken to hold no more than
    ``reading_reliability`` of its variance. Suppressive words are those of the groups that are
    ``sure`` in the negative attributions, in the order in which they lower what the excitatory
    words leave of the measured response.

    z: evidence (voxel, group), sure: bool (voxel, group), by sign; offers: of the positive ones. A
    voxel without any sure word of a sign has its words of that sign by z, none listed. Every p is
    corrected for all groups of the vocabulary, where a word was chosen from the sure ones alone
    too, since these were found with the same responses. A word is listed if its p, and that of
    those before it, is at most ``level``.
    """
    groups = next(iter(z.values())).shape[1]
    ranks = min(count, groups)
    shape = len(offers.first), ranks
    result = {
        sign: ListedWords(
            np.empty(shape, np.int64),
            np.zeros(shape, bool),
            np.full(shape, np.nan),
            np.full(shape, np.nan),
        )
        for sign in SIGNS
    }
    largest, positive, negative = offers.largest, *(result[sign] for sign in SIGNS)
    for main in np.unique(offers.first).tolist():
        # Of each first word what may follow is in memory for its own voxels alone.
        following = offers.follow(main) if main >= 0 else None
        for voxel in np.flatnonzero(offers.first == main):
            response, known = offers.response[:, voxel], np.empty((len(offers.response), 0))
            taken: list[int] = []
            if following is not None:
                own = largest[:, [main]].toarray()
                # It was chosen among all groups, by an encoder fitted to these responses.
                confirmed = forward_selection(response, known, own, count=1, tests=groups)
                _note(positive, voxel, 0, confirmed, 0, level)
                known = offers.bend_first(main)
                selection = forward_selection(
                    response, known, following, count=ranks, reliability=reading_reliability
                )
                taken, columns = _take_words(positive, voxel, main, selection, groups, level)
                known = np.column_stack([known, following[:, columns].toarray()])
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


def choose_of_lists(
    offers: Offers,
    listed: ListedWords,
    attributions: xr.Dataset,
    lens: xr.Dataset,
    group: np.ndarray,
    in_list: np.ndarray,
    *,
    level: float,
    reading_reliability: float,
) -> ListWords:
    """Choose each voxel's word of each named list: which colour, say, beside what else it lists.

    It is of the groups that hold a word of the list the one that adds most to the first word, as
    those of a profile that come after it do (:func:`list_words`), and to the other words that are
    listed and not of the list, each in both ways in which it was offered: a dog's colour is not to
    be that of a voxel of faces beside dogs. The list was named beforehand, so that p is corrected
    for the ways in which its own groups are offered, and not for those of the vocabulary. A first
    word that is of the list is its word itself, with its own numbers. A voxel without a first word
    has none, nor has one for which no word of the list adds anything. A word is listed if its p,
    and that of the first, is at most ``level``.

    listed: positive, of list_words. attributions, lens: of gather_offers; group: int (word,). By
    the attributions' mass a group goes by its largest word of the list (as by the largest of all in
    :func:`mine.core.synonyms.name_groups`). in_list: bool (list, word).
    """
    shape = len(in_list), len(offers.first)
    chosen, added, p = np.full(shape, -1), np.full(shape, np.nan), np.full(shape, np.nan)
    of_lists = [np.unique(group[own]) for own in in_list]
    for main in np.unique(offers.first[offers.first >= 0]).tolist():
        own, known = np.flatnonzero(offers.first == main), offers.bend_first(main)
        for place, groups in enumerate(of_lists):
            if main in groups:
                chosen[place, own] = main
                added[place, own], p[place, own] = listed.added[own, 0], listed.added_p[own, 0]
                continue
            following = offers.follow(main, groups)
            for voxel in own:
                said = listed.group[voxel, listed.listed[voxel]][1:]
                beside = offers.follow(main, said[~np.isin(said, groups)]).toarray()
                found = forward_selection(
                    offers.response[:, voxel],
                    np.column_stack([known, beside]),
                    following,
                    count=1,
                    reliability=reading_reliability,
                )
                if len(found.order):
                    chosen[place, voxel] = groups[found.order[0] % len(groups)]
                    added[place, voxel], p[place, voxel] = found.correlation[0], found.p[0]
    word = _name_in_lists(chosen, attributions, lens, group, in_list)
    return ListWords(word, (p <= level) & listed.listed[:, 0], added, p)


def _name_in_lists(
    chosen: np.ndarray,
    attributions: xr.Dataset,
    lens: xr.Dataset,
    group: np.ndarray,
    in_list: np.ndarray,
) -> np.ndarray:
    """Return the word of each list in a voxel's group of it on which most of the voxel's positive
    attribution falls, of equals the first: int (list, voxel), as chosen; -1 stays."""
    token = attributions["token"].sel(sign="positive").values
    strength = attributions["attribution"].sel(sign="positive").values
    names = np.full(chosen.shape, -1)
    for voxel in np.flatnonzero((chosen >= 0).any(axis=0)):
        candidates = in_list & (group == chosen[:, [voxel]])
        words = np.flatnonzero(candidates.any(axis=0))
        column = np.full(len(group), -1)
        column[words] = np.arange(len(words))
        mass = read_images(token[voxel], strength[voxel], lens, column).sum(axis=0)
        best = words[np.argmax(np.where(candidates[:, words], mass, -1), axis=1)]
        names[:, voxel] = np.where(chosen[:, voxel] >= 0, best, -1)
    return names


def _take_words(
    words: ListedWords, voxel: int, main: int, selection: Selection, groups: int, level: float
) -> tuple[list[int], list[int]]:
    """Note the words that follow the first, each once though it is offered in two ways. Returns the
    groups taken, the first before them, and the columns of those that are listed."""
    taken, columns = [main], []
    # What comes after a step that is not sure was chosen with its reading known: none is listed,
    # also where the step was another reading of a word that is.
    sure = np.cumprod(selection.p <= level).astype(bool)
    for step, column in enumerate(selection.order.tolist()):
        if column % groups in taken or len(taken) == words.group.shape[1]:
            continue
        _note(words, voxel, len(taken), selection, step, level)
        words.listed[voxel, len(taken)] &= sure[step]
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
