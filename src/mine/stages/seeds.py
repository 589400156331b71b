"""Whether explanations stay the same where an encoder is fitted again from another random start."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from mine.core.agreement import correlate_maps, correlate_profiles, scale_readings
from mine.core.evidence import LensPairs, leave_out_words, pair_lens
from mine.logging import split_work
from mine.sections import ALL
from mine.statistics.ceiling import CLEAR_CEILING
from mine.statistics.jackknife import jackknife_interval, leave_out_weights

TEXTS = {
    "own": "correlation of a voxel's profiles between random starts",
    "others": "correlation with profiles of the region's other voxels between random starts",
    "attribution_own": "rank correlation over an image's tokens of a voxel's attributions between "
    "random starts",
    "attribution_others": "rank correlation over an image's tokens with attributions of the "
    "region's other voxels between random starts",
}
MEASURES = {
    "own": "profile_seed_correlation{kind}",
    "others": "profile_seed_correlation{kind}_others",
    "attribution_own": "attribution_seed_correlation{kind}",
    "attribution_others": "attribution_seed_correlation{kind}_others",
}


def compare_seeds(
    attributions: Mapping[str, Sequence[xr.Dataset]],
    lens: xr.Dataset,
    group: np.ndarray,
    noise_ceiling: np.ndarray,
    *,
    part: np.ndarray,
    memory_bytes: int = 2**28,
) -> xr.Dataset:
    """Agreement of the profiles, and of the attributions behind them, that encoders from different
    random starts give of one region.

    attributions: kind of encoder, ``fitted`` or ``random`` (not fitted) -> those of each start, two
    or more, on the same images. lens: of these images. group: int (word,). noise_ceiling: (voxel,).
    part: int (image,), of statistics.jackknife.divide_images: what intervals leave out in turn, the
    same of all starts. memory_bytes: of profiles (1 + part, voxel, group), and of maps (voxel,
    image, token), that are in memory at once.

    Returns, means over all pairs of starts, of Pearson correlations over words:
    - own (kind, voxel): of a voxel's profile with its own of the other start; 0 for an empty one
    - others (kind, voxel): with those of the region's other voxels, NaN where it is the only one
    - attribution_own, attribution_others (kind, voxel): the same of attributions to an image, by
      Spearman correlation over its tokens, mean over images (core.agreement.correlate_maps)
    - noise_ceiling (voxel), as given
    - mean_<name> of these four (kind): their means over voxels with a ceiling of CLEAR_CEILING or
      more, over all where none is known, with <name>_interval (kind, bound): 95%, of the jackknife
      over images (statistics.jackknife_interval); voxels: how many these are
    """
    known = np.isfinite(noise_ceiling).any()
    able = noise_ceiling >= CLEAR_CEILING if known else np.ones(len(noise_ceiling), dtype=bool)
    groups, tokens, pairs = int(group.max()) + 1, lens.sizes["token"], pair_lens(lens, group)
    profiles = [
        correlate_profiles(
            _read_starts(starts, pairs, part, groups, memory_bytes), able, columns=groups
        )
        for starts in attributions.values()
    ]
    weights = leave_out_weights(part)
    maps = [
        correlate_maps(starts, weights, able, tokens=tokens, memory_bytes=memory_bytes)
        for starts in attributions.values()
    ]
    dataset = xr.Dataset(coords={"kind": list(attributions), "bound": ["low", "high"]})
    for name, text in TEXTS.items():
        found = maps if name.startswith("attribution") else profiles
        whose = name.removeprefix("attribution_")
        by_voxel = np.stack([getattr(each, whose) for each in found])
        value, *without = np.stack([getattr(each, f"mean_{whose}") for each in found], axis=1)
        dataset[name] = (("kind", "voxel"), by_voxel, {"long_name": text, "units": "1"})
        mean = f"mean over voxels of the {text}"
        dataset[f"mean_{name}"] = ("kind", value, {"long_name": mean, "units": "1"})
        bounds = np.stack(
            jackknife_interval(value, np.array(without), least=-1, greatest=1), axis=-1
        )
        described = {"long_name": f"95% interval of: {mean}", "units": "1"}
        dataset[f"mean_{name}_interval"] = (("kind", "bound"), bounds, described)
    ceiling = {"long_name": "noise ceiling", "units": "1"}
    dataset["noise_ceiling"] = ("voxel", noise_ceiling, ceiling)
    counted = {"long_name": "voxels that the means are over", "units": "1"}
    dataset["voxels"] = ((), int(able.sum()), counted)
    return dataset


def _read_starts(
    starts: Sequence[xr.Dataset],
    pairs: LensPairs,
    part: np.ndarray,
    groups: int,
    memory_bytes: int,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of voxels with their profiles, as correlate_profiles takes them."""
    # Profiles, those of all starts in one array, and those at unit length.
    profile_bytes = 32 * len(starts) * (part.max() + 2) * groups
    size = max(1, memory_bytes // (profile_bytes + pairs.voxel_bytes))
    for block in split_work(starts[0].sizes["voxel"], size=size, what="voxels"):
        profiles = [
            leave_out_words(one.isel(voxel=block), pairs, part, groups=groups) for one in starts
        ]
        yield block, scale_readings(np.stack(profiles))


def tabulate_seeds(
    compared: Mapping[tuple[str, str], xr.Dataset],
    described: Mapping[tuple[str, str], xr.DataArray],
    predicted: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """Rows measure, subject, roi, value, low, high, n.

    compared: of compare_seeds, with coordinate voxel, by (subject, roi).
    ``profile_seed_correlation`` of fitted encoders and ``profile_seed_correlation_random`` of
    untrained ones: ``mean_own``; ``…_others``: ``mean_others``; n: voxels. The same of attributions
    as ``attribution_seed_correlation``.

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
            measure = MEASURES[name].format(kind="" if kind == "fitted" else f"_{kind}")
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
