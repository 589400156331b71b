"""Results follow from the configuration: not from cores, the order of jobs or sizes of batches."""

from __future__ import annotations

import re
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
SAID = {"descriptions": {"weight", "chance"}}
"""By store, numbers that stand beside what is ranked and change places with it."""

PROBABILITY = re.compile(r"(.*_)?[pq]")
"""What counts how many draws exceed a number, or follows from such counts."""
STEP = 1.1e-3
"""By how much a tie more or less changes a probability: of the ten images that a fit of the small
demo is validated on, each pattern of signs is drawn some ten times in 10,000."""
FINE = re.compile(r".*weight|attribution.*")
"""Weights and attributions, of which most are far smaller than the largest."""
SHARDED = (
    "embeddings/clip/images",
    "embeddings/clip/lens",
    "embeddings/convolutional/images",
    "low_level",
)
"""Folders of shards, whose images together are the same however large a shard is."""


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
    pairs = {
        str(path): (open_store(path), open_store(other / path.relative_to(finished)))
        for path in stores
    }
    print_differences(pairs)
    for name, pair in pairs.items():
        assert_alike(*pair, name)
    for folder in SHARDED:
        one, two = (open_shards(root / "results/small" / folder) for root in (finished, other))
        assert_alike(one, two, folder)
    tables = [root / "results/small/recovery.tsv" for root in (finished, other)]
    pd.testing.assert_frame_equal(*(pd.read_csv(table, sep="\t") for table in tables), rtol=1e-5)


def print_differences(pairs: dict[str, tuple[xr.Dataset, xr.Dataset]]) -> None:
    """Print how far variables of the same name in stores of the same name differ at most, beside
    their largest number: what docs/running.md says."""
    largest: dict[str, float] = {}
    for name, (one, other) in pairs.items():
        for key, values in one.variables.items():
            first, second = values.values, other[key].values
            if first.dtype.kind == "f":
                change = np.nanmax(np.abs(first - second, dtype=np.float64), initial=0)
                scale = np.nanmax(np.abs(first), initial=0) or 1.0
                own = f"{Path(name).name}: {key}"
                largest[own] = max(largest.get(own, 0.0), float(change / scale))
    for bound in (0, 1e-6, 1e-5):
        print(f"{sum(value <= bound for value in largest.values())} to {bound:g}", end=", ")
    print(f"of {len(largest)} variables")
    for own, value in sorted(largest.items(), key=lambda item: -item[1])[:20]:
        print(f"{value:.1e} {own}")


def open_shards(folder: Path) -> xr.Dataset:
    """Return the images of all shards of a folder as one dataset."""
    paths = sorted(folder.glob("*.zarr"), key=lambda path: int(path.stem))
    shards = [open_store(path).drop_attrs() for path in paths]
    options = {"data_vars": "minimal", "coords": "minimal", "compat": "equals", "join": "exact"}
    return xr.concat(shards, "image", **options).load()


def test_a_change_is_seen_that_is_small_beside_the_largest_number() -> None:
    weight, p = np.r_[1.0, np.full(999, 1e-4)], np.r_[1.0, np.full(999, 2e-4)]
    one = xr.Dataset({"ridge_weight": ("voxel", weight), "evaluator_p": ("voxel", p)})
    assert_alike(one, one, "same")
    rounded = one.assign(ridge_weight=one["ridge_weight"] * (1 + 1e-6))
    rounded["evaluator_p"][5] += 1e-4
    assert_alike(one, rounded, "rounded")
    for key, places, change in (
        ("ridge_weight", slice(5, 6), 5e-5),
        ("evaluator_p", slice(5, 6), 2e-3),
        ("evaluator_p", slice(5, 60), 1e-4),
    ):
        changed = one.copy(deep=True)
        changed[key][places] += change
        with pytest.raises(AssertionError, match=key):
            assert_alike(one, changed, "changed")


def assert_alike(one: xr.Dataset, other: xr.Dataset, name: str) -> None:
    """Numbers are equal but for rounding, by their kind; what is ranked in 999 places of 1,000; and
    all else, identities and coordinates before all, is the same.

    Weights and attributions are equal to 2e-5 of themselves and of their root mean square, p and q
    to 2e-5 of themselves but for one value in a hundred, which a tie may have changed, what stands
    beside words to 2e-5 but for one in 1,000, and all others to 2e-4 of the largest. Of numbers of
    half precision two neighbours count as one.
    """
    assert set(one.variables) == set(other.variables), name
    for key, values in one.variables.items():
        first, second = values.values, other[key].values
        if first.dtype.kind != "f":
            assert first.shape == second.shape, f"{name}: {key}"
            ranked = key in RANKED and key not in one.indexes
            changed = int((first != second).sum())
            assert changed <= (0.001 * first.size if ranked else 0), f"{name}: {key}"
            continue
        relative = max(2e-5, float(np.finfo(first.dtype).eps))
        first, second = first.astype(np.float64), second.astype(np.float64)
        # A sum of parts less the whole, where the quadrature is exact: nothing but rounding.
        largest = 1 if key == "completeness_error" else np.nanmax(np.abs(first), initial=0)
        tolerance = {"rtol": 0, "atol": 2e-4 * largest}
        if PROBABILITY.fullmatch(str(key)):
            tolerance = {"rtol": relative, "atol": STEP}
            alike = np.isclose(first, second, rtol=relative, atol=0, equal_nan=True)
            assert (~alike).sum() <= max(1, 0.01 * first.size), f"{name}: {key}"
        elif key in SAID.get(Path(name).stem, ()):
            alike = np.isclose(first, second, rtol=relative, atol=1e-5, equal_nan=True)
            assert (~alike).sum() <= 0.001 * first.size, f"{name}: {key}"
            continue
        elif FINE.fullmatch(str(key)):
            typical = np.sqrt(np.nanmean(first**2)) if np.isfinite(first).any() else 0
            tolerance = {"rtol": relative, "atol": 2e-5 * typical}
        elif relative > 2e-5:
            tolerance["rtol"] = relative
        np.testing.assert_allclose(first, second, **tolerance, err_msg=f"{name}: {key}")
