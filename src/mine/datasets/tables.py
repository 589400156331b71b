"""Tables as BIDS has them: tab-separated, a header, UTF-8, n/a for what is missing.

A cell may stand in quotes, as spreadsheets and pandas write one with a comma or a quote in it.

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

DIGITS = 18
"""Most digits of a whole number: any such fits into 64 bits."""


@dataclass(frozen=True)
class Table:
    """A table of texts. columns: name -> (row,) texts, without blanks or quotes around them."""

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
            number = minimum - 1 if text == MISSING else parse_number(text)
            if number is None or (number < minimum and text != MISSING):
                raise InputError(
                    f"{self.path}: expected whole numbers from {minimum} or {MISSING} as {column}, "
                    f"found {text!r} in line {self.line(row)}"
                )
            numbers[row] = number
        return numbers

    def read_names(self, column: str) -> list[str]:
        """A column of names, none of which may be missing."""
        for row, text in enumerate(self.columns[column]):
            if text in ("", MISSING):
                raise InputError(
                    f"{self.path}: expected a name as {column} in every row, found {text!r} in "
                    f"line {self.line(row)}"
                )
        return self.columns[column]

    def read_seconds(self, column: str) -> np.ndarray:
        """A column of times as float64 (row,), NaN where one is missing."""
        import numpy as np

        seconds = np.full(len(self), np.nan)
        for row, text in enumerate(self.columns[column]):
            try:
                seconds[row] = np.nan if text == MISSING else float(text)
            except ValueError:
                raise InputError(
                    f"{self.path}: expected seconds or {MISSING} as {column}, found {text!r} in "
                    f"line {self.line(row)}"
                ) from None
        return seconds

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


def read_table(path: Path, *, needed: Sequence[str] = (), known: Sequence[str] = ()) -> Table:
    """Read a table. known: columns that are going to be read where they are there.

    Raises InputError if it is absent, no such table, lacks a needed column, or has a column whose
    name differs from a known one's by case or a plural s alone, beside it or in its place: which of
    the two is meant cannot be known, and the other would be passed over.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: expected a table, found no file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: expected a table, found a folder") from None
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path}: expected a table in UTF-8, found something else") from None
    # not splitlines, for which a line of a caption may end within it, as at U+2028
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InputError(f"{path}: expected a table with a header, found an empty file")
    header = _read_cells(lines[0])
    if len(set(header)) < len(header) or "" in header:
        raise InputError(f"{path}: expected a name of its own for each column, found {header}")
    _check_spelling(path, header, known)
    missing = [name for name in needed if name not in header]
    if missing:
        raise InputError(
            f"{path}: expected a column {missing[0]}, between tabs, found {', '.join(header)}"
        )
    if len(lines) < 2:
        raise InputError(f"{path}: expected rows below the header, found none")
    rows = [_read_cells(line) for line in lines[1:]]
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise InputError(
                f"{path}: expected {len(header)} cells in line {number}, found {len(row)}"
            )
    cells = zip(*rows, strict=True)
    return Table(path, {name: list(column) for name, column in zip(header, cells, strict=True)})


def _read_cells(line: str) -> list[str]:
    return [_read_cell(cell.strip()) for cell in line.split("\t")]


def _read_cell(text: str) -> str:
    """Text of a cell without the quotes that a spreadsheet put around it.

    Whoever quotes doubles every quote within, so that a cell of any other form, such as the
    captions "one" | "two", was not quoted, and is taken as it stands.
    """
    inner = text[1:-1]
    if len(text) < 2 or f'"{inner}"' != text or '"' in inner.replace('""', ""):
        return text
    return inner.replace('""', '"').strip()


def _check_spelling(path: Path, header: Sequence[str], known: Sequence[str]) -> None:
    plainly = {_spell_plainly(name): name for name in known}
    for name in header:
        meant = plainly.get(_spell_plainly(name))
        if name not in known and meant is not None:
            if meant in header:
                raise InputError(f"{path}: expected one column for {meant}, found {name} beside it")
            raise InputError(f"{path}: expected the column {meant} by that name, found {name}")


def _spell_plainly(name: str) -> str:
    """A column's name without what is easily mistaken: capitals, blanks, the ending of a plural."""
    plain = name.lower().replace(" ", "_")
    return plain[:-3] + "y" if plain.endswith("ies") else plain.removesuffix("s")


def parse_number(text: str) -> int | None:
    """Whole number from 0 that a text stands for, as 3 and 3.0 do; None for any other text."""
    # 3.0 is what tables of numbers become once one of them was missing
    whole, _, rest = text.partition(".")
    if not whole.isdecimal() or rest.strip("0") or len(whole) > DIGITS:
        return None
    return int(whole)
