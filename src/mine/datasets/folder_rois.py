"""ROIs, voxel sets and localisers of an experiment of one's own, each a map on the responses' grid.

A reference to an ROI is one of

- a name, which ``dataset.folder.rois`` turns into a path: ``FFA``;
- a path inside the dataset's folder or an absolute one, with {subject} and {hemisphere}:
  ``{subject}/atlas.nii.gz``, of which all above 0 counts;
- such a path and a label in it: ``{subject}/atlas.nii.gz:3``;
- ``all``, whatever the mask leaves, as a voxel set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mine.datasets.grids import Grid, check_ncsnr, read_map, read_region
from mine.datasets.patterns import (
    NAMES,
    check_pattern,
    fill_pattern,
    find_files,
    find_hemispheres,
    split_label,
)
from mine.datasets.patterns import list_names as list_braces
from mine.datasets.rois import Members
from mine.errors import InputError
from mine.sections import Folder

ALL = "all"

MAP_NAMES = ("subject", "hemisphere")
"""What may stand in braces in the path of a map."""


@dataclass(frozen=True)
class Place:
    """Where an ROI is. pattern: of its map. label: in it, or None for all above 0. roi: its name,
    if it has one."""

    pattern: str
    label: int | None
    roi: str | None

    def find(self, root: Path, subject: str) -> Path | None:
        """File of a subject's map, of one hemisphere where there are two; None without one."""
        known = {"subject": subject} | ({} if self.roi is None else {"roi": self.roi})
        if "hemisphere" in list_braces(self.pattern):
            return next(iter(find_hemispheres(root, self.pattern, **known).values()), None)
        path = fill_pattern(root, self.pattern, **known)
        return path if path.is_file() else None

    def read(self, root: Path, subject: str, grid: Grid) -> tuple[np.ndarray, Path] | None:
        """bool (place,) and the file; None if the subject has none."""
        known = {"subject": subject} | ({} if self.roi is None else {"roi": self.roi})
        return read_region(root, self.pattern, grid, label=self.label, **known)


def place_region(reference: str, folder: Folder) -> Place:
    """Find out what a reference to an ROI means; InputError where it means nothing."""
    path = split_label(reference)
    if path is not None:
        check_pattern(path[0], key=f"ROI {reference}", allowed=MAP_NAMES)
        return Place(*path, None)
    if re.fullmatch(NAMES["roi"], reference):
        return Place(folder.rois, None, reference)
    raise InputError(
        f"ROI {reference!r}: expected a name, or the path of a map such as .nii.gz, .gii or .npy "
        "with a label behind a colon where it has several, found neither"
    )


def read_voxels(
    root: Path,
    subject: str,
    folder: Folder,
    *,
    references: Sequence[str],
    grid: Grid,
    columns: np.ndarray | None,
) -> np.ndarray:
    """Flat places of a subject's voxel set, ascending: what the mask, the union of the references
    and the columns that the responses have share.

    Raises InputError if a file is missing or if nothing is left.
    """
    inside = np.ones(grid.size, dtype=bool)
    if folder.mask is not None:
        mask = read_region(root, folder.mask, grid, subject=subject)
        if mask is None:
            path = fill_pattern(root, folder.mask, subject=subject)
            raise InputError(f"{path}: expected the mask of {subject}, found no file")
        inside &= mask[0]
        if not mask[0].any():
            raise InputError(f"{mask[1]}: expected voxels above 0 in the mask, found none")
    elif grid.geometry == "volume" and ALL in references:
        raise InputError(
            "dataset.folder.mask: expected the brain's mask, or ROIs alone in dataset.voxels, "
            "found null and all"
        )
    if ALL not in references:
        union = np.zeros(grid.size, dtype=bool)
        for reference in references:
            place = place_region(reference, folder)
            region = place.read(root, subject, grid)
            if region is None:
                known = {} if place.roi is None else {"roi": place.roi}
                path = fill_pattern(root, place.pattern, subject=subject, **known)
                raise InputError(
                    f"{path}: expected the region {reference} of dataset.voxels, found no file"
                )
            union |= region[0]
        inside &= union
    if columns is not None:
        present = np.zeros(grid.size, dtype=bool)
        present[columns] = True
        inside &= present
    if not inside.any():
        raise InputError(
            f"{subject}: expected voxels in {' and '.join(references)}, found none in the mask"
        )
    return np.flatnonzero(inside)


def find_members(
    root: Path,
    subject: str,
    folder: Folder,
    *,
    rois: Mapping[str, str],
    grid: Grid,
    flat: np.ndarray,
) -> tuple[dict[str, Members], dict[str, str]]:
    """Find which voxels belong to which ROI: those found, and why the others are not, by name.

    flat: (voxel,) places of the voxel set. Raises InputError for a damaged or mismatched map.
    """
    found: dict[str, Members] = {}
    absent: dict[str, str] = {}
    for name, reference in rois.items():
        place = place_region(reference, folder)
        region = place.read(root, subject, grid)
        if region is None:
            known = {} if place.roi is None else {"roi": place.roi}
            path = fill_pattern(root, place.pattern, subject=subject, **known)
            absent[name] = f"{subject} has no file {path}"
        elif not region[0].any():
            absent[name] = f"no voxel of {subject} is in {region[1]}"
        elif not region[0][flat].any():
            size = int(region[0].sum())
            absent[name] = f"none of its {size} voxels is in the voxel set of {subject}"
        else:
            source = str(region[1]) + ("" if place.label is None else f":{place.label}")
            found[name] = Members(region[0][flat], int(region[0].sum()), source)
    return found, absent


def list_contrasts(root: Path, subject: str, folder: Folder) -> list[str]:
    """Contrasts of a subject's localiser, by name."""
    if folder.localiser is None:
        return []
    files = find_files(root, folder.localiser, subject=subject)
    return sorted({file.values["contrast"] for file in files if "contrast" in file.values})


def read_localiser(
    root: Path, subject: str, folder: Folder, *, grid: Grid, flat: np.ndarray
) -> dict[str, np.ndarray]:
    """The localiser's t-values: contrast -> (voxel,)."""
    values = {}
    for contrast in list_contrasts(root, subject, folder):
        read = read_map(root, folder.localiser or "", grid, subject=subject, contrast=contrast)
        if read is not None:
            values[contrast] = read[0][flat]
    return values


def read_ncsnr(
    root: Path, subject: str, pattern: str, *, grid: Grid, flat: np.ndarray | None
) -> np.ndarray:
    """Published noise-ceiling signal-to-noise ratio: float32 (voxel,).

    flat: (voxel,) places of the voxel set; None takes all places, where anything may stand. Raises
    InputError if there is no file, one that does not fit, or one whose numbers are no such ratio in
    the voxel set.
    """
    read = read_map(root, pattern, grid, subject=subject)
    if read is None:
        path = fill_pattern(root, pattern, subject=subject)
        raise InputError(f"{path}: expected the published ncsnr of {subject}, found no file")
    if flat is None:
        return read[0].astype(np.float32)
    ncsnr = read[0][flat].astype(np.float32)
    check_ncsnr(read[1], ncsnr)
    return ncsnr
