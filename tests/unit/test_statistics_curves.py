"""An area under a curve is scipy's."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate

from mine.statistics.curves import area_under_curve


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def test_area_under_curve_is_scipys_over_the_range(generator):
    points = np.array([0, 0.02, 0.1, 0.3, 0.8])
    values = generator.normal(size=(3, 5, 4))
    expected = scipy.integrate.trapezoid(values, points, axis=1) / 0.8
    np.testing.assert_allclose(area_under_curve(values, points, axis=1), expected)
    assert area_under_curve(np.full(5, 2.5), points) == pytest.approx(2.5)
    with pytest.raises(ValueError, match="must rise"):
        area_under_curve(values[0, 0], points[[0, 0, 1, 2]])
