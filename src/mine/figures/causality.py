"""Causal tests of one subject: sufficiency of words, insertion and removal, and who says so."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mine.core.conditions import CONTROLS, CONTROLS_OF, GUIDES, REFERENCES
from mine.figures import edits, generated
from mine.figures.strips import (
    EDGE,
    INK,
    LINE,
    format_signed,
    measure_note,
    write_note,
    write_panel_title,
)
from mine.figures.style import (
    BLACK,
    GREY,
    HEADING,
    INKS,
    LIGHT,
    WIDTH,
    add_axes,
    add_key,
    add_text,
    measure_text,
    name_region,
    new_figure,
    styled,
)
from mine.sections import ALL
from mine.stages.causality import DIFFERENCE
from mine.statistics.multiple_comparisons import SIGNIFICANT
from mine.wording import format_count

COMPARED = ("random", "lowest", "empty")
"""What the description's pictures are compared with in numbers: other words, and none."""

JUDGE = "evaluator"
"""Whose numbers are drawn; the encoder's own are beside them in d and in the table."""

# mm
TITLE = 8.5
TEXT = 2.5  # from line to line of a region's label and numbers
SUFFICIENCY = 7.8  # for each region: three such lines
EFFECT = 8.1  # for each region
SCATTER = 32.0
AXIS = 9.5
ERRORS = 50.0  # right edge of the errors of panel a
ADVANTAGES = (56.0, 82.0)  # left and right edge of what is beside them
NUMBERED = (84.0, 132.0)  # where their numbers begin: to predicted and to measured responses
COLUMNS = (0.0, 28.0, 36.6)  # of these numbers, from there
NUMBERS = (35.0, 26.0)  # beside the shifts of panel b: by insertion, by removal


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
    lower = 7.0 + SCATTER + 22.0
    note = (
        "Responses are the evaluator's predictions, in d the encoder's too; sd: standard "
        "deviations of the response. Bars and brackets: 95% intervals, images left out. a: points, "
        "voxels; open, distance to the measured response; d, mean over "
        "standard deviation of the paired differences, of two voxels or more; voxels, share in "
        "which the description's words win; q, false discovery rate over voxels; too few: with n "
        f"images a voxel's p is 1/2ⁿ at least, no q ≤ {SIGNIFICANT}. b: images of insertion + "
        "removal. e: thin, regions; thick, their mean. "
        f"{text}"
    )
    figure = new_figure(1.0 + upper + middle + lower + measure_note(note), layout=None)
    sizes = [_say_sizes(counts, regions) for counts in _count_tested(table)]
    left = EDGE + max(map(_measure_label, sizes)) + 2.0
    for top, height, labels in ((0.0, SUFFICIENCY, sizes[0]), (upper, EFFECT, sizes[1])):
        _label_regions(figure, 1.0 + top + TITLE, height, labels)
    _draw_sufficiency(figure, 1.0, left, table, regions)
    _draw_effects(figure, 1.0 + upper, left, table, regions)
    top = 1.0 + upper + middle
    _draw_guidance(figure, top, table)
    _draw_models(figure, top, table)
    _draw_edit(figure, top, table)
    write_note(figure, top + lower, note)
    return figure


def _count_tested(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Voxels and images by region, those of pictures and those of edits: n, images."""
    judged = table[table["model"] == JUDGE]
    pictures = _pick(judged, panel="sufficiency", measure="error", condition="description")
    edited = _pick(judged, panel="edits", measure="effect", guide="profile", condition="unspecific")
    sides = {"n": "max", "images": lambda found: "+".join(map(str, found))}
    return pictures.set_index("roi"), edited.groupby("roi").agg(sides)


def _say_sizes(counts: pd.DataFrame, regions: list[str]) -> dict[str, list[str]]:
    """By region, the lines beneath its name: how many voxels and images. counts: n, images."""
    return {
        roi: [format_count(counts.loc[roi, "n"], "voxel"), f"{counts.loc[roi, 'images']} images"]
        if roi in counts.index
        else []
        for roi in regions
    }


def _measure_label(labels: Mapping[str, list[str]]) -> float:
    """Width of the widest line of regions' labels: mm."""
    lines = [measure_text(text) for own in labels.values() for text in own]
    return max([measure_text(name_region(roi), "bold") for roi in labels] + lines)


def _label_regions(
    figure: Figure, top: float, height: float, labels: Mapping[str, list[str]]
) -> None:
    for place, (roi, lines) in enumerate(labels.items()):
        where = top + place * height + 0.5
        add_text(figure, EDGE, where, name_region(roi), weight="bold")
        for line, text in enumerate(lines, start=1):
            add_text(figure, EDGE, where + line * TEXT, text, color=INK)


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
        left = add_key(figure, left, top, name, colour)


def _draw_sufficiency(
    figure: Figure, top: float, start: float, table: pd.DataFrame, regions: list[str]
) -> None:
    """Draw panel a, its axes from ``start`` mm on."""
    data = table[(table["panel"] == "sufficiency") & (table["model"] == JUDGE)]
    colours = {name: colour for name, (_, colour) in generated.CONDITIONS.items()}
    write_panel_title(figure, EDGE, top, "a", "Sufficiency: pictures from words alone")
    _write_legend(figure, 73, top + 0.4, colours)
    top += TITLE
    size = {"top": top, "height": SUFFICIENCY, "regions": regions}
    left = _line_axes(figure, start, width=ERRORS - start, **size)
    right = _line_axes(figure, ADVANTAGES[0], width=ADVANTAGES[1] - ADVANTAGES[0], **size)
    right.axvline(0, color=BLACK, linewidth=0.6)
    step = 1 / (len(colours) + 1)
    for number, (condition, colour) in enumerate(colours.items(), start=1):
        errors = data[(data["measure"] == "error") & (data["condition"] == condition)]
        points = errors[errors["voxel"].notna()]
        place = np.array([regions.index(roi) for roi in points["roi"]]) + number * step
        style = {"s": 6, "color": colour, "alpha": 0.4, "linewidths": 0}
        left.scatter(points["value"].astype(float), place, gid="voxel", **style)
        marks = [(left, "error", 0.0)]
        sides = zip(REFERENCES, (-0.25, 0.25), strict=True)
        marks += [(right, f"{prefix}advantage", side) for prefix, side in sides]
        for axes, measure, side in marks:
            rows = _pick(data, measure=measure, condition=condition)
            rows = rows[rows["roi"].isin(regions)]
            place = np.array([regions.index(roi) for roi in rows["roi"]]) + (number + side) * step
            _draw_interval(axes, rows, place, colour, filled=side <= 0)
    left.set_xlim(left=0)
    left.set_xlabel("Distance (sd)")
    right.set_xlabel("Control less description (sd)")
    _write_contrasts(figure, top, data, regions, colours)


def _write_contrasts(
    figure: Figure,
    top: float,
    data: pd.DataFrame,
    regions: list[str],
    colours: Mapping[str, str],
) -> None:
    """Write the numbers of panel a, whose axes begin at ``top`` mm, beside it."""
    called = ("● predicted: d", "○ measured: d")
    for prefix, begin, name in zip(REFERENCES, NUMBERED, called, strict=True):
        columns = [begin + column for column in COLUMNS]
        heads = (name, "voxels", f"q ≤ {SIGNIFICANT}")
        for column, text in zip(columns, heads, strict=True):
            add_text(figure, column, top - LINE - 0.5, text, color=INK)
        for line, control in enumerate(COMPARED):
            for place, roi in enumerate(regions):
                where = top + place * SUFFICIENCY + 0.5 + line * TEXT
                own = data[(data["condition"] == control) & ((data["roi"] == roi) | (roi == ALL))]
                images = own.loc[own["voxel"].notna(), "images"].max()
                said = _say_contrast(_pick(own, roi=roi).set_index("measure"), prefix, images)
                for column, text in zip(columns, said, strict=True):
                    add_text(figure, column, where, text, color=colours[control], gid="number")


def _say_contrast(rows: pd.DataFrame, prefix: str, images: int) -> tuple[str, str, str]:
    """d with its interval, share of voxels, number of significant voxels. prefix: of measures.
    images: of a voxel, at most.
    """
    d, share, significant = (rows.loc[prefix + name] for name in ("d", "share", "significant"))
    if not share["n"]:
        return "not tested", "", ""
    text = f"{d['value']:.2f} [{d['low']:.2f}, {d['high']:.2f}]".replace("-", "−")
    count = f"{round(significant['value'] * significant['n'])}/{share['n']}"
    return (
        text if d["n"] > 1 else "–",
        f"{share['value'] * 100:.0f}%",
        count if 0.5**images <= SIGNIFICANT else "too few",
    )


def _draw_effects(
    figure: Figure, top: float, start: float, table: pd.DataFrame, regions: list[str]
) -> None:
    """Draw panel b, its axes from ``start`` mm on."""
    data = table[(table["panel"] == "edits") & (table["model"] == JUDGE)]
    colours = {name: edits.CONDITIONS[name][1] for name in CONTROLS}
    write_panel_title(figure, EDGE, top, "b", "Edits: feature less control")
    _write_legend(figure, 56, top + 0.4, colours)
    add_text(figure, 145, top + 0.4, "● description  ○ profile")
    top += TITLE
    width = (WIDTH - EDGE - start - sum(NUMBERS)) / 2
    size = {"top": top, "height": EFFECT, "regions": regions, "width": width}
    for left, direction in ((start, "insertion"), (start + width + NUMBERS[0], "removal")):
        here = data[data["direction"] == direction]
        axes = _line_axes(figure, left, **size)
        axes.axvline(0, color=BLACK, linewidth=0.6)
        own = {control: colours[control] for control in CONTROLS_OF[direction]}
        for number, (control, colour) in enumerate(own.items()):
            for side, guide in enumerate(GUIDES):
                rows = _pick(here, measure="effect", condition=control, guide=guide)
                rows = rows[rows["roi"].isin(regions)]
                offset = (2 * number + side + 0.9) / (2 * len(own) + 0.8)
                place = np.array([regions.index(roi) for roi in rows["roi"]]) + offset
                _draw_interval(axes, rows, place, colour, filled=guide == "description")
        axes.set_xlabel(f"{direction.capitalize()}: shift less control's (sd)")
        beside = left + width + 1.5
        add_text(figure, beside, top - LINE - 0.5, "voxels above (%)", color=INK)
        for place, roi in enumerate(regions):
            for line, (guide, sign) in enumerate(zip(GUIDES, "●○", strict=True)):
                where = top + place * EFFECT + 0.8 + line * (LINE + 0.2)
                rows = _pick(here, measure="share", guide=guide, roi=roi).set_index("condition")
                if not rows["n"].any():
                    add_text(figure, beside, where, "no such image" if line == 0 else "")
                    continue
                add_text(figure, beside, where, sign)
                for column, (control, colour) in enumerate(own.items()):
                    value = rows.loc[control, "value"]
                    text = f"{value * 100:.0f}" if np.isfinite(value) else "–"
                    across = beside + 7.5 + 5.7 * column
                    add_text(figure, across, where, text, color=colour, ha="right", gid="number")


def _draw_interval(
    axes: Axes, rows: pd.DataFrame, place: np.ndarray, colour: str, *, filled: bool = True
) -> None:
    value, low, high = (rows[name].to_numpy(float) for name in ("value", "low", "high"))
    axes.errorbar(
        value,
        place,
        xerr=[value - low, high - value],
        fmt="o",
        color=colour,
        markersize=2.8 if filled else 2.5,
        markerfacecolor=colour if filled else "white",
        markeredgewidth=0.7,
        elinewidth=0.9,
    )


def _draw_guidance(figure: Figure, top: float, table: pd.DataFrame) -> None:
    data = table[table["panel"] == "guidance"]
    write_panel_title(figure, EDGE, top, "c", "Guided by profile, or by description")
    axes = add_axes(figure, 13, top + 7, SCATTER, SCATTER)
    _draw_pairs(axes, data, "guide", ("description", "profile"))
    found = data[(data["measure"] == "guidance") & (data["model"] == JUDGE)]
    lines = [("Profile less description [95%]:", INK, None)]
    lines += [
        (f"{row['direction']} {_say_found(row)}, n = {row['n']}", row["direction"], "number")
        for _, row in found.iterrows()
    ]
    _write_found(axes, lines)
    axes.set(xlabel="Shift, description's words (sd)", ylabel="Shift, profile's words (sd)")


def _draw_models(figure: Figure, top: float, table: pd.DataFrame) -> None:
    data = table[table["panel"] == "models"]
    write_panel_title(figure, 64, top, "d", "Encoder and evaluator")
    axes = add_axes(figure, 75, top + 7, SCATTER, SCATTER)
    _draw_pairs(axes, data, "model", ("evaluator", "encoder"))
    correlation = data[data["measure"] == "correlation"].set_index("direction")
    difference = _pick(data, measure="shift", model=DIFFERENCE).set_index("direction")
    lines = []
    for direction in edits.DIRECTIONS:
        row = correlation.loc[direction]
        said = f"{direction}: r {_say_found(row)}, n = {row['n']}"
        lines.append((said, direction, "number"))
        said = f"encoder less evaluator {_say_found(difference.loc[direction])}"
        lines.append((said, direction, "number"))
    _write_found(axes, lines)
    axes.set(xlabel="Shift, by the evaluator (sd)", ylabel="Shift, by the encoder (sd)")


def _draw_pairs(axes: Axes, data: pd.DataFrame, column: str, pair: tuple[str, str]) -> None:
    """Draw each voxel's shift by the one against its shift by the other, and the identity."""
    shifts = data[(data["measure"] == "shift") & data["voxel"].notna()]
    for direction, rows in shifts.groupby("direction"):
        points = rows.pivot_table(
            index=["roi", "voxel"], columns=column, values="value", dropna=False
        )
        _draw_points(axes, points[pair[0]], points[pair[1]], str(direction))
    _draw_identity(axes)


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


def _say_found(row: pd.Series) -> str:
    value, low, high = (format_signed(row[name], 2) for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]" if np.isfinite(row["value"]) else "not known"


def _write_found(axes: Axes, lines: list[tuple[str, str, str | None]]) -> None:
    """Write lines under the panel. lines: text, direction or else colour, and the text's name."""
    for number, (text, direction, name) in enumerate(lines):
        colour = edits.DIRECTIONS.get(direction, (direction,))[0]
        place = {"xy": (0, 0), "xytext": (-22, -33 - 8.5 * number), "textcoords": "offset points"}
        axes.annotate(
            text, xycoords="axes fraction", color=INKS.get(colour, colour), gid=name, **place
        )


def _draw_edit(figure: Figure, top: float, table: pd.DataFrame) -> None:
    data = table[table["panel"] == "edit"]
    write_panel_title(figure, 124, top, "e", "Did the edit take?")
    left, width = 138, WIDTH - 138 - EDGE
    upper = add_axes(figure, left, top + 7, width, 14)
    others = {
        "outside_similarity": (add_axes(figure, left, top + 23, width, 10), "Similar\noutside"),
        "off_target": (add_axes(figure, left, top + 35, width, 10), "Others\n|shift| (sd)"),
    }
    asked = set(data.loc[data["measure"].eq("presence_after") & data["value"].notna(), "condition"])
    step = len(edits.CONDITIONS) + 1
    ticks = {
        (direction, condition): number + side * step
        for side, direction in enumerate(edits.DIRECTIONS)
        for number, condition in enumerate((*GUIDES, *CONTROLS_OF[direction]))
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
        if condition not in asked:
            style = {"rotation": 90, "ha": "center", "va": "center", "color": INK}
            upper.text(place, 0.5, "not asked", **style)
    for side, direction in enumerate(edits.DIRECTIONS):
        middle = side * step + (len(GUIDES) + len(CONTROLS_OF[direction]) - 1) / 2
        upper.text(middle, 1.08, direction, ha="center", va="bottom")
    upper.set(xticks=[], ylim=(-0.05, 1.05), yticks=[0, 1], xlim=(-0.6, 2 * step - 1.4))
    upper.set_ylabel("Probability\nof feature")
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
