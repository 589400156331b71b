"""The summaries of a finished demo say what its stores hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mine.stores import open_store, read_table

pytestmark = pytest.mark.slow


def test_every_subject_has_a_page_with_the_numbers_of_its_stores(finished: Path) -> None:
    results = finished / "results/small"
    for subject in ("subj01", "subj02"):
        page = (results / f"summary/{subject}.html").read_text()
        assert (results / f"summary/{subject}.pdf").read_bytes().startswith(b"%PDF")
        table = read_table(results / f"summary/{subject}.tsv").set_index("roi")
        scores = open_store(results / subject / "scores.zarr")
        rois = open_store(results / subject / "rois.zarr")["roi"].values.tolist()
        assert table.index.tolist() == [*rois, "all"]
        assert all(f">{roi}<" in page for roi in table.index)
        for roi, row in table.drop("all").iterrows():
            profiles = open_store(results / subject / str(roi) / "profiles.zarr")
            reasons = profiles["reason"].to_series().value_counts()
            for reason, count in reasons.items():
                assert row[reason] == count
            assert row["voxels"] == reasons.sum() == profiles.sizes["voxel"]
            held = scores["roi_r2_normalised"].sel(model="mine", roi=roi)
            np.testing.assert_allclose(row["score"], held, rtol=1e-5)
            sufficiency = open_store(results / subject / str(roi) / "sufficiency.zarr")
            assert row["tested"] == sufficiency.sizes["voxel"]


def test_the_page_across_subjects_has_all_regions(finished: Path) -> None:
    results = finished / "results/small"
    page = (results / "summary/subjects.html").read_text()
    for roi in ("FFA-1", "PPA", "control"):
        assert f">{roi}<" in page
    assert (results / "summary/subjects.pdf").stat().st_size > 1000
