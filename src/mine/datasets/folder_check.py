"""Find everything that is wrong with an experiment of one's own before using it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mine.datasets import coco, folder_rois, folder_sessions, folder_tables
from mine.datasets.attempts import attempt, list_absent, tell_no_folder
from mine.datasets.folder_rois import MAP_NAMES
from mine.datasets.folder_tables import ImageList, Trials
from mine.datasets.image_files import check_images, find_twins
from mine.datasets.patterns import check_pattern, describe_format, list_names, split_label
from mine.datasets.series import Series
from mine.references import voxel_references
from mine.sections import Dataset
from mine.statistics.ceiling import LEAST_REPEATED

PATTERNS = {
    "images": (),
    "trials": ("subject", "session", "run"),
    "responses": ("subject", "session", "run", "trial", "hemisphere"),
    "mask": MAP_NAMES,
    "names": ("subject",),
    "rois": ("subject", "hemisphere", "roi"),
    "localiser": ("subject", "hemisphere", "contrast"),
    "ncsnr": MAP_NAMES,
}
"""Keys of dataset.folder that are paths, and what may stand in braces there."""

NEEDED = {"responses": "subject", "trials": "subject", "rois": "roi", "localiser": "contrast"}
"""What has to stand in braces, or one file would be everybody's."""


def check_folder(
    dataset: Dataset, *, subjects: Sequence[str], rois: Mapping[str, str]
) -> list[str]:
    """List what is wrong with the files that an analysis would read, a sentence each, in the order
    in which to mend them: keys, images, then each subject's trials, responses, mask and ROIs.

    Of responses only headers and ends are read. An ROI that one of the subjects lacks is no
    problem, since it is left out there; one that all of them lack is.
    """
    root = Path(dataset.root)
    if not root.is_dir():
        return [tell_no_folder(root)]
    problems = check_keys(dataset)
    if problems:
        # whatever they would lead to is not what is meant
        return problems
    images = attempt(problems, folder_tables.read_image_list, root, dataset.folder)
    identities = () if images is None or images.coco_id is None else images.coco_id
    problems += coco.check_annotations(dataset.captions, dataset.instances, coco_ids=identities)
    if images is None:
        return problems
    if (dataset.captions or dataset.instances) and images.coco_id is None:
        problems.append(
            f"{images.path}: expected a column coco_id, by which dataset.captions and "
            "dataset.instances are read, found none"
        )
    key = "dataset.folder.image_side"
    problems += check_images(images.paths, side=dataset.folder.image_side, key=key)
    absent: dict[str, list[str]] = {}
    twins = find_twins(images.paths)
    for subject in subjects:
        reasons = _check_subject(problems, root, subject, dataset, images, twins, rois)
        for name, reason in reasons.items():
            absent.setdefault(name, []).append(reason)
    if dataset.folder.localiser is not None and not any(
        folder_rois.list_contrasts(root, subject, dataset.folder) for subject in subjects
    ):
        problems.append(
            f"dataset.folder.localiser: expected files of {' or '.join(subjects)} in {root}, found "
            f"none by {dataset.folder.localiser}"
        )
    problems += list_absent(absent, subjects)
    return list(dict.fromkeys(problems))


def check_keys(dataset: Dataset) -> list[str]:
    """List what is wrong with the paths of dataset.folder and of dataset.roi_references, before any
    is looked up."""
    folder, problems = dataset.folder, []
    for name, allowed in PATTERNS.items():
        pattern, key = getattr(folder, name), f"dataset.folder.{name}"
        if pattern is None:
            continue
        attempt(problems, check_pattern, pattern, key=key, allowed=allowed)
        wanted = NEEDED.get(name)
        if wanted is not None and wanted not in list_names(pattern):
            problems.append(f"{key}: expected {{{wanted}}} in the path, found {pattern}")
    for name, reference in dataset.roi_references.items():
        path = split_label(reference)
        if path is not None:
            key = f"dataset.roi_references.{name}"
            attempt(problems, check_pattern, path[0], key=key, allowed=MAP_NAMES)
    form = describe_format(folder.responses)
    if form in ("", "mgh"):
        problems.append(
            "dataset.folder.responses: expected a name that ends in .nii, .nii.gz, .dscalar.nii, "
            f".dtseries.nii, .gii, .npy, .hdf5, .h5 or .mat, found {folder.responses}"
        )
    if form in ("nifti", "cifti", "hdf5") and "hemisphere" in list_names(folder.responses):
        problems.append(
            "dataset.folder.responses: expected {hemisphere} with .gii and .npy only, found "
            f"{folder.responses}"
        )
    if folder.names is not None and form not in ("npy", "hdf5"):
        problems.append(
            "dataset.folder.names: expected null, since only .npy and .hdf5 have columns without "
            f"a place, found {folder.names}"
        )
    return problems


def _check_subject(
    problems: list[str],
    root: Path,
    subject: str,
    dataset: Dataset,
    images: ImageList,
    twins: Sequence[Sequence[int]],
    rois: Mapping[str, str],
) -> dict[str, str]:
    """Return why an ROI would be left out in this subject, by name of the ROI. twins: identities of
    images whose files are the same."""
    folder = dataset.folder
    trials = attempt(problems, folder_tables.read_trials, root, subject, folder, images)
    if trials is None:
        return {}
    test = attempt(problems, folder_tables.find_test, dataset, trials, images)
    if test is not None:
        _check_split(problems, subject, dataset, trials, test)
        _check_twins(problems, subject, images, twins, trials, test)
    files = attempt(
        problems,
        folder_sessions.find_response_files,
        root,
        subject,
        folder,
        trials,
        sessions=dataset.sessions,
    )
    mask = attempt(problems, folder_sessions.read_table_mask, root, subject, folder)
    if files is None or mask is None:
        return {}
    series: list[Series] = []
    for file in files:
        one = attempt(problems, folder_sessions.open_file, file, mask)
        if one is not None:
            series.append(one)
            attempt(problems, one.check_end)
            attempt(problems, folder_sessions.check_alike, one, series[0])
            attempt(
                problems,
                folder_sessions.number_trials,
                file,
                one,
                trials,
                averaged=folder.averaged,
            )
    if not series:
        return {}
    return _check_maps(problems, root, subject, dataset, series[0], rois)


def _check_split(
    problems: list[str], subject: str, dataset: Dataset, trials: Trials, test: np.ndarray
) -> None:
    """Tell a split that leaves nothing to test or to train on, or averages that are none."""
    used = np.isin(trials.session(), folder_tables.list_sessions(trials, most=dataset.sessions)) & (
        trials.image >= 0
    )
    shown, counts = np.unique(trials.image[used], return_counts=True)
    is_test = np.isin(shown, test)
    for name, members in (("test", is_test), ("training", ~is_test)):
        if not members.any():
            problems.append(
                f"{trials.tell()}: expected {name} images among the {len(shown)} that {subject} "
                "saw, found none"
            )
    if int(is_test.sum()) == 1:
        problems.append(
            f"{trials.tell()}: expected two test images or more among the {len(shown)} that "
            f"{subject} saw, over which R² has a variance to explain, found 1"
        )
    measured = not dataset.folder.averaged and (int((counts[is_test] > 1).sum()) >= LEAST_REPEATED)
    if is_test.any() and dataset.folder.ncsnr is None and not measured:
        problems += [
            f"dataset.{key}: expected null, or repeats of {subject}'s test images or "
            f"dataset.folder.ncsnr, by which there is a noise ceiling, found {value:g}"
            for key in ("least_ncsnr", "least_noise_ceiling")
            if (value := getattr(dataset, key)) is not None
        ]
    if dataset.folder.averaged and (counts > 1).any():
        again = np.flatnonzero(used & np.isin(trials.image, shown[counts > 1]))
        problems.append(
            f"{trials.tell(again)}: expected each image once, since dataset.folder.averaged is "
            f"true, found {int((counts > 1).sum())} of them more than once"
        )
    if not dataset.folder.averaged and not is_test.all():
        train = ~np.isin(trials.image, test) & used
        for label in folder_tables.list_sessions(trials, most=dataset.sessions):
            rows = np.flatnonzero(trials.session() == label)
            fitted = int(train[rows].sum())
            if dataset.zscore == "training" and fitted < 2:
                problems.append(
                    f"{trials.tell(rows)}: expected two training trials or more in session "
                    f"{label or '1'}, to fit the z-score on, found {fitted}"
                )


def _check_twins(
    problems: list[str],
    subject: str,
    images: ImageList,
    twins: Sequence[Sequence[int]],
    trials: Trials,
    test: np.ndarray,
) -> None:
    """Tell a picture that trains under one name and tests under another."""
    shown = set(trials.image.tolist())
    for group in twins:
        tests = [one for one in group if one in shown and one in test]
        trains = [one for one in group if one in shown and one not in test]
        if tests and trains:
            problems.append(
                f"{images.path}: expected a picture to train {subject} or to test it, found the "
                f"same file as {images.names[trains[0]]}, which trains, and "
                f"{images.names[tests[0]]}, which tests"
            )
            return


def _check_maps(
    problems: list[str],
    root: Path,
    subject: str,
    dataset: Dataset,
    series: Series,
    rois: Mapping[str, str],
) -> dict[str, str]:
    folder, grid = dataset.folder, series.grid
    flat = attempt(
        problems,
        folder_rois.read_voxels,
        root,
        subject,
        folder,
        references=voxel_references(dataset),
        grid=grid,
        columns=series.columns,
    )
    if folder.ncsnr is not None:
        attempt(problems, folder_rois.read_ncsnr, root, subject, folder.ncsnr, grid=grid, flat=flat)
    if flat is None:
        # an ROI may be wrong as well
        flat = np.arange(grid.size)
    attempt(problems, folder_rois.read_localiser, root, subject, folder, grid=grid, flat=flat)
    absent: dict[str, str] = {}
    # one by one, so that one fault does not hide another
    for name, reference in rois.items():
        members = attempt(
            problems,
            folder_rois.find_members,
            root,
            subject,
            folder,
            rois={name: reference},
            grid=grid,
            flat=flat,
        )
        if members is not None:
            absent |= members[1]
    return absent
