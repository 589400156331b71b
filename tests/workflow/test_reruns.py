"""What makes a job run again, on a workflow of two rules that use the project's own helpers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.workflow.running import lay_out, run

SNAKEFILE = """
configfile: "config.yaml"


include: "workflow/rules/common.smk"


rule all:
    default_target: True
    input:
        expand("<results>/{subject}/sums.json", subject=settings.subjects),


rule responses:
    output:
        **writes("<results>/{subject}/responses.zarr"),
    params:
        code=code("responses"),
        memory=settings.memory_gb,
    log:
        "<logs>/responses/{subject}.log",
    threads: 2
    script:
        "workflow/scripts/responses.py"


rule sums:
    input:
        **reads(responses="<results>/{subject}/responses.zarr"),
    output:
        **writes("<results>/{subject}/sums.zarr"),
    params:
        code=code("sums"),
        bootstrap=section("bootstrap"),
    log:
        "<logs>/sums/{subject}.log",
    script:
        "workflow/scripts/sums.py"
"""

RESPONSES = """
import os

import numpy as np
import xarray as xr

from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.stores import write_store

log = start_logging(snakemake)
log.info("threads %s", os.environ["OMP_NUM_THREADS"])
dataset = xr.Dataset({"response": (("image", "voxel"), np.ones((3, 2), "float32"))})
write_store(dataset, snakemake.output.store, provenance=describe_provenance(seed=0))
"""

SUMS = """
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.stores import open_store, write_store

start_logging(snakemake)
dataset = open_store(snakemake.input.responses).sum("image")
write_store(dataset, snakemake.output.store, provenance=describe_provenance(seed=0))
"""

CONFIG = """
name: small
subjects: [subj01]
rois: [EBA]
dataset: {root: nowhere}
"""


@pytest.fixture
def workflow(tmp_path: Path, repository: Path) -> Path:
    """A folder with a workflow of two rules."""
    scripts = {"responses": RESPONSES, "sums": SUMS}
    return lay_out(tmp_path, repository, snakefile=SNAKEFILE, config=CONFIG, scripts=scripts)


def jobs(folder: Path) -> set[str]:
    """Run what is to be done and return the rules of the jobs that ran, `all` apart."""
    said = run(folder)
    return {name for name in ("responses", "sums") if f"rule {name}:" in said}


def test_jobs_rerun_for_new_code_content_or_settings(workflow: Path) -> None:
    store = workflow / "results/small/subj01/responses.zarr"
    script = workflow / "workflow/scripts/responses.py"
    assert jobs(workflow) == {"responses", "sums"}
    assert "threads 2" in (workflow / "results/small/logs/responses/subj01.log").read_text()

    script.write_text("# a comment\n" + RESPONSES)
    assert jobs(workflow) == set()

    # Other code, same numbers. Within one run Snakemake decides beforehand and would go on to the
    # sums; a store that was made anew by itself makes nothing stale.
    manifest = store.with_suffix(".json").read_text()
    script.write_text(RESPONSES.replace("np.ones((3, 2)", "0 + np.ones((3, 2)"))
    assert "rule responses:" in run(workflow, "--until", "responses")
    assert store.with_suffix(".json").read_text() == manifest
    assert jobs(workflow) == set()

    script.write_text(RESPONSES.replace("np.ones((3, 2)", "1 + np.ones((3, 2)"))
    run(workflow, "--until", "responses")
    assert jobs(workflow) == {"sums"}

    (workflow / "config.yaml").write_text(CONFIG + "bootstrap: {resamples: 50}\n")
    shutil.rmtree(workflow / "results/small/subj01/sums.zarr")
    assert jobs(workflow) == {"sums"}


def test_failure_reaches_the_log_of_its_rule(workflow: Path) -> None:
    script = workflow / "workflow/scripts/responses.py"
    script.write_text(RESPONSES.replace("np.ones((3, 2)", "1 / 0 + np.ones((3, 2)"))
    run(workflow, succeeds=False)
    log = (workflow / "results/small/logs/responses/subj01.log").read_text()
    assert "ZeroDivisionError" in log and "Traceback" in log
    assert not (workflow / "results/small/subj01/responses.json").exists()


def test_bad_input_reaches_the_log_as_one_sentence(workflow: Path) -> None:
    script = workflow / "workflow/scripts/responses.py"
    script.write_text(RESPONSES.replace("snakemake.output.store", "'responses.txt'"))
    run(workflow, succeeds=False)
    log = (workflow / "results/small/logs/responses/subj01.log").read_text()
    assert "store responses.txt: expected a name that ends in .zarr" in log
    assert "Traceback" not in log


def test_wrong_configuration_stops_before_any_job(workflow: Path) -> None:
    (workflow / "config.yaml").write_text(CONFIG + "enconder: {heads: 2}\n")
    said = run(workflow, succeeds=False)
    assert "enconder: expected a known key, found this one; the nearest is encoder" in said
    assert not (workflow / "results").exists()


@pytest.mark.slow
def test_results_of_another_configuration_are_never_taken_for_its_own(
    workflow: Path, repository: Path
) -> None:
    script = "workflow/scripts/configuration.py"
    shutil.copy(repository / script, workflow / script)
    with (workflow / "Snakefile").open("a") as stream:
        stream.write('include: "workflow/rules/configuration.smk"\n')
    targets = "results/small/config.json", "results/small/subj01/sums.json"
    changed = "results/small/config.json: the results beside it were made with other values of seed"
    run(workflow, *targets)

    said = run(workflow, *targets, "-n", "--config", "seed=1")
    assert f"{changed}; a run replaces" in said and "Writing the configuration" in said

    # Without what Snakemake knows nothing is to be done: of this configuration, wrongly.
    shutil.rmtree(workflow / ".snakemake")
    assert "Nothing to be done" in run(workflow, *targets, "-n")
    said = run(workflow, *targets, "-n", "--config", "seed=1", succeeds=False)
    assert f"{changed}, and .snakemake has no records" in said

    # As docs/running.md says, it can be made anew from the configuration beside the results.
    run(workflow, *targets, "--touch", "--forceall", "--configfile", targets[0])
    said = run(workflow, *targets, "-n", "--config", "seed=1")
    assert f"{changed}; a run replaces" in said and "Writing the configuration" in said
