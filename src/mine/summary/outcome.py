"""What the workflow says when it has ended: what was made, and where to look first.

It is read in the process that runs the workflow, and so imports nothing heavier than
the sections of a configuration.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from mine.sections import ALL
from mine.wording import format_count

PLACES = {
    "summary/subjects.html": "what was found, how certain it is, what was left out and why",
    "browser/index.html": "every voxel, by list, brain or word",
    "figures": "all figures, each with its numbers beside it",
    "recovery.tsv": "how much of what was planted was found",
}
"""Where to look, the first thing first."""


def describe_outcome(folder: Path, subjects: Iterable[str]) -> str:
    """Say in a few lines what is in a folder of results and where to look first; nothing is said of
    what is not there, and of a folder without any of it "".

    folder: `results/<name>`. subjects: those of the configuration; summaries of others may be left
    from an earlier one.
    """
    there = {folder / name: what for name, what in PLACES.items() if (folder / name).exists()}
    if not there:
        return ""
    lines = [*_count_voxels(folder / "summary", subjects), "Look first at"]
    width = max(len(str(path)) for path in there)
    lines += [f"  {path!s:{width}}  {what}" for path, what in there.items()]
    return "\n".join(lines)


def _count_voxels(folder: Path, subjects: Iterable[str]) -> list[str]:
    """A line for each subject that was summed up: how many of its voxels are described."""
    lines = []
    for subject in subjects:
        path = folder / f"{subject}.tsv"
        if not path.exists():
            continue
        with path.open(encoding="utf-8", newline="") as file:
            regions = {row["roi"]: row for row in csv.DictReader(file, delimiter="\t")}
        # That of all regions together, which counts each voxel once.
        together = regions.pop(ALL, None)
        if together is None:
            continue
        described, voxels = (int(together[key]) for key in ("described", "voxels"))
        counts = f"{described:,} of {format_count(voxels, 'voxel', ',')} in "
        counts += format_count(len(regions), "region")
        lines.append(f"{subject}: {counts} are described")
    return lines
