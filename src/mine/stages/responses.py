"""Responses of a subject: single trials, z-scored by session, averaged over repeats."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from mine.datasets.recording import Recording
from mine.errors import InputError
from mine.logging import Progress
from mine.statistics.ceiling import LEAST_REPEATED, ncsnr_from_trials, noise_ceiling
from mine.wording import format_count

TESTS = ("shared", "shared_three_repeats", "shared_common")
STANDARDISE_ON = ("training", "all")

VOXEL_BATCH = 8192

LARGEST_MEAN, LARGEST_DEVIATION = 0.5, 2.0
"""Of the median voxel of averaged responses over images; what lies beyond is in no units of z."""

LEAST_TEST_IMAGES = 2
"""Over one image no response varies, so that there is no variance to explain."""

LEAST_VOXELS = 5
"""That vary, for a trial of nothing but 0 to be none: in fewer, some may be 0 by chance."""

log = logging.getLogger(__name__)


def build_responses(
    recording: Recording,
    *,
    test: str,
    standardise_on: str,
    least_ncsnr: float | None,
    least_noise_ceiling: float | None,
) -> xr.Dataset:
    """Responses of one subject, one row per image.

    Each session is z-scored by itself, z = (beta - mean) / standard deviation per voxel, and the
    repeats of an image are averaged over sessions. One session is in memory at a time. A recording
    that was averaged before is taken as it is.

    test: "shared": all shared images that the subject saw; "shared_three_repeats": those it saw
    three times; "shared_common": those that every subject of the experiment saw three times. The
    other shared images are left out altogether: shared images never train. Where the dataset gives
    a split itself, that one is used and attrs ``test`` is "dataset".
    standardise_on: "training": mean and standard deviation of a session come from its training
    trials alone; "all": from all of its trials, as most readers of NSD do.
    least_ncsnr, least_noise_ceiling: voxels below are left out too, and counted apart; None leaves
    out none.

    Returns ``response`` float32 (image, voxel); ``repeats`` (0: not known) and ``split``
    ("training", "test") (image); ``noise_ceiling`` and ``ncsnr`` (voxel). Images ascend by
    identity. Voxels that are not finite or constant over those trials in any session (NSD writes 0
    where a session has no data) are left out; attrs say how many of how many.

    The noise ceiling is that of the test images with the repeats they have, from the published
    ncsnr or, where there is none, from the repeats of the test images (attrs
    ``noise_ceiling_source``). A voxel whose ncsnr is not a number has a ceiling of 0; where no
    ceiling can be had, all are NaN.
    Raises InputError for an unknown option, an empty split or voxel set, a session with fewer than
    two trials to fit on, a least ceiling where there is none, a trial that is finite in no voxel or
    0 in all that vary, or averages that were plainly not z-scored before.
    """
    _check_option("test", test, TESTS)
    _check_option("standardise_on", standardise_on, STANDARDISE_ON)
    split = _split_images(recording, test)
    log.info("%s, %d voxels", describe_recording(recording, test=test), len(recording.voxels))
    total, valid, trials = _average_trials(recording, split, standardise_on)
    if not valid.any():
        raise InputError(
            f"{recording.subject}: expected voxels with a response that varies in every session, "
            f"found none among the {len(valid)} of the voxel set"
        )
    ncsnr, ceiling, source = _find_ceiling(recording, split, trials, valid)
    kept = np.ones(len(ncsnr), dtype=bool)
    for name, values, least in (
        ("least_ncsnr", ncsnr, least_ncsnr),
        ("least_noise_ceiling", ceiling, least_noise_ceiling),
    ):
        if least is not None:
            kept &= _reach(recording.subject, name, values, least, source)
    invalid, low = int((~valid).sum()), int((~kept).sum())
    if invalid or low:
        log.info(
            "%s: of %d voxels %d are left out for having no response that varies in every session, "
            "%d for being too noisy",
            recording.subject, len(valid), invalid, low,
        )  # fmt: skip
    ncsnr, ceiling = ncsnr[kept], ceiling[kept]
    chosen = valid.copy()
    chosen[valid] = kept
    voxels = recording.voxels.select(chosen)
    return xr.Dataset(
        {
            "response": (
                ("image", "voxel"),
                total if chosen.all() else total[:, chosen],
                {"long_name": "z-scored response, mean over repeats", "units": "z"},
            ),
            "repeats": (
                "image",
                split.repeats.astype(np.int16),
                {"long_name": "trials averaged; 0: not known", "units": "trials"},
            ),
            "split": (
                "image",
                np.where(split.is_test, "test", "training"),
                {"long_name": "split"},
            ),
            **_describe_ceiling(ncsnr, ceiling, of="the test images"),
        },
        coords={
            "image": (
                "image",
                split.images.astype(np.int32),
                {"long_name": "identity of the image"},
            ),
            **voxels.to_coordinates(),
        },
        attrs={
            **recording.attributes,
            "test": test if recording.test is None else "dataset",
            "standardise_on": "dataset" if recording.averaged else standardise_on,
            "noise_ceiling_source": source,
            "ncsnr_not_a_number": int(np.isnan(ncsnr).sum()),
            "voxels_invalid": invalid,
            "voxels_too_noisy": low,
            "voxels_selected": len(valid),
            "images_left_out": split.left_out,
            **voxels.to_attributes(),
        },
    )


def describe_recording(recording: Recording, *, test: str) -> str:
    """Say how a subject's tables are understood: sessions, trials, images, how many of those that
    test were repeated and how often, and why there is no noise ceiling, if there is none. No
    response is read.

    test, errors: see :func:`build_responses`.
    """
    split, counts = _split_images(recording, test), [len(images) for images in recording.images]
    used, shown = sum(counts), f"{len(split.images) + split.left_out} images"
    if recording.responses not in (None, used):
        shown += f" ({used} of {recording.responses} responses are used)"
    if recording.averaged:
        head = f"averaged responses to {shown}"
    else:
        head = f"{format_count(len(counts), 'session')} of {_say_trials(counts)}"
        if list(recording.labels) not in ([], [str(n + 1) for n in range(len(counts))]):
            head += f", named {', '.join(recording.labels)}"
        head += f", {shown}"
    repeats = split.repeats[split.is_test]
    said = ["drawn"] if recording.drawn else []
    others = int((split.repeats[~split.is_test] >= 2).sum()) if recording.drawn else 0
    repeated = int((repeats >= 2).sum())
    if repeated < len(repeats) and (repeated or others):
        more = f", and {format_count(others, 'other')}, which a column split makes test images"
        said.append(f"{repeated} of them repeated" + (more if others else ""))
    if repeats.any():
        said.append(f"{_say_trials(repeats.tolist())} each")
    lack = _tell_no_ceiling(recording, repeats)
    if lack:
        other = ", and there is no ncsnr" if recording.ncsnr is None else ""
        said.append(f"no noise ceiling: {lack}{other}")
    how = f" ({'; '.join(said)})" if said else ""
    left_out = f", {split.left_out} left out" if split.left_out else ""
    return f"{recording.subject}: {head}, of which {len(repeats)} test images{how}{left_out}"


def build_unseen(recording: Recording) -> xr.Dataset:
    """Responses of one subject to images of which none was fitted, such as NSD-synthetic's.

    The session is z-scored on all of its trials, for it has no others; the voxels are those that
    were fitted. Returns ``response`` (image, voxel), ``repeats`` (image), ``noise_ceiling`` and
    ``ncsnr`` (voxel) as build_responses does, the ceiling from the repeats of these images. A voxel
    that does not vary or is not finite here is NaN.
    """
    images, repeats = np.unique(np.concatenate(recording.images), return_counts=True)
    split = Split(images, repeats, np.ones(len(images), dtype=bool), 0, images)
    response, valid, trials = _average_trials(recording, split, "all")
    if not valid.any():
        raise InputError(
            f"{recording.subject}: expected voxels that vary in {recording.attributes['dataset']}, "
            f"found none among the {len(valid)} that were fitted"
        )
    response[:, ~valid] = np.nan
    ncsnr, ceiling = np.full((2, len(valid)), np.nan)
    ncsnr[valid], ceiling[valid], source = _find_ceiling(recording, split, trials, valid)
    return xr.Dataset(
        {
            "response": (
                ("image", "voxel"),
                response,
                {"long_name": "z-scored, mean over repeats"},
            ),
            "repeats": ("image", repeats.astype(np.int16), {"long_name": "trials averaged"}),
            **_describe_ceiling(ncsnr, ceiling, of="these images"),
        },
        coords={
            "image": (
                "image",
                images.astype(np.int32),
                {"long_name": "number of the image, from 0"},
            )
        },
        attrs={
            **recording.attributes,
            "noise_ceiling_source": source,
            "voxels_invalid": int((~valid).sum()),
        },
    )


def _say_trials(counts: Sequence[int]) -> str:
    """The count of trials, or the smallest and the largest."""
    least, most = min(counts), max(counts)
    return format_count(most, "trial") if least == most else f"{least} to {most} trials"


class Split(NamedTuple):
    """Images that are kept, ascending: identities, repeats (0: not known), whether they test."""

    images: np.ndarray
    repeats: np.ndarray
    is_test: np.ndarray
    left_out: int
    """images that neither train nor test"""
    held_out: np.ndarray
    """identities that do not train, whether they test or not"""


def _average_trials(
    recording: Recording, split: Split, standardise_on: str
) -> tuple[np.ndarray, np.ndarray, tuple[list[np.ndarray], list[np.ndarray]]]:
    """Mean response (image, voxel), which voxels are valid, and the single trials of repeated test
    images with their images, where the noise ceiling has to be measured on them."""
    count = len(recording.voxels)
    if recording.averaged:
        order = np.argsort(recording.images[0], kind="stable")
        rows = order[np.searchsorted(recording.images[0][order], split.images)]
        values = recording.read_session(0)
        _check_trials(recording, 0, values)
        _check_averages(recording, values)
        total = values[rows]
        training = total[~split.is_test]
        return total, np.isfinite(total).all(axis=0) & (np.ptp(training, axis=0) > 0), ([], [])
    total = np.zeros((len(split.images), count), dtype=np.float32)
    valid = np.ones(count, dtype=bool)
    repeated = split.images[split.is_test & (split.repeats >= 2)]
    trials: list[np.ndarray] = []
    trial_images: list[np.ndarray] = []
    progress = Progress(len(recording.images), "sessions")
    for number, images in enumerate(recording.images):
        betas = recording.read_session(number)
        _check_trials(recording, number, betas)
        fit = np.ones(len(images), dtype=bool)
        if standardise_on == "training":
            fit = ~np.isin(images, split.held_out)
        if fit.sum() < 2:
            raise InputError(
                f"{recording.subject}, session {number + 1}: expected two training trials or more "
                f"to fit the z-score on, found {int(fit.sum())}"
            )
        here = standardise_session(betas, fit)
        if not here.any():
            raise InputError(
                f"{recording.subject}, session {number + 1}: expected voxels with a response that "
                f"varies over {len(images)} trials, found none among the {count} of the voxel set"
            )
        valid &= here
        used = np.flatnonzero(np.isin(images, split.images))
        for row, trial in zip(np.searchsorted(split.images, images[used]), used, strict=True):
            total[row] += betas[trial]
        if recording.ncsnr is None:
            again = np.isin(images, repeated)
            trials.append(betas[again])
            trial_images.append(images[again])
        progress.add()
    total /= split.repeats[:, None].astype(np.float32)
    return total, valid, (trials, trial_images)


def _check_trials(recording: Recording, number: int, betas: np.ndarray) -> None:
    """Raise InputError for a trial that is finite in no voxel though other trials are, or 0 in all
    that vary; log those that cost some voxels. number: of the session. betas: float32 (trial,
    voxel)."""
    lost, usable, left_out = np.zeros(len(betas), dtype=np.int64), 0, 0
    empty, varying = np.ones(len(betas), dtype=bool), 0
    for start in range(0, betas.shape[1], VOXEL_BATCH):
        values = betas[:, start : start + VOXEL_BATCH]
        finite = np.isfinite(values)
        # what is 0 in all trials lies outside the field of view as well
        varies = np.ptp(np.where(finite, values, 0), axis=0) > 0
        varying += int(varies.sum())
        empty &= (~finite | (values == 0))[:, varies].all(axis=1)
        # what is finite in no trial lies outside the session's field of view
        finite = finite[:, finite.any(axis=0)]
        usable += finite.shape[1]
        lost += (~finite).sum(axis=1)
        left_out += int((~finite).any(axis=0).sum())
    if not usable:
        return
    for rows, found in (
        (np.flatnonzero(lost == usable), "none in any voxel"),
        (np.flatnonzero(empty & (varying >= LEAST_VOXELS)), "0 in every voxel that varies"),
    ):
        if len(rows):
            others = format_count(len(rows) - 1, "other trial")
            more = f", and so for {others} of this session" if len(rows) > 1 else ""
            raise InputError(
                f"{_tell_trial(recording, number, rows[0])}: expected finite responses other than "
                f"0, found {found}{more}; n/a as `trial` leaves a trial out"
            )
    if not lost.any():
        return
    some = np.flatnonzero(lost)
    log.info(
        "%s, session %d: %d of %d voxels are left out, since %d trials are not finite there, first "
        "%s",
        recording.subject, number + 1, left_out, usable, len(some),
        _tell_trial(recording, number, some[0]),
    )  # fmt: skip


def _check_averages(recording: Recording, values: np.ndarray) -> None:
    """Raise InputError for averages that were plainly not z-scored before. values: (image, voxel).

    By the median voxel: a mean over images beyond LARGEST_MEAN, or a deviation beyond
    LARGEST_DEVIATION, where z-scores that were averaged have 0 and at most about 1.
    """
    means, deviations = [], []
    for start in range(0, values.shape[1], VOXEL_BATCH):
        batch = values[:, start : start + VOXEL_BATCH].astype(np.float64)
        batch = batch[:, np.isfinite(batch).all(axis=0)]
        means.append(np.abs(batch.mean(axis=0)))
        deviations.append(batch.std(axis=0))
    if not sum(map(len, means)):
        return
    mean, deviation = (float(np.median(np.concatenate(part))) for part in (means, deviations))
    if mean > LARGEST_MEAN or deviation > LARGEST_DEVIATION:
        raise InputError(
            f"{recording.files[0] if recording.files else recording.subject}: expected averages of "
            f"z-scored responses, of a mean near 0 and a deviation of about 1 at most, found "
            f"{mean:.3g} and {deviation:.3g} in the median voxel"
        )


def _tell_trial(recording: Recording, session: int, trial: int) -> str:
    name = f"{recording.subject}, session {session + 1}, trial {trial + 1}"
    if recording.tell_trial is None:
        return name
    return f"{recording.tell_trial(session, int(trial))}, {name}"


def _find_ceiling(
    recording: Recording,
    split: Split,
    trials: tuple[list[np.ndarray], list[np.ndarray]],
    valid: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, str]:
    """Signal-to-noise ratio and noise ceiling of the valid voxels, and where they come from."""
    repeats = split.repeats[split.is_test]
    unknown = np.full(int(valid.sum()), np.nan)
    lack = _tell_no_ceiling(recording, repeats)
    if recording.ncsnr is not None:
        ncsnr, source = recording.ncsnr[valid].astype(np.float64), "published ncsnr"
    elif not lack:
        parts, images = trials
        ncsnr = _measure_ncsnr([part[:, valid] for part in parts], np.concatenate(images))
        source = "repeats of the test images"
    else:
        ncsnr = unknown
    if lack:
        return ncsnr, unknown, f"none: {lack}"
    known = np.nan_to_num(ncsnr, nan=0.0, posinf=np.inf)
    return ncsnr, noise_ceiling(known, repeats=repeats), source


def _tell_no_ceiling(recording: Recording, repeats: np.ndarray) -> str:
    """Why there is no noise ceiling; empty where there is one. repeats: of the test images."""
    if recording.ncsnr is not None:
        return "" if repeats.all() else "the repeats of the test images are not known"
    if recording.averaged:
        return "the responses come averaged over repeats"
    repeated = int((repeats >= 2).sum())
    if repeated >= LEAST_REPEATED:
        return ""
    return "one test image was repeated" if repeated else "no test image was repeated"


def _describe_ceiling(ncsnr: np.ndarray, ceiling: np.ndarray, *, of: str) -> dict[str, tuple]:
    """Variables of the noise ceiling of some images and of what it comes from. Both: (voxel,)."""
    what = f"largest R² of a model of {of}"
    ratio = {"long_name": "noise-ceiling signal-to-noise ratio", "units": "1"}
    return {
        "noise_ceiling": ("voxel", ceiling.astype(np.float32), {"long_name": what, "units": "1"}),
        "ncsnr": ("voxel", ncsnr.astype(np.float32), ratio),
    }


def standardise_session(betas: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Z-score one session in place, per voxel, by the mean and deviation of the trials in ``fit``.

    betas: float32 (trial, voxel). fit: bool (trial,). Returns bool (voxel,): whether the voxel is
    finite and varies; where not, its betas become 0.
    """
    valid = np.empty(betas.shape[1], dtype=bool)
    for start in range(0, betas.shape[1], VOXEL_BATCH):
        batch = slice(start, start + VOXEL_BATCH)
        values = betas[:, batch].astype(np.float64)
        finite = np.isfinite(values).all(axis=0)
        values[:, ~finite] = 0
        fitted = values[fit]
        # spread, not deviation: rounding gives a constant column a deviation above 0
        good = finite & (np.ptp(fitted, axis=0) > 0)
        values -= fitted.mean(axis=0)
        values /= np.where(good, fitted.std(axis=0), 1)
        values[:, ~good] = 0
        betas[:, batch] = values
        valid[batch] = good
    return valid


def _split_images(recording: Recording, test: str) -> Split:
    images, repeats = np.unique(np.concatenate(recording.images), return_counts=True)
    if recording.averaged:
        known = recording.repeats
        order = np.argsort(recording.images[0], kind="stable")
        repeats = np.zeros(len(images), np.int64) if known is None else np.asarray(known)[order]
    if recording.test is not None:
        test, held_out = "given by the dataset", recording.test
        kept = np.ones(len(images), dtype=bool)
    else:
        held_out = recording.shared
        kept = _find_tested(recording, test, images, repeats)
    held = np.isin(images, held_out)
    kept |= ~held
    for name, members in (("training", ~held), ("test", held & kept)):
        if not members.any():
            raise InputError(
                f"{recording.subject}: expected {name} images (test: {test}), found none among "
                f"the {len(images)} that it saw in {len(recording.images)} sessions"
            )
    tested = int((held & kept).sum())
    if tested < LEAST_TEST_IMAGES:
        raise InputError(
            f"{recording.subject}: expected {LEAST_TEST_IMAGES} test images or more (test: "
            f"{test}), over which R² has a variance to explain, found {tested}"
        )
    return Split(images[kept], repeats[kept], held[kept], int((~kept).sum()), held_out)


def _find_tested(
    recording: Recording, test: str, images: np.ndarray, repeats: np.ndarray
) -> np.ndarray:
    """Which of a subject's images, if they are shared, test: bool (image,)."""
    if test == "shared_three_repeats":
        return repeats >= 3
    if test == "shared_common":
        if recording.common is None:
            raise InputError(
                f"{recording.subject}: expected to know what every subject saw three times, for "
                "test_images: shared_common, found a dataset that does not say"
            )
        return np.isin(images, recording.common)
    return np.ones(len(images), dtype=bool)


def _reach(subject: str, key: str, values: np.ndarray, least: float, source: str) -> np.ndarray:
    """Which voxels reach the least value of a key: bool (voxel,)."""
    if np.isnan(values).all():
        raise InputError(
            f"dataset.{key}: expected {subject} to have a noise ceiling, found none ({source})"
        )
    kept = np.nan_to_num(values, nan=-1.0) >= least
    if not kept.any():
        raise InputError(
            f"dataset.{key}: expected voxels of {subject} with {least:g} or more, found "
            f"{np.nanmax(values):.3g} at most"
        )
    return kept


def _measure_ncsnr(trials: list[np.ndarray], images: np.ndarray) -> np.ndarray:
    # by voxel batch: the statistic works in double precision
    count = trials[0].shape[1]
    return np.concatenate(
        [
            ncsnr_from_trials(
                np.concatenate([part[:, start : start + VOXEL_BATCH] for part in trials]), images
            )
            for start in range(0, count, VOXEL_BATCH)
        ]
    )


def _check_option(name: str, value: str, options: tuple[str, ...]) -> None:
    if value not in options:
        raise InputError(
            f"{name}: expected {', '.join(options[:-1])} or {options[-1]}, found {value!r}"
        )
