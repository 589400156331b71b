"""Laws of tables: what a spreadsheet quotes is read as it was meant, other quotes are text."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest

from mine.datasets.tables import read_table

CELLS = {
    "image": ["a, b.png", "c.png", "d.png"],
    "captions": ['a cat, on a sofa | a "grey" cat', '"Stop" and "go"', '"'],
    "categories": ["dog, cat", "n/a", ""],
}


def write_by_pandas(path: Path) -> None:
    pd.DataFrame(CELLS).to_csv(path, sep="\t", index=False)


def write_by_excel(path: Path) -> None:
    """Excel quotes cells with a comma, too, and ends lines as Windows does."""
    lines = [list(CELLS), *zip(*CELLS.values(), strict=True)]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        for line in lines:
            cells = [
                '"' + cell.replace('"', '""') + '"' if set(',"') & set(cell) else cell
                for cell in line
            ]
            file.write("\t".join(cells) + "\r\n")


def write_all_quoted(path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, dialect="excel-tab", quoting=csv.QUOTE_ALL)
        writer.writerows([list(CELLS), *zip(*CELLS.values(), strict=True)])


@pytest.mark.parametrize("write", [write_by_pandas, write_by_excel, write_all_quoted])
def test_quoted_cells_are_read_as_they_were_meant(tmp_path: Path, write) -> None:
    write(tmp_path / "images.tsv")
    assert read_table(tmp_path / "images.tsv", needed=["image"]).columns == CELLS


@pytest.mark.parametrize(
    "cell", ['"one" | "two"', '"Stop" it says', 'a "stop"', '"', '"""', "a, b", 'a ""grey"" cat']
)
def test_quotes_that_nothing_put_around_a_cell_are_text(tmp_path: Path, cell: str) -> None:
    (tmp_path / "images.tsv").write_text(f"image\tcaptions\na.png\t{cell}\n")
    assert read_table(tmp_path / "images.tsv").columns["captions"] == [cell]
