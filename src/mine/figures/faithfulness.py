"""Faithfulness: what is left of the prediction when tokens are kept or removed in a ranking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from mine.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    PURPLE,
    SIZE,
    SKY,
    VERMILLION,
    mark_rois,
    measure_text,
    new_figure,
    styled,
)
from mine.wording import format_count

REFERENCE = "integrated_gradients"

RANKINGS = {
    REFERENCE: ("integrated gradients", BLUE, "-"),
    "attention": ("attention", ORANGE, "-"),
    "attention_value": ("attention × value", GREEN, "-"),
    "gradient_input": ("gradient × input", VERMILLION, "--"),
    "ablation": ("single-token ablation", SKY, "--"),
    "norm": ("token norm", PURPLE, "-."),
    "random": ("random", BLACK, ":"),
    "lowest": ("lowest |attribution|", GREY, ":"),
}

FAR = ("norm", "random", "lowest")  # no close rivals, whose limits would hide these
MODES = {"keep": "tokens kept", "remove": "tokens removed"}
COLUMNS = 4
AGAINST = "Integrated gradients against …"
LOWEST_CURVE = -0.3  # what is worse than the baseline by more would flatten the others


def retained(faithfulness: xr.Dataset) -> xr.DataArray:
    """Return what is left of the prediction, 1 − normalised error, as a mean over voxels: (bound,
    ranking, mode, fraction). 1 is the full prediction, 0 the baseline's. Bounds stay in order.
    """
    error = faithfulness["roi_error"]
    return _flip(1 - error)


def advantages(faithfulness: xr.Dataset) -> xr.DataArray:
    """Return by how much integrated gradients are the more faithful ranking: (bound, ranking,
    mode).

    The area between its curve of :func:`retained` and the other ranking's, above it where tokens
    are kept, below it where they are removed: positive in both modes if integrated gradients put
    the tokens that matter first.
    """
    difference = faithfulness["error_auc_difference"]
    others = difference["ranking"].values != REFERENCE
    difference = difference.isel(ranking=others)
    return xr.concat(
        [_flip(-difference.sel(mode="keep")), difference.sel(mode="remove")],
        xr.Variable("mode", ["keep", "remove"]),
    )


def tabulate_faithfulness(by_roi: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """Return curves and areas: roi, measure, ranking, mode, fraction, value, low, high, n.

    Measures: ``retained`` and ``advantage``, which are drawn, and beside them the areas ``auc``
    under R² to the prediction and to the measured response, ``error_auc`` under the normalised
    error, and their paired differences, integrated gradients minus the ranking. n counts images.
    """
    rows: list[pd.DataFrame] = []
    for roi, data in by_roi.items():
        measures = {
            "retained": retained(data),
            "advantage": advantages(data),
            "error_auc": data["roi_error_auc"],
            "error_auc_difference": data["error_auc_difference"],
        }
        for target in data["target"].values:
            measures[f"auc_{target}"] = data["roi_auc"].sel(target=target, drop=True)
            measures[f"auc_{target}_difference"] = data["auc_difference"].sel(
                target=target, drop=True
            )
        for name, array in measures.items():
            frame = array.rename("_").to_dataset(dim="bound").to_dataframe().reset_index()
            rows.append(frame.assign(roi=roi, measure=name, n=data.attrs["images"]))
    columns = ["roi", "measure", "ranking", "mode", "fraction", "value", "low", "high", "n"]
    return pd.concat(rows, ignore_index=True)[columns]


@styled
def draw_faithfulness(by_roi: Mapping[str, xr.Dataset]) -> Figure:
    """Draw the curves and differences of one subject. by_roi: ``faithfulness`` stores by ROI.

    Where integrated gradients were the only ranking, there are curves alone.
    """
    columns = min(COLUMNS, len(by_roi))
    strips = -(-len(by_roi) // columns)
    groups = _group_rivals(next(iter(by_roi.values()))["ranking"].values)
    heights = [27.0 * 2 * strips]
    if groups:
        heights.append(_measure_differences(groups, len(by_roi)))
    figure = new_figure(14 + sum(heights))
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    panels = parts[0].subplots(2 * strips, columns, sharex=True, sharey=True, squeeze=False)
    _draw_all_curves(figure, panels, by_roi)
    if groups:
        _draw_differences(parts[1], by_roi, groups)
    return figure


def _group_rivals(rankings: Iterable[str]) -> list[list[str]]:
    """Rankings beside integrated gradients, close rivals apart from the others; none is empty."""
    others = [str(ranking) for ranking in rankings if ranking != REFERENCE]
    groups = [[name for name in others if (name in FAR) == far] for far in (False, True)]
    return [group for group in groups if group]


def _measure_differences(groups: list[list[str]], rois: int) -> float:
    """Height of the lower part, in which its own label has place however few rankings there are:
    mm."""
    band = max(5.0, 1.2 * rois)
    return max(14 + band * sum(map(len, groups)) + 8 * len(groups), measure_text(AGAINST) + 3)


def _draw_all_curves(figure: Figure, panels: np.ndarray, by_roi: Mapping[str, xr.Dataset]) -> None:
    """Draw what is left of the prediction: a panel a region and mode, and one key for all."""
    least = min(float(retained(data).min()) for data in by_roi.values())
    lowest = float(np.clip(least - 0.02, LOWEST_CURVE, -0.05))
    for place, roi in enumerate(by_roi):
        strip, column = divmod(place, panels.shape[1])
        for line, mode in enumerate(MODES):
            axes = panels[2 * strip + line, column]
            _draw_curves(axes, by_roi[roi], mode)
            axes.set_ylim(lowest, 1.08)
            if line == 0:
                n = by_roi[roi].sizes["voxel"]
                axes.set_title(f"{roi} ({format_count(n, 'voxel')})")
            if column == 0:
                axes.set_ylabel(f"Prediction left,\n{MODES[mode]}")
    for axes in panels.flat:
        if not axes.lines:
            axes.set_visible(False)
    for axes in _lowest(panels):
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("Fraction of tokens")
    images = next(iter(by_roi.values())).attrs["images"]
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=4,
        title=f"Tokens ranked by … (mean over voxels, 95% intervals over {images} images)",
    )


def _draw_differences(
    lower: SubFigure, by_roi: Mapping[str, xr.Dataset], groups: list[list[str]]
) -> None:
    """Draw by how much integrated gradients are ahead of each other ranking."""
    ratios = [len(group) for group in groups]
    grid = lower.subplots(len(groups), 2, sharey="row", squeeze=False, height_ratios=ratios)
    for line, (row, group) in enumerate(zip(grid, groups, strict=True)):
        for axes, mode in zip(row, MODES, strict=True):
            _draw_advantages(axes, by_roi, mode, group)
            if line == 0:
                axes.set_title(MODES[mode].capitalize())
            if line == len(groups) - 1:
                axes.set_xlabel(
                    "Area between the curves; more faithful:\n"
                    "← the other ranking    integrated gradients →"
                )
    grid[0, 1].legend(loc="upper left", bbox_to_anchor=(1, 1), handletextpad=0.2)
    lower.supylabel(AGAINST, fontsize=SIZE)


def _draw_curves(axes: Axes, data: xr.Dataset, mode: str) -> None:
    curves = retained(data).sel(mode=mode)
    fraction = curves["fraction"].values
    for ranking in curves["ranking"].values:
        name, colour, line = RANKINGS[str(ranking)]
        value, low, high = curves.sel(ranking=ranking).transpose("bound", "fraction").values
        axes.fill_between(fraction, low, high, color=colour, alpha=0.15, linewidth=0)
        # Wide and beneath, so that a rival that falls together with it is still seen.
        width = 2.2 if ranking == REFERENCE else 1.0
        axes.plot(fraction, value, color=colour, linestyle=line, linewidth=width, label=name)
    axes.axhline(0, color=LIGHT, linewidth=0.6, zorder=0)
    axes.axhline(1, color=LIGHT, linewidth=0.6, zorder=0)
    axes.set(xlim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])


def _draw_advantages(
    axes: Axes, by_roi: Mapping[str, xr.Dataset], mode: str, others: list[str]
) -> None:
    step = 0.8 / max(len(by_roi), 1)
    for place, (roi, (colour, marker)) in enumerate(mark_rois(list(by_roi)).items()):
        value, low, high = (
            advantages(by_roi[roi])
            .sel(mode=mode, ranking=others)
            .transpose("bound", "ranking")
            .values
        )
        y = np.arange(len(others)) + (place - (len(by_roi) - 1) / 2) * step
        axes.errorbar(
            value,
            y,
            xerr=np.maximum([value - low, high - value], 0),
            fmt=marker,
            color=colour,
            markersize=3,
            elinewidth=0.7,
            label=roi,
        )
    for edge in range(1, len(others)):
        axes.axhline(edge - 0.5, color=LIGHT, linewidth=0.5)
    axes.axvline(0, color=BLACK, linewidth=0.6)
    axes.set_yticks(range(len(others)), [RANKINGS[str(name)][0] for name in others])
    axes.set_ylim(len(others) - 0.5, -0.5)


def _flip(array: xr.DataArray) -> xr.DataArray:
    """Exchange the bounds low and high, after the sign was turned."""
    order = {"value": "value", "low": "high", "high": "low"}
    names = [order[str(bound)] for bound in array["bound"].values]
    return array.sel(bound=names).assign_coords(bound=array["bound"].values)


def _lowest(panels: np.ndarray) -> list[Axes]:
    """The lowest panel that is shown in each column."""
    return [[axes for axes in column if axes.get_visible()][-1] for column in panels.T]
