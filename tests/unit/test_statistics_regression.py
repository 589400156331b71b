"""A forward selection is least squares step by step, and calibrated."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mine.statistics.regression import forward_selection, normal_scores
from tests.reference.regression import robust_p


@pytest.mark.parametrize("reliability", [1.0, 0.8])
def test_forward_selection_equals_least_squares_step_by_step(reliability):
    """Each step against the partial correlation of residuals, p against HC3 as whole matrices."""
    random = np.random.default_rng(5)
    known = random.normal(size=(80, 2))
    candidates = random.normal(size=(80, 6)) + known[:, :1]
    candidates[:, 4] = 2 * candidates[:, 1]  # the same under another name
    response = known @ [1.0, -1.0] + candidates @ [0, 0.8, 0, 0.5, 0, -1.0]
    response += random.normal(size=80)
    found = forward_selection(response, known, candidates, count=6, reliability=reliability)
    taken: list[int] = []
    for index, r, p in zip(found.order, found.correlation, found.p, strict=True):
        design = np.column_stack([np.ones(80), known, candidates[:, taken]])
        free = lambda y, x=design: y - x @ np.linalg.lstsq(x, y, rcond=None)[0]  # noqa: E731
        others = [k for k in range(6) if k not in taken and not {k, *taken} >= {1, 4}]
        partial = [np.corrcoef(free(response), free(candidates[:, k]))[0, 1] for k in others]
        added = [add_beyond(response, design, candidates[:, k], reliability) for k in others]
        best = int(np.argmax(added))
        assert others[best] == index and partial[best] == pytest.approx(r)
        expected = robust_p(response, design, candidates[:, index], reliability=reliability)
        assert p == pytest.approx(min(1, 6 * expected))
        taken.append(int(index))
    assert len({1, 4} & set(taken)) == 1 and 5 not in taken[:2]
    assert (found.correlation > 0).all()


def add_beyond(
    response: np.ndarray, design: np.ndarray, candidate: np.ndarray, reliability: float
) -> float:
    """What a candidate adds to what is known by a measure of this reliability, b / |w|."""
    told = design @ np.linalg.lstsq(design, candidate, rcond=None)[0]
    weights = candidate - told
    if (told - told.mean()) @ response > 0:
        weights = weights - (1 / reliability - 1) * (told - told.mean())
    return weights @ response / np.linalg.norm(weights)


def test_words_that_tell_where_a_feature_is_misread_hide_no_word_that_adds():
    random, draws, images = np.random.default_rng(12), 60, 6000
    found = {"true": 0, "riders": 0}
    for _ in range(draws):
        feature, words = random.normal(size=images), random.normal(size=(images, 12))
        reading = np.sqrt(0.9) * feature + np.sqrt(0.1) * random.normal(size=images)
        words[:, 1:6] = 0.6 * feature[:, None] + 0.8 * words[:, 1:6]
        response = 0.5 * feature + 0.06 * words[:, 0] + random.normal(size=images)
        selection = forward_selection(response, reading[:, None], words, count=6, reliability=0.9)
        # As profiles list words: up to the first that is not sure.
        listed = selection.order[np.cumprod(selection.p <= 0.05).astype(bool)]
        found["true"] += 0 in listed
        found["riders"] += bool(np.isin(listed, np.arange(1, 6)).any())
    # By itself it would be found in 97% of them: an effect of 4.6 standard errors, 12 words.
    assert found["true"] >= 0.9 * draws
    assert found["riders"] <= scipy.stats.binom.ppf(0.999, draws, 0.05)


def test_what_is_known_counts_once_however_often_and_wherever_it_is_said():
    random = np.random.default_rng(7)
    known, candidates = random.normal(size=(60, 3)), random.normal(size=(60, 5))
    response = known.sum(axis=1) + candidates[:, 2] + random.normal(size=60)
    expected = forward_selection(response, known, candidates, count=5)
    again = np.column_stack([np.ones(60), known[:, 0], 3 * known[:, 0] - 1, known])
    found = forward_selection(response, again, candidates, count=5)
    assert found.order.tolist() == expected.order.tolist()
    np.testing.assert_allclose(found.correlation, expected.correlation, rtol=1e-9)
    np.testing.assert_allclose(found.p, expected.p, rtol=1e-9)


def draw_first_p(random: np.random.Generator, effect: float, *, count: int = 1) -> np.ndarray:
    """p of the steps of a selection among 20 candidates, the first of which has the effect."""
    candidates = random.normal(size=(60, 20))
    known = random.normal(size=(60, 1))
    response = effect * candidates[:, 0] + known[:, 0] + random.normal(size=60)
    found = forward_selection(response, known, candidates, count=count)
    return found.p[found.order == 0] if effect and count == 1 else found.p


def test_forward_selection_keeps_its_false_positive_rate_in_every_step():
    """Where nothing is, and in the second step where the first is certain to be right."""
    random, draws = np.random.default_rng(6), 2500
    for effect, step in ((0.0, 0), (4.0, 1)):
        p = [draw_first_p(random, effect, count=2)[step] for _ in range(draws)]
        found = np.sum(np.array(p) <= 0.05)
        assert found <= scipy.stats.binom.ppf(0.999, draws, 0.05), step


def test_forward_selection_keeps_it_where_the_variance_follows_what_is_known():
    """A voxel that sees half of the faces, and words that are read on faces alone."""
    random, draws, images = np.random.default_rng(8), 200, 400
    found = 0
    for _ in range(draws):
        face = random.random(images) < 0.3
        words = face[:, None] * (random.random((images, 40)) < 0.2) * random.random((images, 40))
        response = face * random.choice([0.0, 3.0], images) + random.normal(size=images)
        response = normal_scores(response)
        known = face[:, None].astype(float)
        found += forward_selection(response, known, words, count=1).p[0] <= 0.05
    assert found <= scipy.stats.binom.ppf(0.999, draws, 0.05)


def test_what_a_measure_misses_is_listed_only_where_it_is_taken_for_more_reliable_than_it_is():
    """Words that go with the feature, not with the response, and a reading of the feature that
    holds nine tenths of its variance."""
    random, draws, images = np.random.default_rng(10), 120, 3000
    found = {1.0: 0, 0.9: 0}
    for _ in range(draws):
        feature, words = random.normal(size=images), random.normal(size=(images, 20))
        reading = np.sqrt(0.9) * feature + np.sqrt(0.1) * random.normal(size=images)
        words = 0.6 * feature[:, None] + 0.8 * words
        response = feature + random.normal(size=images)
        for reliability in found:
            first = forward_selection(
                response, reading[:, None], words, count=1, reliability=reliability
            )
            found[reliability] += first.p[0] <= 0.05
    assert found[1.0] > 0.9 * draws
    assert found[0.9] <= scipy.stats.binom.ppf(0.999, draws, 0.05)


def test_reliability_takes_nothing_from_what_does_not_go_with_what_is_known():
    """Nor from the order, which is that of partial correlations."""
    random = np.random.default_rng(11)
    known = random.choice([-1.0, 1.0], size=(400, 1))
    apart = np.column_stack([np.repeat(random.normal(size=200), 2), random.normal(size=400)])
    apart[:, 0] -= known[:, 0] * (known[:, 0] @ apart[:, 0]) / 400
    against = apart[:, [1]] - known
    for candidates in (apart[:, [0]], against):
        response = 2 * known[:, 0] + candidates[:, 0] / 2 + random.normal(size=400)
        perfect, doubted = (
            forward_selection(response, known, candidates, count=1, reliability=reliability)
            for reliability in (1.0, 0.7)
        )
        assert doubted.order.tolist() == perfect.order.tolist() == [0]
        np.testing.assert_allclose(doubted.correlation, perfect.correlation, rtol=1e-12)
        np.testing.assert_allclose(doubted.p, perfect.p, rtol=1e-2)


@pytest.mark.parametrize("reliability", [0.0, -0.5, 1.1, np.nan])
def test_forward_selection_refuses_what_is_no_reliability(reliability):
    with pytest.raises(ValueError, match="reliability is above 0 and at most 1"):
        forward_selection(
            np.arange(9.0), np.ones((9, 1)), np.ones((9, 1)), count=1, reliability=reliability
        )


def test_forward_selection_power_rises_with_the_effect():
    random, found = np.random.default_rng(7), []
    for effect in (0.3, 0.5, 0.8):
        p = [draw_first_p(random, effect) for _ in range(200)]
        found.append(np.mean([len(each) == 1 and each[0] <= 0.05 for each in p]))
        # That of the t test at the corrected level, less what rivals by chance take first and what
        # an error that asks for less costs.
        critical = scipy.stats.t.isf(0.05 / 20, 57)
        power = scipy.stats.nct.sf(critical, 57, effect * np.sqrt(58))
        assert found[-1] > power - 3 * np.sqrt(power * (1 - power) / 200) - 0.1
    assert found == sorted(found)


def test_a_candidate_that_one_image_decides_is_no_evidence():
    random = np.random.default_rng(9)
    response = random.normal(size=50)
    response[7] = 20.0
    alone = np.zeros((50, 1))
    alone[7] = 1.0
    found = forward_selection(response, np.empty((50, 0)), alone, count=1)
    assert found.order.tolist() == [0] and found.p.tolist() == [1.0]


def test_forward_selection_takes_nothing_from_nothing():
    random = np.random.default_rng(6)
    empty = forward_selection(random.normal(size=9), np.empty((9, 0)), np.empty((9, 0)), count=3)
    assert empty.order.size == empty.p.size == 0


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_forward_selection_takes_nothing_of_a_constant_response(value):
    """Nor of one that is constant but for the rounding of float32."""
    random = np.random.default_rng(7)
    candidates = random.random((300, 20))
    for response in (
        np.full(300, value),
        value * (1 + 1e-7 * random.choice([-1, 1], 300)),
        value * candidates[:, 3],  # known from the first
    ):
        found = forward_selection(response, candidates[:, [3]], candidates, count=5)
        assert found.order.size == found.correlation.size == found.p.size == 0
    found = forward_selection(1 + value * candidates[:, 3], np.empty((300, 0)), candidates, count=5)
    assert found.order.tolist() == [3] * (value > 0) and (found.correlation < 1 + 1e-9).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_forward_selection_refuses_a_response_that_is_not_finite(value):
    random = np.random.default_rng(7)
    response = random.normal(size=30)
    response[4] = value
    with pytest.raises(ValueError, match="must be finite in all images"):
        forward_selection(response, np.empty((30, 0)), random.random((30, 3)), count=1)
