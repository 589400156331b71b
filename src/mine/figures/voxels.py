"""Which voxels and images of an ROI are drawn, and what is said about each voxel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr

WORDS_IN_HEADING = 4

WITHHELD = {
    "not predicted": "the encoders of two halves of the images do not predict each other's images",
    "retinotopic": "contrast and orientation explain the responses, and content adds nothing",
    "no reliable profile": "the profiles of two halves agree no more than those of shuffled data, "
    "or the region has too few voxels to tell",
    "no significant word": "no word stands out in the attributions and is confirmed by measured "
    "responses too",
}
"""Why a voxel is not described, in the order in which it is asked."""


def describe_voxels(profiles: xr.Dataset, scores: xr.Dataset, words: np.ndarray) -> pd.DataFrame:
    """Gather what headings say about each voxel of an ROI, best fitted first.

    profiles: of the ROI. scores: of the subject. words: (word,) the vocabulary. Returns a row for
    each voxel: ``r2`` of MINE on test images with ``r2_low`` and ``r2_high``, ``noise_ceiling``,
    ``r2_normalised``, ``reliability``, ``reliability_p``, ``described``, ``reason``, ``words``:
    the first words listed; none unless the voxel is described.
    """
    voxels = profiles["voxel"].values
    own = scores.sel(model="mine").isel(voxel=voxels)
    table = pd.DataFrame(
        {
            "r2": own["r2"].values,
            "r2_low": own["r2_interval"].sel(bound="low").values,
            "r2_high": own["r2_interval"].sel(bound="high").values,
            "noise_ceiling": own["noise_ceiling"].values,
            "r2_normalised": own["r2_normalised"].values,
            "reliability": profiles["reliability"].values,
            "reliability_p": profiles["reliability_p"].values,
            "described": profiles["described"].values,
            "reason": profiles["reason"].values,
        },
        index=pd.Index(voxels, name="voxel"),
    )
    positive = profiles[["word", "listed"]].sel(sign="positive")
    table["words"] = [
        ", ".join(words[word[listed][:WORDS_IN_HEADING]]) if described else ""
        for word, listed, described in zip(
            positive["word"].values, positive["listed"].values, table["described"], strict=True
        )
    ]
    return table.sort_values("r2", ascending=False, kind="stable")


def write_fit(entry: pd.Series) -> str:
    """Return R² of a voxel and its ceiling, or that there is none. entry: of describe_voxels."""
    ceiling = entry["noise_ceiling"]
    known = f"of a ceiling of {ceiling:.2f}" if np.isfinite(ceiling) else "(no noise ceiling)"
    return f"R² {entry['r2']:.2f} {known}".replace("-", "−")


def choose_described(table: pd.DataFrame, count: int) -> np.ndarray:
    """Return the described voxels of largest test R², at most ``count``."""
    return table.index[table["described"]].to_numpy()[:count]


def choose_cards(table: pd.DataFrame, count: int) -> np.ndarray:
    """Return the described voxels of largest test R², at most ``count``, and one that is not
    described, so that what is withheld is seen too: the one of largest test R². Where none is
    described, ``count`` that are not.
    """
    described = choose_described(table, count)
    others = table.index[~table["described"]].to_numpy()
    return np.concatenate([described, others[: 1 if len(described) else count]])


def rank_images(predictions: xr.DataArray, count: int) -> np.ndarray:
    """Return the images of largest prediction, largest first: (voxel, image) → identities
    (voxel, count).
    """
    order = np.argsort(-predictions.values, axis=1, kind="stable")[:, :count]
    return predictions["image"].values[order]


def gather_pictures(read: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> xr.DataArray:
    """Read each of some images once: (image, row, column, channel), by identity.

    read: identities → uint8 (image, row, column, channel). images: identities, of any shape.
    """
    images = np.unique(images)
    dimensions = ("image", "row", "column", "channel")
    return xr.DataArray(read(images), dims=dimensions, coords={"image": images})
