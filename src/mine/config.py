"""The configuration of an analysis: its sections together, how it is read, what contradicts what.

`config.yaml` sets what the embedded demo changes. Imports nothing beyond the standard library and
PyYAML, because the workflow's rules read this.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from mine.errors import InputError
from mine.references import voxel_references
from mine.sections import (
    ALL,
    CATEGORIES,
    HANDLING,
    NAME,
    Attribution,
    Backbone,
    Baselines,
    Bootstrap,
    Browser,
    Category,
    Counterfactual,
    Dataset,
    Demo,
    Description,
    Download,
    Encoder,
    Encoders,
    Evaluator,
    Faithfulness,
    Features,
    Figures,
    Generator,
    Lens,
    Phrasing,
    Profile,
    Structure,
    Sufficiency,
)
from mine.settings import parse_settings, section, sections, setting

__all__ = [
    "REPLACED",
    "Config",
    "InputError",
    "describe_changes",
    "find_changes",
    "find_problems",
    "load_config",
    "read_yaml",
]

IDLE = {
    *("memory_gb", "download"),
    *(f"{name}.{key}" for name, keys in HANDLING.items() for key in keys),
}
"""Keys and sections on which no result depends, but for rounding."""

REPLACED = "a run replaces what follows from these keys, and another `name` keeps both"
"""What comes of keys in which results that are there were made with others."""

MERGE = "tag:yaml.org,2002:merge"
"""What YAML takes the key `<<` for."""

UNQUOTED = re.compile(r"(?:^|[:\[,-])\s*\{+\w+\}")
"""What begins with a name in braces, as patterns of files do: YAML takes it for a mapping."""

RESULTS = Path("results")
"""Folder of the results of all analyses, each in one of its name: where the workflow is run."""

NAMED = 8
"""Most keys that are named where many have changed."""

POOLED = {"rois": (ALL,), "subjects": (ALL, "subjects")}
"""Names that no region and no subject may have, since they stand for all of them together."""

FILES = (".zarr", ".json", ".tsv")
"""How files of results end that lie beside the folders of subjects and of regions."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The name of the analysis, its subjects and regions, and the memory of a job."""

    name: str = setting(
        "Name of the analysis; its results are written to results/<name>.",
        pattern=NAME,
        example="nsd",
    )
    subjects: list[str] = setting(
        "Subjects, by their names in the dataset; put a name that is a number in quotes. No "
        "subject may be called all or subjects, and no two names may differ only by capitals.",
        pattern=NAME,
        nonempty=True,
        example=["subj01"],
    )
    rois: list[str] = setting(
        "Regions to explain, by their names in the dataset or in dataset.roi_references. No "
        "region may be called all, and no two names may differ only by capitals.",
        pattern=NAME,
        advice="give the region a name here, and say in dataset.roi_references what the name "
        "stands for",
        nonempty=True,
        example=["FFA-1", "EBA", "PPA", "VWFA-1"],
    )
    seed: int = setting("Seed of everything that is drawn at random.", 0, minimum=0)
    memory_gb: float = setting(
        "Memory that one job is expected to have, in gigabytes. It limits nothing: MINE compares "
        "it with the machine's memory, with what two sessions take and with the pixels of a "
        "region's pictures.",
        16.0,
        minimum=1,
    )
    dataset: Dataset = section(Dataset, "The recorded responses and the images that were shown.")
    download: Download = section(
        Download, "Whether and how the dataset is downloaded; see [data.md](data.md#getting-it)."
    )
    demo: Demo | None = section(
        Demo,
        "Only for the embedded demo, whose rules are then part of the workflow: the size of the "
        "miniature dataset that is written to dataset.root, a folder in results/<name>.",
        optional=True,
    )
    backbone: Backbone = section(Backbone, "The model that turns an image into tokens.")
    lens: Lens = section(Lens, "The logit lens, which reads a token as words.")
    encoder: Encoder = section(Encoder, "The voxel-query encoder.")
    baselines: Baselines = section(Baselines, "Ridge regressions on the same split.")
    encoders: Encoders = section(
        Encoders,
        "Forms of encoders that `snakemake compare_encoders` fits on equal terms; see "
        "[encoders.md](encoders.md).",
    )
    evaluator: Evaluator = section(
        Evaluator,
        "A second encoder that judges generated and edited images: ridge regression, with the "
        "penalties of baselines, on the features of another model.",
    )
    attribution: Attribution = section(Attribution, "Integrated gradients in closed form.")
    faithfulness: Faithfulness = section(Faithfulness, "Patching of tokens.")
    description: Description = section(Description, "Words for one voxel and one image.")
    profile: Profile = section(Profile, "Words for one voxel over its images.")
    phrasing: Phrasing = section(
        Phrasing, "Sentences made from the listed words of profiles by a local language model."
    )
    categories: dict[str, Category] = sections(
        Category,
        "Categories whose preference is measured in every voxel and region, by name: the words "
        "for each, which images show it, and which contrast of the localiser belongs to it. If you "
        "give a list, it replaces the whole default list.",
        CATEGORIES,
    )
    generator: Generator = section(
        Generator, "The models that make and edit images; configs/generators has ready-made ones."
    )
    features: Features = section(Features, "Which voxels' features are tested for causality.")
    sufficiency: Sufficiency = section(
        Sufficiency, "Pictures generated from descriptions and from controls."
    )
    counterfactual: Counterfactual = section(
        Counterfactual, "Features inserted into images and removed from others."
    )
    structure: Structure = section(
        Structure, "Structure within a region: what distinguishes its voxels."
    )
    bootstrap: Bootstrap = section(Bootstrap, "Intervals over images.")
    figures: Figures = section(Figures, "What the figures show.")
    browser: Browser = section(Browser, "The voxel browser, a folder of pages.")

    def word_files(self) -> dict[str, str]:
        """Return the paths of the word lists that are files, by the key that names each."""
        lens = self.lens
        named = {} if lens.vocabulary == "tokenizer" else {"lens.vocabulary": lens.vocabulary}
        return named | {f"lens.lists.{name}": path for name, path in lens.lists.items()}

    def corpus_files(self) -> dict[str, str]:
        """Return the path of the corpus, if it is a file, by the key that names it."""
        corpus = self.lens.corpus
        return {} if corpus in (None, "captions") else {"lens.corpus": corpus}

    def roi_references(self) -> dict[str, str]:
        """Return each region's name with what it stands for in the dataset."""
        return {roi: self.dataset.roi_references.get(roi, roi) for roi in self.rois}

    def selection(self) -> dict[str, Any]:
        """Return what decides which files of the dataset are read, by plain values."""
        localisers = {category.localiser for category in self.categories.values()} - {None}
        return {
            "subjects": self.subjects,
            "space": self.dataset.space,
            "betas": self.dataset.betas,
            "format": self.download.format,
            "sessions": self.dataset.sessions,
            "voxels": voxel_references(self.dataset),
            "references": sorted(set(self.roi_references().values())),
            "contrasts": sorted(localisers | set(self.dataset.localiser_threshold)),
            "skip_missing": self.dataset.skip_missing_sessions,
            "common": self.dataset.test_images == "shared_common",
            "synthetic": self.dataset.synthetic,
        }


def load_config(
    source: Path | str | Mapping[str, Any], *, name: str = "config", is_run: bool = True
) -> Config:
    """Read and check a configuration.

    Args:
        source: a YAML file, or what was read from one.
        name: what messages call the source if it is no file.
        is_run: whether a workflow may be run by it; False where finished results are read, of
            which the demo's dataset may have moved.

    Raises:
        InputError: with every problem found, a line each.
    """
    if isinstance(source, Mapping):
        data: object = source
    else:
        data, name = read_yaml(source), str(source)
    config, problems = find_problems(data, name=name, is_run=is_run)
    if config is None:
        raise InputError("\n".join(problems))
    return config


def find_problems(
    data: object, *, name: str, is_run: bool = True
) -> tuple[Config | None, list[str]]:
    """Check data key by key, then keys against each other; is_run: as `load_config` takes it.

    Returns:
        The configuration, None where anything is wrong; and every problem, a sentence each.
    """
    config, problems = parse_settings(Config, data, source=name)
    if config is not None:
        found = _contradictions(config)
        if is_run:
            found += _find_demo_outside(config) + _colliding_names(config)
        problems = [f"{name}: {problem}" for problem in found]
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
    except IsADirectoryError:
        raise InputError(f"{path}: expected a configuration file, found a folder") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected a readable text file, found: {error}") from None
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or str(error)
        line = text.splitlines()[mark.line : mark.line + 1] if mark else []
        help = "; a text that begins with { needs quotes" if any(map(UNQUOTED.search, line)) else ""
        raise InputError(f"{path}: expected YAML, found{where}: {what}{help}") from None
    except RecursionError:
        raise InputError(f"{path}: expected YAML, found more levels than can be read") from None


def describe_changes(config: Config) -> str:
    """Name the keys in which a configuration is another than the one that made its results.

    Keys on which no result depends do not count, and what the recorded configuration lacks has its
    default.

    Returns:
        The beginning of a sentence; nothing where no key differs, or no results are there.
    """
    path = RESULTS / config.name / "config.json"
    if not path.is_file():
        return ""
    said = f"{path}: the results beside it were made with"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, Mapping):
        return f"{path}: expected the configuration that made the results, found something else"
    try:
        recorded = load_config(content, is_run=False)
    except InputError:
        return f"{said} keys of another version of MINE"
    keys = [key for key, *_ in find_changes(recorded, config)]
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return f"{said} other values of {', '.join(keys[:NAMED])}{more}" if keys else ""


def find_changes(one: Config, other: Config) -> Iterator[tuple[str, Any, Any]]:
    """Yield every key on which results depend and in which two configurations differ, with its
    value in either, None where it has none."""
    for key, *values in _compare(asdict(one), asdict(other)):
        if IDLE.isdisjoint((key, key.partition(".")[0])):
            yield key, *values


def _compare(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the path of every key whose values differ, or that only one of two mappings has, with
    its value in either."""
    for key in {**one, **other}:
        values = one.get(key), other.get(key)
        if all(isinstance(value, Mapping) for value in values):
            yield from ((f"{key}.{inner}", *pair) for inner, *pair in _compare(*values))
        elif key not in one or key not in other or values[0] != values[1]:
            yield key, *values


class _StrictLoader(yaml.SafeLoader):
    """The safe loader, which besides refuses a key that stands twice in one mapping, and says of
    every value that it cannot read in which line it stands."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._checked: set[int] = set()

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, TypeError, LookupError, AttributeError):
            # of 2026-02-30, say, or of a tag that is not the value's
            what = repr(node.value) if isinstance(node, yaml.ScalarNode) else "what stands there"
            kind = node.tag.rpartition(":")[2]
            raise _refuse(f"{what}, which is no {kind}", node) from None

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        # Before `<<` is merged: what is merged may have the same keys, and these give way.
        if id(node) not in self._checked:
            self._checked.add(id(node))
            self._check_keys(node)
        super().flatten_mapping(node)

    def _check_keys(self, node: yaml.MappingNode) -> None:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _refuse("a list or a mapping where a key is wanted", key_node)
            is_merge = key_node.tag == MERGE
            key = key_node.value if is_merge else self.construct_object(key_node)
            if key in seen:
                raise _refuse(f"the key {key!r} a second time", key_node)
            seen.add(key)


def _refuse(what: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, what, node.start_mark)


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
    problems += _ambiguous_names(config)
    problems += _unclear_backbone(backbone)
    problems += _unclear_lens(config.lens, backbone)
    problems += _unclear_lists(config.lens)
    problems += _unclear_weights("evaluator", config.evaluator.model, config.evaluator.pretrained)
    problems += _shared_models(backbone, config.evaluator)
    problems += _idle_generator(config.generator)
    problems += _unmet_numbers(config.encoders)
    problems += _flat_curves(config.faithfulness)
    if config.counterfactual.method == "instruction" and config.generator.editing is None:
        problems.append(
            "counterfactual.method: expected inpainting, or generator.editing to name a model that "
            "edits by instruction, found instruction and null"
        )
    named = list(dict.fromkeys([*config.rois, *config.dataset.voxels]))
    for roi in sorted(set(config.dataset.roi_references) - set(named)):
        problems.append(
            f"dataset.roi_references.{roi}: expected one of rois and dataset.voxels, "
            f"{', '.join(named)}, found none of that name"
        )
    if demo is not None and config.download.accept_terms:
        problems.append(
            "download.accept_terms: expected false, since the demo writes its own dataset, found "
            "true"
        )
    if config.dataset.kind != "nsd" and config.download.accept_terms:
        problems.append(
            f"download.accept_terms: expected false with dataset.kind: {config.dataset.kind}, "
            "since only nsd is downloaded, found true"
        )
    if config.dataset.synthetic and config.dataset.kind != "nsd":
        problems.append(
            f"dataset.synthetic: expected false with dataset.kind: {config.dataset.kind}, since "
            "only nsd has NSD-synthetic, found true"
        )
    if config.dataset.localiser_threshold and config.dataset.kind != "nsd":
        problems.append(
            f"dataset.localiser_threshold: expected {{}} with dataset.kind: {config.dataset.kind}, "
            "since only regions of nsd's localiser are cut by it, found "
            f"{', '.join(config.dataset.localiser_threshold)}"
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


def _find_demo_outside(config: Config) -> list[str]:
    """Return which folders the demo would write outside the results of its own analysis: a run
    writes them anew, so that what had stood there, a dataset say, would be gone."""
    if config.demo is None:
        return []
    own = RESULTS / config.name
    # By where a path leads: through a link it might leave the results.
    inside = own.resolve()
    places = {"dataset.root": config.dataset.root, "demo.truth": config.demo.truth}
    return [
        f"{key}: expected a folder in {own}, since the demo writes it itself and replaces what is "
        f"there, found {place}"
        for key, place in places.items()
        if inside not in Path(place).resolve().parents
    ]


def _ambiguous_names(config: Config) -> list[str]:
    """Return which regions and subjects are called as all of them together are."""
    return [
        f"{key}: expected names other than {name}, which stands for all of them together in tables "
        "and summaries, found it"
        for key, names in POOLED.items()
        for name in names
        if name in getattr(config, key)
    ]


def _colliding_names(config: Config) -> list[str]:
    """Return which regions and subjects would share a folder, where a disk takes no notice of case,
    or have the name of a file beside them."""
    problems = []
    for key in POOLED:
        names: dict[str, str] = {}
        for name in getattr(config, key):
            if (other := names.setdefault(name.lower(), name)) != name:
                problems.append(
                    f"{key}: expected names that differ by more than capitals, since each is a "
                    f"folder, found {other} and {name}"
                )
            if name.lower().endswith(FILES):
                problems.append(
                    f"{key}: expected names that end otherwise than files of results do, "
                    f"{', '.join(FILES)}, found {name}"
                )
    return problems


def _unclear_backbone(backbone: Backbone) -> list[str]:
    """Return what is wrong between the kind of a backbone and the keys that belong to either."""
    if backbone.kind == "open_clip":
        problems = [
            f"backbone.{key}: expected null with open_clip, found {getattr(backbone, key)}"
            for key in ("layer", "side")
            if getattr(backbone, key) is not None
        ]
        return problems + _unclear_weights("backbone", backbone.model, backbone.pretrained)
    if not backbone.model.startswith(("local-dir:", "hf-hub:")):
        return [f"backbone.model: expected local-dir: or hf-hub: with vlm, found {backbone.model}"]
    return _unclear_weights("backbone", backbone.model, backbone.pretrained)


def _unclear_lists(lens: Lens) -> list[str]:
    """Return which named word lists have a name that can be none of a column or a coordinate."""
    return [
        f"lens.lists: expected names that match {NAME}, found {name!r}"
        for name in lens.lists
        if not re.fullmatch(NAME, name)
    ]


def _unclear_lens(lens: Lens, backbone: Backbone) -> list[str]:
    """Return what is wrong between a lens, its corpus and the kind of the backbone."""
    if backbone.kind == "open_clip":
        plain = {"kind": "unembedding", "corpus": None}
        return [
            f"lens.{key}: expected {value or 'null'} with open_clip, found {getattr(lens, key)}"
            for key, value in plain.items()
            if getattr(lens, key) != value
        ]
    if lens.kind == "neighbours" and lens.corpus is None:
        return ["lens.corpus: expected captions or a text file with neighbours, found null"]
    return []


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


def _unmet_numbers(encoders: Encoders) -> list[str]:
    """Return which numbers ask for more than another key leaves."""
    if encoders.few_images < encoders.more_images:
        return []
    return [
        f"encoders.few_images: expected fewer than encoders.more_images, {encoders.more_images}, "
        f"found {encoders.few_images}"
    ]


def _flat_curves(faithfulness: Faithfulness) -> list[str]:
    """Return what curves of patching lack to have an area and something to be compared with."""
    problems, fractions = [], faithfulness.fractions
    if len(fractions) < 2 or sorted(set(fractions)) != fractions:
        problems.append(
            "faithfulness.fractions: expected two or more, each above the one before, found "
            f"{', '.join(f'{fraction:g}' for fraction in fractions)}"
        )
    if "integrated_gradients" not in faithfulness.rankings:
        problems.append(
            "faithfulness.rankings: expected integrated_gradients among them, which the others are "
            f"compared with, found {', '.join(faithfulness.rankings)}"
        )
    return problems


def _idle_generator(generator: Generator) -> list[str]:
    """Return which settings of a generator leave it nothing to do, or no way to do it."""
    problems = []
    if generator.device == "cpu" and generator.dtype == "float16":
        problems.append(
            "generator.dtype: expected float32 or bfloat16 with generator.device: cpu, found "
            "float16"
        )
    if generator.editing is not None and generator.guidance <= 1:
        problems.append(
            "generator.guidance: expected above 1, without which generator.editing heeds no "
            f"instruction, found {generator.guidance:g}"
        )
    return problems
