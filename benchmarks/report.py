"""Make the table of docs/performance.md from benchmarks/results, and check the ratios.

A ratio is taken within one run on one machine and so holds elsewhere too; a comparison that falls
below what is asked of it here, with a generous margin, ends with an error.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from common import RESULTS

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- measured -->\n", "<!-- end -->\n"

LEAST = {
    "integrated_gradients": 50,
    "integrated_gradients_folded": 10,
    "patching": 50,
    "lens": 1.2,
    "evidence": 1.2,
    "fitting": 0.6,
    "embedding": 0.4,
    "store_read_rows": 0.05,
}
"""The least ratio, the rival's time over ours, that is accepted of a comparison."""


def read_records(folder: Path) -> list[dict]:
    """All records, in the order of their files' names."""
    records = []
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        records += found if isinstance(found, list) else [found]
    return records


def describe_sizes(record: dict) -> str:
    return ", ".join(f"{value:,} {name}" for name, value in record.get("sizes", {}).items())


def describe_extrapolation(record: dict) -> str:
    """What an epoch of a subject of NSD would take, where that was not measured but multiplied up
    by images and voxels."""
    if "epoch_hours_extrapolated" not in record:
        return ""
    own, rival = (record[f"{of}epoch_hours_extrapolated"] for of in ("", "rival_"))
    return f"; extrapolated to an epoch of a subject of NSD {own:.3g} h, the rival's {rival:.3g} h"


def format_record(record: dict) -> str:
    """One row of the table."""

    def show(key: str, form: str) -> str:
        return form.format(record[key]) if record.get(key) is not None else ""

    cells = [
        record["name"],
        show("seconds", "{:.3g}"),
        record.get("rival", ""),
        show("rival_seconds", "{:.3g}"),
        show("ratio", "{:.3g}"),
        show("relative_difference", "{:.1g}"),
        show("peak_mb", "{:.0f}"),
        describe_sizes(record) + describe_extrapolation(record),
    ]
    return "| " + " | ".join(cells) + " |\n"


def make_table(records: list[dict]) -> str:
    """The table, under what it was measured on."""
    hardware, versions = records[0]["hardware"], {}
    for record in records:
        versions |= record["versions"]
    loads = [record["load"] for record in records]
    lines = [
        f"{hardware['processor']}, {hardware['cores']} cores, {hardware['memory_gb']} GB"
        f"{', ' + hardware['gpu'] if 'gpu' in hardware else ''}; load while measured "
        f"{min(loads):g} to {max(loads):g}; "
        + ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
        + ".\n\n",
        "| what | s | rival | its s | ratio | relative difference | peak MB | sizes |\n",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |\n",
    ]
    return "".join(lines) + "".join(map(format_record, records))


def find_slow(records: list[dict]) -> list[str]:
    """One sentence for each comparison whose ratio is too small, or that was not made."""
    measured = {record["name"] for record in records}
    missing = [
        f"{name}: expected a record in {RESULTS}, found none" for name in LEAST.keys() - measured
    ]
    return sorted(missing) + [
        f"{record['name']}: expected a ratio of at least {LEAST[record['name']]}, found "
        f"{record['ratio']}"
        for record in records
        if record["name"] in LEAST and record["ratio"] < LEAST[record["name"]]
    ]


def main() -> None:
    records = read_records(RESULTS)
    if not records:
        sys.exit(f"{RESULTS}: expected results of the benchmarks, found none; make bench runs them")
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(before + BEGIN + make_table(records) + END + rest.partition(END)[2])
    if slow := find_slow(records):
        sys.exit("\n".join(slow))


if __name__ == "__main__":
    main()
