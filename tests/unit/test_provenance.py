"""Digests change when what they stand for changes, and never otherwise."""

from __future__ import annotations

import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mine.statistics
from mine.errors import InputError
from mine.provenance import (
    describe_provenance,
    digest_files,
    library_versions,
)


def test_rules_import_nothing_heavy(repository: Path) -> None:
    heavy = ["numpy", "scipy", "pandas", "xarray", "zarr", "torch", "nibabel", "h5py", "jsonschema"]
    rules = "".join(path.read_text() for path in (repository / "workflow/rules").glob("*.smk"))
    light = re.findall(r"^from mine\b.*$", rules, re.M)
    assert len(light) > 10
    command = "; ".join(["import sys", *light, f"print(sys.modules.keys() & {heavy})"])
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_statistics_and_preferences_load_scipy_stats_only_where_it_is_used() -> None:
    subjects = [each.name for each in pkgutil.iter_modules(mine.statistics.__path__)]
    assert len(subjects) > 10
    modules = ", ".join(["mine.core.preference", *(f"mine.statistics.{name}" for name in subjects)])
    command = f"import sys, {modules}; print('scipy.stats' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_model_digest_sees_names_and_content_alone(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    (first / "weights").write_bytes(b"123")
    (first / "config").write_bytes(b"{}")
    shutil.copytree(first, second)
    before = digest_files(first)
    assert digest_files(second) == before
    (second / "weights").write_bytes(b"124")
    assert digest_files(second) != before
    (first / "weights").rename(first / "weight")
    assert digest_files(first) != before
    with pytest.raises(InputError, match="expected a file or a folder, found nothing"):
        digest_files(tmp_path / "absent")


def test_provenance_says_seed_models_and_versions() -> None:
    said = describe_provenance(seed=3, models={"clip": "abc"}, libraries=("zarr",))
    assert said["seed"] == 3 and said["models"] == {"clip": "abc"}
    assert set(said["libraries"]) == {"mine", "numpy", "zarr"}
    assert library_versions()["mine"] == mine.__version__
