"""Recovery of structure: are planted second features found as clusters, and none where none are?

:func:`tabulate_structure` lists the voxels of one region with what was planted and found;
:func:`summarise_structure` turns those of all subjects into rows of the recovery table.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from sklearn.metrics import adjusted_rand_score

from mine.core.identification import identify
from mine.core.tuning import WordReadings, join_readings, measure_tuning
from mine.demo.planting import REGIONS
from mine.demo.words import BACKGROUNDS, CATEGORIES
from mine.statistics.bootstrap import interval
from mine.statistics.effects import clustered_mean
from mine.statistics.proportions import share_interval

LEAST_LABELLED = 4  # voxels with a planted label that a region needs for its clusters to be scored

STRUCTURED = {region.name for region in REGIONS if region.seconds}
UNSTRUCTURED = {
    region.name for region in REGIONS if set(region.mains) & set(CATEGORIES) and not region.seconds
}


def label_voxels(truth: xr.Dataset) -> np.ndarray:
    """What a voxel was planted with besides what its region shares, or empty: text (voxel,).

    The second feature that dominates its mixture (:data:`mine.demo.planting.DOMINANT`), or a
    background that is its main feature; a voxel of a mixture has no label.
    """
    kind, word = truth["second_kind"].values.astype(str), truth["second_word"].values.astype(str)
    main = truth["main"].values.astype(str)
    second = np.char.strip(np.char.add(np.char.add(kind, " "), word))
    return np.where(np.isin(main, list(BACKGROUNDS)), main, second)


def identify_planted(
    response: np.ndarray, readings: WordReadings, halves: list[np.ndarray]
) -> np.ndarray:
    """Identification of each voxel by its noiseless response, on the same images: (voxel,).

    response: (image, voxel), to the images of the readings. halves: positions of each half's.
    """
    first, second = (join_readings(measure_tuning(response, readings, half)) for half in halves)
    return identify(first, second)


def tabulate_structure(
    structure: xr.Dataset, label: np.ndarray, identification_planted: np.ndarray
) -> pd.DataFrame:
    """List the voxels of one region, a row each.

    structure: store of the ROI. label: (voxel of the subject,), of :func:`label_voxels`.
    identification_planted: (roi_voxel of the structure,). Columns: ``voxel``, ``label``,
    ``cluster`` from 1, missing where a voxel is not described, ``clusters`` of the region,
    ``identification`` by measured responses, ``identification_planted``, and ``null_low`` and
    ``null_high``, between which 95% of the draws of one shared tuning have their mean.
    """
    own = structure.sel(source="tuning")
    low, high = interval(own["identification_null"].sel(null="shared").values)
    voxel = structure["roi_voxel"].values
    cluster = pd.Series(structure["cluster"].values + 1, structure["voxel"].values, dtype="Int64")
    return pd.DataFrame(
        {
            "voxel": voxel,
            "label": label[voxel],
            "cluster": cluster.reindex(voxel).array,
            "clusters": structure.attrs["clusters"],
            "identification": own["identification"].values,
            "identification_planted": identification_planted,
            "null_low": low,
            "null_high": high,
        }
    )


def summarise_structure(
    voxels: pd.DataFrame, *, resamples: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Rows ``measure subject roi value low high n`` for each subject and region and all together.

    voxels: of :func:`tabulate_structure`, with columns subject and roi. Where structure was
    planted: ``cluster_ari``, adjusted Rand index of clusters and labels over described voxels with
    a label, the mean over regions; ``identification``; ``identification_planted``; and
    ``identification_share``, the share of (identification_planted − ½) that identification − ½ is.
    In regions planted without: ``identification_unstructured`` and ``clusters_found_unstructured``,
    the share of regions with clusters. ``identification_chance``, of single regions, is ½ with the
    interval of the null. n is the number of voxels; of ``clusters_found_unstructured``, of regions.

    Voxels of a region are told apart from each other and share their noise, so that an interval of
    identification leaves out at a time a part, all voxels of a region in a subject
    (:func:`mine.statistics.effects.clustered_mean`); of few parts, such as of a single region,
    there is none.
    """
    rows: list[tuple[object, ...]] = []
    scores = _score_clusters(voxels, resamples, generator)
    for subject, roi, own in _groups(voxels):
        regions = set(zip(own["subject"], own["roi"], strict=True))
        structured = own[own["roi"].isin(STRUCTURED)]
        plain = own[own["roi"].isin(UNSTRUCTURED)]
        found = {
            "cluster_ari": _average_scores([scores[key] for key in scores if key in regions]),
            "identification": _average(structured, "identification"),
            "identification_planted": _average(structured, "identification_planted"),
            "identification_share": _share_identification(structured),
        }
        if roi != "all":
            found["identification_unstructured"] = _average(plain, "identification")
            found["clusters_found_unstructured"] = _count_clustered(plain)
            if subject != "all":
                limits = own[["null_low", "null_high"]].iloc[0]
                found["identification_chance"] = (0.5, *limits, len(own))
        rows += [(measure, subject, roi, *row) for measure, row in found.items() if row]
    columns = ["measure", "subject", "roi", "value", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


Row = tuple[float, float, float, int]


def _groups(voxels: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Each region and all of them, of each subject and of all."""
    return [
        (str(subject), str(roi), own)
        for subject, part in [*voxels.groupby("subject"), ("all", voxels)]
        for roi, own in [*part.groupby("roi"), ("all", part)]
    ]


def _score_clusters(
    voxels: pd.DataFrame, resamples: int, generator: np.random.Generator
) -> dict[tuple[str, str], tuple[int, np.ndarray]]:
    """Adjusted Rand index by subject and region: number of voxels, and (1 + resamples,), the value
    and then draws.

    The draws are random halves of the region's voxels: their index varies as that of all voxels
    drawn with replacement does (Shao & Wu 1989, Annals of Statistics 17), but no voxel is in a pair
    with itself.
    """
    scores = {}
    labelled = voxels[(voxels["label"] != "") & voxels["cluster"].notna()]
    for (subject, roi), own in labelled.groupby(["subject", "roi"]):
        if roi not in STRUCTURED or len(own) < LEAST_LABELLED:
            continue
        planted, found = (pd.factorize(own[name])[0] for name in ("label", "cluster"))
        halves = [generator.permutation(len(own))[: len(own) // 2] for _ in range(resamples)]
        picks = [np.arange(len(own)), *halves]
        rand = [adjusted_rand_score(planted[pick], found[pick]) for pick in picks]
        scores[str(subject), str(roi)] = len(own), np.array(rand)
    return scores


def _average_scores(scores: list[tuple[int, np.ndarray]]) -> Row | None:
    """The mean over regions with its interval, and the number of voxels."""
    if not scores:
        return None
    value, *draws = np.mean([rand for _, rand in scores], axis=0)
    low, high = interval(np.array(draws))
    return float(value), float(low), float(high), sum(count for count, _ in scores)


def _average(voxels: pd.DataFrame, measure: str) -> Row | None:
    known = voxels.dropna(subset=[measure])
    return _average_parts(known[measure].to_numpy(float), known) if len(known) else None


def _share_identification(voxels: pd.DataFrame) -> Row | None:
    """Ratio of both means above chance.

    The interval is that of the mean of ratio + (a − ratio b) / mean b, of each voxel's own a and
    planted b, which is the ratio itself and to the first order moves as it does (Cochran 1977).
    """
    known = voxels.dropna(subset=["identification", "identification_planted"])
    own, planted = (
        known[name].to_numpy(float) - 0.5 for name in ("identification", "identification_planted")
    )
    if not len(known) or planted.mean() <= 0:
        return None
    ratio = own.mean() / planted.mean()
    return _average_parts(ratio + (own - ratio * planted) / planted.mean(), known)


def _average_parts(values: np.ndarray, voxels: pd.DataFrame) -> Row:
    """The mean over voxels, with an interval from regions of subjects left out."""
    parts = voxels.groupby(["subject", "roi"]).ngroup().to_numpy()
    return *clustered_mean(values, parts), len(values)


def _count_clustered(voxels: pd.DataFrame) -> Row | None:
    clusters = voxels.groupby(["subject", "roi"])["clusters"].first()
    if not len(clusters):
        return None
    count = int((clusters > 1).sum())
    return count / len(clusters), *share_interval(count, len(clusters)), len(clusters)
