"""Features under test: what one half of the data says of chosen voxels, in profiles and images.

A causal test must not ask the encoder that gave the explanation. So the features come from the
encoder of the *first* half of the training images alone, with the measured responses to that half,
and the tests are judged by an evaluator that was fitted on the second. Which voxels are tested is
chosen among those that both halves describe, by how faithful their attributions are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from mine.core.calibration import find_said
from mine.core.listing import read_profiles
from mine.core.synonyms import drop_repeats


def gather_features(
    attributions: xr.Dataset,
    lens: xr.Dataset,
    descriptions: Sequence[xr.Dataset],
    shown: xr.Dataset,
    *,
    group: np.ndarray,
    measured: np.ndarray,
    level: float,
    reading_reliability: float,
    words: int,
    text: np.ndarray,
    distinct_cosine: float,
) -> xr.Dataset:
    """Gather the features of voxels from one half of the training images.

    attributions, lens: of the first half's encoder on its own images; measured: (image, voxel),
    responses to them. descriptions (mine.stages.descriptions), one for each draw of the random
    tokens, and shown, attributions: the same encoder's on test images. group: int (word,). text:
    (word, feature), of which words that repeat an earlier one of their list are left out
    (:func:`mine.core.synonyms.drop_repeats`).

    Returns, without the voxels for which the half lists no word,

    - profile (voxel, rank): the listed words, best first; -1 where there are fewer
    - description (draw, condition, voxel, image, rank): of the description the words that are said,
      of the controls those of positive weight; -1 for none
    - token (draw, condition, voxel, image, place): the tokens described; -1 for none
    - prediction (voxel, image): the first half's
    - position_map (voxel, token): mean positive attribution in the half's own images
    """
    found = read_profiles(
        attributions,
        lens,
        group,
        measured=measured,
        measured_lens=lens,
        count=words,
        level=level,
        reading_reliability=reading_reliability,
    )
    listed, name = found.listed["positive"], found.scores["positive"].name
    profile = np.where(listed.listed, np.take_along_axis(name, listed.group, axis=1), -1)
    drawn = xr.concat(
        [one[["word", "weight", "chance", "token"]] for one in descriptions], "draw", join="exact"
    )
    # A control has its unclear words too: it is not to lose for want of words.
    is_control = (drawn["condition"] != "description").values[:, None, None, None]
    spoken = np.where(is_control, drawn["weight"] > 0, find_said(drawn))
    description = np.where(spoken, drawn["word"], -1)
    profile, description = (
        drop_repeats(lists, text, cosine=distinct_cosine) for lists in (profile, description)
    )
    features = xr.Dataset(
        {
            "profile": (
                ("voxel", "profile_rank"),
                profile.astype(np.int32),
                {"long_name": "listed words of the first half, best first; -1: none"},
            ),
            "description": (
                ("draw", "condition", "voxel", "image", "rank"),
                description.astype(np.int32),
                {"long_name": "words of the image's description, best first; -1: none"},
            ),
            "token": drawn["token"],
            "prediction": shown["prediction"],
            "position_map": attributions["position_map"].sel(sign="positive", drop=True),
        },
        coords={name: drawn[name] for name in ("condition", "voxel", "image")},
    )
    return features.isel(voxel=np.flatnonzero(profile[:, 0] >= 0))
