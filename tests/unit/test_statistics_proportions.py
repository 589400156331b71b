"""Intervals of shares are the binomial ones of statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from mine.statistics.proportions import share_interval


@pytest.mark.parametrize(("successes", "count"), [(0, 5), (3, 9), (17, 17), (120, 131)])
def test_wilsons_interval_equals_statsmodels(successes, count):
    expected = proportion_confint(successes, count, alpha=0.05, method="wilson")
    np.testing.assert_allclose(share_interval(successes, count), expected, atol=1e-12)


def test_a_share_of_none_is_unknown():
    assert np.isnan(share_interval(0, 0)).all()
