"""Laws of recovered structure: what was planted is its own measure, and chance is none of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from sklearn.metrics import adjusted_rand_score

from mine.core.tuning import WordReadings
from mine.demo.recovery_structure import (
    STRUCTURED,
    UNSTRUCTURED,
    identify_planted,
    label_voxels,
    summarise_structure,
    tabulate_structure,
)
from mine.statistics.effects import LEAST_CLUSTERS

COLUMNS = ["measure", "subject", "roi", "value", "low", "high", "n"]


def make_voxels(roi: str, label: list[str], cluster: list[int], **others: float) -> pd.DataFrame:
    found = {"clusters": 3, "identification": 0.8, "identification_planted": 0.9}
    limits = {"null_low": 0.4, "null_high": 0.6}
    return pd.DataFrame(
        {"subject": "subj01", "roi": roi, "voxel": range(len(label)), "label": label}
        | {"cluster": cluster}
        | found
        | limits
        | others
    )


def summarise(*parts: pd.DataFrame, resamples: int = 100) -> pd.DataFrame:
    return summarise_structure(
        pd.concat(parts), resamples=resamples, generator=np.random.default_rng(0)
    )


def pick(table: pd.DataFrame, measure: str, subject: str, roi: str) -> pd.Series:
    rows = table[
        (table["measure"] == measure) & (table["subject"] == subject) & (table["roi"] == roi)
    ]
    assert len(rows) == 1
    return rows.iloc[0]


def test_regions_are_structured_by_what_is_planted_in_them():
    assert STRUCTURED == {"FFA-1", "EBA", "PPA", "VWFA-1", "food"} and UNSTRUCTURED == {"OPA"}


def test_a_label_is_the_dominant_second_feature_or_a_background_that_is_the_main():
    truth = xr.Dataset(
        {
            "main": ("voxel", ["face", "face", "face", "forest", "", "contrast"]),
            "second_kind": ("voxel", ["colour", "place", "", "", "", ""]),
            "second_word": ("voxel", ["red", "", "", "", "", ""]),
        }
    )
    assert label_voxels(truth).tolist() == ["colour red", "place", "", "forest", "", ""]


def test_clusters_are_scored_over_voxels_with_a_label_by_any_name_of_the_clusters():
    label = ["a"] * 8 + ["b"] * 8 + [""] * 4
    right = make_voxels("FFA-1", label, [1] * 8 + [0] * 8 + [2, 1, 0, 0])
    row = pick(summarise(right), "cluster_ari", "subj01", "FFA-1")
    assert row["value"] == row["low"] == row["high"] == 1 and row["n"] == 16
    wrong = make_voxels("EBA", label, [0] * 20)
    table = summarise(right, wrong)
    assert pick(table, "cluster_ari", "subj01", "EBA")["value"] == 0
    assert pick(table, "cluster_ari", "subj01", "all")["value"] == 0.5
    assert pick(table, "cluster_ari", "all", "all")["n"] == 32


def test_voxels_without_a_cluster_count_in_identification_but_not_in_the_rand_index():
    right = make_voxels("FFA-1", ["a", "b"] * 8, [1, 2] * 8)
    lost = make_voxels("FFA-1", ["a"] * 4, [pd.NA] * 4, identification=0.3)
    table = summarise(right, lost)
    assert pick(table, "cluster_ari", "subj01", "FFA-1")[["value", "n"]].tolist() == [1, 16]
    row = pick(table, "identification", "subj01", "FFA-1")
    assert row["value"] == pytest.approx((16 * 0.8 + 4 * 0.3) / 20) and row["n"] == 20


def test_the_interval_of_the_rand_index_is_as_wide_as_fresh_voxels_vary():
    random = np.random.default_rng(1)

    def draw() -> pd.DataFrame:
        label = random.integers(0, 3, 40)
        cluster = np.where(random.random(40) < 0.8, label, random.integers(0, 3, 40))
        return make_voxels("FFA-1", [f"word {name}" for name in label], cluster.tolist())

    fresh = [draw() for _ in range(200)]
    values = [adjusted_rand_score(part["label"], part["cluster"]) for part in fresh]
    rows = [
        pick(summarise(part, resamples=100), "cluster_ari", "all", "all") for part in fresh[:12]
    ]
    width = np.mean([row["high"] - row["low"] for row in rows])
    assert width == pytest.approx(3.92 * np.std(values), rel=0.2)


def test_the_share_is_of_what_noiseless_responses_reach_above_chance():
    random = np.random.default_rng(2)
    own, planted = 0.7 + 0.1 * random.random(30), 0.9 + 0.1 * random.random(30)
    voxels = make_voxels(
        "food", [""] * 30, [0] * 30, identification=own, identification_planted=planted
    )
    table = summarise(voxels)
    row = pick(table, "identification_share", "all", "all")
    assert row["value"] == pytest.approx((own.mean() - 0.5) / (planted.mean() - 0.5))
    assert np.isnan(row["low"]) and np.isnan(row["high"])  # one region has no interval
    assert pick(table, "identification", "all", "all")["value"] == pytest.approx(own.mean())
    assert "cluster_ari" not in set(table["measure"])  # no voxel has a label


def test_regions_without_structure_have_rows_of_their_own():
    plain = make_voxels("OPA", [""] * 20, [0] * 20, clusters=1, identification=0.52)
    other = plain.assign(subject="subj02", clusters=2)
    right = make_voxels("FFA-1", ["a", "b"] * 8, [0, 1] * 8)
    table = summarise(right, plain, other)
    row = pick(table, "clusters_found_unstructured", "all", "OPA")
    assert row["value"] == 0.5 and row["n"] == 2
    assert pick(table, "clusters_found_unstructured", "subj01", "OPA")["value"] == 0
    row = pick(table, "identification_unstructured", "subj01", "OPA")
    assert row["value"] == pytest.approx(0.52)
    chance = pick(table, "identification_chance", "subj01", "OPA")
    assert chance[["value", "low", "high", "n"]].tolist() == [0.5, 0.4, 0.6, 20]
    # OPA has no part in what is said of regions with structure.
    assert pick(table, "identification", "all", "all")["n"] == 16
    assert set(table.loc[table["roi"] == "OPA", "measure"]) == {
        "identification_unstructured",
        "clusters_found_unstructured",
        "identification_chance",
    }


def make_parts(random: np.random.Generator, parts: int, spread: float) -> pd.DataFrame:
    """Voxels of regions that differ: by ``spread`` between them, by a tenth of it within."""
    rois, subjects = sorted(STRUCTURED), [f"subj{number:02}" for number in range(1, 9)]
    found = []
    for part in range(parts):
        own = random.normal(0.8, spread) + random.normal(0, spread / 10, 40)
        planted = random.normal(0.95, spread / 5) + random.normal(0, spread / 10, 40)
        voxels = make_voxels(
            rois[part % 5], [""] * 40, [0] * 40, identification=own, identification_planted=planted
        )
        found.append(voxels.assign(subject=subjects[part // 5]))
    return pd.concat(found)


def test_the_interval_of_identification_covers_what_other_regions_would_give():
    random = np.random.default_rng(4)
    truth = {"identification": 0.8, "identification_share": 0.3 / 0.45}
    tables = [summarise(make_parts(random, 10, 0.05)) for _ in range(60)]
    for measure, value in truth.items():
        rows = [pick(table, measure, "all", "all") for table in tables]
        covered = np.mean([row["low"] <= value <= row["high"] for row in rows])
        assert covered >= 0.85  # 95% but for chance; of voxels resampled it is a third


def test_the_interval_of_the_share_is_that_of_regions_left_out():
    voxels = make_parts(np.random.default_rng(5), 10, 0.02)
    row = pick(summarise(voxels), "identification_share", "all", "all")

    def divide(part: pd.DataFrame) -> float:
        own, planted = part[["identification", "identification_planted"]].mean() - 0.5
        return own / planted

    parts = list(zip(voxels["subject"], voxels["roi"], strict=True))
    left_out = [divide(voxels[[one != part for one in parts]]) for part in sorted(set(parts))]
    away = np.array(left_out) - divide(voxels)
    reach = stats.t.ppf(0.975, 9) * np.sqrt(0.9 * np.square(away).sum())
    assert row["value"] == pytest.approx(divide(voxels))
    assert row["high"] - row["low"] == pytest.approx(2 * reach, rel=0.02)


def test_few_regions_have_no_interval_of_identification():
    table = summarise(make_parts(np.random.default_rng(6), 10, 0.05))
    own = table[table["measure"].str.startswith("identification")]
    own = own[own["measure"] != "identification_chance"]
    known = np.isfinite(own[["low", "high"]]).all(axis=1)
    assert (own.loc[known, ["subject", "roi"]] == "all").all(axis=None)
    assert known.sum() == 3
    few = summarise(make_parts(np.random.default_rng(6), LEAST_CLUSTERS - 1, 0.05))
    assert np.isnan(pick(few, "identification", "all", "all")["low"])


def test_no_interval_is_turned_round_and_nothing_gives_no_row():
    label = ["a", "b", ""] * 6
    table = summarise(
        make_voxels("FFA-1", label, [0, 1, 2] * 6),
        make_voxels("OPA", [""] * 18, [0] * 18),
        make_voxels("V1v", [""] * 12, [0] * 12),
    )
    assert table.columns.tolist() == COLUMNS
    known = table.dropna(subset=["low", "high"])
    assert set(known["measure"]) >= {"cluster_ari", "identification_chance"}
    assert (known["low"] <= known["high"]).all() and (table["n"] > 0).all()
    assert not table.duplicated(["measure", "subject", "roi"]).any()
    nothing = summarise(make_voxels("FFA-1", [], []))
    assert len(nothing) == 0 and nothing.columns.tolist() == COLUMNS


def test_noiseless_responses_that_differ_are_identified():
    random = np.random.default_rng(3)
    readings = WordReadings(random.random((300, 2)), random.random((2, 300, 6)), np.arange(6))
    mixture = random.dirichlet(np.full(6, 0.3), size=10)
    response = readings.words[0] @ mixture.T
    halves = [np.arange(150), np.arange(150, 300)]
    assert identify_planted(response, readings, halves).mean() > 0.95


def test_a_row_is_a_voxel_with_its_own_label_and_its_cluster_where_it_is_described():
    draws = np.linspace(0.3, 0.7, 41)
    structure = xr.Dataset(
        {
            "cluster": ("voxel", [0, 1]),
            "identification": (("source", "roi_voxel"), [[0.9, 0.8, 0.7], [0.1, 0.1, 0.1]]),
            "identification_null": (
                ("source", "null", "draw"),
                np.stack([np.stack([draws, draws + 0.1]), np.zeros((2, 41))]),
            ),
        },
        coords={
            "source": ["tuning", "attributions"],
            "null": ["shared", "spatial"],
            "voxel": [1, 4],
            "roi_voxel": [4, 2, 1],
        },
        attrs={"clusters": 2},
    )
    label = np.array(["", "red", "", "", "dog"])
    table = tabulate_structure(structure, label, np.array([0.95, 0.9, 0.85]))
    assert table["label"].tolist() == ["dog", "", "red"]
    assert table["cluster"].tolist() == [2, pd.NA, 1]
    assert table["identification"].tolist() == [0.9, 0.8, 0.7]
    assert table["null_low"].unique() == pytest.approx([0.31])
    assert table["null_high"].unique() == pytest.approx([0.69])
    empty = tabulate_structure(structure.isel(voxel=[], roi_voxel=[]), label, np.zeros(0))
    assert len(empty) == 0 and empty.columns.tolist() == table.columns.tolist()
