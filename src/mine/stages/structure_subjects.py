"""Reproducibility of clusters: does the same region of two subjects fall into the same clusters?

Subjects are the unit of generalisation. Each pair of subjects is tested by itself
(mine.core.matching), with voxels dealt out anew; what is said of all is a mean over pairs, with an
interval over subjects.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd
import xarray as xr

from mine.core.matching import (
    LEAST_WORDS,
    Matching,
    contrast_tunings,
    draw_matchings,
    match_clusters,
)
from mine.randomness import generator
from mine.sections import ALL
from mine.statistics.bootstrap import interval
from mine.statistics.subjects import mean_over_pairs

STRUCTURE_VARIABLES = ("tuning", "word", "cluster", "cluster_word")
"""What is read of a store of mine.stages.structure, of the fit ``all``."""
COLUMNS = ["measure", "subject", "other", "roi", "cluster", "other_cluster", "word", "other_word"]
COLUMNS += ["value", "low", "high", "p", "n"]


def compare_structures(
    structures: Mapping[str, Mapping[str, xr.Dataset]],
    *,
    words: np.ndarray,
    draws: int,
    seed: int,
) -> pd.DataFrame:
    """Compare the clusters of each region between each pair of subjects.

    structures: stores of mine.stages.structure by subject and ROI, at least STRUCTURE_VARIABLES.
    words: (word,) the vocabulary. draws: of the null, from the seed and the names of the pair and
    the region, so that no other region or subject changes them. Returns a table with the columns
    ``COLUMNS``. Measures:

    - ``clusters``: how many a subject's region has, n described voxels
    - ``match``: correlation of one subject's cluster with its match in the other, each with the
      first of its words; clusters are counted from 1
    - ``matched``: mean of these, n of them, with p: how many draws of the null reach it, of the two
      subjects the larger. Only where both have clusters
    - ``null``: mean of the draws of that subject, with the interval that holds 95% of them
    - ``mismatched``: the same mean correlation of the region with *other* regions of the other
      subject, both ways, mean over n of them
    - ``specific``: ``matched`` less ``mismatched``

    Of ``matched``, ``null``, ``mismatched`` and ``specific`` rows of subject and other ``all`` are
    means over pairs with the jackknife's 95% interval over n subjects (nan for fewer than three),
    and rows of ROI ``all`` means over the pair's regions.
    """
    rows: list[dict[str, object]] = []
    for subject, by_roi in structures.items():
        for roi, structure in by_roi.items():
            count = structure.attrs["clusters"]
            row = {"measure": "clusters", "subject": subject, "roi": roi, "value": count}
            rows.append(row | {"n": structure.sizes["voxel"]})
    clustered = {
        subject: {roi: each for roi, each in by_roi.items() if each.attrs["clusters"] > 1}
        for subject, by_roi in structures.items()
    }
    for one, other in combinations(structures, 2):
        pair = {"subject": one, "other": other}
        for roi in [roi for roi in clustered[one] if roi in clustered[other]]:
            random = generator(seed, "structure_subjects", one, other, roi)
            found = _compare_region(clustered[one], clustered[other], roi, words, draws, random)
            rows += [pair | {"roi": roi} | row for row in found]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table = pd.concat([table, *_summarise(table, list(structures))], ignore_index=True)
    return table.astype(dict.fromkeys(("cluster", "other_cluster", "n"), "Int64"))


def _compare_region(
    first: Mapping[str, xr.Dataset],
    second: Mapping[str, xr.Dataset],
    roi: str,
    words: np.ndarray,
    draws: int,
    random: np.random.Generator,
) -> list[dict[str, object]]:
    """Rows of one region and pair of subjects, by whose clustered regions it is given."""
    parts = _share_words(first[roi], second[roi])
    if parts is None:
        return []
    found = _match(parts)
    value = float(found.correlation.mean())
    null = draw_matchings(*parts, draws=draws, generator=random)
    # Sums that differ by rounding alone count as ties.
    p = (1 + (null >= value - 1e-9).sum(axis=1)) / (1 + draws)
    larger = null[int(np.argmax(p))]
    low, high = interval(larger)
    rows = [
        {
            "measure": "match",
            "cluster": one + 1,
            "other_cluster": other + 1,
            "word": _first_word(first[roi], one, words),
            "other_word": _first_word(second[roi], other, words),
            "value": float(correlation),
        }
        for one, other, correlation in zip(*found, strict=True)
    ]
    count = len(found.correlation)
    rows.append({"measure": "matched", "value": value, "p": float(p.max()), "n": count})
    rows.append({"measure": "null", "value": larger.mean(), "low": low, "high": high, "n": draws})
    others = [(roi, name) for name in second if name != roi]
    others += [(name, roi) for name in first if name != roi]
    parts = [_share_words(first[one], second[other]) for one, other in others]
    known = [float(_match(each).correlation.mean()) for each in parts if each is not None]
    if known:
        mean = float(np.mean(known))
        rows.append({"measure": "mismatched", "value": mean, "n": len(known)})
        rows.append({"measure": "specific", "value": value - mean, "n": len(known)})
    return rows


def _share_words(first: xr.Dataset, second: xr.Dataset) -> tuple[tuple, tuple] | None:
    """Tuning (voxel, word) to the words that both read, and labels, of either; None for few."""
    _, *places = np.intersect1d(first["word"].values, second["word"].values, return_indices=True)
    if len(places[0]) < LEAST_WORDS:
        return None
    return tuple(
        (
            each["tuning"].sel(fit="all").max("reading").values[:, place].astype(np.float64),
            each["cluster"].values,
        )
        for each, place in zip((first, second), places, strict=True)
    )


def _match(parts: tuple[tuple, tuple]) -> Matching:
    return match_clusters(*(contrast_tunings(*part) for part in parts))


def _first_word(structure: xr.Dataset, cluster: int, words: np.ndarray) -> str:
    word = int(structure["cluster_word"].values[cluster, 0])
    return str(words[word]) if word >= 0 else ""


def _summarise(table: pd.DataFrame, subjects: list[str]) -> list[pd.DataFrame]:
    """Means over regions for each pair, and over pairs for each region and all of them."""
    measures = ["matched", "null", "mismatched", "specific"]
    own = table[table["measure"].isin(measures)]
    if own.empty:
        return []
    keys = ["measure", "subject", "other"]
    regions = own.groupby(keys, sort=False)["value"].agg(["mean", "size"]).reset_index()
    regions = regions.rename(columns={"mean": "value", "size": "n"}).assign(roi=ALL)
    rows = []
    for (measure, roi), part in pd.concat([own, regions]).groupby(["measure", "roi"], sort=False):
        values = np.full((len(subjects), len(subjects)), np.nan)
        for _, row in part.iterrows():
            place = subjects.index(row["subject"]), subjects.index(row["other"])
            values[place] = values[place[::-1]] = row["value"]
        # Correlations, and differences between two of them.
        most = 2 if measure == "specific" else 1
        found = mean_over_pairs(values[..., None], least=-most, greatest=most)
        row = {"measure": measure, "subject": ALL, "other": ALL, "roi": roi}
        row |= {name: float(getattr(found, name)[0]) for name in ("low", "high")}
        rows.append(row | {"value": float(found.mean[0]), "n": int(found.subjects[0])})
    return [regions, pd.DataFrame(rows)]
