"""What comparisons of encoders and of explainers, and the lens's calibration, ask for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from mine.demo.recovery_explainers import COLUMNS
from mine.explainers.rivals import RIVALS
from mine.sections import ACROSS, FORMS
from mine.stores import TEXT_COLUMNS, open_store
from tests.workflow.running import SMALLER, make_smaller, run
from tests.workflow.test_figure_tables import MIXED, list_texts
from tests.workflow.test_rerun_table import finish, make_folder


def plan(folder: Path, *targets: str) -> dict[str, int]:
    """How many jobs of each rule the targets ask for."""
    said = run(folder, "-n", *targets)
    table = re.search(r"^Job stats:\n.*?\n-.*?\n(.*?)^total", said, re.M | re.S)[1]
    return {name: int(count) for name, count in re.findall(r"(\w+) +(\d+)", table)}


def test_a_comparison_asks_for_each_form_and_for_no_fit_of_the_analysis(
    tmp_path: Path, repository: Path
) -> None:
    folder = make_smaller(tmp_path / "run", repository, encoders={"images": [100, 150]})
    jobs = plan(folder, "compare_encoders")
    assert jobs.pop("fit_form") == 2 * (len(FORMS) - len(ACROSS)) * 3
    assert jobs.pop("fit_shared") == 3
    assert jobs.pop("fit_transfer") == 2 * 3 and jobs.pop("fit_others") == 2
    assert jobs.pop("score_forms") == 2 * 3
    once = {"tabulate_forms", "figure_forms", "compare_encoders", "render_demo", "stimuli"}
    once |= {"vocabulary", "captions"}
    assert {name for name, count in jobs.items() if count == 1} >= once
    assert jobs.keys() - once == {"responses", "rois", "embed", "low_level", "gather"}


def test_with_one_subject_nothing_is_fitted_across_subjects(
    tmp_path: Path, repository: Path
) -> None:
    folder = make_smaller(tmp_path / "run", repository, subjects=["subj01"])
    jobs = plan(folder, "compare_encoders")
    assert jobs["fit_form"] == len(FORMS) - len(ACROSS)
    assert not {"fit_shared", "fit_transfer", "fit_others"} & jobs.keys()
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "-n", "compare_subjects"]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert said.returncode and "subjects: expected two or more" in said.stdout + said.stderr


def test_a_new_subject_is_held_to_more_images_of_its_own(tmp_path: Path, repository: Path) -> None:
    images = {"few_images": 60, "more_images": 120}
    folder = make_smaller(tmp_path / "run", repository, encoders=images)
    jobs = plan(folder, "compare_subjects")
    assert jobs["fit_form"] == 2 * 2 and jobs["fit_transfer"] == 2 * 2
    assert jobs["fit_others"] == 2 and jobs["tabulate_transfer"] == 1


def test_subjects_are_fitted_together_where_that_is_asked_for(
    tmp_path: Path, repository: Path
) -> None:
    folder = make_smaller(tmp_path / "run", repository, encoder={"together": True})
    target = [f"results/small/{subject}/scores.json" for subject in ("subj01", "subj02")]
    jobs = plan(folder, *target)
    assert jobs["fit_together"] == 1 and "fit_encoder" not in jobs


def test_explainers_are_compared_by_themselves_and_wait_for_no_picture(
    tmp_path: Path, repository: Path
) -> None:
    folder = make_smaller(tmp_path / "run", repository)
    jobs = plan(folder, "compare_explainers")
    assert jobs["explain"] == 2 * 3 and jobs["recovery_explainers"] == 2
    assert jobs["embed_dense"] == jobs["embed"]
    once = {"tabulate_explainers", "figure_explainers", "compare_explainers"}
    assert {name for name, count in jobs.items() if count == 1} >= once
    assert not {"fit_evaluator", "features", "paint", "recovery"} & jobs.keys()
    assert not {"explain", "embed_dense", *once} & plan(folder, "all").keys()


def test_the_lens_is_calibrated_by_itself_and_by_what_captions_there_are(
    tmp_path: Path, repository: Path
) -> None:
    folder = make_smaller(tmp_path / "run", repository)
    own = {"calibration", "stability", "temperature", "figure_calibration", "calibrate_lens"}
    jobs = plan(folder, "calibrate_lens")
    assert {name for name, count in jobs.items() if count == 1} >= own
    assert not {"responses", "fit_encoder"} & jobs.keys()
    dataset = {"dataset": {**SMALLER["dataset"], "captions": []}}
    jobs = plan(make_smaller(tmp_path / "bare", repository, **dataset), "calibrate_lens")
    assert own & jobs.keys() == {"calibration", "stability", "calibrate_lens"}


@pytest.mark.slow
def test_the_lens_is_calibrated_on_a_small_demo(tmp_path: Path, repository: Path) -> None:
    folder = make_smaller(tmp_path / "run", repository)
    run(folder, "calibrate_lens")
    results = folder / "results/small"
    tables = {
        name: pd.read_csv(results / f"{name}.tsv", sep="\t", keep_default_na=False)
        for name in ("words", "stability", "temperature", "figures/calibration")
    }
    assert set(tables["words"]["measure"]) >= {"false_words", "right", "on_object"}
    stability = tables["stability"]
    assert set(stability["varied"]) == {"prompts", "vocabulary", "temperature"}
    assert stability["value"].between(0, 1).all()
    temperature = tables["temperature"].set_index(["measure", "reading"])
    loss = pd.to_numeric(temperature["value"])["negative_log_likelihood"]
    assert loss["fitted"] < loss["own"]
    drawn = tables["figures/calibration"]
    assert set(drawn["panel"]) == {"reliability", "words", "shares", "stability"}
    assert list_texts(results) <= {*TEXT_COLUMNS, *MIXED}
    assert "Nothing to be done" in run(folder, "calibrate_lens")
    assert not {"calibration", "stability", "temperature"} & plan(folder, "all").keys()


@pytest.mark.slow
def test_every_target_apart_can_be_made_of_an_experiment_of_ones_own(
    tmp_path: Path, repository: Path
) -> None:
    folder = tmp_path / "run"
    make_folder(folder, repository)
    # What is asked for of regions is known once their tables are there.
    finish(folder, "--until", "rois")
    targets = re.findall(r"^rule (\w+):", (folder / "Snakefile").read_text(), re.M)
    apart = set(targets) - {"all", "all_figures"}
    assert apart >= {"compare_seeds", "compare_explainers", "calibrate_lens", "phrase_profiles"}
    jobs = plan(folder, *sorted(apart))
    assert jobs.keys() >= apart and jobs["seed_profiles"] == jobs["explain"] == jobs["phrases"] == 4


@pytest.mark.slow
def test_explainers_are_scored_on_the_voxels_of_a_finished_demo(
    finished: Path, tmp_path: Path
) -> None:
    # Of a copy: other tests hold the run to what the rule `all` makes.
    folder = shutil.copytree(finished, tmp_path / "run", symlinks=True)
    run(folder, "compare_explainers")
    results = folder / "results/small"
    table = pd.read_csv(results / "explainers.tsv", sep="\t")
    assert table.columns.tolist() == COLUMNS
    assert set(table["explainer"]) == {"mine", *RIVALS}
    assert {"FFA-1", "PPA", "all", "noise"} <= set(table["roi"])
    own = table[(table["explainer"] == "mine") & (table["measure"] == "described")]
    recovery = pd.read_csv(results / "recovery.tsv", sep="\t")
    known = recovery[recovery["measure"] == "described"]
    both = own.merge(known, on=["subject", "roi"], suffixes=("", "_known"))
    assert len(both) == len(own) == len(known)
    assert (both["value"] - both["value_known"]).abs().max() < 1e-5
    explained = open_store(results / "subj01/FFA-1/explainers.zarr")
    profiles = open_store(results / "subj01/FFA-1/profiles.zarr")
    own = explained["word"].sel(explainer="mine").values
    assert (own == profiles["word"].sel(sign="positive").values).all()
    assert (results / "figures/explainers.pdf").stat().st_size > 1000
    assert list_texts(results) <= {*TEXT_COLUMNS, *MIXED}
    assert "Nothing to be done" in run(folder, "compare_explainers")
