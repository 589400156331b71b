"""Edits by the generator against the same edits rendered exactly from the demo's scenes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mine.figures.edits import DIRECTIONS
from mine.figures.strips import EDGE, INK, LINE, format_signed, write_note
from mine.figures.style import (
    BLACK,
    GREY,
    HEADING,
    LIGHT,
    add_axes,
    add_text,
    error_lengths,
    new_figure,
    styled,
)
from mine.statistics.bootstrap import bootstrap_weights
from mine.statistics.effects import clustered_effect
from mine.wording import format_count

MARKERS = {"description": "o", "profile": "^", "other": "P", "random": "s", "lowest": "D"}
TARGETS = {
    "exact": "Evaluator: change by the exact edit (sd)",
    "planted": "Planted response: change by the exact edit (its own sd)",
}
BINS = 8
SMALLEST = 5  # edits, of which a mean is worth drawing
KEYS = ["item", "against", "subject", "roi", "voxel", "direction", "condition", "image"]

# mm
SIDE = 68.0
TOP = 18.0


def tabulate_exact(
    edits: pd.DataFrame, *, resamples: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Return the numbers of :func:`draw_exact`.

    edits: rows of recovery_edits.tsv of all subjects. Columns:
    item, against (``exact`` or ``planted``), subject, roi, voxel, direction, condition, image, x,
    value, low, high, n, images. Items: ``edit``, x the exact edit's change and value the
    generator's; ``correlation`` and ``slope`` of the generator's on the exact one, by direction and
    over both; ``bin``, means over edits of like x, over both directions. Intervals are 95%, of
    bins from images left out, of the others from images resampled. n counts edits of voxels.
    """
    # Of a table without rows no column would be known to hold numbers.
    edits = edits.astype({"change": float, "image": int} | dict.fromkeys(TARGETS, float))
    rows: list[dict[str, object]] = []
    points = []
    for target in TARGETS:
        own = edits[["subject", "roi", "voxel", "direction", "condition", "image"]]
        points.append(own.assign(item="edit", against=target, x=edits[target], value=edits.change))
        for direction in (*DIRECTIONS, "both"):
            here = edits if direction == "both" else edits[edits["direction"] == direction]
            common = {"against": target, "direction": direction, "n": len(here)}
            common["images"] = here["image"].nunique()
            found = _relate(here, target, resamples=resamples, generator=generator)
            for item, bounds in zip(("correlation", "slope"), found, strict=True):
                named = dict(zip(("value", "low", "high"), bounds, strict=True))
                rows.append(common | {"item": item} | named)
        for part in _cut(edits, target):
            bounds = clustered_effect(part["change"].to_numpy(), part["image"].to_numpy())[0]
            row = {"item": "bin", "against": target, "direction": "both", "x": part[target].mean()}
            row |= dict(zip(("value", "low", "high"), bounds, strict=True))
            rows.append(row | {"n": len(part), "images": part["image"].nunique()})
    columns = [*KEYS, "x", "value", "low", "high", "n", "images"]
    table = pd.concat([*points, pd.DataFrame(rows, columns=columns)], ignore_index=True)
    return table[columns].astype(dict.fromkeys(("voxel", "image", "n", "images"), "Int64"))


def _relate(
    edits: pd.DataFrame, target: str, *, resamples: int, generator: np.random.Generator
) -> np.ndarray:
    """Correlation of change and target, and slope of change on it: (statistic, bound)."""
    if len(edits) < 3:
        return np.full((2, 3), np.nan)
    x, y = (edits[name].to_numpy(float) for name in (target, "change"))
    x, y = x - x.mean(), y - y.mean()
    known, member = np.unique(edits["image"].to_numpy(), return_inverse=True)
    terms = np.ones(len(x)), x, y, x * x, y * y, x * y
    sums = np.stack([np.bincount(member, weights=term) for term in terms])
    weights = bootstrap_weights(len(known), resamples=resamples, generator=generator)
    weights = np.concatenate([np.full((1, len(known)), 1 / len(known)), weights])
    count, *rest = sums @ weights.T
    mean_x, mean_y, square_x, square_y, product = (part / count for part in rest)
    covariance = product - mean_x * mean_y
    variances = square_x - mean_x**2, square_y - mean_y**2
    with np.errstate(invalid="ignore", divide="ignore"):
        draws = np.stack([covariance / np.sqrt(variances[0] * variances[1]), covariance])
        draws[1] /= variances[0]
    if not np.isfinite(draws[:, 0]).all():
        return np.full((2, 3), np.nan)
    bounds = np.nanquantile(draws[:, 1:], [0.025, 0.975], axis=1)
    return np.concatenate([draws[:, :1], bounds.T], axis=1)


def _cut(edits: pd.DataFrame, target: str) -> list[pd.DataFrame]:
    """Parts of rising target and about equal number; equal values stay together."""
    if len(edits) < SMALLEST:
        return []
    ranked = edits.sort_values(target, kind="stable")
    values, least = ranked[target].to_numpy(), max(len(edits) / BINS, SMALLEST)
    cuts = [0]
    for end in range(1, len(values)):
        full = end - cuts[-1] >= least and len(values) - end >= least / 2
        if full and values[end] > values[end - 1]:
            cuts.append(end)
    ends = [*cuts[1:], len(values)]
    return [ranked.iloc[start:end] for start, end in zip(cuts, ends, strict=True)]


@styled
def draw_exact(table: pd.DataFrame) -> Figure:
    """Draw :func:`tabulate_exact`."""
    if not (table["item"] == "edit").any():
        figure = new_figure(14, layout=None)
        add_text(figure, EDGE, 4, "No edit has an exact counterpart.", fontsize=HEADING)
        return figure
    images = int(table["images"].max())
    figure = new_figure(TOP + SIDE + 38, layout=None)
    _write_legend(figure)
    for place, (target, label) in enumerate(TARGETS.items()):
        left = 17 + place * (SIDE + 23)
        data = table[table["against"] == target]
        axes = add_axes(figure, left, TOP, SIDE, SIDE)
        _draw_points(axes, data[data["item"] == "edit"])
        _draw_bins(axes, data[data["item"] == "bin"])
        if target == "exact":
            low = max(axes.get_xlim()[0], axes.get_ylim()[0])
            high = min(axes.get_xlim()[1], axes.get_ylim()[1])
            axes.plot([low, high], [low, high], color=BLACK, linestyle="--", linewidth=0.8)
        add_text(figure, left - 15, TOP - 4, "ab"[place], fontsize=HEADING + 1, weight="bold")
        axes.set_xlabel(label)
        axes.set_ylabel("Evaluator: change by the generator's edit (sd)")
        _write_found(figure, left, TOP + SIDE + 11, data)
    write_note(
        figure,
        TOP + SIDE + 27,
        "sd: standard deviations of the measured response. The planted response is without noise "
        "and measured in its own, so that no identity is expected. Each point is an edit for a "
        f"voxel; edits of {format_count(images, 'image')}. 95% intervals: error bars, images left "
        "out; brackets, images resampled.",
    )
    return figure


def _write_legend(figure: Figure) -> None:
    axes = add_axes(figure, EDGE, 1, 176, 12)
    axes.axis("off")
    dot = {"linestyle": "none", "markersize": 4}
    handles = [
        Line2D([], [], color=colour, marker="o", label=name, **dot)
        for name, (colour, _) in DIRECTIONS.items()
    ]
    ring = {"markeredgecolor": GREY, "markerfacecolor": GREY, **dot}
    handles += [
        Line2D([], [], marker=marker, label=f"by {name}", **ring)
        for name, marker in MARKERS.items()
    ]
    handles += [
        Line2D([], [], color=BLACK, marker="o", markersize=4, label="means of about equal parts"),
        Line2D([], [], color=BLACK, linestyle="--", linewidth=0.8, label="identity"),
    ]
    axes.legend(handles=handles, loc="upper left", ncols=4, borderaxespad=0, columnspacing=1.5)


def _draw_points(axes: Axes, points: pd.DataFrame) -> None:
    axes.axhline(0, color=LIGHT, linewidth=0.6, zorder=0)
    axes.axvline(0, color=LIGHT, linewidth=0.6, zorder=0)
    for (direction, condition), rows in points.groupby(["direction", "condition"]):
        axes.scatter(
            rows["x"].astype(float),
            rows["value"].astype(float),
            s=7,
            color=DIRECTIONS[direction][0],
            marker=MARKERS[condition],
            alpha=0.4,
            linewidths=0,
            rasterized=True,
            gid="edit",
        )


def _draw_bins(axes: Axes, bins: pd.DataFrame) -> None:
    x, value = (bins[name].to_numpy(float) for name in ("x", "value"))
    error = error_lengths(bins)
    axes.errorbar(
        x, value, yerr=error, fmt="o-", color=BLACK, markersize=4, elinewidth=1, markeredgecolor="w"
    )


def _write_found(figure: Figure, left: float, top: float, data: pd.DataFrame) -> None:
    """Write correlation, slope and number under a panel, by direction and over both."""
    columns = {"correlation": left + 3, "slope": left + 32}
    for text, across in (*columns.items(), ("edits", left + 61)):
        add_text(figure, across, top, text, color=INK)
    for line, direction in enumerate((*DIRECTIONS, "both"), start=1):
        rows = data[data["direction"] == direction].set_index("item")
        style = {"color": DIRECTIONS.get(direction, (BLACK,))[0]}
        where = top + line * (LINE + 0.4)
        add_text(figure, left - 12, where, direction, **style)
        for item, across in columns.items():
            found = rows.loc[item]
            said = [format_signed(found[name], 2) for name in ("value", "low", "high")]
            text = f"{said[0]} [{said[1]}, {said[2]}]" if np.isfinite(found["value"]) else "–"
            add_text(figure, across, where, text, gid="number", **style)
        text = f"{rows.loc['slope', 'n']:,}"
        add_text(figure, left + 61, where, text, gid="number", **style)
