"""Category preferences of a subject's regions in one table, and of all subjects beside each other.

Subjects are the unit of generalisation: a region's voxels and images say how sure it is of this
subject, several subjects whether it is so in people.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from mine.sections import ALL
from mine.statistics.proportions import share_interval
from mine.statistics.subjects import mean_over_subjects

THRESHOLDS = np.arange(0, 10.5, 0.5)
LEAST_VOXELS = 10  # above a threshold, for a share of them to be drawn or averaged
COLUMNS = ["measure", "roi", "category", "image", "threshold", "value", "low", "high", "p", "n"]
NO_SHARES = {"cosine_z", "t", "d_prime_predicted", "d_prime_measured"}
"""Measures that may have any value; all others are shares or probabilities."""

BOUNDS = {"value": "mean", "low": "low", "high": "high"}


def tabulate_preference(by_roi: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """Return the preferences of one subject's regions as a table.

    by_roi: datasets of mine.stages.preference.measure_preference. Columns measure, roi, category,
    image, threshold, value, low, high, p, n; category is empty where a row is of none. What the
    measures are: see docs/stores.md, Measures of preference.
    """
    rows: list[dict[str, object]] = []
    for roi, preference in by_roi.items():
        for category in preference["category"].values:
            own = {"roi": roi, "category": str(category)}
            rows += [own | row for row in _list_category(preference.sel(category=category))]
        rows.append({"roi": roi} | _count_described(preference))
        rows += [{"roi": roi} | row for row in _list_agreement(preference)]
        rows += [{"roi": roi} | row for row in _list_responses(preference)]
    rows += [{"roi": ALL} | row for row in _list_region_agreement(by_roi)]
    rows += [{"roi": ALL} | row for row in _list_thresholds(by_roi)]
    table = pd.DataFrame(rows, columns=COLUMNS).fillna({"category": ""})
    return table.astype({"image": "Int64", "n": "Int64"})


def _list_category(own: xr.Dataset) -> list[dict[str, object]]:
    """Rows of one region and category."""
    described = int(own["described"].sum())
    localised = int(np.isfinite(own["t"]).sum())
    rows: list[dict[str, object]] = [
        {
            "measure": "cosine_z",
            "value": float(own["roi_cosine_z"]),
            "n": described,
        },
        {"measure": "t", "value": float(own["roi_t"]), "n": localised},
    ]
    for name in own["evidence"].values:
        here = own.sel(evidence=name, other=name)
        share = float(here["roi_share"])
        row = {"measure": f"share_{name}", "value": share, "n": 0}
        if name == "profile":
            row["p"] = float(own["roi_share_p"])
        if np.isfinite(share):
            row["n"] = int(here["roi_voxels"])
            prefers = str(here["roi_preferred"].values) == str(own["category"].values)
            rows.append({"measure": f"prefers_{name}", "value": float(prefers), "n": row["n"]})
        rows.append(row)
    for name in own["response"].values:
        here = own.sel(response=name)
        for measure in ("auc", "d_prime"):
            value, low, high = here[f"roi_{measure}"].values
            row = {"measure": f"{measure}_{name}", "value": value, "low": low, "high": high}
            rows.append(row | {"p": float(here["roi_auc_p"]), "n": int(own["images"])})
    return rows


def _count_described(preference: xr.Dataset) -> dict[str, object]:
    """The row of how many of a region's voxels are described, which no evidence need say."""
    described = preference["described"].values
    return {"measure": "described", "value": described.mean(), "n": len(described)}


def count_voxels(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return how many voxels of each region are described, and how many it has: int, by region.

    table: of :func:`tabulate_preference`, or of :func:`summarise_subjects`, whose voxels are those
    of all subjects together.
    """
    rows = table[table["measure"] == "described"]
    if "subject" in rows:
        rows = rows[rows["subject"] != ALL]
    counts = pd.DataFrame(
        {
            "roi": rows["roi"],
            "described": rows["value"] * rows["n"].astype(float),
            "voxels": rows["n"].astype(float),
        }
    )
    counts = counts.groupby("roi", sort=False).sum().round().astype(int)
    return counts["described"], counts["voxels"]


def _list_agreement(preference: xr.Dataset) -> list[dict[str, object]]:
    """Rows of how often the kinds of evidence agree on a region's voxels."""
    rows = []
    for one, other in _pairs(preference["evidence"].values):
        here = preference.sel(evidence=one, other=other)
        value, count = float(here["agreement"]), int(here["agreement_voxels"])
        rows.append({"measure": f"agreement_{one}_{other}", "value": value, "n": count})
    return rows


def _list_region_agreement(by_roi: Mapping[str, xr.Dataset]) -> list[dict[str, object]]:
    """Rows of how often the kinds of evidence agree on a subject's regions."""
    best = np.array([each["roi_preferred"].values for each in by_roi.values()])
    names = next(iter(by_roi.values()))["evidence"].values
    rows = []
    for one, other in _pairs(names):
        first, second = best[:, names == one], best[:, names == other]
        both = (first != "") & (second != "")
        row = {"measure": f"agreement_{one}_{other}", "n": int(both.sum())}
        rows.append(row | {"value": (first == second)[both].mean() if both.any() else np.nan})
    return rows


def _pairs(names: np.ndarray) -> list[tuple[str, str]]:
    """Every pair of names once, in their order."""
    return [(one, other) for place, one in enumerate(names) for other in names[place + 1 :]]


def _list_responses(preference: xr.Dataset) -> list[dict[str, object]]:
    """Rows of the mean measured response to each labelled image of the preferred category."""
    category = str(preference["roi_preferred"].sel(evidence="profile").values)
    if not category:
        return []
    response = preference["roi_response"].sel(response="measured")
    label = preference["label"].sel(category=category).values
    return [
        {"measure": measure, "category": category, "image": image, "value": value}
        for measure, wanted in (("carries", 1), ("lacks", 0))
        for image, value in zip(
            preference["image"].values[label == wanted],
            response.values[label == wanted],
            strict=True,
        )
    ]


def _list_thresholds(by_roi: Mapping[str, xr.Dataset]) -> list[dict[str, object]]:
    """Rows of how often profiles prefer the localiser's category, by the least t-value.

    Voxels of two regions count once, if either describes them.
    """
    voxels = pd.concat([_list_voxels(each) for each in by_roi.values()])
    voxels = voxels[voxels["described"] & np.isfinite(voxels["t"])].drop_duplicates("voxel")
    rows = []
    for threshold in THRESHOLDS:
        above = voxels[voxels["t"] >= threshold]
        if len(above):
            count = int((above["preferred"] == above["category"]).sum())
            row = {"threshold": threshold, "n": len(above)}
            rows.append(row | {"measure": "above_t"} | _estimate_share(count, len(above)))
            shares = [
                above[name].value_counts(normalize=True) for name in ("preferred", "category")
            ]
            expected = shares[0].mul(shares[1], fill_value=0).sum()
            rows.append(row | {"measure": "above_t_shuffled", "value": expected})
    return rows


def _list_voxels(preference: xr.Dataset) -> pd.DataFrame:
    """Each voxel's preference by its profile, and the category of its largest t-value."""
    t = np.where(np.isnan(preference["t"].values), -np.inf, preference["t"].values)
    return pd.DataFrame(
        {
            "voxel": preference["voxel"].values,
            "described": preference["described"].values,
            "preferred": preference["preferred"].sel(evidence="profile").values,
            "category": preference["category"].values[t.argmax(axis=0)],
            "t": t.max(axis=0),
        }
    )


def _estimate_share(count: int, total: int) -> dict[str, float]:
    """A share with Wilson's 95% interval."""
    low, high = share_interval(count, total)
    return {"value": count / total, "low": low, "high": high}


def label_voxels(by_roi: Mapping[str, xr.Dataset]) -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels of a subject's regions, each once, and their preferences as numbers.

    by_roi: datasets of mine.stages.preference.measure_preference. Returns the voxels, ascending,
    and int (voxel, evidence): 1 + the place of the category among all; 0 where none is preferred.
    Of a voxel of two regions it is the preference in the first of them in which it has one.
    """
    voxels = np.unique(np.concatenate([each["voxel"].values for each in by_roi.values()]))
    labels = np.zeros((len(voxels), next(iter(by_roi.values())).sizes["evidence"]), dtype=int)
    for each in by_roi.values():
        categories = np.arange(1, each.sizes["category"] + 1)
        own = (each["preferred"].values.T[..., None] == each["category"].values) @ categories
        rows = np.searchsorted(voxels, each["voxel"].values)
        labels[rows] = np.where(labels[rows] == 0, own, labels[rows])
    return voxels, labels


def summarise_subjects(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put subjects' preferences side by side.

    tables: of :func:`tabulate_preference`, by subject. Returns columns ``measure subject roi
    category threshold value low high n``. Rows of subject ``all`` are means over the subjects that
    have a value, n of them, with Student's 95% interval over subjects (nan for fewer than three, or
    equal ones); of ``prefers_<evidence>`` the share of subjects with Wilson's interval; of
    ``above_t`` and ``above_t_shuffled`` means over the subjects with at least 10 voxels above the
    threshold.
    """
    parts = [table.assign(subject=subject) for subject, table in tables.items()]
    whole = pd.concat(parts, ignore_index=True)
    # What is known of single images is drawn for each subject.
    whole = whole[whole["image"].isna() & whole["value"].notna()]
    few = whole["threshold"].notna() & (whole["n"] < LEAST_VOXELS)
    keys = ["measure", "roi", "category", "threshold"]
    rows = []
    for key, own in whole[~few].groupby(keys, dropna=False, sort=False):
        values = own["value"].to_numpy(float)
        row = dict(zip(keys, key, strict=True)) | {"subject": ALL, "n": len(values)}
        if str(key[0]).startswith("prefers_"):
            rows.append(row | _estimate_share(int(values.sum()), len(values)))
        else:
            rows.append(row | _estimate_mean(values, share=key[0] not in NO_SHARES))
    columns = ["measure", "subject", "roi", "category", "threshold", "value", "low", "high", "n"]
    return pd.concat([whole, pd.DataFrame(rows, columns=columns)], ignore_index=True)[columns]


def _estimate_mean(values: np.ndarray, *, share: bool) -> dict[str, float]:
    """A mean over subjects with Student's 95% interval, of a share within 0 and 1."""
    limits = {"least": 0, "greatest": 1} if share else {}
    found = mean_over_subjects(values[:, None], **limits)
    return {name: float(getattr(found, key)[0]) for name, key in BOUNDS.items()}
