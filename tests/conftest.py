"""What several tests share, and on how many cores each process of them computes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Before numpy or torch is imported, which read it then. What the tests compute is small: more
# threads mostly wait for each other, and add in an order that depends on the machine. Snakemake
# sets it anew for the jobs of the tests that run the workflow.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of this repository."""
    return Path(__file__).resolve().parents[1]
