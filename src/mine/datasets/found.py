"""What was found on disk of a dataset, for a configuration to begin with."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mine.sections import NAME

FAVOURITES = ("FFA-1", "FFA-2", "EBA", "PPA", "OPA", "RSC", "VWFA-1", "V1v", "FFA", "VWFA", "V1")
"""Regions that come first where there are many."""

MOST_REGIONS = 12


@dataclass
class FoundKeys:
    """values: path of a key -> value. notes: sentences about what was looked for in vain."""

    values: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note(
        self,
        key: str,
        what: str,
        *,
        seen: str = "none",
        instead: str = "it is left as it stands",
    ) -> None:
        """Note what was looked for, for a key, what is there in its place, and what the key has
        now."""
        self.notes.append(f"{key}: expected {what}, found {seen}; {instead}")


def choose_regions(names: Iterable[str]) -> list[str]:
    """Regions to explain: the favourites that are there, else the first ones by name."""
    names = sorted({name for name in names if re.fullmatch(NAME, name)})
    favourites = [name for name in FAVOURITES if name in names]
    return favourites or names[:MOST_REGIONS]


def find_annotations(root: Path, kind: str) -> list[str]:
    """COCO's files of a kind ("captions", "instances") in the dataset's folder or beside it."""
    places = ("annotations", "coco/annotations", "../coco/annotations", "../annotations")
    for place in places:
        files = sorted((root / place).glob(f"{kind}_*.json"))
        if files:
            return [str(file) for file in files]
    return []
