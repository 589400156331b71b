"""Structure within a region: can its voxels be told apart, and do they fall into clusters?

All voxels of a region may share one profile; what they answer to besides (mine.core.tuning) is
measured in disjoint halves of the training images, and is structure only as far as the halves agree
(mine.core.identification, mine.core.clusters). Identification is of all voxels of the region, or of
``MOST_VOXELS`` drawn from them: to be predicted, reliable or sure of a word a voxel's own halves
have to agree, and among voxels chosen by that they would agree by themselves. Clusters are of the
described voxels. A cluster's words come from images by which its voxels were not chosen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from mine.core.clusters import (
    agree_on_clusters,
    count_clusters,
    cut_tree,
    explain_across_halves,
    match_labels,
    share_clusters,
    stand_for_voxels,
)
from mine.core.identification import (
    compare_halves,
    draw_shared,
    draw_spatial,
    identify,
    prepare_shared,
    prepare_spatial,
    span_halves,
    spatial_basis,
)
from mine.core.synonyms import name_by_rate
from mine.core.tuning import (
    READINGS,
    WordReadings,
    find_shared_word,
    join_readings,
    measure_tuning,
    read_words,
    sign_flip_tuning,
)
from mine.statistics.multiple_comparisons import benjamini_hochberg
from mine.statistics.permutation import sign_flip_bound
from mine.statistics.regression import forward_selection, normal_scores

FITS = ("all", "first_half", "second_half")
NULLS = ("shared", "spatial")

MOST_VOXELS = 2_000
"""Voxels that are told apart. Of a larger region as many are drawn: the time of the nulls grows
with the cube of their number, and the mean of so many is known well enough."""

EXEMPLARS = 4
"""Images that show what a cluster prefers: as many as its card in the figure has places."""


def measure_structure(
    profiles: xr.Dataset,
    response: np.ndarray,
    lens: xr.Dataset,
    group: np.ndarray,
    base_rate: np.ndarray,
    *,
    halves: tuple[np.ndarray, np.ndarray],
    place: np.ndarray | None,
    words: int,
    clusters: int,
    least_voxels: int,
    draws: int,
    resamples: int,
    cluster_words: int,
    level: float,
    reading_reliability: float,
    generator: np.random.Generator,
) -> xr.Dataset:
    """Measure the structure of one region (see the module's docstring).

    profiles: of mine.stages.profiles. response: (image, voxel of the profiles), measured, to the
    images of lens, all training images. group, base_rate: (word,). halves: identities of each
    half's images. place: (voxel, axis), millimetres; None where it is not known, which leaves the
    spatial null undrawn (NaN). words: groups read, at most. clusters: at most. least_voxels: with
    fewer described ones nothing is measured. draws: of each null. resamples: of the images, for
    consensus. cluster_words: those listed, at most. level: largest p at which there are
    clusters, and at which a word is listed. reading_reliability: of :func:`list_cluster_words`.

    Returns the store of docs/stores.md. Where there is no structure every voxel is in cluster 0.
    """
    described = np.flatnonzero(profiles["described"].values)
    roi_voxels = np.arange(profiles.sizes["voxel"])
    if len(roi_voxels) > MOST_VOXELS:
        roi_voxels = np.sort(generator.choice(roi_voxels, MOST_VOXELS, replace=False))
    if len(described) < least_voxels:
        described, roi_voxels = described[:0], roi_voxels[:0]
    shared = find_shared_word(group[profiles["word"].sel(sign="positive").values[described, 0]])
    readings = read_words(lens, group, shared=shared, most=words)
    parts = [np.searchsorted(lens["image"].values, half) for half in halves]
    images = [np.arange(lens.sizes["image"]), *parts]
    of_roi = np.stack([measure_tuning(response[:, roi_voxels], readings, part) for part in parts])
    attributed = profiles["group_z"].values[1:, roi_voxels].astype(np.float64)
    halves_of = {"tuning": join_readings(of_roi), "attributions": attributed}
    place = None if place is None else place[roi_voxels]
    identified = np.stack([identify(*pair) for pair in halves_of.values()])
    under_null = _draw_identification(halves_of, place, draws, generator)
    response = response[:, described]
    tuning = np.stack([measure_tuning(response, readings, part) for part in images])
    explained = explain_across_halves(tuning[1:], most=clusters)
    explained_null = _draw_explained(tuning[1:], clusters, draws, generator)
    count, p = count_clusters(explained), np.nan
    if len(described):
        p = (1 + (explained_null >= np.nanmax(explained)).sum()) / (1 + draws)
        count = count if p <= level else 1
    label, stability = np.zeros(len(described), np.int64), np.full(len(described), np.nan)
    together = np.ones((len(described), len(described)))
    if count > 1:
        drawn = generator.integers(len(response), size=(resamples, len(response)))
        again = (measure_tuning(response, readings, picks) for picks in drawn)
        together = share_clusters(again, count)
        label, stability = agree_on_clusters(together, count)
    held_out = hold_out_contrasts(response, tuning[1:], parts, label, count)
    z, q = _test_words(held_out, readings, np.concatenate(parts))
    listed = list_cluster_words(
        held_out,
        readings,
        np.concatenate(parts),
        most=cluster_words,
        level=level,
        reading_reliability=reading_reliability,
    )
    best = np.argsort(-contrast_clusters(response, label, count), axis=0, kind="stable")
    best = best[:EXEMPLARS].T
    sources = list(halves_of)
    mean = identified.mean(axis=1) if len(roi_voxels) else np.full(len(sources), np.nan)
    similarity = np.stack([compare_halves(*pair) for pair in halves_of.values()])
    exceeding = (under_null >= mean[:, None, None]).sum(axis=2)
    drawn_at_all = np.isfinite(mean)[:, None] & np.isfinite(under_null).all(axis=2)
    name = name_by_rate(base_rate, group)
    named = name[readings.group]
    return xr.Dataset(
        {
            "tuning": (
                ("fit", "reading", "voxel", "group"),
                tuning.astype(np.float32),
                {"long_name": "partial correlation with the measured response, as z"},
            ),
            "word": (
                ("group",),
                named.astype(np.int32),
                {"long_name": "the group's most frequent word, index into the vocabulary"},
            ),
            "identification": (
                ("source", "roi_voxel"),
                identified,
                {"long_name": "share of the region's other voxels from which it is told apart"},
            ),
            "identification_mean": (
                ("source",),
                mean,
                {"long_name": "mean over all voxels of the region"},
            ),
            "identification_null": (
                ("source", "null", "draw"),
                under_null.astype(np.float32),
                {"long_name": "mean over all voxels of the region under the null"},
            ),
            "identification_p": (
                ("source", "null"),
                np.where(drawn_at_all, (1 + exceeding) / (1 + draws), np.nan),
                {"long_name": "share of draws of the null that reach the mean"},
            ),
            "similarity": (
                ("source", "roi_voxel", "roi_other"),
                similarity.astype(np.float32),
                {"long_name": "of a voxel in the first half with another in the second"},
            ),
            "explained": (
                ("count",),
                explained,
                {"long_name": "share of the other half's variation that clusters explain"},
            ),
            "explained_null": (
                ("draw",),
                explained_null.astype(np.float32),
                {"long_name": "largest under one shared tuning"},
            ),
            "cluster": (("voxel",), label.astype(np.int32), {"long_name": "cluster, from 0"}),
            "stability": (
                ("voxel",),
                stability,
                {"long_name": "share of resamples with its own cluster less with the next"},
            ),
            "together": (
                ("voxel", "other"),
                together.astype(np.float32),
                {"long_name": "share of resamples in which two voxels share a cluster"},
            ),
            "cluster_z": (
                ("cluster_number", "group"),
                z.astype(np.float32),
                {"long_name": "evidence for the word, cluster against others, held-out images"},
            ),
            "cluster_q": (
                ("cluster_number", "group"),
                q,
                {"long_name": "its false discovery rate over words and clusters"},
            ),
            "cluster_word": (
                ("cluster_number", "rank"),
                np.append(named, -1)[listed.group].astype(np.int32),
                {"long_name": "words that tell the cluster from others, each given those before"},
            ),
            "cluster_added": (
                ("cluster_number", "rank"),
                listed.added.astype(np.float32),
                {"long_name": "partial correlation with the contrast, words before given"},
            ),
            "cluster_added_p": (
                ("cluster_number", "rank"),
                listed.p,
                {"long_name": "its probability, corrected for the number of words and clusters"},
            ),
            "exemplar": (
                ("cluster_number", "exemplar"),
                lens["image"].values[best].astype(np.int32),
                {"long_name": "images of largest response, cluster less others"},
            ),
        },
        coords={
            "fit": list(FITS),
            "reading": list(READINGS),
            "source": sources,
            "null": list(NULLS),
            "voxel": profiles["voxel"].values[described],
            "roi_voxel": profiles["voxel"].values[roi_voxels],
            "count": np.arange(2, clusters + 1),
        },
        attrs={
            "clusters": count if len(described) else 0,
            "clusters_p": float(p),
            "shared_group": shared,
            "shared_word": int(name[shared]) if shared >= 0 else -1,
        },
    )


def contrast_clusters(response: np.ndarray, label: np.ndarray, count: int) -> np.ndarray:
    """Mean response of each cluster less that of all other voxels: (image, cluster).

    response: (image, voxel). label: (voxel,), below count. A single cluster is less nothing.
    """
    member = (label[:, None] == np.arange(count)).astype(np.float64)
    size = member.sum(axis=0)
    own = response @ (member / np.maximum(size, 1))
    others = response @ ((1 - member) / np.maximum(len(label) - size, 1))
    return own - others


def hold_out_contrasts(
    response: np.ndarray,
    halves: np.ndarray,
    parts: list[np.ndarray],
    label: np.ndarray,
    count: int,
) -> np.ndarray:
    """Contrast of each cluster in images that had no part in its grouping: (image, cluster).

    Clusters of each half of the images, named as in ``label``, are contrasted in the other half
    (:func:`contrast_clusters`), whose mean is taken away. halves: tuning z (half, reading, voxel,
    group). parts: positions of each half's images; 0 in images of neither half, and where there is
    one cluster.
    """
    contrast = np.zeros((len(response), count))
    if count > 1:
        for tuning, other in zip(halves, reversed(parts), strict=True):
            found = cut_tree(stand_for_voxels(tuning), range(count, count + 1))[0]
            values = contrast_clusters(response[other], match_labels(found, label), count)
            contrast[other] = values - values.mean(axis=0)
    return contrast


class ClusterWords(NamedTuple):
    """Words of clusters in order, up to the last that is sure."""

    group: np.ndarray
    """(cluster, rank): place among the readings' groups; -1: none"""
    added: np.ndarray
    """(cluster, rank): partial correlation with the contrast; nan for none"""
    p: np.ndarray
    """(cluster, rank): its probability, corrected for the words and clusters; nan for none"""


def list_cluster_words(
    contrast: np.ndarray,
    readings: WordReadings,
    images: np.ndarray,
    *,
    most: int,
    level: float,
    reading_reliability: float,
) -> ClusterWords:
    """List the words that tell clusters from others, each if it adds to those before it.

    Words ride on each other: a car is an automobile, and transport. The next word of a cluster is
    that of the reading that adds most to a regression of the contrast on the readings before it and
    on those of the shared word (:func:`mine.statistics.regression.forward_selection`); words are
    listed up to the first whose p, times the number of readings and clusters, exceeds ``level``.
    Clusters that differ but in how much they answer to the shared word would be told apart by words
    that tell where it is misread: readings are taken to hold ``reading_reliability`` of the
    variance of what they read. contrast: (image, cluster), of :func:`hold_out_contrasts`. images:
    positions of those that take part.
    """
    groups, clusters = len(readings.group), contrast.shape[1]
    shape = clusters, most
    words = ClusterWords(np.full(shape, -1), np.full(shape, np.nan), np.full(shape, np.nan))
    candidates = np.concatenate(readings.words, axis=1)[images]
    # Most words are read in few images, of which one with an outlier would decide.
    for cluster, values in enumerate(normal_scores(contrast[images]).T):
        selection = forward_selection(
            values,
            readings.shared[images],
            candidates,
            count=most,
            tests=candidates.shape[1] * clusters,
            reliability=reading_reliability,
        )
        sure = np.cumprod(selection.p <= level).astype(bool)
        # Both readings of a word may be taken; it is listed once.
        group, first = np.unique(selection.order[sure] % groups, return_index=True)
        step = np.sort(first)
        words.group[cluster, : len(step)] = group[np.argsort(first)]
        words.added[cluster, : len(step)] = selection.correlation[step]
        words.p[cluster, : len(step)] = selection.p[step]
    return words


def _draw_identification(
    halves_of: dict[str, np.ndarray],
    place: np.ndarray | None,
    draws: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Mean identification under each null: (source, null, draw), nan without voxels or places."""
    under_null = np.full((len(halves_of), len(NULLS), draws), np.nan)
    for row, (first, second) in enumerate(halves_of.values()):
        if not len(first):
            continue
        # Of either source nothing but products is asked.
        pair = span_halves(first, second)
        shared = prepare_shared(*pair)
        spatial = None if place is None else prepare_spatial(pair[1], spatial_basis(place))
        for draw in range(draws):
            under_null[row, 0, draw] = identify(*draw_shared(shared, generator)).mean()
            if spatial is not None:
                moved = draw_spatial(spatial, generator)
                under_null[row, 1, draw] = identify(pair[0], moved).mean()
    return under_null


def _draw_explained(
    halves: np.ndarray, clusters: int, draws: int, generator: np.random.Generator
) -> np.ndarray:
    """Largest explained variation under one shared tuning: (draw,), nan without voxels.

    halves: tuning z (half, reading, voxel, group).
    """
    explained = np.full(draws, np.nan)
    _, reading, voxel, group = halves.shape
    if voxel:
        shared = prepare_shared(*join_readings(halves))
        for draw in range(draws):
            drawn = draw_shared(shared, generator)
            again = [half.reshape(voxel, reading, group).transpose(1, 0, 2) for half in drawn]
            explained[draw] = np.nanmax(explain_across_halves(np.stack(again), most=clusters))
    return explained


def _test_words(
    contrast: np.ndarray, readings: WordReadings, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Each word for itself: z and false discovery rate, (cluster, group).

    contrast: (image, cluster), of :func:`hold_out_contrasts`. Of both readings the clearer counts,
    with twice its p.
    """
    z = sign_flip_tuning(contrast, readings, images).max(axis=0)
    p = np.minimum(2 * sign_flip_bound(z), 1)
    return z, benjamini_hochberg(p.ravel()).reshape(p.shape)
