"""Profiles: the words that a voxel's attributions keep falling on, over its images.

For image n let A_n be a voxel's map of positive attributions over the tokens and L_n the lens's
probabilities (token, group of synonyms). The evidence of an image for a word is its mass under the
voxel's own map less its mass under the null, the mean map of the voxel's other images:

    d_n(w) = Σ_t [A_nt − mean_{m≠n} A_mt] L_nt(w),        z(w) = Σ_n d_n / √Σ_n d_n²

Exchanging maps between images keeps their spatial structure (blobs, a preferred place, their total)
and breaks only the tie to what the image shows there. Summed over images it is the covariance of
attribution and word at each place, so that scenes that fill an image survive as well as objects
that fill a patch. ``z_within`` shifts the map over its own image instead (the mean over all shifts
on the torus), so that only the place within the image counts.

Words ride on each other: a face is happy or sad, and always human. So only the first word of a
profile is taken from the attributions alone; those after it are listed if they add to the words
before them in the measured responses to training images (:func:`list_words`).

The image is the unit: under the null the sign of d_n is a coin's, and the probability of a sum this
large is bounded without drawing any permutation (:func:`mine.statistics.sign_flip_bound`). The
suppressive profile is the same with negative attributions.

A profile is only as real as its voxel: see :func:`judge_voxels`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.special import ndtr

from mine.core.lens import word_mass
from mine.core.readings import read_presence, read_together
from mine.core.synonyms import name_groups, sum_groups
from mine.statistics import (
    Selection,
    benjamini_hochberg,
    forward_selection,
    sign_flip_bound,
)

SIGNS = ("positive", "negative")
REASONS = (
    "described",
    "not predicted",
    "retinotopic",
    "no reliable profile",
    "no significant word",
)


@dataclass(frozen=True)
class WordScores:
    """Evidence for every group of synonyms: each (voxel, group); ``name`` is the group's best
    word."""

    z: np.ndarray
    z_within: np.ndarray
    effect: np.ndarray
    name: np.ndarray


def score_words(
    attributions: xr.Dataset,
    lens: xr.Dataset,
    group: np.ndarray,
    *,
    sign: str = "positive",
    memory_bytes: int = 2**26,
) -> WordScores:
    """Score all words for all voxels of an attributions store (see the module's docstring).

    attributions: ``token`` and ``attribution`` (sign, voxel, image, rank). lens: ``word`` and
    ``score`` (image, token, rank) of the same images. group: int (word,). ``effect`` is the mean of
    d_n over images, in units of the response. Voxels without any attribution of the sign score 0.
    memory_bytes: of the work arrays (image, voxel, group); images are taken in blocks.
    """
    token = attributions["token"].sel(sign=sign).values
    strength = np.abs(attributions["attribution"].sel(sign=sign).values)
    voxels, images, _ = token.shape
    tokens, groups = lens.sizes["token"], int(group.max()) + 1
    totals = {name: np.zeros((voxels, groups)) for name in ("d", "dd", "within", "within2")}
    by_word = np.zeros((voxels, len(group)), dtype=np.float32)
    block = max(1, memory_bytes // (16 * voxels * max(groups, tokens)))
    blocks = [slice(start, start + block) for start in range(0, images, block)]
    everywhere = sum(
        map_attributions(token[:, part], strength[:, part], tokens).sum(axis=1) for part in blocks
    )
    for part in blocks:
        mass = word_mass(lens["word"].values[part], lens["score"].values[part], words=len(group))
        grouped = sum_groups(mass, group, groups)
        own = map_attributions(token[:, part], strength[:, part], tokens)
        by_word += np.tensordot(own, mass, axes=2)
        own = own.transpose(1, 0, 2)
        difference = (own - (everywhere - own) / max(images - 1, 1)) @ grouped
        totals["d"] += difference.sum(axis=0)
        totals["dd"] += np.square(difference).sum(axis=0)
        within = (own - own.mean(axis=2, keepdims=True)) @ grouped
        totals["within"] += within.sum(axis=0)
        totals["within2"] += np.square(within).sum(axis=0)
    # A map that is the same in every image differs by rounding alone, which is no evidence.
    rounding = np.square(1e-6 * strength.sum(axis=-1)).sum(axis=1)[:, None] + 1e-20
    z = totals["d"] / np.sqrt(np.maximum(totals["dd"], rounding))
    z_within = totals["within"] / np.sqrt(np.maximum(totals["within2"], rounding))
    effect = totals["d"] / images
    return WordScores(z, z_within, effect, name_groups(by_word, group, groups))


def map_attributions(token: np.ndarray, strength: np.ndarray, tokens: int) -> np.ndarray:
    """Spread stored attributions over the image: (voxel, image, rank) → (voxel, image, token).

    token: index of each entry, -1 for none.
    """
    maps = np.zeros((*token.shape[:2], tokens + 1), dtype=np.float32)
    np.put_along_axis(maps, np.where(token >= 0, token, tokens), strength, axis=2)
    return maps[..., :tokens]


def read_images(
    token: np.ndarray, strength: np.ndarray, lens: xr.Dataset, column: np.ndarray
) -> np.ndarray:
    """Mass of one voxel's attributions that is read as each of some words: (image, column).

    token, strength: (image, rank), token -1 for none. column: int (word,), where each word's mass
    goes; -1 for words that are left out.
    """
    images = np.arange(len(token))[:, None]
    to = column[lens["word"].values[images, token]]
    mass = lens["score"].values[images, token].astype(np.float32) * strength[..., None]
    columns = int(column.max(initial=-1)) + 1
    used = (to >= 0) & (token >= 0)[..., None]
    place = (images[..., None] * columns + to)[used]
    total = np.bincount(place, weights=mass[used], minlength=len(token) * columns)
    return total.reshape(len(token), columns)


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


# Candidates for further words, of which the best correlated are looked at together.
MOST_CANDIDATES = 128


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
) -> dict[str, ListedWords]:
    """List each voxel's words in order, by sign.

    The first word comes from the attributions: of the groups that are ``sure`` the one whose mass
    correlates most with the predicted response over images. It is checked against the measured
    responses to training images, and those after it are sought there: each is the group that adds
    most to a regression on the words before it (:func:`mine.statistics.forward_selection`), by how
    clearly it is read anywhere in the image or in one place with the first. The first stands in it
    with how clearly it is read and how much of the image it fills. Suppressive words are those of
    the groups that are ``sure`` in the negative attributions, in the order in which they lower what
    the excitatory words leave of the measured response.

    z: evidence (voxel, group), sure: bool (voxel, group), by sign. measured: (image, voxel)
    responses to the images of measured_lens. A voxel without any sure word of a sign has its words
    of that sign by z, none listed. A word is listed if its p, and that of those before it, is at
    most ``level``.
    """
    ranks = min(count, next(iter(z.values())).shape[1])
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
    largest, mean = read_presence(measured_lens, group)
    together = read_together(measured_lens, group, np.unique(first[first >= 0]))
    for voxel, response in enumerate(measured.T.astype(np.float64)):
        known = np.empty((len(response), 0))
        positive, negative = (result[sign] for sign in SIGNS)
        taken: list[int] = []
        if (main := int(first[voxel])) >= 0:
            own = largest[:, [main]]
            taken = [main]
            _note(positive, voxel, 0, forward_selection(response, known, own, count=1), 0, level)
            known = np.column_stack([own, mean[:, main]])
            candidates = np.concatenate([largest, together[main]], axis=1)
            near = _correlate_most(response, known, candidates)
            tests = candidates.shape[1]
            selection = forward_selection(
                response, known, candidates[:, near], count=ranks, tests=tests
            )
            for step, column in enumerate(near[selection.order]):
                if (word := int(column % largest.shape[1])) in taken or len(taken) == ranks:
                    continue
                _note(positive, voxel, len(taken), selection, step, level)
                if positive.listed[voxel, len(taken)]:
                    known = np.column_stack([known, candidates[:, column]])
                taken.append(word)
        positive.group[voxel] = _follow(taken, z["positive"][voxel], ranks)
        suppressive = np.flatnonzero(sure["negative"][voxel])
        selection = forward_selection(-response, known, largest[:, suppressive], count=ranks)
        for step in range(len(selection.order)):
            _note(negative, voxel, step, selection, step, level)
        taken = suppressive[selection.order].tolist()
        negative.group[voxel] = _follow(taken, z["negative"][voxel], ranks)
    return result


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


def _correlate_most(response: np.ndarray, known: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """The candidates that correlate most with what is known of the response no more, ascending."""
    design = np.column_stack([np.ones(len(response)), known])
    left = response - design @ np.linalg.lstsq(design, response, rcond=None)[0]
    spread = candidates.std(axis=0)
    score = np.where(spread > 0, left @ candidates / np.where(spread > 0, spread, 1), -np.inf)
    return np.sort(np.argsort(-score, kind="stable")[:MOST_CANDIDATES])


def correlate_rows(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson correlation between every row of one array and every row of another; nan if
    constant.
    """
    scaled = []
    for rows in (first, second):
        centred = rows - rows.mean(axis=1, keepdims=True)
        length = np.linalg.norm(centred, axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled.append(np.where(length > 1e-9, centred / length, np.nan))
    return scaled[0] @ scaled[1].T


def measure_reliability(
    halves: tuple[np.ndarray, np.ndarray], shuffled: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Agreement of the two half-data encoders' profiles, and its probability under shuffled
    responses.

    halves, shuffled: z (voxel, group) of the first and of the second half, from the encoders fitted
    to measured responses and to responses shuffled over images. The null pools all pairs of voxels
    of the shuffled halves. Returns the correlation and p = (1 + #null ≥ r) / (1 + #null), (voxel,).
    A voxel with an empty profile has correlation 0 and p 1.
    """
    agreement = np.diagonal(correlate_rows(*halves))
    null = np.sort(correlate_rows(*shuffled).ravel())
    null = null[np.isfinite(null)]
    above = len(null) - np.searchsorted(null, np.nan_to_num(agreement), side="left")
    p = (1 + above) / (1 + len(null))
    return np.nan_to_num(agreement), np.where(np.isfinite(agreement), p, 1.0)


def qualify_voxels(
    held_out_z: tuple[np.ndarray, np.ndarray],
    semantic_p: np.ndarray,
    *,
    false_discovery_rate: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return which of all the subject's voxels are predicted, and which are semantic: bool
    (voxel,).

    held_out_z: of each half's encoder on the other half's images, (voxel,). The images are
    disjoint, so under the null the two are independent and (z₁ + z₂) / √2 is again standard normal
    (Stouffer): every training image is held out once, far more than a validation split has. The
    false discovery rate is controlled over all voxels that were fitted, not over one ROI's.
    """
    predicted_p = ndtr(-(held_out_z[0] + held_out_z[1]) / np.sqrt(2))
    return (
        benjamini_hochberg(predicted_p) <= false_discovery_rate,
        benjamini_hochberg(semantic_p) <= false_discovery_rate,
    )


def judge_voxels(
    *,
    predicted: np.ndarray,
    semantic: np.ndarray,
    reliable: np.ndarray,
    significant: np.ndarray,
) -> np.ndarray:
    """Return the reason, one of REASONS, for which each voxel is described or not: (voxel,).

    The first condition that fails is the reason: predicted (held-out R² above zero), semantic
    (the semantic band adds to the low-level one, else the voxel is retinotopic), reliable (the two
    half-data encoders agree), significant (at least one word is listed).
    """
    reason = np.full(len(predicted), REASONS[0], dtype=object)
    conditions = zip(REASONS[:0:-1], (significant, reliable, semantic, predicted), strict=True)
    for name, holds in conditions:
        reason[~holds] = name
    return reason.astype(str)


def build_profiles(
    attributions: dict[str, xr.Dataset],
    lenses: dict[str, xr.Dataset],
    *,
    measured: np.ndarray,
    measured_lens: xr.Dataset,
    text: np.ndarray,
    group: np.ndarray,
    predicted: np.ndarray,
    semantic: np.ndarray,
    false_discovery_rate: float,
    words: int,
    exemplars: int,
) -> xr.Dataset:
    """Build the profiles of one ROI.

    attributions, lenses: by fit — ``all``, ``first_half``, ``second_half`` and the shuffled halves
    — with the images of each. measured: (image, voxel), responses to the training images, those of
    measured_lens. text: (word, feature), group: (word,). predicted, semantic: bool
    (voxel,), whether held-out R² exceeds zero and whether the semantic band adds to the low-level
    one. Returns the store described in docs/stores.md.
    """
    scores = {
        sign: score_words(attributions["all"], lenses["all"], group, sign=sign) for sign in SIGNS
    }
    fits = ("first_half", "second_half", "first_half_shuffled", "second_half_shuffled")
    z = {fit: score_words(attributions[fit], lenses[fit], group).z for fit in fits}
    agreement, p = measure_reliability((z[fits[0]], z[fits[1]]), (z[fits[2]], z[fits[3]]))
    q = {sign: benjamini_hochberg(sign_flip_bound(scores[sign].z), axis=1) for sign in SIGNS}
    sure = {sign: q[sign] <= false_discovery_rate for sign in SIGNS}
    reliable = p <= false_discovery_rate
    listed = list_words(
        attributions["all"],
        lenses["all"],
        {sign: scores[sign].z for sign in SIGNS},
        sure,
        group,
        measured=measured,
        measured_lens=measured_lens,
        count=words,
        level=false_discovery_rate,
    )

    reason = judge_voxels(
        predicted=predicted,
        semantic=semantic,
        reliable=reliable,
        significant=listed["positive"].listed[:, 0],
    )

    def ranked(values: dict[str, np.ndarray]) -> np.ndarray:
        """(voxel, group) by sign → (sign, voxel, rank)."""
        order = {sign: listed[sign].group for sign in SIGNS}
        return np.stack([np.take_along_axis(values[sign], order[sign], axis=1) for sign in SIGNS])

    def stacked(name: str) -> np.ndarray:
        return np.stack([getattr(listed[sign], name) for sign in SIGNS])

    data = attributions["all"]
    rows, columns = lenses["all"].attrs["rows"], lenses["all"].attrs["columns"]
    place = data["position_map"].sel(sign="positive").values
    place = place / np.maximum(place.sum(axis=1, keepdims=True), 1e-12)
    best = np.argsort(-data["prediction"].values, axis=1, kind="stable")[:, :exemplars]
    by_rank = ("sign", "voxel", "rank")
    return xr.Dataset(
        {
            "word": (
                by_rank,
                ranked({sign: scores[sign].name for sign in SIGNS}),
                {"long_name": "index into the vocabulary"},
            ),
            "listed": (by_rank, stacked("listed"), {"long_name": "whether the word is sure"}),
            "added": (
                by_rank,
                stacked("added").astype(np.float32),
                {"long_name": "partial correlation with the measured response, words before given"},
            ),
            "added_p": (
                by_rank,
                stacked("added_p"),
                {"long_name": "its probability, corrected for the number of words"},
            ),
            "z": (
                by_rank,
                ranked({sign: scores[sign].z for sign in SIGNS}).astype(np.float32),
                {"long_name": "evidence of the attributions over images"},
            ),
            "q": (by_rank, ranked(q), {"long_name": "false discovery rate of z over words"}),
            "z_within": (
                by_rank,
                ranked({sign: scores[sign].z_within for sign in SIGNS}).astype(np.float32),
                {"long_name": "evidence of the attributions within images"},
            ),
            "effect": (
                by_rank,
                ranked({sign: scores[sign].effect for sign in SIGNS}).astype(np.float32),
                {
                    "long_name": "attribution that falls on the word, above its null",
                    "units": "standard deviations of the response",
                },
            ),
            "group_z": (
                ("fit", "voxel", "group"),
                np.stack([scores["positive"].z, z["first_half"], z["second_half"]]).astype(
                    np.float32
                ),
                {"long_name": "evidence for every group of synonyms"},
            ),
            "embedding": (
                ("voxel", "feature"),
                embed_profiles(scores["positive"], text),
                {"long_name": "profile in text space, unit length"},
            ),
            "reliability": (
                ("voxel",),
                agreement,
                {"long_name": "correlation of the halves' profiles"},
            ),
            "reliability_p": (
                ("voxel",),
                p,
                {"long_name": "its probability under shuffled responses"},
            ),
            "specificity": (("voxel",), measure_specificity(scores["positive"].z)),
            "described": (("voxel",), reason == REASONS[0]),
            "reason": (("voxel",), reason),
            "predicted": (("voxel",), predicted),
            "semantic": (("voxel",), semantic),
            "position_map": (
                ("voxel", "row", "column"),
                place.reshape(-1, rows, columns),
                {"long_name": "share of the positive attribution at each place"},
            ),
            "exemplar": (
                ("voxel", "exemplar"),
                data["image"].values[best],
                {"long_name": "nsdId of the images of largest prediction"},
            ),
        },
        coords={
            "sign": list(SIGNS),
            "fit": ["all", "first_half", "second_half"],
            "voxel": data["voxel"],
        },
        attrs={"images": data.sizes["image"], "false_discovery_rate": false_discovery_rate},
    )


def embed_profiles(scores: WordScores, text: np.ndarray) -> np.ndarray:
    """Return profiles in text space, unit length: Σ_w max(z_w, 0) text_w over the groups' best
    words.
    """
    weight = np.maximum(scores.z, 0)
    total = (
        np.einsum("vg,vgf->vf", weight, text[scores.name])
        if len(weight)
        else np.zeros((0, text.shape[1]))
    )
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)).astype(
        np.float32
    )


def measure_specificity(z: np.ndarray) -> np.ndarray:
    """One minus the correlation of each voxel's profile with the mean of the ROI's others:
    (voxel,).
    """
    others = (z.sum(axis=0) - z) / max(len(z) - 1, 1)
    return 1 - np.diagonal(correlate_rows(z, others))
