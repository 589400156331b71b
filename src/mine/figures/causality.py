"""Causal tests of one subject: sufficiency of words, insertion and removal, and who says so."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mine.figures import edits, generated
from mine.figures.strips import (
    EDGE,
    INK,
    LINE,
    format_count,
    format_signed,
    measure_word,
    write_note,
)
from mine.figures.style import (
    BLACK,
    GREY,
    HEADING,
    LIGHT,
    WIDTH,
    add_axes,
    add_text,
    new_figure,
    styled,
)
from mine.statistics import bootstrap_weights, clustered_effect

LEVEL = 0.05  # of the false discovery rate over the voxels of a region
CONTROLS = ("random", "lowest", "unspecific", "elsewhere")
KEYS = ["panel", "measure", "roi", "voxel", "direction", "guide", "condition", "model"]
COLUMNS = [*KEYS, "value", "low", "high", "n", "images"]
ALL = "all regions"

# mm
LABEL = 24.0
TITLE = 9.5
SUFFICIENCY = 10.5  # for each region
EFFECT = 9.5  # for each region
SCATTER = 38.0
AXIS = 10.0

Stores = Mapping[str, tuple[xr.Dataset, xr.Dataset]]
"""By ROI: sufficiency and counterfactuals."""


def tabulate_causality(
    by_roi: Stores, *, resamples: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Return the numbers of :func:`draw_causality`, a row each.

    Columns: panel, measure, roi, voxel, direction, guide, condition, model, value, low, high, n
    (voxels), images. Where there is no voxel, the row is of all voxels together; ``roi`` is
    ``all regions`` for those of all regions.

    - sufficiency: ``error`` by condition; ``advantage`` (the control's error less that of the
      attribution's words), its ``d``, the ``share`` of voxels in which it is positive and the
      share in which it is ``significant`` (q of the store at most 0.05), by control
    - edits: ``effect``, ``d``, ``share`` and ``significant`` by direction, guide and control
    - guidance: ``shift`` by voxel, direction and guide, from images that have both;
      ``guidance``, profile less description, by direction
    - models: ``shift`` of the description's edits by voxel, direction and model; ``correlation``
      of the encoder's with the evaluator's, over voxels
    - edit: ``presence_before`` and ``presence_after``, largest probability of the edit's feature
      over tokens; ``outside_similarity``; ``off_target``, |shift| of the voxels of other regions;
      by direction and condition, of all regions as the mean over them

    The statistics of a region are those of its stores. Of all regions, and of errors and
    correlations, intervals are from images resampled, 95%.
    """
    tested = {roi: pair for roi, pair in by_roi.items() if pair[0].sizes["voxel"]}
    rows: list[dict[str, object]] = []
    options = {"resamples": resamples, "generator": generator}
    rows += _tabulate_sufficiency({roi: pair[0] for roi, pair in tested.items()}, **options)
    found = {roi: pair[1] for roi, pair in tested.items() if pair[1].sizes["voxel"]}
    rows += _tabulate_effects(found, **options)
    rows += _tabulate_guidance(found, **options)
    rows += _tabulate_models(found, **options)
    rows += _tabulate_taken(found)
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype({"voxel": "Int64", "n": "Int64", "images": "Int64"})


def _tabulate_taken(by_roi: Mapping[str, xr.Dataset]) -> list[dict]:
    rows: list[dict] = []
    if not by_roi:
        return rows
    for name in ("presence_before", "presence_after", "outside_similarity", "off_target"):
        for direction, condition in product(edits.DIRECTIONS, edits.CONDITIONS):
            place = {"direction": direction, "condition": condition}
            row = {"panel": "edit", "measure": name} | place
            found = {
                roi: float(data.sel(model="evaluator", **place)[name])
                for roi, data in by_roi.items()
            }
            known = [value for value in found.values() if np.isfinite(value)]
            found[ALL] = np.mean(known) if known else np.nan
            rows += [row | {"roi": roi, "value": value} for roi, value in found.items()]
    return rows


def _tabulate_sufficiency(by_roi: Mapping[str, xr.Dataset], **options: object) -> list[dict]:
    rows: list[dict] = []
    judged = {roi: data.sel(model="evaluator") for roi, data in by_roi.items()}
    image = {roi: data["image"].values for roi, data in judged.items()}
    for condition in generated.CONDITIONS:
        errors = {
            roi: data["error"].sel(condition=condition).values for roi, data in judged.items()
        }
        common = {"panel": "sufficiency", "measure": "error", "condition": condition}
        for roi, data in judged.items():
            means = _mean(errors[roi])
            for voxel, mean in zip(data["voxel"].values, means, strict=True):
                rows.append(common | {"roi": roi, "voxel": voxel, "value": mean})
        for roi, (values, clusters) in _with_all(errors, image).items():
            found = clustered_effect(values.ravel(), clusters.ravel(), **options)[0]
            rows.append(common | {"roi": roi} | _bounds(found) | _count(values, clusters))
    for control in list(generated.CONDITIONS)[1:]:
        advantages = {
            roi: (data["error"].sel(condition=control) - data["error"].sel(condition="attribution"))
            for roi, data in judged.items()
        }
        own = {roi: data.sel(control=control) for roi, data in judged.items()}
        common = {"panel": "sufficiency", "condition": control}
        rows += _tabulate_contrast("advantage", "", common, advantages, own, image, **options)
    return rows


def _tabulate_effects(by_roi: Mapping[str, xr.Dataset], **options: object) -> list[dict]:
    rows: list[dict] = []
    for direction in edits.DIRECTIONS:
        judged = {
            roi: data.sel(model="evaluator", direction=direction) for roi, data in by_roi.items()
        }
        image = {roi: data["start"].values for roi, data in judged.items()}
        for guide in edits.GUIDES:
            for control in CONTROLS:
                effects = {
                    roi: data["shift"].sel(condition=guide) - data["shift"].sel(condition=control)
                    for roi, data in judged.items()
                }
                own = {roi: data.sel(guide=guide, control=control) for roi, data in judged.items()}
                common = {"panel": "edits", "direction": direction, "guide": guide}
                common["condition"] = control
                rows += _tabulate_contrast(
                    "effect", "effect_", common, effects, own, image, **options
                )
    return rows


def _tabulate_contrast(
    name: str,
    prefix: str,
    common: dict,
    pairs: Mapping[str, xr.DataArray],
    own: Mapping[str, xr.Dataset],
    image: Mapping[str, np.ndarray],
    **options: object,
) -> list[dict]:
    """Rows of a paired difference: of each region from its store, of all from their pairs."""
    rows: list[dict] = []
    significant = {roi: data[f"{prefix}q"].values <= LEVEL for roi, data in own.items()}
    values = {roi: pair.values for roi, pair in pairs.items()}
    for roi, (difference, clusters) in _with_all(values, image).items():
        count = _count(difference, clusters)
        means = _mean(difference)
        known = np.isfinite(means)
        if roi == ALL:
            effect = clustered_effect(difference.ravel(), clusters.ravel(), **options)
            share = (means[known] > 0).mean() if known.any() else np.nan
            passed = np.concatenate(list(significant.values()))
        else:
            effect = [own[roi][f"{prefix}roi_{part}"].values for part in ("mean", "cohens_dz")]
            share = float(own[roi][f"{prefix}roi_share"])
            passed = significant[roi]
        parts = {
            name: _bounds(effect[0]),
            "d": _bounds(effect[1]),
            "share": {"value": share},
            "significant": {"value": passed[known].mean() if known.any() else np.nan},
        }
        rows += [
            common | {"roi": roi, "measure": measure} | part | count
            for measure, part in parts.items()
        ]
    return rows


def _tabulate_guidance(by_roi: Mapping[str, xr.Dataset], **options: object) -> list[dict]:
    rows: list[dict] = []
    for direction in edits.DIRECTIONS:
        judged = {
            roi: data.sel(model="evaluator", direction=direction) for roi, data in by_roi.items()
        }
        common = {"panel": "guidance", "direction": direction}
        differences, image = {}, {}
        for roi, data in judged.items():
            shifts = data["shift"].sel(condition=list(edits.GUIDES)).transpose("condition", ...)
            shifts = shifts.values
            shifts = np.where(np.isfinite(shifts).all(axis=0), shifts, np.nan)
            differences[roi], image[roi] = shifts[1] - shifts[0], data["start"].values
            for guide, means in zip(edits.GUIDES, map(_mean, shifts), strict=True):
                for voxel, mean in zip(data["voxel"].values, means, strict=True):
                    row = {"measure": "shift", "roi": roi, "voxel": voxel, "guide": guide}
                    rows.append(common | row | {"value": mean})
        together = _with_all(differences, image)
        if together:
            difference, clusters = together.get(ALL, next(iter(together.values())))
            found = clustered_effect(difference.ravel(), clusters.ravel(), **options)[0]
            row = {"measure": "guidance", "roi": ALL} | _bounds(found)
            rows.append(common | row | _count(difference, clusters))
    return rows


def _tabulate_models(
    by_roi: Mapping[str, xr.Dataset], *, resamples: int, generator: np.random.Generator
) -> list[dict]:
    rows: list[dict] = []
    shifts, image, sides = [], [], []
    for roi, data in by_roi.items():
        for direction in edits.DIRECTIONS:
            own = data.sel(direction=direction)
            shift = own["shift"].sel(condition="description").transpose("model", ...)
            for model in ("evaluator", "encoder"):
                means = _mean(shift.sel(model=model).values)
                for voxel, mean in zip(data["voxel"].values, means, strict=True):
                    row = {"panel": "models", "measure": "shift", "roi": roi, "voxel": voxel}
                    row |= {"direction": direction, "guide": "description", "model": model}
                    rows.append(row | {"value": mean})
            shifts.append(shift.sel(model=["evaluator", "encoder"]).values)
            image.append(own["start"].values)
            sides += [direction] * data.sizes["voxel"]
    if not shifts:
        return rows
    values, clusters = np.concatenate(shifts, axis=1), np.concatenate(image)
    known, member = np.unique(clusters, return_inverse=True)
    weights = bootstrap_weights(len(known), resamples=resamples, generator=generator)
    weights = np.concatenate([np.ones((1, len(known))), weights])[:, member.reshape(clusters.shape)]
    side = np.array(sides)
    for direction in (*edits.DIRECTIONS, "both"):
        chosen = np.isin(side, list(edits.DIRECTIONS) if direction == "both" else [direction])
        found = _correlate_means(values[:, chosen], weights[:, chosen])
        low, high = np.nanquantile(found[1:], [0.025, 0.975]) if np.isfinite(found[0]) else [0, 0]
        row = {"panel": "models", "measure": "correlation", "roi": ALL, "direction": direction}
        if np.isfinite(found[0]):
            row |= {"value": found[0], "low": low, "high": high}
        rows.append(row | _count(values[0][chosen], clusters[chosen]))
    return rows


def _correlate_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Correlate two models' means over images, weighted, over voxels: (draw,).

    values: (model, voxel, chosen), nan for none. weights: (draw, voxel, chosen).
    """
    known = np.isfinite(values).all(axis=0)
    filled = np.where(known, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = (weights * known).sum(axis=-1)
        means = np.stack([(weights * part).sum(axis=-1) / total for part in filled])
        # A voxel of which no image was drawn has no part in that draw.
        there = np.isfinite(means).all(axis=0)
        count = there.sum(axis=-1)
        means = np.where(there, means, 0.0)
        centred = np.where(there, means - (means.sum(axis=-1) / count)[..., None], 0.0)
        products = (centred[0] * centred[1]).sum(axis=-1)
        result = products / np.sqrt(np.square(centred).sum(axis=-1).prod(axis=0))
    return np.where(count > 2, result, np.nan)


def _with_all(
    values: Mapping[str, np.ndarray], image: Mapping[str, np.ndarray]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Values and images (voxel, chosen) of each region and, if there are two, of all of them."""
    parts = {roi: (values[roi], image[roi]) for roi in values}
    if len(parts) > 1:
        together = (np.concatenate(part) for part in zip(*parts.values(), strict=True))
        parts[ALL] = tuple(together)
    return parts


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over what is known of the last axis; nan where nothing is."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(axis=-1) / known.sum(axis=-1)


def _bounds(found: np.ndarray) -> dict[str, float]:
    return dict(zip(("value", "low", "high"), map(float, found), strict=True))


def _count(values: np.ndarray, image: np.ndarray) -> dict[str, int]:
    known = np.isfinite(values)
    return {"n": int(known.any(axis=-1).sum()), "images": len(np.unique(image[known]))}


@styled
def draw_causality(table: pd.DataFrame, rois: list[str]) -> Figure:
    """Draw :func:`tabulate_causality`. rois: all regions, tested or not."""
    regions = [roi for roi in (*rois, ALL) if (table["roi"] == roi).any()]
    missing = [roi for roi in rois if roi not in regions]
    text = f"No voxel was tested in {', '.join(missing)}." if missing else ""
    if not regions:
        figure = new_figure(16, layout=None)
        add_text(figure, EDGE, 3, "Causal tests", fontsize=HEADING, weight="bold")
        add_text(figure, EDGE, 9, text)
        return figure
    regions = [roi for roi in regions if roi != ALL or len(regions) > 2]
    upper = TITLE + SUFFICIENCY * len(regions) + AXIS
    middle = TITLE + EFFECT * len(regions) + AXIS
    lower = 7.0 + SCATTER + 24
    figure = new_figure(upper + middle + lower + 14, layout=None)
    _draw_sufficiency(figure, 1.0, table, regions)
    _draw_effects(figure, 1.0 + upper, table, regions)
    top = 1.0 + upper + middle
    _draw_guidance(figure, top, table)
    _draw_models(figure, top, table)
    _draw_edit(figure, top, table)
    write_note(
        figure,
        top + lower,
        "All responses are the evaluator's predictions, but the encoder's in d; sd: standard "
        "deviations of the response. Error bars: 95% intervals, images resampled. a: d, mean over "
        "standard deviation of the paired differences; voxels, share in which the attribution's "
        "words win; q, false discovery rate over voxels. b: images of insertion + removal. e: "
        f"thin, regions; thick, their mean. {text}",
    )
    return figure


def _head(figure: Figure, top: float, left: float, letter: str, title: str) -> None:
    add_text(figure, left, top, letter, fontsize=HEADING + 1, weight="bold")
    add_text(figure, left + 4, top + 0.2, title, fontsize=HEADING)


def _label_regions(
    figure: Figure, top: float, height: float, counts: pd.DataFrame, regions: list[str]
) -> None:
    for place, roi in enumerate(regions):
        where = top + place * height + 0.6
        add_text(figure, EDGE, where, roi, weight="bold")
        if roi in counts.index:
            row = counts.loc[roi]
            voxels = format_count(row["n"], "voxel")
            add_text(figure, EDGE, where + LINE, f"{voxels},", color=INK)
            add_text(figure, EDGE, where + 2 * LINE, f"{row['images']} images", color=INK)


def _line_axes(
    figure: Figure, left: float, top: float, width: float, height: float, regions: list[str]
) -> Axes:
    """Axes in which each region has a band of height one."""
    axes = add_axes(figure, left, top, width, height * len(regions))
    axes.set(ylim=(len(regions), 0), yticks=[])
    axes.spines["left"].set_visible(False)
    for edge in range(1, len(regions)):
        # The last band, of all regions, is set apart.
        strong = regions[edge] == ALL
        axes.axhline(edge, color=GREY if strong else LIGHT, linewidth=0.8 if strong else 0.5)
    return axes


def _write_legend(figure: Figure, left: float, top: float, names: Mapping[str, tuple]) -> None:
    """Write names in their colours, one after the other."""
    for name, colour in names.items():
        add_text(figure, left, top, name, color=colour, weight="bold")
        left += measure_word(name, "bold") + 2.5


def _draw_sufficiency(figure: Figure, top: float, table: pd.DataFrame, regions: list[str]) -> None:
    data = table[table["panel"] == "sufficiency"]
    colours = {name: colour for name, (_, colour) in generated.CONDITIONS.items()}
    _head(figure, top, EDGE, "a", "Sufficiency: pictures from words alone")
    _write_legend(figure, 76, top + 0.4, colours)
    top += TITLE
    _label_regions(
        figure,
        top,
        SUFFICIENCY,
        _pick(data, measure="error", condition="attribution").set_index("roi"),
        regions,
    )
    size = {"top": top, "height": SUFFICIENCY, "regions": regions}
    left = _line_axes(figure, LABEL, width=58, **size)
    right = _line_axes(figure, LABEL + 64, width=36, **size)
    right.axvline(0, color=BLACK, linewidth=0.6)
    for number, (condition, colour) in enumerate(colours.items()):
        offset = (number + 1) / (len(colours) + 1)
        errors = data[(data["measure"] == "error") & (data["condition"] == condition)]
        points = errors[errors["voxel"].notna()]
        place = np.array([regions.index(roi) for roi in points["roi"]]) + offset
        style = {"s": 6, "color": colour, "alpha": 0.4, "linewidths": 0}
        left.scatter(points["value"].astype(float), place, gid="voxel", **style)
        for axes, measure in ((left, "error"), (right, "advantage")):
            rows = _pick(data, measure=measure, condition=condition)
            rows = rows[rows["roi"].isin(regions)]
            place = np.array([regions.index(roi) for roi in rows["roi"]]) + offset
            _draw_interval(axes, rows, place, colour)
    for line, control in enumerate(("random", "lowest")):
        for place, roi in enumerate(regions):
            where = top + place * SUFFICIENCY + 2.2 + line * (LINE + 0.3)
            said = _say_contrast(_pick(data, condition=control, roi=roi).set_index("measure"))
            for column, text in zip((127, 152.5, 165.5), said, strict=True):
                add_text(figure, column, where, text, color=colours[control], gid="number")
    for column, text in ((127, "d [95%]"), (152.5, "voxels"), (165.5, "q ≤ 0.05")):
        add_text(figure, column, top - LINE - 0.5, text, color=INK)
    left.set_xlim(left=0)
    left.set_xlabel("|picture − original| (sd); points: voxels")
    right.set_xlabel("Control's less attribution's (sd)")


def _say_contrast(rows: pd.DataFrame) -> tuple[str, str, str]:
    """d with its interval, share of voxels, number of significant voxels."""
    d, share, significant = (rows.loc[name] for name in ("d", "share", "significant"))
    if not share["n"]:
        return "not tested", "", ""
    text = f"{d['value']:.2f} [{d['low']:.2f}, {d['high']:.2f}]".replace("-", "−")
    count = round(significant["value"] * significant["n"])
    return text, f"{share['value'] * 100:.0f}%", f"{count} of {share['n']}"


def _draw_effects(figure: Figure, top: float, table: pd.DataFrame, regions: list[str]) -> None:
    data = table[table["panel"] == "edits"]
    colours = {name: edits.CONDITIONS[name][1] for name in CONTROLS}
    _head(figure, top, EDGE, "b", "Insertion and removal: feature less control")
    _write_legend(figure, 82, top + 0.4, colours)
    add_text(figure, 145, top + 0.4, "● description  ○ profile")
    top += TITLE
    size = {"top": top, "height": EFFECT, "regions": regions, "width": 46}
    for left, direction in ((LABEL, "insertion"), (LABEL + 79, "removal")):
        here = data[data["direction"] == direction]
        axes = _line_axes(figure, left, **size)
        axes.axvline(0, color=BLACK, linewidth=0.6)
        for number, (control, colour) in enumerate(colours.items()):
            for side, guide in enumerate(edits.GUIDES):
                rows = _pick(here, measure="effect", condition=control, guide=guide)
                rows = rows[rows["roi"].isin(regions)]
                offset = (2 * number + side + 0.9) / (2 * len(colours) + 0.8)
                place = np.array([regions.index(roi) for roi in rows["roi"]]) + offset
                _draw_interval(axes, rows, place, colour, filled=guide == "description")
        axes.set_xlabel(f"{direction.capitalize()}: shift less control's (sd)")
        beside = left + 46 + 1.5
        add_text(figure, beside, top - LINE - 0.5, "voxels above (%)", color=INK)
        for place, roi in enumerate(regions):
            for line, (guide, sign) in enumerate(zip(edits.GUIDES, "●○", strict=True)):
                where = top + place * EFFECT + 1.4 + line * (LINE + 0.4)
                rows = _pick(here, measure="share", guide=guide, roi=roi).set_index("condition")
                if not rows["n"].any():
                    add_text(figure, beside, where, "no such image" if line == 0 else "")
                    continue
                add_text(figure, beside, where, sign)
                for column, (control, colour) in enumerate(colours.items()):
                    value = rows.loc[control, "value"]
                    text = f"{value * 100:.0f}" if np.isfinite(value) else "–"
                    across = beside + 8.5 + 6.6 * column
                    add_text(figure, across, where, text, color=colour, ha="right", gid="number")
    counts = _pick(data, measure="effect", guide="profile", condition="unspecific")
    counts = counts.groupby("roi").agg(
        {"n": "max", "images": lambda found: " + ".join(map(str, found))}
    )
    _label_regions(figure, top, EFFECT, counts, regions)


def _draw_interval(
    axes: Axes, rows: pd.DataFrame, place: np.ndarray, colour: str, *, filled: bool = True
) -> None:
    value, low, high = (rows[name].to_numpy(float) for name in ("value", "low", "high"))
    axes.errorbar(
        value,
        place,
        # A percentile interval need not hold the estimate; an error bar cannot be negative.
        xerr=np.maximum([value - low, high - value], 0),
        fmt="o",
        color=colour,
        markersize=3.2 if filled else 2.8,
        markerfacecolor=colour if filled else "white",
        markeredgewidth=0.7,
        elinewidth=0.9,
    )


def _draw_guidance(figure: Figure, top: float, table: pd.DataFrame) -> None:
    data = table[table["panel"] == "guidance"]
    _head(figure, top, EDGE, "c", "Guided by profile, or by description")
    axes = add_axes(figure, 13, top + 7, SCATTER, SCATTER)
    shifts = data[data["measure"] == "shift"]
    for direction, rows in shifts.groupby("direction"):
        points = rows.pivot_table(
            index=["roi", "voxel"], columns="guide", values="value", dropna=False
        )
        _draw_points(axes, points["description"], points["profile"], str(direction))
    _draw_identity(axes)
    _write_found(axes, data[data["measure"] == "guidance"], "Profile less description")
    axes.set(xlabel="Shift, description's words (sd)", ylabel="Shift, profile's words (sd)")


def _draw_models(figure: Figure, top: float, table: pd.DataFrame) -> None:
    data = table[table["panel"] == "models"]
    _head(figure, top, 64, "d", "Encoder and evaluator")
    axes = add_axes(figure, 75, top + 7, SCATTER, SCATTER)
    shifts = data[data["measure"] == "shift"]
    for direction, rows in shifts.groupby("direction"):
        points = rows.pivot_table(
            index=["roi", "voxel"], columns="model", values="value", dropna=False
        )
        _draw_points(axes, points["evaluator"], points["encoder"], str(direction))
    _draw_identity(axes)
    _write_found(axes, data[data["measure"] == "correlation"], "Correlation")
    axes.set(xlabel="Shift, by the evaluator (sd)", ylabel="Shift, by the encoder (sd)")


def _draw_points(axes: Axes, x: pd.Series, y: pd.Series, direction: str) -> None:
    colour, marker = edits.DIRECTIONS[direction]
    style = {"s": 10, "alpha": 0.7, "linewidths": 0, "gid": "voxel"}
    axes.scatter(x.astype(float), y.astype(float), color=colour, marker=marker, **style)


def _draw_identity(axes: Axes) -> None:
    """Draw the identity line in square axes with room for text above the points."""
    ends = np.array([axes.get_xlim(), axes.get_ylim()])
    low, high = ends[:, 0].min(initial=-0.1), ends[:, 1].max(initial=0.1)
    axes.plot([low, high], [low, high], color=BLACK, linestyle="--", linewidth=0.8)
    axes.set(xlim=(low, high), ylim=(low, high))
    axes.locator_params(nbins=4)
    axes.axhline(0, color=LIGHT, linewidth=0.6, zorder=0)
    axes.axvline(0, color=LIGHT, linewidth=0.6, zorder=0)


def _write_found(axes: Axes, rows: pd.DataFrame, what: str) -> None:
    """Write what was found for each direction under the panel."""
    lines = [(f"{what} [95%]:", INK, None)]
    for _, row in rows.iterrows():
        value, low, high = (format_signed(row[name], 2) for name in ("value", "low", "high"))
        found = f"{value} [{low}, {high}]" if np.isfinite(row["value"]) else "not known"
        colour = edits.DIRECTIONS.get(row["direction"], (BLACK,))[0]
        lines.append((f"{row['direction']} {found}, n = {row['n']}", colour, "number"))
    for number, (text, colour, name) in enumerate(lines):
        place = {"xy": (0, 0), "xytext": (-22, -33 - 8.5 * number), "textcoords": "offset points"}
        axes.annotate(text, xycoords="axes fraction", color=colour, gid=name, **place)


def _draw_edit(figure: Figure, top: float, table: pd.DataFrame) -> None:
    data = table[table["panel"] == "edit"]
    _head(figure, top, 124, "e", "Did the edit take?")
    left, width = 138, WIDTH - 138 - EDGE
    upper = add_axes(figure, left, top + 7, width, 14)
    others = {
        "outside_similarity": (add_axes(figure, left, top + 23, width, 10), "Similar\noutside"),
        "off_target": (add_axes(figure, left, top + 35, width, 10), "Others\n|shift| (sd)"),
    }
    step = len(edits.CONDITIONS) + 1
    ticks = {
        (direction, condition): number + side * step
        for side, direction in enumerate(edits.DIRECTIONS)
        for number, condition in enumerate(edits.CONDITIONS)
    }
    for (direction, condition), place in ticks.items():
        here = data[(data["direction"] == direction) & (data["condition"] == condition)]
        by_roi = here.pivot(index="roi", columns="measure", values="value").dropna(how="all")
        colour = edits.CONDITIONS[condition][1]
        for roi, row in by_roi.iterrows():
            together = roi == ALL
            upper.plot(
                [place - 0.25, place + 0.25],
                [row["presence_before"], row["presence_after"]],
                color=colour,
                linewidth=1.8 if together else 0.5,
                alpha=1 if together else 0.5,
                marker="o" if together else None,
                markersize=2.8,
                markevery=[1],
            )
            for name, (axes, _) in others.items():
                size = {"markersize": 6, "markeredgewidth": 1.8} if together else {"markersize": 2}
                mark = {"color": colour, "alpha": 1 if together else 0.5, "markeredgewidth": 0}
                axes.plot(place, row[name], "_" if together else "o", **(mark | size))
    for side, direction in enumerate(edits.DIRECTIONS):
        middle = side * step + (len(edits.CONDITIONS) - 1) / 2
        upper.text(middle, 1.03, direction, ha="center", va="bottom")
    upper.set(xticks=[], ylim=(0, 1), yticks=[0, 1], xlim=(-0.6, 2 * step - 1.4))
    upper.set_ylabel("Feature\nread")
    for axes, label in others.values():
        axes.set(xticks=[], xlim=upper.get_xlim())
        axes.set_ylabel(label)
        axes.locator_params(axis="y", nbins=2)
    similar = others["outside_similarity"][0]
    low = min(0.9, similar.get_ylim()[0])
    similar.set(ylim=(low - 0.01, 1.01), yticks=[np.ceil(low * 20) / 20, 1])
    lowest = others["off_target"][0]
    lowest.set_ylim(0, 1.1 * lowest.get_ylim()[1])
    names = [condition for _, condition in ticks]
    lowest.set_xticks(list(ticks.values()), names, rotation=90)
    figure.align_ylabels([upper, *(axes for axes, _ in others.values())])


def _pick(data: pd.DataFrame, **values: str) -> pd.DataFrame:
    """Rows of regions, not of voxels, in which columns have certain values."""
    kept = data["voxel"].isna()
    for column, value in values.items():
        kept &= data[column] == value
    return data[kept]
