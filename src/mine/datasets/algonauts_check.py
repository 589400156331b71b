"""Find everything that is wrong with a copy of the Algonauts 2023 data before using it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mine.datasets import algonauts_files as files
from mine.datasets import algonauts_rois, coco, nsd_files
from mine.datasets.algonauts_vertices import open_vertices, read_ncsnr
from mine.datasets.attempts import attempt, list_absent, tell_no_folder
from mine.datasets.held_out import draw_test_images
from mine.datasets.image_files import check_images
from mine.datasets.patterns import check_pattern, list_names
from mine.references import voxel_references
from mine.sections import Dataset

SAMPLE = 16
"""Rows, evenly spaced, in which responses are looked at for what is not a number."""


def check_algonauts(
    dataset: Dataset, *, subjects: Sequence[str], rois: Mapping[str, str]
) -> list[str]:
    """List what is wrong with the files that an analysis would read: one sentence per problem.

    Of responses only headers and a few rows are read. An ROI that one of the subjects lacks is no
    problem, since it is left out there; one that all of them lack is.
    """
    root = Path(dataset.root)
    if not root.is_dir():
        return [tell_no_folder(root)]
    problems: list[str] = []
    shown = _check_keys(problems, dataset)
    absent: dict[str, list[str]] = {}
    for subject in subjects:
        for name, reason in _check_subject(problems, root, subject, dataset, rois, shown).items():
            absent.setdefault(name, []).append(reason)
    problems += list_absent(absent, subjects)
    # the same unknown name or missing file need not be told once per subject
    return list(dict.fromkeys(problems))


def _check_keys(problems: list[str], dataset: Dataset) -> np.ndarray | None:
    """Tell what is wrong among the keys; return the nsdIds that the table of images has, if any."""
    settings, shown, identities = dataset.algonauts, None, ()
    if settings.information is not None:
        table = attempt(problems, nsd_files.read_information_table, Path(settings.information))
        if table is not None:
            shown, identities = table.index.to_numpy(), table["cocoId"].to_numpy()
    elif dataset.captions or dataset.instances:
        problems.append(
            "dataset.algonauts.information: expected NSD's nsd_stim_info_merged.csv, by which "
            "dataset.captions and dataset.instances are read, found null"
        )
    problems += coco.check_annotations(dataset.captions, dataset.instances, coco_ids=identities)
    if settings.ncsnr is not None:
        key = "dataset.algonauts.ncsnr"
        attempt(
            problems,
            check_pattern,
            settings.ncsnr,
            key=key,
            allowed=("subject", "hemisphere"),
        )
        if "hemisphere" not in list_names(settings.ncsnr):
            problems.append(f"{key}: expected {{hemisphere}} in the path, found {settings.ncsnr}")
        if settings.repeats is None:
            problems.append(
                "dataset.algonauts.repeats: expected the trials that a response is the mean of, "
                "without which ncsnr gives no noise ceiling, found null"
            )
    return shown


def _check_subject(
    problems: list[str],
    root: Path,
    subject: str,
    dataset: Dataset,
    rois: Mapping[str, str],
    shown: np.ndarray | None,
) -> dict[str, str]:
    """Return why an ROI would be left out in this subject, by name of the ROI."""
    if attempt(problems, files.subject_folder, root, subject) is None:
        return {}
    listed = attempt(problems, files.list_images, root, subject)
    if listed is not None:
        identities, paths = listed
        problems += check_images(paths, side=None, key=None)
        if shown is not None and not np.isin(identities, shown).all():
            missing = identities[~np.isin(identities, shown)][0]
            problems.append(
                f"{dataset.algonauts.information}: expected a row of nsdId {missing}, found none"
            )
        drawn = draw_test_images(identities, fraction=dataset.test_fraction, seed=dataset.test_seed)
        for what, count in (("test", drawn.sum()), ("training", (~drawn).sum())):
            if not count:
                problems.append(
                    f"dataset.test_fraction: expected {what} images among the {len(identities)} of "
                    f"{subject}, found none at {dataset.test_fraction:g}"
                )
    opened = attempt(problems, open_vertices, root, subject)
    if opened is None:
        return {}
    count = len(opened.responses[0])
    if listed is not None:
        attempt(problems, files.match_rows, root, subject, len(identities), count)
    for side, array in zip(files.SIDES, opened.responses, strict=True):
        if not np.isfinite(array[:: max(1, count // SAMPLE)]).any():
            problems.append(
                f"{root / subject / files.ALGONAUTS_RESPONSES}/{side}_training_fmri.npy: expected "
                "numbers, found none"
            )
    ncsnr = dataset.algonauts.ncsnr
    if ncsnr is not None and "hemisphere" in list_names(ncsnr):
        attempt(problems, read_ncsnr, root, subject, ncsnr, opened)
    atlases = attempt(
        problems,
        algonauts_rois.read_atlases,
        root,
        subject,
        counts=opened.counts,
        vertices=opened.vertices,
    )
    if atlases is None:
        return {}
    places = attempt(
        problems,
        algonauts_rois.find_voxels,
        atlases,
        voxel_references(dataset),
        root,
        sum(opened.counts),
    )
    if places is None:
        # an ROI may be wrong as well
        places = np.arange(sum(opened.counts))
    absent: dict[str, str] = {}
    # one by one, so that one fault does not hide another
    for name, reference in rois.items():
        members = attempt(
            problems,
            algonauts_rois.find_members,
            atlases,
            root,
            rois={name: reference},
            places=places,
        )
        absent |= {} if members is None else members[1]
    return absent
