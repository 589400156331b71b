"""A smaller demo in a folder of its own, and runs of Snakemake there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

# What makes the demo smaller; all else is as in config.yaml.
SMALLER = {
    "name": "small",
    "rois": ["FFA-1", "PPA", "control"],
    "dataset": {
        "root": "results/small/dataset",
        "captions": ["results/small/dataset/annotations/captions_train2017.json"],
        "instances": ["results/small/dataset/annotations/instances_train2017.json"],
    },
    "demo": {
        "images_shared": 40,
        "images_unique": 200,
        "sessions": 2,
        "trials_per_session": 360,
        "truth": "results/small/truth",
    },
    "encoder": {"heads": 2, "head_width": 16, "epochs": 2},
    "baselines": {"alphas": [10.0, 1000.0], "folds": 2, "mixtures": 3},
    "attribution": {"nodes": 4, "maximum_nodes": 8, "images": 60},
    "faithfulness": {"fractions": [0.1, 0.5], "rankings": ["integrated_gradients", "random"]},
    "bootstrap": {"resamples": 20},
    "generator": {"steps": 2},
    "features": {"voxels": 1},
    "sufficiency": {"images": 2, "samples": 1},
    "counterfactual": {"images": 2},
    "structure": {"draws": 19, "resamples": 10},
    "figures": {"voxels": 1, "images": 2},
}


def copy_workflow(folder: Path, repository: Path) -> None:
    """Make a folder with the workflow and the demo's models, without a configuration."""
    folder.mkdir()
    for name in ("workflow", "profiles", "resources"):
        shutil.copytree(repository / name, folder / name)
    shutil.copy(repository / "Snakefile", folder)


def lay_out(
    folder: Path, repository: Path, *, snakefile: str, config: str, scripts: Mapping[str, str]
) -> Path:
    """Write a workflow of a few rules, which use the project's helpers and profiles."""
    shutil.copytree(repository / "profiles", folder / "profiles")
    shutil.copytree(repository / "workflow/rules", folder / "workflow/rules")
    (folder / "workflow/scripts").mkdir()
    (folder / "Snakefile").write_text(snakefile)
    (folder / "config.yaml").write_text(config)
    for name, script in scripts.items():
        (folder / f"workflow/scripts/{name}.py").write_text(script)
    return folder


def prepare_miniature(folder: Path, repository: Path, **keys: object) -> Path:
    """Lay the whole workflow out, with a configuration of the demo's models and of a dataset of one
    subject, whose other keys are given."""
    for name in ("workflow", "profiles"):
        shutil.copytree(repository / name, folder / name)
    shutil.copy(repository / "Snakefile", folder)
    models = repository / "resources/demo"
    config = {
        "name": "small",
        "subjects": ["subj01"],
        "memory_gb": 1,
        "categories": {"faces": {"prompts": ["face"], "localiser": "faces"}},
        "evaluator": {"model": f"local-dir:{models / 'evaluator'}", "pretrained": None},
        "lens": {"vocabulary": str(models / "vocabulary.txt")},
        "generator": {
            "model": str(models / "generator"),
            "inpainting": None,
            "dtype": "float32",
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config | keys))
    return folder


def make_smaller(folder: Path, repository: Path, **changes: object) -> Path:
    """Copy the workflow and the demo's model, and write a smaller configuration beside them."""
    copy_workflow(folder, repository)
    config = yaml.safe_load((repository / "config.yaml").read_text())
    for key, value in {**SMALLER, **changes}.items():
        if isinstance(value, dict):
            config[key] = {**(config.get(key) or {}), **value}
        else:
            config[key] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def run(folder: Path, *options: str, cores: int | str = 2, succeeds: bool = True) -> str:
    """Run Snakemake in a folder and return all that it says."""
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert (done.returncode == 0) == succeeds, said[-6000:]
    return said


def manifests(folder: Path) -> dict[str, str]:
    """Every manifest under the results, and the tables of recovery."""
    results = folder / "results/small"
    paths = [path for path in results.rglob("*.json") if ".zarr" not in str(path)]
    paths = [path for path in paths if "dataset/" not in str(path.relative_to(results))]
    paths += [*results.glob("recovery.tsv"), *results.glob("*/recovery_*.tsv")]
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(paths)}
