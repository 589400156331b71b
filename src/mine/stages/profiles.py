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

Words that ride on another (a red face is also a face) are put in their place by a forward
selection: the first word is the strongest, each next one the strongest beyond what those before it
bring along (:func:`order_words`).

The image is the unit: under the null the sign of d_n is a coin's, and the probability of a sum this
large is bounded without drawing any permutation (:func:`mine.statistics.sign_flip_bound`). The
suppressive profile is the same with negative attributions.

A profile is only as real as its voxel: see :func:`judge_voxels`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from mine.core.lens import word_mass
from mine.core.synonyms import name_groups, sum_groups
from mine.statistics import benjamini_hochberg, sign_flip_bound

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
    attributions: xr.Dataset, lens: xr.Dataset, group: np.ndarray, *, sign: str = "positive"
) -> WordScores:
    """Score all words for all voxels of an attributions store (see the module's docstring).

    attributions: ``token`` and ``attribution`` (sign, voxel, image, rank). lens: ``word`` and
    ``score`` (image, token, rank) of the same images. group: int (word,). ``effect`` is the mean of
    d_n over images, in units of the response. Voxels without any attribution of the sign score 0.
    """
    token = attributions["token"].sel(sign=sign).values.astype(np.int64)
    strength = np.abs(attributions["attribution"].sel(sign=sign).values).astype(np.float32)
    voxels, images, _ = token.shape
    tokens, groups = lens.sizes["token"], int(group.max()) + 1
    strength = np.where(token >= 0, strength, 0)
    token = np.maximum(token, 0)

    def full_map(image: int) -> np.ndarray:
        full = np.zeros((voxels, tokens), dtype=np.float32)
        # A padded entry adds 0 to token 0, so no token may be assigned twice: add instead.
        np.add.at(full, (np.arange(voxels)[:, None], token[:, image]), strength[:, image])
        return full

    everywhere = sum(full_map(image) for image in range(images))
    totals = {name: np.zeros((voxels, groups)) for name in ("d", "dd", "within", "within2")}
    by_word = np.zeros((voxels, len(group)), dtype=np.float32)
    for image in range(images):
        own = full_map(image)
        mass = word_mass(lens["word"].values[image], lens["score"].values[image], words=len(group))
        grouped = sum_groups(mass, group, groups)
        difference = (own - (everywhere - own) / max(images - 1, 1)) @ grouped
        within = (own - own.mean(axis=1, keepdims=True)) @ grouped
        by_word += own @ mass
        totals["d"] += difference
        totals["dd"] += np.square(difference)
        totals["within"] += within
        totals["within2"] += np.square(within)
    # A map that is the same in every image differs by rounding alone, which is no evidence.
    rounding = np.square(1e-6 * strength.sum(axis=-1)).sum(axis=1)[:, None] + 1e-20
    z = totals["d"] / np.sqrt(np.maximum(totals["dd"], rounding))
    z_within = totals["within"] / np.sqrt(np.maximum(totals["within2"], rounding))
    effect = totals["d"] / images
    return WordScores(z, z_within, effect, name_groups(by_word, group, groups))


def covary_groups(lens: xr.Dataset, group: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """How the readings of some groups go together: (chosen, chosen).

    Σ_t cov_n(L_nt(w), L_nt(w')): readings at the same place, less the place's mean over images, as
    d_n takes them.
    """
    groups = int(group.max()) + 1
    product = np.zeros((len(chosen), len(chosen)))
    mean = np.zeros((lens.sizes["token"], len(chosen)))
    for word, score in zip(lens["word"].values, lens["score"].values, strict=True):
        grouped = sum_groups(word_mass(word, score, words=len(group)), group, groups)
        reading = grouped[:, chosen]
        product += reading.T @ reading
        mean += reading
    images = lens.sizes["image"]
    return product / images - mean.T @ mean / images**2


def order_words(
    effect: np.ndarray, z: np.ndarray, covariance: np.ndarray, sure: np.ndarray, count: int
) -> np.ndarray:
    """Order one voxel's words by forward selection: at most ``count`` indices, strongest first.

    effect: (word,) covariance of the attributions with each word's readings. covariance: (word,
    word) of the readings. sure: bool (word,), which may be listed. With S the words listed so far
    the next is the sure word of largest positive z_w (e_w − C_wS C_SS⁻¹ e_S): how certain it is
    times the effect that is left once attributions and readings are freed of S.
    """
    listed: list[int] = []
    left = np.where(sure, effect * z, -np.inf)
    while len(listed) < count and left.max(initial=-np.inf) > 0:
        listed.append(int(np.argmax(left)))
        block = covariance[np.ix_(listed, listed)]
        block = block + 1e-6 * np.trace(block) / len(listed) * np.eye(len(listed))
        rest = effect - covariance[:, listed] @ np.linalg.solve(block, effect[listed])
        left = np.where(sure, rest * z, -np.inf)
        left[listed] = -np.inf
    return np.array(listed, dtype=np.int64)


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
    predicted_p: np.ndarray, semantic_p: np.ndarray, *, false_discovery_rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return which of all the subject's voxels are predicted, and which are semantic: bool
    (voxel,).

    The false discovery rate is controlled over all voxels that were fitted, not over one ROI's.
    """
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
    half-data encoders agree), significant (at least one word).
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
    — with the images of each. text: (word, feature), group: (word,). predicted, semantic: bool
    (voxel,), whether held-out R² exceeds zero and whether the semantic band adds to the low-level
    one. Returns the store described in docs/stores.md.
    """
    positive, negative = (
        score_words(attributions["all"], lenses["all"], group, sign=sign) for sign in SIGNS
    )
    fits = ("first_half", "second_half", "first_half_shuffled", "second_half_shuffled")
    z = {fit: score_words(attributions[fit], lenses[fit], group).z for fit in fits}
    agreement, p = measure_reliability((z[fits[0]], z[fits[1]]), (z[fits[2]], z[fits[3]]))
    q = {
        name: benjamini_hochberg(sign_flip_bound(scores.z), axis=1)
        for name, scores in (("positive", positive), ("negative", negative))
    }
    significant = (q["positive"] <= false_discovery_rate).any(axis=1)
    reliable = p <= false_discovery_rate
    reason = judge_voxels(
        predicted=predicted, semantic=semantic, reliable=reliable, significant=significant
    )
    ranked = [
        _rank(scores, q[name], words, false_discovery_rate, lenses["all"], group)
        for name, scores in zip(SIGNS, (positive, negative), strict=True)
    ]
    data = attributions["all"]
    rows, columns = lenses["all"].attrs["rows"], lenses["all"].attrs["columns"]
    place = data["position_map"].sel(sign="positive").values
    place = place / np.maximum(place.sum(axis=1, keepdims=True), 1e-12)
    best = np.argsort(-data["prediction"].values, axis=1, kind="stable")[:, :exemplars]
    by_rank = ("sign", "voxel", "rank")
    return xr.Dataset(
        {
            "word": (by_rank, _stack(ranked, 0), {"long_name": "index into the vocabulary"}),
            "z": (by_rank, _stack(ranked, 1), {"long_name": "evidence over images"}),
            "q": (by_rank, _stack(ranked, 2), {"long_name": "false discovery rate over words"}),
            "z_within": (by_rank, _stack(ranked, 3), {"long_name": "evidence within images"}),
            "effect": (
                by_rank,
                _stack(ranked, 4),
                {
                    "long_name": "attribution that falls on the word, above its null",
                    "units": "standard deviations of the response",
                },
            ),
            "group_z": (
                ("fit", "voxel", "group"),
                np.stack([positive.z, z["first_half"], z["second_half"]]).astype(np.float32),
                {"long_name": "evidence for every group of synonyms"},
            ),
            "embedding": (
                ("voxel", "feature"),
                embed_profiles(positive, text),
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
            "specificity": (("voxel",), measure_specificity(positive.z)),
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


# Words among which an order is sought; beyond them evidence is too weak to be listed anyway.
MOST_ORDERED = 256


def _rank(
    scores: WordScores,
    q: np.ndarray,
    words: int,
    level: float,
    lens: xr.Dataset,
    group: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """List the sure words in the order of their selection, then the others by their evidence.

    z says how sure a word is and grows with how often it occurs; the effect says how much of the
    response falls on it, which is what a profile lists.
    """
    sure = q <= level
    strongest = np.argsort(-np.where(sure, scores.z, -np.inf).max(axis=0, initial=-np.inf))
    chosen = np.sort(strongest[:MOST_ORDERED])
    covariance = covary_groups(lens, group, chosen)
    best = np.empty((len(q), min(words, q.shape[1])), dtype=np.int64)
    for voxel, row in enumerate(best):
        listed = chosen[
            order_words(
                scores.effect[voxel, chosen],
                scores.z[voxel, chosen],
                covariance,
                sure[voxel, chosen],
                len(row),
            )
        ]
        by_evidence = np.argsort(-scores.z[voxel], kind="stable")
        others = by_evidence[~np.isin(by_evidence, listed)]
        row[:] = np.concatenate([listed, others])[: len(row)]
    take = [
        np.take_along_axis(array, best, axis=1)
        for array in (scores.name, scores.z, q, scores.z_within, scores.effect)
    ]
    return (take[0].astype(np.int32), *(array.astype(np.float32) for array in take[1:]))


def _stack(ranked: list[tuple[np.ndarray, ...]], index: int) -> np.ndarray:
    return np.stack([arrays[index] for arrays in ranked])
