"""The configuration: one declaration, and a clear sentence for each way to get it wrong."""

from __future__ import annotations

import datetime
import difflib
import json
import re
from dataclasses import asdict
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml

from mine.check import check_data
from mine.cli import config_schema, main
from mine.config import (
    Config,
    InputError,
    describe_changes,
    find_problems,
    load_config,
    read_yaml,
)
from mine.randomness import generator
from mine.settings_documents import default_yaml, json_schema, reference_markdown

LANGUAGE = {"kind": "vlm", "model": "local-dir:models/llava", "pretrained": None}
DEMO = {"dataset": {"root": "results/small/data"}, "demo": {"truth": "results/small/truth"}}
SMALLEST = {"name": "small", "subjects": ["subj01"], "rois": ["EBA"], "dataset": {"root": "nsd"}}


def problems_of(**changes: object) -> list[str]:
    return find_problems({**SMALLEST, **changes}, name="config.yaml")[1]


def test_committed_schema_is_the_declared_one(repository: Path) -> None:
    path = repository / "workflow/schemas/config.schema.json"
    committed, declared = path.read_text(), config_schema()
    difference = difflib.unified_diff(
        committed.splitlines(), declared.splitlines(), "committed", "declared", lineterm=""
    )
    assert committed == declared, (
        f"run `mine config --as schema > {path.relative_to(repository)}`\n" + "\n".join(difference)
    )


def test_default_file_gives_the_defaults() -> None:
    text = default_yaml(Config)
    data = yaml.safe_load(text)
    config = load_config(data)
    required = {"name": "nsd", "subjects": ["subj01"], "rois": config.rois}
    assert asdict(config) == asdict(load_config({**required, "dataset": {"root": "data/nsd"}}))
    jsonschema.validate(data, json_schema(Config, title="Configuration"))


def test_every_key_is_explained() -> None:
    text = reference_markdown(Config)
    for name, values in asdict(load_config({**SMALLEST, **DEMO})).items():
        for key in values if isinstance(values, dict) else [name]:
            assert f"| `{key}` |" in text, key


def test_demo_configuration_is_right(repository: Path) -> None:
    path = repository / "config.yaml"
    config = load_config(path)
    assert config.demo is not None
    jsonschema.validate(
        yaml.safe_load(path.read_text()), json_schema(Config, title="Configuration")
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"encoder": {"heds": 4}},
            "encoder.heds: expected a known key, found this one; the nearest is encoder.heads",
        ),
        (
            {"head_width": 4},
            "head_width: expected a known key, found this one; the nearest is encoder.head_width",
        ),
        (
            {"zscore": "all"},
            "zscore: expected a known key, found this one; the nearest is dataset.zscore",
        ),
        (
            {"folder": {"averaged": True}},
            "folder: expected a known key, found this one; the nearest is dataset.folder",
        ),
        (
            {"model": "some/model"},
            "model: expected a known key, found this one; the nearest are backbone.model, "
            "evaluator.model, phrasing.model, generator.model",
        ),
        *(
            (
                {"dataset": {"root": "data", key: 1}},
                f"dataset.{key}: expected a known key, found this one; the nearest is "
                f"dataset.folder.{key}",
            )
            for key in ("images", "trials", "image_side", "responses", "averaged", "mask")
        ),
        (
            {"dataset": {"root": "data", "folder": {"kind": "folder"}}},
            "dataset.folder.kind: expected a known key, found this one; the nearest is "
            "dataset.kind",
        ),
        (
            # There is lens.layers, but a letter too many is the likelier slip.
            {"backbone": {"layers": 3}},
            "backbone.layers: expected a known key, found this one; the nearest is backbone.layer",
        ),
        (
            {"encoder": {"heads": "four"}},
            "encoder.heads: expected a whole number of at least 1, found 'four'",
        ),
        (
            {"encoder": {"heads": True}},
            "encoder.heads: expected a whole number of at least 1, found true",
        ),
        (
            {"encoder": {"heads": 0}},
            "encoder.heads: expected a whole number of at least 1, found 0",
        ),
        (
            {"encoder": {"heads": None}},
            "encoder.heads: expected a whole number of at least 1, found null",
        ),
        ({"encoder": 3}, "encoder: expected a mapping of keys to values, found 3"),
        (
            {"baselines": {"alphas": [1, "two"]}},
            "baselines.alphas[1]: expected a number of at least 1e-12, found 'two'",
        ),
        (
            {"baselines": {"alphas": 1}},
            "baselines.alphas: expected a list of numbers of at least 1e-12, found 1",
        ),
        (
            {"description": {"merge_cosine": float("nan")}},
            "description.merge_cosine: expected a number from 0 to 1, found nan",
        ),
        (
            {"backbone": {"alignment": "values"}},
            "backbone.alignment: expected one of output, value, self, contribution, found 'values'",
        ),
        *(
            (
                {"rois": [reference]},
                "rois[0]: expected a text that matches [A-Za-z0-9][A-Za-z0-9_.-]*, found "
                f"'{reference}'; give the region a name here, and say in dataset.roi_references "
                "what the name stands for",
            )
            for reference in ("Kastner2015:V1v", "lh/PPA", "masks/{subject}/food.nii.gz")
        ),
        (
            {"rois": [7]},
            "rois[0]: expected a text that matches [A-Za-z0-9][A-Za-z0-9_.-]*, found 7; put it in "
            "quotes",
        ),
        ({"rois": []}, "rois: expected at least one item, found none"),
        ({"rois": ["EBA", "EBA"]}, "rois: expected each item once, found 'EBA' twice"),
        (
            {"name": "../up"},
            "name: expected a text that matches [A-Za-z0-9][A-Za-z0-9_.-]*, found '../up'",
        ),
        ({"dataset": {}}, "dataset.root: expected a text, found no such key"),
        (
            {"attribution": {"nodes": 16, "maximum_nodes": 8}},
            "attribution.maximum_nodes: expected at least attribution.nodes, 16, found 8",
        ),
        (
            {"backbone": {"model": "local-dir:models/clip"}},
            "backbone.pretrained: expected null, since local-dir:models/clip holds its weights, "
            "found 'openai'",
        ),
        (
            {"backbone": {"pretrained": None}},
            "backbone.pretrained: expected the tag of ViT-L-14-quickgelu's weights, found null",
        ),
        (
            {"backbone": {"kind": "vlm", "pretrained": None}},
            "backbone.model: expected local-dir: or hf-hub: with vlm, found ViT-L-14-quickgelu",
        ),
        (
            {"backbone": {"kind": "vlm", "model": "hf-hub:some/model"}},
            "backbone.pretrained: expected null, since hf-hub:some/model holds its weights, found "
            "'openai'",
        ),
        (
            {"rois": ["EBA", "all"]},
            "rois: expected names other than all, which stands for all of them together in tables "
            "and summaries, found it",
        ),
        (
            {"subjects": ["all"]},
            "subjects: expected names other than all, which stands for all of them together in "
            "tables and summaries, found it",
        ),
        (
            {"subjects": ["subj01", "subjects"]},
            "subjects: expected names other than subjects, which stands for all of them together "
            "in tables and summaries, found it",
        ),
        (
            {"rois": ["FFA", "ffa"]},
            "rois: expected names that differ by more than capitals, since each is a folder, found "
            "FFA and ffa",
        ),
        (
            {"subjects": ["responses.Zarr"]},
            "subjects: expected names that end otherwise than files of results do, .zarr, .json, "
            ".tsv, found responses.Zarr",
        ),
        (
            {"subjects": [1]},
            "subjects[0]: expected a text that matches [A-Za-z0-9][A-Za-z0-9_.-]*, found 1; put it "
            "in quotes",
        ),
        (
            {"name": datetime.date(2026, 1, 2)},
            "name: expected a text that matches [A-Za-z0-9][A-Za-z0-9_.-]*, found 2026-01-02; put "
            "it in quotes",
        ),
        ({"backbone": {"layer": 3}}, "backbone.layer: expected null with open_clip, found 3"),
        ({"backbone": {"side": 448}}, "backbone.side: expected null with open_clip, found 448"),
        (
            {"lens": {"kind": "neighbours"}},
            "lens.kind: expected unembedding with open_clip, found neighbours",
        ),
        (
            {"lens": {"corpus": "captions"}},
            "lens.corpus: expected null with open_clip, found captions",
        ),
        (
            {"backbone": LANGUAGE, "lens": {"kind": "neighbours"}},
            "lens.corpus: expected captions or a text file with neighbours, found null",
        ),
        (
            {"backbone": LANGUAGE, "lens": {"layers": [3, 0]}},
            "lens.layers[1]: expected a whole number of at least 1, found 0",
        ),
        (
            {"evaluator": {"model": "hf-hub:some/model"}},
            "evaluator.pretrained: expected null, since hf-hub:some/model holds its weights, found "
            "'lvd142m'",
        ),
        (
            {"evaluator": {"name": "clip"}},
            "evaluator.name: expected another than backbone.name, found clip too",
        ),
        (
            {"evaluator": {"kind": "open_clip", "model": "ViT-L-14-quickgelu", "grid": 1}},
            "evaluator.model: expected another than backbone.model, found ViT-L-14-quickgelu too",
        ),
        (
            {"evaluator": {"kind": "open_clip", "model": "RN50", "pretrained": "openai"}},
            "evaluator.grid: expected 1 with open_clip, whose embeddings have no place, found 2",
        ),
        (
            {"generator": {"device": "cpu"}},
            "generator.dtype: expected float32 or bfloat16 with generator.device: cpu, found "
            "float16",
        ),
        (
            {"counterfactual": {"method": "instruction"}},
            "counterfactual.method: expected inpainting, or generator.editing to name a model that "
            "edits by instruction, found instruction and null",
        ),
        (
            {"generator": {"editing": "some/model", "guidance": 0}},
            "generator.guidance: expected above 1, without which generator.editing heeds no "
            "instruction, found 0",
        ),
        (
            {"dataset": {"root": "nsd", "roi_references": {"food": "food.nii.gz"}}},
            "dataset.roi_references.food: expected one of rois and dataset.voxels, EBA, "
            "nsdgeneral, found none of that name",
        ),
        (
            {"dataset": {"root": "data", "kind": "folder"}, "download": {"accept_terms": True}},
            "download.accept_terms: expected false with dataset.kind: folder, since only nsd is "
            "downloaded, found true",
        ),
        (
            {"dataset": {"root": "data", "kind": "folder", "localiser_threshold": {"faces": 3}}},
            "dataset.localiser_threshold: expected {} with dataset.kind: folder, since only "
            "regions of nsd's localiser are cut by it, found faces",
        ),
        (
            {**DEMO, "demo": {**DEMO["demo"], "sessions": 4}},
            "demo.trials_per_session: expected three trials for each image, 3750 in all sessions, "
            "found 3000",
        ),
        ({"categories": {}}, "categories: expected at least one item, found none"),
        (
            {"categories": ["faces"]},
            "categories: expected a mapping of names to mappings of keys to values, found "
            "['faces']",
        ),
        (
            {"categories": {"faces": {"prompts": []}}},
            "categories.faces.prompts: expected at least one item, found none",
        ),
        (
            {"categories": {"faces": {}}},
            "categories.faces.prompts: expected a list of texts, found no such key",
        ),
        (
            {"categories": {"faces": {"prompts": ["face"], "captons": []}}},
            "categories.faces.captons: expected a known key, found this one; the nearest is "
            "categories.faces.captions",
        ),
        (
            {"faithfulness": {"fractions": [0.5]}},
            "faithfulness.fractions: expected two or more, each above the one before, found 0.5",
        ),
        (
            {"faithfulness": {"fractions": [0.1, 0.5, 0.3]}},
            "faithfulness.fractions: expected two or more, each above the one before, found 0.1, "
            "0.5, 0.3",
        ),
        (
            {"faithfulness": {"rankings": ["attention", "random"]}},
            "faithfulness.rankings: expected integrated_gradients among them, which the others are "
            "compared with, found attention, random",
        ),
        (
            {"description": {"token_fraction": 0.5}},
            "description.token_fraction: expected at most attribution.token_fraction, 0.2, since "
            "only these are stored, found 0.5",
        ),
        (
            {"encoders": {"few_images": 300}},
            "encoders.few_images: expected fewer than encoders.more_images, 300, found 300",
        ),
        (
            {"dataset": {"root": "nsd", "captions": ["a.json", "b.json", "a.json"]}},
            "dataset.captions: expected each item once, found 'a.json' twice",
        ),
        (
            {"dataset": {"root": "nsd", "folder": {"image_side": 10**9}}},
            "dataset.folder.image_side: expected a whole number from 16 to 4096 or null, found "
            "1000000000",
        ),
        (
            {"memory_gb": 10**400},
            f"memory_gb: expected a number of at least 1, found 1{'0' * 56}...",
        ),
        (
            {"lens": {"vocabulary": "a\0b"}},
            "lens.vocabulary: expected a text, found 'a\\x00b'",
        ),
        (
            {"lens": {"lists": {"my colours": "colours.txt"}}},
            "lens.lists: expected names that match [A-Za-z0-9][A-Za-z0-9_.-]*, found 'my colours'",
        ),
        (
            {"lens": {"lists": {"colours": ["red", "blue"]}}},
            "lens.lists.colours: expected a text, found ['red', 'blue']",
        ),
    ],
)
def test_one_fault_gives_one_sentence(changes: dict[str, object], problem: str) -> None:
    assert problems_of(**changes) == [f"config.yaml: {problem}"]


@pytest.mark.parametrize("items", [[1, 2], [1, 1], ["a b", "a b"]])
def test_items_that_are_wrong_already_are_not_told_to_be_twice_there(items: list) -> None:
    said = problems_of(subjects=[*items, "subj01", "subj01"])
    keys = [problem.split(": ")[1] for problem in said]
    assert keys == ["subjects[0]", "subjects[1]", "subjects"]
    assert said[2].endswith("expected each item once, found 'subj01' twice")


def test_a_generator_may_take_one_step() -> None:
    assert load_config({**SMALLEST, "generator": {"steps": 1}}).generator.steps == 1


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InputError) as raised:
        load_config({"name": "small", "encoder": {"heads": 0, "depth": 2}}, name="config.yaml")
    lines = str(raised.value).splitlines()
    keys = [line.split(": ")[1] for line in lines]
    assert keys == ["subjects", "rois", "dataset", "encoder.depth", "encoder.heads"]


def test_yaml_number_without_a_point_is_a_number() -> None:
    config = load_config({**SMALLEST, "encoder": yaml.safe_load("learning_rate: 2e-3")})
    assert config.encoder.learning_rate == 0.002


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name: a\nname: b\n", "expected YAML, found in line 2: the key 'name' a second time"),
        ("name: [a\n", "expected YAML, found in line 2: "),
        ("a: !!python/object/apply:os.getcwd []\n", "expected YAML, found in line 1: could not"),
        ("- a\n", "expected a mapping of keys to values, found ['a']"),
        (
            "name: 2026-02-30\n",
            "expected YAML, found in line 1: '2026-02-30', which is no timestamp",
        ),
        ("a: 1\nseed: !!int x\n", "expected YAML, found in line 2: 'x', which is no int"),
        ("a: !!timestamp x\n", "expected YAML, found in line 1: 'x', which is no timestamp"),
        ("[FFA, EBA]: x\n", "expected YAML, found in line 1: a list or a mapping where a key is"),
        ("[" * 3000, "expected YAML, found more levels than can be read"),
        ("<<: 3\n", "expected YAML, found in line 1: expected a mapping or list of mappings for"),
        ("<<: {a: 1}\n<<: {b: 1}\n", "expected YAML, found in line 2: the key '<<' a second time"),
    ],
)
def test_damaged_file(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        load_config(path)
    assert str(raised.value).startswith(f"{path}: {problem}")


@pytest.mark.parametrize(
    "place",
    [
        *("nsd", "/data/nsd", "../nsd", ".", "results", "results/demo/dataset", "results/small"),
        *("results/small/../../nsd", "results/small/../nsd", "results/small2/dataset"),
    ],
)
@pytest.mark.parametrize("key", ["dataset.root", "demo.truth"])
def test_a_demo_writes_nothing_outside_its_own_results(key: str, place: str) -> None:
    section, name = key.split(".")
    changes = DEMO | {section: {name: place}}
    said = (
        f"{key}: expected a folder in results/small, since the demo writes it itself and replaces "
        f"what is there, found {place}"
    )
    assert problems_of(**changes) == [f"config.yaml: {said}"]
    assert check_data(SMALLEST | changes, name="config.yaml") == [f"config.yaml: {said}"]
    with pytest.raises(InputError, match=re.escape(said)):
        load_config(SMALLEST | changes)
    # Where finished results are only read, the dataset may have moved.
    load_config(SMALLEST | changes, is_run=False)


def test_a_demo_may_be_named_by_its_whole_path_but_not_lead_out_by_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "results/small"
    own.mkdir(parents=True)
    (tmp_path / "nsd").mkdir()
    (own / "link").symlink_to(tmp_path / "nsd")
    assert not problems_of(**(DEMO | {"dataset": {"root": str(own / "dataset")}}))
    (said,) = problems_of(**(DEMO | {"dataset": {"root": "results/small/link"}}))
    assert "dataset.root: expected a folder in results/small" in said


def test_results_are_opened_whatever_a_run_would_refuse_of_their_names() -> None:
    data = SMALLEST | {"rois": ["FFA-1", "ffa-1"]}
    with pytest.raises(InputError, match="ffa-1"):
        load_config(data)
    assert load_config(data, is_run=False).rois == ["FFA-1", "ffa-1"]


@pytest.mark.parametrize("value", ["{{subject}}", "{subject}/a.nii", "\n  - {subject}/a.nii"])
def test_a_pattern_without_quotes_is_told_to_need_them(tmp_path: Path, value: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"name: a\nresponses: {value}\nb: 1\n")
    with pytest.raises(InputError, match="; a text that begins with { needs quotes$") as raised:
        load_config(path)
    assert "\n" not in str(raised.value)


def test_what_is_merged_gives_way_to_keys_of_a_mappings_own(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "a: &a {x: 1, y: 2}\n"
        # read after what merges it, and itself with a key that it merges too
        "b: {c: {d: &d {<<: *a, y: 3}}}\n"
        "e: {<<: *d, x: 4}\n"
    )
    assert read_yaml(path) == {
        "a": {"x": 1, "y": 2},
        "b": {"c": {"d": {"x": 1, "y": 3}}},
        "e": {"x": 4, "y": 3},
    }


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a configuration file, found a folder$"):
        load_config(tmp_path)


@pytest.mark.parametrize("text", ["null", "[]", "3", '"text"', "{", ""])
def test_a_record_that_is_no_configuration_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("results/small/config.json")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert describe_changes(load_config(SMALLEST)) == (
        f"{path}: expected the configuration that made the results, found something else"
    )


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a configuration file, found none"):
        load_config(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, ""),
        ({"memory_gb": 8, "download": {"accept_terms": True}}, ""),
        ({"generator": {"vae_slicing": True, "allow_download": True}}, ""),
        ({"backbone": {"batch_size": 9}, "attribution": {"image_batch": 9}}, ""),
        ({"encoder": {"device": "cpu", "voxel_batch": 9}}, ""),
        ({"encoder": {"image_batch": 9}}, "other values of encoder.image_batch"),
        ({"seed": 7}, "other values of seed"),
        ({"rois": ["EBA", "PPA"], "lens": {"temperature": 1}}, "values of rois, lens.temperature"),
        (DEMO, "other values of dataset.root, demo"),
        ({"dataset": {"root": "nsd", "roi_references": {"EBA": "a:b"}}}, "roi_references.EBA"),
        ({"categories": {"faces": {"prompts": ["face"]}}}, "of categories.faces.prompts, "),
    ],
)
def test_keys_are_named_with_whose_other_values_results_were_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    config, path = load_config({**SMALLEST, **changes}), Path("results/small/config.json")
    assert describe_changes(config) == ""
    path.parent.mkdir(parents=True)
    # What is not recorded, since an earlier version did not know the key, has its default.
    path.write_text(json.dumps(SMALLEST))
    said = describe_changes(config)
    assert named in said and said.startswith(f"{path}: the results beside it" if named else "")
    assert bool(said) == bool(named)
    path.write_text(json.dumps(asdict(config)))
    assert describe_changes(config) == ""


def test_of_many_keys_that_changed_eight_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("results/small/config.json")
    path.parent.mkdir(parents=True)
    ones = dict.fromkeys(["images", "samples", "words"], 1)
    encoder = dict.fromkeys(["heads", "head_width", "epochs"], 1)
    features = {"voxels": 1, "distinct_cosine": 0.5, "response_quantile": 0.5}
    changed = {"seed": 1, "encoder": encoder, "sufficiency": ones, "features": features}
    path.write_text(json.dumps(SMALLEST | changed))
    said = describe_changes(load_config(SMALLEST))
    assert " other values of seed, " in said and said.endswith(" and 2 more")
    assert said.count(",") == 7
    path.write_text(json.dumps(SMALLEST | {"nom": 1}))
    said = describe_changes(load_config(SMALLEST))
    assert said.endswith("with keys of another version of MINE")


def test_schema_and_reader_agree_on_faults() -> None:
    validator = jsonschema.Draft202012Validator(json_schema(Config, title="Configuration"))
    for changes in (
        {"encoder": {"heds": 4}},
        {"encoder": {"heads": 0}},
        {"encoder": {"heads": "four"}},
        {"lens": {"prompts": ["a photo"]}},
        {"rois": []},
        {"rois": ["EBA", "EBA"]},
        {"backbone": {"alignment": "values"}},
        {"demo": None},
        {"attribution": {"images": None}},
        {"categories": {}},
        {"categories": {"faces": {"prompts": []}}},
        {"categories": {"faces": {"prompts": ["face"], "localiser": None}}},
    ):
        assert validator.is_valid({**SMALLEST, **changes}) == (not problems_of(**changes)), changes


def test_generator_depends_on_seed_and_names_alone() -> None:
    def draw(seed: int, *names: object) -> list[float]:
        return generator(seed, *names).random(4).tolist()

    assert draw(0, "encoder", 1) == draw(0, "encoder", 1)
    draws = [draw(0), draw(1), draw(0, "a"), draw(0, "a", "b"), draw(0, "b", "a"), draw(0, "ab")]
    assert len({tuple(values) for values in draws}) == len(draws)
    # A stored number: streams must not move with a version of Python or of the library.
    np.testing.assert_allclose(draw(0, "a", 1)[0], STREAM)


STREAM = 0.9867040030947852


def test_command_line_prints_what_it_documents(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"]) == 0
    assert capsys.readouterr().out == default_yaml(Config)
    assert main(["config", "--as", "schema"]) == 0
    assert capsys.readouterr().out == config_schema()
