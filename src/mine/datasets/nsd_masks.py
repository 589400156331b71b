"""Masks of one's own beside the Natural Scenes Dataset: where they are, and which are not there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from mine.datasets import nsd_files
from mine.datasets.attempts import attempt, tell_unexpanded
from mine.errors import InputError

MASKS = (".nii", ".nii.gz", ".mgh", ".mgz", ".gii")
"""How the path of a mask ends."""


def list_missing_masks(
    root: Path,
    references: Iterable[str],
    *,
    subjects: Sequence[str],
    space: str,
    others: Sequence[str] = (),
) -> list[str]:
    """Return a sentence for each mask of one's own that is not there, before the dataset is.

    The same sentence that find_region has for it later. others: subjects of whom one is enough to
    have it, as of a region; a voxel set has to be every subject's. What would lie among NSD's own
    files may come with them.
    """
    problems: list[str] = []
    for reference in references:
        if reference.endswith(MASKS) and Path(reference).parts[0] != "nsddata":
            for subject in subjects:
                attempt(problems, find_mask, root, subject, reference, space, others=others)
    return list(dict.fromkeys(problems))


def find_mask(
    root: Path, subject: str, reference: str, space: str, *, others: Sequence[str]
) -> Path | None:
    """Return where a subject's mask is, or None where it has none and one of the others has.

    reference: path of the mask, see :mod:`mine.datasets.nsd_rois`. Of a mask on surfaces the path
    keeps its ``{hemisphere}``. Raises InputError if nobody has it, if one hemisphere lacks it, or
    if a relative path leaves the dataset's folder.
    """
    surface = space in nsd_files.SURFACES
    if surface and "{hemisphere}" not in reference:
        raise InputError(
            f"ROI mask {reference}: expected {{hemisphere}} in the name, since {space} has a file "
            "for each, found none"
        )

    def list_paths(name: str) -> list[Path]:
        path = _place_mask(root, name, reference)
        return list(name_mask(path)) if surface else [path]

    missing = [path for path in list_paths(subject) if not path.is_file()]
    if not missing:
        return _place_mask(root, subject, reference)
    elsewhere = "{subject}" in reference and any(
        path.is_file() for other in others for path in list_paths(other)
    )
    if elsewhere and missing == list_paths(subject):
        return None
    what = "the values of a hemisphere" if surface else "a NIfTI file"
    raise InputError(
        f"ROI mask {missing[0]}: expected {what}, found none{tell_unexpanded(reference)}"
    )


def name_mask(path: Path) -> tuple[Path, Path]:
    """Files of a mask of both hemispheres, from a path with {hemisphere}."""
    left, right = (Path(str(path).replace("{hemisphere}", side)) for side in nsd_files.SIDES)
    return left, right


def _place_mask(root: Path, subject: str, reference: str) -> Path:
    path = Path(reference.replace("{subject}", subject))
    if path.is_absolute():
        return path
    # by name, not by link: links inside the dataset (as DataLad makes them) are its owner's
    inside = os.path.normpath(path)
    if inside.split(os.sep)[0] == os.pardir:
        raise InputError(
            f"ROI mask {reference}: expected a path inside {Path(root)} or an absolute one, found "
            "one that leaves it"
        )
    return Path(root) / inside
