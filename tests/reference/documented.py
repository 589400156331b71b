"""What the tables of docs/stores.md say of tables: their columns, and the measures in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/stores.md"


def read_columns() -> dict[str, list[str]]:
    """The columns of each table that has them in the page's overview, by its path."""
    return {
        cells[0].strip("`"): list_names(cells[1])
        for cells in read_rows("table")
        if cells[1].startswith("`")
    }


def read_names(head: str) -> list[str]:
    """All names in the first column of the table of the page whose first column has this head."""
    return [name for cells in read_rows(head) for name in list_names(cells[0])]


def read_rows(head: str) -> Iterator[list[str]]:
    """Cells of each row of the table whose first column has this head."""
    (rows,) = re.findall(
        rf"^\| {head} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE
    )
    for row in rows.splitlines():
        yield [cell.strip() for cell in row.strip("|").split("|")]


def list_names(cell: str) -> list[str]:
    """Names of a cell, of which one such as `_low` goes behind the cell's first."""
    names = re.findall(r"`([^`]+)`", cell)
    return [names[0] + name if name.startswith("_") else name for name in names]
