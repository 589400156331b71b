"""Whether explanations stay the same where an encoder is fitted again from another random start."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from mine.statistics import bootstrap_mean, correlate_rows

# A voxel with a ceiling below this has hardly a profile that could be the same.
LEAST_CEILING = 0.3


def compare_seeds(
    profiles: Mapping[str, Sequence[np.ndarray]], noise_ceiling: np.ndarray
) -> xr.Dataset:
    """Agreement of the profiles that encoders from different random starts give of one region.

    profiles: kind of encoder, ``fitted`` or ``random`` (not fitted) -> z (voxel, group) of each
    start, two or more. noise_ceiling: (voxel,).

    Returns, means over all pairs of starts, of Pearson correlations over words:
    - own (kind, voxel): of a voxel's profile with its own of the other start; 0 for an empty one
    - others (kind, voxel): with those of the region's other voxels, NaN where it is the only one
    - noise_ceiling (voxel), as given
    """
    own, others = [], []
    for starts in profiles.values():
        pairs = [
            np.nan_to_num(correlate_rows(first, second))
            for first, second in itertools.permutations(starts, 2)
        ]
        matrix = np.mean(pairs, axis=0)
        own.append(np.diagonal(matrix))
        count = len(matrix) - 1
        rest = matrix.sum(axis=1) - np.diagonal(matrix)
        others.append(rest / count if count else np.full(len(matrix), np.nan))
    dataset = xr.Dataset(
        {
            "own": (("kind", "voxel"), np.stack(own)),
            "others": (("kind", "voxel"), np.stack(others)),
        },
        coords={"kind": list(profiles)},
    )
    dataset["noise_ceiling"] = ("voxel", noise_ceiling)
    for name, text in (
        ("own", "correlation of a voxel's profiles between random starts"),
        ("others", "correlation with profiles of the region's other voxels between random starts"),
        ("noise_ceiling", "noise ceiling"),
    ):
        dataset[name].attrs = {"long_name": text, "units": "1"}
    return dataset


def tabulate_seeds(
    compared: Mapping[tuple[str, str], xr.Dataset],
    *,
    resamples: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Rows measure, subject, roi, value, low, high, n of compare_seeds, by (subject, roi).

    ``profile_seed_correlation`` of fitted encoders and ``profile_seed_correlation_random`` of
    untrained ones: the mean of ``own`` over voxels with a ceiling of LEAST_CEILING or more, over
    all voxels where the dataset has no ceiling, with an interval from voxels resampled;
    ``…_others``: the same of ``others``. n: voxels.
    """
    rows = []
    for (subject, roi), dataset in compared.items():
        ceiling = dataset["noise_ceiling"].values
        able = (
            ceiling >= LEAST_CEILING if np.isfinite(ceiling).any() else np.ones(len(ceiling), bool)
        )
        for kind, name in itertools.product(dataset["kind"].values, ("own", "others")):
            values = dataset[name].sel(kind=kind).values[able]
            value, low, high = bootstrap_mean(values, resamples=resamples, generator=generator)
            measure = "profile_seed_correlation" + ("" if kind == "fitted" else f"_{kind}")
            measure += "" if name == "own" else "_others"
            rows.append((measure, subject, roi, value, low, high, int(np.isfinite(values).sum())))
    return pd.DataFrame(rows, columns=["measure", "subject", "roi", "value", "low", "high", "n"])
