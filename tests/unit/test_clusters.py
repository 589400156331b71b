"""Laws of clusters: planted ones are found with their number, and none in noise."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from mine.core.clusters import (
    agree_on_clusters,
    count_clusters,
    cut_tree,
    explain_across_halves,
    explain_half,
    match_labels,
    share_clusters,
    stand_for_voxels,
)

SIZES = (12, 8, 6)


@pytest.fixture
def planted() -> np.ndarray:
    """Three clusters by three words of twenty."""
    return np.repeat(np.arange(len(SIZES)), SIZES)


def draw_half(labels: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """Tuning z (reading, voxel, group) of one half of the images."""
    tuning = random.standard_normal((2, len(labels), 20))
    tuning[0, np.arange(len(labels)), labels] += strength
    return tuning


def test_planted_clusters_are_found_with_their_number(planted):
    random = np.random.default_rng(0)
    halves = np.stack([draw_half(planted, 6, random) for _ in range(2)])
    count = count_clusters(explain_across_halves(halves, most=8))
    assert count == 3
    labels = cut_tree(stand_for_voxels(halves.mean(axis=0)), range(3, 4))[0]
    assert adjusted_rand_score(planted, labels) == 1


def test_clusters_of_noise_explain_nothing_of_the_other_half(planted):
    random = np.random.default_rng(1)
    found = [
        explain_across_halves(np.stack([draw_half(planted, 0, random) for _ in range(2)]), most=8)
        for _ in range(40)
    ]
    assert np.mean(found, axis=0).max() < 0
    assert np.mean([count_clusters(explained) > 1 for explained in found]) < 0.2


def test_explained_variation_equals_a_literal_loop(planted):
    values = np.random.default_rng(2).random((len(planted), 5))
    own, among_all = 0.0, 0.0
    labels = planted.copy()
    labels[0] = 7  # alone
    for voxel, row in enumerate(values):
        others = np.arange(len(values)) != voxel
        same = others & (labels == labels[voxel])
        everything = values[others].mean(axis=0)
        mean = values[same].mean(axis=0) if same.any() else everything
        own += np.square(row - mean).sum()
        among_all += np.square(row - everything).sum()
    assert explain_half(labels, values) == pytest.approx(1 - own / among_all)


def test_more_clusters_than_half_the_voxels_are_not_tried():
    explained = explain_across_halves(np.random.default_rng(3).random((2, 2, 6, 4)), most=8)
    assert len(explained) == 7 and np.isfinite(explained).tolist() == [True] * 2 + [False] * 5
    assert np.isnan(explain_across_halves(np.zeros((2, 2, 0, 4)), most=8)).all()
    assert count_clusters(np.full(7, np.nan)) == count_clusters(np.array([-0.1, -0.2])) == 1


def test_consensus_recovers_what_resamples_blur(planted):
    random = np.random.default_rng(4)
    together = share_clusters((draw_half(planted, 4, random) for _ in range(50)), 3)
    assert np.allclose(together, together.T) and (np.diagonal(together) == 1).all()
    labels, stability = agree_on_clusters(together, 3)
    assert adjusted_rand_score(planted, labels) == 1
    assert (np.bincount(labels) == SIZES).all()  # numbered by falling size
    assert (stability > 0).all() and (stability <= 1).all()


def test_memory_does_not_grow_with_the_number_of_resamples():
    voxels, resamples = 120, 80
    random = np.random.default_rng(6)
    drawn = random.normal(size=(resamples, 1, voxels, 3))
    tracemalloc.start()
    together = share_clusters(iter(drawn), 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * voxels**2 < resamples * voxels**2
    cuts = [cut_tree(stand_for_voxels(tuning), range(4, 5))[0] for tuning in drawn]
    expected = np.mean([labels[:, None] == labels for labels in cuts], axis=0)
    np.testing.assert_array_equal(together, expected)


def test_stability_is_one_for_perfect_agreement_and_unknown_alone():
    labels = np.array([0, 0, 1, 1, 2])
    found, stability = agree_on_clusters((labels[:, None] == labels).astype(float), 3)
    assert adjusted_rand_score(labels, found) == 1
    assert (stability[:4] == 1).all() and np.isnan(stability[4])


def test_only_what_a_voxel_answers_to_counts_however_strongly():
    tuning = np.array([[[3.0, -9.0], [1.0, 0.0]], [[0.0, -1.0], [0.5, -2.0]]])
    assert np.allclose(stand_for_voxels(tuning), [[1, 0], [1, 0]])
    assert (stand_for_voxels(-np.ones((2, 3, 4))) == 0).all()


def test_labels_are_renamed_as_in_the_reference():
    reference = np.array([0, 0, 0, 1, 1, 2])
    renamed = np.array([2, 2, 2, 0, 0, 1])
    assert (match_labels(renamed, reference) == reference).all()
    fewer = match_labels(np.array([1, 1, 1, 0, 0, 0]), reference)
    assert fewer[:5].tolist() == [0, 0, 0, 1, 1]
