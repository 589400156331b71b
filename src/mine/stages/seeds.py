"""Whether explanations stay the same where an encoder is fitted again from another random start."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from mine.core.evidence import resample_words
from mine.sections import ALL
from mine.statistics import CLEAR_CEILING, interval

TEXTS = {
    "own": "correlation of a voxel's profiles between random starts",
    "others": "correlation with profiles of the region's other voxels between random starts",
}


def compare_seeds(
    attributions: Mapping[str, Sequence[xr.Dataset]],
    lens: xr.Dataset,
    group: np.ndarray,
    noise_ceiling: np.ndarray,
    *,
    weights: np.ndarray,
    memory_bytes: int = 2**28,
) -> xr.Dataset:
    """Agreement of the profiles that encoders from different random starts give of one region.

    attributions: kind of encoder, ``fitted`` or ``random`` (not fitted) -> those of each start, two
    or more, on the same images. lens: of these images. group: int (word,). noise_ceiling: (voxel,).
    weights: (resample, image), see statistics.bootstrap_weights: the same resamples for all starts.
    memory_bytes: of profiles (resample, voxel, group) that are in memory at once.

    Returns, means over all pairs of starts, of Pearson correlations over words:
    - own (kind, voxel): of a voxel's profile with its own of the other start; 0 for an empty one
    - others (kind, voxel): with those of the region's other voxels, NaN where it is the only one
    - noise_ceiling (voxel), as given
    - mean_own, mean_others (kind): their means over voxels with a ceiling of CLEAR_CEILING or more,
      over all where none is known, with <name>_interval (kind, bound): 95% bootstrap percentiles
      over images; voxels: how many these are
    """
    known = np.isfinite(noise_ceiling).any()
    able = noise_ceiling >= CLEAR_CEILING if known else np.ones(len(noise_ceiling), dtype=bool)
    # All images once are the first of the resamples.
    drawn = np.vstack([np.full(weights.shape[1], 1 / weights.shape[1]), weights])
    found = [
        _correlate_starts(starts, lens, group, drawn, able, memory_bytes)
        for starts in attributions.values()
    ]
    dataset = xr.Dataset(coords={"kind": list(attributions), "bound": ["low", "high"]})
    for place, (name, text) in enumerate(TEXTS.items()):
        by_voxel, draws = (
            np.stack([part[place] for part in half]) for half in zip(*found, strict=True)
        )
        dataset[name] = (("kind", "voxel"), by_voxel, {"long_name": text, "units": "1"})
        mean = f"mean over voxels of the {text}"
        dataset[f"mean_{name}"] = ("kind", draws[:, 0], {"long_name": mean, "units": "1"})
        bounds = np.stack(interval(draws[:, 1:], axis=1), axis=-1)
        described = {"long_name": f"95% interval of: {mean}", "units": "1"}
        dataset[f"mean_{name}_interval"] = (("kind", "bound"), bounds, described)
    ceiling = {"long_name": "noise ceiling", "units": "1"}
    dataset["noise_ceiling"] = ("voxel", noise_ceiling, ceiling)
    counted = {"long_name": "voxels that the means are over", "units": "1"}
    dataset["voxels"] = ((), int(able.sum()), counted)
    return dataset


def _correlate_starts(
    starts: Sequence[xr.Dataset],
    lens: xr.Dataset,
    group: np.ndarray,
    drawn: np.ndarray,
    able: np.ndarray,
    memory_bytes: int,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Own and others by voxel (voxel,), and as means over able voxels by resample (resample,)."""
    voxels, groups, resamples = len(able), int(group.max()) + 1, len(drawn)
    pairs = list(itertools.permutations(range(len(starts)), 2))
    # Profiles at unit length: summed over the able voxels and over all, and those of all images.
    asking, answering = np.zeros((2, len(starts), resamples, groups))
    whole = np.empty((len(starts), voxels, groups))
    own = np.empty((resamples, voxels))
    block = max(1, memory_bytes // (8 * len(starts) * resamples * groups))
    for first in range(0, voxels, block):
        part = slice(first, min(first + block, voxels))
        profiles = np.stack(
            [_scale(resample_words(start.isel(voxel=part), lens, group, drawn)) for start in starts]
        )
        asking += profiles[:, :, able[part]].sum(axis=2)
        answering += profiles.sum(axis=2)
        whole[:, part] = profiles[:, 0]
        own[:, part] = np.mean(
            [(profiles[one] * profiles[other]).sum(axis=-1) for one, other in pairs], axis=0
        )
    others = np.mean([(whole[a] * answering[b, 0]).sum(axis=-1) for a, b in pairs], axis=0) - own[0]
    total = np.mean([(asking[a] * answering[b]).sum(axis=-1) for a, b in pairs], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        others = others / np.float64(voxels - 1)
        mean = own[:, able].sum(axis=1) / np.float64(able.sum())
        total = (total - own[:, able].sum(axis=1)) / np.float64(able.sum() * (voxels - 1))
    return (own[0], others), (mean, total)


def _scale(profiles: np.ndarray) -> np.ndarray:
    """Profiles (…, group) less their mean, at unit length; empty ones are 0."""
    centred = profiles - profiles.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(centred, axis=-1, keepdims=True)
    return np.where(length > 1e-9, centred / np.maximum(length, 1e-9), 0.0)


def tabulate_seeds(
    compared: Mapping[tuple[str, str], xr.Dataset],
    described: Mapping[tuple[str, str], xr.DataArray],
    predicted: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """Rows measure, subject, roi, value, low, high, n.

    compared: of compare_seeds, with coordinate voxel, by (subject, roi).
    ``profile_seed_correlation`` of fitted encoders and ``profile_seed_correlation_random`` of
    untrained ones: ``mean_own``; ``…_others``: ``mean_others``; n: voxels.

    described: bool (voxel,), of the same voxels, by (subject, roi): what the analysis describes
    where its encoders were never fitted; empty where this was not asked. predicted: subject -> bool
    (voxel,), which voxels it takes to be predicted where they were fitted to shuffled responses.
    ``randomised_described``, ``shuffled_predicted``: the share of the region's voxels, and under
    ``all`` of the voxels of any region, each once and if it holds in any, without an interval. A
    voxel that is not predicted is not described, so that the latter is a bound.
    """
    rows: list[tuple[object, ...]] = []
    for (subject, roi), dataset in compared.items():
        for kind, name in itertools.product(dataset["kind"].values, TEXTS):
            here = dataset.sel(kind=kind)
            measure = "profile_seed_correlation" + ("" if kind == "fitted" else f"_{kind}")
            measure += "" if name == "own" else "_others"
            low, high = here[f"mean_{name}_interval"].values
            value, count = float(here[f"mean_{name}"]), int(dataset["voxels"])
            rows.append((measure, subject, roi, value, low, high, count))
    shares = []
    for (subject, roi), dataset in compared.items():
        voxels = dataset["voxel"].values
        frame = {"voxel": voxels, "shuffled_predicted": predicted[subject][voxels]}
        if described:
            frame["randomised_described"] = described[subject, roi].sel(voxel=voxels).values
        shares.append(pd.DataFrame(frame).assign(subject=subject, roi=roi))
    table = pd.concat(shares)
    once = table.groupby(["subject", "voxel"], as_index=False, sort=False).max().assign(roi=ALL)
    for (subject, roi), own in pd.concat([table, once]).groupby(["subject", "roi"], sort=False):
        for measure in own.columns.intersection(["randomised_described", "shuffled_predicted"]):
            rows.append((measure, subject, roi, own[measure].mean(), np.nan, np.nan, len(own)))
    return pd.DataFrame(rows, columns=["measure", "subject", "roi", "value", "low", "high", "n"])
