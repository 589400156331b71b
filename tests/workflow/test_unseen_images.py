"""The workflow scores an encoder on NSD-synthetic, images of a kind that it never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mine.stores import open_store
from tests.data.random_nsd import BETAS
from tests.data.test_nsd_synthetic import OWN, SHARED, Synthetic
from tests.workflow.running import prepare_miniature, run

TARGET = "results/small/subj01/synthetic.json"
BACKBONES = {
    "clip": {"pretrained": None, "alignment": "output"},
    "vlm": {"kind": "vlm", "pretrained": None},
}
"""Of the demo's models, by the folder of each."""


@pytest.fixture
def synthetic(tmp_path: Path) -> Synthetic:
    """A miniature of NSD on fsaverage with NSD-synthetic."""
    return Synthetic(tmp_path / "nsd", format="fsaverage")


@pytest.fixture(params=["clip", pytest.param("vlm", marks=pytest.mark.slow)])
def folder(
    repository: Path, synthetic: Synthetic, tmp_path: Path, request: pytest.FixtureRequest
) -> Path:
    """A folder with the workflow beside that miniature."""
    return prepare_miniature(
        tmp_path,
        repository,
        rois=["FFA-1", "OFA"],
        dataset={
            "root": "nsd",
            "space": synthetic.world.space,
            "betas": BETAS,
            "test_images": "shared",
            "synthetic": True,
        },
        backbone={
            "model": f"local-dir:{repository / 'resources/demo' / request.param}",
            **BACKBONES[request.param],
        },
        encoder={"heads": 2, "head_width": 16, "epochs": 1},
        bootstrap={"resamples": 20},
    )


def test_images_of_another_kind_are_predicted_scored_and_never_learned_from(
    folder: Path, synthetic: Synthetic
) -> None:
    run(folder, TARGET)
    # Read at once: the store is written anew below.
    scores = open_store(folder / TARGET.replace(".json", ".zarr")).load()
    voxels = open_store(folder / "results/small/subj01/responses.zarr").sizes["voxel"]
    assert scores["prediction"].shape == (SHARED + OWN, voxels)
    assert np.isfinite(scores["prediction"]).all()
    assert scores["roi"].values.tolist() == ["FFA-1", "OFA"]
    assert scores["roi_r2_normalised"].sizes["model"] == 1

    # Other responses to those images change the scores and nothing that was fitted. Single-trial
    # responses of NSD are too many to be looked through for changes, so the scores go first.
    encoder = (folder / "results/small/subj01/encoder/all.json").read_text()
    synthetic.write_betas(synthetic.betas[::-1])
    (folder / TARGET).unlink()
    said = run(folder, TARGET)
    assert "images of another kind" in said and "Fitting" not in said
    assert (folder / "results/small/subj01/encoder/all.json").read_text() == encoder
    again = open_store(folder / TARGET.replace(".json", ".zarr"))
    assert not again["response"].equals(scores["response"])
    np.testing.assert_array_equal(again["prediction"], scores["prediction"])
