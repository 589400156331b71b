"""How a summary writes numbers and lists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import pandas as pd

from mine.wording import format_count

NONE = "–"


def write_interval(row: Mapping[str, float], name: str, digits: int = 2) -> str:
    """A value with its interval, such as 0.82 [0.79, 0.85], or a dash where there is none."""
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if not np.isfinite(value):
        return NONE
    if not np.isfinite(low):
        return write_number(value, digits)
    low, high = (write_number(bound, digits) for bound in (low, high))
    return f"{write_number(value, digits)} [{low}, {high}]"


def write_number(value: float, digits: int = 2) -> str:
    """A number with so many decimals, minus as it is printed, or a dash for none."""
    # A sum with zero, so that what rounds to nothing is not written as less than nothing.
    return (
        f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−") if np.isfinite(value) else NONE
    )


def write_share(row: Mapping[str, float]) -> str:
    """The share of a row in percent with its interval, such as 94% [83, 98]."""
    value, low, high = (write_number(100 * row[f"share{end}"], 0) for end in ("", "_low", "_high"))
    if value == NONE:
        return NONE
    return f"{value}%" if low == NONE else f"{value}% [{low}, {high}]"


def join(names: Iterable[str], nothing: str = "none") -> str:
    """Names with commas."""
    return ", ".join(names) or nothing


def name_above(table: pd.DataFrame, name: str) -> str:
    """Say in which regions the interval of a number lies above 0, of those in which it is known."""
    known = table[np.isfinite(table[name]) & np.isfinite(table[f"{name}_low"])]
    above = known[known[f"{name}_low"] > 0]
    return f"in {len(above)} of {format_count(len(known), 'region')} ({join(above['roi'])})"


def name_where(table: pd.DataFrame, holds: Callable[[pd.Series], bool]) -> list[str]:
    """Names of the regions of which something holds, in their order."""
    return [str(row["roi"]) for _, row in table.iterrows() if holds(row)]
