"""Laws of the jackknife over parts of the images."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from mine.statistics.jackknife import divide_images, jackknife_interval, leave_out_weights


def test_parts_hold_every_image_once_and_equally_many():
    for images, parts in ((7, 50), (50, 50), (1043, 50)):
        part = divide_images(images, generator=np.random.default_rng(0))
        sizes = np.bincount(part)
        assert len(sizes) == min(images, parts) and np.ptp(sizes) <= 1
    with pytest.raises(ValueError, match="two images or more are needed; found 1"):
        divide_images(1, generator=np.random.default_rng(0))


def test_weights_give_means_without_each_part():
    values = np.random.default_rng(1).normal(size=(11, 3))
    part = divide_images(11, generator=np.random.default_rng(2), parts=4)
    means = leave_out_weights(part) @ values
    expected = [values.mean(axis=0), *(values[part != left].mean(axis=0) for left in range(4))]
    np.testing.assert_allclose(means, expected)


def test_interval_of_a_mean_is_students():
    values = np.random.default_rng(3).normal(size=(12, 2))
    value, *without = leave_out_weights(np.arange(12)) @ values
    found = jackknife_interval(value, np.array(without))
    error = scipy.stats.sem(values, axis=0)
    expected = scipy.stats.t.interval(0.95, 11, loc=values.mean(axis=0), scale=error)
    np.testing.assert_allclose(found, expected)


def test_interval_ends_at_what_the_statistic_can_be_and_is_unknown_where_that_is():
    value, without = np.array([0.9, -0.9, 0.2, np.nan]), np.ones((3, 4))
    without[:, :3] = value[:3] + np.array([-0.1, 0, 0.1])[:, None]
    without[:, 2] = 0.2
    without[:, 3] = np.nan
    low, high = jackknife_interval(value, without, least=-1, greatest=1)
    assert high[0] == 1 and low[0] < 0.9 and low[1] == -1 and high[1] > -0.9
    assert (low[2], high[2]) == pytest.approx((0.2, 0.2)) and np.isnan([low[3], high[3]]).all()
