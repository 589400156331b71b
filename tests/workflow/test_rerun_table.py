"""What runs again after an edit, on the real Snakefile: a table of edits and the rules they reach.

The configuration is an experiment of one's own with two subjects and two regions. Its results are
stand-ins, made by finish.py, since what runs is decided from what Snakemake keeps of every job.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

from mine.sections import HANDLING
from tests.data.random_folder import RandomFolder

# Each edit takes a plan of the whole workflow.
pytestmark = pytest.mark.slow

READERS = {
    "stimuli": "low_level vocabulary captions embed embed_evaluator base_rates plan preference",
    "vocabulary": "embed base_rates categories profile features plan paint null_profiles "
    "structure_subjects figure_voxels figure_structure figure_generated figure_edits "
    "summary_subject browser_subject",
    "captions": "baselines",
    "embed": "gather",
    "low_level": "gather",
    "embed_evaluator": "gather fit_evaluator",
    "gather": "base_rates fit_encoder baselines scores attribute describe profile features plan "
    "structure",
    "base_rates": "describe profile features plan paint null_profiles structure structure_subjects "
    "figure_structure summary_subject browser_subject",
    "responses": "rois fit_encoder baselines scores fit_evaluator attribute describe profile "
    "features plan sufficiency preference preference_maps structure figure_maps summary_subject "
    "browser_subject score_maps reason_map",
    "rois": "regions scores attribute paint preference figure_encoder summary_subject",
    "categories": "plan null_profiles preference",
    "fit_encoder": "scores attribute profile features paint",
    "baselines": "scores score_maps profile",
    "scores": "score_maps figure_encoder figure_voxels figure_generated figure_edits "
    "summary_subject browser_subject",
    "fit_evaluator": "paint summary_subject",
    "attribute": "describe profile features preference figure_voxels figure_faithfulness "
    "browser_subject",
    "describe": "figure_voxels browser_subject",
    "profile": "features null_profiles preference structure structure_subjects figure_described "
    "figure_voxels figure_structure figure_generated figure_edits summary_subject browser_subject "
    "reason_map",
    "features": "plan",
    "plan": "paint",
    "paint": "sufficiency counterfactuals figure_generated figure_edits browser_subject",
    "sufficiency": "figure_generated figure_causality summary_subject browser_subject",
    "counterfactuals": "figure_edits figure_causality summary_subject browser_subject",
    "null_profiles": "preference",
    "preference": "preference_subjects preference_maps figure_preference summary_subject "
    "browser_subject",
    "preference_maps": "figure_maps",
    "preference_subjects": "figure_preference_subjects",
    "structure": "structure_subjects figure_structure figure_maps summary_subject browser_subject",
    "structure_subjects": "figure_structure_subjects",
    "summary_subject": "summary_subjects",
    "browser_subject": "browser",
}
"""Rule → the rules that read what it writes."""


def follow(*rules: str) -> set[str]:
    """Rules, and all that comes after them."""
    found: set[str] = set()
    waiting = list(rules)
    while waiting:
        rule = waiting.pop()
        if rule not in found:
            found.add(rule)
            waiting += READERS.get(rule, "").split()
    return found


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def source(name: str, old: str, new: str) -> Callable[[Path], None]:
    """An edit of a file of the library."""
    return lambda folder: replace(folder / "src/mine" / name, old, new)


def new_function(name: str) -> Callable[[Path], None]:
    """A function more in a module of the library."""
    return append(f"src/mine/{name}", b"\n\ndef added() -> int:\n    return 1\n")


def script(name: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "workflow/scripts" / f"{name}.py"
        text = change(path.read_text())
        assert text != path.read_text()
        path.write_text(text)

    return edit


def key(section: str, **values: object) -> Callable[[Path], None]:
    """An edit of the configuration: keys of a section, or with section "" of the whole."""

    def edit(folder: Path) -> None:
        config = yaml.safe_load((folder / "config.yaml").read_text())
        place = config.setdefault(section, {}) if section else config
        assert all(place.get(name) != value for name, value in values.items())
        place.update(values)
        (folder / "config.yaml").write_text(yaml.safe_dump(config))

    return edit


def touch_all(folder: Path, *within: str) -> None:
    for part in within:
        for path in [folder / part, *(folder / part).rglob("*")]:
            os.utime(path)


def check_out_again(folder: Path) -> None:
    """A fresh checkout beside the results: every file is new, and none is another."""
    for part in ("workflow", "profiles", "resources", "src"):
        shutil.copytree(folder / part, folder / "fresh", copy_function=shutil.copyfile)
        shutil.rmtree(folder / part)
        (folder / "fresh").rename(folder / part)
    for name in ("Snakefile", "config.yaml"):
        shutil.copyfile(folder / name, folder / "fresh")
        (folder / "fresh").replace(folder / name)


def flip_volume(name: str) -> Callable[[Path], None]:
    """Another content of the same size and header."""

    def edit(folder: Path) -> None:
        path = folder / "data" / name
        image = nib.load(path)
        data = np.asanyarray(image.dataobj)
        changed = data.copy()
        changed.flat[:2] = 1 - changed.flat[:2]
        nib.save(nib.Nifti1Image(changed, image.affine), path)

    return edit


def flip_image(folder: Path) -> None:
    path = folder / "data/images/picture_03.png"
    shutil.copyfile(folder / "data/images/picture_04.png", path)


def append(name: str, tail: bytes = b"\n") -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        with open(folder / name, "ab") as file:
            file.write(tail)

    return edit


HANDLED = {
    "device": "cpu",
    "batch_size": 3,
    "voxel_batch": 5,
    "image_batch": 5,
    "vae_slicing": True,
    "cpu_offload": True,
    "allow_download": True,
    "connections": 2,
    "megabytes_per_second": 1.0,
}
"""Other values of the keys that say how jobs are run; with `accept_terms` files are waited for."""


def handle(folder: Path) -> None:
    """An edit of every key that says how jobs are run, and of the memory that they may have."""
    key("", memory_gb=15.0)(folder)
    for section, names in HANDLING.items():
        values = {name: HANDLED[name] for name in names if name != "accept_terms"}
        key(section, **values)(folder)


PIXELS = (
    "low_level vocabulary embed embed_evaluator paint "
    "figure_voxels figure_structure figure_generated figure_edits"
).split()

EDITS: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "nothing": (lambda folder: None, set()),
    "touch of the dataset": (lambda folder: touch_all(folder, "data"), set()),
    "touch of the models and word list": (lambda folder: touch_all(folder, "resources"), set()),
    "touch of scripts, rules and library": (
        lambda folder: touch_all(folder, "workflow", "src", "Snakefile", "config.yaml"),
        set(),
    ),
    "a fresh checkout": (check_out_again, set()),
    "a comment in the library": (
        source("core/fitting.py", "from __future__", "# why\nfrom __future__"),
        set(),
    ),
    "a docstring in the library": (
        source("core/fitting.py", '"""', '"""Well. '),
        set(),
    ),
    "a script laid out anew": (
        script("fit_encoder", lambda text: text.replace("(\n", "(  # wide\n\n") + "\n\n"),
        set(),
    ),
    "seed": (
        key("", seed=7),
        follow("configuration", "vocabulary", "fit_encoder", "baselines", "fit_evaluator"),
    ),
    "encoder.head_width": (key("encoder", head_width=16), follow("configuration", "fit_encoder")),
    "attribution.nodes": (key("attribution", nodes=6), follow("configuration", "attribute")),
    "faithfulness.fractions": (
        key("faithfulness", fractions=[0.1, 0.5]),
        follow("configuration", "attribute"),
    ),
    "description.words": (
        key("description", words=7),
        follow("configuration", "describe", "features"),
    ),
    "profile.words": (key("profile", words=7), follow("configuration", "profile")),
    "profile.exemplars": (key("profile", exemplars=3), follow("configuration", "profile")),
    "features.voxels": (key("features", voxels=3), follow("configuration", "features")),
    "features.response_quantile": (
        key("features", response_quantile=0.5),
        follow("configuration", "plan"),
    ),
    "generator.steps": (key("generator", steps=3), follow("configuration", "paint")),
    "how everything is run": (handle, {"configuration"}),
    "encoder.image_batch": (key("encoder", image_batch=9), follow("configuration", "fit_encoder")),
    "backbone.dtype": (
        key("backbone", dtype="float16"),
        follow("configuration", "vocabulary", "captions", "categories", "paint"),
    ),
    "generator.prompt": (
        key("generator", prompt="a photo of {}"),
        follow("configuration", "plan"),
    ),
    "sufficiency.images": (key("sufficiency", images=3), follow("configuration", "plan")),
    "counterfactual.images": (key("counterfactual", images=3), follow("configuration", "plan")),
    "structure.draws": (key("structure", draws=29), follow("configuration", "structure")),
    "baselines.folds": (
        key("baselines", folds=3),
        follow("configuration", "baselines", "fit_evaluator"),
    ),
    "figures.voxels": (
        key("figures", voxels=2),
        {"figure_voxels", "figure_generated", "figure_edits", "configuration"},
    ),
    "bootstrap.resamples": (
        key("bootstrap", resamples=11),
        follow("configuration", "scores", "attribute", "preference"),
    ),
    "a function in core": (
        new_function("core/integrated_gradients.py"),
        follow("attribute"),
    ),
    "a function in figures": (
        new_function("figures/faithfulness.py"),
        {"figure_faithfulness"},
    ),
    "a function in statistics": (
        new_function("statistics/proportions.py"),
        follow("preference_subjects", "preference_maps", "summary_subject")
        | {"figure_described", "figure_preference"},
    ),
    "an image": (flip_image, follow(*PIXELS)),
    "responses of a subject": (
        flip_volume("sub-01/ses-01/sub-01_ses-01_betas.nii.gz"),
        follow("responses"),
    ),
    "the mask of a subject": (flip_volume("sub-01/mask.nii.gz"), follow("responses")),
    "the mask of a region": (
        flip_volume("sub-01/rois/FFA.nii.gz"),
        follow("attribute", "scores") | {"rois", "regions"},
    ),
    "a table of trials": (
        append("data/sub-01/ses-01/trials.tsv"),
        follow("responses", "stimuli"),
    ),
    "a model's file": (
        append("resources/demo/clip/open_clip_model.safetensors"),
        follow("vocabulary", "captions", "embed", "categories", "paint"),
    ),
    "the generator's file": (
        append("resources/demo/generator/unet/diffusion_pytorch_model.safetensors"),
        follow("paint"),
    ),
    "the word list": (append("resources/demo/vocabulary.txt"), follow("vocabulary")),
    "a named word list": (append("resources/demo/colours.txt"), follow("vocabulary")),
}


def make_folder(folder: Path, repository: Path) -> None:
    """Copy the workflow and the library, and write an experiment and its configuration."""
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("workflow", "profiles", "resources", "src"):
        shutil.copytree(repository / name, folder / name, ignore=ignored)
    shutil.copy(repository / "Snakefile", folder)
    dataset = RandomFolder(folder / "data", format="nifti", seed=0, regular=True).key
    config = yaml.safe_load((repository / "config.yaml").read_text())
    del config["demo"]
    config |= {
        "name": "small",
        "subjects": ["sub-01", "sub-02"],
        "rois": ["FFA", "PPA"],
        "dataset": dataset | {"root": "data"},
        "categories": {"faces": {"prompts": ["face"]}},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def run(folder: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout + done.stderr


def finish(folder: Path, *options: str) -> None:
    run(folder, str(Path(__file__).with_name("finish.py")), *options)


def plan(*folders: Path) -> None:
    run(folders[0].parent, str(Path(__file__).with_name("plan.py")), *map(str, folders))


def read_jobs(folder: Path) -> set[tuple[str, str]]:
    """Rule and wildcards of each job that was planned in a folder."""
    said = (folder / "said").read_text()
    if "Nothing to be done" in said:
        return set()
    assert "Job stats:" in said, said[-4000:]
    blocks = re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n)*)", said, re.M)
    jobs = set()
    for rule, lines in blocks:
        wildcards = re.search(r"^    wildcards: (.+)$", lines, re.M)
        jobs.add((rule, wildcards[1] if wildcards else ""))
    assert jobs, said[-4000:]
    return {job for job in jobs if job[0] != "all"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    folder = tmp_path_factory.mktemp("table") / "finished"
    make_folder(folder, repository)
    finish(folder)
    return folder


@pytest.fixture(scope="module")
def planned(finished: Path) -> dict[str, set[tuple[str, str]]]:
    """The jobs that run after each edit, each in a copy of the finished folder."""
    folders = {}
    for place, (name, (edit, _)) in enumerate(EDITS.items()):
        folders[name] = finished.with_name(f"edit-{place}")
        shutil.copytree(finished, folders[name], symlinks=True)
        edit(folders[name])
    jobs: dict[str, set[tuple[str, str]]] = {name: set() for name in EDITS}
    waiting = dict(folders)
    while waiting:
        plan(*waiting.values())
        for name, folder in list(waiting.items()):
            found = read_jobs(folder)
            jobs[name] |= found
            if "regions" in {rule for rule, _ in found}:
                # What follows for the regions is known once their table is there.
                finish(folder, "--until", "regions")
            else:
                del waiting[name]
    return jobs


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_reruns_what_depends_on_it(
    planned: dict[str, set[tuple[str, str]]], name: str
) -> None:
    assert {rule for rule, _ in planned[name]} == EDITS[name][1]


def test_one_subjects_files_leave_the_others_jobs(
    planned: dict[str, set[tuple[str, str]]],
) -> None:
    for name in ("responses of a subject", "the mask of a subject", "the mask of a region"):
        assert planned[name] and not [job for job in planned[name] if "sub-02" in job[1]]


def test_a_regions_mask_leaves_the_other_regions_jobs(
    planned: dict[str, set[tuple[str, str]]],
) -> None:
    others = {rule for rule, wildcards in planned["the mask of a region"] if "roi=PPA" in wildcards}
    assert others <= ACROSS


def test_leaving_the_network_alone_again_repaints_nothing(finished: Path) -> None:
    folder = finished.with_name("fetched")
    shutil.copytree(finished, folder, symlinks=True)
    key("generator", model="someone/paints", allow_download=True)(folder)
    finish(folder)
    key("generator", allow_download=False)(folder)
    plan(folder)
    assert {rule for rule, _ in read_jobs(folder)} == {"configuration"}


def plan_second(finished: Path, name: str, edit: Callable[[Path], None]) -> set[tuple[str, str]]:
    """The jobs of a run after an edit of the regions or subjects, once the table of regions is made
    anew: until then a dry run names all that reads it."""
    folder = finished.with_name(name)
    shutil.copytree(finished, folder, symlinks=True)
    edit(folder)
    finish(folder, "--until", "regions")
    plan(folder)
    return read_jobs(folder)


ACROSS = follow("scores") | follow("preference_subjects", "preference_maps", "structure_subjects")
ACROSS |= {f"figure_{name}" for name in ("faithfulness", "described", "preference", "causality")}
ACROSS |= {"null_profiles", "preference", "reason_map", "configuration"}
"""What is told of all regions of a subject together, and what is drawn with it."""


def test_an_added_region_reruns_its_own_jobs_and_the_summaries(finished: Path) -> None:
    def edit(folder: Path) -> None:
        for subject in ("sub-01", "sub-02"):
            rois = folder / "data" / subject / "rois"
            shutil.copy(rois / "FFA.nii.gz", rois / "EBA.nii.gz")
        key("", rois=["FFA", "PPA", "EBA"])(folder)

    jobs = plan_second(finished, "added", edit)
    own = {rule for rule, wildcards in jobs if "roi=EBA" in wildcards}
    assert {"attribute", "describe", "profile", "paint", "structure"} <= own
    assert {rule for rule, wildcards in jobs if "roi=EBA" not in wildcards} == ACROSS


def test_a_removed_region_reruns_the_summaries(finished: Path) -> None:
    jobs = plan_second(finished, "removed", key("", rois=["FFA"]))
    assert jobs and not [job for job in jobs if "roi=PPA" in job[1]]
    assert {rule for rule, _ in jobs} <= ACROSS


def test_an_added_subject_reruns_all_jobs_of_the_others(finished: Path) -> None:
    def edit(folder: Path) -> None:
        shutil.copytree(folder / "data/sub-02", folder / "data/sub-03")
        for path in (folder / "data/sub-03").rglob("sub-02*"):
            path.rename(path.with_name(path.name.replace("sub-02", "sub-03")))
        key("", subjects=["sub-01", "sub-02", "sub-03"])(folder)

    jobs = plan_second(finished, "subject", edit)
    # Responses and regions were read before this plan. The subject's images change the means that
    # the lens subtracts, and with these all that follows.
    assert {rule for rule, _ in jobs} == follow("configuration", "stimuli")
    by_subject = [
        {(rule, wildcards.replace(name, "")) for rule, wildcards in jobs if name in wildcards}
        for name in ("sub-01", "sub-02", "sub-03")
    ]
    assert by_subject[0] == by_subject[1] == by_subject[2]
