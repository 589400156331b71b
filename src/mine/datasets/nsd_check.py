"""Find everything that is wrong with a copy of the Natural Scenes Dataset before using it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mine.datasets import coco, nsd_files, nsd_rois, nsd_sessions, nsd_surfaces
from mine.datasets.attempts import attempt, list_absent, tell_no_folder
from mine.errors import InputError
from mine.wording import format_count


def check_nsd(
    root: Path,
    *,
    subjects: Sequence[str],
    rois: Sequence[str] | Mapping[str, str],
    space: str,
    betas: str,
    voxels: str | Sequence[str],
    sessions: int | None,
    skip_missing: bool,
    test: str,
    t_threshold: float | Mapping[str, float] | None,
    captions: Sequence[Path],
    instances: Sequence[Path],
) -> list[str]:
    """List what is wrong with the files that an analysis would read: one sentence per problem.

    The arguments are those of read_subject and read_rois; test: which of the shared images test, as
    mine.stages.responses has it; captions and instances are COCO files.
    Of betas only headers and the last bytes are read. An ROI that one of the subjects lacks is no
    problem, since it is left out there; one that all of them lack is.
    An empty list means that nothing was found.
    """
    root = Path(root)
    if not root.is_dir():
        return [tell_no_folder(root)]
    problems: list[str] = []
    references = nsd_rois.name_references(rois)
    absent: dict[str, list[str]] = {}
    design = attempt(problems, nsd_files.read_design, root)
    stimuli = attempt(problems, nsd_files.open_stimulus_file, root)
    information = attempt(problems, nsd_files.read_information, root)
    identities = () if information is None else information["cocoId"].to_numpy()
    problems += coco.check_annotations(captions, instances, coco_ids=identities)
    attempt(problems, nsd_rois.check_threshold, root, t_threshold, space=space)
    for subject in subjects:
        files = _check_sessions(
            problems,
            root,
            subject,
            space=space,
            betas=betas,
            sessions=sessions,
            skip_missing=skip_missing,
        )
        if design is not None:
            _check_design(problems, root, subject, design, files, stimuli, information)
            if files:
                _check_split(problems, root, subject, files, test)
        if files:
            reasons = _check_volumes(
                problems,
                root,
                subject,
                files,
                rois=references,
                space=space,
                betas=betas,
                voxels=voxels,
                t_threshold=t_threshold,
            )
            for name, reason in reasons.items():
                absent.setdefault(name, []).append(reason)
    problems += list_absent(absent, subjects)
    # the same unknown name or missing file need not be told once per subject
    return list(dict.fromkeys(problems))


def _check_sessions(
    problems: list[str],
    root: Path,
    subject: str,
    *,
    space: str,
    betas: str,
    sessions: int | None,
    skip_missing: bool,
) -> list[nsd_sessions.Session]:
    found = nsd_sessions.find_sessions(root, subject, space=space, betas=betas)
    folder = nsd_files.betas_folder(root, subject, space, betas)
    formats = " or ".join(f".{one}" for one in nsd_sessions.list_formats(space))
    if not found:
        problems.append(f"{folder}: expected sessions of betas ({formats}), found none")
        return []
    count = sessions
    if count is None:
        behaviour = attempt(problems, nsd_files.read_behaviour, root, subject)
        recorded = 0 if behaviour is None else int(behaviour["SESSION"].max())
        count = max(recorded, *found)
    wanted, files = range(1, count + 1), []
    missing = [] if skip_missing else [number for number in wanted if number not in found]
    if len(missing) == 1:
        name = nsd_sessions.name_session(root, subject, missing[0], space=space, betas=betas)
        problems.append(
            f"{name}: expected session {missing[0]} of {count} as {formats}, found neither"
        )
    elif missing:
        problems.append(
            f"{folder}: expected sessions 1 to {count} as {formats}, found {count - len(missing)} "
            f"of them, without {_join_runs(missing)}"
        )
    for number in wanted:
        if number not in found:
            continue
        # of two formats the reader takes the first
        file = attempt(problems, nsd_sessions.open_session, found[number][0], number)
        if file is not None:
            files.append(file)
            attempt(problems, nsd_sessions.check_length, file)
            attempt(problems, nsd_sessions.check_alike, file, files[0])
    return files


def _join_runs(numbers: Sequence[int]) -> str:
    """Name ascending numbers, at least one, by runs: 3, 5 to 99."""
    ends = [place for place, step in enumerate(np.diff(numbers)) if step > 1]
    firsts = [0, *(end + 1 for end in ends)]
    runs = [(numbers[one], numbers[other]) for one, other in zip(firsts, [*ends, -1], strict=True)]
    return ", ".join(f"{one}" if one == other else f"{one} to {other}" for one, other in runs)


def _check_design(
    problems: list[str],
    root: Path,
    subject: str,
    design: nsd_files.Design,
    files: Sequence[nsd_sessions.Session],
    stimuli: tuple[Path, tuple[int, ...]] | None,
    information: pd.DataFrame | None,
) -> None:
    planned = attempt(problems, design.trial_images, subject)
    if planned is None:
        return
    trials = files[0].trials * files[-1].session if files else 0
    if trials > len(planned):
        problems.append(
            f"{root / nsd_files.DESIGN}: expected at least {trials} trials for the "
            f"{files[-1].session} sessions of {subject}, found {len(planned)}"
        )
    shown = planned[: trials or None]
    if stimuli is not None:
        path, shape = stimuli
        missing = np.unique(shown[shown >= shape[0]])
        if len(missing):
            problems.append(
                f"{path}: expected the images that the design shows to {subject}, found only "
                f"{shape[0]}, without {len(missing)} of them such as nsdId {missing[0]}"
            )
    listed = None
    if information is not None:
        listed = attempt(problems, nsd_files.find_shown, root, information, subject)
    if listed is not None:
        missing = np.setdiff1d(shown, information.index[listed])
        if len(missing):
            problems.append(
                f"{root / nsd_files.INFORMATION}: expected a row of each image that the design "
                f"shows to {subject}, found only {listed.sum()}, without {len(missing)} of them "
                f"such as nsdId {missing[0]}"
            )
    behaviour = attempt(problems, nsd_files.read_behaviour, root, subject)
    if behaviour is not None:
        seen = behaviour["73KID"].to_numpy()[: len(shown)] - 1
        differ = np.flatnonzero(seen != shown[: len(seen)])
        if len(differ):
            problems.append(
                f"{root / 'nsddata/ppdata' / subject / 'behav/responses.tsv'}: expected nsdId "
                f"{shown[differ[0]]} in trial {differ[0] + 1} as in the design, found "
                f"{seen[differ[0]]}"
            )


def _check_split(
    problems: list[str],
    root: Path,
    subject: str,
    files: Sequence[nsd_sessions.Session],
    test: str,
) -> None:
    """Tell of a subject that saw no image to test on, or to train on, in the sessions used."""
    try:
        shown = np.concatenate(nsd_sessions.assign_images(root, subject, files))
    except InputError:
        return  # told with the design
    images, counts = np.unique(shown, return_counts=True)
    shared = np.isin(images, nsd_files.read_design(root).shared)
    tested = shared & (counts >= 3) if test == "shared_three_repeats" else shared
    if test == "shared_common":
        common = attempt(problems, nsd_sessions.find_common, root)
        if common is None:
            problems.append(
                f"{root / 'nsddata/ppdata'}: expected responses.tsv of every subject of the "
                "design, for test_images: shared_common, found one without"
            )
            return
        tested = np.isin(images, common)
    for name, members in (("test", tested), ("training", ~shared)):
        if not members.any():
            problems.append(
                f"{root / nsd_files.DESIGN}: expected {name} images of {subject} (test_images: "
                f"{test}) in {format_count(len(files), 'session')} of "
                f"{format_count(files[0].trials, 'trial')}, found none among the {len(images)} "
                "that it saw"
            )


def _check_volumes(
    problems: list[str],
    root: Path,
    subject: str,
    files: Sequence[nsd_sessions.Session],
    *,
    rois: Mapping[str, str],
    space: str,
    betas: str,
    voxels: str | Sequence[str],
    t_threshold: float | Mapping[str, float] | None,
) -> dict[str, str]:
    """Returns why an ROI would be left out in this subject, by name of the ROI."""
    surface = space in nsd_files.SURFACES
    affine = None
    if not surface:
        affine = attempt(
            problems, nsd_sessions.find_affine, root, subject, files, space=space, betas=betas
        )
        if affine is None:
            return {}
    grid = {"shape": files[0].shape, "affine": affine, "of": files[0].path}
    attempt(problems, nsd_sessions.read_ncsnr, root, subject, space=space, betas=betas, **grid)
    if surface:
        attempt(problems, nsd_surfaces.read_positions, root, subject, files[0], space=space)
    t_maps = attempt(problems, nsd_rois.read_localiser, root, subject, space=space, **grid)
    mask = attempt(problems, nsd_rois.read_mask, root, subject, voxels, space=space, **grid)
    if t_maps is None or mask is None:
        return {}
    voxel_set = nsd_sessions.place_voxels(mask, space=space, shape=files[0].shape, affine=affine)
    absent: dict[str, str] = {}
    # one by one, so that one fault does not hide another
    for name, reference in rois.items():
        members = attempt(
            problems,
            nsd_rois.find_members,
            root,
            subject,
            rois={name: reference},
            voxels=voxel_set,
            t_maps=t_maps,
            t_threshold=t_threshold,
        )
        if members is not None:
            absent |= members[1]
    return absent
