"""Recovery of category preference: does a region prefer the category that was planted in it?

:func:`score_preference` compares one subject's regions with its truth; :func:`summarise_preference`
turns the rows of all subjects into shares and means with intervals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from mine.core.preference import CARRIES, UNKNOWN, bound_comparison
from mine.demo.counterfactuals import read_scenes
from mine.demo.scene_tables import tabulate_scenes
from mine.statistics.bootstrap import bootstrap_mean
from mine.statistics.proportions import share_interval

PLANTED = {
    "face": "faces",
    "person": "bodies",
    "house": "places",
    "city": "places",
    "forest": "places",
    "word": "words",
    "food": "food",
}
"""Planted main feature -> the category of config.yaml that it is of."""

SHARES = {
    "roi_preference_profile": "profile",
    "roi_preference_response": "measured",
    "roi_preference_predicted": "predicted",
    "roi_preference_localiser": "localiser",
}
COLUMNS = ["measure", "subject", "roi", "value", "low", "high", "n"]


def score_preference(
    by_roi: Mapping[str, xr.Dataset],
    truth: xr.Dataset,
    images: xr.Dataset,
    *,
    resamples: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Score the regions of one subject: ``measure roi value low high n``.

    by_roi: datasets of mine.stages.preference.measure_preference. truth: in the responses' order
    (mine.demo.recovery.match_voxels). images: truth about the images. Regions without a planted
    category are left out. Measures, of which those of the first row are 1 or 0:

    - ``roi_preference_…``: whether the region's preferred category is the planted one
    - ``preferred_auc``, ``preferred_auc_predicted``: of the region's mean measured (predicted)
      response, images that carry the planted category against those that lack it
    - ``preferred_auc_bound``: the same of the planted response
    - ``planted_auc``: of the mean measured response, images that show one of the region's own
      planted features against all others

    The intervals of AUC are from images resampled; n is the number of images.
    """
    rows: list[tuple] = []
    for roi, preference in by_roi.items():
        own = truth.isel(voxel=preference["voxel"].values)
        mains = own["main"].values.astype(str)
        votes = Counter(PLANTED[main] for main in mains if main in PLANTED)
        if not votes or (planted := votes.most_common(1)[0][0]) not in preference["category"]:
            continue
        for measure, evidence in SHARES.items():
            # A category that the localiser has no contrast for cannot be found by it.
            if evidence != "localiser" or np.isfinite(preference["roi_t"].sel(category=planted)):
                found = str(preference["roi_preferred"].sel(evidence=evidence).values) == planted
                rows.append((measure, roi, float(found), np.nan, np.nan, 1))
        label = preference["label"].sel(category=planted).values
        known, carries = label != UNKNOWN, label == CARRIES
        shows = _show_features(images, preference["image"].values, set(mains) & set(PLANTED))
        response = preference["roi_response"]
        noiseless = own["response"].sel(image=preference["image"].values).values.mean(axis=1)
        for measure, values, wanted, used in (
            ("preferred_auc", response.sel(response="measured").values, carries, known),
            ("preferred_auc_predicted", response.sel(response="predicted").values, carries, known),
            ("preferred_auc_bound", noiseless, carries, known),
            ("planted_auc", response.sel(response="measured").values, shows, known | True),
        ):
            auc, _ = bound_comparison(
                values[used], wanted[used], resamples=resamples, generator=generator
            )
            if np.isfinite(auc[0]):
                rows.append((measure, roi, *auc, int(used.sum())))
    return pd.DataFrame(rows, columns=[name for name in COLUMNS if name != "subject"])


def _show_features(images: xr.Dataset, identities: np.ndarray, features: set[str]) -> np.ndarray:
    """Whether one of the features is visible in each image: bool (image,)."""
    labels = images["label"].sel(image=identities).values
    scenes = tabulate_scenes(read_scenes(images, identities), labels)
    return np.any([scenes.visible(feature) for feature in sorted(features)], axis=0)


def summarise_preference(
    regions: pd.DataFrame, *, resamples: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Rows ``measure subject roi value low high n`` for each subject and all together.

    regions: of :func:`score_preference` with a column ``subject``. ``roi_preference_…``: shares of
    regions with Wilson intervals, n regions. AUC: of each region of each subject as it is, n
    images; with roi or subject ``all`` means with bootstrap intervals over regions, over subjects
    or over both, n of these.
    """
    rows: list[tuple] = []
    for measure in regions["measure"].unique():
        own = regions[regions["measure"] == measure]
        parts = [(subject, "all", part) for subject, part in own.groupby("subject")]
        if measure in SHARES:
            for subject, roi, part in [*parts, ("all", "all", own)]:
                low, high = share_interval(part["value"].sum(), len(part))
                rows.append((measure, subject, roi, part["value"].mean(), low, high, len(part)))
            continue
        rows += own[COLUMNS].itertuples(index=False, name=None)
        parts += [("all", roi, part) for roi, part in own.groupby("roi")]
        for subject, roi, part in [*parts, ("all", "all", own)]:
            values = part["value"].to_numpy(float)
            found = bootstrap_mean(values, resamples=resamples, generator=generator)
            rows.append((measure, subject, roi, *found, len(values)))
    return pd.DataFrame(rows, columns=COLUMNS)
