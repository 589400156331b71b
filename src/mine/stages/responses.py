"""Responses of a subject: single trials, z-scored by session, averaged over repeats."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mine.datasets.recording import Recording
from mine.errors import InputError
from mine.statistics import ncsnr_from_trials, noise_ceiling

TESTS = ("shared", "shared_three_repeats")
STANDARDISE_ON = ("training", "all")

VOXEL_BATCH = 8192


def build_responses(
    recording: Recording, *, test: str = "shared", standardise_on: str = "training"
) -> xr.Dataset:
    """Responses of one subject, one row per image.

    Each session is z-scored by itself, z = (beta - mean) / standard deviation per voxel, and the
    repeats of an image are averaged over sessions. One session is in memory at a time.

    test: "shared": all shared images that the subject saw; "shared_three_repeats": those it saw
    three times, the other shared images being left out altogether. Shared images never train.
    standardise_on: "training": mean and standard deviation of a session come from its training
    trials alone; "all": from all of its trials, as most readers of NSD do.

    Returns ``response`` float32 (image, voxel); ``repeats`` and ``split`` ("training", "test")
    (image); ``noise_ceiling`` and ``ncsnr`` (voxel). Images ascend by identity. Voxels that are
    not finite or constant over those trials in any session (NSD writes 0 where a session has no
    data) are left out; attrs say how many of how many.

    The noise ceiling is that of the test images with the repeats they have, from the published
    ncsnr or, where there is none, from the repeats of the test images (attrs
    ``noise_ceiling_source``). A voxel whose ncsnr is not a number has a ceiling of 0; where no
    ceiling can be had, all are NaN.
    Raises InputError for an unknown option, an empty split or voxel set, or a session with fewer
    than two trials to fit on.
    """
    _check_option("test", test, TESTS)
    _check_option("standardise_on", standardise_on, STANDARDISE_ON)
    kept, repeats, is_test, dropped = _split_images(recording, test)
    count = len(recording.voxels.ijk)
    total = np.zeros((len(kept), count), dtype=np.float32)
    valid = np.ones(count, dtype=bool)
    repeated = kept[is_test & (repeats >= 2)]
    trials: list[np.ndarray] = []
    trial_images: list[np.ndarray] = []
    for number, images in enumerate(recording.images):
        betas = recording.read_session(number)
        fit = np.ones(len(images), dtype=bool)
        if standardise_on == "training":
            fit = ~np.isin(images, recording.shared)
        if fit.sum() < 2:
            raise InputError(
                f"{recording.subject}, session {number + 1}: expected two training trials or more "
                f"to fit the z-score on, found {int(fit.sum())}"
            )
        valid &= standardise_session(betas, fit)
        used = np.flatnonzero(np.isin(images, kept))
        for row, trial in zip(np.searchsorted(kept, images[used]), used, strict=True):
            total[row] += betas[trial]
        if recording.ncsnr is None:
            again = np.isin(images, repeated)
            trials.append(betas[again])
            trial_images.append(images[again])
    if not valid.any():
        raise InputError(
            f"{recording.subject}: expected voxels with a response that varies in every session, "
            f"found none among the {count} of the voxel set"
        )
    total /= repeats[:, None].astype(np.float32)
    if recording.ncsnr is not None:
        ncsnr, source = recording.ncsnr[valid].astype(np.float64), "published ncsnr"
    elif len(repeated):
        ncsnr = _measure_ncsnr([part[:, valid] for part in trials], np.concatenate(trial_images))
        source = "repeats of the test images"
    else:
        ncsnr, source = np.full(int(valid.sum()), np.nan), "none: no test image was repeated"
    known = np.nan_to_num(ncsnr, nan=0.0, posinf=np.inf)
    ceiling = noise_ceiling(known, repeats=repeats[is_test])
    if recording.ncsnr is None and not len(repeated):
        ceiling = np.full(len(ncsnr), np.nan)
    voxels = recording.voxels.select(valid)
    return xr.Dataset(
        {
            "response": (
                ("image", "voxel"),
                total if valid.all() else total[:, valid],
                {"long_name": "z-scored response, mean over repeats", "units": "z"},
            ),
            "repeats": (
                "image",
                repeats.astype(np.int16),
                {"long_name": "trials averaged", "units": "trials"},
            ),
            "split": ("image", np.where(is_test, "test", "training"), {"long_name": "split"}),
            "noise_ceiling": (
                "voxel",
                ceiling.astype(np.float32),
                {"long_name": "largest R² of a model of the test images", "units": "1"},
            ),
            "ncsnr": (
                "voxel",
                ncsnr.astype(np.float32),
                {"long_name": "noise-ceiling signal-to-noise ratio", "units": "1"},
            ),
        },
        coords={
            "image": ("image", kept.astype(np.int32), {"long_name": "identity of the image"}),
            **voxels.to_coordinates(),
        },
        attrs={
            **recording.attributes,
            "test": test,
            "standardise_on": standardise_on,
            "noise_ceiling_source": source,
            "ncsnr_not_a_number": int(np.isnan(ncsnr).sum()),
            "voxels_invalid": int((~valid).sum()),
            "voxels_selected": count,
            "images_left_out": dropped,
            **voxels.to_attributes(),
        },
    )


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


def _split_images(
    recording: Recording, test: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Images that are kept (ascending), their repeats, whether they test, how many are left out."""
    images, repeats = np.unique(np.concatenate(recording.images), return_counts=True)
    shared = np.isin(images, recording.shared)
    kept = ~shared | (repeats >= 3) if test == "shared_three_repeats" else np.ones_like(shared)
    for split, members in (("training", ~shared), ("test", shared & kept)):
        if not members.any():
            raise InputError(
                f"{recording.subject}: expected {split} images (test: {test}), found none among "
                f"the {len(images)} that it saw in {len(recording.images)} sessions"
            )
    return images[kept], repeats[kept], shared[kept], int((~kept).sum())


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
        raise InputError(f"{name}: expected {' or '.join(options)}, found {value!r}")
