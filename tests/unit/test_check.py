"""`mine check` and the start of the workflow: one sentence for each fault, before any work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from itertools import product
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import xarray as xr
import yaml

from mine import check, model_folders
from mine.check import check_config, check_data, estimate_work
from mine.cli import main
from mine.config import Config, load_config, read_yaml
from mine.core import devices
from mine.datasets.nsd import NsdReader
from mine.datasets.reader import open_dataset
from mine.provenance import describe_provenance
from mine.stores import write_store
from tests.data.random_folder import RandomFolder

Usage = namedtuple("Usage", "total used free")


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


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A machine without GPU and cluster; programs that are put into it are found there."""
    programs: dict[str, str] = {}
    monkeypatch.setattr(shutil, "which", programs.get)
    monkeypatch.setattr(devices, "DRIVERS", ())
    return programs


def test_nothing_wrong(analysis: dict, capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.yaml").write_text(yaml.safe_dump(analysis))
    assert main(["check", "config.yaml"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "config.yaml: nothing wrong; at most 200 pictures and 130 edits for each"
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "512 pixels a side, painting a region takes more than memory_gb: 4 from 9 voxels on"),
        # 200 pictures of 512 × 512 pixels take 472 MB a voxel: 4 GB are those of 8.
        ({"features": {"voxels": 8}}, ""),
        ({"features": {"voxels": 9}}, "512 pixels a side, painting a region takes more than"),
        ({"features": {"voxels": None}}, "memory_gb: 4 from 9 voxels on, so lower"),
        ({"features": {"voxels": 33}, "generator": {"size": 256}}, ""),
        ({"features": {"voxels": 20}, "counterfactual": {"images": 40}}, "from 4 voxels on"),
    ],
)
def test_pixels_that_take_more_than_the_memory_are_told(
    analysis: dict, changed: dict, said: str
) -> None:
    sections = {name: {**analysis.get(name, {}), **keys} for name, keys in changed.items()}
    config = load_config({**analysis, "memory_gb": 4, **sections})
    told = estimate_work(config)
    assert (said in told) if said else "memory_gb" not in told


def test_results_of_another_configuration_are_told(
    analysis: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("results/small").mkdir(parents=True)
    Path("results/small/config.json").write_text(json.dumps(analysis | {"seed": 7}))
    Path("config.yaml").write_text(yaml.safe_dump(analysis))
    assert main(["check", "config.yaml"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "results/small/config.json: the results beside it were made with other values of seed; a "
        "run replaces what follows from these keys, and another `name` keeps both"
    ]
    Path("config.yaml").write_text(yaml.safe_dump(analysis | {"seed": 7}))
    assert main(["check", "config.yaml"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_command_prints_all_problems_in_order(
    analysis: dict, machine: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    del analysis["demo"]
    analysis["lens"]["vocabulary"] = "absent.txt"
    analysis["memory_gb"] = 1e6
    shutil.rmtree("clip")
    Path("config.yaml").write_text(yaml.safe_dump(analysis))
    assert main(["check", "config.yaml"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "results/small/nsd: expected the dataset's folder, found none",
        "backbone.model: expected a folder clip, found none",
        "lens.vocabulary: expected `tokenizer` or a text file with a word a line, found no such "
        "file absent.txt",
    ]
    assert lines[3].startswith("memory_gb: expected at most the ") and len(lines) == 4


def test_annotations_that_no_rule_fetches_are_missed_before_a_download(analysis: dict) -> None:
    del analysis["demo"]
    analysis["dataset"] |= {"captions": ["captions.json"], "instances": ["instances.json"]}
    analysis["download"] = {"accept_terms": True}
    lists = {name: [] for name in ("images", "categories", "annotations")}
    Path("instances.json").write_text(json.dumps(lists))
    Path("config.yaml").write_text(yaml.safe_dump(analysis))
    assert check_data(read_yaml("config.yaml"), name="config.yaml") == [
        "captions.json: expected COCO annotations, found no file"
    ]


@pytest.mark.parametrize(
    ("mask", "missing"),
    [
        ("masks/{subject}.nii.gz", []),
        (
            "mask/{subject}.nii.gz",
            ["results/small/nsd/mask/subj01.nii.gz", "results/small/nsd/mask/subj02.nii.gz"],
        ),
        ("masks/subj01.nii.gz", ["results/small/nsd/masks/subj01.nii.gz"]),
        ("nsddata/ppdata/{subject}/food.nii.gz", []),
    ],
    ids=["of one subject", "of none", "named", "among what is fetched"],
)
@pytest.mark.parametrize("key", ["rois", "voxels"])
def test_masks_that_no_rule_fetches_are_missed_before_a_download(
    analysis: dict, key: str, mask: str, missing: list[str]
) -> None:
    del analysis["demo"]
    analysis["subjects"] = ["subj01", "subj02"]
    analysis["dataset"]["roi_references"] = {"food": mask}
    (analysis if key == "rois" else analysis["dataset"])[key] = ["food"]
    analysis["download"] = {"accept_terms": True}
    # A subject may lack a region, and not its voxels.
    Path("results/small/nsd/masks").mkdir(parents=True)
    Path("results/small/nsd/masks/subj02.nii.gz").touch()
    if key == "voxels" and mask == "masks/{subject}.nii.gz":
        missing = ["results/small/nsd/masks/subj01.nii.gz"]
    Path("config.yaml").write_text(yaml.safe_dump(analysis))
    assert check_data(read_yaml("config.yaml"), name="config.yaml") == [
        f"ROI mask {path}: expected a NIfTI file, found none" for path in missing
    ]


def test_wrong_keys_come_alone(analysis: dict) -> None:
    shutil.rmtree("clip")
    Path("config.yaml").write_text(yaml.safe_dump({**analysis, "seed": -1, "nom": 1}))
    assert check_data(read_yaml("config.yaml"), name="config.yaml") == [
        "config.yaml: nom: expected a known key, found this one; the nearest is name",
        "config.yaml: seed: expected a whole number of at least 0, found -1",
    ]


def test_further_files_are_laid_over_the_first(
    analysis: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("config.yaml").write_text(yaml.safe_dump(analysis))
    Path("over.yaml").write_text("sufficiency: {images: 1, samples: 2}\ngenerator: {steps: 7}\n")
    Path("last.yaml").write_text("sufficiency: {images: 5}\nrois: [PPA, FFA-1]\n")
    assert main(["check", "config.yaml", "over.yaml", "last.yaml"]) == 0
    assert capsys.readouterr().out.startswith(
        "config.yaml + over.yaml + last.yaml: nothing wrong; at most 50 pictures and 130 edits for "
        "each of 20 voxels of 2 regions of 1 subject, 7 steps each"
    )
    Path("last.yaml").write_text("seed: -1\n")
    assert main(["check", "config.yaml", "last.yaml"]) == 1
    assert capsys.readouterr().out.startswith("config.yaml + last.yaml: seed: expected a whole")
    Path("last.yaml").write_text("- seed\n")
    assert main(["check", "config.yaml", "last.yaml"]) == 1
    assert capsys.readouterr().err.startswith("last.yaml: expected a mapping of keys to values")


def test_missing_configuration(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["check", str(tmp_path / "absent.yaml")]) == 1
    assert "absent.yaml: expected a configuration file, found none" in capsys.readouterr().err


def spoil_config_json() -> None:
    Path("clip/open_clip_config.json").write_text("{}")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda: shutil.rmtree("clip"), "backbone.model: expected a folder clip, found none"),
        (
            Path("clip/open_clip_config.json").unlink,
            "backbone.model: expected the description clip/open_clip_config.json, found no such "
            "file",
        ),
        (
            spoil_config_json,
            "clip/open_clip_config.json: expected JSON with an entry model_cfg, found something "
            "else",
        ),
        (
            Path("clip/open_clip_model.safetensors").unlink,
            "backbone.model: expected the weights clip/open_clip_model.safetensors, found no such "
            "file",
        ),
        (lambda: shutil.rmtree("net"), "evaluator.model: expected a folder net, found none"),
        (
            lambda: Path("net/config.json").write_text("{}"),
            "net/config.json: expected JSON with an entry architecture, found something else",
        ),
        (
            Path("net/model.safetensors").unlink,
            "evaluator.model: expected the weights net/model.safetensors, found no such file",
        ),
        (
            Path("words.txt").unlink,
            "lens.vocabulary: expected `tokenizer` or a text file with a word a line, found no "
            "such file words.txt",
        ),
        (
            lambda: Path("words.txt").write_text("\n"),
            "words.txt: expected two words or more, one a line, found 0",
        ),
        (
            Path("colours.txt").unlink,
            "lens.lists.colours: expected a text file with a word a line, found no such file "
            "colours.txt",
        ),
        (
            lambda: Path("words.txt").write_text("cat\n"),
            "words.txt: expected two words or more, one a line, found 1",
        ),
        (
            lambda: Path("words.txt").write_text("cat\ndog\ncat\n"),
            "words.txt: expected each word once, found cat more than once",
        ),
    ],
)
def test_one_fault_gives_one_sentence(analysis: dict, spoil: object, problem: str) -> None:
    config = load_config(analysis)
    assert check_config(config) == []
    spoil()
    assert check_config(config) == [problem]


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


def test_corpus_of_the_lens(analysis: dict) -> None:
    folder, corpus = Path("language"), Path("corpus.txt")
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llava"}')
    (folder / "model.safetensors").touch()
    chosen = {"kind": "vlm", "model": "local-dir:language", "pretrained": None}
    lens = analysis["lens"] | {"kind": "neighbours"}

    def find(text: str) -> list[str]:
        own = {**analysis, "backbone": chosen, "lens": lens | {"corpus": text}}
        return check_config(load_config(own))

    assert find("captions") == []
    missing = (
        "lens.corpus: expected `captions` or a text file with a sentence a line, found no such "
    )
    assert find(str(corpus)) == [f"{missing}file corpus.txt"]
    corpus.write_text("\n")
    assert find(str(corpus)) == ["corpus.txt: expected sentences, one a line, found none"]
    corpus.write_text("a dog\n")
    assert find(str(corpus)) == []


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


@pytest.mark.parametrize("name", ["backbone", "encoder", "evaluator", "generator", "phrasing"])
def test_a_gpu_is_not_asked_for_where_none_is_seen(
    analysis: dict, machine: dict, name: str
) -> None:
    Path("language").mkdir()
    Path("language/config.json").write_text('{"model_type": "gpt2"}')
    Path("language/model.safetensors").touch()
    analysis["phrasing"] = {"model": "local-dir:language"}
    config = load_config({**analysis, name: analysis.get(name, {}) | {"device": "cuda:1"}})
    assert check_config(config) == [
        f"{name}.device: expected auto or cpu, since no GPU is seen on this machine, found cuda:1"
    ]
    # What the nodes of a cluster have, the machine that hands jobs to them cannot tell.
    assert check_config(config, here=False) == []
    machine["nvidia-smi"] = "/usr/bin/nvidia-smi"
    assert check_config(config) == []


def test_half_precision_is_not_left_to_a_cpu(analysis: dict, machine: dict) -> None:
    analysis["generator"] |= {"dtype": "float16"}
    config = load_config(analysis)
    assert check_config(config) == [
        "generator.dtype: expected float32 or bfloat16, since no GPU is seen on this machine, "
        "found float16"
    ]
    assert check_config(config, here=False) == []
    machine["nvidia-smi"] = "/usr/bin/nvidia-smi"
    assert check_config(config) == []


def test_a_machine_that_hands_jobs_to_a_cluster_is_not_asked_for_what_they_take(
    analysis: dict, machine: dict
) -> None:
    analysis |= {"memory_gb": 1e6, "generator": analysis["generator"] | {"dtype": "float16"}}
    Path("config.yaml").write_text(yaml.safe_dump(analysis))
    assert [
        problem.split(":")[0]
        for problem in check_data(read_yaml("config.yaml"), name="config.yaml")
    ] == [
        "generator.dtype",
        "memory_gb",
    ]
    machine["sbatch"] = "/usr/bin/sbatch"
    assert check_data(read_yaml("config.yaml"), name="config.yaml") == []


def test_too_little_memory(analysis: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_physical_memory", lambda: 2e9)
    config = load_config({**analysis, "memory_gb": 4})
    assert check_config(config) == [
        "memory_gb: expected at most the 2.0 GB of this machine, found 4"
    ]
    # The login node of a cluster may be smaller than those that compute.
    assert check_config(config, here=False) == []


def test_memory_for_less_than_two_sessions(analysis: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NsdReader, "measure_session", lambda self, subjects: 3e9 * len(subjects))
    config = load_config(analysis)
    sessions = f"two sessions of {config.dataset.root} take"
    expected = f"memory_gb: expected at least 6.0 GB, what {sessions}, found 1"
    assert check_config(config) == check_config(config, here=False) == [expected]
    monkeypatch.setattr(check, "_physical_memory", lambda: 8e9)
    assert check_config(load_config({**analysis, "memory_gb": 6})) == []


def test_too_little_disk(analysis: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, 1e6))
    config = load_config(analysis)
    # 1250 images of 8 x 8 tokens: 64 half-floats, and 10 words with their scores.
    needed = 1250 * 64 * (64 * 2 + 10 * 6) / 1e9
    assert check_config(config) == [
        f"results: expected {needed:.1f} GB of free disk for the images' tokens ({needed:.1f} GB) "
        "before compression, found 0.0 GB"
    ]


def test_shards_of_another_layout_need_their_room_again_and_refuse_nothing(
    analysis: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(analysis)
    each = 64 * (64 * 2 + 10 * 6)
    folder = Path("results/small/embeddings", config.backbone.name, "images")
    for number in range(3):
        shard = xr.Dataset(coords={"image": range(100)})
        write_store(shard, folder / f"{number}.zarr", provenance=describe_provenance())
    left = (1250 - 300) * each
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, left))
    assert check_config(config) == []
    older = folder / "1.json"
    content = json.loads(older.read_text())
    older.write_text(json.dumps(content | {"schema_version": -1}))
    (folder / "2.json").write_text("cut off")
    assert len(check_config(config)) == 1
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, left + 200 * each))
    assert check_config(config) == []


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
    assert estimate_work(config).endswith(told)
    config = load_config({**analysis, "features": {"voxels": None}})
    assert "not counted: pictures and edits, since they are of every voxel" in estimate_work(config)


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


def test_images_that_have_their_tokens_need_no_room(
    analysis: dict, monkeypatch: pytest.MonkeyPatch
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
    (folder / "1.json").unlink()
    assert len(check_config(config)) == 1, "a shard that was cut off counted"


def test_learning_curves_beyond_a_subjects_images(
    analysis: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {"subj01": 900, "subj02": 600}
    monkeypatch.setattr(check, "_dataset_is_to_come", lambda config: False)
    monkeypatch.setattr(
        NsdReader, "count_images", lambda reader, subjects: sum(shown[name] for name in subjects)
    )
    analysis |= {"subjects": list(shown), "encoders": {"images": [600, 601]}}
    said = [one for one in check_config(load_config(analysis)) if one.startswith("encoders")]
    assert said == ["encoders.images: expected at most the 600 images of subj02, found 601"]


def test_folds_leave_an_image_in_each(analysis: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_dataset_is_to_come", lambda config: False)
    monkeypatch.setattr(NsdReader, "count_images", lambda reader, subjects: 121)
    analysis["encoders"] = {"images": [50, 60]}
    for folds, expected in (
        (50, []),
        (51, ["encoders.images: expected at least baselines.folds, 51, found 50"]),
        (
            61,
            [
                "encoders.images: expected at least baselines.folds, 61, found 50",
                "baselines.folds: expected at most 60, half of the 121 images of subj01, found 61",
            ],
        ),
    ):
        problems = check_config(load_config(analysis | {"baselines": {"folds": folds}}))
        assert [one for one in problems if "folds" in one] == expected


def test_categories_are_checked_against_annotations_and_localiser(analysis: dict) -> None:
    folder = Path("results/small/nsd/nsddata/ppdata/subj01/func1pt8mm")
    folder.mkdir(parents=True)
    Path("results/small/nsd/nsddata/experiments/nsd").mkdir(parents=True)
    Path("results/small/nsd/nsddata/experiments/nsd/nsd_expdesign.mat").write_bytes(b"?" * 500)
    categories = {"faces": {"prompts": ["face"], "instances": ["face"], "localiser": "faces"}}
    analysis |= {"categories": categories}

    def problems_of_categories() -> list[str]:
        problems = check_config(load_config(analysis))
        return [problem for problem in problems if "categor" in problem]

    assert problems_of_categories() == [], "neither annotations nor a localiser are there"
    (folder / "floc_bodiestval.nii.gz").write_bytes(b"")
    known = [{"id": 1, "name": "fork", "supercategory": "kitchen"}, {"id": 2, "name": "lace"}]
    Path("objects.json").write_text(json.dumps({"images": [], "categories": known}))
    analysis["dataset"]["instances"] = ["objects.json"]
    assert problems_of_categories() == [
        "categories.faces.instances: expected categories or supercategories of dataset.instances, "
        "found 'face'; there are lace",
        "categories.faces.localiser: expected a contrast of the localiser, found 'faces'; there "
        "are bodies",
    ]
    (folder / "floc_facestval.nii.gz").write_bytes(b"")
    categories["faces"]["instances"] = ["kitchen", "lace"]
    assert problems_of_categories() == []
    Path("objects.json").write_text("{}")
    assert problems_of_categories() == [
        "objects.json: expected COCO annotations with a list categories, found none"
    ]


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ({"cats": ["cat"], "dogs": ["hound", "dog"]}, None),
        ({"cats": ["cat"], "dogs": ["hound"]}, "cats alone"),
        ({"cats": ["kitten"], "dogs": ["hound"]}, "none"),
        ({"cats": ["cat"]}, "cats alone"),
        # A word of a list is one of the vocabulary.
        ({"cats": ["cat"], "reds": ["red"]}, None),
    ],
)
def test_a_control_that_cannot_be_is_told_beforehand(
    analysis: dict, prompts: dict, said: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    analysis["categories"] = {name: {"prompts": words} for name, words in prompts.items()}
    Path("config.yaml").write_text(yaml.safe_dump(analysis))
    assert main(["check", "config.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines == [
        "categories: an edit by a word of another category takes two of them with a prompt in "
        f"lens.vocabulary, found {said}, so this control is left out where there is no other"
    ] * (said is not None)


def test_dataset_is_checked_once_it_is_there(analysis: dict) -> None:
    config = load_config(analysis)
    Path("results/small/nsd/nsddata/experiments/nsd").mkdir(parents=True)
    assert check_config(config) == []
    Path("results/small/nsd/nsddata/experiments/nsd/nsd_expdesign.mat").write_bytes(b"?" * 500)
    problems = check_config(config)
    assert problems and problems[0].startswith(
        "results/small/nsd/nsddata/experiments/nsd/nsd_expdesign.mat: "
    )


def test_a_reader_that_has_had_enough_is_no_fault() -> None:
    read, write = os.pipe()
    os.close(read)
    code = "import sys; from mine.cli import main; sys.exit(main(['config']))"
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")
