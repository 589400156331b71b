"""The real workflow, from the rendered dataset to the recovery table, on a smaller demo."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from mine.history import history_path, list_entries, read_history
from mine.stores import open_store
from tests.workflow.running import make_smaller, manifests, run


def test_second_run_has_nothing_to_do(finished: Path) -> None:
    assert "Nothing to be done" in run(finished)


def test_recovery_is_written_with_its_columns(finished: Path) -> None:
    table = pd.read_csv(finished / "results/small/recovery.tsv", sep="\t")
    assert table.columns.tolist() == ["measure", "subject", "roi", "value", "low", "high", "n"]
    assert set(table["subject"]) == {"subj01", "subj02", "all"}
    assert {"FFA-1", "PPA", "all", "noise"} <= set(table["roi"])
    assert not table.duplicated(["measure", "subject", "roi"]).any()
    expected = {"described", "top_word_all", "described_random_encoder"}
    expected |= {"roi_preference_profile", "roi_preference_response", "preferred_auc"}
    expected |= {
        f"r2_normalised_{model}"
        for model in ("mine", "ridge", "caption", "planted_ridge", "noiseless")
    }
    assert expected <= set(table["measure"])
    bounded = table["low"] <= table["high"]
    # Of two regions identification has no interval.
    assert table.loc[~bounded, "measure"].str.startswith("identification").all()
    assert (table["n"] > 0).all()


def test_every_stage_left_a_store_that_is_whole(finished: Path) -> None:
    results = finished / "results/small"
    names = ["stimuli", "embeddings/clip/vocabulary", "embeddings/clip/base_rates"]
    names += ["embeddings/clip/categories"]
    for subject in ("subj01", "subj02"):
        names += [f"{subject}/{part}" for part in ("responses", "rois", "baselines", "scores")]
        names += [f"{subject}/encoder/{fit}" for fit in ("all", "first_half", "all_random")]
        for roi in ("FFA-1", "PPA", "control"):
            parts = ["faithfulness", "descriptions", "profiles", "attributions/all", "features"]
            parts += ["preference", "structure"]
            parts += ["generated", "sufficiency", "edits", "counterfactuals"]
            names += [f"{subject}/{roi}/{part}" for part in parts]
    for name in names:
        assert open_store(results / f"{name}.zarr").sizes, name
    responses = open_store(results / "subj02/responses.zarr")
    assert responses.sizes["image"] == 240
    assert (responses["split"] == "test").sum() == 40
    assert not list(results.rglob("*.partial"))


def test_every_figure_is_drawn_twice(finished: Path) -> None:
    figures = finished / "results/small/figures"
    names = {str(path.relative_to(figures).with_suffix("")) for path in figures.rglob("*.png")}
    assert {"recovery", "subj01/encoder", "subj02/FFA-1/profiles"} <= names
    assert {"preference", "clusters", "subj01/maps"} <= names
    for name in names:
        for suffix in (".png", ".pdf"):
            assert (figures / name).with_suffix(suffix).stat().st_size > 1000


def test_halves_are_read_on_disjoint_images_and_never_on_test_images(finished: Path) -> None:
    results = finished / "results/small/subj01"
    responses = open_store(results / "responses.zarr")
    test = set(responses["image"].values[responses["split"].values == "test"])
    for kind in ("", "_shuffled", "_random"):
        first, second = (
            set(open_store(results / f"FFA-1/attributions/{half}_half{kind}.zarr")["image"].values)
            for half in ("first", "second")
        )
        assert first and second and not first & second and not (first | second) & test


def test_noise_ceilings_are_those_that_were_planted(finished: Path) -> None:
    results = finished / "results/small"
    responses = open_store(results / "subj01/responses.zarr")
    truth = open_store(results / "truth/subj01.zarr")
    planted = {
        tuple(place): ceiling
        for place, ceiling in zip(
            truth["ijk"].values.tolist(), truth["planted_noise_ceiling"].values, strict=True
        )
    }
    expected = [planted[tuple(place)] for place in responses["ijk"].values.tolist()]
    measured = responses["noise_ceiling"].values
    correlation = pd.Series(expected).corr(pd.Series(measured))
    assert correlation > 0.9 and abs((measured - expected).mean()) < 0.05


def mine(folder: Path, *arguments: str) -> str:
    """Run a command of `mine` where the workflow ran."""
    command = [sys.executable, "-c", "import mine.cli, sys; sys.exit(mine.cli.main())", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_output_has_a_record_that_holds(finished: Path) -> None:
    results = finished / "results/small"
    for path in [*results.rglob("*.zarr"), *results.rglob("*.png"), *results.glob("*.tsv")]:
        if path.is_relative_to(results / "dataset"):
            continue
        record = read_history(path)
        written = [entry["path"] for _, entry in list_entries(record["outputs"])]
        assert path.name in {Path(name).name for name in written}, path
        assert str(finished) not in history_path(path).read_text(), path
    said = mine(finished, "provenance", "results/small/figures/recovery.png")
    assert "made by rule render_demo, code" in said and " 0 problems" in said


@pytest.mark.slow
def test_every_figure_is_drawn_from_an_archive_alone(finished: Path, tmp_path: Path) -> None:
    mine(finished, "export", "config.yaml", "--to", str(tmp_path / "bundle"), "--images")
    said = mine(tmp_path, "figures", "bundle", "--to", "again", "--cores", "2")
    figures = finished / "results/small/figures"
    drawn = {path.relative_to(figures) for path in figures.rglob("*.*") if path.suffix != ".json"}
    assert f"{len(drawn)} files drawn in again, {len(drawn)} of them as in the archive" in said
    for name in drawn:
        assert (tmp_path / "again" / name).is_file()
        if name.suffix == ".tsv":
            assert (tmp_path / "again" / name).read_bytes() == (figures / name).read_bytes()


@pytest.mark.slow
def test_another_seed_gives_other_numbers(finished: Path, tmp_path: Path, repository: Path) -> None:
    other = make_smaller(tmp_path / "other", repository, seed=1)
    run(other, "results/small/subj01/responses.json")
    name = "results/small/subj01/responses.json"
    assert manifests(other)[name] != manifests(finished)[name]
