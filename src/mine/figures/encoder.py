"""Encoder scores: R² of each voxel against its noise ceiling, and ROIs against the baselines.

Where a dataset has no noise ceiling, voxels stand in the order of their R² instead, ROIs are means
of R², and the figure says so.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mine.figures.style import (
    BLACK,
    FEW_REGIONS,
    GREY,
    LIGHT,
    mark_rois,
    name_model,
    new_figure,
    styled,
)
from mine.statistics.ceiling import LEAST_CEILING

LOWEST_BAR = -0.3  # an ROI far below zero is named by a number: its bar would flatten the others
LIMITS = (-0.6, 1.6)  # what lies outside is shown by an arrow at the frame, for the same reason
FEW = 10  # voxels, of which a ratio says little


def list_members(rois: xr.Dataset) -> dict[str, np.ndarray]:
    """Return the places of the voxels that are in no ROI, by "", and of those of each ROI: int
    (voxel,), ascending. A voxel of several ROIs is in each, so that none within another is lost."""
    member = rois["member"].transpose("roi", "voxel").values
    parts = {"": ~member.any(axis=0)}
    parts |= {str(roi): own for roi, own in zip(rois["roi"].values, member, strict=True)}
    return {roi: np.flatnonzero(own) for roi, own in parts.items()}


def has_ceiling(scores: xr.Dataset) -> bool:
    """Tell whether any voxel has a noise ceiling."""
    return bool(np.isfinite(scores["noise_ceiling"].values).any())


@styled
def draw_encoder(scores: xr.Dataset, rois: xr.Dataset) -> Figure:
    """Draw the scores of one subject (stores ``scores`` and ``rois``)."""
    names = [str(roi) for roi in scores["roi"].values]
    if len(names) <= FEW_REGIONS:
        figure = new_figure(92)
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.55))
    else:
        # Bars of many regions take the whole width, and the voxels' key the place beside them.
        figure = new_figure(165)
        parts = figure.subfigures(2, 1, height_ratios=(1.1, 1))
        left, right = (part.subplots() for part in parts)
    draw_voxels = _draw_voxels if has_ceiling(scores) else _draw_ordered
    draw_voxels(left, scores, list_members(rois), names)
    _draw_rois(right, scores)
    return figure


def tabulate_encoder(scores: xr.Dataset, rois: xr.Dataset) -> pd.DataFrame:
    """Return the numbers of :func:`draw_encoder`: panel, roi, voxel, model, noise_ceiling, value,
    low, high, n. A voxel has a row for each of its ROIs. An ROI's value is ΣR² / Σ noise ceiling
    over n voxels, or without any ceiling the mean R² of all of its voxels, n then being 0.
    """
    name = _name_roi_score(scores)
    members = list_members(rois)
    voxel = np.concatenate(list(members.values()))
    own = scores.sel(model="mine").isel(voxel=voxel)
    voxels = pd.DataFrame(
        {
            "panel": "voxels",
            "roi": np.repeat(list(members), [len(own) for own in members.values()]),
            "voxel": voxel,
            "model": "mine",
            "noise_ceiling": own["noise_ceiling"].values,
            "value": own["r2"].values,
            "low": own["r2_interval"].sel(bound="low").values,
            "high": own["r2_interval"].sel(bound="high").values,
        }
    )
    interval = scores[f"{name}_interval"]
    by_roi = [
        {
            "panel": "rois",
            "roi": str(roi),
            "model": str(model),
            "value": float(scores[name].sel(model=model, roi=roi)),
            "low": float(interval.sel(model=model, roi=roi, bound="low")),
            "high": float(interval.sel(model=model, roi=roi, bound="high")),
            "n": int(scores["roi_voxels"].sel(roi=roi)),
        }
        for roi in scores["roi"].values
        for model in scores["model"].values
    ]
    table = pd.concat([voxels, pd.DataFrame(by_roi)], ignore_index=True)
    return table.astype({"voxel": "Int64", "n": "Int64"})


def _draw_voxels(
    axes: Axes, scores: xr.Dataset, members: Mapping[str, np.ndarray], rois: list[str]
) -> None:
    """Draw R² against the noise ceiling by region, the smallest region on top."""
    own = scores.sel(model="mine")
    ceiling, r2 = own["noise_ceiling"].values, own["r2"].values
    interval = own["r2_interval"].transpose("bound", "voxel").values
    points = {"s": 7, "linewidths": 0, "alpha": 0.75, "rasterized": True}
    for roi, (colour, marker) in {"": (LIGHT, "o"), **mark_rois(rois)}.items():
        here = members[roi]
        if len(here):
            label = f"{roi or 'no region'} (n = {len(here):,})"
            points["zorder"] = 1 + 1 / (1 + len(here)) if roi else 1
            axes.scatter(ceiling[here], r2[here], c=colour, marker=marker, label=label, **points)
    top = float(np.nanmax(np.append(ceiling, 0.1))) * 1.05
    axes.plot([0, top], [0, top], color=BLACK, linestyle="--", linewidth=0.8, label="noise ceiling")
    axes.axhline(0, color=GREY, linewidth=0.6)
    half = float(np.nanmedian(interval[1] - interval[0])) / 2
    axes.errorbar(
        [top * 0.05], [top * 0.9], yerr=half, color=BLACK, marker="o", markersize=2, capsize=1.5
    )
    axes.annotate("median\n95% interval", (top * 0.08, top * 0.9), va="center")
    axes.set(
        xlabel="Noise ceiling (share of variance)",
        ylabel="R² of MINE on test images (share of variance)",
        title="Every voxel",
    )
    _add_voxel_key(axes, rois, handletextpad=0.2, markerscale=1.5)


def _draw_ordered(
    axes: Axes, scores: xr.Dataset, members: Mapping[str, np.ndarray], rois: list[str]
) -> None:
    """Draw R² in ascending order by region: without a ceiling there is nothing to hold it to."""
    r2 = scores["r2"].sel(model="mine").values
    for roi, (colour, _) in {"": (GREY, "o"), **mark_rois(rois)}.items():
        here = np.sort(r2[members[roi]])
        if len(here):
            share = (np.arange(len(here)) + 0.5) / len(here)
            axes.plot(share, here, color=colour, label=f"{roi or 'no region'} (n = {len(here):,})")
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.set(
        xlabel="Share of the region's voxels",
        ylabel="R² of MINE on test images (share of variance)",
        title="Every voxel (the dataset has no noise ceiling)",
    )
    _add_voxel_key(axes, rois)


def _add_voxel_key(axes: Axes, rois: list[str], **style: float) -> None:
    """Add a legend of regions, below or, of many, beside the axes."""
    if len(rois) <= FEW_REGIONS:
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.17), "ncols": 2}
    else:
        place = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5), "ncols": 1 + len(rois) // 18}
    axes.legend(**place, columnspacing=1, **style)


def _name_roi_score(scores: xr.Dataset) -> str:
    return "roi_r2_normalised" if has_ceiling(scores) else "roi_r2"


def _draw_rois(axes: Axes, scores: xr.Dataset) -> None:
    rois = [str(roi) for roi in scores["roi"].values]
    models = [str(model) for model in scores["model"].values]
    counts = scores["roi_voxels"].values
    width = 0.8 / len(models)
    score = _name_roi_score(scores)
    known = score == "roi_r2_normalised"
    faint = (counts < FEW) & known
    value = scores[score].transpose("model", "roi").values
    bounds = scores[f"{score}_interval"].transpose("model", "roi", "bound").values
    for place, model in enumerate(models):
        name, colour = name_model(model)
        x = np.arange(len(rois)) + (place - (len(models) - 1) / 2) * width
        drawn = np.isfinite(value[place]) & (value[place] >= LOWEST_BAR)
        low, high = bounds[place, drawn, 0], bounds[place, drawn, 1]
        middle = value[place, drawn]
        # A percentile interval need not hold the estimate; an error bar cannot be negative.
        error = np.maximum([middle - low, high - middle], 0)
        bars = axes.bar(x[drawn], middle, width, color=colour, label=name)
        for bar, few in zip(bars, faint[drawn], strict=True):
            bar.set_alpha(0.35 if few else 1)
        # Within the limits; what is cut has an arrow.
        ends = np.clip([middle - error[0], middle + error[1]], *LIMITS)
        axes.vlines(x[drawn], *ends, color=BLACK, linewidth=0.6)
        arrow = {"color": BLACK, "markersize": 2.5, "clip_on": False}
        for across in x[drawn][low < LIMITS[0]]:
            axes.plot(across, LIMITS[0], "v", **arrow)
        for across in x[drawn][high > LIMITS[1]]:
            axes.plot(across, LIMITS[1], "^", **arrow)
        for below in np.flatnonzero(np.isfinite(value[place]) & ~drawn):
            text = f"▼ {value[place, below]:.1f}"
            axes.annotate(text, (x[below], 0.02), rotation=90, ha="center", va="bottom")
    for place in np.flatnonzero((counts == 0) & known):
        axes.annotate("no voxel above", (place, 0.02), rotation=90, ha="center", va="bottom")
    axes.axhline(0, color=GREY, linewidth=0.6)
    if known:
        axes.axhline(1, color=BLACK, linestyle="--", linewidth=0.8)
        axes.annotate("noise ceiling", (len(rois) - 0.5, 1), ha="right", va="bottom")
        end = "\n" if len(rois) <= FEW_REGIONS else ", "
        labels = [f"{roi}{end}n = {count:,}" for roi, count in zip(rois, counts, strict=True)]
    else:
        labels = rois
    axes.set_xticks(range(len(rois)), labels, rotation=90 if len(rois) > FEW_REGIONS else 0)
    low, high = axes.get_ylim()
    axes.set(
        xlim=(-0.6, len(rois) - 0.4),
        ylim=(max(low, LIMITS[0]), max(min(high, LIMITS[1]), 1.1) if known else high),
        ylabel=f"{'ΣR² / Σ noise ceiling' if known else 'Mean R²'} on test images",
        title=f"Regions (n: voxels with a ceiling ≥ {LEAST_CEILING:g}; pale: n < {FEW}; "
        "95% intervals)"
        if known
        else "Regions (no noise ceiling; 95% intervals over images)",
    )
    axes.title.set_fontsize(7)
    if len(rois) <= FEW_REGIONS:
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.17), "ncols": 2}
        legend = axes.legend(**place, columnspacing=1, handlelength=1)
    else:
        # Below the names, however long.
        handles = axes.get_legend_handles_labels()
        legend = axes.figure.legend(*handles, loc="outside lower center", ncols=len(models))
    for patch in legend.get_patches():
        patch.set_alpha(1)  # the first region may be a pale one
