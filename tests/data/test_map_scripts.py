"""Scores, reasons, preferences and clusters become maps wherever the voxels of a dataset lie."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mine.datasets import listing
from mine.datasets.maps import read_map, write_map
from mine.datasets.reader import open_dataset
from mine.datasets.voxels import ListedVoxels, VoxelSet
from mine.sections import MEASURES, Dataset
from mine.stages.preference import EVIDENCE
from mine.stages.profiles import REASONS
from mine.stores import open_store, write_store
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


def run_scripts(repository: Path, jobs: dict[str, dict]) -> None:
    command = [sys.executable, "-c", RUN, json.dumps(jobs)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


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
    run_scripts(repository, jobs)
    labels = read_map(maps, voxels)
    assert labels[[1, 4, 5]].tolist() == [[1, 1, 0, 0]] * 3
    assert labels[[0, 6]].tolist() == [[2, 0, 2, 0]] * 2 and labels.sum() == 14
    table = pd.read_csv(figure["table"], sep="\t").set_index(["map", "name"])["voxels"]
    assert table["Preferred category: words"].to_dict() == {"faces": 3, "places": 2}
    assert table["Clusters within each region"].to_dict()["cluster 1"] == 3
    assert Path(figure["png"]).stat().st_size > 0
    said = "slices need a volume" in (tmp_path / "log").read_text()
    assert said == (geometry != "volume")


SUFFIXES = {
    "volume": {False: [".nii.gz"], True: [".nii.gz"]},
    "surface": {
        False: [".lh.func.gii", ".rh.func.gii"],
        True: [".lh.label.gii", ".rh.label.gii"],
    },
    "list": {False: [".tsv"], True: [".tsv"]},
}
"""Endings of maps, by whether their values are labels."""


@pytest.mark.parametrize("geometry", SUFFIXES)
@pytest.mark.parametrize("has_ceiling", [True, False])
def test_maps_of_scores_hold_what_the_stores_hold(
    repository: Path, tmp_path: Path, geometry: str, has_ceiling: bool
) -> None:
    dataset, voxels = open_voxels(tmp_path / "nsd", geometry)
    write_stores(tmp_path, voxels, has_ceiling)
    places = {
        measure: [str(tmp_path / f"{measure}{ending}") for ending in SUFFIXES[geometry][False]]
        for measure in MEASURES
    }
    if geometry != "list":
        for measure, paths in places.items():
            stem = str(tmp_path / measure)
            assert listing.list_maps(dataset, stem, labels=False) == paths
    given = {name: str(tmp_path / f"{name}.zarr") for name in ("scores", "baselines", "responses")}
    job = {"input": given, "output": places, "params": {}, "wildcards": {"subject": "subj01"}}
    run_scripts(repository, {"score_maps": job | {"log": [str(tmp_path / "log")]}})
    scores, baselines = (open_store(given[name]) for name in ("scores", "baselines"))
    expected = {
        "r2": scores["r2"].sel(model="mine"),
        "noise_ceiling": scores["noise_ceiling"],
        "r2_normalised": scores["r2_normalised"].sel(model="mine"),
        "split_r2_semantic": baselines["split_r2"].sel(band="semantic"),
        "split_r2_low_level": baselines["split_r2"].sel(band="low_level"),
    }
    assert expected.keys() == set(MEASURES)
    for measure, values in expected.items():
        found = read_map(places[measure], voxels)
        np.testing.assert_array_equal(found.astype(np.float32), values.values.astype(np.float32))
    said = f"noise_ceiling: known of {len(voxels) if has_ceiling else 0} of {len(voxels)} voxels"
    assert said in (tmp_path / "log").read_text()


def test_maps_of_volumes_lie_where_the_datasets_own_masks_lie(
    repository: Path, tmp_path: Path
) -> None:
    _, voxels = open_voxels(tmp_path / "nsd", "volume")
    write_stores(tmp_path, voxels, True)
    given = {name: str(tmp_path / f"{name}.zarr") for name in ("scores", "baselines", "responses")}
    places = {measure: str(tmp_path / f"{measure}.nii.gz") for measure in MEASURES}
    job = {"input": given, "output": places, "params": {}, "wildcards": {"subject": "subj01"}}
    run_scripts(repository, {"score_maps": job | {"log": [str(tmp_path / "log")]}})
    masks = tmp_path / "nsd/nsddata/ppdata/subj01/func1pt8mm/roi"
    mask = nibabel.load(masks / "nsdgeneral.nii.gz")
    for path in places.values():
        drawn = nibabel.load(path)
        assert drawn.shape == mask.shape and drawn.get_data_dtype() == np.float32
        np.testing.assert_allclose(drawn.affine, mask.affine, atol=1e-6)
        assert nibabel.aff2axcodes(drawn.affine) == nibabel.aff2axcodes(mask.affine)
    r2 = nibabel.load(places["r2"]).get_fdata()
    np.testing.assert_array_equal(np.isfinite(r2), np.asarray(mask.dataobj) > 0)


@pytest.mark.parametrize("geometry", SUFFIXES)
def test_a_map_tells_of_the_region_in_which_a_voxel_passes_most(
    repository: Path, tmp_path: Path, geometry: str
) -> None:
    _, voxels = open_voxels(tmp_path / "nsd", geometry)
    write_stores(tmp_path, voxels, True)
    reasons = {
        "EBA": ([1, 4, 5], ["described", "not predicted", "no reliable profile"]),
        "PPA": ([0, 4], ["retinotopic", "no significant word"]),
    }
    stores = []
    for roi, (voxel, reason) in reasons.items():
        profiles = xr.Dataset({"reason": ("voxel", np.array(reason))}, coords={"voxel": voxel})
        stores.append(str(tmp_path / roi / "profiles.zarr"))
        write_store(profiles, stores[-1], provenance={})
    paths = [str(tmp_path / f"reason{ending}") for ending in SUFFIXES[geometry][True]]
    job = {
        "input": {"responses": str(tmp_path / "responses.zarr"), "profiles": stores},
        "output": {"": paths},
        "params": {},
        "wildcards": {"subject": "subj01"},
        "log": [str(tmp_path / "log")],
    }
    run_scripts(repository, {"reason_map": job})
    expected = np.zeros(len(voxels), int)
    for voxel, reason in {
        0: "retinotopic",
        1: "described",
        4: "no significant word",
        5: "no reliable profile",
    }.items():
        expected[voxel] = 1 + REASONS.index(reason)
    np.testing.assert_array_equal(read_map(paths, voxels), expected)
    if geometry == "surface":
        names = nibabel.load(paths[0]).labeltable.get_labels_as_dict()
        assert names[1 + REASONS.index("retinotopic")] == "retinotopic"


def write_stores(folder: Path, voxels: VoxelSet, has_ceiling: bool) -> None:
    """Responses, scores and baselines of a subject, with numbers of their own for each voxel."""
    generator = np.random.default_rng(3)
    responses = xr.Dataset(coords=voxels.to_coordinates(), attrs=voxels.to_attributes())
    responses["response"] = ("voxel", np.zeros(len(voxels)))
    write_store(responses, folder / "responses.zarr", provenance={})
    ceiling = generator.uniform(0, 1, len(voxels)) if has_ceiling else np.full(len(voxels), np.nan)
    r2 = generator.uniform(-0.1, 0.5, (2, len(voxels)))
    scores = xr.Dataset(
        {
            "r2": (("model", "voxel"), r2),
            "r2_normalised": (("model", "voxel"), r2 / np.where(ceiling < 0.1, np.nan, ceiling)),
            "noise_ceiling": ("voxel", ceiling.astype(np.float32)),
        },
        coords={"model": ["ridge", "mine"]},
    )
    write_store(scores, folder / "scores.zarr", provenance={})
    split = generator.uniform(-0.1, 0.3, (2, len(voxels)))
    baselines = xr.Dataset(
        {"split_r2": (("band", "voxel"), split)}, coords={"band": ["semantic", "low_level"]}
    )
    write_store(baselines, folder / "baselines.zarr", provenance={})
