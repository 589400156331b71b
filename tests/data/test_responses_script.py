"""What the section `dataset` asks of responses reaches their reader."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from mine.datasets.reader import open_dataset
from mine.sections import Dataset
from mine.stores import open_store
from tests.data.random_nsd import RandomNsd
from tests.data.test_map_scripts import RUN
from tests.reference.responses import build_responses

ARGUMENTS = {
    "test_images": "test",
    "zscore": "standardise_on",
    "least_ncsnr": "least_ncsnr",
    "least_noise_ceiling": "least_noise_ceiling",
}
"""Key of the section → what build_responses calls it."""


# One least value of two: the ceiling follows from ncsnr, so that the stricter leaves the other
# nothing to leave out.
@pytest.mark.parametrize("least", [{"least_ncsnr": 0.6}, {"least_noise_ceiling": 0.6}])
def test_the_keys_of_the_section_are_those_that_responses_are_built_with(
    repository: Path, tmp_path: Path, least: dict[str, float]
) -> None:
    keys = {"test_images": "shared_three_repeats", "zscore": "all", **least}
    world = RandomNsd(tmp_path / "nsd", format="nifti", seed=3, regular=True)
    dataset = Dataset(root=str(world.root), **world.key, **keys)
    job = {
        "input": {},
        "output": {"store": str(tmp_path / "responses.zarr")},
        "params": {"dataset": asdict(dataset), "seed": 0},
        "wildcards": {"subject": "subj01"},
        "log": [str(tmp_path / "log")],
    }
    command = [sys.executable, "-c", RUN, json.dumps({"responses": job})]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = open_store(tmp_path / "responses.zarr").load()
    recording = open_dataset(dataset).read_subject("subj01")
    given = {ARGUMENTS[key]: value for key, value in keys.items()}
    expected = build_responses(recording, **given)
    np.testing.assert_array_equal(found["response"], expected["response"])
    np.testing.assert_array_equal(found["image"], expected["image"])
    # Each of the keys is seen in what is built: without it something else comes out.
    for name in given:
        others = {other: value for other, value in given.items() if other != name}
        other = build_responses(recording, **others)
        assert not found["response"].equals(other["response"]), name
