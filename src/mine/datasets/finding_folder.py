"""What is found in a folder of an experiment: its tables, and patterns of its files.

Files are told apart as BIDS names them: sub-01, ses-01, run-1, hemi-L, or lh. and rh. What differs
between the files of one kind becomes a name in braces, or an asterisk.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mine.datasets.folder_tables import (
    IMAGE_COLUMNS,
    ImageList,
    find_image_column,
    read_image_list,
)
from mine.datasets.found import FoundKeys, choose_regions
from mine.datasets.image_files import HEADERS, measure_image
from mine.datasets.numpy_files import open_array
from mine.datasets.patterns import describe_format, find_files, list_names
from mine.datasets.tables import Table, read_table
from mine.errors import InputError
from mine.sections import NAME, Folder

MOST_FILES = 200_000
"""Files that are looked at, at most; a folder with more is not one experiment."""

MOST_CATEGORIES = 8

SHORT = r"[A-Za-z0-9]+"

ROI_FOLDERS = ("rois", "roi", "roi_masks", "masks")

FORMATS = ("nifti", "cifti", "gifti", "hdf5", "npy")


def find_folder(root: Path) -> FoundKeys:
    """Table of images, subjects, tables of trials, responses, mask, names of columns and ROIs."""
    found = FoundKeys({"dataset.root": str(root), "dataset.voxels": ["all"]})
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", root.resolve().name).lstrip("_.-")
    if re.fullmatch(NAME, name):
        found.values["name"] = name
    files = _list_files(root)
    images = _find_images(found, root, files)
    subjects = sorted({part for file in files for part in file.parts[:-1] if _is_subject(part)})
    if images is not None:
        _add_categories(found, images)
    if not subjects:
        found.note("subjects", f"folders such as {root / 'sub-01'}")
        return found
    found.values["subjects"] = subjects
    own = [file for file in files if any(part in subjects for part in file.parts)]
    patterns = {file: generalise(file, subjects) for file in own}
    _find_trials(found, root, patterns)
    responses = _find_responses(found, root, patterns)
    _find_mask(found, patterns)
    found.values["dataset.folder.names"] = None
    if responses is not None and describe_format(responses) in ("npy", "hdf5"):
        tables = [file for file in patterns if _has_columns(root / file, ("name",))]
        if tables and "{hemisphere}" not in responses:
            names = _most_common(patterns[file] for file in tables)
            found.values["dataset.folder.names"] = names
    _find_rois(found, root, patterns, subjects)
    return found


def generalise(file: Path, subjects: Iterable[str]) -> str:
    """Pattern of a file: names in braces for its subject, session, run and hemisphere."""
    text = str(file)
    for subject in sorted(subjects, key=len, reverse=True):
        text = text.replace(subject, "{subject}")
    text = re.sub(rf"(ses-|session-?){SHORT}", r"\1{session}", text)
    text = re.sub(rf"(run-){SHORT}", r"\1{run}", text)
    text = re.sub(r"(?<![A-Za-z0-9])(hemi-)?(lh|rh|L|R)(?=[._-])", r"\1{hemisphere}", text)
    return re.sub(rf"(task-){SHORT}", r"\1*", text)


def _list_files(root: Path) -> list[Path]:
    files: list[Path] = []
    for folder, names, entries in os.walk(root):
        # hidden folders are those of git and DataLad
        names[:] = sorted(name for name in names if not name.startswith("."))
        place = Path(folder).relative_to(root)
        files += [place / name for name in sorted(entries) if not name.startswith(".")]
        if len(files) > MOST_FILES:
            raise InputError(
                f"--root: expected the folder of an experiment, found more than {MOST_FILES} files "
                f"in {root}"
            )
    return files


def _is_subject(part: str) -> bool:
    # without its hyphen a name needs its number: Stimuli and SPM12 are no subjects
    return re.fullmatch(r"sub-[A-Za-z0-9]+|(subj|subject|S)\d[A-Za-z0-9]*", part) is not None


def _find_images(found: FoundKeys, root: Path, files: list[Path]) -> ImageList | None:
    tables = [file for file in files if file.name == "images.tsv"]
    if not tables:
        found.note("dataset.folder.images", "a table images.tsv")
        return None
    table = min(tables, key=lambda file: (len(file.parts), str(file)))
    found.values["dataset.folder.images"] = str(table)
    try:
        images = read_image_list(root, Folder(images=str(table)))
        sizes = Counter(
            measure_image(path) for path in images.paths[:: max(1, len(images.paths) // HEADERS)]
        )
    except InputError as error:
        found.notes.append(str(error))
        return None
    if len(sizes) > 1 or any(rows != columns for rows, columns in sizes):
        # the most common side, not the least: one small image, a blank say, would shrink them all
        sides = Counter()
        for size, count in sizes.items():
            sides[min(size)] += count
        side = max(sides, key=lambda side: (sides[side], -side))
        found.values["dataset.folder.image_side"] = max(16, side)
        found.notes.append(
            f"dataset.folder.image_side: {max(16, side)}, the shorter side of most images; "
            f"all sides are from {min(sides)} to {max(sides)}"
        )
    return images


def _find_trials(found: FoundKeys, root: Path, patterns: dict[Path, str]) -> None:
    tables = [file for file in patterns if _has_columns(root / file, IMAGE_COLUMNS)]
    pattern = _most_common(patterns[file] for file in tables)
    if pattern is None:
        found.note("dataset.folder.trials", "tables .tsv with a column image or stim_file")
        _explain_tables(found, root, patterns)
    else:
        found.values["dataset.folder.trials"] = pattern


def _explain_tables(found: FoundKeys, root: Path, patterns: Iterable[Path]) -> None:
    """Say why the first table of a subject is none of trials; one called so goes before others."""
    tables = [file for file in patterns if file.name.endswith(".tsv")]
    for file in sorted(tables, key=lambda file: not re.search("events|trials", file.name)):
        try:
            find_image_column(read_table(root / file))
        except InputError as error:
            found.notes.append(str(error))
            return


def _find_mask(found: FoundKeys, patterns: dict[Path, str]) -> None:
    """The pattern of most masks of which a subject has one; fMRIPrep writes one for each run."""
    masks = [pattern for file, pattern in patterns.items() if _is_mask(file)]
    single = [
        one for one in masks if "*" not in one and not {"session", "run"} & {*list_names(one)}
    ]
    found.values["dataset.folder.mask"] = _most_common(single)
    if masks and not single:
        found.note(
            "dataset.folder.mask",
            "one mask for each subject, by a name without *",
            seen=str(_most_common(masks)),
            instead="name the one, or unite several, or give regions alone in dataset.voxels",
        )


def _find_responses(found: FoundKeys, root: Path, patterns: dict[Path, str]) -> str | None:
    """The pattern of most responses: files of a known format that are neither masks nor ROIs."""
    candidates = [
        file
        for file in patterns
        if describe_format(file) in FORMATS
        and not _is_mask(file)
        and not set(file.parts[:-1]) & {*ROI_FOLDERS, "anat", "localiser", "localizer"}
        and "ncsnr" not in file.name
        and _has_many(root / file)
    ]
    named = [file for file in candidates if re.search("beta|effect|TYPED", file.name)]
    pattern = _most_common(patterns[file] for file in named or candidates)
    if pattern is None:
        found.note("dataset.folder.responses", "files of responses with an axis of trials")
        _explain_pickles(found, root, patterns)
    else:
        found.values["dataset.folder.responses"] = pattern
    return pattern


def _explain_pickles(found: FoundKeys, root: Path, files: Iterable[Path]) -> None:
    """Say how to save the betas of GLMsingle's results, where these are all that is there."""
    for file in files:
        if file.name.startswith("TYPE") and describe_format(file) == "npy":
            try:
                open_array(root / file, axes=(2, 4))
            except InputError as error:
                found.notes.append(str(error))
                return


def _find_rois(
    found: FoundKeys, root: Path, patterns: dict[Path, str], subjects: list[str]
) -> None:
    """ROIs in a folder of that name: the name of a file, up to its first point, is the region's."""
    shapes = []
    for file, pattern in patterns.items():
        if file.parent.name in ROI_FOLDERS and describe_format(file) and not _is_mask(file):
            folder, _, name = pattern.rpartition("/")
            prefix = "{hemisphere}." if name.startswith("{hemisphere}.") else ""
            stem, point, ending = name.removeprefix(prefix).partition(".")
            if stem and "{" not in stem:
                shapes.append(f"{folder}/{prefix}{{roi}}{point}{ending}")
    pattern = _most_common(shapes)
    if pattern is None:
        _explain_rois(found, patterns)
        return
    if "{hemisphere}" in pattern and describe_format(pattern) == "nifti":
        found.notes.append(
            "dataset.folder.rois: expected one volume for each region, found one for each "
            f"hemisphere, {pattern}; unite the two and name what comes out"
        )
    found.values["dataset.folder.rois"] = pattern
    names = {
        file.values["roi"]
        for subject in subjects
        for file in find_files(root, pattern, subject=subject)
    }
    if names:
        found.values["rois"] = choose_regions(names)


def _explain_rois(found: FoundKeys, patterns: Iterable[Path]) -> None:
    """Note that there are no regions, or how a map of one is called that was not taken for it."""
    what = f"maps in a folder called {' or '.join(ROI_FOLDERS)}"
    seen = [
        file
        for file in patterns
        if {*file.parts[:-1]} & {*ROI_FOLDERS} and describe_format(file) and not _is_mask(file)
    ]
    if seen:
        what += " itself, each called by its region alone up to the first point, such as FFA.nii.gz"
    found.note("dataset.folder.rois", what, seen=str(seen[0]) if seen else "none")


def _add_categories(found: FoundKeys, images: ImageList) -> None:
    """A category for each of the names that most images are annotated with."""
    counts = Counter(name for one in images.categories or [] for name in one or [])
    names = [name for name, _ in counts.most_common() if re.fullmatch(NAME, name)]
    if names:
        found.values["categories"] = {
            name: {"prompts": [name], "instances": [name]} for name in names[:MOST_CATEGORIES]
        }


def _is_mask(file: Path) -> bool:
    inside = file.parent.name not in ROI_FOLDERS or file.name.startswith("mask")
    named = re.search(r"(?<![A-Za-z])(brain)?mask(?=[._-])", file.name) is not None
    return inside and named and bool(describe_format(file))


def _has_columns(path: Path, names: tuple[str, ...]) -> bool:
    """Tell whether a table has one of some columns."""
    table: Table | None = None
    if path.name.endswith(".tsv"):
        try:
            table = read_table(path)
        except InputError:
            return False
    return table is not None and any(name in table.columns for name in names)


def _has_many(path: Path) -> bool:
    """Tell whether a file can hold responses, one for each trial, rather than one map."""
    import nibabel as nib

    from mine.datasets.nibabel_files import UNREADABLE

    form = describe_format(path)
    try:
        if form in ("nifti", "cifti"):
            shape = nib.load(path).shape
            return len(shape) == 4 if form == "nifti" else shape[0] > 1
        if form == "npy":
            import numpy as np

            return np.load(path, mmap_mode="r", allow_pickle=False).ndim in (2, 4)
    except UNREADABLE:
        return False
    return True


def _most_common(patterns: Iterable[str]) -> str | None:
    counts = Counter(patterns)
    return counts.most_common(1)[0][0] if counts else None
