"""What a comparison of forms of encoders asks for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from mine.sections import ACROSS, FORMS
from tests.workflow.test_demo import make_smaller, run


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
