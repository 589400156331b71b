"""Find everything that is wrong with a copy of the Natural Scenes Dataset before using it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from mine.datasets import nsd_files, nsd_rois, nsd_sessions
from mine.errors import InputError

Result = TypeVar("Result")


def check_nsd(
    root: Path,
    *,
    subjects: Sequence[str],
    rois: Sequence[str] | Mapping[str, str] = (),
    space: str = "func1pt8mm",
    betas: str = "betas_fithrf_GLMdenoise_RR",
    voxels: str | Sequence[str] = "nsdgeneral",
    sessions: int | None = None,
    t_threshold: float | Mapping[str, float] | None = None,
    captions: Sequence[Path] = (),
    instances: Sequence[Path] = (),
) -> list[str]:
    """List what is wrong with the files that an analysis would read: one sentence per problem.

    The arguments are those of read_subject and read_rois; captions and instances are COCO files.
    Of betas only headers and the last bytes are read. An ROI that exists in another subject, or
    that has no voxel in a voxel set, is no problem: it is left out there.
    An empty list means that nothing was found.
    """
    root = Path(root)
    if not root.is_dir():
        return [f"{root}: expected the dataset's folder, found none"]
    problems: list[str] = []
    design = _attempt(problems, nsd_files.read_design, root)
    stimuli = _attempt(problems, nsd_files.open_stimulus_file, root)
    _attempt(problems, nsd_files.read_information, root)
    for path in [*captions, *instances]:
        if not Path(path).is_file():
            problems.append(f"{path}: expected COCO annotations, found no file")
    for subject in subjects:
        files = _check_sessions(
            problems, root, subject, space=space, betas=betas, sessions=sessions
        )
        if design is not None:
            _check_design(problems, root, subject, design, files, stimuli)
        if files:
            _check_volumes(
                problems, root, subject, files[0], rois=rois, space=space, betas=betas,
                voxels=voxels, t_threshold=t_threshold, all_files=files,
            )  # fmt: skip
    # the same unknown name or missing file need not be told once per subject
    return list(dict.fromkeys(problems))


def _attempt(
    problems: list[str], function: Callable[..., Result], *arguments: object, **options: object
) -> Result | None:
    try:
        return function(*arguments, **options)
    except InputError as error:
        problems.append(str(error))
        return None


def _check_sessions(
    problems: list[str], root: Path, subject: str, *, space: str, betas: str, sessions: int | None
) -> list[nsd_sessions.SessionFile]:
    found = nsd_sessions.find_sessions(root, subject, space=space, betas=betas)
    folder = nsd_files.betas_folder(root, subject, space, betas)
    if not found:
        problems.append(f"{folder}: expected sessions of betas (.hdf5 or .nii.gz), found none")
        return []
    count = sessions
    if count is None:
        behaviour = _attempt(problems, nsd_files.read_behaviour, root, subject)
        recorded = 0 if behaviour is None or behaviour.empty else int(behaviour["SESSION"].max())
        count = max(recorded, *found)
    files = []
    for number in range(1, count + 1):
        if number not in found:
            problems.append(
                f"{folder / f'betas_session{number:02d}'}: expected session {number} of {count} as "
                ".hdf5 or .nii.gz, found neither"
            )
            continue
        # of two formats the reader takes the first
        file = _attempt(problems, nsd_sessions.open_session, found[number][0], number)
        if file is not None:
            files.append(file)
            _attempt(problems, nsd_sessions.check_length, file)
            _attempt(problems, nsd_sessions.check_alike, file, files[0])
    return files


def _check_design(
    problems: list[str],
    root: Path,
    subject: str,
    design: nsd_files.Design,
    files: Sequence[nsd_sessions.SessionFile],
    stimuli: tuple[Path, tuple[int, ...]] | None,
) -> None:
    planned = _attempt(problems, design.trial_images, subject)
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
    behaviour = _attempt(problems, nsd_files.read_behaviour, root, subject)
    if behaviour is not None:
        seen = behaviour["73KID"].to_numpy()[: len(shown)] - 1
        differ = np.flatnonzero(seen != shown[: len(seen)])
        if len(differ):
            problems.append(
                f"{root / 'nsddata/ppdata' / subject / 'behav/responses.tsv'}: expected nsdId "
                f"{shown[differ[0]]} in trial {differ[0] + 1} as in the design, found "
                f"{seen[differ[0]]}"
            )


def _check_volumes(
    problems: list[str],
    root: Path,
    subject: str,
    first: nsd_sessions.SessionFile,
    *,
    all_files: Sequence[nsd_sessions.SessionFile],
    rois: Sequence[str] | Mapping[str, str],
    space: str,
    betas: str,
    voxels: str | Sequence[str],
    t_threshold: float | Mapping[str, float] | None,
) -> None:
    affine = _attempt(
        problems, nsd_sessions.find_affine, root, subject, all_files, space=space, betas=betas
    )
    if affine is None:
        return
    grid = {"shape": first.shape, "affine": affine, "of": first.path}
    _attempt(problems, nsd_rois.read_mask, root, subject, voxels, space=space, **grid)
    t_maps = _attempt(problems, nsd_rois.read_localiser, root, subject, space=space, **grid)
    path = nsd_files.betas_folder(root, subject, space, betas) / "ncsnr.nii.gz"
    if path.is_file():
        volume = _attempt(problems, nsd_files.read_volume, path)
        if volume is not None:
            _attempt(problems, nsd_files.match_volume, volume, **grid)
    references = rois.values() if isinstance(rois, Mapping) else rois
    for reference in references:
        region = _attempt(problems, nsd_rois.find_region, root, subject, reference, space=space)
        if region is None:
            continue
        volumes = _attempt(problems, nsd_rois.read_region, root, subject, region, space=space)
        for volume in volumes or ():
            _attempt(problems, nsd_files.match_volume, volume, **grid)
        if region.label is None and volumes and not any(one.values.any() for one in volumes):
            problems.append(f"{volumes[0].path}: expected voxels above 0, found none: it is empty")
        threshold = nsd_rois.find_threshold(region, t_threshold)
        if threshold is not None and t_maps is not None and region.contrast not in t_maps:
            folder = nsd_files.subject_folder(root, subject, space)
            problems.append(
                f"{folder / f'floc_{region.contrast}tval.nii.gz'}: expected the t-map that "
                f"thresholds {reference}, found no file"
            )
