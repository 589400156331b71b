"""Results follow from the configuration: not from cores, the order of jobs or sizes of batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mine.stores import open_store
from tests.workflow.running import SMALLER, make_smaller, manifests, run

pytestmark = pytest.mark.slow

# To be asked for one after the other, each with what it still needs.
TARGETS = [
    "results/small/subj02/PPA/sufficiency.json",
    "results/small/subj02/baselines.json",
    "results/small/subj01/control/profiles.json",
]

# Sizes that bound memory, none a divisor of what it divides.
OTHER_SIZES = {
    "backbone": {"batch_size": 23, "shard_size": 77},
    "evaluator": {"batch_size": 19},
    "attribution": {"image_batch": 7, "voxel_batch": 5},
    "encoder": {"voxel_batch": 5},
    "generator": {"batch_size": 3},
}


RANKED = {"word", "description", "profile", "cluster_word", "shuffled_word"}
RANKED |= {"token", "lowest", "patch", "exemplar"}
"""Words, tokens and images in the order of a number, or what is said of them: two of them change
places where their numbers are as good as equal."""


def test_neither_cores_nor_the_order_of_jobs_change_a_store(
    finished: Path, tmp_path: Path, repository: Path
) -> None:
    other = make_smaller(tmp_path / "run", repository)
    for target in TARGETS:
        run(other, target, cores=1)
    run(other, cores=1)
    first, second = manifests(finished), manifests(other)
    assert len(first) > 50 and first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_sizes_of_batches_and_shards_change_no_result_beyond_rounding(
    finished: Path, tmp_path: Path, repository: Path
) -> None:
    sizes = {key: SMALLER.get(key, {}) | value for key, value in OTHER_SIZES.items()}
    other = make_smaller(tmp_path / "run", repository, **sizes, memory_gb=3)
    run(other)
    stores = [
        path
        for path in sorted((finished / "results/small").rglob("*.zarr"))
        if "embeddings/" not in str(path) and "low_level/" not in str(path)
    ]
    assert len(stores) > 100
    for path in stores:
        assert_alike(open_store(path), open_store(other / path.relative_to(finished)), str(path))
    tables = [root / "results/small/recovery.tsv" for root in (finished, other)]
    pd.testing.assert_frame_equal(*(pd.read_csv(table, sep="\t") for table in tables), rtol=1e-5)


def assert_alike(one: xr.Dataset, other: xr.Dataset, name: str) -> None:
    """Numbers are equal to 2e-4 of the largest, what is ranked in 999 places of 1,000, and all
    else, identities and coordinates before all, is the same."""
    assert set(one.variables) == set(other.variables), name
    for key, values in one.variables.items():
        first, second = values.values, other[key].values
        if first.dtype.kind != "f":
            assert first.shape == second.shape, f"{name}: {key}"
            ranked = key in RANKED and key not in one.indexes
            changed = int((first != second).sum())
            assert changed <= (0.001 * first.size if ranked else 0), f"{name}: {key}"
            continue
        first, second = first.astype(np.float64), second.astype(np.float64)
        # A sum of parts less the whole, where the quadrature is exact: nothing but rounding.
        largest = 1 if key == "completeness_error" else np.nanmax(np.abs(first), initial=0)
        # One draw of 10,000 sign flips more or less is 1e-4.
        np.testing.assert_allclose(
            first, second, rtol=0, atol=2e-4 * largest, err_msg=f"{name}: {key}"
        )
