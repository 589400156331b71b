"""The table of a subject's regions is read alike by the workflow's rules and by an export."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mine.errors import InputError
from mine.summary.region_table import read_region_names


def test_regions_are_named_in_the_order_of_their_table(tmp_path: Path) -> None:
    names, table = ["OPA", "EBA", "FFA-1", "nsd.all"], tmp_path / "regions.tsv"
    # As the rule writes it.
    pd.Series(range(4), index=pd.Index(names, name="roi"), name="voxels").to_csv(table, sep="\t")
    assert read_region_names(table) == names
    table.write_text("voxels\troi\n3\tEBA\n")
    assert read_region_names(table) == ["EBA"]


def test_a_subject_may_have_no_region(tmp_path: Path) -> None:
    table = tmp_path / "regions.tsv"
    table.write_text("roi\tvoxels\n")
    assert read_region_names(table) == []


@pytest.mark.parametrize(("text", "found"), [("", "nothing"), ("name\tvoxels\n", "name, voxels")])
def test_another_table_is_refused(tmp_path: Path, text: str, found: str) -> None:
    table = tmp_path / "regions.tsv"
    table.write_text(text)
    with pytest.raises(InputError, match=f"regions.tsv: expected .* column roi, found {found}$"):
        read_region_names(table)


def test_nothing_else_reads_the_table(repository: Path) -> None:
    rules = (repository / "workflow/rules/common.smk").read_text()
    assert rules.count("checkpoints.regions.get(") == 1
    assert "read_region_names(checkpoints.regions.get(" in rules
