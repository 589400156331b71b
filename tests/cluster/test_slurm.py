"""The workflow through a real SLURM, and what becomes of jobs that it loses.

SLURM runs on this machine (slurm_machine.py). The tests are skipped, with the reason, only where
its packages cannot be installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

HERE = Path(__file__).resolve().parent
TARGET = "results/small/subj01/encoder/all.json"

# A workflow of the project's own helpers, whose jobs are lost in each way that there is, once: the
# first attempt fails, waits to be cancelled, or waits until its time is over.
SNAKEFILE = """
configfile: "config.yaml"


include: "workflow/rules/common.smk"


rule all:
    default_target: True
    input:
        expand("<results>/{loss}.json", loss=["fails", "cancelled", "late"]),
        "<results>/sound.json",


rule losses:
    output:
        **writes("<results>/{loss,fails|cancelled|late}.zarr"),
    params:
        code=code("losses"),
        once=config_once,
    log:
        "<logs>/losses/{loss}.log",
    resources:
        runtime=lambda wildcards, attempt: attempt if wildcards.loss == "late" else 10,
        tried=lambda wildcards, attempt: attempt,
    script:
        "workflow/scripts/losses.py"


rule sound:
    output:
        **writes("<results>/sound.zarr"),
    params:
        code=code("sound"),
    log:
        "<logs>/sound.log",
    script:
        "workflow/scripts/sound.py"
"""

LOSSES = """
import os
import time
from pathlib import Path

import numpy as np
import xarray as xr

from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.stores import write_store

log = start_logging(snakemake)
loss = snakemake.wildcards.loss
log.info("attempt %s, job %s", snakemake.resources.tried, os.environ["SLURM_JOB_ID"])
if snakemake.resources.tried == 1:
    # Half a store, as a job leaves it that is ended while it writes.
    Path(snakemake.output.store).mkdir(parents=True)
    (Path(snakemake.output.store) / "zarr.json").write_text("{")
    if loss == "fails":
        raise RuntimeError("this attempt fails")
    Path(f"{loss}.waits").write_text(os.environ["SLURM_JOB_ID"])
    time.sleep(600)
dataset = xr.Dataset({"tried": ((), np.int64(snakemake.resources.tried))})
write_store(dataset, snakemake.output.store, provenance=describe_provenance(seed=0))
"""

SOUND = """
import os

import numpy as np
import xarray as xr

from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.stores import write_store

start_logging(snakemake)
dataset = xr.Dataset(
    {"offline": ((), np.bool_(os.environ["HF_HUB_OFFLINE"] == "1")),
     "transformers": ((), np.bool_(os.environ["TRANSFORMERS_OFFLINE"] == "1"))}
)
write_store(dataset, snakemake.output.store, provenance=describe_provenance(seed=0))
"""
