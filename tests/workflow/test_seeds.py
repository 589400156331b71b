"""The demo's recovery on seeds that were never used while it was developed: minutes each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

SEEDS = (101, 202, 303)

pytestmark = pytest.mark.slow


def run_seed(repository: Path, seed: int) -> pd.DataFrame:
    """Run the demo's configuration under another seed and name, and return its recovery table."""
    name = f"demo-seed-{seed}"
    configuration = yaml.safe_load((repository / "config.yaml").read_text())
    configuration["demo"] = {**configuration["demo"], "truth": f"results/{name}/truth"}
    text = yaml.safe_dump(configuration | {"name": name, "seed": seed})
    text = text.replace("results/demo/", f"results/{name}/")
    path = repository / "results" / f"{name}.yaml"
    path.write_text(text)
    table = f"results/{name}/recovery.tsv"
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--configfile", str(path)]
    done = subprocess.run([*command, "--", table], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return pd.read_csv(repository / table, sep="\t")


def test_planted_features_are_recovered_on_fresh_seeds(repository: Path) -> None:
    tables = [run_seed(repository, seed).assign(seed=seed) for seed in SEEDS]
    everything = pd.concat(tables)
    everything.to_csv(repository / "results/recovery-seeds.tsv", sep="\t", index=False)
    pooled = everything[everything["subject"] == "all"].set_index(["measure", "roi", "seed"])
    for seed in SEEDS:
        value = {key: pooled.loc[(*key, seed), "value"] for key in pooled.index.droplevel("seed")}
        for roi in ("all", "noise", "V1v"):
            assert value["described_random_encoder", roi] <= 0.05
        assert value["described", "noise"] <= 0.05
        assert value["described", "V1v"] <= 0.05
        assert value["described", "all"] >= 0.85
        assert value["top_word", "all"] >= 0.9
        assert value["second_feature", "all"] >= 0.85
        assert value["pointing", "all"] >= 0.9
