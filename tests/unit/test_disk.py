"""What large stores take on disk is estimated from their shapes, and never below them."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mine import check
from mine.check import check_config, estimate_work
from mine.config import Config, load_config
from mine.datasets.reader import open_dataset
from mine.disk import measure_attributions
from mine.provenance import describe_provenance
from mine.sections import Attribution
from mine.stages.attributions import attribute
from mine.stores import write_store
from tests.data.random_folder import RandomFolder
from tests.reference.problems import random_problem

FIXED = {"nodes": 2, "tolerance": 1.0, "maximum_nodes": 2, "voxel_batch": 9, "image_batch": 9}
SMALL = {"sign", "baseline_prediction"}
"""What grows with voxels alone, or with nothing."""


# Of 12 tokens: four; one, though the share is of none; two, since a half is rounded to even.
@pytest.mark.parametrize("share", [4 / 12, 0.01, 2.5 / 12])
@pytest.mark.parametrize("fit", ["all", "first_half_shuffled", "all_random"])
def test_attributions_are_as_large_as_their_arrays(fit: str, share: float) -> None:
    problem = random_problem()
    stored = attribute(*problem, **FIXED, token_fraction=share, keep_lowest=fit == "all")
    images, tokens = problem[1].shape[:2]
    voxels = stored.sizes["voxel"]
    taken = sum(stored[name].nbytes for name in stored.variables if name not in SMALL)
    options = Attribution(token_fraction=share)
    seen = images if fit.startswith("all") else 2 * images
    assert taken == measure_attributions(options, [fit], voxels=voxels, images=seen, tokens=tokens)


def test_of_more_images_than_are_read_only_these_count() -> None:
    few, many = Attribution(images=10), Attribution(images=None)
    size = {"voxels": 3, "tokens": 64}
    fits = ["all", "first_half"]
    assert measure_attributions(few, fits, images=1000, **size) == measure_attributions(
        few, fits, images=20, **size
    )
    assert measure_attributions(few, fits, images=8, **size) == measure_attributions(
        many, fits, images=8, **size
    )
    both = measure_attributions(many, fits, images=90, **size)
    assert both == sum(measure_attributions(many, [fit], images=90, **size) for fit in fits)


Usage = namedtuple("Usage", "total used free")


def test_too_little_disk(analysis: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, 1e6))
    config = load_config(analysis)
    # 1250 images of 8 x 8 tokens: 64 half-floats, and 10 words with their scores.
    needed = 1250 * 64 * (64 * 2 + 10 * 6) / 1e9
    assert check_config(config) == [
        f"results: expected {needed:.1f} GB of free disk for the images' tokens ({needed:.1f} GB) "
        "before compression, found 0.0 GB"
    ]


@pytest.fixture
def experiment(analysis: dict) -> dict:
    """An experiment of one's own in the place of the demo: 16 images, two subjects and regions."""
    world = RandomFolder(Path("own"), format="nifti", seed=2, regular=True)
    del analysis["demo"]
    return analysis | {
        "subjects": ["sub-01", "sub-02"],
        "rois": ["FFA", "PPA"],
        "dataset": world.key,
        "categories": {"dogs": {"prompts": ["dog"], "instances": ["dog"]}},
        "attribution": {"images": None, "token_fraction": 0.2},
        "features": {"voxels": 2},
    }


FITTED = ("all", "first_half", "second_half", "first_half_shuffled", "second_half_shuffled")


def count_bytes(config: Config) -> dict[tuple[str, str], dict[str, float]]:
    """Bytes of the attributions of each subject's regions, by fit, written out."""
    found = {}
    for subject in config.subjects:
        reader = open_dataset(config.dataset)
        voxels = reader.read_subject(subject).voxels
        rois = reader.read_rois(subject, rois=config.roi_references(), voxels=voxels)
        for roi in config.rois:
            size = int(rois["member"].sel(roi=roi).sum())
            assert size > 0
            # 13 of 64 tokens of either sign, and of the lowest; a half has 8 of the 16 images.
            by_fit = {fit: size * (8 * (2 * 13 * 6 + 18) + 512) for fit in FITTED[1:]}
            found[subject, roi] = by_fit | {"all": size * (16 * (3 * 26 + 4 * 26 + 18) + 512)}
    return found


def test_attributions_need_room_until_they_are_written(
    experiment: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(experiment)
    expected = count_bytes(config)
    tokens = 16 * 64 * (64 * 2 + 10 * 6)
    needed = tokens + sum(sum(by_fit.values()) for by_fit in expected.values())
    monkeypatch.setattr(check, "GIGABYTE", 1e3)
    monkeypatch.setattr(check, "_check_memory", lambda config: [])
    config = load_config(experiment | {"memory_gb": 1e6})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, needed - 100))
    assert check_config(config) == [
        f"results: expected {needed / 1e3:.1f} GB of free disk for the images' tokens "
        f"({tokens / 1e3:.1f} GB) and the attributions ({(needed - tokens) / 1e3:.1f} GB) before "
        f"compression, found {(needed - 100) / 1e3:.1f} GB"
    ]
    # Tokens are part of whatever is run, attributions are not.
    assert check_config(config, whole=False) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, tokens - 100))
    assert check_config(config, whole=False)[0].startswith("results: expected")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, needed))
    assert check_config(config) == []
    # What is there needs no room: of a run that goes on, only the rest.
    left = needed
    for (subject, roi), by_fit in expected.items():
        store = Path("results/small", subject, roi, "attributions/all.zarr")
        write_store(xr.Dataset(), store, provenance=describe_provenance())
        left -= by_fit["all"]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, left))
    assert check_config(config) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, left - 100))
    assert len(check_config(config)) == 1


def test_pixels_are_told_and_refuse_nothing(
    experiment: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(experiment | {"generator": {"size": 512, "dtype": "float32"}})
    # Two voxels of two regions of two subjects, with 200 pictures and 130 edits each.
    pixels = 8 * 330 * 3 * 512**2
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, 1e9))
    assert not [problem for problem in check_config(config) if problem.startswith("results")]
    said = estimate_work(config)
    assert f" {pixels / 1e9:.1f} GB of pictures and edits, where only 1.0 GB are free" in said
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, 1e12))
    assert "before compression: " in estimate_work(config)
    assert "GB of pictures and edits, where 1000.0 GB are free" in estimate_work(config)
    for subject, roi in product(config.subjects, config.rois):
        store = Path("results/small", subject, roi, "generated.zarr")
        write_store(xr.Dataset(), store, provenance=describe_provenance())
    assert f" {pixels * 130 / 330 / 1e9:.1f} GB of pictures and edits" in estimate_work(config)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (
            {"model": "hf-hub:someone/clip", "pretrained": None},
            "not counted: images' tokens and attributions, since how many tokens "
            "hf-hub:someone/clip gives only the model itself can tell",
        ),
        (
            {},
            "not counted: attributions, since the regions' voxels can be counted only once the "
            "dataset is there",
        ),
    ],
)
def test_what_cannot_be_counted_is_told(analysis: dict, model: dict, told: str) -> None:
    config = load_config({**analysis, "backbone": {**analysis["backbone"], **model}})
    assert f"; {told};" in f"{estimate_work(config)};"
    config = load_config({**analysis, "features": {"voxels": None}})
    assert "not counted: pictures and edits, since they are of every voxel" in estimate_work(config)


def remove(manifest: Path) -> None:
    """As of a shard that was cut off."""
    manifest.unlink()


def age(manifest: Path) -> None:
    """As a version of another layout left it."""
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(content | {"schema_version": -1}))


def damage(manifest: Path) -> None:
    manifest.write_text("cut off")


@pytest.mark.parametrize("spoil", [remove, age, damage])
def test_images_that_have_their_tokens_need_no_room(
    spoil: Callable[[Path], None], analysis: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, 1e6))
    config = load_config(analysis)
    folder = Path("results/small/embeddings/clip/images")
    for shard, images in enumerate((1000, 245)):
        write_store(
            xr.Dataset(coords={"image": np.arange(images)}),
            folder / f"{shard}.zarr",
            provenance=describe_provenance(),
        )
    # Of 1250 images 5 are left, with 64 tokens of 188 bytes: less than a megabyte.
    assert check_config(config) == []
    spoil(folder / "1.json")
    (problem,) = check_config(config)
    assert problem.startswith("results: expected"), "a shard that is made anew counted"
    # Nor is it a fault by itself.
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, 4e6))
    assert check_config(config) == []
