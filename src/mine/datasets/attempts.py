"""What all datasets' checks share: trying one thing after another, keeping what went wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
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


def tell_no_folder(root: Path | str) -> str:
    """Sentence for a dataset's folder that is not there, with where it was looked for."""
    place = str(Path(root).absolute())
    # a blank at an end is not to be seen without quotes
    shown = place if place == place.strip() else repr(place)
    return (
        f"dataset.root: expected the dataset's folder, found none at {shown}{tell_unexpanded(root)}"
    )


def tell_unexpanded(path: Path | str) -> str:
    """Clause for a path that is not there and has what only a shell expands; empty for others."""
    has_home = any(part.startswith("~") for part in Path(path).parts)
    has_name = re.search(r"\$[\w{]", str(path))
    return "; ~ and $NAME are not expanded" if has_home or has_name else ""


def list_absent(absent: Mapping[str, Sequence[str]], subjects: Sequence[str]) -> list[str]:
    """List the ROIs that every subject lacks, a sentence each. absent: reasons by ROI."""
    return [
        f"ROI {name}: expected voxels in one of {', '.join(subjects)}, found none: "
        + "; ".join(reasons)
        for name, reasons in absent.items()
        if len(reasons) == len(subjects)
    ]
