"""What only says how a job is run is no parameter of its rule, and yet reaches its script."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from mine.config import load_config
from mine.handling import add_handling, drop_handling, read_parameters
from mine.history import read_history, write_history
from mine.provenance import describe_provenance
from mine.redrawing import Named
from mine.sections import HANDLING
from mine.stores import write_store


@pytest.fixture
def config() -> dict[str, object]:
    """All keys of a configuration, with another device in each section that has one."""
    smallest = {"name": "small", "subjects": ["subj01"], "rois": ["EBA"], "dataset": {"root": "."}}
    sections = {name: {"device": "cpu"} for name, keys in HANDLING.items() if "device" in keys}
    sections["generator"]["dtype"] = "float32"
    return asdict(load_config({**smallest, **sections}))


def make_job(config: dict[str, object], output: Path, **params: object) -> SimpleNamespace:
    """What Snakemake gives to the script of a rule."""
    return SimpleNamespace(
        rule="fit",
        input=Named({}),
        output=Named({"store": str(output)}),
        params=Named(params),
        wildcards=Named({}),
        config=config,
    )


def test_every_device_and_every_key_named_is_one_of_the_configuration(config) -> None:
    for name, keys in HANDLING.items():
        assert set(keys) <= config[name].keys(), name
    with_device = {
        name for name, keys in config.items() if isinstance(keys, dict) and "device" in keys
    }
    assert with_device == {name for name, keys in HANDLING.items() if "device" in keys}


def test_a_section_is_whole_again_once_its_handling_is_added(config) -> None:
    for name in HANDLING:
        given = drop_handling(name, config[name])
        assert given.keys() == config[name].keys() - set(HANDLING[name])
        assert add_handling(name, given, config) == config[name]
    assert drop_handling("profile", config["profile"]) == config["profile"]


def test_a_script_gets_its_parameters_with_how_it_is_run(config, tmp_path: Path) -> None:
    given = drop_handling("encoder", config["encoder"])
    part = {key: value for key, value in given.items() if key != "together"}
    job = make_job(config, tmp_path / "fit.zarr", encoder=part, profile=config["profile"], seed=3)
    read = vars(read_parameters(job))
    assert read == {
        "encoder": part | {"device": "cpu", "voxel_batch": config["encoder"]["voxel_batch"]},
        "profile": config["profile"],
        "seed": 3,
    }
    # What Snakemake compares has been left alone.
    assert job.params.encoder == drop_handling("encoder", part)


def test_a_record_says_how_the_job_was_run(config, tmp_path: Path) -> None:
    store = tmp_path / "fit.zarr"
    dataset = xr.Dataset({"response": ("voxel", np.zeros(1))})
    write_store(dataset, store, provenance=describe_provenance(seed=0))
    given = drop_handling("backbone", config["backbone"])
    write_history(make_job(config, store, backbone=given))
    record = read_history(store)
    assert record["parameters"]["backbone"] == config["backbone"]


def test_rules_and_scripts_take_such_sections_by_one_mechanism(repository: Path) -> None:
    rules = {}
    for path in (repository / "workflow/rules").glob("*.smk"):
        text = path.read_text()
        assert "asdict(settings)" not in text or path.stem in ("common", "configuration"), path
        for block in re.split(r"\n *(?:rule|checkpoint) ", text)[1:]:
            params = re.search(r"\n    params:\n((?:        .*\n)+)", block)
            rules[block.split(":")[0]] = params[1] if params else ""
    sections = "|".join(HANDLING)
    handled = {
        rule
        for rule, params in rules.items()
        if re.search(rf"^        ({sections})=", params, re.M)
    }
    assert {"embed", "fit_encoder", "attribute", "paint", "phrases", "download"} <= handled
    for rule, params in rules.items():
        text = (repository / f"workflow/scripts/{rule}.py").read_text()
        assert ("read_parameters(snakemake)" in text) == (rule in handled), rule
        # A section under another name, or a key by itself, would not be found.
        named = re.findall(rf'(\w+)=section\(\s*"({sections})"', params)
        assert all(name == section for name, section in named), rule
        for section, keys in HANDLING.items():
            assert not re.search(rf"settings\.{section}\.({'|'.join(keys)})\b", params), rule
