"""The regions that a subject has, as its table of them, `regions.tsv`, lists them.

The workflow's rules read it to know which jobs there are, and so it imports the standard library
alone.
"""

from __future__ import annotations

import csv
from pathlib import Path

from mine.errors import InputError


def read_region_names(table: Path | str) -> list[str]:
    """Return the names of the regions that a subject has, in the order of its table.

    table: `results/<name>/<subject>/regions.tsv`, tab-separated, a row for each region. Raises
    InputError where it is no such table.
    """
    with Path(table).open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        if "roi" not in (rows.fieldnames or ()):
            found = ", ".join(rows.fieldnames or ()) or "nothing"
            raise InputError(f"{table}: expected a table with a column roi, found {found}")
        return [row["roi"] for row in rows]
