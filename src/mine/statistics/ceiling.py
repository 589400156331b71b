"""Noise ceiling: how much of a voxel's variance any model of the images could explain."""

from __future__ import annotations

import numpy as np

LEAST_CEILING = 0.1
"""Noise ceiling below which it is mostly error of estimation, and a ratio to it shows noise."""

CLEAR_CEILING = 0.3
"""Noise ceiling below which a voxel has hardly a profile that could be right, or the same again."""

LEAST_REPEATED = 2
"""Repeated images without which nothing tells signal from noise: repeats of a single one differ by
noise alone."""


def ncsnr_from_trials(trials: np.ndarray, image_of_trial: np.ndarray) -> np.ndarray:
    """Noise-ceiling signal-to-noise ratio per voxel: √max(0, V − v²) / v.

    v² is the mean over images of the unbiased variance within an image's repeats, V the variance
    of all those trials. Only images with two repeats or more take part. NSD's own numbers
    take V = 1, which holds for trials that were z-scored together (Allen et al. 2022, Nature
    Neuroscience 25, Methods, "Noise ceiling"); it is measured here, where the z-score may have been
    fitted on other trials.

    trials: (trial, voxel), in any unit. image_of_trial: (trial,) integer image identities.
    Returns (voxel,); 0 for a constant voxel, infinity where repeats agree exactly.
    Raises ValueError if no image is repeated.
    """
    trials = np.asarray(trials)
    image_of_trial = np.asarray(image_of_trial)
    if trials.ndim != 2 or image_of_trial.shape != trials.shape[:1]:
        raise ValueError(
            f"trials must be (trial, voxel) with one image per trial; found {trials.shape} "
            f"trials and {image_of_trial.shape} images"
        )
    _, image, repeats = np.unique(image_of_trial, return_inverse=True, return_counts=True)
    if not (repeats >= 2).any():
        raise ValueError("the noise ceiling needs images shown at least twice; none was")
    used = repeats[image] >= 2
    rows = np.flatnonzero(used)[np.argsort(image[used], kind="stable")]
    counts = repeats[repeats >= 2]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sorted_trials = trials[rows].astype(np.float64)
    means = np.add.reduceat(sorted_trials, starts, axis=0) / counts[:, None]
    total = sorted_trials.var(axis=0, ddof=1)
    sorted_trials -= np.repeat(means, counts, axis=0)
    np.square(sorted_trials, out=sorted_trials)
    within = np.add.reduceat(sorted_trials, starts, axis=0) / (counts - 1)[:, None]
    noise = within.mean(axis=0)
    signal = np.broadcast_to(np.maximum(total - noise, 0.0), noise.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sqrt(signal) / np.sqrt(noise)
    return np.where(signal > 0, ratio, 0.0)


def noise_ceiling(ncsnr: np.ndarray, *, repeats: np.ndarray) -> np.ndarray:
    """Largest R² that a perfect model can reach: ncsnr² / (ncsnr² + mean(1 / repeats)).

    With A, B and C evaluation images of 3, 2 and 1 repeats the mean is NSD's
    (A/3 + B/2 + C) / (A + B + C) (Allen et al. 2022).

    ncsnr: (voxel,). repeats: (image,) trials averaged into each evaluation image, all >= 1.
    Returns (voxel,), between 0 and 1. Raises ValueError for repeats below one.
    """
    repeats = np.asarray(repeats, dtype=np.float64)
    if repeats.size == 0 or (repeats < 1).any():
        raise ValueError("every evaluation image needs at least one repeat")
    power = np.square(np.asarray(ncsnr, dtype=np.float64))
    with np.errstate(divide="ignore"):
        return 1.0 / (1.0 + np.mean(1.0 / repeats) / power)
