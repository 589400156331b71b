"""`mine check` and the start of the workflow: one sentence for each fault, before any work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from mine import check
from mine.check import check_config, check_data, estimate_work
from mine.cli import main
from mine.config import load_config, read_yaml
from mine.core import devices
from mine.datasets.nsd import NsdReader
from mine.sections import CATEGORIES


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
    root = Path.cwd() / "results/small/nsd"
    assert lines[:3] == [
        f"dataset.root: expected the dataset's folder, found none at {root}",
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


def test_a_mask_is_told_what_is_not_expanded(analysis: dict) -> None:
    del analysis["demo"]
    analysis |= {"rois": ["food"], "download": {"accept_terms": True}}
    analysis["dataset"]["roi_references"] = {"food": "~/food.nii.gz"}
    assert check_config(load_config(analysis))[0] == (
        "ROI mask results/small/nsd/~/food.nii.gz: expected a NIfTI file, found none; ~ and $NAME "
        "are not expanded"
    )


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
        assert [one for one in problems if ".folds" in one] == expected


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
    # Nobody asked for what a default category has besides, unless somebody changed it.
    categories["faces"] = asdict(CATEGORIES["faces"])
    assert problems_of_categories() == []
    categories["faces"] |= {"prompts": ["face"], "instances": ["kitchen"]}
    assert problems_of_categories() == [
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
