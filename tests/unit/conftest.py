"""What several tests start from: models made once for all, a configuration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory) -> dict[str, Path]:
    """A folder with a tiny random model of each family of pipelines."""
    from tests.reference.tiny_pipelines import save_models

    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def generators(pipelines) -> dict:
    """A generator of each family; the one called edit is instructed."""
    from tests.reference.tiny_pipelines import load_models

    return load_models(pipelines)


@pytest.fixture
def analysis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """A configuration of the demo with which nothing is wrong; its dataset is yet to be written."""
    monkeypatch.chdir(tmp_path)
    model = {"embed_dim": 64, "vision_cfg": {"image_size": 64, "patch_size": 8}}
    Path("clip").mkdir()
    Path("clip/open_clip_config.json").write_text(json.dumps({"model_cfg": model}))
    Path("clip/open_clip_model.safetensors").write_bytes(b"")
    Path("net").mkdir()
    Path("net/config.json").write_text(json.dumps({"architecture": "resnet18"}))
    Path("net/model.safetensors").write_bytes(b"")
    Path("words.txt").write_text("cat\ndog\nface\nfood\n\n")
    Path("colours.txt").write_text("red\nblue\n")
    return {
        "name": "small",
        "subjects": ["subj01"],
        "rois": ["EBA"],
        "memory_gb": 1,
        "dataset": {"root": "results/small/nsd"},
        "demo": {"truth": "results/small/truth"},
        "backbone": {"model": "local-dir:clip", "pretrained": None},
        "evaluator": {"model": "local-dir:net", "pretrained": None},
        "lens": {"vocabulary": "words.txt", "lists": {"colours": "colours.txt"}},
        "generator": {"allow_download": True, "dtype": "float32"},
    }
