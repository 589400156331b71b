"""Which files of the Natural Scenes Dataset an analysis reads, chosen from what a bucket lists.

Nothing here reads a file or the network: names go in and names come out.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mine.datasets import nsd_files
from mine.datasets.nsd_rois import ATLASES
from mine.errors import InputError

EXPERIMENT, STIMULI, REGIONS = "experiment", "stimuli", "regions"
"""Groups of files that belong to no single subject; every subject is a group of its own."""

LABELS = ".mgz.ctab"

Labels = Mapping[str, Mapping[str, Collection[str]]]
"""Names of the labels that are known: subject -> atlas -> names."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What decides which files are read.

    references: of the regions to explain; voxels: of the voxel set, as in
    `mine.datasets.nsd_rois`. sessions: how many from the first, or None for all that exist.
    format: of the betas, "hdf5" or "nii.gz". contrasts: of the localiser.
    """

    subjects: Sequence[str]
    space: str
    betas: str
    format: str
    sessions: int | None
    voxels: Sequence[str]
    references: Sequence[str]
    contrasts: Sequence[str]

    @property
    def groups(self) -> list[str]:
        """Groups in which files are fetched: what all subjects share, then each subject."""
        return [EXPERIMENT, REGIONS, *self.subjects, STIMULI]


def list_prefixes(selection: Selection) -> list[str]:
    """Beginnings of the names that have to be listed before files can be chosen."""
    prefixes = [nsd_files.DESIGN, nsd_files.INFORMATION, nsd_files.STIMULI]
    for subject in selection.subjects:
        prefixes += [
            f"nsddata/ppdata/{subject}/behav/responses.tsv",
            f"nsddata/ppdata/{subject}/{selection.space}/",
            f"nsddata/freesurfer/{subject}/label/",
            f"nsddata_betas/ppdata/{subject}/{selection.space}/{selection.betas}/",
        ]
    return prefixes


def list_label_tables(selection: Selection, names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Tables of labels (.ctab) among the names: name -> subject and atlas."""
    tables = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        match = re.fullmatch(r"nsddata/freesurfer/([^/]+)/label", folder)
        if match and match[1] in selection.subjects and file.endswith(LABELS):
            tables[name] = (match[1], file.removesuffix(LABELS))
    return tables


def choose_files(
    selection: Selection, names: Iterable[str], labels: Labels
) -> dict[str, list[str]]:
    """Choose the files that an analysis reads.

    Args:
        selection: what decides.
        names: of all files below `list_prefixes`.
        labels: what the tables of `list_label_tables` hold.

    Returns:
        Group -> names, sorted, each name in one group.

    Raises:
        InputError: a line for each file that is needed and not among the names, and for each
            region that no subject has.
    """
    known = set(names)
    problems: list[str] = []
    files: dict[str, set[str]] = {
        EXPERIMENT: {nsd_files.DESIGN, nsd_files.INFORMATION},
        STIMULI: {nsd_files.STIMULI},
        REGIONS: set(list_label_tables(selection, known)),
    }
    for name in sorted({nsd_files.STIMULI, *files[EXPERIMENT]} - known):
        problems.append(f"{name}: expected this file in the bucket, found none")
    for subject in selection.subjects:
        files[subject] = _choose_betas(selection, subject, known, problems)
        files[REGIONS] |= _choose_volumes(selection, subject, known)
    for reference in dict.fromkeys([*selection.voxels, *selection.references]):
        found = _choose_region(selection, reference, known, labels, problems)
        files[REGIONS] |= found
    if problems:
        raise InputError("\n".join(problems))
    return {group: sorted(files[group]) for group in selection.groups}


def _choose_betas(
    selection: Selection, subject: str, known: Collection[str], problems: list[str]
) -> set[str]:
    """Sessions of a subject with what is told of them: noise ceilings, behaviour, coverage."""
    folder = f"nsddata_betas/ppdata/{subject}/{selection.space}/{selection.betas}"
    pattern = re.compile(rf"{re.escape(folder)}/betas_session(\d+)\.(hdf5|nii\.gz)")
    sessions: dict[int, dict[str, str]] = {}
    for name in known:
        if match := pattern.fullmatch(name):
            sessions.setdefault(int(match[1]), {})[match[2]] = name
    count = max(sessions, default=0) if selection.sessions is None else selection.sessions
    if not sessions:
        problems.append(
            f"{folder}: expected sessions of betas in the bucket, found none; the names come from "
            "subjects, dataset.space and dataset.betas"
        )
        return set()
    volumes = f"nsddata/ppdata/{subject}/{selection.space}"
    optional = {
        f"{folder}/ncsnr.nii.gz",
        f"nsddata/ppdata/{subject}/behav/responses.tsv",
        f"{volumes}/mean.nii.gz",
    }
    chosen = set()
    for number in range(1, count + 1):
        formats = sessions.get(number, {})
        if selection.format in formats:
            chosen.add(formats[selection.format])
        elif formats:
            problems.append(
                f"{folder}/betas_session{number:02d}: expected it as .{selection.format} in "
                f"the bucket, found only .{next(iter(formats))}; download.format chooses"
            )
        else:
            problems.append(
                f"{folder}/betas_session{number:02d}: expected session {number} of {count} in "
                f"the bucket, found sessions up to {max(sessions)}; dataset.sessions says how many "
                "are read"
            )
        optional.add(f"{volumes}/valid_session{number:02d}.nii.gz")
    return chosen | (optional & set(known))


def _choose_volumes(selection: Selection, subject: str, known: Collection[str]) -> set[str]:
    """Volumes that are read whatever the regions: t-maps, and what tells the hemispheres."""
    folder = f"nsddata/ppdata/{subject}/{selection.space}"
    names = {f"{folder}/floc_{contrast}tval.nii.gz" for contrast in selection.contrasts}
    names |= {f"{folder}/roi/{side}.nsdgeneral.nii.gz" for side in ("lh", "rh")}
    # The position of HDF5 betas comes from the mean; the brain mask can stand in for it.
    if f"{folder}/mean.nii.gz" not in known:
        names.add(f"{folder}/brainmask.nii.gz")
    return names & set(known)


def _choose_region(
    selection: Selection,
    reference: str,
    known: Collection[str],
    labels: Labels,
    problems: list[str],
) -> set[str]:
    """Volumes of a region in every subject that has it."""
    if reference.endswith((".nii", ".nii.gz")):
        # A mask of the user's own, unless the bucket has it.
        masks = {reference.replace("{subject}", subject) for subject in selection.subjects}
        return masks & set(known)
    chosen: set[str] = set()
    offered: set[str] = set()
    for subject in selection.subjects:
        volumes = _list_volumes(selection, subject, known)
        own = labels.get(subject, {})
        offered |= {*volumes, *(label for names in own.values() for label in names)}
        source = find_source(reference, volumes=volumes, labels=own)
        folder = f"nsddata/ppdata/{subject}/{selection.space}"
        if source == "brainmask":
            chosen |= {f"{folder}/brainmask.nii.gz"} & set(known)
        elif source is not None:
            combined = f"{folder}/roi/{source}.nii.gz"
            halves = {f"{folder}/roi/{side}.{source}.nii.gz" for side in ("lh", "rh")}
            chosen |= {combined} & set(known)
            # The halves also tell the hemisphere of each voxel of the voxel set.
            if combined not in known or reference in selection.voxels:
                chosen |= halves & set(known)
    if not chosen:
        near = difflib.get_close_matches(reference, offered, n=3, cutoff=0.5)
        hint = f"; the nearest are {', '.join(near)}" if near else ""
        problems.append(
            f"ROI {reference!r}: expected a label or a volume that one of "
            f"{', '.join(selection.subjects)} has in the bucket, found none{hint}"
        )
    return chosen


def find_source(
    reference: str, *, volumes: Collection[str], labels: Mapping[str, Collection[str]]
) -> str | None:
    """Find which volume of a subject holds a region, as `nsd_rois.find_region` does on disk.

    Args:
        reference: a volume, a label, or an atlas and its label.
        volumes: names of the subject's ROI volumes.
        labels: atlas -> names of its labels.

    Returns:
        The name of the volume; None if the subject has no such region.

    Raises:
        InputError: several atlases use the name.
    """
    if reference in volumes or reference == "brainmask":
        return reference
    atlas, _, label = reference.rpartition(":")
    found = [name for name, names in labels.items() if label in names and atlas in ("", name)]
    found = [name for name in found if name in ATLASES] or found
    if len(found) > 1:
        choices = " or ".join(f"{name}:{label}" for name in sorted(found))
        raise InputError(f"ROI {reference!r}: expected a name of one atlas, found {choices}")
    return found[0] if found else None


def _list_volumes(selection: Selection, subject: str, known: Iterable[str]) -> set[str]:
    """Names of a subject's ROI volumes, whether combined or by hemisphere."""
    folder = f"nsddata/ppdata/{subject}/{selection.space}/roi/"
    names = {
        name.removeprefix(folder).removesuffix(".nii.gz")
        for name in known
        if name.startswith(folder) and name.endswith(".nii.gz")
    }
    return {name[3:] if name[:3] in ("lh.", "rh.") else name for name in names}
