"""How many voxels of each ROI are described, and why the others are not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mine.figures.style import BLACK, FEW_REGIONS, REASON_COLOURS, new_figure, styled
from mine.stages.profiles import REASONS
from mine.statistics.proportions import share_interval


def tabulate_described(reasons: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Count the reasons for which voxels are described or not.

    reasons: by ROI, (voxel,) of the profiles' ``reason``. Returns roi, reason, voxels, value (their
    share), low, high (Wilson's 95% interval over voxels), n.
    """
    rows = []
    for roi, reason in reasons.items():
        for name in reversed(REASONS):
            count, n = int((reason == name).sum()), len(reason)
            low, high = share_interval(count, n)
            rows.append(
                {
                    "roi": roi,
                    "reason": name,
                    "voxels": count,
                    "value": count / n if n else np.nan,
                    "low": low,
                    "high": high,
                    "n": n,
                }
            )
    return pd.DataFrame(rows)


LEAST_SIZE = 6.0  # %, of a part that has room for a number, and between two numbers


@styled
def draw_described(reasons: Mapping[str, np.ndarray]) -> Figure:
    """Draw :func:`tabulate_described` as one stacked bar for each ROI."""
    table = tabulate_described(reasons)
    rois = list(reasons)
    figure = new_figure(75)
    axes = figure.subplots()
    bottom, written = np.zeros(len(rois)), np.full(len(rois), -np.inf)
    found = table.groupby("reason")["voxels"].sum()
    for name in reversed(REASONS):
        if not found[name]:
            continue
        part = table[table["reason"] == name].set_index("roi").loc[rois]
        share = part["value"].fillna(0).to_numpy() * 100
        axes.bar(
            rois,
            share,
            0.7,
            bottom,
            color=REASON_COLOURS[name],
            edgecolor=BLACK,
            linewidth=0.4,
            label=name,
        )
        for place, (low, size, voxels) in enumerate(
            zip(bottom, share, part["voxels"], strict=True)
        ):
            middle = low + size / 2
            if size >= LEAST_SIZE:
                ink = "white" if name == "described" else BLACK
                axes.text(place, middle, voxels, ha="center", va="center", color=ink)
            elif voxels:
                # Beside the bar, above the number of another thin part.
                written[place] = max(middle, written[place] + LEAST_SIZE, LEAST_SIZE / 2)
                axes.text(place + 0.38, written[place], voxels, va="center")
        bottom += share
    first = table[table["reason"] == "described"].set_index("roi").loc[rois]
    middle = first["value"].to_numpy() * 100
    error = [middle - first["low"] * 100, first["high"] * 100 - middle]
    # Beside the numbers, not across them.
    beside = np.arange(len(rois)) + 0.22
    axes.errorbar(
        beside, middle, yerr=np.maximum(error, 0), fmt="none", ecolor=BLACK, capsize=2, elinewidth=1
    )
    crowded = len(rois) > FEW_REGIONS
    for place, n in enumerate(first["n"]):
        axes.text(place, 102, f"n = {n:,}", ha="center", va="bottom", rotation=90 if crowded else 0)
    top = 122 if crowded else 110
    axes.set(ylabel="Voxels (%)", xlabel="Region", ylim=(0, top), yticks=range(0, 101, 25))
    axes.tick_params(axis="x", rotation=90 if crowded else 0)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=len(REASONS))
    return figure
