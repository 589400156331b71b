"""Preferences and clusters become maps and a figure wherever the voxels of a dataset lie."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mine.datasets import listing
from mine.datasets.maps import read_map, write_map
from mine.datasets.reader import open_dataset
from mine.datasets.voxels import ListedVoxels, VoxelSet
from mine.sections import Dataset
from mine.stages.preference import EVIDENCE
from mine.stores import write_store
from tests.data.random_nsd import RandomNsd

CATEGORIES = ["faces", "places"]

RUN = """
import json, runpy, sys
from types import SimpleNamespace
from mine.redrawing import Named
for script, given in json.loads(sys.argv[1]).items():
    parts = {
        key: Named(value) if isinstance(value, dict) else value
        for key, value in given.items()
    }
    job = SimpleNamespace(**parts, rule=script)
    runpy.run_path(f"workflow/scripts/{script}.py", init_globals={"snakemake": job})
"""
"""Runs scripts as Snakemake does, in a process of their own."""


def open_voxels(root: Path, geometry: str) -> tuple[Dataset, VoxelSet]:
    world = RandomNsd(
        root, format="fsaverage" if geometry == "surface" else "nifti", seed=1, regular=True
    )
    dataset = Dataset(root=str(root), space=world.space)
    voxels = open_dataset(dataset).read_subject("subj01").voxels
    if geometry == "list":
        names = np.array([f"v{number}" for number in range(len(voxels))])
        number = np.arange(len(voxels))[::-1]
        voxels = ListedVoxels(name=names, number=number, hemisphere=voxels.hemisphere, space="list")
    return dataset, voxels


def make_preference(voxel: np.ndarray, preferred: list[str]) -> xr.Dataset:
    """All voxels prefer the same by each evidence."""
    return xr.Dataset(
        {"preferred": (("evidence", "voxel"), np.array([[one] * len(voxel) for one in preferred]))},
        coords={"voxel": voxel, "evidence": list(EVIDENCE), "category": CATEGORIES},
    )


@pytest.mark.parametrize(
    ("geometry", "names"),
    [
        ("volume", ["preference.nii.gz"]),
        ("surface", ["preference.lh.label.gii", "preference.rh.label.gii"]),
        ("list", ["preference.tsv"]),
    ],
)
def test_maps_are_written_and_drawn(
    repository: Path, tmp_path: Path, geometry: str, names: list[str]
) -> None:
    dataset, voxels = open_voxels(tmp_path / "nsd", geometry)
    responses = xr.Dataset(coords=voxels.to_coordinates(), attrs=voxels.to_attributes())
    responses["response"] = ("voxel", np.zeros(len(voxels)))
    write_store(responses, tmp_path / "responses.zarr", provenance={})
    members = {"EBA": np.array([1, 4, 5]), "PPA": np.array([0, 6])}
    preferred = {"EBA": ["faces", "faces", "", ""], "PPA": ["places", "", "places", ""]}
    clusters = []
    for roi, voxel in members.items():
        (tmp_path / roi).mkdir()
        preference = make_preference(voxel, preferred[roi])
        write_store(preference, tmp_path / roi / "preference.zarr", provenance={})
        files = [tmp_path / roi / name.replace("preference", "clusters") for name in names]
        write_map(files, 1 + np.arange(len(voxel)) % 2, voxels.select(voxel))
        clusters += files
    if geometry != "list":
        assert listing.list_maps(dataset, "preference", labels=True) == names
    maps = [str(tmp_path / name) for name in names]
    endings = {"png": "png", "pdf": "pdf", "table": "tsv"}
    figure = {name: str(tmp_path / f"maps.{ending}") for name, ending in endings.items()}
    stores = [str(tmp_path / roi / "preference.zarr") for roi in members]
    log, given = [str(tmp_path / "log")], {"responses": str(tmp_path / "responses.zarr")}
    jobs = {
        "preference_maps": {
            "input": given | {"preference": stores},
            "output": {"": maps},
            "params": {"categories": CATEGORIES},
            "wildcards": {"subject": "subj01"},
            "log": log,
        },
        "figure_maps": {
            # as Snakemake gives them: all regions of a hemisphere, then of the other
            "input": given
            | {
                "preference": maps,
                "clusters": sorted(map(str, clusters), key=lambda path: Path(path).name),
            },
            "output": figure,
            "params": {
                "categories": CATEGORIES,
                "dataset": {"root": dataset.root, "space": dataset.space},
            },
            "wildcards": {"subject": "subj01"},
            "log": log,
        },
    }
    command = [sys.executable, "-c", RUN, json.dumps(jobs)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    labels = read_map(maps, voxels)
    assert labels[[1, 4, 5]].tolist() == [[1, 1, 0, 0]] * 3
    assert labels[[0, 6]].tolist() == [[2, 0, 2, 0]] * 2 and labels.sum() == 14
    table = pd.read_csv(figure["table"], sep="\t").set_index(["map", "name"])["voxels"]
    assert table["Preferred category: words"].to_dict() == {"faces": 3, "places": 2}
    assert table["Clusters within each region"].to_dict()["cluster 1"] == 3
    assert Path(figure["png"]).stat().st_size > 0
    said = "slices need a volume" in (tmp_path / "log").read_text()
    assert said == (geometry != "volume")
