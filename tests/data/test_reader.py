"""What holds for every kind of dataset."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mine.datasets.reader import Reader, open_dataset
from mine.errors import InputError
from mine.sections import Dataset

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
    assert problems == [f"{root}: expected the dataset's folder, found none"]
    assert reader.list_categories() == {} and reader.list_contrasts(["subj01"]) == []
    for read in (reader.open_stimuli, lambda: reader.read_subject("subj01")):
        with pytest.raises(InputError, match="expected"):
            read()
