"""A subject of true size is prepared in little memory and hardly longer than its files are read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.data.true_size import write_subject

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("format", ["nii.gz", "hdf5"])
def test_a_subject_of_true_size_is_prepared(tmp_path: Path, format: str) -> None:
    """At most 4 GB, and 1.3 times what reading (and inflating) the files takes."""
    write_subject(tmp_path, format=format)
    done = subprocess.run(
        [sys.executable, "-m", "tests.data.true_size", str(tmp_path), format],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(found)
    assert found["peak"] <= 4
    assert found["preparing"] <= 1.3 * found["reading"], found
