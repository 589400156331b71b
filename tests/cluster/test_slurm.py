"""The workflow through a real SLURM, and what becomes of jobs that SLURM or the user ends.

SLURM runs on this machine (slurm_machine.py). The tests are skipped, with the reason, only where
its packages are missing and may not, or cannot, be installed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster import slurm_machine
from tests.workflow import running

# They start a cluster and wait for its limits of time: minutes.
pytestmark = pytest.mark.slow

# The profile as it is committed; but that these jobs take seconds, on a disk of this machine.
PROFILE = ("--workflow-profile", "profiles/slurm", "--latency-wait", "5")
PROFILE += ("--slurm-init-seconds-before-status-checks", "1")

# The first attempt of each job is lost in its own way, in the middle of writing its store.
SNAKEFILE = """
configfile: "config.yaml"


include: "workflow/rules/common.smk"


rule all:
    default_target: True
    input:
        expand("<results>/{loss}.json", loss=["failed", "cancelled", "late"]),


rule losses:
    output:
        **writes("<results>/{loss}.zarr"),
    params:
        code=code("losses"),
    log:
        "<logs>/losses/{loss}.log",
    resources:
        runtime=lambda wildcards, attempt: 1 if wildcards.loss == "late" and attempt == 1 else 10,
        tried=lambda wildcards, attempt: attempt,
    script:
        "workflow/scripts/losses.py"
"""

LOSSES = """
import os
import time
from pathlib import Path

import xarray as xr

from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.stores import write_store

start_logging(snakemake)
loss, store = snakemake.wildcards.loss, Path(snakemake.output.store)
job = Path(f"{loss}.job")
if snakemake.resources.tried == 1 and not job.exists():
    store.mkdir(parents=True)
    (store / "zarr.json").write_text("{")
    job.write_text(os.environ["SLURM_JOB_ID"])
    if loss == "failed":
        raise RuntimeError("lost on purpose")
    time.sleep(600)
switches = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
attributes = {name: os.environ[name] for name in switches}
attributes["tried"] = snakemake.resources.tried
write_store(xr.Dataset(attrs=attributes), store, provenance=describe_provenance(seed=0))
"""

CONFIG = """
name: small
subjects: [subj01]
rois: [EBA]
dataset: {root: nowhere}
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[slurm_machine.Machine]:
    """SLURM, with a node of more cores and memory than this machine has, and of feigned GPUs."""
    try:
        slurm_machine.install_packages()
    except slurm_machine.Unavailable as reason:
        pytest.skip(str(reason))
    with slurm_machine.run_machine() as started:
        yield started


@pytest.fixture
def workflow(tmp_path: Path, repository: Path) -> Path:
    """A folder with a workflow of three jobs, each of which is lost once."""
    scripts = {"losses": LOSSES}
    return running.lay_out(
        tmp_path, repository, snakefile=SNAKEFILE, config=CONFIG, scripts=scripts
    )


@contextmanager
def submit(
    folder: Path, machine: slurm_machine.Machine, *options: str
) -> Iterator[subprocess.Popen[str]]:
    """Run the workflow through SLURM meanwhile; all that it says goes to the file `said`."""
    with (folder / "said").open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", *PROFILE, *options],
            cwd=folder,
            stdout=stream,
            stderr=stream,
            env=machine.environment,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def run(folder: Path, machine: slurm_machine.Machine, *options: str) -> str:
    """Run the workflow through SLURM and return what it says."""
    with submit(folder, machine, *options) as process:
        status = process.wait()
    said = (folder / "said").read_text()
    assert status == 0, said[-6000:]
    return said


def account(machine: slurm_machine.Machine, field: str) -> dict[str, list[str]]:
    """Return a field of every job that the accounting knows, by rule and wildcards, in order."""
    table = machine.call(
        "sacct", "--allocations", "--noheader", "--parsable2", f"--format=Comment,{field}"
    )
    found: dict[str, list[str]] = {}
    for row in table.splitlines():
        name, value = row.split("|")
        found.setdefault(name, []).append(value)
    return found


def wait_for(path: Path, process: subprocess.Popen[str]) -> str:
    """Wait until a file has content, as long as the workflow runs, and return it."""
    while process.poll() is None:
        if path.is_file() and path.read_text():
            return path.read_text()
        time.sleep(0.2)
    raise AssertionError(f"{path}: {(path.parent / 'said').read_text()[-6000:]}")


def reported(said: str, folder: Path, loss: str) -> tuple[str, Path]:
    """Return the status with which the loss of a job was reported, and its log, named with it."""
    logs = re.findall(rf"\S*/slurm_logs/rule_losses/{loss}/(\d+)\.log", said)
    assert logs, said[-6000:]
    status = re.search(rf"SLURM-job '{logs[0]}' failed, SLURM status is: '(\w+)'", said)
    assert status, said[-6000:]
    (path,) = (folder / ".snakemake/slurm_logs").glob(f"rule_losses/{loss}/{logs[0]}.log")
    return status[1], path


def test_lost_jobs_are_reported_with_their_logs_and_done_again(
    workflow: Path, machine: slurm_machine.Machine
) -> None:
    with submit(workflow, machine) as process:
        machine.call("scancel", wait_for(workflow / "cancelled.job", process))
        assert process.wait() == 0, (workflow / "said").read_text()[-6000:]
    said = (workflow / "said").read_text()

    states = {"failed": "FAILED", "cancelled": "CANCELLED", "late": "TIMEOUT"}
    for loss, state in states.items():
        status, log = reported(said, workflow, loss)
        assert status == state
        # Half a store of the lost attempt was taken away, and the next one wrote it whole.
        manifest = workflow / f"results/small/{loss}.json"
        assert json.loads(manifest.read_text())["store"] == f"{loss}.zarr"
        attributes = json.loads((manifest.with_suffix(".zarr") / "zarr.json").read_text())
        assert attributes["attributes"] == {
            "tried": 2,
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
        }
    assert "lost on purpose" in reported(said, workflow, "failed")[1].read_text()
    assert "DUE TO TIME LIMIT" in reported(said, workflow, "late")[1].read_text()

    # What grows with the attempt: time by the rule, memory by the profile.
    limits = account(machine, "Timelimit")["rule_losses_wildcards_late"]
    assert limits == ["00:01:00", "00:10:00"]
    memory = account(machine, "ReqMem")["rule_losses_wildcards_late"]
    assert memory == ["8000M", "16000M"]
    assert "Nothing to be done" in run(workflow, machine)


def test_head_process_that_died_is_followed_by_another(
    workflow: Path, machine: slurm_machine.Machine
) -> None:
    target = "results/small/cancelled.json"
    with submit(workflow, machine, "--", target) as process:
        job = wait_for(workflow / "cancelled.job", process)
        process.kill()
    assert not (workflow / target).exists()
    # Its job lives on, under the name of its rule.
    queue = machine.call("squeue", "--noheader", "--format=%i %k")
    assert queue.split() == [job, "rule_losses_wildcards_cancelled"]
    machine.call("scancel", job)
    run(workflow, machine, "--unlock")
    run(workflow, machine, "--", target)
    assert json.loads((workflow / target).read_text())["store"] == "cancelled.zarr"


# In place of all threads of the profile: sums of several differ from those of one by rounding.
ONE_THREAD = ("--set-threads", "attribute=1")


def make_demo(folder: Path, repository: Path) -> Path:
    """Write a demo of one subject and one region, with the files that it needs."""
    changes = {"subjects": ["subj01"], "rois": ["EBA", "control"], "lens": {"prompts": ["{}"]}}
    return running.make_smaller(folder, repository, **changes)


def test_demo_gives_the_same_stores_as_on_one_machine(
    tmp_path: Path, repository: Path, machine: slurm_machine.Machine
) -> None:
    target = "results/small/subj01/encoder/all.json"
    here, there = (make_demo(tmp_path / name, repository) for name in ("here", "there"))
    running.run(here, target)
    run(there, machine, *ONE_THREAD, "--", target)
    written = running.manifests(there)
    assert len(written) >= 8 and written == running.manifests(here)

    # Every rule was a job of its own, and those that a GPU is of use to asked for one.
    given = {
        name.split("_wildcards_")[0]: value for name, value in account(machine, "AllocTRES").items()
    }
    for rule in ("vocabulary", "embed", "fit_encoder"):
        assert "gres/gpu=1" in given[f"rule_{rule}"][0], rule
    for rule in ("render_demo", "stimuli", "responses"):
        assert "gpu" not in given[f"rule_{rule}"][0], rule


def test_whole_demo_gives_the_same_stores_as_on_one_machine(
    tmp_path: Path, repository: Path, machine: slurm_machine.Machine
) -> None:
    here, there = (make_demo(tmp_path / name, repository) for name in ("here", "there"))
    running.run(here)
    run(there, machine, *ONE_THREAD)
    assert running.manifests(there) == running.manifests(here)
    # With the profile's own threads too: they make nothing stale.
    assert "Nothing to be done" in run(there, machine)
    # The profile of one machine finds nothing to do in what SLURM has made.
    assert "Nothing to be done" in running.run(there)
