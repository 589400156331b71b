"""Laws of masks: what carries a feature, and where a control's mask goes."""

from __future__ import annotations

import numpy as np
import pytest

from mine.core.masks import carry_feature, move_mask, place_window, to_pixels


@pytest.fixture
def reading() -> np.ndarray:
    """Two blobs of a feature on a grid of 8 by 8, the second less clear but clear enough."""
    reading = np.full((8, 8), 0.01)
    reading[1:4, 1:3] = 0.9
    reading[5:7, 5:8] = 0.6
    return reading


def only(*places: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((8, 8), dtype=bool)
    for place in places:
        mask[place] = True
    return mask


def test_a_feature_is_carried_by_the_whole_blob_that_a_seed_touches(reading):
    mask = carry_feature(reading, only((2, 1)), dilation=0)
    assert (mask == (reading == 0.9)).all()


def test_patches_read_half_as_clearly_as_the_clearest_seed_carry_the_feature_too(reading):
    reading[1, 3], reading[3, 3] = 0.46, 0.44
    mask = carry_feature(reading, only((2, 1)), dilation=0)
    assert (mask == ((reading == 0.9) | (reading == 0.46))).all()


def test_a_clearer_blob_that_no_seed_touches_decides_nothing(reading):
    reading[5:7, 5:8] = 0.4  # less than half as clear as the other
    mask = carry_feature(reading, only((5, 5)), dilation=0)
    assert (mask == (reading == 0.4)).all()


def test_a_stray_seed_outside_the_feature_adds_nothing(reading):
    assert (
        carry_feature(reading, only((2, 1), (7, 0)), dilation=0)
        == carry_feature(reading, only((2, 1)), dilation=0)
    ).all()


def test_seeds_stand_for_themselves_where_nothing_is_read():
    seeds = only((0, 0), (4, 4))
    assert (carry_feature(np.zeros((8, 8)), seeds, dilation=0) == seeds).all()


def test_dilation_widens_by_one_patch_to_every_side_and_stays_inside(reading):
    mask = carry_feature(reading, only((2, 1)), dilation=1)
    expected = np.zeros((8, 8), dtype=bool)
    expected[0:5, 0:4] = True
    assert (mask == expected).all()


@pytest.mark.parametrize("peak", [(0, 0), (7, 7), (3, 4)])
def test_a_window_holds_the_peak_and_fits(peak):
    surface = np.zeros((8, 8))
    surface[peak] = 1
    mask = place_window(surface, side=0.5)
    assert mask.sum() == 16 and mask[peak]


def test_a_moved_mask_keeps_its_shape_and_leaves_its_place():
    mask = only((1, 1), (1, 2), (2, 1))
    value = np.zeros((8, 8))
    value[6, 6] = 1
    moved = move_mask(mask, value)
    assert not (moved & mask).any() and moved[6, 6]
    rows, columns = np.nonzero(moved)
    shape = {(row - rows.min(), column - columns.min()) for row, column in np.argwhere(moved)}
    assert shape == {(0, 0), (0, 1), (1, 0)}


def test_a_mask_too_large_to_leave_overlaps_least():
    mask = np.zeros((8, 8), dtype=bool)
    mask[:6] = True
    moved = move_mask(mask, np.zeros((8, 8)))
    assert moved[2:].all() and not moved[:2].any()


def test_a_mask_of_everything_stays():
    assert move_mask(np.ones((4, 4), dtype=bool), np.zeros((4, 4))).all()


def test_pixels_of_a_patch_share_its_mask():
    masks = np.random.default_rng(0).random((3, 4, 4)) < 0.5
    pixels = to_pixels(masks, height=10, width=8)
    assert pixels.shape == (3, 10, 8)
    assert (pixels[:, 9, 7] == masks[:, 3, 3]).all() and (pixels[:, 0, 0] == masks[:, 0, 0]).all()
    assert (to_pixels(masks, height=8, width=8).mean(axis=(1, 2)) == masks.mean(axis=(1, 2))).all()
