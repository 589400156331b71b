"""Category preference of a subject's regions: by words, by responses, by the localiser."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mine.figures.strips import EDGE, INK, write_note
from mine.figures.style import (
    BLACK,
    BLUE,
    GREY,
    HEADING,
    LIGHT,
    WIDTH,
    add_axes,
    add_text,
    measure_text,
    new_figure,
    styled,
)
from mine.stages.preference_subjects import LEAST_VOXELS, count_voxels
from mine.statistics.multiple_comparisons import SIGNIFICANT

# Each map: measure, what it shows, how a value is written, which value has no colour, what is
# framed ("" for the largest), and the smallest value at which colour is strongest.
MAPS = (
    ("cosine_z", "Words: profile (z)", "{:.1f}", 0.0, "prefers_profile", 1.0),
    ("share_profile", "Words: voxels (%)", "{:.0%}", 0.0, "", 1.0),
    ("auc_measured", "Responses: AUC", "{:.2f}", 0.5, "prefers_measured", 0.5),
    ("t", "Localiser: mean t", "{:.1f}", 0.0, "prefers_localiser", 2.0),
)
COLOURS = "PuOr_r"  # orange above, purple below; told apart with any colour vision
UNKNOWN = to_rgba("#F5F5F5")
FEW = to_rgba(LIGHT)  # of fewer than LEAST_VOXELS described voxels

# mm
LABEL = 27.0  # at least
GAP = 2.5
CELL = 5.4
ASIDE = 1.5  # from a region's count to its map
SPACE = 0.8  # between two numbers of a row
TOP = 10.0
NAMES = 15.0  # of the categories, beneath the maps
ROW = 7.2  # of a region's responses
LOWER = 10.0
SWEEP = 44.0
RESPONSES = 84.0  # left edge of the responses' axes
SPREAD = 46.0


@styled
def draw_preference(table: pd.DataFrame, rois: list[str], subject: str) -> Figure:
    """Draw the table of mine.stages.preference_subjects.tabulate_preference for one subject."""
    label = measure_labels(_say_counts(table, rois))
    height, across = CELL * len(rois), _fit_maps(table, rois, label)
    row = TOP + height + NAMES
    upper = row * (len(MAPS) // across)
    shown = ROW * len(rois)
    figure = new_figure(upper + LOWER + max(shown, SWEEP) + 14 + 26, layout=None)
    width = _measure_map(across, label)
    for place, (letter, entry) in enumerate(zip("abcd", MAPS, strict=True)):
        top, left = row * (place // across), label + place % across * (width + GAP)
        if left == label:
            _label_regions(figure, top + TOP, table, rois, label)
        add_text(figure, left - 1, top + 2, letter, fontsize=HEADING + 1, weight="bold")
        add_text(figure, left + 3, top + 2.2, entry[1], fontsize=HEADING)
        _draw_map(add_axes(figure, left, top + TOP, width, height), table, rois, entry)
    _draw_thresholds(figure, upper, table)
    _draw_responses(figure, upper, table, rois)
    write_note(
        figure,
        upper + LOWER + max(shown, SWEEP) + 14,
        f"{subject}. Frames: what the region as a whole prefers, in b the largest share, which may "
        "be of another category; none where the runner-up is written alike. Grey: of fewer than "
        f"{LEAST_VOXELS} described voxels. a: cosine of a profile with the category, above its "
        "mean over random profiles, in their standard deviations, mean over described voxels. b: "
        "described voxels that prefer the category; bold: more than among as many voxels drawn "
        f"from all described ones (p ≤ {SIGNIFICANT}). c: mean measured response of "
        "all the region's voxels to test images that carry the category against those that lack "
        "it. d: of all the region's voxels. –: not known. e: described voxels of all regions; n, "
        "how many; band: Wilson's 95% interval; dashed: profiles exchanged among them. f: boxes: "
        "quartiles, whiskers: 5 to 95% of the test images; images: that carry the category : that "
        "lack it; intervals from images resampled.",
    )
    return figure


def measure_labels(counts: dict[str, str]) -> float:
    """Width of the regions' names with their counts beside them, from the figure's edge on: mm.

    counts: by region. It is LABEL at least.
    """
    wide = [measure_text(f"{roi}  ", "bold") + measure_text(text) for roi, text in counts.items()]
    return max([LABEL, *(EDGE + across + ASIDE for across in wide)])


def _measure_map(across: int, label: float) -> float:
    """Width of each of so many maps side by side behind labels: mm."""
    return (WIDTH - EDGE - label - GAP * across) / across


def _fit_maps(table: pd.DataFrame, rois: list[str], label: float) -> int:
    """How many maps stand side by side: as many as leave each number its place."""
    numbers, categories = [], 1
    for measure, _, form, *_ in MAPS:
        values = _pivot(table, measure, "value", rois).to_numpy()
        numbers += [text for row in values for text in format_row(row, form)]
        categories = values.shape[1]
    least = max(measure_text(text, "bold") for text in numbers) + SPACE
    able = [across for across in (4, 2) if _measure_map(across, label) >= categories * least]
    return max(able, default=1)


def _say_counts(table: pd.DataFrame, rois: list[str]) -> dict[str, str]:
    """By region, how many of its voxels are described."""
    able, whole = count_voxels(table)
    return {roi: f"{able[roi]}/{whole[roi]}" for roi in rois}


def _label_regions(
    figure: Figure, upper: float, table: pd.DataFrame, rois: list[str], label: float
) -> None:
    for place, (roi, count) in enumerate(_say_counts(table, rois).items()):
        top = upper + CELL * place + 0.9
        add_text(figure, EDGE, top, roi, weight="bold")
        add_text(figure, label - ASIDE, top, count, color=INK, ha="right")
    add_text(figure, label - ASIDE, upper - 3.2, "described/voxels", color=INK, ha="right")


def _pivot(table: pd.DataFrame, measure: str, column: str, rois: list[str]) -> pd.DataFrame:
    """A column of one measure by region and category, all of them in their order."""
    categories = table.loc[table["measure"] == "cosine_z", "category"].unique()
    rows = table[table["measure"] == measure]
    wide = rows.pivot(index="roi", columns="category", values=column)
    return wide.reindex(index=rois, columns=categories).astype(float)


def _draw_map(axes: Axes, table: pd.DataFrame, rois: list[str], entry: tuple) -> None:
    measure, _, form, centre, marked, least = entry
    values = _pivot(table, measure, "value", rois)
    prefers = np.ones(values.shape, bool)
    if marked:
        prefers = _pivot(table, marked, "value", rois).to_numpy() == 1
    sure = _pivot(table, measure, "p", rois).to_numpy() <= SIGNIFICANT
    sure &= measure == "share_profile"
    few = np.zeros(values.shape, bool)
    if measure in ("cosine_z", "share_profile"):
        few[count_voxels(table)[0].reindex(rois).to_numpy() < LEAST_VOXELS] = True
    limit = max(np.nanmax(np.abs(values.to_numpy() - centre), initial=0), least)
    shade = colormaps[COLOURS](0.5 + (values.to_numpy() - centre) / (2 * limit))
    shade[few] = FEW
    shade[np.isnan(values.to_numpy())] = UNKNOWN
    axes.imshow(shade, aspect="auto", interpolation="nearest")
    written = np.array([format_row(row, form) for row in values.to_numpy()])
    best = np.array([find_best(*row) for row in zip(values.to_numpy(), written, strict=True)])
    for (row, column), text in np.ndenumerate(written):
        dark = shade[row, column, :3] @ (0.299, 0.587, 0.114) < 0.5
        style = {"color": "white" if dark else BLACK, "gid": "number"}
        weight = "bold" if sure[row, column] else "normal"
        axes.text(column, row, text, ha="center", va="center", weight=weight, **style)
        if prefers[row, column] and best[row] == column and not few[row, column]:
            frame = Rectangle((column - 0.46, row - 0.45), 0.92, 0.9, fill=False, linewidth=1.3)
            axes.add_patch(frame)
    axes.set_xticks(range(values.shape[1]), values.columns, rotation=45, ha="right")
    axes.tick_params(axis="x", length=0, pad=1)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def say_why_not_compared(localised: bool) -> str:
    """Say why there is no curve of words against the localiser. localised: whether any voxel has a
    t-value."""
    return f"fewer than {LEAST_VOXELS} described voxels" if localised else "no localiser"


def write_reason(axes: Axes, text: str) -> None:
    """Write into an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes)


def format_value(value: float, form: str) -> str:
    """A number as it is printed: no sign on what rounds to nothing, no unit, a dash for none."""
    text = form.format(value).rstrip("%").replace("-", "−") if np.isfinite(value) else "–"
    return text.removeprefix("−") if not text.strip("−0.") else text


def format_row(values: np.ndarray, form: str) -> list[str]:
    """Numbers of a row as they are printed, with a decimal more where the two largest are alike."""
    written = [format_value(value, form) for value in values]
    if form == "{:.1f}" and find_best(values, written) < 0:
        return [format_value(value, "{:.2f}") for value in values]
    return written


def find_best(values: np.ndarray, written: list[str]) -> int:
    """Return the place of the largest number, -1 where another is written alike or none known."""
    if np.isnan(values).all():
        return -1
    best = int(np.nanargmax(values))
    return best if list(written).count(written[best]) == 1 else -1


def _draw_thresholds(figure: Figure, top: float, table: pd.DataFrame) -> None:
    localised = table.loc[table["measure"] == "t", "value"].notna().any()
    table = table[table["n"] >= LEAST_VOXELS]
    rows = table[table["measure"] == "above_t"]
    expected = table[table["measure"] == "above_t_shuffled"]
    add_text(figure, EDGE, top, "e", fontsize=HEADING + 1, weight="bold")
    add_text(figure, EDGE + 4, top + 0.2, "Words and localiser", fontsize=HEADING)
    axes = add_axes(figure, 16, top + LOWER, SWEEP, SWEEP - 8)
    axes.set(
        xlabel="Voxels with a localiser's t of at least",
        ylabel="Share whose words prefer\nthe localiser's category",
        ylim=(0, 1.02),
    )
    if rows.empty:
        write_reason(axes, say_why_not_compared(bool(localised)))
        return
    axes.fill_between(rows["threshold"], rows["low"], rows["high"], color=LIGHT, linewidth=0)
    axes.plot(rows["threshold"], rows["value"], color=BLUE)
    axes.plot(expected["threshold"], expected["value"], color=BLACK, linestyle="--", linewidth=0.8)
    for threshold, count in rows.set_index("threshold")["n"].items():
        if threshold % 2 == 0:
            text = f"n = {count:.0f}" if threshold == 0 else f"{count:.0f}"
            place = {"ha": "center", "va": "bottom", "color": INK, "gid": "number"}
            axes.text(threshold, 1.04, text, **place)
    axes.set_xlim(0, max(rows["threshold"].max(), 1))


def _draw_responses(figure: Figure, top: float, table: pd.DataFrame, rois: list[str]) -> None:
    add_text(figure, RESPONSES - 22, top, "f", fontsize=HEADING + 1, weight="bold")
    title = "Responses to the category that the words prefer"
    add_text(figure, RESPONSES - 18, top + 0.2, title, fontsize=HEADING)
    axes = add_axes(figure, RESPONSES, top + LOWER, SPREAD, ROW * len(rois))
    aside = RESPONSES + SPREAD + 2
    add_text(figure, aside, top + LOWER - 3.6, "AUC [95%], images", color=INK)
    add_text(figure, RESPONSES, top + LOWER - 3.6, "carry the category", color=BLUE)
    add_text(figure, RESPONSES + 26, top + LOWER - 3.6, "lack it", color=INK)
    for place, roi in enumerate(rois):
        own = table[table["roi"] == roi]
        where = top + LOWER + ROW * place
        add_text(figure, RESPONSES - 1.5, where + 0.6, roi, weight="bold", ha="right")
        preferred = own[(own["measure"] == "prefers_profile") & (own["value"] == 1)]
        if preferred.empty:
            add_text(figure, aside, where + 2, "no preference by words", color=INK)
            continue
        category = preferred["category"].iloc[0]
        add_text(figure, RESPONSES - 1.5, where + 3.6, category, color=INK, ha="right")
        carries, lacks = (own[own["measure"] == name] for name in ("carries", "lacks"))
        if carries.empty or lacks.empty:
            add_text(figure, aside, where + 2, "no labelled images", color=INK)
            continue
        for rows, offset, colour in ((carries, 0.3, BLUE), (lacks, 0.7, GREY)):
            _draw_box(axes, rows["value"].to_numpy(float), place + offset, colour)
        auc = own[(own["measure"] == "auc_measured") & (own["category"] == category)].iloc[0]
        known = f"{auc['value']:.2f} [{auc['low']:.2f}, {auc['high']:.2f}]"
        text = known if np.isfinite(auc["value"]) else "too few images"
        text += f", {len(carries)}:{len(lacks)}"
        add_text(figure, aside, where + 2, text, gid="number")
    for edge in range(1, len(rois)):
        axes.axhline(edge, color=LIGHT, linewidth=0.5)
    axes.axvline(0, color=GREY, linewidth=0.6, zorder=0)
    axes.set(ylim=(len(rois), 0), yticks=[], xlabel="Mean measured response of the region (sd)")
    axes.spines["left"].set_visible(False)


def _draw_box(axes: Axes, values: np.ndarray, place: float, colour: str) -> None:
    axes.boxplot(
        values,
        positions=[place],
        widths=0.28,
        orientation="horizontal",
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": colour, "edgecolor": colour, "alpha": 0.75},
        medianprops={"color": BLACK, "linewidth": 1.0},
        whiskerprops={"color": colour},
        capprops={"color": colour},
    )
