"""Results are opened with the configuration that made them, and with no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
import yaml

import mine
from mine.errors import InputError
from mine.provenance import describe_provenance
from mine.stores import write_store

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config.yaml").read_text())


@pytest.fixture
def results(settings: dict[str, Any], tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(settings))
    return tmp_path


def test_what_made_the_results_opens_them(results: Path, settings: dict[str, Any]) -> None:
    assert mine.open(results, config=ROOT / "config.yaml").config == mine.open(results).config
    settings["dataset"]["root"] = "elsewhere"
    settings["backbone"]["model"] = "local-dir:elsewhere"
    settings["evaluator"]["model"] = "local-dir:elsewhere/evaluator"
    settings["generator"]["model"] = "elsewhere"
    assert mine.open(results, config=settings).config.dataset.root == "elsewhere"
    # Nor does what follows depend on how it is run.
    settings["backbone"]["device"], settings["memory_gb"] = "cuda", 1
    assert mine.open(results, config=settings).config.backbone.device == "cuda"


def test_results_subjects_and_regions_are_gone_through_by_name(results: Path) -> None:
    member = xr.Dataset(
        {"member": (("roi", "voxel"), [[True, False, True], [False, True, False]])},
        coords={"roi": ["FFA-1", "V1v"], "voxel": [0, 1, 2]},
    )
    write_store(member, results / "subj01/rois.zarr", provenance=describe_provenance())
    opened = mine.open(results)
    assert list(opened) == opened.subjects == ["subj01", "subj02"] and len(opened) == 2
    assert "subj01" in opened and "subj03" not in opened and 0 not in opened
    subject = opened["subj01"]
    assert list(subject) == subject.rois == ["FFA-1", "V1v"] and len(subject) == 2
    assert "V1v" in subject and "PPA" not in subject
    region = subject["FFA-1"]
    assert list(region) == region.voxels == [0, 2] and len(region) == 2
    assert 2 in region and 1 not in region


def test_the_generator_is_found_from_any_folder(
    settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "results/demo"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(settings))
    (tmp_path / "resources").symlink_to(ROOT / "resources")
    monkeypatch.chdir(tmp_path / "results")
    model = mine.open("demo").generator.models["model"]
    assert Path(model.name) == tmp_path / "resources/demo/generator"


def test_another_configuration_is_refused(results: Path, settings: dict[str, Any]) -> None:
    said = "nsd.yaml: expected name as in .*config.json, by which the results were made, 'demo', "
    with pytest.raises(InputError, match=f"{said}found 'nsd'"):
        mine.open(results, config=ROOT / "configs/nsd.yaml")
    settings["profile"] = {"false_discovery_rate": 0.2}
    with pytest.raises(InputError, match="config: expected profile.false_discovery_rate as in"):
        mine.open(results, config=settings)
    del settings["profile"], settings["demo"]
    with pytest.raises(InputError, match="expected demo"):
        mine.open(results, config=settings)


def test_results_without_a_configuration_take_any(results: Path) -> None:
    (results / "config.json").unlink()
    assert mine.open(results, config=ROOT / "configs/nsd.yaml").config.name == "nsd"


@pytest.mark.parametrize("given", [None, ROOT / "config.yaml"])
def test_the_folder_above_results_is_refused_and_those_in_it_are_named(
    settings: dict[str, Any], tmp_path: Path, given: Path | None
) -> None:
    contents = {"one": settings, "two": settings, "model": {"architecture": "resnet18"}, "odd": []}
    for name, content in contents.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(content))
    said = (
        f"{tmp_path}: expected the folder of one analysis's results, found such folders in it; "
        f"name one: {tmp_path / 'one'}, {tmp_path / 'two'}"
    )
    with pytest.raises(InputError) as raised:
        mine.open(tmp_path, config=given)
    assert str(raised.value) == said
    # A model beside the results makes no analysis.
    for name in ("one", "two"):
        (tmp_path / name / "config.json").unlink()
    with pytest.raises(InputError, match="expected the configuration that made the results"):
        mine.open(tmp_path)
