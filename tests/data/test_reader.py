"""What holds for every kind of dataset."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from mine.datasets.listing import list_read
from mine.datasets.reader import Reader, open_dataset, restore_section
from mine.errors import InputError
from mine.sections import Dataset
from tests.data.random_algonauts import RandomAlgonauts
from tests.data.random_folder import RandomFolder
from tests.data.random_nsd import RandomNsd

KINDS = next(
    field.metadata["choices"] for field in dataclasses.fields(Dataset) if field.name == "kind"
)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_reader_with_every_method(kind: str) -> None:
    reader = open_dataset({"root": "nowhere", "kind": kind})
    methods = {name for name in vars(Reader) if not name.startswith("_")}
    assert len(methods) >= 9
    if kind != "nsd":
        methods -= {"read_unseen"}
    assert [name for name in methods if not callable(getattr(reader, name, None))] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_dataset_that_is_not_there_is_told_in_one_sentence(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "nowhere"
    reader = open_dataset({"root": str(root), "kind": kind})
    problems = reader.check(subjects=["subj01"], rois={"EBA": "EBA"})
    assert problems == [f"dataset.root: expected the dataset's folder, found none at {root}"]
    assert reader.list_categories() == {} and reader.list_contrasts(["subj01"]) == []
    for read in (reader.open_stimuli, lambda: reader.read_subject("subj01")):
        with pytest.raises(InputError, match="expected"):
            read()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("~/nsd", "{here}/~/nsd; ~ and $NAME are not expanded"),
        ("$NSD", "{here}/$NSD; ~ and $NAME are not expanded"),
        ("data/nsd", "{here}/data/nsd"),
        ("data~1/nsd ", "'{here}/data~1/nsd '"),
    ],
)
def test_where_a_dataset_was_looked_for_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, root: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    problems = open_dataset({"root": root, "kind": kind}).check(subjects=["subj01"], rois={})
    assert problems == [
        f"dataset.root: expected the dataset's folder, found none at {said.format(here=tmp_path)}"
    ]


def make_world(kind: str, root: Path) -> tuple[dict, str, str, str | None]:
    """Write a miniature: its section `dataset`, a subject, what a region of it is called there, and
    the file that the region is in where that is one of the user's own."""
    if kind == "algonauts":
        return RandomAlgonauts(root, seed=0, regular=True).key, "subj01", "streams:ventral", None
    if kind == "folder":
        key = RandomFolder(root, format="nifti", seed=0, regular=True).key
        return key, "sub-01", "{subject}/rois/FFA.nii.gz", "sub-01/rois/FFA.nii.gz"
    world = RandomNsd(root, format="hdf5", seed=0, regular=True)
    rois = root / "nsddata/ppdata/subj01" / world.space / "roi"
    (root / "masks").mkdir()
    shutil.copy(rois / "nsdgeneral.nii.gz", root / "masks/subj01.nii.gz")
    key = {"root": str(root), **world.key}
    return key, "subj01", "masks/{subject}.nii.gz", "masks/subj01.nii.gz"


@pytest.mark.parametrize("kind", KINDS)
def test_a_voxel_set_of_another_name_is_what_that_stands_for(tmp_path: Path, kind: str) -> None:
    key, subject, reference, file = make_world(kind, tmp_path)
    plain = key | {"voxels": [reference]}
    named = key | {"voxels": ["mine"], "roi_references": {"mine": reference}}
    sets = [open_dataset(one).read_subject(subject).voxels.index for one in (plain, named)]
    assert len(sets[0]) and sets[0].tolist() == sets[1].tolist()
    problems = [open_dataset(one).check(subjects=[subject], rois={}) for one in (plain, named)]
    assert problems == [[], []]
    read = [
        list_read(restore_section(Dataset, one), "responses", subject=subject)
        for one in (plain, named)
    ]
    assert read[0] == read[1]
    assert file is None or str(tmp_path / file) in read[1]


def test_files_of_ones_own_count_where_the_tables_are_downloaded(tmp_path: Path) -> None:
    key, subject, reference, file = make_world("nsd", tmp_path)
    captions = tmp_path / "captions.json"
    captions.write_text("{}")
    dataset = restore_section(Dataset, key | {"captions": [str(captions)], "voxels": [reference]})
    read = {
        group: list_read(dataset, group, subject=subject, references=[reference], downloaded=True)
        for group in ("stimuli", "images", "responses", "regions")
    }
    mask = [str(tmp_path / file)]
    assert read == {"stimuli": [str(captions)], "images": [], "responses": mask, "regions": mask}
