"""Paired differences between conditions: by voxel over its images, and over all of them.

Voxels of a region are tried on overlapping sets of images, and an image that is left out goes with
all its voxels: the image is the unit of every test and interval.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from mine.statistics.effects import clustered_effect
from mine.statistics.multiple_comparisons import benjamini_hochberg
from mine.statistics.permutation import sign_flip_test

PERMUTATIONS = 10_000
"""Sign flips of each test: its p is one in so many at least."""


def contrast(
    difference: xr.DataArray, image: np.ndarray, *, generator: np.random.Generator
) -> xr.Dataset:
    """Test whether a paired difference is positive.

    difference: (…, voxel, chosen), one condition less the other, nan where there is no pair.
    image: (voxel, chosen), identities; those of a voxel differ from each other.

    Returns, with the leading dimensions of ``difference``,

    - mean, cohens_dz, p, q (…, voxel): over the voxel's images; dz = mean / standard deviation, p
      of a one-sided sign-flip test, q its false discovery rate over voxels
    - roi_share (…): voxels whose mean is positive, of those that have one
    - roi_mean, roi_cohens_dz (…, bound): over all pairs, with intervals from images left out
    """
    leading, shape = difference.dims[:-2], difference.shape
    by_voxel = np.full((3, *shape[:-1]), np.nan)
    pooled = np.full((2, *shape[:-2], 3), np.nan)
    for index in np.ndindex(shape[:-2]):
        values = difference.values[index]
        for voxel, row in enumerate(values):
            pairs = row[np.isfinite(row)]
            if len(pairs):
                p = sign_flip_test(pairs[:, None], permutations=PERMUTATIONS, generator=generator)
                # Of a voxel each image is a pair, and one of equal pairs has no effect size.
                mean, effect = clustered_effect(pairs, np.arange(len(pairs)))[:, 0]
                by_voxel[(slice(None), *index, voxel)] = mean, effect, p[1][0]
        pooled[(slice(None), *index)] = clustered_effect(values.ravel(), np.asarray(image).ravel())
    mean, effect, p = by_voxel
    known = np.isfinite(mean).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        share = np.where(known > 0, (mean > 0).sum(axis=-1) / known, np.nan)
    voxels, bounds = (*leading, "voxel"), (*leading, "bound")
    unit = {"units": "standard deviations of the response"}
    return xr.Dataset(
        {
            "mean": (voxels, mean, {"long_name": "mean over the voxel's images", **unit}),
            "cohens_dz": (voxels, effect, {"long_name": "mean over standard deviation"}),
            "p": (voxels, p, {"long_name": "one-sided sign-flip test over images"}),
            "q": (
                voxels,
                benjamini_hochberg(p),
                {"long_name": "false discovery rate over voxels"},
            ),
            "roi_share": (leading, share, {"long_name": "share of voxels of positive mean"}),
            "roi_mean": (bounds, pooled[0], {"long_name": "mean over voxels and images", **unit}),
            "roi_cohens_dz": (bounds, pooled[1], {"long_name": "of voxels and images"}),
        },
        coords=difference.drop_vars("chosen", errors="ignore").coords
        | {"bound": ["value", "low", "high"]},
    )
