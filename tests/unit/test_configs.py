"""Every configuration that is shipped can be used as it is, but for the paths of the data."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from mine.check import NSD_SHARED, check_config
from mine.config import Config, load_config, read_yaml

ROOT = Path(__file__).resolve().parents[2]
SIMULATED = sorted((ROOT / "configs/simulated").glob("*.yaml"))
MODELS = sorted((ROOT / "configs").glob("demo-*.yaml"))
"""The demo with other models, laid over the demo's configuration as the simulated ones are."""
FILES = [
    ROOT / "config.yaml",
    *(path for path in sorted((ROOT / "configs").glob("*.yaml")) if path not in MODELS),
]
# Those of which open_clip knows the model by its name.
NAMED = [path for path in FILES if ":" not in load_config(path).backbone.model]
GENERATORS = sorted((ROOT / "configs/generators").glob("*.yaml"))


def load(name: str) -> Config:
    return load_config(ROOT / "configs" / name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_configuration_is_right(path: Path) -> None:
    load_config(path)


def lay_over(path: Path) -> dict:
    """The demo's configuration with another laid over it, as Snakemake does with several files."""
    from snakemake.utils import update_config

    whole = read_yaml(ROOT / "config.yaml")
    update_config(whole, read_yaml(path))
    return whole


@pytest.mark.parametrize("path", SIMULATED, ids=lambda path: path.name)
def test_simulated_dataset_is_harder_and_in_folders_of_its_own(path: Path) -> None:
    config = load_config(lay_over(path))
    demo = load_config(ROOT / "config.yaml")
    assert config.name == path.stem and config.seed != demo.seed
    folders = [config.dataset.root, *config.dataset.captions, *config.dataset.instances]
    assert all(f.startswith(f"results/{config.name}/") for f in [*folders, config.demo.truth])
    assert config.demo.voxels > demo.demo.voxels
    assert config.demo.noise_ceiling < demo.demo.noise_ceiling


def test_analyses_have_names_of_their_own() -> None:
    names = [load_config(path).name for path in FILES]
    names += [load_config(lay_over(path)).name for path in [*SIMULATED, *MODELS]]
    assert len(set(names)) == len(names), "two analyses would write to one folder of results"


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_demo_with_another_model_differs_in_nothing_else(path: Path) -> None:
    part, config = read_yaml(path), load_config(lay_over(path))
    assert set(part) <= {"name", "dataset", "demo", "backbone", "lens"}
    # What is read by neighbours is for comparison alone.
    assert part.get("lens", {}).keys() <= {"corpus"} and config.lens.kind == "unembedding"
    assert config.name == path.stem
    folders = [config.dataset.root, *config.dataset.captions, *config.dataset.instances]
    assert all(f.startswith(f"results/{path.stem}/") for f in [*folders, config.demo.truth])


@pytest.mark.parametrize("path", NAMED, ids=lambda path: path.name)
def test_model_is_known_and_has_the_activation_of_its_weights(path: Path) -> None:
    pretrained = pytest.importorskip("open_clip.pretrained")
    from open_clip import get_model_config

    backbone = load_config(path).backbone
    model = get_model_config(backbone.model)
    weights = pretrained.get_pretrained_cfg(backbone.model, backbone.pretrained)
    assert model and weights
    assert model.get("quick_gelu", False) == weights.get("quick_gelu", False)


def test_paper_setting() -> None:
    config = load("paper.yaml")
    tokens = 16 * 16
    assert config.encoder.heads * config.encoder.head_width == 512
    assert config.encoder.head_width == 128
    assert config.encoder.position_orders == 0
    assert config.encoder.rank >= 2 * 512, "queries and readouts are to be free"
    assert round(config.description.token_fraction * tokens) == 50
    assert config.lens.words_per_token == 10


def test_paper_setting_takes_the_vision_language_model_that_its_comments_say() -> None:
    path = ROOT / "configs/paper.yaml"
    keys = dict(re.findall(r"^  #   (\w+): ([^#\n]*)", path.read_text(), flags=re.MULTILINE))
    backbone = yaml.safe_load("\n".join(f"{key}: {value}" for key, value in keys.items()))
    assert {"name", "kind", "model", "pretrained", "layer", "side"} <= set(backbone)
    fractions = dict(re.findall(r"`(\w+)\.token_fraction`?(?:: | of )([\d.]*\d)", path.read_text()))
    whole = {**read_yaml(path), "backbone": backbone}
    for section, fraction in fractions.items():
        whole[section] = {**whole[section], "token_fraction": float(fraction)}
    config, tokens = load_config(whole), 24 * 24
    assert config.backbone.kind == "vlm"
    assert round(config.description.token_fraction * tokens) == 50
    assert round(config.attribution.token_fraction * tokens) >= 50


def test_memory_for_the_wide_tokens_of_a_vision_language_model_is_asked_of_the_rules() -> None:
    """What limits a job on a cluster is its rule's mem_mb; `memory_gb` limits nothing."""
    text = (ROOT / "configs/paper.yaml").read_text()
    asked = dict(re.findall(r"(\w+):mem_mb\s+(?:# )?to (\d+)", text))
    assert asked.keys() == {"fit_encoder", "attribute"} and "increase `memory_gb`" not in text
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    given = dict(
        re.match(r"(\w+):mem_mb=(\d+)", one).groups()
        for one in profile["set-resources"]
        if ":mem_mb=" in one
    )
    # In half precision: 24 by 24 tokens of 4,096 numbers. A subject of NSD has 9,000 training
    # images and 1,000 test images; attribution copies the images that it reads.
    image = 24 * 24 * 4096 * 2 / 1e6
    copied = load("paper.yaml").attribution.images
    held = {"fit_encoder": 9_000 * image, "attribute": (10_000 + copied) * image}
    described = (ROOT / "docs/running.md").read_text()
    assert f"an image takes {image:.1f} MB" in described
    for rule, size in held.items():
        assert int(given[rule]) < size < int(asked[rule]) / 1.2
        assert f"{rule}:mem_mb={asked[rule]}" in described
        assert re.search(rf"\| `{rule}` .* \| {size / 1000:.0f} GB \|", described)


def test_profiles_of_nsd_are_read_on_training_images_too() -> None:
    for name in ("nsd.yaml", "paper.yaml"):
        assert load(name).attribution.images >= 2 * NSD_SHARED
    config = load("nsd.yaml").attribution
    kept = round(config.token_fraction * 16 * 16)
    row = (
        f"voxels of a region × {config.images:,} images × (5 fits × (12 × {kept} tokens + 18) + "
        f"2 × {kept} tokens of lowest attribution)"
    )
    size = config.images * (5 * (12 * kept + 18) + 2 * kept) / 1e6
    assert f"| {row} | {size:.1f} MB a voxel |" in (ROOT / "docs/cluster.md").read_text()


def test_class_token_model_gets_an_alignment() -> None:
    # ViT-L/14 is pooled by its class token: its patch tokens as they come are not in text space.
    for name in ("nsd.yaml", "paper.yaml"):
        assert load(name).backbone.alignment != "output"


@pytest.mark.parametrize("path", GENERATORS, ids=lambda path: path.stem)
def test_generator_goes_with_an_analysis(path: Path) -> None:
    part, whole = read_yaml(path), read_yaml(ROOT / "configs/nsd.yaml")
    assert set(part) - {"counterfactual"} == {"generator"}
    config = load_config({**whole, **part})
    # What depends on the model is said in full, so that nothing is left of another generator.
    assert part["generator"].keys() >= {
        *("model", "inpainting", "editing", "variant", "steps", "guidance", "size", "dtype")
    }
    # Neither this machine nor its cache of models is that of an analysis.
    fetched = replace(config, generator=replace(config.generator, allow_download=True))
    problems = check_config(fetched, here=False)
    assert not [problem for problem in problems if problem.startswith("generator")]


def test_default_generator_is_a_ready_one() -> None:
    ready = load_config(
        read_yaml(ROOT / "configs/nsd.yaml")
        | read_yaml(ROOT / "configs/generators/stable-diffusion-2.1.yaml")
    )
    default = load("nsd.yaml").generator
    # Whether the network may be used is for the analysis to say, over which a generator is laid.
    given = {"variant": default.variant, "allow_download": default.allow_download}
    assert replace(ready.generator, **given) == default
