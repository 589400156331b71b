"""The summary across subjects: what holds in how many of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mine.sections import ALL
from mine.statistics.subjects import LEAST_SUBJECTS, mean_over_subjects
from mine.summary.page import Page
from mine.summary.regions import EDITED, PICTURED, SHOWN, split_regions
from mine.summary.texts import NONE, join, name_above, write_interval, write_share
from mine.wording import format_count

SHARES = ("share", "identification")
EFFECTS = (*PICTURED, *EDITED)
MEANS = (*SHARES, "score", *EFFECTS, *(f"{name}_mean" for name in EFFECTS))
"""Numbers of a region that are averaged over subjects; shares are between 0 and 1."""

CAUSES = {
    "pictures": "pictures from words",
    "pictures_measured": "the same by measured responses",
    "insertion_other": "insertion against another category",
    "insertion": "insertion against random tokens' words",
    "insertion_unspecific": "insertion against no words",
    "removal": "removal against random tokens' words",
    "removal_unspecific": "removal against not naming it",
}


def average_regions(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put the regions of several subjects together, a row each, all regions' last.

    tables: subject -> :func:`mine.summary.regions.tabulate_regions`. Columns: see docs/stores.md,
    Summaries.
    """
    names = dict.fromkeys(roi for table in tables.values() for roi in table["roi"])
    names = [*(roi for roi in names if roi != ALL), ALL]
    by_subject = {subject: table.set_index("roi") for subject, table in tables.items()}
    rows = []
    for roi in names:
        own = pd.DataFrame([table.loc[roi] for table in by_subject.values() if roi in table.index])
        row: dict[str, object] = {"roi": roi, "subjects": len(own)}
        row |= {name: int(own[name].sum()) for name in ("voxels", "described")}
        shares = np.isin(MEANS, SHARES)
        found = mean_over_subjects(
            own[list(MEANS)].to_numpy(float),
            least=np.where(shares, 0, -np.inf),
            greatest=np.where(shares, 1, np.inf),
        )
        for place, name in enumerate(MEANS):
            row |= {name: found.mean[place], f"{name}_subjects": found.subjects[place]}
            row |= {f"{name}_low": found.low[place], f"{name}_high": found.high[place]}
        for evidence in SHOWN:
            preferring = own[evidence][own[evidence] != ""]
            preferred = preferring.mode()
            row[evidence] = join(preferred, "")
            row[f"{evidence}_subjects"] = int(preferring.isin(preferred[:1]).sum())
            row[f"{evidence}_known"] = len(preferring)
        rows.append(row)
    return pd.DataFrame(rows)


def summarise_subjects(tables: Mapping[str, pd.DataFrame], *, name: str) -> Page:
    """Say what holds across subjects. tables: as of :func:`average_regions`."""
    table = average_regions(tables)
    regions, together = split_regions(table)
    columns = ["region", "subjects", "voxels", "R² / ceiling", "described", "by words"]
    columns += ["by responses", "by localiser", "told apart", "pictures, d", "insertion, d"]
    columns += ["removal, d"]
    return Page(
        title=f"What was found in {format_count(len(tables), 'subject')}",
        subtitle=f"{name}: {join(tables)}",
        columns=columns,
        rows=[_write_row(row) for _, row in table.iterrows()],
        note=(
            "Means over the subjects in which it was measured, with Student's 95% interval from "
            "three of them on, unless all are equal; of categories, the one that the region "
            "prefers in most subjects, with their number, of those in which it prefers any "
            "(several: in as many each). "
            "Columns are explained on the page of each subject; R² alone where a dataset has no "
            "noise ceiling. A dash: not measured."
        ),
        sections={
            "What was found": _say_found(tables, regions, together),
            "How sure it is": _say_sure(len(tables)),
            "What was left out, and why": _say_left_out(tables, regions),
        },
    )


def _write_row(row: pd.Series) -> list[str]:
    preferred = [
        f"{row[name]} ({row[f'{name}_subjects']}/{row[f'{name}_known']})" if row[name] else NONE
        for name in SHOWN
    ]
    return [
        row["roi"],
        str(row["subjects"]),
        f"{row['voxels']:,}",
        write_interval(row, "score"),
        write_share(row),
        *preferred,
        write_interval(row, "identification"),
        *(write_interval(row, one, 1) for one in ("pictures", "insertion", "removal")),
    ]


def _say_found(
    tables: Mapping[str, pd.DataFrame], table: pd.DataFrame, together: pd.Series
) -> list[str]:
    same = table[
        (table["profile"] != "")
        & (table["profile"] == table["measured"])
        & (table["profile_subjects"] == table["subjects"])
        & (table["measured_subjects"] == table["subjects"])
    ]
    named = [f"{roi} ({name})" for roi, name in zip(same["roi"], same["profile"], strict=True)]
    every = pd.concat(tables.values())
    # Of the mean and not of d, as on the pages of the subjects.
    low = {what: every[f"{name}_mean_low"] for name, what in CAUSES.items()}
    above = [f"{what} in {(own > 0).sum()} of {own.notna().sum()}" for what, own in low.items()]
    said = [
        f"{together['described']:,} of {format_count(together['voxels'], 'voxel', ',')} are "
        "described.",
        "Words and measured responses prefer one and the same category in every subject that has "
        f"the region: {join(named)}.",
        "Of the regions of all subjects that were tested, the mean causal effect has an interval "
        f"over images above zero: {join(above)}.",
    ]
    if len(tables) >= LEAST_SUBJECTS:
        above = [f"{what} {name_above(table, f'{name}_mean')}" for name, what in CAUSES.items()]
        said.append(
            "Its mean over subjects has an interval over subjects above zero, of the regions that "
            f"were tested in {LEAST_SUBJECTS} of them or more: {join(above)}."
        )
    return said


def _say_sure(subjects: int) -> list[str]:
    if subjects < LEAST_SUBJECTS:
        return [
            f"{subjects} of {LEAST_SUBJECTS} subjects that an interval over subjects takes: each "
            "is evidence for itself, and its own page says how much. Nothing is said of other "
            "people."
        ]
    return [
        "Intervals are over subjects: they speak of people who were not measured, if these "
        "subjects were drawn from them. A mean of few subjects is known within wide bounds only. "
        "Where all subjects are equal there is none: so few do not say how far others may be."
    ]


def _say_left_out(tables: Mapping[str, pd.DataFrame], table: pd.DataFrame) -> list[str]:
    said = []
    for _, row in table[table["subjects"] < len(tables)].iterrows():
        without = [name for name, own in tables.items() if row["roi"] not in set(own["roi"])]
        said.append(f"{row['roi']} of {join(without)}: the subject's page says why.")
    for name, what in (("identification", "Structure"), ("pictures", "Pictures and edits")):
        measured = table[f"{name}_subjects"]
        unknown = table["roi"][measured == 0]
        if len(unknown):
            said.append(f"{what} of {join(unknown)}: in no subject could it be measured.")
        for _, row in table[(measured > 0) & (measured < table["subjects"])].iterrows():
            said.append(
                f"{what} of {row['roi']}: measured in {row[f'{name}_subjects']} of "
                f"{row['subjects']} subjects; the others' pages say why not."
            )
    reasons = [
        f"{own['voxels'] - own['described']:,} in {name}"
        for name, (_, own) in zip(tables, map(split_regions, tables.values()), strict=True)
    ]
    said.append(f"Voxels that are not described: {join(reasons)}; the reasons are on their pages.")
    return said
