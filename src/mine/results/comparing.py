"""Two analyses of the same voxels, of other models, encoders or seeds: do they predict as well, and
do they say the same of each voxel?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import rankdata

from mine.core.agreement import Agreement, correlate_profiles, scale_readings
from mine.core.evidence import leave_out_words, pair_lens
from mine.errors import InputError
from mine.logging import Progress
from mine.randomness import generator
from mine.shards import list_shards, open_images
from mine.statistics.bootstrap import bootstrap_mean
from mine.statistics.ceiling import CLEAR_CEILING
from mine.statistics.jackknife import divide_images, jackknife_interval
from mine.statistics.proportions import share_interval

if TYPE_CHECKING:
    from mine.results.folder import Results
    from mine.results.regions import Region

EQUAL = 0.05
"""Two encoders are about equally accurate in a voxel if R² on test images differs by at most so
much."""

LEAST_COLUMNS = 3
"""Fewer groups of synonyms in common have no order that could agree."""

WORD_MEASURES = ["listed_shared", "listed_shared_other", "first_word_shared"]

PLACES = ("space", "hemisphere", "index", "ijk")
"""Coordinates of responses that say where a voxel lies."""


@dataclass(frozen=True)
class Reading:
    """What one analysis says of the voxels of a region."""

    attributions: xr.Dataset
    """``token`` and ``attribution`` (sign, voxel, image, rank), on the images that both have"""
    lens: xr.Dataset
    """``word`` and ``score`` (image, token, rank), of the same images"""
    words: np.ndarray
    """(word,), its vocabulary"""
    group: np.ndarray
    """int (word,), its groups of synonyms"""
    profiles: xr.Dataset
    """``word`` and ``listed`` (sign, voxel, rank), ``described`` and ``predicted`` (voxel)"""
    r2: np.ndarray
    """(voxel,), of its encoder on test images"""


@dataclass(frozen=True)
class SharedWords:
    """The words that two vocabularies have."""

    place: tuple[dict[int, int], dict[int, int]]
    """of each vocabulary: place of a shared word there → its place among the shared ones"""
    group: np.ndarray
    """int (2, shared): its group of synonyms in either analysis"""

    @property
    def columns(self) -> np.ndarray:
        """Pairs of groups with a shared word in both, each once: int (2, column)."""
        return np.unique(self.group, axis=1)


def compare_results(first: Results, second: Results) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare two analyses, in the subjects and regions that both have.

    Returns a row for each voxel (:func:`compare_region`, with ``subject`` and ``roi``), and rows
    ``measure subject roi value low high n`` of each region. Raises InputError where they have no
    subject or no region in common, or a region's voxels are not the same.
    """
    voxels, rows, pairs = [], [], pair_regions(first, second)
    progress = Progress(sum(len(one.voxels) for one, _ in pairs), "voxels")
    for one, other in pairs:
        readings = read_regions(one, other)
        ceiling = one.subject.responses["noise_ceiling"].values[one.voxels]
        table, summary = compare_region(
            *readings, ceiling, seed=first.config.seed, progress=progress
        )
        place = {"subject": one.subject.name, "roi": one.name}
        voxels.append(table.assign(**place))
        rows.append(summary.assign(**place))
    columns = ["measure", "subject", "roi", "value", "low", "high", "n"]
    table = pd.concat(voxels, ignore_index=True)
    ordered = ["subject", "roi", *table.columns.drop(["subject", "roi"])]
    return table[ordered], pd.concat(rows, ignore_index=True)[columns]


def pair_regions(first: Results, second: Results) -> list[tuple[Region, Region]]:
    """Return the regions that two analyses have in common; InputError as of compare_results."""
    subjects = [name for name in first.subjects if name in second.subjects]
    if not subjects:
        raise InputError(
            f"{second.path}: expected a subject of {first.path}, {', '.join(first.subjects)}, "
            f"found {', '.join(second.subjects)}"
        )
    pairs = [
        (first[name][roi], second[name][roi])
        for name in subjects
        for roi in first[name].rois
        if roi in second[name].rois
    ]
    if not pairs:
        raise InputError(
            f"{second.path}: expected a region that {first.path} has too of {', '.join(subjects)}, "
            "found none"
        )
    for one, other in pairs:
        if not is_same(one, other):
            raise InputError(
                f"{other.path}: expected the voxels of {one.path}, found others; only analyses of "
                "the same voxels can be compared"
            )
    return pairs


def is_same(one: Region, other: Region) -> bool:
    """Whether two regions have the same voxels, by number and by place."""
    first, second = one.subject.responses, other.subject.responses
    if one.voxels != other.voxels or first.attrs["geometry"] != second.attrs["geometry"]:
        return False
    return all(
        np.array_equal(first[name].values[one.voxels], second[name].values[other.voxels])
        for name in PLACES
        if name in first.coords or name in second.coords
    )


def read_regions(one: Region, other: Region) -> tuple[Reading, Reading]:
    """Read what two analyses say of a region's voxels, on the images that both attributed.

    Raises InputError where these are fewer than two.
    """
    images = np.intersect1d(one.attributions["image"].values, other.attributions["image"].values)
    if len(images) < 2:
        raise InputError(
            f"{other.path}: expected two images or more that {one.path} attributed too, "
            f"found {len(images)}"
        )
    return read_region(one, images), read_region(other, images)


def read_region(region: Region, images: np.ndarray) -> Reading:
    """Read what an analysis says of a region's voxels, on some of its images."""
    results = region.results
    attributions = region.attributions[["token", "attribution"]]
    return Reading(
        attributions=attributions.sel(image=images).load(),
        lens=open_images(
            list_shards(results.embeddings / "lens/shards.json"), images, only=["word", "score"]
        ),
        words=results.words,
        group=results.base_rates["group"].values,
        profiles=region.profiles[["word", "listed", "described", "predicted"]].load(),
        r2=region.subject.scores["r2"].sel(model="mine").values[region.voxels],
    )


def share_words(first: Reading, second: Reading) -> SharedWords:
    """Find the words of both vocabularies. Raises InputError where they are of fewer than
    LEAST_COLUMNS groups."""
    _, *places = np.intersect1d(first.words, second.words, return_indices=True)
    shared = SharedWords(
        tuple({int(word): number for number, word in enumerate(place)} for place in places),
        np.stack([first.group[places[0]], second.group[places[1]]]),
    )
    if shared.columns.shape[1] < LEAST_COLUMNS:
        raise InputError(
            f"vocabularies: expected words in common, of {LEAST_COLUMNS} groups of synonyms or "
            f"more, found {shared.columns.shape[1]}"
        )
    return shared


def compare_region(
    first: Reading,
    second: Reading,
    noise_ceiling: np.ndarray,
    *,
    seed: int,
    progress: Progress | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare what two analyses say of the voxels of a region.

    noise_ceiling: (voxel,). progress: counts the voxels. Returns two tables. A row for each voxel:
    ``voxel``, ``noise_ceiling``, ``r2``, ``r2_other``, ``compared`` (both predict it, R² differs by
    at most EQUAL, and its ceiling is CLEAR_CEILING or more where one is known), and

    - profile_correlation: Spearman correlation of its profiles z over the groups of synonyms that
      have a word in both vocabularies; profile_correlation_others: mean of that with the profiles
      of the region's other voxels
    - listed_shared: of the words that the first lists and the second's vocabulary has, the share
      that the second lists too, or a synonym in either analysis; listed_shared_other: the reverse
    - first_word_shared: whether the first words are the same or synonyms. The last three are NaN
      unless both analyses describe the voxel, and where no such word is known to both.

    And rows ``measure value low high n`` of their means over the compared voxels: of correlations
    with 95% intervals of the jackknife over images (statistics.jackknife_interval), of shares
    with intervals over voxels, of R² without; ``compared`` is the share of the region's voxels.
    """
    known = np.isfinite(noise_ceiling).any()
    able = (np.abs(first.r2 - second.r2) <= EQUAL) & (~known | (noise_ceiling >= CLEAR_CEILING))
    able &= first.profiles["predicted"].values & second.profiles["predicted"].values
    words = share_words(first, second)
    found = _correlate(
        first, second, words, able, seed=seed, progress=progress or Progress(len(able), "voxels")
    )
    said = [_compare_words(first, second, words, voxel) for voxel in range(len(able))]
    table = pd.DataFrame(
        {
            "voxel": first.profiles["voxel"].values,
            "noise_ceiling": noise_ceiling,
            "r2": first.r2,
            "r2_other": second.r2,
            "compared": able,
            "profile_correlation": found.own,
            "profile_correlation_others": found.others,
        }
    ).join(pd.DataFrame(said, columns=WORD_MEASURES))
    return table, _summarise(table, found, seed=seed)


def _correlate(
    first: Reading,
    second: Reading,
    words: SharedWords,
    able: np.ndarray,
    *,
    seed: int,
    progress: Progress,
) -> Agreement:
    part = divide_images(
        first.attributions.sizes["image"], generator=generator(seed, "compare", "parts")
    )
    columns = words.columns
    blocks = _read_blocks((first, second), columns, part, progress)
    return correlate_profiles(blocks, able, columns=columns.shape[1])


def _read_blocks(
    readings: tuple[Reading, Reading],
    columns: np.ndarray,
    part: np.ndarray,
    progress: Progress,
    *,
    memory_bytes: int = 2**28,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of voxels with the ranks of their profiles, as correlate_profiles takes them."""
    voxels = readings[0].attributions.sizes["voxel"]
    groups = [int(each.group.max()) + 1 for each in readings]
    pairs = [pair_lens(each.lens, each.group) for each in readings]
    # Profiles, their ranks, those of both in one array, and those at unit length.
    profile_bytes = 64 * (part.max() + 2) * max(groups)
    size = max(1, memory_bytes // (profile_bytes + max(each.voxel_bytes for each in pairs)))
    for start in range(0, voxels, size):
        block = slice(start, min(start + size, voxels))
        ranks = []
        for number, each in enumerate(readings):
            some = each.attributions.isel(voxel=block)
            z = leave_out_words(some, pairs[number], part, groups=groups[number])
            ranks.append(rankdata(z[..., columns[number]], axis=-1))
        yield block, scale_readings(np.stack(ranks))
        progress.add(block.stop - block.start)


def _compare_words(
    first: Reading, second: Reading, words: SharedWords, voxel: int
) -> tuple[float, float, float]:
    """WORD_MEASURES of a voxel, by its place."""
    listed = []
    for each, place in zip((first, second), words.place, strict=True):
        own = each.profiles.sel(sign="positive").isel(voxel=voxel)
        if not own["described"]:
            return np.nan, np.nan, np.nan
        confirmed = own["word"].values[own["listed"].values]
        # -1: a word that the other vocabulary has not.
        listed.append(np.array([place.get(int(word), -1) for word in confirmed], dtype=int))
    same = _match(words.group, *listed)
    known = [each >= 0 for each in listed]
    shares = [
        float(same[known[0]].any(axis=1).mean()) if known[0].any() else np.nan,
        float(same[:, known[1]].any(axis=0).mean()) if known[1].any() else np.nan,
    ]
    firsts = all(len(each) and each[0] for each in known)
    return (*shares, float(same[0, 0]) if firsts else np.nan)


def _match(group: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether words are the same or synonyms in either analysis: bool (one, other), by places among
    the shared words, of which -1 is none. group: int (2, shared)."""
    same = (group[:, one, None] == group[:, None, other]).any(axis=0)
    return same & (one >= 0)[:, None] & (other >= 0)


def _summarise(table: pd.DataFrame, found: Agreement, *, seed: int) -> pd.DataFrame:
    """Rows ``measure value low high n`` of a region. table: its voxels, as of compare_region."""
    compared, draws = table[table["compared"]], generator(seed, "compare", "voxels")
    rows: list[tuple[object, ...]] = []
    count = len(compared)
    rows.append(
        ("compared", count / len(table), *share_interval(float(count), len(table)), len(table))
    )
    for name in ("r2", "r2_other"):
        rows.append((name, compared[name].mean(), np.nan, np.nan, count))
    for name, (value, *without) in (
        ("profile_correlation", found.mean_own),
        ("profile_correlation_others", found.mean_others),
    ):
        bounds = jackknife_interval(value, np.array(without), least=-1, greatest=1)
        rows.append((name, value, *bounds, count))
    for name in WORD_MEASURES:
        values = compared[name].dropna().to_numpy(dtype=float)
        if name == "first_word_shared" and len(values):
            bounds = (values.mean(), *share_interval(values.sum(), len(values)))
        else:
            bounds = tuple(bootstrap_mean(values, resamples=1000, generator=draws))
        rows.append((name, *bounds, len(values)))
    return pd.DataFrame(rows, columns=["measure", "value", "low", "high", "n"])
