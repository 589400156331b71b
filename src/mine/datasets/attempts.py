"""What all datasets' checks share: trying one thing after another, keeping what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from mine.errors import InputError

Result = TypeVar("Result")


def attempt(
    problems: list[str], function: Callable[..., Result], *arguments: object, **options: object
) -> Result | None:
    """Call a function; where it raises InputError, note its sentence and return None."""
    try:
        return function(*arguments, **options)
    except InputError as error:
        problems.append(str(error))
        return None


def list_absent(absent: Mapping[str, Sequence[str]], subjects: Sequence[str]) -> list[str]:
    """List the ROIs that every subject lacks, a sentence each. absent: reasons by ROI."""
    return [
        f"ROI {name}: expected voxels in one of {', '.join(subjects)}, found none: "
        + "; ".join(reasons)
        for name, reasons in absent.items()
        if len(reasons) == len(subjects)
    ]
