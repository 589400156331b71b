"""What category a voxel prefers: by its words, and by its responses to images of the category.

Three things are made here that are the same for any region: which images carry a category
(:func:`label_images`), what the words of a voxel would say of a category by chance
(:func:`deal_profiles`, :func:`compare_with_null`), and how much more the images of a category drive
a voxel than others do (:func:`compare_images`).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

# scipy.stats takes a second to import: as an attribute of scipy it is loaded when first used.
import scipy
import xarray as xr

from mine.core.mentions import find_words
from mine.errors import InputError
from mine.sections import CATEGORIES
from mine.statistics.bootstrap import stratified_weights
from mine.statistics.discrimination import area_under_roc_interval, mann_whitney_test
from mine.statistics.effects import d_prime, d_prime_interval

LEAST_SHARE = 0.5
"""Share of an image's captions that have to name a category."""

LEAST_IMAGES = 10
"""Images on either side without which two groups of images are not compared: with fewer neither the
normal approximation nor resampled images give what they promise, and the largest AUC of several
categories is likely to be that of the fewest images."""

CARRIES, LACKS, UNKNOWN = 1, 0, -1
"""What is known of an image and a category."""

Categories = Mapping[str, Mapping[str, Any]]
"""Name -> the keys of mine.sections.Category, as plain values."""


# --- which images carry a category ---


def find_unknown(categories: Categories, key: str, known: Iterable[str], what: str) -> list[str]:
    """Return a sentence for each name under a key of a category that is not known.

    key: ``instances`` or ``localiser``. what: what was expected, for the sentence.
    """
    known = sorted(set(known))
    problems = []
    for category, values in categories.items():
        names = values[key] if isinstance(values[key], list | tuple) else [values[key]]
        for name in names:
            if name is not None and name not in known:
                near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:8]
                problems.append(
                    f"categories.{category}.{key}: expected {what}, found {name!r}; there are "
                    f"{', '.join(near)}"
                )
    return problems


def find_unknown_contrasts(categories: Categories, contrasts: Iterable[str]) -> list[str]:
    """Return a sentence for each category whose contrast the localiser lacks, where there is one.

    A category that is the default one of its name is passed over: nobody asked for its contrast,
    and without t-values of its own it has the other kinds of evidence.
    """
    contrasts = list(contrasts)
    if not contrasts:
        return []
    asked = {
        name: values
        for name, values in categories.items()
        if name not in CATEGORIES or dict(values) != asdict(CATEGORIES[name])
    }
    return find_unknown(asked, "localiser", contrasts, "a contrast of the localiser")


def label_images(stimuli: xr.Dataset, categories: Categories) -> xr.Dataset:
    """Find which images carry which category.

    An image carries a category if one of its ``instances`` (a category or supercategory of COCO)
    is visible or if at least half of its captions contain one of its ``captions`` words
    (:func:`caption_shares`). It lacks the category if each of these two that is asked for was
    annotated in the image and says no. Otherwise nothing is known: an image without annotation is
    no negative. A source that no image has is not asked.

    stimuli: ``captions`` (image,) as JSON lists, and where instances are known ``category_present``
    (image, category) with the coordinate ``supercategory``, and ``annotated`` (image,).

    Returns ``label`` int8 (category, image), 1, 0 or -1, and ``label_source`` (category,), empty
    for a category that nothing is known of. Raises InputError for instances that are not among the
    annotated ones.
    """
    captions = [json.loads(text) for text in stimuli["captions"].values]
    annotated = np.zeros(len(captions), dtype=bool)
    if "category_present" in stimuli:
        annotated = stimuli["annotated"].values
        known = {*stimuli["category"].values.tolist(), *stimuli["supercategory"].values.tolist()}
        problems = find_unknown(
            categories, "instances", known - {""}, "categories or supercategories of the images"
        )
        if problems:
            raise InputError("\n".join(problems))
    labels, sources = [], []
    for values in categories.values():
        found = {}
        if values["instances"] and annotated.any():
            found["instances"] = annotated, _see_instances(stimuli, values["instances"])
        if values["captions"] and any(captions):
            share = caption_shares(captions, values["captions"])
            found["captions"] = np.isfinite(share), share >= LEAST_SHARE
        carries = np.any([present & known for known, present in found.values()], axis=0)
        complete = np.all([known for known, _ in found.values()], axis=0)
        label = np.where(carries, CARRIES, np.where(complete, LACKS, UNKNOWN))
        labels.append(label if found else np.full(len(captions), UNKNOWN))
        sources.append(", ".join(found))
    return xr.Dataset(
        {
            "label": (
                ("category", "image"),
                np.array(labels, dtype=np.int8).reshape(-1, len(captions)),
                {"long_name": "1: carries the category, 0: does not, -1: not known"},
            ),
            "label_source": (
                ("category",),
                np.array(sources, dtype=np.str_),
                {"long_name": "what the labels are from; empty for none"},
            ),
        },
        coords={"category": list(categories), "image": stimuli["image"].values},
    )


def _see_instances(stimuli: xr.Dataset, names: Sequence[str]) -> np.ndarray:
    """Whether an object of one of the categories or supercategories is visible: bool (image,)."""
    wanted = np.isin(stimuli["category"].values, names)
    wanted |= np.isin(stimuli["supercategory"].values, names)
    return stimuli["category_present"].transpose("image", "category").values[:, wanted].any(axis=1)


def caption_shares(captions: Sequence[Sequence[str]], words: Sequence[str]) -> np.ndarray:
    """Share of each image's captions that have one of the words, as
    :func:`mine.core.mentions.find_words` matches them; nan without captions: (image,)."""
    has = find_words([[text] for texts in captions for text in texts], words).any(axis=1)
    count = np.array([len(texts) for texts in captions], dtype=np.int64)
    image = np.repeat(np.arange(len(count)), count)
    named = np.bincount(image, weights=has, minlength=len(count))
    return np.where(count > 0, named / np.maximum(count, 1), np.nan)


# --- regions of a subject together ---


def order_regions(profiles: Mapping[str, xr.Dataset]) -> list[xr.Dataset]:
    """Profiles of ROIs by their names, so that nothing follows from the order of the ROIs."""
    return [profiles[roi] for roi in sorted(profiles)]


def join_voxels(profiles: Sequence[xr.Dataset]) -> xr.Dataset:
    """Profiles of several ROIs as one, ascending by voxel: of a voxel of several that of the first
    among those that describe it, or among all."""
    joined = xr.concat(profiles, "voxel")
    order = np.lexsort((~joined["described"].values, joined["voxel"].values))
    _, first = np.unique(joined["voxel"].values[order], return_index=True)
    return joined.isel(voxel=order[first])


# --- what words say by chance ---


def deal_profiles(
    weights: np.ndarray, text: np.ndarray, *, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Draw random profiles: those of random voxels, their weights dealt out to other words.

    A profile's embedding is Σ_g w_g text_g, unit length. Here w is the weights of one voxel drawn
    at random, in random order over the groups of words: directions with the mean and the covariance
    of the words' embeddings, as concentrated on few words as real profiles are, that mean nothing.

    weights: (voxel, group), not negative; voxels without any are left out. text: (group, feature).
    Returns (count, feature). Raises ValueError where no voxel has a weight.
    """
    weights = weights[weights.any(axis=1)].astype(np.float32)
    if not len(weights):
        raise ValueError("random profiles need a voxel with words; none has any")
    drawn = generator.integers(len(weights), size=count)
    # By blocks: a real vocabulary has tens of thousands of groups.
    parts = [
        generator.permuted(weights[drawn[start : start + 256]], axis=1) @ text
        for start in range(0, count, 256)
    ]
    total = np.concatenate(parts)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def compare_with_null(cosine: np.ndarray, null: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compare cosines with those of random profiles.

    cosine: (voxel, category), nan without a profile. null: (profile, category). Returns, both
    (voxel, category), z = (cosine - mean of the null) / its standard deviation, which makes
    categories comparable whose embeddings lie among many words with those that lie among few, and
    p = (1 + #{null >= cosine}) / (1 + profiles).
    """
    z = (cosine - null.mean(axis=0)) / null.std(axis=0)
    p = np.full(cosine.shape, np.nan)
    for column, ordered in enumerate(np.sort(null, axis=0).T):
        above = len(ordered) - np.searchsorted(ordered, cosine[:, column], side="left")
        p[:, column] = (1 + above) / (1 + len(ordered))
    return z, np.where(np.isnan(cosine), np.nan, p)


def share_p(preferring: int, chosen: int, *, preferring_all: int, all_voxels: int) -> float:
    """Probability that as many of ``chosen`` voxels prefer a category if drawn from all at random.

    One-sided hypergeometric: chosen voxels are drawn without replacement from ``all_voxels``, of
    which ``preferring_all`` prefer it; what shuffling voxels between regions converges to. nan
    for no voxel, and for all of them, which leaves none to be compared with.
    """
    if not 0 < chosen < all_voxels:
        return float("nan")
    return float(scipy.stats.hypergeom.sf(preferring - 1, all_voxels, preferring_all, chosen))


# --- responses to images of a category ---


class Comparison(NamedTuple):
    """Responses to the images of a category against those to others; each (column,)."""

    auc: np.ndarray
    """probability that an image of the category drives more than another; ties count half"""
    d_prime: np.ndarray
    p: np.ndarray
    """two-sided Mann-Whitney, normal approximation with ties"""


def compare_images(values: np.ndarray, carries: np.ndarray) -> Comparison:
    """Compare the responses to images that carry a category with those to images that lack it
    (mine.statistics: mann_whitney_test, d_prime).

    values: (image, column). carries: bool (image,). All nan for fewer than LEAST_IMAGES of either.
    """
    if min(carries.sum(), (~carries).sum()) < LEAST_IMAGES:
        return Comparison(*np.full((3, values.shape[1]), np.nan))
    auc, p = mann_whitney_test(values, carries)
    return Comparison(auc, d_prime(values, carries), p)


def bound_comparison(
    values: np.ndarray, carries: np.ndarray, *, resamples: int, generator: np.random.Generator
) -> np.ndarray:
    """AUC and d' of one response with 95% intervals: (statistic, bound), bounds value, low, high.

    Images that carry the category and those that lack it are resampled apart. values: (image,).
    carries: bool (image,). All nan for fewer than LEAST_IMAGES of either, or an unknown response.
    """
    found = compare_images(values[:, None], carries)
    if not np.isfinite(found.auc[0]):
        return np.full((2, 3), np.nan)
    weights = stratified_weights(carries, resamples=resamples, generator=generator)
    area = area_under_roc_interval(values[:, None], carries, weights)
    size = d_prime_interval(values[:, None], carries, weights)
    return np.array([(found.auc, *area), (found.d_prime, *size)])[..., 0]


# --- preferences ---


def prefer(evidence: np.ndarray, sure: np.ndarray, *, axis: int) -> np.ndarray:
    """Return the preferred category, -1 for none: that of largest evidence, if that is ``sure``.

    evidence, sure: float, nan for unknown, and bool, with categories along ``axis``, which is gone
    from what is returned.
    """
    sure = sure & np.isfinite(evidence)
    best = np.where(np.isfinite(evidence), evidence, -np.inf).argmax(axis=axis)
    found = np.take_along_axis(sure, np.expand_dims(best, axis), axis=axis).squeeze(axis)
    return np.where(found, best, -1)


def measure_agreement(preferred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how often each pair of rows names the same category.

    preferred: int (evidence, voxel), -1 for none. Returns the share of voxels with a preference by
    both, nan without any, and their number, both (evidence, evidence).
    """
    known = preferred >= 0
    both = known[:, None] & known[None]
    same = (both & (preferred[:, None] == preferred[None])).sum(axis=-1)
    count = both.sum(axis=-1)
    return np.where(count > 0, same / np.maximum(count, 1), np.nan), count
