"""A plan grows by the shards and by the regions, and not by their product."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.workflow.running import make_smaller


def read_inputs(folder: Path) -> dict[str, list[str]]:
    """The inputs of every planned job, by rule: a list of lines."""
    said = (folder / "said").read_text()
    blocks = re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n)*)", said, re.M)
    inputs: dict[str, list[str]] = {}
    for rule, lines in blocks:
        found = re.search(r"^    input: (.+)$", lines, re.M)
        inputs.setdefault(rule, []).append(found[1] if found else "")
    return inputs


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> list[Path]:
    """Folders with a plan of two shards of images and with one of five, of 440 images."""
    folder = tmp_path_factory.mktemp("planning")
    backbone = {"shard_size": 220}, {"shard_size": 88}
    folders = [
        make_smaller(folder / str(place), repository, backbone=sizes)
        for place, sizes in enumerate(backbone)
    ]
    command = [sys.executable, str(Path(__file__).with_name("plan.py")), *map(str, folders)]
    subprocess.run(command, check=True, capture_output=True)
    return folders


@pytest.fixture(scope="module")
def plans(planned: list[Path]) -> list[dict[str, list[str]]]:
    return [read_inputs(folder) for folder in planned]


def test_a_shard_adds_its_own_jobs_alone(plans: list[dict[str, list[str]]]) -> None:
    few, many = ({rule: len(jobs) for rule, jobs in plan.items()} for plan in plans)
    by_shard = {"embed", "embed_evaluator", "low_level"}
    assert {rule: few[rule] for rule in by_shard} == dict.fromkeys(by_shard, 2)
    assert {rule: many[rule] for rule in by_shard} == dict.fromkeys(by_shard, 5)
    assert all(few[rule] == many[rule] for rule in few.keys() - by_shard)


def test_only_the_list_of_shards_has_each_shard_as_an_input(
    plans: list[dict[str, list[str]]],
) -> None:
    shard = re.compile(r"/\d+\.(?:zarr|json)")
    named = {rule for rule, jobs in plans[1].items() if any(map(shard.search, jobs))}
    assert named == {"gather"}
    assert all(len(shard.findall(line)) == 5 for line in plans[1]["gather"])


def test_a_store_is_one_input_its_manifest(plans: list[dict[str, list[str]]]) -> None:
    inputs = [line for jobs in plans[1].values() for line in jobs]
    assert any(".json" in line for line in inputs) and not any(".zarr" in line for line in inputs)


def test_a_checkpoint_writes_nothing_that_a_rule_names_as_its_input(planned: list[Path]) -> None:
    # All jobs that depend on one are planned anew when it has run.
    said = (planned[0] / "said").read_text()
    blocks = re.findall(r"^(?:local)?checkpoint \w+:\n((?:    .*\n)*)", said, re.M)
    outputs = [re.search(r"^    output: (.+)$", lines, re.M)[1] for lines in blocks]
    tables = [f"results/small/{name}/regions.tsv" for name in ("subj01", "subj02")]
    assert sorted(outputs) == tables


def test_no_form_of_encoder_is_fitted_but_to_be_compared(
    plans: list[dict[str, list[str]]],
) -> None:
    assert "fit_encoder" in plans[0] and not {"fit_form", "compare_encoders"} & plans[0].keys()


def test_the_limit_of_jobs_per_time_that_a_start_lifts_is_where_snakemake_keeps_it() -> None:
    from snakemake.scheduling.job_scheduler import JobScheduler

    assert "self.job_rate_limiter is None" in inspect.getsource(JobScheduler)


@pytest.mark.parametrize(("asked", "is_lifted"), [(None, True), ("2/1m", False), ("100/1m", False)])
def test_a_limit_of_jobs_per_time_that_was_asked_for_holds(
    repository: Path, asked: str | None, is_lifted: bool
) -> None:
    from snakemake.cli import get_argument_parser
    from snakemake.settings.types import MaxJobsPerTimespan

    asked = asked or get_argument_parser().get_default("max_jobs_per_timespan")
    limit, limiter = MaxJobsPerTimespan.parse_choice(asked), object()
    workflow = SimpleNamespace(
        scheduling_settings=SimpleNamespace(max_jobs_per_timespan=limit),
        scheduler=SimpleNamespace(job_rate_limiter=limiter),
    )
    rules = (repository / "workflow/rules/common.smk").read_text()
    (source,) = re.findall(r"^SNAKEMAKES_LIMIT.*?(?=^def tell_outcome)", rules, re.M | re.S)
    names = {"workflow": workflow}
    exec(source, names)
    names["lift_rate_limit"]()
    assert workflow.scheduler.job_rate_limiter is (None if is_lifted else limiter)
