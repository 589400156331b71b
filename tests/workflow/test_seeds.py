"""The demo's recovery on seeds that were never used while it was developed: minutes each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

SEEDS = (101, 202, 303)

AT_LEAST = {
    "all": {
        "described": 0.85,
        "top_word": 0.9,
        "second_feature": 0.85,
        "pointing": 0.9,
        "sufficiency_beats_random": 0.85,
        "sufficiency_beats_lowest": 0.85,
        "sufficiency_d_random": 0.6,
        "sufficiency_d_lowest": 0.6,
        "insertion_expected": 0.9,
        "removal_expected": 0.9,
        "insertion_d": 0.8,
        "removal_d": 0.8,
        "exact_correlation": 0.7,
        "roi_preference_profile": 1.0,
        "roi_preference_response": 1.0,
        "preferred_auc": 0.9,
        "cluster_ari": 0.7,
        "identification_share": 0.6,
    },
}
AT_MOST = {
    "all": {"described_random_encoder": 0.05},
    "noise": {"described": 0.05, "described_random_encoder": 0.05},
    "V1v": {"described": 0.05, "described_random_encoder": 0.05},
    "OPA": {"clusters_found_unstructured": 0.0},
}
"""By region and measure, of both subjects together: what was asked for before the first run."""

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
        short = {
            name: value[name, roi]
            for roi, bars in AT_LEAST.items()
            for name, bar in bars.items()
            if not value[name, roi] >= bar
        }
        beyond = {
            (name, roi): value[name, roi]
            for roi, bars in AT_MOST.items()
            for name, bar in bars.items()
            if not value[name, roi] <= bar
        }
        assert not short and not beyond, f"seed {seed}"
