"""Which files of the Natural Scenes Dataset an analysis reads, chosen from what a bucket lists.

Nothing here reads a file or the network: names go in and names come out.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mine.datasets import nsd_files, nsd_sessions, nsd_synthetic
from mine.datasets.nsd_masks import MASKS
from mine.datasets.nsd_rois import ATLASES
from mine.errors import InputError

EXPERIMENT, STIMULI, REGIONS, SYNTHETIC = "experiment", "stimuli", "regions", "synthetic"
"""Groups of files that belong to no single subject; every subject is a group of its own."""

LABELS = ".mgz.ctab"

Labels = Mapping[str, Mapping[str, Collection[str]]]
"""Names of the labels that are known: owner -> atlas -> names. The owner is the subject, or on the
surfaces of the average brain fsaverage."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What decides which files are read.

    references: of the regions to explain; voxels: of the voxel set, as in
    `mine.datasets.nsd_rois`. sessions: how many from the first, or None for all that exist;
    skip_missing: whether one of them may be missing. format: of the betas in a volume, "hdf5" or
    "nii.gz". contrasts: of the localiser. common: whether it has to be known how far every subject
    of the experiment came. synthetic: whether NSD-synthetic is read too.
    """

    subjects: Sequence[str]
    space: str
    betas: str
    format: str
    sessions: int | None
    voxels: Sequence[str]
    references: Sequence[str]
    contrasts: Sequence[str]
    skip_missing: bool = False
    common: bool = False
    synthetic: bool = False

    @property
    def groups(self) -> list[str]:
        """Groups in which files are fetched: what all subjects share, then each subject."""
        more = [SYNTHETIC] if self.synthetic else []
        return [EXPERIMENT, REGIONS, *self.subjects, STIMULI, *more]

    @property
    def surface(self) -> bool:
        return self.space in nsd_files.SURFACES

    def label_folder(self, subject: str) -> str:
        return nsd_files.label_folder(Path(), subject, self.space).as_posix()

    def volume_folder(self, subject: str) -> str:
        return nsd_files.subject_folder(Path(), subject, self.space).as_posix()

    def betas_folder(self, subject: str, *, synthetic: bool = False) -> str:
        betas = f"nsdsynthetic{self.betas}" if synthetic else self.betas
        return nsd_files.betas_folder(Path(), subject, self.space, betas).as_posix()

    def list_behaviour(self) -> list[str]:
        """Tables of the trials of the subjects; of all that NSD has if these have to be known."""
        everyone = [f"subj{number:02d}" for number in range(1, len(nsd_sessions.SESSIONS) + 1)]
        subjects = dict.fromkeys([*self.subjects, *(everyone if self.common else [])])
        return [f"nsddata/ppdata/{subject}/behav/responses.tsv" for subject in subjects]


def list_prefixes(selection: Selection) -> list[str]:
    """Beginnings of the names that have to be listed before files can be chosen."""
    prefixes = [nsd_files.DESIGN, nsd_files.INFORMATION, nsd_files.STIMULI]
    prefixes += selection.list_behaviour()
    for subject in selection.subjects:
        labels = selection.label_folder(subject)
        prefixes += [f"{labels}/", f"{selection.betas_folder(subject)}/"]
        if selection.surface:
            prefixes += [f"{_name_places(labels, side)}" for side in nsd_files.SIDES]
        else:
            prefixes.append(f"{selection.volume_folder(subject)}/")
        if selection.synthetic:
            prefixes += [nsd_synthetic.COLOURED.format(subject=subject)]
            prefixes += [f"{selection.betas_folder(subject, synthetic=True)}/"]
    if selection.synthetic:
        prefixes += [nsd_synthetic.DESIGN, nsd_synthetic.STIMULI]
    # The average brain belongs to all subjects.
    return list(dict.fromkeys(prefixes))


def list_label_tables(selection: Selection, names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Tables of labels (.ctab) among the names: name -> owner and atlas."""
    folders = {selection.label_folder(subject) for subject in selection.subjects}
    tables = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        if folder in folders and file.endswith(LABELS):
            tables[name] = (_find_owner(folder), file.removesuffix(LABELS))
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
        SYNTHETIC: {nsd_synthetic.DESIGN, nsd_synthetic.STIMULI} if selection.synthetic else set(),
    }
    for name in sorted(set().union(*files.values()) - known):
        problems.append(f"{name}: expected this file in the bucket, found none")
    if selection.common:
        files[EXPERIMENT] |= known & set(selection.list_behaviour())
    for subject in selection.subjects:
        files[subject] = _choose_betas(selection, subject, known, problems) - files[EXPERIMENT]
        files[REGIONS] |= _choose_maps(selection, subject, known)
        if selection.synthetic:
            files[SYNTHETIC] |= _choose_synthetic(selection, subject, known, problems)
    for reference in dict.fromkeys([*selection.voxels, *selection.references]):
        found = _choose_region(selection, reference, known, labels, problems)
        files[REGIONS] |= found
    if problems:
        raise InputError("\n".join(problems))
    return {group: sorted(files[group]) for group in selection.groups}


def _choose_betas(
    selection: Selection, subject: str, known: Collection[str], problems: list[str]
) -> set[str]:
    """Sessions of a subject with what is told of them: noise ceilings, behaviour, position."""
    folder = selection.betas_folder(subject)
    sessions = _list_sessions(selection, folder, known)
    count = max(sessions, default=0) if selection.sessions is None else selection.sessions
    if not sessions:
        problems.append(
            f"{folder}: expected sessions of betas in the bucket, found none; the names come from "
            "subjects, dataset.space and dataset.betas"
        )
        return set()
    chosen = set()
    for number in range(1, count + 1):
        name = f"{folder}/betas_session{number:02d}"
        if number in sessions:
            chosen |= _choose_format(selection, name, sessions[number], problems)
        elif not selection.skip_missing:
            problems.append(
                f"{name}: expected session {number} of {count} in the bucket, found sessions up "
                f"to {max(sessions)}; dataset.sessions says how many are read"
            )
    optional = {f"nsddata/ppdata/{subject}/behav/responses.tsv"}
    if selection.surface:
        optional |= {f"{folder}/{side}.ncsnr.mgh" for side in nsd_files.SIDES}
    else:
        optional |= {
            f"{folder}/ncsnr.nii.gz",
            f"{selection.volume_folder(subject)}/mean.nii.gz",
        }
    return chosen | (optional & set(known))


def _list_sessions(
    selection: Selection, folder: str, known: Iterable[str]
) -> dict[int, dict[str, set[str]]]:
    """Files of betas in a folder: session -> format -> names, on surfaces of both hemispheres."""
    formats = "|".join(map(re.escape, nsd_sessions.list_formats(selection.space)))
    side = r"[lr]h\." if selection.surface else ""
    pattern = re.compile(rf"{re.escape(folder)}/{side}betas_session(\d+)\.({formats})")
    sessions: dict[int, dict[str, set[str]]] = {}
    for name in known:
        if match := pattern.fullmatch(name):
            sessions.setdefault(int(match[1]), {}).setdefault(match[2], set()).add(name)
    return sessions


def _choose_format(
    selection: Selection, name: str, formats: Mapping[str, set[str]], problems: list[str]
) -> set[str]:
    """Files of a session in one format: the one asked for, on surfaces the first that is read.

    name: of the session, for messages, without a format. formats: format -> names.
    """
    if not selection.surface:
        if selection.format in formats:
            return formats[selection.format]
        problems.append(
            f"{name}: expected it as .{selection.format} in the bucket, found only "
            f".{next(iter(formats))}; download.format chooses"
        )
        return set()
    chosen = next(
        formats[one] for one in nsd_sessions.list_formats(selection.space) if one in formats
    )
    if len(chosen) < len(nsd_files.SIDES):
        problems.append(
            f"{name}: expected it of both hemispheres in the bucket, found only {min(chosen)}"
        )
    return chosen


def _choose_synthetic(
    selection: Selection, subject: str, known: Collection[str], problems: list[str]
) -> set[str]:
    """A subject's session of NSD-synthetic, and its coloured images."""
    folder = selection.betas_folder(subject, synthetic=True)
    coloured = nsd_synthetic.COLOURED.format(subject=subject)
    if coloured not in known:
        problems.append(f"{coloured}: expected this file in the bucket, found none")
    sides = [f"{side}." for side in nsd_files.SIDES] if selection.surface else [""]
    formats: dict[str, set[str]] = {}
    for suffix in nsd_sessions.list_formats(selection.space):
        names = {f"{folder}/{side}betas_nsdsynthetic.{suffix}" for side in sides} & set(known)
        if names:
            formats[suffix] = names
    if not formats:
        problems.append(f"{folder}: expected betas of NSD-synthetic in the bucket, found none")
        return {coloured}
    return {coloured} | _choose_format(selection, f"{folder}/betas_nsdsynthetic", formats, problems)


def _choose_maps(selection: Selection, subject: str, known: Collection[str]) -> set[str]:
    """Maps that are read whatever the regions: t-maps, what tells the hemispheres or the places."""
    if selection.surface:
        folder = selection.label_folder(subject)
        names = {_name_places(folder, side) for side in nsd_files.SIDES}
        for contrast in selection.contrasts:
            names |= {f"{folder}/{side}.floc{contrast}tval.mgz" for side in nsd_files.SIDES}
        return names & set(known)
    folder = selection.volume_folder(subject)
    names = {f"{folder}/floc_{contrast}tval.nii.gz" for contrast in selection.contrasts}
    names |= {f"{folder}/roi/{side}.nsdgeneral.nii.gz" for side in nsd_files.SIDES}
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
    """Files of a region in every subject that has it."""
    if reference.endswith(MASKS):
        # A mask of the user's own, unless the bucket has it.
        masks = {reference.replace("{subject}", subject) for subject in selection.subjects}
        masks = {mask.replace("{hemisphere}", side) for mask in masks for side in nsd_files.SIDES}
        return masks & set(known)
    chosen: set[str] = set()
    offered: set[str] = set()
    for subject in selection.subjects:
        volumes = _list_volumes(selection, subject, known)
        own = labels.get(_find_owner(selection.label_folder(subject)), {})
        offered |= {*volumes, *(label for names in own.values() for label in names)}
        source = find_source(reference, volumes=volumes, labels=own)
        if source is not None:
            both = reference in selection.voxels
            chosen |= _name_region(selection, subject, source, known, both=both)
    if not chosen:
        near = difflib.get_close_matches(reference, offered, n=3, cutoff=0.5)
        hint = f"; the nearest are {', '.join(near)}" if near else ""
        what = "surface" if selection.surface else "volume"
        problems.append(
            f"ROI {reference!r}: expected a label or a {what} that one of "
            f"{', '.join(selection.subjects)} has in the bucket, found none{hint}"
        )
    return chosen


def _name_region(
    selection: Selection, subject: str, source: str, known: Collection[str], *, both: bool
) -> set[str]:
    """Files that hold a region. both: whether the halves are read beside the combined volume."""
    if selection.surface:
        folder = selection.label_folder(subject)
        return {f"{folder}/{side}.{source}.mgz" for side in nsd_files.SIDES} & set(known)
    folder = selection.volume_folder(subject)
    if source == "brainmask":
        return {f"{folder}/brainmask.nii.gz"} & set(known)
    combined = f"{folder}/roi/{source}.nii.gz"
    halves = {f"{folder}/roi/{side}.{source}.nii.gz" for side in nsd_files.SIDES}
    chosen = {combined} & set(known)
    # The halves also tell the hemisphere of each voxel of the voxel set.
    return chosen | (halves & set(known) if both or not chosen else set())


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
    """Names of a subject's ROI volumes, whether combined or by hemisphere, or of its surfaces."""
    if selection.surface:
        folder = f"{selection.label_folder(subject)}/"
        pattern = re.compile(rf"{re.escape(folder)}[lr]h\.(.+)\.mgz")
        found = {match[1] for name in known if (match := pattern.fullmatch(name))}
        # Without a table of labels they are maps of other numbers.
        return {name for name in found if f"{folder}{name}{LABELS}" in known}
    folder = f"{selection.volume_folder(subject)}/roi/"
    names = {
        name.removeprefix(folder).removesuffix(".nii.gz")
        for name in known
        if name.startswith(folder) and name.endswith(".nii.gz")
    }
    return {name[3:] if name[:3] in ("lh.", "rh.") else name for name in names}


def _name_places(label_folder: str, side: str) -> str:
    """Surface that tells where vertices lie, beside the labels."""
    return Path(label_folder).with_name("surf").joinpath(f"{side}.white").as_posix()


def _find_owner(label_folder: str) -> str:
    return Path(label_folder).parent.name
