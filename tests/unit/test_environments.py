"""Environments, container and continuous integration say what the lock and `.ci/run` say."""

from __future__ import annotations

import difflib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement


@pytest.fixture(scope="module")
def generate(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("environments", repository / "envs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_pins(path: Path) -> dict[str, str]:
    """Return the pip section of an environment, name to version."""
    listed = yaml.safe_load(path.read_text())["dependencies"]
    (section,) = [entry["pip"] for entry in listed if isinstance(entry, dict)]
    pins = dict(pin.split("==") for pin in section)
    assert len(pins) == len(section)
    return pins


def test_environments_are_what_the_lock_says(generate: ModuleType) -> None:
    for path, declared in generate.render_environments().items():
        committed = path.read_text()
        difference = difflib.unified_diff(committed.splitlines(), declared.splitlines())
        assert committed == declared, "run `python envs/generate.py`\n" + "\n".join(difference)


def test_environments_agree_with_the_lock_and_each_other(repository: Path) -> None:
    lock = (repository / "requirements.lock").read_text()
    locked = {
        (pin.name, next(iter(pin.specifier)).version)
        for pin in map(Requirement, re.findall(r"^(\S+==[^\\\n]+)", lock, flags=re.MULTILINE))
    }
    gpu, cpu = (read_pins(repository / f"envs/{name}.yaml") for name in ("gpu", "cpu"))
    assert gpu.items() <= locked and cpu.items() <= gpu.items()
    apart = gpu.keys() - cpu.keys()
    assert "torch" in cpu and apart
    assert all(re.match("nvidia-|cuda-|triton", name) for name in apart)
    # Of a lock for all platforms, what an environment leaves out is for others.
    left = {name for name, _ in locked} - gpu.keys()
    assert left <= {"colorama", "httpx2-jsfetch", "msgspec", "pyreadline3", "tzdata"}


def test_container_installs_the_lock_and_every_file_that_it_copies_is_there(
    repository: Path,
) -> None:
    text = (repository / "envs/mine.def").read_text()
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    head, *parts = re.split(r"^%", body, flags=re.MULTILINE)
    assert re.findall(r"^(\w+): (\S+)$", head, flags=re.MULTILINE) == [
        ("Bootstrap", "docker"),
        ("From", "python:3.11-slim-bookworm"),
    ]
    sections = dict(part.split("\n", 1) for part in parts)
    assert set(sections) == {"files", "post", "environment", "test", "runscript"}
    copied = dict(line.split() for line in sections["files"].strip().splitlines())
    for source, target in copied.items():
        assert (repository / source).exists() and target == f"/opt/mine/{source}"
    assert "--require-hashes -r requirements.lock" in sections["post"]
    assert {"requirements.lock", "pyproject.toml", "src", "workflow"} <= set(copied)


def test_github_runs_what_continuous_integration_runs(repository: Path) -> None:
    script = (repository / ".ci/run").read_text()
    commands = [
        line.removeprefix("exec ")
        for line in script.splitlines()
        if line and not line.startswith(("#", "set ", "cd "))
    ]
    workflow = yaml.safe_load((repository / ".github/workflows/test.yaml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert commands == [step["run"] for step in steps if "run" in step]
    # YAML takes the bare word `on` for true.
    assert workflow[True].keys() == {"push", "pull_request"}


def test_no_environment_names_an_address(repository: Path) -> None:
    workflows = list((repository / ".github/workflows").glob("*.yaml"))
    assert len(workflows) >= 4
    for path in [*(repository / "envs").iterdir(), *workflows]:
        if path.is_file():
            assert "://" not in path.read_text(), path


def test_what_takes_long_runs_every_week(repository: Path) -> None:
    for name, command in {"bench": "make bench", "slow": "make test-slow"}.items():
        workflow = yaml.safe_load((repository / f".github/workflows/{name}.yaml").read_text())
        (schedule,) = workflow[True]["schedule"]
        assert re.fullmatch(r"\d+ \d+ \* \* \d", schedule["cron"])
        (job,) = workflow["jobs"].values()
        assert [step["run"] for step in job["steps"] if "run" in step] == [command]
