"""ROIs of the Algonauts 2023 repackaging, by label, by group and label, or as whole groups.

A reference to an ROI is the name of a label (``FFA-1``), a group and its label
(``prf-visualrois:V1v``), a whole group of ROIs (``streams``), or ``all``: every vertex there is.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mine.datasets import algonauts_files as files
from mine.datasets.listing import SIDES
from mine.datasets.rois import Members
from mine.errors import InputError

ALL = "all"


@dataclass(frozen=True)
class Atlases:
    """A subject's groups of ROIs. mappings: group -> label -> name. labels: group -> int (vertex,)
    of both hemispheres, 0 where there is none."""

    subject: str
    mappings: Mapping[str, Mapping[int, str]]
    labels: Mapping[str, np.ndarray]

    def find(self, reference: str) -> tuple[np.ndarray, str] | None:
        """bool (vertex,) and where it comes from; None if the subject's mappings lack the name."""
        if reference in self.labels:
            return self.labels[reference] > 0, reference
        atlas, _, name = reference.rpartition(":")
        found = [
            group
            for group, mapping in self.mappings.items()
            if name in mapping.values() and atlas in ("", group)
        ]
        if len(found) > 1:
            choices = " or ".join(f"{group}:{name}" for group in found)
            raise InputError(f"ROI {reference!r}: expected a name of one group, found {choices}")
        if not found:
            return None
        mapping = self.mappings[found[0]]
        values = [label for label, one in mapping.items() if one == name]
        return np.isin(self.labels[found[0]], values), f"{found[0]}:{name}"


def read_atlases(
    root: Path, subject: str, *, counts: Sequence[int], vertices: Sequence[np.ndarray | None]
) -> Atlases:
    """Read a subject's groups of ROIs; counts, vertices: per hemisphere, see files.read_labels.

    A hemisphere without a file has no vertex in the group. Raises InputError for a damaged file.
    """
    mappings, labels = {}, {}
    for atlas in files.list_atlases(root, subject):
        parts = []
        for side, count, known in zip(SIDES, counts, vertices, strict=True):
            part = files.read_labels(root, subject, atlas, side, count=count, vertices=known)
            parts.append(np.zeros(count, dtype=np.int64) if part is None else part)
        mappings[atlas] = files.read_mapping(root, subject, atlas)
        labels[atlas] = np.concatenate(parts)
    return Atlases(subject, mappings, labels)


def find_region(atlases: Atlases, reference: str, root: Path) -> tuple[np.ndarray, str] | None:
    """Find an ROI; None if only other subjects have it.

    Raises InputError if nobody has it, with the names that exist.
    """
    found = atlases.find(reference)
    if found is not None:
        return found
    known: set[str] = set(atlases.mappings)
    names = {name for mapping in atlases.mappings.values() for name in mapping.values()}
    for other in files.list_subjects(root):
        if other == atlases.subject:
            continue
        for atlas in files.list_atlases(root, other):
            mapping = files.read_mapping(root, other, atlas)
            named = {atlas, *mapping.values(), *(f"{atlas}:{name}" for name in mapping.values())}
            if reference in named:
                return None
            names |= set(mapping.values())
            known.add(atlas)
    folded = {name.casefold(): name for name in {*names, *known}}
    close = difflib.get_close_matches(reference.casefold(), folded, n=1, cutoff=0.5)
    hint = f"; the nearest is {folded[close[0]]}" if close else ""
    raise InputError(
        f"ROI {reference!r}: expected one of the regions of {Path(root)}: "
        f"{', '.join(sorted(names | known)) or 'there are none'}; found no such name{hint}"
    )


def find_voxels(atlases: Atlases, references: Sequence[str], root: Path, count: int) -> np.ndarray:
    """Union of some ROIs as places among all vertices: int (voxel,), ascending.

    Raises InputError if the subject lacks one of them or if the union is empty.
    """
    if ALL in references:
        return np.arange(count)
    union = np.zeros(count, dtype=bool)
    for reference in references:
        found = find_region(atlases, reference, root)
        if found is None:
            raise InputError(
                f"{atlases.subject}: expected the region {reference} of dataset.voxels, found none"
            )
        union |= found[0]
    if not union.any():
        raise InputError(
            f"{atlases.subject}: expected vertices in {' and '.join(references)}, found none"
        )
    return np.flatnonzero(union)


def find_members(
    atlases: Atlases, root: Path, *, rois: Mapping[str, str], places: np.ndarray
) -> tuple[dict[str, Members], dict[str, str]]:
    """Find which voxels belong to which ROI: those found, and why the others are not, by name.

    places: of find_voxels. Raises InputError for a name that no subject has.
    """
    found: dict[str, Members] = {}
    absent: dict[str, str] = {}
    for name, reference in rois.items():
        region = find_region(atlases, reference, root)
        if region is None:
            absent[name] = f"{atlases.subject} has no region {reference}"
        elif not region[0].any():
            absent[name] = f"no vertex of {atlases.subject} is in {reference}"
        elif not region[0][places].any():
            size = int(region[0].sum())
            absent[name] = f"none of its {size} vertices is in the voxel set of {atlases.subject}"
        else:
            found[name] = Members(region[0][places], int(region[0].sum()), region[1])
    return found, absent
