"""A forward selection is least squares step by step, and calibrated."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mine import statistics


def test_forward_selection_equals_least_squares_step_by_step():
    """Each step against scipy's partial correlation of residuals, and p against its t test."""
    random = np.random.default_rng(5)
    known = random.normal(size=(80, 2))
    candidates = random.normal(size=(80, 6)) + known[:, :1]
    candidates[:, 4] = 2 * candidates[:, 1]  # the same under another name
    response = known @ [1.0, -1.0] + candidates @ [0, 0.8, 0, 0.5, 0, -1.0]
    response += random.normal(size=80)
    found = statistics.forward_selection(response, known, candidates, count=6)
    taken: list[int] = []
    for index, r, p in zip(found.order, found.correlation, found.p, strict=True):
        design = np.column_stack([np.ones(80), known, candidates[:, taken]])
        free = lambda y, x=design: y - x @ np.linalg.lstsq(x, y, rcond=None)[0]  # noqa: E731
        others = [k for k in range(6) if k not in taken and not {k, *taken} >= {1, 4}]
        partial = [np.corrcoef(free(response), free(candidates[:, k]))[0, 1] for k in others]
        assert max(partial) == pytest.approx(r) and others[int(np.argmax(partial))] == index
        degrees = 80 - design.shape[1] - 1
        t = r * np.sqrt(degrees / (1 - r**2))
        assert p == pytest.approx(min(1, 6 * scipy.stats.t.sf(t, degrees)))
        taken.append(int(index))
    assert len({1, 4} & set(taken)) == 1 and 5 not in taken[:2]
    assert (found.correlation > 0).all()


def test_forward_selection_is_calibrated_and_takes_nothing_from_nothing():
    random = np.random.default_rng(6)
    draws = [
        statistics.forward_selection(
            random.normal(size=60),
            random.normal(size=(60, 1)),
            random.normal(size=(60, 20)),
            count=1,
        ).p[0]
        for _ in range(400)
    ]
    assert np.mean(np.array(draws) <= 0.05) <= scipy.stats.binom.ppf(0.999, 400, 0.05) / 400
    empty = statistics.forward_selection(
        random.normal(size=9), np.empty((9, 0)), np.empty((9, 0)), count=3
    )
    assert empty.order.size == empty.p.size == 0
