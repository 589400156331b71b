"""Results as text for the terminal, in columns of plain characters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mine.errors import InputError
from mine.results.comparing import EQUAL
from mine.results.explanations import Explanation, draw_explanations
from mine.statistics.ceiling import CLEAR_CEILING

if TYPE_CHECKING:
    from mine.results.regions import Region, Voxel

FORMATS = {"z": ".1f", "q": ".1e", "p": ".1e"}
"""How numbers of a column are written; others have two decimals."""


def print_region(region: Region) -> str:
    """Say what was found in a region: a row for each voxel, best fitted first."""
    table = region.table()
    described = int(table["described"].sum())
    said = f"{region.name}, {region.subject.name}: {described} of {len(table)} voxels described"
    preferred = region.preference["roi_preferred"]
    by_words, by_responses = (
        str(preferred.sel(evidence=evidence).item()) or "nothing"
        for evidence in ("profile", "measured")
    )
    shown = pd.DataFrame(
        {
            "voxel": table.index,
            "R²": table["r2"],
            "ceiling": table["noise_ceiling"],
            "reliability": table["reliability"],
            "prefers": table["preferred_by_words"],
            "cluster": table["cluster"],
            "words": _withhold(table),
        }
    )
    return (
        f"{said}; prefers {by_words} by words, {by_responses} by responses\n\n"
        f"{format_table(shown)}\n\n"
        "R²: on test images; ceiling: the largest R² that noise allows; reliability: of the "
        "profile, across\nhalves of the images. In brackets: why a voxel has no words."
    )


def print_voxel(voxel: Voxel) -> str:
    """Say what was found about one voxel: its words with the evidence, and exemplars."""
    entry, profile = voxel.summary, voxel.profile
    region = voxel.region
    parts = [
        f"voxel {voxel.number} in {region.name} of {region.subject.name}: {profile.reason}",
        f"R² {entry['r2']:.2f} [{entry['r2_low']:.2f}, {entry['r2_high']:.2f}], noise ceiling "
        f"{_format_cell(entry['noise_ceiling'], '.2f')}; reliability "
        f"{_format_cell(entry['reliability'], '.2f')}; prefers "
        f"{entry['preferred_by_words'] or 'nothing'} by words, "
        f"{entry['preferred_by_responses'] or 'nothing'} by responses",
    ]
    for title, words in (
        ("words that drive it", profile.words),
        ("words that suppress it", profile.suppressed),
    ):
        shown = words.rename(columns={"added": "partial r", "added_p": "p"}).drop(columns="effect")
        parts.append(f"{title}\n{format_table(shown) if len(shown) else 'none'}")
    if len(profile.lists):
        shown = profile.lists.rename(columns={"added": "partial r", "added_p": "p"})
        parts.append(f"words of named lists\n{format_table(shown)}")
    parts.append(
        f"images of largest prediction\n{format_table(voxel.exemplars)}\n"
        "phrase: – if the image is not a test image, since only these are described; empty if the "
        "lens says\nnothing clearly."
    )
    return "\n\n".join(parts)


def print_explanations(region: Region, explanations: Mapping[int, Explanation]) -> str:
    """Say what is predicted for an image, and in which words, largest response first.

    The words of voxels that are not described are withheld, as in everything else.
    """
    table = region.table().loc[list(explanations)]
    shown = pd.DataFrame(
        {
            "voxel": table.index,
            "R²": table["r2"],
            "predicted": [one.prediction for one in explanations.values()],
            "±": [one.residual_deviation for one in explanations.values()],
            "of image": [one.prediction - one.baseline_prediction for one in explanations.values()],
            "words": [one.phrase for one in explanations.values()],
        }
    )
    shown["words"] = _withhold(table.assign(words=shown["words"].to_numpy())).to_numpy()
    shown = shown.sort_values("predicted", ascending=False, kind="stable")
    return (
        f"{region.name}, {region.subject.name}\n\n{format_table(shown)}\n\n"
        "predicted: response, in standard deviations of single trials; ±: standard deviation of "
        "measured responses\naround predictions; of image: the part of the prediction that is due "
        "to this image, the sum of its attributions.\nIn brackets: why a voxel has no words."
    )


COMPARED = {
    "profile_correlation": "profiles, r",
    "profile_correlation_others": "other voxels', r",
    "listed_shared": "words of first",
    "listed_shared_other": "words of second",
    "first_word_shared": "first words",
}
"""Measures of a comparison that have an interval, and their columns."""


def print_comparison(rows: pd.DataFrame) -> str:
    """Say how far two analyses agree: a row for each region of a subject.

    rows: ``measure subject roi value low high n`` of results.comparing.compare_results.
    """
    shown = []
    for (subject, roi), own in rows.groupby(["subject", "roi"], sort=False):
        here = own.set_index("measure")
        entry = {"subject": subject, "region": roi, "voxels": int(here.loc["r2", "n"])}
        entry |= {"of": int(here.loc["compared", "n"])}
        entry |= {"R²": here.loc["r2", "value"], "R² (second)": here.loc["r2_other", "value"]}
        shown.append(entry | {text: _bound(here.loc[name]) for name, text in COMPARED.items()})
    return (
        f"{format_table(pd.DataFrame(shown))}\n\n"
        f"voxels: predicted by both, with R² at most {EQUAL} apart and, where it is known, a noise "
        f"ceiling of\n{CLEAR_CEILING} or more, and of how many; profiles: rank correlation over "
        "the words of both vocabularies;\nother voxels': the same with the region's other voxels; "
        "words of first, of second: share of its listed words\nthat the other lists, or a synonym; "
        "first words: share of voxels in which they are the same or synonyms.\nBrackets: 95%, by "
        "images "
        "for correlations, by voxels for shares."
    )


def _bound(row: pd.Series) -> str:
    """A value with its interval, – where there is none."""
    if np.isnan(row["value"]):
        return "–"
    return f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def save_explanations(
    region: Region, explanations: Mapping[int, Explanation], path: Path | str
) -> None:
    """Draw the described voxels of largest R² among those explained, or the one that was.

    As many as the figures of the workflow have. Raises InputError where none is described, or
    matplotlib cannot write such a file.
    """
    check_ending(path)
    table = region.table()
    chosen = [voxel for voxel in table.index if voxel in explanations]
    if len(chosen) > 1:
        chosen = [voxel for voxel in chosen if table.loc[voxel, "described"]]
        chosen = chosen[: region.results.config.figures.voxels]
    if not chosen:
        raise InputError(
            f"{region.name} of {region.subject.name}: expected a described voxel to draw, found "
            "none; --voxel draws any"
        )
    from mine.figures.style import DPI

    figure = draw_explanations([explanations[voxel] for voxel in chosen])
    figure.savefig(path, dpi=DPI)


def check_ending(path: Path | str) -> None:
    """Raise InputError for a figure's name of an ending that matplotlib cannot write."""
    from matplotlib.backend_bases import FigureCanvasBase

    known = sorted(FigureCanvasBase.get_supported_filetypes())
    if Path(path).suffix.removeprefix(".").lower() not in known:
        raise InputError(f"{path}: expected a name that ends in one of {', '.join(known)}")


def format_table(table: pd.DataFrame) -> str:
    """Write a table in columns: numbers to the right, text to the left."""
    columns = [
        [str(name), *(_format_cell(value, FORMATS.get(str(name), ".2f")) for value in column)]
        for name, column in table.items()
    ]
    numbers = [pd.api.types.is_numeric_dtype(column) for _, column in table.items()]
    widths = [max(map(len, cells)) for cells in columns]
    lines = [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in zip(*columns, strict=True)
    ]
    return "\n".join(lines)


def _format_cell(value: object, form: str) -> str:
    if value is pd.NA or (isinstance(value, float | np.floating) and np.isnan(value)):
        return "–"
    if isinstance(value, float | np.floating):
        return format(value, form)
    return str(value)


def _withhold(table: pd.DataFrame) -> pd.Series:
    """Words of each voxel, or in brackets why there are none."""
    return table["words"].where(table["described"], "(" + table["reason"] + ")")
