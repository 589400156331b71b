"""What large stores take on disk is estimated from their shapes, and never below them."""

from __future__ import annotations

import pytest

from mine.disk import measure_attributions
from mine.sections import Attribution
from mine.stages.attributions import attribute
from tests.reference.problems import random_problem

FIXED = {"nodes": 2, "tolerance": 1.0, "maximum_nodes": 2, "voxel_batch": 9, "image_batch": 9}
SMALL = {"sign", "baseline_prediction"}
"""What grows with voxels alone, or with nothing."""


@pytest.mark.parametrize("fit", ["all", "first_half_shuffled", "all_random"])
def test_attributions_are_as_large_as_their_arrays(fit: str) -> None:
    problem, share = random_problem(), 4 / 12
    stored = attribute(*problem, **FIXED, token_fraction=share, keep_lowest=fit == "all")
    images, tokens = problem[1].shape[:2]
    voxels = stored.sizes["voxel"]
    taken = sum(stored[name].nbytes for name in stored.variables if name not in SMALL)
    options = Attribution(token_fraction=share)
    seen = images if fit.startswith("all") else 2 * images
    assert taken == measure_attributions(options, [fit], voxels=voxels, images=seen, tokens=tokens)


def test_of_more_images_than_are_read_only_these_count() -> None:
    few, many = Attribution(images=10), Attribution(images=None)
    size = {"voxels": 3, "tokens": 64}
    fits = ["all", "first_half"]
    assert measure_attributions(few, fits, images=1000, **size) == measure_attributions(
        few, fits, images=20, **size
    )
    assert measure_attributions(few, fits, images=8, **size) == measure_attributions(
        many, fits, images=8, **size
    )
    both = measure_attributions(many, fits, images=90, **size)
    assert both == sum(measure_attributions(many, [fit], images=90, **size) for fit in fits)
