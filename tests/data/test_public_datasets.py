"""Public datasets in the form that is read: scripts write it, `mine init` and `mine check` take it.

Each miniature has the layout in which its dataset was published, with a few voxels, trials and
images; what is read of the folder that a script writes equals what was written.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from mine.cli import main
from mine.config import load_config
from mine.datasets.reader import open_dataset

# What this machine has, and its cache of models, is not what an analysis wants.
GENERATOR = {"allow_download": True, "dtype": "float32"}

AXES = ["voxel_x", "voxel_y", "voxel_z"]

AFFINE = np.array([[2.0, 0, 0, -5], [0, 2, 0, -7], [0, 0, 2, 1], [0, 0, 0, 1]])


@pytest.fixture
def load(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Import a script of the documentation as it finds its neighbours when it runs."""
    monkeypatch.syspath_prepend(str(repository / "docs"))
    return importlib.import_module


def draw_pictures(folder: Path, names: list[str]) -> None:
    random = np.random.default_rng(3)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        # the name of a format is not its content, and PNG keeps the pixels
        Image.fromarray(pixels).save(folder / name, format="PNG")


class Trap:
    """What a pickle makes on being loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


class Things:
    """A miniature of THINGS-fMRI: two subjects, three sessions, four test images in each of them.

    betas: subject -> (voxel, trial). voxels, trials: subject -> the table that was published.
    """

    def __init__(self, root: Path, *, openneuro: bool = False) -> None:
        self.root, self.openneuro = root, openneuro
        self.random = np.random.default_rng(11)
        concepts = [f"thing{number}" for number in range(10)]
        self.train = [f"{concept}_{take:02d}s.jpg" for concept in concepts[:9] for take in (1, 2)]
        self.test = [f"{concept}_14s.jpg" for concept in concepts[6:]]
        names = [*self.train, *self.test]
        draw_pictures(root / "images", [f"{name[:-8]}/{name}" for name in [*names, "idle_01s.jpg"]])
        self.betas, self.voxels, self.trials, self.shape = {}, {}, {}, (4, 5, 6)
        for subject in ("sub-01", "sub-02"):
            self.trials[subject] = self.draw_trials()
            self.voxels[subject] = self.draw_voxels(subject)
            size = len(self.voxels[subject]), len(self.trials[subject])
            self.betas[subject] = self.random.normal(size=size)
        self.write()

    def path(self, subject: str, kind: str) -> Path:
        """Path of the table "trials" or "voxels", or of "responses"."""
        names = {"trials": "StimulusMetadata.csv", "voxels": "VoxelMetadata.csv"}
        name, folder = f"{subject}_{names.get(kind, 'ResponseData.h5')}", self.root / "data"
        if self.openneuro:
            names = {"trials": "stimulus-metadata.tsv", "voxels": "voxel-metadata.tsv"}
            name = f"{subject}_task-things_{names.get(kind, 'voxel-wise-responses.h5')}"
            folder = folder / subject / "voxel-metadata"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / name

    def draw_trials(self) -> pd.DataFrame:
        rows = []
        train = self.random.permutation(self.train).reshape(3, -1)
        for session in range(3):
            shown = self.random.permutation([*train[session], *self.test])
            for place, name in enumerate(shown):
                kind = "test" if name in self.test else "train"
                run = 1 + place // 5
                row = kind, session + 1, run, 1, len(rows), name, name[:-8]
                rows.append(row)
        columns = ["trial_type", "session", "run", "subject_id", "trial_id", "stimulus", "concept"]
        return pd.DataFrame(rows, columns=columns)

    def draw_voxels(self, subject: str) -> pd.DataFrame:
        brain = self.random.random(self.shape) < 0.5
        (self.root / "masks").mkdir(parents=True, exist_ok=True)
        image = nib.Nifti1Image(brain.astype(np.uint8), AFFINE)
        nib.save(image, self.root / f"masks/{subject}_space-T1w_brainmask.nii.gz")
        x, y, z = np.nonzero(brain)
        if subject == "sub-02":
            # in another order than that of the mask, in which they are published
            x, y, z = self.random.permutation([x, y, z], axis=1)
        measure = self.random.random(len(x))
        table = {"voxel_id": np.arange(len(x)), "subject_id": 1}
        table |= {"voxel_x": x, "voxel_y": y, "voxel_z": z}
        for name in ("nc_singletrial", "nc_testset", "splithalf_uncorrected", "prf-size"):
            table[name] = measure
        for name in ("V1", "LO1 (prf)", "lFFA", "rFFA", "glasser-V1"):
            table[name] = (self.random.random(len(x)) < 0.2).astype(int)
        table["lSTS"] = 0
        return pd.DataFrame(table)

    def write(self) -> None:
        for subject, betas in self.betas.items():
            self.trials[subject].to_csv(self.path(subject, "trials"), index=False)
            self.voxels[subject].to_csv(self.path(subject, "voxels"), index=False)
            self.write_responses(subject, betas)

    def write_responses(self, subject: str, betas: np.ndarray) -> None:
        """A table in the fixed form of pandas: a block for the columns of each type, and a pickle
        wherever the names of columns are not all texts."""
        text = h5py.vlen_dtype(np.uint8)
        pickled = np.frombuffer(pickle.dumps(Trap(self.root / "trapped")), dtype=np.uint8)
        number = self.voxels[subject]["voxel_id"].to_numpy()
        with h5py.File(self.path(subject, "responses"), "w") as file:
            group = file.create_group("ResponseData")
            group.attrs.update({"pandas_type": "frame", "ndim": 2, "nblocks": 2})
            for name in ("axis0", "block0_items"):
                group.create_dataset(name, (1,), dtype=text)[0] = pickled
            group["block1_items"] = np.array([b"voxel_id"])
            group["axis1"] = np.arange(len(betas))
            group["block0_values"] = betas
            group["block1_values"] = number[:, None]

    def arguments(self) -> list[str]:
        paths = {"masks": "masks", "images": "images", "output": "out"}
        return [str(self.root / "data"), *(f"--{k}={self.root / v}" for k, v in paths.items())]


class Bold5000:
    """A miniature of BOLD5000: two subjects, two sessions of two runs, three repeated images.

    betas: subject -> region -> (trial, voxel). shown: subject -> (session, run, image) of each.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.random = random = np.random.default_rng(5)
        coco = [f"COCO_train2014_{number:012d}.jpg" for number in (9, 30, 34, 61, 396550)]
        scenes = [f"kitchen{number}.jpg" for number in range(1, 6)]
        synsets = [f"n01930112_{number}.JPEG" for number in range(7)]
        self.repeated = [coco[4], scenes[0], synsets[2]]
        self.kinds = dict.fromkeys(coco, "coco") | dict.fromkeys(scenes, "scenes")
        self.kinds |= dict.fromkeys(synsets, "imagenet")
        folders = {"coco": "COCO", "scenes": "Scene", "imagenet": "ImageNet"}
        draw_pictures(root / "images", [f"{folders[k]}/{name}" for name, k in self.kinds.items()])
        train = [name for name in self.kinds if name not in self.repeated]
        self.betas, self.shown = {}, {}
        for subject in ("CSI1", "CSI2"):
            halves = random.permutation(train).reshape(2, -1)
            self.shown[subject] = []
            for session, half in enumerate(halves, 1):
                names = random.permutation([*half, *self.repeated]).tolist()
                for run, part in enumerate((names[:4], names[4:]), 9):
                    self.shown[subject] += [(session, run, name) for name in part]
            # what the file of a region is called differs
            regions = ["LHPPA", "RHPPA", "LHLOC" if subject == "CSI1" else "LHLO", "RHLOC"]
            trials = len(self.shown[subject])
            self.betas[subject] = {
                region: random.normal(size=(trials, 3 + place)).astype(np.float32)
                for place, region in enumerate(regions)
            }
        self.write()

    def write(self) -> None:
        (self.root / "data").mkdir()
        for subject, regions in self.betas.items():
            for region, values in regions.items():
                name = f"{subject}_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR_allses_{region}.npy"
                np.save(self.root / "data" / name, values)
            table = pd.DataFrame(self.shown[subject], columns=["Sess", "Run", "ImgName"])
            kind = table["ImgName"].map(self.kinds)
            table["stim_file"] = table["ImgName"]
            table["ImgType"] = np.where(table["ImgName"].isin(self.repeated), "rep_" + kind, kind)
            for (session, run), part in table.groupby(["Sess", "Run"]):
                path = self.events(subject, session, run)
                path.parent.mkdir(parents=True, exist_ok=True)
                part.assign(onset=6 + 10 * np.arange(len(part)), duration=1).to_csv(
                    path, sep="\t", index=False
                )

    def events(self, subject: str, session: int, run: int) -> Path:
        stem = f"sub-{subject}_ses-{session:02d}_task-5000scenes_run-{run:02d}"
        folder = self.root / f"events/sub-{subject}/ses-{session:02d}/func"
        return folder / f"{stem}_events.tsv"

    def arguments(self) -> list[str]:
        paths = {"events": "events", "images": "images", "output": "out"}
        return [str(self.root / "data"), *(f"--{k}={self.root / v}" for k, v in paths.items())]


def check_by_default(root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let `mine init` write a configuration of a prepared folder and check it, but for what this
    machine has; returns its path."""
    monkeypatch.chdir(root)
    assert main(["init", "folder", "--root", "out", "--output", "first.yaml"]) == 0
    content = yaml.safe_load(Path("first.yaml").read_text())
    content["generator"] |= GENERATOR
    Path("analysis.yaml").write_text(yaml.safe_dump(content))
    assert main(["check", "analysis.yaml"]) == 0
    return "analysis.yaml"


def read_back(path: str, subject: str):
    """Reader, recording and (trial, voxel) responses of all sessions of a subject."""
    config = load_config(path)
    reader = open_dataset(config.dataset)
    recording = reader.read_subject(subject)
    sessions = [recording.read_session(number) for number in range(len(recording.images))]
    return config, reader, recording, np.concatenate(sessions)


@pytest.mark.parametrize("openneuro", [False, True], ids=["figshare", "openneuro"])
def test_things_is_read_as_it_was_published(
    openneuro: bool, tmp_path: Path, load: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    things = Things(tmp_path, openneuro=openneuro)
    load("prepare_things").main(things.arguments())
    path = check_by_default(tmp_path, monkeypatch)
    for subject, table in things.voxels.items():
        config, reader, recording, values = read_back(path, subject)
        assert config.rois == ["FFA", "V1"]
        images = reader.read_images(config.subjects)
        names = [Path(name).name for name in images.name]
        shown = [names[list(images.identity).index(image)] for image in np.hstack(recording.images)]
        # the order of trials, by session
        trials = things.trials[subject]
        assert shown == trials["stimulus"].tolist()
        assert [len(one) for one in recording.images] == trials.groupby("session").size().tolist()
        test = [names[list(images.identity).index(image)] for image in recording.test]
        assert sorted(test) == sorted(things.test)
        assert {name: shown.count(name) for name in test} == dict.fromkeys(test, 3)
        # voxels at their places, with their responses
        columns = ["V1", "LO1 (prf)", "lFFA", "rFFA"]
        inside = table[table[columns].any(axis=1)]
        places = inside[AXES].to_numpy()
        found = {tuple(ijk): place for place, ijk in enumerate(recording.voxels.ijk.tolist())}
        order = [found[tuple(ijk)] for ijk in places.tolist()]
        assert len(found) == len(inside)
        np.testing.assert_allclose(recording.voxels.affine, AFFINE)
        published = things.betas[subject][inside.index].T.astype(np.float32)
        np.testing.assert_array_equal(values[:, order], published)
        wanted = {"lFFA": ["lFFA"], "FFA": ["lFFA", "rFFA"], "LO1-prf": ["LO1 (prf)"]}
        rois = reader.read_rois(
            subject, rois={name: name for name in wanted}, voxels=recording.voxels
        )
        for name, sides in wanted.items():
            members = rois["member"].sel(roi=name).values
            np.testing.assert_array_equal(members[order], inside[sides].any(axis=1))
    assert not (tmp_path / "trapped").exists()


def test_bold5000_is_read_as_it_was_published(
    tmp_path: Path, load: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Bold5000(tmp_path)
    load("prepare_bold5000").main(world.arguments())
    path = check_by_default(tmp_path, monkeypatch)
    for subject, regions in world.betas.items():
        config, reader, recording, values = read_back(path, f"sub-{subject}")
        assert config.rois == ["PPA"]
        images = reader.read_images(config.subjects)
        names = [Path(name).name for name in images.name]
        shown = [names[list(images.identity).index(image)] for image in np.hstack(recording.images)]
        assert shown == [name for _, _, name in world.shown[subject]]
        test = [names[list(images.identity).index(image)] for image in recording.test]
        assert sorted(test) == sorted(world.repeated)
        coco = dict(zip(names, images.coco_id, strict=True))
        assert coco["COCO_train2014_000000396550.jpg"] == 396550 and coco["kitchen1.jpg"] < 0
        ordered = [regions[name] for name in sorted(regions)]
        np.testing.assert_array_equal(values, np.concatenate(ordered, axis=1))
        rois = reader.read_rois(f"sub-{subject}", rois={"LOC": "LOC"}, voxels=recording.voxels)
        members = rois["member"].sel(roi="LOC").values
        owner = np.repeat(sorted(regions), [values.shape[1] for values in ordered])
        np.testing.assert_array_equal(members, [name[2:4] == "LO" for name in owner])
        sides = [{"L": "left", "R": "right"}[name[0]] for name in owner]
        assert recording.voxels.hemisphere.tolist() == sides


def test_regions_of_things_are_chosen_by_name(tmp_path: Path, load: Callable) -> None:
    things = Things(tmp_path)
    options = ["--regions", "?FFA", "glasser-*", "--subjects", "sub-02"]
    load("prepare_things").main([*things.arguments(), *options])
    assert [path.name for path in sorted(tmp_path.glob("out/sub-*"))] == ["sub-02"]
    written = sorted(path.name for path in tmp_path.glob("out/sub-02/rois/*"))
    assert written == [f"{name}.nii.gz" for name in ("FFA", "glasser-V1", "lFFA", "rFFA")]


def drop(column: str, kind: str) -> Callable[[Things], None]:
    def break_table(things: Things) -> None:
        path = things.path("sub-01", kind)
        pd.read_csv(path).drop(columns=column).to_csv(path, index=False)

    return break_table


def replace(column: str, kind: str, value: object, row: int = 1) -> Callable[[Things], None]:
    def break_table(things: Things) -> None:
        path = things.path("sub-01", kind)
        table = pd.read_csv(path).astype({column: object})
        table.loc[row, column] = value
        table.to_csv(path, index=False)

    return break_table


def cut_trials(things: Things) -> None:
    things.write_responses("sub-01", things.betas["sub-01"][:, :-1])


def turn_voxels(things: Things) -> None:
    table = things.voxels["sub-01"]
    table.iloc[::-1].to_csv(things.path("sub-01", "voxels"), index=False)


def stack_voxels(things: Things) -> None:
    table = things.voxels["sub-01"]
    table.loc[3, AXES] = table.loc[2, AXES]
    table.to_csv(things.path("sub-01", "voxels"), index=False)


def link_responses(things: Things) -> None:
    path = things.path("sub-01", "responses")
    with h5py.File(path, "a") as file:
        del file["ResponseData/block0_values"]
        file["ResponseData/block0_values"] = h5py.ExternalLink("other.h5", "all")


def write_as_rows(things: Things) -> None:
    with h5py.File(things.path("sub-01", "responses"), "w") as file:
        file.create_group("ResponseData")["table"] = np.zeros(3)


def remove_picture(things: Things) -> None:
    next(things.root.glob("images/*/thing0_01s.jpg")).unlink()


def double_picture(things: Things) -> None:
    draw_pictures(things.root / "images", ["small/thing0_01s.jpg"])


FAULTS: dict[str, tuple[Callable[[Things], None], str]] = {
    "no trial_type": (
        drop("trial_type", "trials"),
        "sub-01_StimulusMetadata.csv: expected a column trial_type, found session, run,",
    ),
    "no voxel_y": (
        drop("voxel_y", "voxels"),
        "sub-01_VoxelMetadata.csv: expected a column voxel_y, found voxel_id,",
    ),
    "catch trial": (
        replace("trial_type", "trials", "catch"),
        "StimulusMetadata.csv: expected train or test as trial_type, found 'catch' in line 3",
    ),
    "no number": (
        replace("session", "trials", "one"),
        "sub-01_StimulusMetadata.csv: expected whole numbers as session, found 'one' in line 3",
    ),
    "outside": (replace("voxel_z", "voxels", 99), "expected voxels inside the brain of"),
    "same place": (stack_voxels, "expected each voxel at a place of its own, found ("),
    "measure": (
        replace("lFFA", "voxels", 0.5),
        "expected 0 or 1 in the column lFFA of a region, found 0.5 in line 3",
    ),
    "trials cut": (cut_trials, "as ResponseData/block0_values, found block0_values float64"),
    "other order": (turn_voxels, "expected the voxels in the order of their table, found voxel 0"),
    "link": (
        link_responses,
        "expected the dataset ResponseData/block0_values itself, found a link",
    ),
    "other form": (write_as_rows, "as ResponseData/block0_values, found ResponseData"),
    "no picture": (remove_picture, "expected a file thing0_01s.jpg in it, found none"),
    "two pictures": (double_picture, "expected one file thing0_01s.jpg, found small/"),
}


def check_refusal(script: ModuleType, world: Things | Bold5000, sentence: str) -> None:
    """Hold that a script ends with one sentence, and that nothing looks like a prepared folder."""
    with pytest.raises(SystemExit) as told:
        script.main(world.arguments())
    assert sentence in str(told.value) and "\n" not in str(told.value)
    assert not list(world.root.glob("out*"))


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_not_as_published_gives_one_sentence(
    name: str, tmp_path: Path, load: Callable
) -> None:
    fault, sentence = FAULTS[name]
    things = Things(tmp_path)
    fault(things)
    check_refusal(load("prepare_things"), things, sentence)


def test_a_folder_that_is_there_is_kept(tmp_path: Path, load: Callable) -> None:
    things = Things(tmp_path)
    (tmp_path / "out").mkdir()
    with pytest.raises(SystemExit, match="out: expected a place for a new folder, found one"):
        load("prepare_things").main(things.arguments())
    assert not list(tmp_path.glob("out/*"))


def lose_run(world: Bold5000) -> None:
    world.events("CSI2", 2, 10).unlink()


def drop_images(world: Bold5000) -> None:
    path = world.events("CSI1", 1, 9)
    table = pd.read_csv(path, sep="\t").drop(columns="stim_file")
    table.to_csv(path, sep="\t", index=False)


def turn_events(world: Bold5000) -> None:
    path = world.events("CSI1", 1, 9)
    pd.read_csv(path, sep="\t").iloc[::-1].to_csv(path, sep="\t", index=False)


def pickle_betas(world: Bold5000) -> None:
    name = "CSI1_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR_allses_LHPPA.npy"
    np.save(world.root / "data" / name, np.array([{"betas": 1}]))


BOLD5000_FAULTS: dict[str, tuple[Callable[[Bold5000], None], str]] = {
    "no events": (lose_run, "expected a row for each of the 14 events of CSI2, found 20"),
    "no stim_file": (drop_images, "run-09_events.tsv: expected a column stim_file, found Sess,"),
    "other order": (turn_events, "expected rows in the order of onset, found others"),
    "pickle": (pickle_betas, "expected an array of numbers, found Python objects (a pickle)"),
}


@pytest.mark.parametrize("name", BOLD5000_FAULTS)
def test_what_of_bold5000_is_not_as_published_gives_one_sentence(
    name: str, tmp_path: Path, load: Callable
) -> None:
    fault, sentence = BOLD5000_FAULTS[name]
    world = Bold5000(tmp_path)
    fault(world)
    check_refusal(load("prepare_bold5000"), world, sentence)
