"""How long it takes to plan an analysis of eight subjects, and to find that nothing is to be done.

The configuration has 24 regions and 74 shards of images, about 73,000 of them, by default. Results
are stand-ins, made in the way of the tests of reruns; only names and records of jobs matter.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path

import yaml
from common import read_options, write_records

REPOSITORY = Path(__file__).resolve().parents[1]
FINISH = REPOSITORY / "tests/workflow/finish.py"
SHARD_SIZE = 1000


def make_folder(folder: Path, options: Namespace) -> None:
    """Copy the workflow, and write a configuration of that size; no dataset is read for a plan."""
    for name in ("workflow", "profiles"):
        shutil.copytree(REPOSITORY / name, folder / name)
    shutil.copy(REPOSITORY / "Snakefile", folder)
    (folder / "resources").symlink_to(REPOSITORY / "resources")
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    images = options.shards * SHARD_SIZE
    unique = (images - SHARD_SIZE) // options.subjects
    shared = images - unique * options.subjects
    config |= {
        "subjects": [f"subj{number:02d}" for number in range(1, options.subjects + 1)],
        "rois": [f"roi{number}" for number in range(options.regions)],
        # Three trials of each image, one a session.
        "demo": {
            "images_shared": shared,
            "images_unique": unique,
            "sessions": 3,
            "trials_per_session": shared + unique,
        },
        "backbone": config["backbone"] | {"shard_size": SHARD_SIZE},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def time_command(folder: Path, *command: str) -> dict[str, object]:
    """Run Python in a folder: wall and processor time, and how many jobs were planned."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, env=environment
    )
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    said = done.stdout + done.stderr
    if done.returncode != 0:
        raise RuntimeError(said[-3000:])
    jobs = re.search(r"^total +(\d+)$", said, re.MULTILINE)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "jobs": int(jobs[1]) if jobs else 0,
    }


def main() -> None:
    options = read_options(__doc__.splitlines()[0], subjects=8, regions=24, shards=74)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_folder(folder, options)
        parts = {"plan": time_command(folder, "-m", "snakemake", "-n")}
        parts["finish"] = time_command(folder, str(FINISH))
        parts["nothing"] = time_command(folder, "-m", "snakemake", "-n")
    sizes = {name: getattr(options, name) for name in ("subjects", "regions", "shards")}
    write_records(
        "planning",
        [
            {
                "name": f"planning_{name}",
                "seconds": parts[name]["seconds"],
                "processor_seconds": parts[name]["processor_seconds"],
                "sizes": sizes | {"jobs": parts["plan"]["jobs"]},
            }
            for name in ("plan", "nothing")
        ],
        directory=options.results,
        libraries=("snakemake",),
    )


if __name__ == "__main__":
    main()
