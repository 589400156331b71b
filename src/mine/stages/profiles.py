"""Profiles: the words of a voxel over its images, and whether they may be believed.

The words come from the attributions (mine.core.evidence) and are checked against measured responses
(mine.core.listing). A profile is only as real as its voxel: see :func:`judge_voxels`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy.special import ndtr

from mine.core.evidence import SIGNS, WordScores, score_words
from mine.core.listing import ListWords, read_profiles
from mine.statistics.multiple_comparisons import benjamini_hochberg
from mine.statistics.scores import correlate_rows, pearson

REASONS = (
    "not predicted",
    "retinotopic",
    "no reliable profile",
    "no significant word",
    "described",
)
"""Why a voxel is not described, in the order in which it is asked, and that it is: the further
behind, the more conditions it meets."""


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
    agreement = pearson(*halves, axis=1)
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

    held_out_z: of each half's encoder on the other half's images, (voxel,): every training image is
    held out once, far more than a validation split has. Each half is fitted in one of the two and
    predicted in the other, so under the null they go together; their mean has a variance of at most
    1 however closely they do. The false discovery rate is controlled over all voxels that were
    fitted, not over one ROI's.
    """
    predicted_p = ndtr(-(held_out_z[0] + held_out_z[1]) / 2)
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
    reason = np.full(len(predicted), REASONS[-1], dtype=object)
    conditions = zip(REASONS[-2::-1], (significant, reliable, semantic, predicted), strict=True)
    for name, holds in conditions:
        reason[~holds] = name
    return reason.astype(str)


def judge_together(profiles: Sequence[xr.Dataset]) -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels of a subject's regions, each once, and how far they pass.

    profiles: of :func:`build_profiles`, one a region. Returns the voxels, ascending, and int
    (voxel,): the place of the reason among REASONS. Of a voxel of several regions it is that of the
    region in which it meets most conditions.
    """
    voxels = np.unique(np.concatenate([each["voxel"].values for each in profiles]))
    passed = np.zeros(len(voxels), dtype=int)
    for each in profiles:
        own = (each["reason"].values[:, None] == np.array(REASONS)) @ np.arange(len(REASONS))
        rows = np.searchsorted(voxels, each["voxel"].values)
        passed[rows] = np.maximum(passed[rows], own)
    return voxels, passed


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
    reading_reliability: float,
    words: int,
    exemplars: int,
    in_list: xr.DataArray | None,
) -> xr.Dataset:
    """Build the profiles of one ROI.

    attributions, lenses: by fit — ``all``, ``first_half``, ``second_half`` and the shuffled halves
    — with the images of each. measured: (image, voxel), responses to the training images, those of
    measured_lens. text: (word, feature), group: (word,). predicted, semantic: bool
    (voxel,), whether held-out R² exceeds zero and whether the semantic band adds to the low-level
    one. in_list: bool (list, word) of the vocabulary, None where there are no named lists. Returns
    the store described in docs/stores.md.
    """
    scores, q, listed, of_lists = read_profiles(
        attributions["all"],
        lenses["all"],
        group,
        measured=measured,
        measured_lens=measured_lens,
        count=words,
        level=false_discovery_rate,
        reading_reliability=reading_reliability,
        in_list=None if in_list is None else in_list.values,
    )
    fits = ("first_half", "second_half", "first_half_shuffled", "second_half_shuffled")
    z = {fit: score_words(attributions[fit], lenses[fit], group).z for fit in fits}
    agreement, p = measure_reliability((z[fits[0]], z[fits[1]]), (z[fits[2]], z[fits[3]]))
    reliable = p <= false_discovery_rate
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
    profiles = xr.Dataset(
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
            "specificity": (
                ("voxel",),
                measure_specificity(scores["positive"].z),
                {"long_name": "one minus the correlation with the mean profile of the others"},
            ),
            "described": (
                ("voxel",),
                reason == REASONS[-1],
                {"long_name": "whether the words may be believed"},
            ),
            "reason": (
                ("voxel",),
                reason,
                {"long_name": "described, or the first condition that fails"},
            ),
            "predicted": (
                ("voxel",),
                predicted,
                {"long_name": "whether responses to held-out images are predicted"},
            ),
            "semantic": (
                ("voxel",),
                semantic,
                {"long_name": "whether content adds to contrast"},
            ),
            "position_map": (
                ("voxel", "row", "column"),
                place.reshape(-1, rows, columns),
                {"long_name": "share of the positive attribution at each place"},
            ),
            "exemplar": (
                ("voxel", "exemplar"),
                data["image"].values[best],
                {"long_name": "identity of the images of largest prediction"},
            ),
        },
        coords={
            "sign": list(SIGNS),
            "fit": ["all", "first_half", "second_half"],
            "voxel": data["voxel"],
        },
        attrs={
            "images": data.sizes["image"],
            "measured_images": len(measured),
            "false_discovery_rate": false_discovery_rate,
        },
    )
    if in_list is not None:
        profiles = profiles.merge(_tabulate_lists(of_lists, in_list["list"]))
    return profiles


def _tabulate_lists(of_lists: ListWords, names: xr.DataArray) -> xr.Dataset:
    """Each voxel's word of each named list, as the store of profiles holds it."""
    by_list = ("list", "voxel")
    return xr.Dataset(
        {
            "list_word": (
                by_list,
                of_lists.word.astype(np.int32),
                {"long_name": "index into the vocabulary of its word of the list; -1: none"},
            ),
            "list_listed": (by_list, of_lists.listed, {"long_name": "whether this word is sure"}),
            "list_added": (
                by_list,
                of_lists.added.astype(np.float32),
                {"long_name": "partial correlation with the measured response, other words given"},
            ),
            "list_added_p": (
                by_list,
                of_lists.added_p,
                {"long_name": "its probability, corrected for the number of words of the list"},
            ),
        },
        coords={"list": names.values},
    )


def embed_profiles(scores: WordScores, text: np.ndarray) -> np.ndarray:
    """Return profiles in text space, unit length: Σ_w max(z_w, 0) text_w over the groups' best
    words.
    """
    weight = np.zeros((len(scores.z), len(text)))
    np.put_along_axis(weight, scores.name, np.maximum(scores.z, 0), axis=1)
    total = weight @ text
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)).astype(
        np.float32
    )


def measure_specificity(z: np.ndarray) -> np.ndarray:
    """One minus the correlation of each voxel's profile with the mean of the ROI's others:
    (voxel,).
    """
    others = (z.sum(axis=0) - z) / max(len(z) - 1, 1)
    return 1 - pearson(z, others, axis=1)
