"""What is found in the folder of each kind of dataset: keys of a configuration and their values."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mine.datasets import algonauts_files, nsd_files, nsd_rois, nsd_sessions
from mine.datasets.finding_folder import find_folder
from mine.datasets.found import FoundKeys, choose_regions, find_annotations
from mine.datasets.listing import SIDES

SPACES = ("func1pt8mm", "func1mm", "nativesurface", "fsaverage")
"""Spaces of NSD, the one that is taken first where there are several."""

CONTRASTS = ("faces", "bodies", "places", "word")
"""Contrasts of NSD's localiser by which regions are cut."""

LEAST_T = 2
"""The usual threshold of NSD's localiser."""


def find_nsd(root: Path) -> FoundKeys:
    """Subjects with betas, their space and version, sessions, ROIs, t-maps and annotations.

    Of the labels of atlases those count that a voxel of one of the subjects has: the tables of
    names have others, too, of which nothing could be fitted.
    """
    found = FoundKeys({"dataset.root": str(root)})
    betas = _find_betas(root)
    space, version = SPACES[0], "betas_fithrf_GLMdenoise_RR"
    if betas is None:
        found.note("subjects", f"betas in {nsd_files.betas_folder(root, 'subj01', space, version)}")
        subjects = nsd_rois.list_subjects(root)
    else:
        space, version, subjects = betas
        found.values |= {"dataset.space": space, "dataset.betas": version}
        sessions = _count_sessions(root, subjects, space, version)
        if sessions is not None:
            found.values["dataset.sessions"] = sessions
    if subjects:
        found.values["subjects"] = subjects
    labels = {name for subject in subjects for name in nsd_rois.list_present(root, subject, space)}
    if labels:
        found.values["rois"] = choose_regions(labels)
    else:
        found.note("rois", "labels of voxels (.mgz.ctab with their volumes or surfaces)")
    _add_threshold(found, root, subjects, space, is_there=betas is not None)
    _add_annotations(found, root)
    return found


def find_algonauts(root: Path) -> FoundKeys:
    """Subjects, ROIs, NSD's table of images and COCO's annotations."""
    found = FoundKeys({"dataset.root": str(root), "dataset.voxels": ["all"]})
    subjects = algonauts_files.list_subjects(root)
    if subjects:
        found.values["subjects"] = subjects
    else:
        found.note("subjects", f"folders such as {root / 'subj01'}")
    names: set[str] = set()
    for subject in subjects:
        for atlas in algonauts_files.list_atlases(root, subject):
            names |= set(_list_present(root, subject, atlas))
    if names:
        found.values["rois"] = choose_regions(names)
    else:
        found.note("rois", "labels in roi_masks")
    tables = ("nsd_stim_info_merged.csv", nsd_files.INFORMATION, f"../nsd/{nsd_files.INFORMATION}")
    information = next((root / table for table in tables if (root / table).is_file()), None)
    if information is None:
        found.note("dataset.algonauts.information", "nsd_stim_info_merged.csv")
    else:
        found.values["dataset.algonauts.information"] = str(information)
        _add_annotations(found, root)
    return found


FINDERS = {"nsd": find_nsd, "algonauts": find_algonauts, "folder": find_folder}
"""What looks through a folder, by the kind of dataset."""


def _find_betas(root: Path) -> tuple[str, str, list[str]] | None:
    """Space, version and subjects of the betas that are there."""
    for space in SPACES:
        folders = sorted(root.glob(f"nsddata_betas/ppdata/subj??/{space}/*"))
        versions = sorted({folder.name for folder in folders}, key=lambda name: -len(name))
        for version in versions:
            subjects = [
                folder.parents[1].name
                for folder in folders
                if folder.name == version
                and nsd_sessions.find_sessions(
                    root, folder.parents[1].name, space=space, betas=version
                )
            ]
            if subjects:
                return space, version, subjects
    return None


def _count_sessions(root: Path, subjects: list[str], space: str, version: str) -> int | None:
    """Sessions that every subject has without a gap, where one lacks some that were recorded."""
    counts, complete = [], True
    for subject in subjects:
        found = nsd_sessions.find_sessions(root, subject, space=space, betas=version)
        count = next(number for number in range(1, len(found) + 2) if number not in found) - 1
        behaviour = nsd_files.read_behaviour(root, subject)
        recorded = count if behaviour is None else int(behaviour["SESSION"].max())
        complete &= count >= recorded and count == len(found)
        counts.append(count)
    return None if complete or min(counts) < 1 else min(counts)


def _add_threshold(
    found: FoundKeys, root: Path, subjects: list[str], space: str, *, is_there: bool
) -> None:
    """Cut regions by the contrasts of which every subject has a t-map. is_there: whether the data
    are, so that a map that is missing now is not one that is yet to come."""
    key, what = "dataset.localiser_threshold", "maps of a localiser's t-values (floc_*tval)"
    if not is_there:
        found.note(key, what)
        return
    maps = [set(nsd_rois.list_contrasts(root, one, space=space)) for one in subjects]
    known = set.intersection(*maps)
    found.values[key] = {contrast: LEAST_T for contrast in CONTRASTS if contrast in known}
    lacking = [contrast for contrast in CONTRASTS if contrast not in known]
    if lacking:
        whose = f"of every subject for {', '.join(lacking)}"
        found.note(key, f"{what} {whose}", instead="regions are not cut by them")


def _list_present(root: Path, subject: str, atlas: str) -> list[str]:
    """Names of the labels of a group that at least one vertex of the subject has."""
    mapping = algonauts_files.read_mapping(root, subject, atlas)
    present: set[int] = set()
    arrays = algonauts_files.open_responses(root, subject)
    for side, array in zip(SIDES, arrays, strict=True):
        count = array.shape[1]
        vertices = algonauts_files.find_vertices(root, subject, side, count)
        labels = algonauts_files.read_labels(
            root, subject, atlas, side, count=count, vertices=vertices
        )
        if labels is not None:
            present |= set(np.unique(labels).tolist())
    return [name for label, name in mapping.items() if label in present]


def _add_annotations(found: FoundKeys, root: Path) -> None:
    for kind in ("captions", "instances"):
        files = find_annotations(root, kind)
        if files:
            found.values[f"dataset.{kind}"] = files
        else:
            found.note(f"dataset.{kind}", f"COCO's {kind}_*.json in or beside {root}")
