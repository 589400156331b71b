"""Structure within a region: can its voxels be told apart, and do they fall into clusters?

All voxels of a region may share one profile; what they answer to besides (mine.core.tuning) is
measured in disjoint halves of the training images, and is structure only as far as the halves agree
(mine.core.identification, mine.core.clusters). A cluster's words come from images by which its
voxels were not chosen.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.special import ndtr

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
    bootstrap_mean,
    compare_halves,
    draw_shared,
    draw_spatial,
    identify,
    spatial_basis,
)
from mine.core.tuning import READINGS, WordReadings, find_shared_word, measure_tuning, read_words
from mine.statistics import benjamini_hochberg

FITS = ("all", "first_half", "second_half")
NULLS = ("shared", "spatial")


def measure_structure(
    profiles: xr.Dataset,
    response: np.ndarray,
    lens: xr.Dataset,
    group: np.ndarray,
    base_rate: np.ndarray,
    *,
    halves: tuple[np.ndarray, np.ndarray],
    place: np.ndarray,
    words: int,
    clusters: int,
    least_voxels: int,
    draws: int,
    resamples: int,
    exemplars: int,
    level: float,
    generator: np.random.Generator,
) -> xr.Dataset:
    """Measure the structure of one region (see the module's docstring).

    profiles: of mine.stages.profiles; only described voxels take part. response: (image, voxel of
    the profiles), measured, to the images of lens, all training images. group, base_rate: (word,).
    halves: identities of each half's images. place: (voxel, axis), millimetres. words: groups
    read, at most. clusters: at most. least_voxels: with fewer nothing is measured. draws: of each
    null. resamples: of the images for consensus, of the voxels for intervals. level: largest p at
    which there are clusters.

    Returns the store of docs/stores.md. Where there is no structure every voxel is in cluster 0.
    """
    described = np.flatnonzero(profiles["described"].values)
    if len(described) < least_voxels:
        described = described[:0]
    shared = find_shared_word(group[profiles["word"].sel(sign="positive").values[described, 0]])
    readings = read_words(lens, group, shared=shared, most=words)
    response = response[:, described]
    parts = [np.searchsorted(lens["image"].values, half) for half in halves]
    images = [np.arange(lens.sizes["image"]), *parts]
    tuning = np.stack([measure_tuning(response, readings, part) for part in images])
    attributed = profiles["group_z"].values[:, described].astype(np.float64)
    halves_of = {"tuning": _flatten(tuning[1:]), "attributions": attributed[1:]}
    explained = explain_across_halves(tuning[1:], most=clusters)
    identified, under_null, explained_null = _draw_nulls(
        halves_of, tuning.shape[1:], place[described], clusters, draws, generator
    )
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
    z, q = _read_clusters(response, readings, tuning, parts, label, count)
    contrast = contrast_clusters(response, label, count)
    best = np.argsort(-contrast, axis=0, kind="stable")[:exemplars].T
    voxels = profiles["voxel"].values[described]
    sources = list(halves_of)
    mean = [
        bootstrap_mean(values, resamples=resamples, generator=generator) for values in identified
    ]
    similarity = np.stack([compare_halves(*pair) for pair in halves_of.values()])
    found = np.array(mean)[:, :1, None]
    exceeding = (under_null >= found).sum(axis=2)
    named = name_groups(group, base_rate)[readings.group]
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
                ("source", "voxel"),
                identified,
                {"long_name": "share of the other voxels from which it is told apart"},
            ),
            "identification_mean": (
                ("source", "bound"),
                np.stack(mean),
                {"long_name": "mean over voxels"},
            ),
            "identification_null": (
                ("source", "null", "draw"),
                under_null.astype(np.float32),
                {"long_name": "mean over voxels under the null"},
            ),
            "identification_p": (
                ("source", "null"),
                np.where(np.isfinite(found[..., 0]), (1 + exceeding) / (1 + draws), np.nan),
                {"long_name": "share of draws of the null that reach the mean"},
            ),
            "similarity": (
                ("source", "voxel", "other"),
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
            "bound": ["value", "low", "high"],
            "voxel": voxels,
            "count": np.arange(2, clusters + 1),
        },
        attrs={
            "clusters": count if len(described) else 0,
            "clusters_p": float(p),
            "shared_group": shared,
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


def name_groups(group: np.ndarray, base_rate: np.ndarray) -> np.ndarray:
    """The most frequent word of each group of synonyms: index of the word, (group,)."""
    order = np.lexsort((-base_rate, group))
    _, start = np.unique(group[order], return_index=True)
    return order[start]


def _flatten(tuning: np.ndarray) -> np.ndarray:
    """(half, reading, voxel, group) → (half, voxel, reading and group)."""
    half, reading, voxel, group = tuning.shape
    return tuning.transpose(0, 2, 1, 3).reshape(half, voxel, reading * group)


def _draw_nulls(
    halves_of: dict[str, np.ndarray],
    shape: tuple[int, ...],
    place: np.ndarray,
    clusters: int,
    draws: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Identification (source, voxel), its mean under each null (source, null, draw), and the
    largest explained variation under one shared tuning (draw,).

    shape: of one half's tuning, (reading, voxel, group).
    """
    identified = np.stack([identify(*pair) for pair in halves_of.values()])
    under_null = np.full((len(halves_of), len(NULLS), draws), np.nan)
    explained = np.full(draws, np.nan)
    if not len(place):
        return identified, under_null, explained
    basis = spatial_basis(place)
    for draw in range(draws):
        for row, (source, (first, second)) in enumerate(halves_of.items()):
            drawn = draw_shared(first, second, generator)
            moved = draw_spatial(second, basis, generator)
            under_null[row, :, draw] = identify(*drawn).mean(), identify(first, moved).mean()
            if source == "tuning":
                reading, voxel, group = shape
                again = [half.reshape(voxel, reading, group).transpose(1, 0, 2) for half in drawn]
                explained[draw] = np.nanmax(explain_across_halves(np.stack(again), most=clusters))
    return identified, under_null, explained


def _read_clusters(
    response: np.ndarray,
    readings: WordReadings,
    tuning: np.ndarray,
    parts: list[np.ndarray],
    label: np.ndarray,
    count: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Words that tell a cluster from the others: z and false discovery rate, (cluster, group).

    Clusters of each half, renamed as in ``label``, are contrasted in the responses to the other
    half, and the two z added (Stouffer); of both readings the clearer counts, twice its p.
    """
    if count == 1:
        return np.zeros((1, len(readings.group))), np.ones((1, len(readings.group)))
    total = 0.0
    for grouped, other in ((tuning[1], parts[1]), (tuning[2], parts[0])):
        found = cut_tree(stand_for_voxels(grouped), range(count, count + 1))[0]
        contrast = contrast_clusters(response, match_labels(found, label), count)
        total = total + measure_tuning(contrast, readings, other)
    z = (total / np.sqrt(2)).max(axis=0)
    p = np.minimum(2 * ndtr(-z), 1)
    return z, benjamini_hochberg(p.ravel()).reshape(p.shape)
