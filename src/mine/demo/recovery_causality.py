"""Recovery of causes: the causal tests of all regions and subjects in a few numbers.

:func:`tabulate_pairs` lists every paired difference of one region; :func:`summarise_causality`
turns those of all subjects into shares of voxels, effect sizes and correlations with exact
counterfactuals. All are the evaluator's.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from mine.demo.recovery import wilson_interval
from mine.demo.words import CONCEPTS
from mine.statistics import clustered_effect, pearson

PAIRS = ["measure", "voxel", "image", "difference"]
SHARES = {
    "sufficiency_beats_random": "sufficiency_random",
    "sufficiency_beats_lowest": "sufficiency_lowest",
    "insertion_expected": "insertion",
    "removal_expected": "removal",
    "insertion_expected_profile": "insertion_profile",
    "removal_expected_profile": "removal_profile",
}
EFFECTS = {
    "sufficiency_d_random": "sufficiency_random",
    "sufficiency_d_lowest": "sufficiency_lowest",
    "insertion_d": "insertion",
    "removal_d": "removal",
    "insertion_d_profile": "insertion_profile",
    "removal_d_profile": "removal_profile",
}
MEANS = {
    "insertion_effect": "insertion",
    "removal_effect": "removal",
    "profile_minus_description": "profile_minus_description",
}


def tabulate_pairs(
    sufficiency: xr.Dataset, counterfactuals: xr.Dataset, main: np.ndarray
) -> pd.DataFrame:
    """List the paired differences of one region: ``measure voxel image difference``.

    main: (voxel of the subject,), planted main features; voxels without one in words are left out.
    Of the sufficiency: error of the control less that of the attribution. Of the counterfactuals:
    shift of the description's (or profile's) edit less that of the random feature's.
    """
    error = sufficiency["error"].sel(model="evaluator")
    own = error.sel(condition="attribution", drop=True)
    shift = counterfactuals["shift"].sel(model="evaluator", drop=True)
    start = counterfactuals["start"]
    parts = [
        _list_pairs(
            f"sufficiency_{control}",
            error.sel(condition=control, drop=True) - own,
            sufficiency["image"],
        )
        for control in ("random", "lowest")
    ]
    for direction in shift["direction"].values:
        edits, image = shift.sel(direction=direction), start.sel(direction=direction)
        description, profile, random = (
            edits.sel(condition=name, drop=True) for name in ("description", "profile", "random")
        )
        parts += [
            _list_pairs(str(direction), description - random, image),
            _list_pairs(f"{direction}_profile", profile - random, image),
            _list_pairs("profile_minus_description", profile - description, image),
        ]
    pairs = pd.concat(parts, ignore_index=True)
    return pairs[np.isin(main[pairs["voxel"]], list(CONCEPTS))].reset_index(drop=True)


def _list_pairs(measure: str, difference: xr.DataArray, image: xr.DataArray) -> pd.DataFrame:
    known = np.isfinite(difference.values)
    voxel = np.broadcast_to(difference["voxel"].values[:, None], known.shape)
    return pd.DataFrame(
        {
            "measure": measure,
            "voxel": voxel[known],
            "image": image.values[known],
            "difference": difference.values[known],
        }
    )


def summarise_causality(
    pairs: pd.DataFrame,
    edits: pd.DataFrame,
    *,
    resamples: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Rows ``measure subject roi value low high n`` for each subject and region and all together.

    pairs: of :func:`tabulate_pairs`, edits: of mine.demo.counterfactuals.compare_edits, both with
    columns subject and roi. Shares are over voxels with Wilson intervals; effect sizes and means
    over (voxel, image) with images resampled; n is the number of voxels, or of edits.
    """
    rows: list[tuple] = []
    for subject, roi, own in _groups(pairs):
        by_measure = dict(tuple(own.groupby("measure")))
        for measure, source in SHARES.items():
            if source in by_measure:
                better = by_measure[source].groupby(["subject", "voxel"])["difference"].mean() > 0
                low, high = wilson_interval(better.sum(), len(better))
                rows.append((measure, subject, roi, better.mean(), low, high, len(better)))
        for row, table in enumerate((MEANS, EFFECTS)):
            for measure, source in table.items():
                if source in by_measure:
                    part = by_measure[source]
                    found = clustered_effect(
                        part["difference"].to_numpy(),
                        part["image"].to_numpy(),
                        resamples=resamples,
                        generator=generator,
                    )
                    voxels = len(part.groupby(["subject", "voxel"]))
                    rows.append((measure, subject, roi, *found[row], voxels))
    for subject, roi, own in _groups(edits):
        for measure, values in _compare(own).items():
            draws = [
                _compare(_resample(own, generator))[measure] for _ in range(min(resamples, 500))
            ]
            low, high = np.nanquantile(draws, [0.025, 0.975])
            rows.append((measure, subject, roi, values, low, high, len(own)))
    columns = ["measure", "subject", "roi", "value", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


def _groups(table: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Each subject and region with its rows, each subject's regions together, and all together."""
    parts = [
        (str(subject), str(roi), own) for (subject, roi), own in table.groupby(["subject", "roi"])
    ]
    parts += [(str(subject), "all", own) for subject, own in table.groupby("subject")]
    return [*parts, ("all", "all", table)] if len(table) else []


def _compare(edits: pd.DataFrame) -> dict[str, float]:
    """Correlation and slope of the generator's edits with their exact counterparts."""
    change, exact, planted = (edits[name].to_numpy() for name in ("change", "exact", "planted"))
    centred = exact - exact.mean()
    spread = np.square(centred).sum()
    return {
        "exact_correlation": float(pearson(exact, change)),
        "exact_slope": float(centred @ change / spread) if spread > 0 else np.nan,
        "planted_correlation": float(pearson(planted, change)),
    }


def _resample(edits: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    """The edits of images drawn with replacement."""
    by_image = [part for _, part in edits.groupby("image")]
    drawn = generator.integers(len(by_image), size=len(by_image))
    return pd.concat([by_image[row] for row in drawn])
