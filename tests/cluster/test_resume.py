"""Runs that are cut off go on, and end with what an undisturbed run gives."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mine.stores import open_store
from tests.workflow.running import lay_out, make_smaller
from tests.workflow.test_reruns import CONFIG, RESPONSES, SNAKEFILE, SUMS

TINY = {
    "subjects": ["subj01"],
    "rois": ["FFA-1", "control"],
    "demo": {
        "images_shared": 20,
        "images_unique": 60,
        "sessions": 2,
        "trials_per_session": 120,
        "truth": "results/small/truth",
    },
    "attribution": {"nodes": 4, "maximum_nodes": 8, "images": 20},
}
SHORT = ("results/small/subj01/scores.json", "results/small/figures/subj01/encoder.png")
LONG = (*SHORT, "results/small/subj01/FFA-1/profiles.json", "results/small/figures/clusters.png")


def start(folder: Path, *options: str) -> subprocess.Popen:
    """Start Snakemake in a session of its own; what it says goes to a file."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *options]
    with open(folder / "said", "w") as said:
        return subprocess.Popen(
            command, cwd=folder, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )


def run(folder: Path, *options: str, succeeds: bool = True) -> str:
    code = start(folder, *options).wait()
    said = (folder / "said").read_text()
    assert (code == 0) == succeeds, said[-6000:]
    return said


def kill_tree(process: subprocess.Popen) -> None:
    """Kill Snakemake and all that it has started, jobs in sessions of their own too."""
    main = psutil.Process(process.pid)
    # Stopped first, so that it starts nothing while its children are counted.
    main.suspend()
    for each in [*main.children(recursive=True), main]:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            pass
    process.wait()


def run_and_kill(folder: Path, targets: tuple[str, ...], *, jobs: int, delay: float) -> bool:
    """Run until so many jobs have ended and some seconds more, and kill; False if all was done."""
    process = start(folder, *targets)
    while process.poll() is None:
        if (folder / "said").read_text().count("Finished jobid") >= jobs:
            time.sleep(delay)
            break
        time.sleep(0.1)
    if process.poll() is not None:
        assert process.returncode == 0, (folder / "said").read_text()[-6000:]
        return False
    kill_tree(process)
    return True


def read_results(folder: Path) -> dict[str, str]:
    """Every manifest and every table of the results, by name."""
    results = folder / "results/small"
    kept = {}
    for path in sorted([*results.rglob("*.json"), *results.rglob("*.tsv")]):
        parts = path.relative_to(results).parts
        if parts[0] in ("dataset", "benchmarks") or any(part.endswith(".zarr") for part in parts):
            continue
        kept["/".join(parts)] = path.read_text()
    return kept


def check_kills(
    folder: Path, repository: Path, *, targets: tuple[str, ...], kills: int, seed: int
) -> None:
    """Kill a run so many times at random moments, let it end, and compare with one left alone.

    A run that ends before it is killed often enough begins again, from nothing.
    """
    chance = random.Random(seed)
    disturbed = make_smaller(folder / "disturbed", repository, **TINY)
    done = 0
    while done < kills:
        if not run_and_kill(
            disturbed, targets, jobs=chance.randrange(4), delay=chance.uniform(0, 4)
        ):
            shutil.rmtree(disturbed / "results")
            continue
        done += 1
        if list((disturbed / ".snakemake/locks").glob("*")):
            assert "--unlock" in run(disturbed, *targets, succeeds=False)
            run(disturbed, "--unlock")
    run(disturbed, *targets)
    alone = make_smaller(folder / "alone", repository, **TINY)
    run(alone, *targets)
    first, second = read_results(disturbed), read_results(alone)
    assert len(second) > 10 and first.keys() == second.keys()
    assert [name for name in second if first[name] != second[name]] == []
    assert not list((disturbed / "results").rglob("*.partial"))
    assert "Nothing to be done" in run(disturbed, *targets)


@pytest.mark.slow
def test_a_killed_run_goes_on(tmp_path: Path, repository: Path) -> None:
    check_kills(tmp_path, repository, targets=SHORT, kills=3, seed=0)


@pytest.mark.slow
def test_a_run_killed_twenty_times_goes_on(tmp_path: Path, repository: Path) -> None:
    check_kills(tmp_path, repository, targets=LONG, kills=20, seed=1)


LARGE = RESPONSES.replace(
    'np.ones((3, 2), "float32")', "np.random.default_rng(0).random((500, 1000))"
)


@pytest.fixture
def workflow(tmp_path: Path, repository: Path) -> Path:
    """A workflow of two rules, the first of which writes a store of four megabytes."""
    scripts = {"responses": LARGE, "sums": SUMS}
    return lay_out(tmp_path, repository, snakefile=SNAKEFILE, config=CONFIG, scripts=scripts)


def test_a_job_killed_while_it_writes_is_run_again(workflow: Path) -> None:
    script = workflow / "workflow/scripts/responses.py"
    # Once the files of the store are written, and before it has its name.
    kill = (
        "import os, mine.stores\nmine.stores.content_digest = lambda _: os.kill(os.getpid(), 9)\n"
    )
    script.write_text(kill + LARGE)
    run(workflow, succeeds=False)
    subject = workflow / "results/small/subj01"
    assert (subject / "responses.zarr.partial").is_dir()
    assert not (subject / "responses.json").exists() and not (subject / "sums.json").exists()
    script.write_text(LARGE)
    run(workflow)
    assert open_store(subject / "sums.zarr")["response"].shape == (1000,)
    assert not list(workflow.rglob("*.partial"))


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_damaged_store_is_named_and_made_anew(workflow: Path, damage: str) -> None:
    run(workflow)
    subject = workflow / "results/small/subj01"
    expected = (subject / "sums.json").read_text()
    chunk = subject / "responses.zarr/response/c/0/0"
    if damage == "missing":
        chunk.unlink()
    else:
        os.truncate(chunk, chunk.stat().st_size // 2)
    (subject / "sums.json").unlink()
    run(workflow, succeeds=False)
    log = (workflow / "results/small/logs/sums/subj01.log").read_text()
    assert "responses.zarr: expected its file response/c/0/0 of" in log
    assert "run `snakemake results/small/subj01/responses.json`" in log and "Traceback" not in log
    assert not (subject / "sums.json").exists()
    shutil.rmtree(subject / "responses.zarr")
    (subject / "responses.json").unlink()
    run(workflow)
    assert (subject / "sums.json").read_text() == expected


@pytest.fixture
def small_disk(workflow: Path) -> Iterator[Path]:
    """A disk of two megabytes at the place of the results."""
    place = workflow / "results"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told_and_a_run_with_room_completes(
    workflow: Path, small_disk: Path
) -> None:
    run(workflow, succeeds=False)
    log = (small_disk / "small/logs/responses/subj01.log").read_text()
    assert "responses.zarr: expected room on the disk to write it, found the disk full" in log
    assert "make room and run again" in log and "Traceback" not in log
    subject = small_disk / "small/subj01"
    assert not list(subject.glob("*responses*")) and not (subject / "sums.json").exists()
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    run(workflow)
    assert open_store(subject / "sums.zarr")["response"].shape == (1000,)
