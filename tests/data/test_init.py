"""`mine init`: what it writes is right, `mine check` finds nothing wrong, the workflow plans."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from mine.cli import main
from mine.config import Config, load_config
from mine.datasets.reader import open_dataset
from mine.draft import fill_in
from mine.shards import list_shards, open_images
from mine.stores import open_store
from tests.data.random_algonauts import RandomAlgonauts
from tests.data.random_folder import FORMATS, RandomFolder, write_table
from tests.data.random_nsd import RandomNsd
from tests.reference import algonauts_readers


def write_annotations(root: Path, name: str, image: int) -> None:
    """Write a file of COCO's that covers one image: with a caption, and with no object."""
    (root / "annotations").mkdir(exist_ok=True)
    captions = [{"image_id": image, "caption": "something"}]
    content = {
        "images": [{"id": image, "width": 4, "height": 4}],
        "annotations": captions if name.startswith("captions") else [],
        "categories": [],
    }
    (root / f"annotations/{name}.json").write_text(json.dumps(content))


CONTRASTS = ("faces", "bodies", "places", "word")


def write_nsd(root: Path, *, contrasts: Sequence[str] = CONTRASTS) -> None:
    RandomNsd(root, format="nifti", seed=2, regular=True)
    for path in root.glob("nsddata/ppdata/*/*/floc_facestval.nii.gz"):
        for contrast in contrasts:
            if contrast != "faces":
                shutil.copy(path, path.with_name(f"floc_{contrast}tval.nii.gz"))
        if "faces" not in contrasts:
            path.unlink()
    # COCO's 1000 is the first image of the dataset.
    write_annotations(root, "captions_val2017", 1000)
    write_annotations(root, "instances_val2017", 1000)


def write_algonauts(root: Path) -> None:
    world = RandomAlgonauts(root, seed=3, regular=True)
    information = pd.read_csv(world.write_information())
    write_annotations(root, "captions_train2017", int(information["cocoId"].iloc[0]))


def write_folder(root: Path) -> None:
    RandomFolder(root, format="nifti", seed=2, regular=True)


# What this machine has, and its cache of models, is not what an analysis wants.
GENERATOR = {"allow_download": True, "dtype": "float32"}
SHARD = 16

WRITERS: dict[str, Callable[[Path], None]] = {
    "nsd": write_nsd,
    "algonauts": write_algonauts,
    "folder": write_folder,
}


def plan(repository: Path, folder: Path, config: str, *options: str, succeeds: bool = True) -> str:
    """Run Snakemake in a folder of its own and return what it says."""
    machine = {"generator": GENERATOR, "backbone": {"shard_size": SHARD}}
    (folder / "machine.yaml").write_text(yaml.safe_dump(machine))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(repository / "Snakefile")]
    command += ["--directory", str(folder), "--cores", "2"]
    command += ["--configfile", config, "machine.yaml", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert (done.returncode == 0) == succeeds, said
    return said


def check_by_default(config: str) -> int:
    """Check what init wrote, but for what this machine has."""
    content = yaml.safe_load(Path(config).read_text())
    content["generator"] |= GENERATOR
    Path("analysis.yaml").write_text(yaml.safe_dump(content))
    return main(["check", "analysis.yaml"])


@pytest.mark.parametrize("kind", WRITERS)
def test_what_init_writes_is_right_and_plans(
    kind: str,
    tmp_path: Path,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    WRITERS[kind](tmp_path / "data")
    assert main(["init", kind, "--root", "data"]) == 0
    assert f"wrote {kind}.yaml; next: mine check {kind}.yaml" in capsys.readouterr().out
    text = Path(f"{kind}.yaml").read_text()
    assert check_by_default(f"{kind}.yaml") == 0, capsys.readouterr().out
    template = (repository / f"configs/{kind}.yaml").read_text()
    comments = [line.strip() for line in template.splitlines() if line.strip().startswith("#")]
    assert comments == [line.strip() for line in text.splitlines() if line.strip().startswith("#")]
    said = plan(repository, tmp_path, f"{kind}.yaml", "--dry-run")
    for rule in ("stimuli", "responses", "rois"):
        assert f"\n{rule} " in said


def test_init_finds_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for kind, writer in WRITERS.items():
        writer(tmp_path / kind)
        assert main(["init", kind, "--root", kind]) == 0
    nsd, algonauts, folder = (load_config(f"{kind}.yaml") for kind in WRITERS)
    assert nsd.subjects == ["subj01", "subj02"] and "FFA-1" in nsd.rois
    assert nsd.dataset.space == "func1pt8mm"
    assert nsd.dataset.localiser_threshold == {"faces": 2, "bodies": 2, "places": 2, "word": 2}
    assert nsd.dataset.captions == ["nsd/annotations/captions_val2017.json"]
    assert nsd.dataset.instances == ["nsd/annotations/instances_val2017.json"]
    assert algonauts.subjects == ["subj01", "subj02"]
    assert algonauts.rois == ["FFA-1", "V1v"]
    assert algonauts.dataset.algonauts.information == "algonauts/nsd_stim_info_merged.csv"
    assert algonauts.dataset.captions == ["algonauts/annotations/captions_train2017.json"]
    assert folder.subjects == ["sub-01", "sub-02"] and sorted(folder.rois) == ["FFA", "PPA"]
    assert folder.dataset.folder.mask == "{subject}/mask.nii.gz"
    assert sorted(folder.categories) == ["cat", "dog"]


def test_init_takes_no_label_without_a_voxel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_nsd(tmp_path / "nsd")
    tables = list(tmp_path.glob("nsd/nsddata/freesurfer/*/label/*.mgz.ctab"))
    assert tables
    for table in tables:
        table.write_text(f"{table.read_text().rstrip()}\n99 RSC 0 0 0 0\n")
    assert main(["init", "nsd", "--root", "nsd"]) == 0
    rois = load_config("nsd.yaml").rois
    assert "FFA-1" in rois and "RSC" not in rois


@pytest.mark.parametrize(
    "contrasts", [CONTRASTS, ("faces",), ("bodies", "word"), ()], ids=["all", "one", "two", "none"]
)
def test_check_accepts_what_init_writes_whatever_t_maps_are_there(
    contrasts: Sequence[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_nsd(tmp_path / "nsd", contrasts=contrasts)
    assert main(["init", "nsd", "--root", "nsd"]) == 0
    said = capsys.readouterr().out
    assert load_config("nsd.yaml").dataset.localiser_threshold == dict.fromkeys(contrasts, 2)
    lacking = ", ".join(one for one in CONTRASTS if one not in contrasts)
    assert (f"of every subject for {lacking}, found none; regions are not cut" in said) == bool(
        lacking
    )
    assert check_by_default("nsd.yaml") == 0, capsys.readouterr().out


def test_init_cuts_regions_by_what_every_subject_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_nsd(tmp_path / "nsd")
    Path("nsd/nsddata/ppdata/subj02/func1pt8mm/floc_facestval.nii.gz").unlink()
    assert main(["init", "nsd", "--root", "nsd"]) == 0
    assert sorted(load_config("nsd.yaml").dataset.localiser_threshold) == [
        "bodies", "places", "word"
    ]  # fmt: skip
    assert check_by_default("nsd.yaml") == 0, capsys.readouterr().out


def test_init_says_what_a_table_of_behaviour_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_nsd(tmp_path / "nsd")
    path = Path("nsd/nsddata/ppdata/subj01/behav/responses.tsv")
    path.write_text(path.read_text().partition("\n")[0] + "\n")
    assert main(["init", "nsd", "--root", "nsd"]) == 1
    assert capsys.readouterr().err == (
        f"{path}: expected a row for each trial below the header, found none\n"
    )


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("format", FORMATS)
def test_init_finds_a_folder_of_any_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, seed: int
) -> None:
    monkeypatch.chdir(tmp_path)
    world = RandomFolder(tmp_path / "own", format=format, seed=seed)
    assert main(["init", "folder", "--root", "own", "--output", "it.yaml"]) == 0
    config = load_config("it.yaml")
    assert config.name == "own"
    found, expected = config.dataset.folder, world.folder
    for key in ("responses", "trials", "rois"):
        assert getattr(found, key) == expected[key], key
    assert found.mask == expected.get("mask") and found.names == expected.get("names")
    assert found.image_side is not None
    # of so few images none may be drawn
    said = open_dataset(config.dataset).check(subjects=config.subjects, rois={"FFA": "FFA"})
    assert [problem for problem in said if "expected test images" not in problem] == []


def test_init_takes_the_side_of_most_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    world = RandomFolder(tmp_path / "own", format="columns", seed=0, regular=True)
    Image.new("RGB", (18, 18)).save(world.root / world.names[4])
    for subject in ("sub-01", "sub-02"):
        (world.root / subject).rename(world.root / subject.replace("sub-0", "P"))
    assert main(["init", "folder", "--root", "own", "--output", "it.yaml"]) == 0
    config = load_config("it.yaml")
    assert config.dataset.folder.image_side == 32
    said = capsys.readouterr().out
    assert "image_side: 32, the shorter side of most images; all sides are from 18 to 32" in said
    assert sorted(config.categories) == ["cat", "dog"], "also where no subject is found"


def test_init_says_what_to_make_of_files_that_cannot_be_read_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    world = RandomFolder(tmp_path / "own", format="volumes", seed=0, regular=True)
    for path in world.root.glob("*/*/*.npy"):
        name = path.with_name("TYPED_FITHRF_GLMDENOISE_RR.npy")
        np.save(name, np.array({"betasmd": 1}, dtype=object))
        path.unlink()
    for path in list(world.root.glob("*/rois/*.nii.gz")):
        shutil.copy(path, path.with_name(f"lh.{path.name}"))
        path.rename(path.with_name(f"rh.{path.name}"))
    assert main(["init", "folder", "--root", "own", "--output", "it.yaml"]) == 0
    said = capsys.readouterr().out
    assert said.count("np.save('betasmd.npy', np.load('TYPED_FITHRF_GLMDENOISE_RR.npy'") == 1
    assert "rois: expected one volume for each region, found one for each hemisphere" in said


def start_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RandomFolder:
    monkeypatch.chdir(tmp_path)
    return RandomFolder(tmp_path / "own", format="nifti", seed=0, regular=True)


def init_folder() -> Config:
    assert main(["init", "folder", "--root", "own", "--output", "it.yaml", "--force"]) == 0
    return load_config("it.yaml")


def test_init_takes_no_mask_of_a_run_where_there_is_one_of_the_subject(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = start_folder(tmp_path, monkeypatch)
    for path in list(world.root.glob("sub-*/mask.nii.gz")):
        for session in ("01", "02"):
            name = f"{path.parent.name}_ses-{session}_task-x_run-1_desc-brain_mask.nii.gz"
            place = world.root / f"derivatives/fmriprep/{path.parent.name}/ses-{session}/func"
            place.mkdir(parents=True)
            shutil.copy(path, place / name)
    assert init_folder().dataset.folder.mask == "{subject}/mask.nii.gz"
    assert "dataset.folder.mask" not in capsys.readouterr().out
    for path in world.root.glob("sub-*/mask.nii.gz"):
        path.unlink()
    assert init_folder().dataset.folder.mask is None
    assert (
        "dataset.folder.mask: expected one mask for each subject, by a name without *, found "
        "derivatives/fmriprep/{subject}/ses-{session}/func/{subject}_ses-{session}_task-*_"
        "run-{run}_desc-brain_mask.nii.gz; name the one, or unite several"
    ) in capsys.readouterr().out


def test_init_takes_no_folder_without_a_number_for_a_subject(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = start_folder(tmp_path, monkeypatch)
    for name in ("Stimuli", "Scripts", "SPM12", "Sessions", "subject_list", "subjects"):
        (world.root / name).mkdir()
        shutil.copy(world.root / world.names[0], world.root / name)
    assert init_folder().subjects == ["sub-01", "sub-02"]
    for subject in ("sub-01", "sub-02"):
        (world.root / subject).rename(world.root / "subjects" / subject)
    config = init_folder()
    assert config.subjects == ["sub-01", "sub-02"]
    assert config.dataset.folder.mask == "subjects/{subject}/mask.nii.gz"
    (world.root / "subjects").rename(world.root / "people")
    for old, new in (("sub-01", "S1"), ("sub-02", "subj02")):
        (world.root / "people" / old).rename(world.root / "people" / new)
    assert init_folder().subjects == ["S1", "subj02"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: f"\t{text}", "trials.tsv: expected a name of its own for each column"),
        (
            lambda text: text.replace("image\n", "image,onset\n").replace("png\n", "png,1\n"),
            "trials.tsv: expected a column image or stim_file, between tabs, found image,onset",
        ),
    ],
)
def test_init_says_why_a_table_is_none_of_trials(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[str], str],
    said: str,
) -> None:
    world = start_folder(tmp_path, monkeypatch)
    (world.root / "sub-01/a.tsv").write_text("name\nx\n")
    for path in world.root.glob("*/*/trials.tsv"):
        path.write_text(change(path.read_text()))
    init_folder()
    told = capsys.readouterr().out
    assert "dataset.folder.trials: expected tables .tsv with a column image or stim_file" in told
    assert told.count(f"own/sub-01/ses-01/{said}") == 1 and "a.tsv" not in told


@pytest.mark.parametrize("name", ["{subject}_label-{roi}_mask.nii.gz", "lh/{roi}.nii.gz"])
def test_init_says_how_regions_have_to_be_called(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    world = start_folder(tmp_path, monkeypatch)
    for path in list(world.root.glob("*/rois/*.nii.gz")):
        subject, roi = path.parts[-3], path.name.split(".")[0]
        new = path.parent / name.format(subject=subject, roi=roi)
        new.parent.mkdir(exist_ok=True)
        path.rename(new)
    init_folder()
    first = "sub-01/rois/" + name.format(subject="sub-01", roi="FFA")
    assert (
        "dataset.folder.rois: expected maps in a folder called rois or roi or roi_masks or masks "
        "itself, each called by its region alone up to the first point, such as FFA.nii.gz, found "
        f"{first}; it is left as it stands"
    ) in capsys.readouterr().out


def test_nothing_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "data")
    Path("folder.yaml").write_text("mine: true\n")
    assert main(["init", "folder", "--root", "data"]) == 1
    said = capsys.readouterr().err
    assert said == ("folder.yaml: expected no such file, or --force to replace it, found one\n")
    assert Path("folder.yaml").read_text() == "mine: true\n"
    assert main(["init", "folder", "--root", "data", "--force"]) == 0
    assert Path("folder.yaml").read_text() != "mine: true\n"
    # The place is looked at first, and the dataset's folder after it.
    given = ["init", "folder", "--root", "absent", "--force", "--output"]
    for place, problem in {
        "data": "expected a file to write, found a folder",
        "nowhere/folder.yaml": "expected the folder nowhere, found none",
    }.items():
        assert main([*given, place]) == 1
        assert capsys.readouterr().err == f"{place}: {problem}\n"
    assert not list(tmp_path.glob("*.partial")) and not list(tmp_path.glob(".*.partial"))


@pytest.mark.parametrize("kind", WRITERS)
def test_empty_folder_gives_the_ready_configuration(
    kind: str,
    tmp_path: Path,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main(["init", kind, "--root", "empty"]) == 0
    said = capsys.readouterr().out
    assert "subjects: expected" in said
    assert load_config(f"{kind}.yaml").dataset.root == "empty"
    # What is said to be left as it stands has the value of the ready configuration.
    ready = repository / f"configs/{kind}.yaml"
    left = re.findall(r"^([\w.]+): .* it is left as it stands$", said, flags=re.MULTILINE)
    assert left and {"nsd": "dataset.localiser_threshold"}.get(kind, "subjects") in left
    for key in left:
        parts = key.split(".")
        written, given = (
            functools.reduce(getattr, parts, load_config(path)) for path in (f"{kind}.yaml", ready)
        )
        assert written == given, key
    assert main(["init", kind, "--root", "absent", "--output", "other.yaml"]) == 1
    assert capsys.readouterr().err == (
        f"--root: expected the dataset's folder, found none at {tmp_path / 'absent'}; to begin "
        f"before it is there, copy {ready} and set dataset.root in it\n"
    )
    assert not Path("other.yaml").exists()


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("~/data", True),
        ("$SCRATCH/nsd", True),
        ("~/${NSD}", True),
        ("data~", False),
        ("a$/b", False),
    ],
)
def test_what_only_a_shell_replaces_is_told_of_a_folder_that_is_not_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    root: str,
    said: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "nsd", "--root", root]) == 1
    told = "; ~ and $NAME are not expanded"
    assert capsys.readouterr().err.startswith(
        f"--root: expected the dataset's folder, found none at {tmp_path}/{root}"
        f"{told if said else ''}; to begin before it is there, copy "
    )


def test_filling_in_changes_values_alone() -> None:
    text = (
        "# one\na: 1  # kept\n\nb:\n  # two\n  c: [x, y]\n  d:\n    - p\n    - q\n\n# three\ne: f\n"
    )
    filled = fill_in(
        text, {"a": 2, "b.c": [], "b.d": ["{r}/s: t", "yes"], "e": None, "g": {"h": 1}}
    )
    assert yaml.safe_load(filled) == {
        "a": 2,
        "b": {"c": [], "d": ["{r}/s: t", "yes"]},
        "e": None,
        "g": {"h": 1},
    }
    for comment in ("# one", "# kept", "  # two", "# three"):
        assert comment in filled


STORES = ("stimuli", "{subject}/responses", "{subject}/rois")


def run_rules(repository: Path, folder: Path, config: str) -> dict:
    """Run the three rules that read a dataset; return the stores of the first subject."""
    settings = load_config(folder / config)
    subject, name = settings.subjects[0], settings.name
    paths = [f"results/{name}/{store.format(subject=subject)}.zarr" for store in STORES]
    plan(repository, folder, config, "--", *paths)
    return {path.rpartition("/")[2]: open_store(folder / path) for path in paths}


def test_rules_run_on_a_folder(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    world = RandomFolder(tmp_path / "data", format="nifti", seed=2, regular=True)
    # A second shard, of images that nobody saw.
    assert len(world.names) == SHARD
    shutil.copy(tmp_path / "data" / world.names[0], tmp_path / "data/images/unseen.png")
    with open(tmp_path / "data/images.tsv", "a") as table:
        table.write("images/unseen.png\ttrain\t\t\n")
    assert main(["init", "folder", "--root", "data"]) == 0
    stores = run_rules(repository, tmp_path, "folder.yaml")
    responses, rois = stores["responses.zarr"], stores["rois.zarr"]
    shown = stores["stimuli.zarr"]["image"].values
    assert len(shown) == len(world.names)
    shards = "results/data/low_level/shards.json"
    plan(repository, tmp_path, "folder.yaml", "--", shards)
    low_level = [tmp_path / f"results/data/low_level/{number}.zarr" for number in range(2)]
    assert [open_store(one).sizes["image"] for one in low_level] == [SHARD, 0]
    assert list_shards(tmp_path / shards) == low_level
    assert np.isfinite(open_images(low_level, shown)["feature_value"]).all()
    assert responses.attrs["noise_ceiling_source"] == "repeats of the test images"
    assert np.isfinite(responses["noise_ceiling"]).all() and responses.sizes["voxel"] > 0
    mask = np.asarray(nib.load(tmp_path / "data/sub-01/rois/FFA.nii.gz").dataobj) > 0
    inside = mask[tuple(responses["ijk"].values.T)]
    np.testing.assert_array_equal(rois["member"].sel(roi="FFA"), inside)
    manifest = json.loads((tmp_path / "results/data/sub-01/responses.json").read_text())
    assert manifest["variables"]["response"]["dimensions"] == ["image", "voxel"]


def test_rules_run_on_algonauts(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_algonauts(tmp_path / "data")
    assert main(["init", "algonauts", "--root", "data"]) == 0
    stores = run_rules(repository, tmp_path, "algonauts.yaml")
    responses = stores["responses.zarr"]
    identities, values = algonauts_readers.read_responses(tmp_path / "data", "subj01")
    np.testing.assert_array_equal(responses["response"], values)
    np.testing.assert_array_equal(responses["image"], identities)
    assert np.isnan(responses["noise_ceiling"]).all()
    assert stores["rois.zarr"]["roi"].values.tolist() == ["FFA-1", "V1v"]


def test_nothing_half_written_is_left(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that only shows in reading: the run ends in its sentence, without a store."""
    monkeypatch.chdir(tmp_path)
    world = RandomFolder(tmp_path / "data", format="hdf5", seed=2, regular=True)
    assert main(["init", "folder", "--root", "data"]) == 0
    path = next((tmp_path / "data/sub-01/ses-02").glob("*.hdf5"))
    content = bytearray(path.read_bytes())
    # what is read last: chunks that are no longer what their filter made, or are not there
    path.write_bytes(content)
    write_table(tmp_path / "data/images.tsv", {"image": world.names, "split": ["train"] * 16})
    store = "results/data/sub-01/responses.zarr"
    said = plan(repository, tmp_path, "folder.yaml", "--", store, succeeds=False)
    assert "expected test images among the 16 that sub-01 saw" in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("results/data/**/*.zarr*"))
