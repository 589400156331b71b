"""A subject that has none of the regions is refused, before the run and in its rule."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import xarray as xr

from mine.check import describe_subjects
from mine.config import load_config
from mine.datasets.reader import open_dataset
from mine.errors import InputError
from mine.stores import write_store
from tests.data.random_nsd import RandomNsd
from tests.data.test_map_scripts import RUN

SAID = (
    "subject subj02: expected at least one of rois, FFA-1, found none; leave the subject out, or "
    "name a region that it has (FFA-1: "
)


@pytest.fixture
def world(tmp_path: Path) -> RandomNsd:
    """A dataset of whose subjects the second lacks the atlas with the region."""
    world = RandomNsd(tmp_path / "nsd", format="nifti", seed=3, regular=True)
    for folder in ("nsddata/ppdata/subj02", "nsddata/freesurfer/subj02"):
        for path in (world.root / folder).rglob("*floc-faces*"):
            path.unlink()
    return world


def test_the_check_refuses_a_subject_without_any_region(world: RandomNsd) -> None:
    config = {"name": "a", "rois": ["FFA-1"], "dataset": {"root": str(world.root), **world.key}}
    lines = describe_subjects(load_config(config | {"subjects": ["subj01"]}))
    assert len(lines) == 1 and lines[0].endswith(" in FFA-1")
    with pytest.raises(InputError) as raised:
        describe_subjects(load_config(config | {"subjects": ["subj01", "subj02"]}))
    assert str(raised.value).startswith(SAID) and "\n" not in str(raised.value)


def test_the_rule_refuses_a_subject_without_any_region(
    world: RandomNsd, repository: Path, tmp_path: Path
) -> None:
    dataset = load_config(
        {
            "name": "a",
            "subjects": ["subj02"],
            "rois": ["FFA-1"],
            "dataset": {"root": str(world.root), **world.key},
        }
    ).dataset
    voxels = open_dataset(dataset).read_subject("subj02").voxels
    responses = xr.Dataset(coords=voxels.to_coordinates(), attrs=voxels.to_attributes())
    write_store(responses, tmp_path / "responses.zarr", provenance={})
    job = {
        "input": {"responses": str(tmp_path / "responses.zarr")},
        "output": {"store": str(tmp_path / "rois.zarr"), "members": [str(tmp_path / "a.json")]},
        "params": {"dataset": asdict(dataset), "seed": 0, "rois": {"FFA-1": "FFA-1"}},
        "wildcards": {"subject": "subj02"},
        "log": [str(tmp_path / "log")],
    }
    command = [sys.executable, "-c", RUN, json.dumps({"rois": job})]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode and SAID in done.stderr
    assert not (tmp_path / "rois.zarr").exists()
