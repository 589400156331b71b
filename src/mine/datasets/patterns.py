"""Paths with names in braces, such as {subject}/ses-{session}.nii.gz, and the files they mean.

A name whose value is known is filled in; any other is found out from the files. An asterisk stands
for anything within a name of a file or folder. Imports nothing beyond the standard library, because
the workflow's rules read this.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mine.errors import InputError

HEMISPHERES = (("lh", "rh"), ("L", "R"), ("left", "right"))
"""How {hemisphere} is spelled; the first spelling of which there is a file is taken."""

NAMES = {
    "subject": r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    "session": r"[A-Za-z0-9]+",
    "run": r"[A-Za-z0-9]+",
    "trial": r"[A-Za-z0-9]+",
    "roi": r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    "contrast": r"[A-Za-z0-9][A-Za-z0-9_-]*",
    "hemisphere": "lh|rh|L|R|left|right",
}
"""Names that may stand in braces, and what their values look like."""


@dataclass(frozen=True)
class Found:
    """A file that a pattern means. values: of the names that were not given."""

    path: Path
    values: Mapping[str, str]


def list_names(pattern: str) -> list[str]:
    """Names in braces, each once, in their order."""
    return list(dict.fromkeys(re.findall(r"\{(\w*)\}", pattern)))


def describe_format(path: Path | str) -> str:
    """Format of a file by its name: nifti, gifti, cifti, mgh, npy, hdf5; "" for another."""
    name = str(path).lower()
    for suffixes, form in (
        ((".dscalar.nii", ".dtseries.nii", ".dlabel.nii"), "cifti"),
        ((".nii", ".nii.gz"), "nifti"),
        ((".gii", ".gii.gz"), "gifti"),
        ((".mgh", ".mgz"), "mgh"),
        ((".npy",), "npy"),
        ((".hdf5", ".h5", ".mat"), "hdf5"),
    ):
        if name.endswith(suffixes):
            return form
    return ""


def split_label(reference: str) -> tuple[str, int | None] | None:
    """Path of a map and the label in it, ``atlas.nii.gz:3``, or None for all above 0; None where a
    reference to an ROI is no such path but a name, which may have points too."""
    path, _, label = reference.rpartition(":")
    if path and label.isdecimal() and describe_format(path):
        return path, int(label)
    return (reference, None) if describe_format(reference) else None


def check_pattern(pattern: str, *, key: str, allowed: tuple[str, ...]) -> None:
    """Raise InputError unless a pattern has only the allowed names and stays in its folder."""
    for name in list_names(pattern):
        if name not in allowed:
            raise InputError(
                f"{key}: expected {', '.join(allowed) or 'nothing'} in braces, found {{{name}}} in "
                f"{pattern}"
            )
    if set("{}") & set(re.sub(r"\{\w*\}", "", pattern)):
        raise InputError(f"{key}: expected braces in pairs, found {pattern}")
    if not Path(pattern).is_absolute() and leaves_folder(pattern):
        raise InputError(
            f"{key}: expected a path inside dataset.root or an absolute one, found {pattern}, "
            "which leaves it"
        )


def leaves_folder(path: str) -> bool:
    """Tell whether a relative path leads out of its folder; by name, links are their owner's."""
    return os.path.normpath(path).split(os.sep)[0] == os.pardir


def fill_pattern(root: Path, pattern: str, **known: str) -> Path:
    """Path with the known names filled in; the others stay as they stand."""
    for name, value in known.items():
        pattern = pattern.replace(f"{{{name}}}", value)
    # an absolute pattern stands in for the root
    return Path(root) / pattern


def find_files(root: Path, pattern: str, **known: str) -> list[Found]:
    """Find the files that a pattern means, in the natural order of their names."""
    path = str(fill_pattern(root, pattern, **known))
    parts = re.split(r"(\{\w+\}|\*)", path)
    wide, narrow, seen = "", "", set()
    for part in parts:
        name = part[1:-1] if part.startswith("{") and part.endswith("}") else None
        if part == "*" or name is not None:
            wide += "*"
        else:
            wide += glob.escape(part)
        if part == "*":
            narrow += r"[^/]*"
        elif name is None:
            narrow += re.escape(part)
        elif name in seen:
            narrow += f"(?P={name})"
        else:
            narrow += f"(?P<{name}>{NAMES[name]})"
            seen.add(name)
    found = []
    for name in glob.glob(wide):
        match = re.fullmatch(narrow, name)
        if match and os.path.isfile(name):
            found.append(Found(Path(name), match.groupdict()))
    return sorted(found, key=lambda one: order_naturally(str(one.path)))


def find_hemispheres(root: Path, pattern: str, **known: str) -> dict[str, Path]:
    """Find a file for each hemisphere: "left" and "right" -> file, without one that is absent."""
    for spelling in HEMISPHERES:
        paths = {
            side: fill_pattern(root, pattern, **known, hemisphere=name)
            for side, name in zip(("left", "right"), spelling, strict=True)
        }
        paths = {side: path for side, path in paths.items() if path.is_file()}
        if paths:
            return paths
    return {}


def read_label(text: str) -> str:
    """Name of a session or run as it is compared: "ses-01", "01", "1" and "1.0" are one."""
    text = re.sub(r"^(ses|run|trial)-", "", text)
    # 1.0 is what tables of numbers become once one of them was missing
    text = re.sub(r"^(\d+)\.0+$", r"\1", text)
    return text.lstrip("0") or "0" if text.isdecimal() else text


def order_naturally(text: str) -> list[tuple[int, int, str]]:
    """Key by which "run 2" comes before "run 10"."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
