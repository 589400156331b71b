"""Tables as BIDS has them: tab-separated, a header, UTF-8, n/a for what is missing.

Imports nothing heavy before there are numbers to be read, because the workflow's rules read this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mine.errors import InputError

if TYPE_CHECKING:
    import numpy as np

MISSING = "n/a"


@dataclass(frozen=True)
class Table:
    """A table of texts. columns: name -> (row,) texts, without blanks around them."""

    path: Path
    columns: dict[str, list[str]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def line(self, row: int) -> int:
        """Line of the file, from 1, in which a row stands."""
        return row + 2

    def read_numbers(self, column: str, *, minimum: int) -> np.ndarray:
        """A column of whole numbers as int64 (row,), minimum - 1 where one is missing."""
        import numpy as np

        numbers = np.empty(len(self), dtype=np.int64)
        for row, text in enumerate(self.columns[column]):
            number = minimum - 1 if text == MISSING else _read_number(text)
            if number is None or (number < minimum and text != MISSING):
                raise InputError(
                    f"{self.path}: expected whole numbers from {minimum} or {MISSING} as {column}, "
                    f"found {text!r} in line {self.line(row)}"
                )
            numbers[row] = number
        return numbers

    def read_split(self, column: str) -> np.ndarray:
        """A column that splits images: "training", "test", or "" where it is missing: (row,)."""
        import numpy as np

        words = {"train": "training", "training": "training", "test": "test", MISSING: ""}
        for row, text in enumerate(self.columns[column]):
            if text not in words:
                raise InputError(
                    f"{self.path}: expected train, test or {MISSING} as {column}, found {text!r} "
                    f"in line {self.line(row)}"
                )
        return np.array([words[text] for text in self.columns[column]], dtype="<U8")


def read_table(path: Path, *, needed: Sequence[str] = ()) -> Table:
    """Read a table. Raises InputError if it is absent, no such table, or lacks a needed column."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: expected a table, found no file") from None
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path}: expected a table in UTF-8, found something else") from None
    lines = text.splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InputError(f"{path}: expected a table with a header, found an empty file")
    header = [name.strip() for name in lines[0].split("\t")]
    if len(set(header)) < len(header) or "" in header:
        raise InputError(f"{path}: expected a name of its own for each column, found {header}")
    missing = [name for name in needed if name not in header]
    if missing:
        raise InputError(
            f"{path}: expected a column {missing[0]}, between tabs, found {', '.join(header)}"
        )
    if len(lines) < 2:
        raise InputError(f"{path}: expected rows below the header, found none")
    rows = [line.split("\t") for line in lines[1:]]
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise InputError(
                f"{path}: expected {len(header)} cells in line {number}, found {len(row)}"
            )
    cells = zip(*rows, strict=True)
    return Table(
        path,
        {
            name: [cell.strip() for cell in column]
            for name, column in zip(header, cells, strict=True)
        },
    )


def _read_number(text: str) -> int | None:
    # 3.0 is what tables of numbers become once one of them was missing
    whole, _, rest = text.partition(".")
    return int(whole) if whole.isdecimal() and not rest.strip("0") else None
