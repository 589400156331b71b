"""What models say of themselves in their folders, and one sentence for each that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub
import pytest

from mine import model_folders
from mine.check import check_config, estimate_work
from mine.config import load_config


@pytest.mark.parametrize(
    ("name", "model", "problem"),
    [
        (
            "backbone",
            {"model": "ViT-L-41"},
            "backbone.model: expected a model of open_clip, found 'ViT-L-41'; the nearest are ViT-",
        ),
        (
            "backbone",
            {"model": "ViT-B-32", "pretrained": "opanai"},
            "backbone.pretrained: expected a tag of ViT-B-32's weights, found 'opanai'; the "
            "nearest are openai",
        ),
        (
            "backbone",
            {"model": "hub:some/model", "pretrained": None},
            "backbone.model: expected a name, local-dir: or hf-hub:, found hub: in hub:some/model",
        ),
        (
            "evaluator",
            {"model": "vit_small_patch41_dinov2"},
            "evaluator.model: expected a model of timm, found 'vit_small_patch41_dinov2'; the "
            "nearest are vit_small_patch14_dinov2",
        ),
        (
            "evaluator",
            {"model": "dinov2-small"},
            "evaluator.model: expected a model of timm, found 'dinov2-small'; the nearest are "
            "vit_small_patch14_dinov2, ",
        ),
        (
            # as the hub of torch calls it
            "evaluator",
            {"model": "dinov2_vits14"},
            "evaluator.model: expected a model of timm, found 'dinov2_vits14'; the nearest are "
            "vit_base_patch14_dinov2, ",
        ),
        (
            "evaluator",
            {"pretrained": "lvd124m"},
            "evaluator.pretrained: expected a tag of vit_small_patch14_dinov2's weights, found "
            "'lvd124m'; the nearest are lvd142m",
        ),
    ],
)
def test_wrong_model(analysis: dict, name: str, model: dict, problem: str) -> None:
    problems = check_config(load_config({**analysis, name: model}))
    assert len(problems) == 1 and problems[0].startswith(problem)


def test_known_models_pass(analysis: dict) -> None:
    for backbone in (
        {"model": "ViT-B-32", "pretrained": "openai"},
        {"model": "hf-hub:some/model", "pretrained": None},
    ):
        assert check_config(load_config({**analysis, "backbone": backbone})) == []
    clip = {"kind": "open_clip", "model": "RN50", "pretrained": "openai", "grid": 1}
    for evaluator in ({}, clip):
        assert check_config(load_config({**analysis, "evaluator": evaluator})) == []


@pytest.mark.parametrize(
    ("name", "more"),
    [("backbone", {"kind": "vlm", "pretrained": None}), ("phrasing", {})],
)
def test_folder_of_a_language_model(analysis: dict, name: str, more: dict) -> None:
    chosen = {"model": "local-dir:language", **more}
    config, folder = load_config({**analysis, name: chosen}), Path("language")
    assert check_config(config) == [f"{name}.model: expected a folder language, found none"]
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llava"}')
    assert check_config(config) == [
        f"{name}.model: expected the weights language/*.safetensors, found no such file"
    ]
    # Weights in several files, as those of large models are.
    (folder / "model-00001-of-00002.safetensors").touch()
    assert check_config(config) == []


@pytest.mark.parametrize("key", ["model", "inpainting", "editing"])
def test_generator_in_a_folder(analysis: dict, key: str) -> None:
    generator = analysis["generator"] | {key: "./models/generator"}
    config = load_config({**analysis, "generator": generator})
    assert check_config(config) == [
        f"generator.{key}: expected a folder ./models/generator, found none"
    ]
    folder = Path("models/generator")
    (folder / "unet").mkdir(parents=True)
    assert check_config(config) == [
        f"generator.{key}: expected the folder of a pipeline of diffusers, with "
        "models/generator/model_index.json, found no such file"
    ]
    (folder / "model_index.json").write_text("{}")
    assert check_config(config) == [
        f"generator.{key}: expected weights as safetensors in ./models/generator, found none"
    ]
    (folder / "unet/diffusion_pytorch_model.safetensors").write_bytes(b"")
    assert check_config(config) == []


@pytest.mark.parametrize("key", ["model", "inpainting", "editing"])
def test_generator_of_a_hub_is_looked_for_in_its_cache(
    analysis: dict, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Path("cache").absolute()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    repository = cache / "models--some--one"
    folder = repository / "snapshots/abc"
    (folder / "unet").mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text("abc")
    whole = Path("whole")
    (whole / "unet").mkdir(parents=True)
    for place in (folder, whole):
        (place / "unet/diffusion_pytorch_model.safetensors").touch()
    (whole / "model_index.json").write_text("{}")
    others = {"model": "whole", "inpainting": None, "allow_download": False, "dtype": "float32"}

    def problems_of(model: str, **more: object) -> list[str]:
        generator = others | {key: model} | more
        return check_config(load_config({**analysis, "generator": generator}))

    for absent in ("some/one", "some/--other"):
        assert problems_of(absent) == [
            f"generator.{key}: expected a folder, or a model in the cache of the Hugging Face hub, "
            f"found neither of {absent}; `mine download --models` or "
            "generator.allow_download: true fetches it"
        ]
        assert problems_of(absent, allow_download=True) == []
    (folder / "model_index.json").write_text("{}")
    assert problems_of("some/one") == []
    (folder / "unet/diffusion_pytorch_model.safetensors").unlink()
    assert problems_of("some/one") == [
        f"generator.{key}: expected weights as safetensors in {folder}, found none"
    ]


def test_what_only_a_hub_can_tell_is_said_to_be_unchecked_until_it_is_in_the_cache(
    analysis: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Path("cache").absolute()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    wrong = "stabilityai/stable-difusion"
    named = {
        "backbone": {"kind": "vlm", "model": "hf-hub:some/vlm", "pretrained": None},
        "evaluator": {"model": "hf-hub:some/net@v2", "pretrained": None},
        "generator": analysis["generator"] | {"model": wrong, "inpainting": "net"},
    }
    config = load_config(analysis | named)
    assert estimate_work(config).endswith(
        "; not checked: whether the hub has some/vlm (backbone.model), some/net@v2 "
        f"(evaluator.model), {wrong} (generator.model), which `mine download --models` tells and a "
        "run fetches"
    )
    for model, revision, file in (
        ("some--vlm", "main", "config.json"),
        ("some--net", "v2", "config.json"),
        ("stabilityai--stable-difusion", "main", "model_index.json"),
    ):
        snapshot, refs = cache / f"models--{model}/snapshots/abc", cache / f"models--{model}/refs"
        snapshot.mkdir(parents=True)
        refs.mkdir()
        (snapshot / file).write_text("{}")
        (refs / revision).write_text("abc")
    assert "not checked" not in estimate_work(config)


@pytest.mark.parametrize(("blocks", "unit"), [(2, 2), (4, 8), (None, 1)])
def test_a_side_is_a_multiple_of_what_a_latent_stands_for(
    analysis: dict, blocks: int | None, unit: int
) -> None:
    folder = Path("models/sized")
    (folder / "vae").mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    (folder / "vae/a.safetensors").touch()
    if blocks is not None:
        content = {"block_out_channels": [1] * blocks}
        (folder / "vae/config.json").write_text(json.dumps(content))
    chosen = {"model": str(folder), "inpainting": str(folder)}
    for size in (unit * 53, unit * 53 + 1):
        generator = analysis["generator"] | chosen | {"size": size}
        found = check_config(load_config({**analysis, "generator": generator}))
        assert found == [
            f"generator.size: expected a multiple of {unit}, by which generator.model divides an "
            f"image, found {size}"
        ] * (size % unit != 0)


def test_pictures_are_as_large_as_the_model_says(analysis: dict) -> None:
    for part, said in {"unet": {"sample_size": 96}, "vae": {"block_out_channels": [8] * 4}}.items():
        Path("paints", part).mkdir(parents=True)
        Path("paints", part, "config.json").write_text(json.dumps(said))
    generator = load_config(analysis | {"generator": {"model": "paints"}}).generator
    assert model_folders.read_side(generator) == 768
    Path("paints/unet/config.json").write_text("{}")
    assert model_folders.read_side(generator) == 512
    generator = load_config(analysis | {"generator": {"model": "paints", "size": 64}}).generator
    assert model_folders.read_side(generator) == 64
