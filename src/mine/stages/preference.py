"""Category preference of a region's voxels: by words, by responses to labelled images, by the
localiser.

Three kinds of evidence that share little: the profile's place in text space, from attributions, to
test images among them but to no measured response; predicted and measured responses to labelled
test images; and the t-values of a localiser of other stimuli. Each voxel and the region get a
preferred category from each, or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr

from mine.core.preference import (
    CARRIES,
    LACKS,
    UNKNOWN,
    Categories,
    bound_comparison,
    compare_images,
    compare_with_null,
    find_unknown_contrasts,
    join_voxels,
    label_images,
    measure_agreement,
    order_regions,
    prefer,
    share_p,
)
from mine.errors import InputError
from mine.statistics.arithmetic import divide
from mine.statistics.multiple_comparisons import benjamini_hochberg

RESPONSES = ("predicted", "measured")
EVIDENCE = ("profile", *RESPONSES, "localiser")
LEAST_T = 2.0  # below it a t-value is no preference
PROFILE_VARIABLES = ("embedding", "described")
"""What is read of profiles."""


def measure_preference(
    profiles: Mapping[str, xr.Dataset],
    roi: str,
    *,
    null: np.ndarray,
    categories: Categories,
    text: np.ndarray,
    stimuli: xr.Dataset,
    responses: Mapping[str, np.ndarray],
    t: xr.DataArray,
    level: float,
    resamples: int,
    generator: np.random.Generator,
) -> xr.Dataset:
    """Measure which categories the voxels of one ROI prefer.

    profiles: by ROI, all of the subject's, ``embedding`` and ``described``: with all described
    voxels the ROI's are compared. Voxels that ROIs share count once: the ROI's own as it describes
    them, others as described if any ROI does. null: (profile, category), cosines of the subject's
    random profiles (mine.stages.null_profiles). categories: name -> keys of mine.sections.Category.
    text: (category, feature). stimuli: of the test images. responses: ``predicted`` and
    ``measured``, (image, voxel) of these images and of the ROI's voxels. t: (contrast, voxel) of
    these voxels. level: false discovery rate of responses and of ROIs, and largest p of a voxel's
    words. resamples: of the bootstrap.

    Returns the store described in docs/stores.md. Raises InputError for a contrast that the
    localiser lacks, unless its category is a default one, and for instances that the images lack.
    """
    own, subject = profiles[roi], join_voxels(order_regions(profiles))
    labels = label_images(stimuli, categories)
    found = [
        _compare_profiles(
            own,
            subject,
            null=null,
            text=text,
            level=level,
        ),
        _compare_responses(
            responses,
            labels["label"].values,
            level=level,
            resamples=resamples,
            generator=generator,
        ),
        _compare_localiser(t, categories),
    ]
    preferences = _summarise(
        np.concatenate([each.by_voxel for each in found]),
        np.concatenate([each.of_roi for each in found]),
        np.concatenate([each.known for each in found]),
        own["described"].values,
        list(categories),
    )
    return (
        xr.merge([labels, *(each.evidence for each in found), preferences], join="exact")
        .assign_coords(voxel=own["voxel"].values)
        .assign_attrs(false_discovery_rate=level, random_profiles=len(null))
    )


@dataclass(frozen=True)
class Found:
    """What a kind of evidence says, or several of one form."""

    evidence: xr.Dataset
    by_voxel: np.ndarray
    """(evidence, voxel): index of the preferred category, -1 for none"""
    of_roi: np.ndarray
    """(evidence,): the same for the ROI as a whole"""
    known: np.ndarray
    """bool (evidence, category): whether there is anything by which it could prefer the category"""


def _compare_profiles(
    own: xr.Dataset,
    subject: xr.Dataset,
    *,
    null: np.ndarray,
    text: np.ndarray,
    level: float,
) -> Found:
    """Compare profiles with the categories in text space: by voxel, and as the mean over those of
    the ROI that are described. The mean profile, scaled to unit length, would not do: it is nearer
    than any single profile to what all have in common, and the null is of single ones.

    A described voxel prefers the category of largest z if p is at most ``level``; the ROI that of
    largest mean z if more of its described voxels prefer it than of as many among all described
    ones (q of share_p), or more than half of them where there are no others.

    own, subject: the ROI's voxels and all of the subject's, as join_voxels has them.
    """
    # The ROI's voxels by its own profiles, and after them those of the others alone.
    others = ~np.isin(subject["voxel"].values, own["voxel"].values)
    embedding, described = (
        np.concatenate([own[name].values, subject[name].values[others]])
        for name in ("embedding", "described")
    )
    voxels = own.sizes["voxel"]
    cosine = _cosines(embedding, text)
    z, p = compare_with_null(cosine, null) if len(null) else (cosine * np.nan, cosine * np.nan)
    chosen = np.flatnonzero(own["described"].values)
    mean, mean_z = (divide(of[chosen].sum(axis=0), len(chosen)) for of in (cosine, z))
    q = benjamini_hochberg(np.where(described[:, None], p, np.nan), axis=0)
    # A profile that is not to be believed prefers nothing. Whether another is as near as chance
    # allows is asked by p and not by q: in a small vocabulary one word names a category by chance
    # so often that q is large however many voxels agree.
    preferred = prefer(z, described[:, None] & (p <= level), axis=1)
    own_count, all_count = (_count(row, len(text)) for row in (preferred[:voxels], preferred))
    shares = np.array(
        [
            share_p(few, len(chosen), preferring_all=many, all_voxels=described.sum())
            for few, many in zip(own_count, all_count, strict=True)
        ]
    )
    share_q = benjamini_hochberg(shares)
    by_voxel = ("category", "voxel")
    evidence = xr.Dataset(
        {
            "cosine": (
                by_voxel,
                cosine[:voxels].T.astype(np.float32),
                {"long_name": "cosine of the profile with the category in text space"},
            ),
            "cosine_z": (
                by_voxel,
                z[:voxels].T.astype(np.float32),
                {
                    "long_name": "the same above its mean over random profiles",
                    "units": "standard deviations over random profiles",
                },
            ),
            "cosine_p": (by_voxel, p[:voxels].T, {"long_name": "against random profiles"}),
            "cosine_q": (
                by_voxel,
                q[:voxels].T,
                {"long_name": "false discovery rate over the subject's described voxels"},
            ),
            "roi_cosine": ("category", mean, {"long_name": "mean over described voxels"}),
            "roi_cosine_z": ("category", mean_z, {"long_name": "mean over described voxels"}),
            "roi_share_p": (
                "category",
                shares,
                {"long_name": "of as large a share of voxels drawn from all described ones"},
            ),
            "roi_share_q": (
                "category",
                share_q,
                {"long_name": "false discovery rate over categories"},
            ),
        }
    )
    # Without others to compare with, most of its voxels have to prefer the category.
    sure = np.where(np.isnan(share_q), own_count > len(chosen) / 2, share_q <= level)
    best = prefer(mean_z[None], sure[None], axis=1)
    return Found(evidence, preferred[None, :voxels], best, np.isfinite(mean_z[None]))


def _cosines(embedding: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Cosine of rows with the categories, nan for empty rows: (row, category)."""
    length = np.linalg.norm(embedding, axis=1, keepdims=True).astype(np.float64)
    unit = np.where(length > 0, embedding / np.where(length > 0, length, 1), np.nan)
    return unit @ text.T.astype(np.float64)


def _count(preferred: np.ndarray, categories: int) -> np.ndarray:
    """How often each category is preferred: int (category,)."""
    return np.bincount(preferred[preferred >= 0], minlength=categories)


def _compare_responses(
    responses: Mapping[str, np.ndarray],
    label: np.ndarray,
    *,
    level: float,
    resamples: int,
    generator: np.random.Generator,
) -> Found:
    """Compare responses to the images of each category with those to others: by voxel, and of the
    mean over voxels with intervals over images.

    label: int (category, image) of label_images.
    """
    values = np.stack([responses[name] for name in RESPONSES])
    mean = values.mean(axis=2) if values.shape[2] else np.full(values.shape[:2], np.nan)
    by_voxel = np.full((3, len(values), len(label), values.shape[2]), np.nan)
    by_roi = np.full((2, len(values), len(label), 3), np.nan)
    roi_p = np.full((len(values), len(label)), np.nan)
    for category, row in enumerate(label):
        known, carries = row != UNKNOWN, row[row != UNKNOWN] == CARRIES
        for kind in range(len(values)):
            found = compare_images(values[kind][known], carries)
            by_voxel[:, kind, category] = found.auc, found.d_prime, found.p
            roi_p[kind, category] = compare_images(mean[kind][known, None], carries).p[0]
            by_roi[:, kind, category] = bound_comparison(
                mean[kind][known], carries, resamples=resamples, generator=generator
            )
    auc, d_prime, p = by_voxel
    q, roi_q = benjamini_hochberg(p), benjamini_hochberg(roi_p)
    three, four = ("response", "category"), ("response", "category", "voxel")
    bounded = (*three, "bound")
    evidence = xr.Dataset(
        {
            "images": ("category", (label == CARRIES).sum(axis=1), {"long_name": "that carry it"}),
            "other_images": (
                "category",
                (label == LACKS).sum(axis=1),
                {"long_name": "that lack it"},
            ),
            "auc": (
                four,
                auc.astype(np.float32),
                {"long_name": "probability that an image of the category drives more"},
            ),
            "d_prime": (four, d_prime.astype(np.float32), {"long_name": "d' of the same images"}),
            "auc_p": (four, p, {"long_name": "two-sided Mann-Whitney test over images"}),
            "auc_q": (
                four,
                q,
                {"long_name": "false discovery rate over voxels"},
            ),
            "roi_auc": (bounded, by_roi[0], {"long_name": "of the mean over voxels"}),
            "roi_d_prime": (bounded, by_roi[1], {"long_name": "of the mean over voxels"}),
            "roi_auc_p": (three, roi_p, {"long_name": "two-sided Mann-Whitney test over images"}),
            "roi_auc_q": (
                three,
                roi_q,
                {"long_name": "false discovery rate over categories"},
            ),
            "roi_response": (
                ("response", "image"),
                mean.astype(np.float32),
                {
                    "long_name": "mean over voxels",
                    "units": "standard deviations of the response",
                },
            ),
        },
        coords={"response": list(RESPONSES), "bound": ["value", "low", "high"]},
    )
    return Found(
        evidence,
        prefer(auc, (q <= level) & (auc > 0.5), axis=1),
        prefer(by_roi[0, ..., 0], (roi_q <= level) & (by_roi[0, ..., 0] > 0.5), axis=1),
        np.isfinite(by_roi[0, ..., 0]),
    )


def _compare_localiser(t: xr.DataArray, categories: Categories) -> Found:
    """Give each category the t-values of its contrast, nan where it has none.

    t: (contrast, voxel), nan for a voxel without a value, such as outside the localiser's mask: the
    region's mean is over the others.
    """
    contrasts = t["contrast"].values.tolist()
    problems = find_unknown_contrasts(categories, contrasts)
    if problems:
        raise InputError("\n".join(problems))
    values = np.full((len(categories), t.sizes["voxel"]), np.nan)
    for row, category in enumerate(categories.values()):
        if category["localiser"] in contrasts:
            values[row] = t.sel(contrast=category["localiser"]).values
    known = np.isfinite(values)
    total, count = np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    evidence = xr.Dataset(
        {
            "t": (
                ("category", "voxel"),
                values.astype(np.float32),
                {"long_name": "t-value of the category's localiser", "units": "t"},
            ),
            "roi_t": (
                "category",
                mean,
                {"long_name": "mean over voxels that have a value", "units": "t"},
            ),
        }
    )
    return Found(
        evidence,
        prefer(values, values >= LEAST_T, axis=0)[None],
        prefer(mean, mean >= LEAST_T, axis=0)[None],
        np.isfinite(mean)[None],
    )


def _summarise(
    preferred: np.ndarray,
    best: np.ndarray,
    known: np.ndarray,
    described: np.ndarray,
    categories: list[str],
) -> xr.Dataset:
    """Name the preferences, count them, and compare the kinds of evidence.

    preferred: int (evidence, voxel), best: int (evidence,), -1 for none. known: bool (evidence,
    category); what could not be asked has no share, which is another thing than a share of 0.
    described: bool (voxel,), the voxels that have a profile.
    """
    able = np.array([described.sum(), *[len(described)] * (len(EVIDENCE) - 1)])
    counts = np.array([_count(row, len(categories)) for row in preferred])
    asked = known & (able > 0)[:, None]
    agreement, both = measure_agreement(preferred)
    names, pair = np.array([*categories, ""]), ("evidence", "other")
    return xr.Dataset(
        {
            "described": ("voxel", described, {"long_name": "all conditions of a profile hold"}),
            "preferred": (
                ("evidence", "voxel"),
                names[preferred],
                {"long_name": "category, or empty"},
            ),
            "roi_preferred": ("evidence", names[best], {"long_name": "the region's, or empty"}),
            "roi_share": (
                ("evidence", "category"),
                np.where(asked, counts / np.maximum(able, 1)[:, None], np.nan),
                {"long_name": "share of the voxels that prefer the category, nan if not known"},
            ),
            "roi_voxels": (
                "evidence",
                able,
                {"long_name": "voxels that it is a share of: of the profile, the described ones"},
            ),
            "agreement": (
                pair,
                agreement,
                {"long_name": "share of voxels for which both prefer the same category"},
            ),
            "agreement_voxels": (pair, both, {"long_name": "voxels with a preference by both"}),
        },
        coords={"evidence": list(EVIDENCE), "other": list(EVIDENCE)},
    )
