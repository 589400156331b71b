"""The profile of SLURM agrees with the default one, and with the rules."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml


@pytest.fixture(scope="module")
def profiles(repository: Path) -> dict[str, dict]:
    return {
        name: yaml.safe_load((repository / f"profiles/{name}/config.yaml").read_text())
        for name in ("default", "slurm")
    }


def test_what_reruns_is_the_same_here_and_on_a_cluster(profiles: dict) -> None:
    # GPUs are one machine's to share and a queue's to hand out; all else is the same.
    assert profiles["default"].pop("resources") == ["gpu=1", "download=1"]
    assert profiles["slurm"]["resources"] == ["download=1"]
    assert profiles["default"].items() <= profiles["slurm"].items()
    assert "rerun-triggers" in profiles["default"]


def test_job_arrays_are_off_and_status_is_by_squeue(profiles: dict) -> None:
    assert "slurm-array-jobs" not in profiles["slurm"]
    assert profiles["slurm"]["slurm-status-command"] == "squeue"


@pytest.fixture(scope="module")
def rules(repository: Path) -> dict[str, str]:
    """Text of every rule, by its name."""
    text = "".join(path.read_text() for path in (repository / "workflow/rules").glob("*.smk"))
    parts = re.split(r"^ *(?:rule|checkpoint) (\w+):$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_what_asks_for_a_gpu_has_room_for_a_model(profiles: dict, rules: dict[str, str]) -> None:
    asking = {name for name, text in rules.items() if re.search(r"^ *gpu=", text, re.MULTILINE)}
    entries = profiles["slurm"]["set-resources"]
    given = {entry.split(":")[0] for entry in entries if ":mem_mb=" in entry}
    assert {"embed", "phrases", "paint"} <= asking <= given


def test_profile_names_rules_that_there_are(profiles: dict, rules: dict[str, str]) -> None:
    named = {re.split("[:=]", entry)[0] for entry in profiles["slurm"]["set-resources"]}
    named |= {entry.split("=")[0] for entry in profiles["slurm"]["set-threads"]}
    assert named and not named - rules.keys()
    for entry in [*profiles["slurm"]["set-resources"], *profiles["slurm"]["default-resources"]]:
        assert entry.endswith(" * attempt"), entry


def plan(repository: Path, configuration: Path, *options: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--dry-run", *options]
    command += ["--configfile", str(configuration), "--directory", str(configuration.parent)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout + done.stderr


def test_models_of_a_hub_are_fetched_before_they_are_used(tmp_path: Path, repository: Path) -> None:
    config = yaml.safe_load((repository / "config.yaml").read_text())
    for name in ("backbone", "evaluator", "generator"):
        folder = config[name]["model"].removeprefix("local-dir:")
        config[name]["model"] = config[name]["model"].replace(folder, str(repository / folder))
    config["backbone"] |= {"model": "ViT-B-32", "pretrained": "openai"}
    config["generator"] |= {"model": "someone/paints", "allow_download": False}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    said = plan(repository, path, "results/demo/embeddings/clip/vocabulary.json")
    assert re.search("^fetch_models +1$", said, flags=re.MULTILINE)

    # Neither what lies in a folder nor what the configuration does not allow is fetched.
    said = plan(repository, path, "results/demo/embeddings/convolutional/images/0.json")
    assert "fetch_models" not in said
