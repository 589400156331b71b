"""Strips of pictures: words beneath each, and beside it what is predicted for it on a gauge.

A strip is six cells wide. All gauges of a figure have one scale, so that their bars compare.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from mine.figures.style import (
    BLACK,
    GREY,
    HEADING,
    LIGHT,
    MM_PER_INCH,
    MM_PER_POINT,
    SIZE,
    WIDTH,
    add_axes,
    add_image,
    add_text,
    measure_text,
    new_figure,
)
from mine.figures.voxels import write_fit
from mine.wording import format_count

# mm
PAGE = 240.0  # what a page of a journal holds
EDGE = 2.0
CELL = (WIDTH - 2 * EDGE) / 6
PICTURE = 17.5
GAUGE = 3.2
LINE = 2.9
LINES = 3  # of words beneath a picture
ROW = PICTURE + 0.8 + LINES * LINE + 1.5
HEAD = 5.5
GAP = 3.0  # behind a voxel's name
SUMMARY = 8.0
TOP = 13.5
FOOT = 10.5  # a note of three lines
NOTE_SPACING = 1.25
NOTE_LINE = NOTE_SPACING * SIZE * MM_PER_POINT

INK = "#555555"  # grey that can be read as text


def choose_tested(table: pd.DataFrame, tested: np.ndarray, count: int) -> np.ndarray:
    """Return the tested voxels of largest test R², at most ``count``.

    table: describe_voxels. tested: the voxels of a store.
    """
    return table.index[table.index.isin(tested)].to_numpy()[:count]


def fit_page(most: int, *, row: float, fixed: float) -> int:
    """Return how many of at most ``most`` rows fit on a page beside what is fixed (mm), one at
    least.
    """
    return int(np.clip((PAGE - fixed) // row, 1, most)) if most else 0


def choose_places(image: np.ndarray, most: int, drawn: set[int]) -> list[int]:
    """Return the places of the first images of a voxel, those first that no other voxel has shown.

    image: (chosen,), identities, -1 for none. drawn: images drawn already, to which the voxel's are
    added.
    """
    known = np.flatnonzero(image >= 0)
    order = sorted(known, key=lambda place: int(image[place]) in drawn)
    places = sorted(int(place) for place in order[:most])
    drawn |= {int(image[place]) for place in places}
    return places


def format_signed(value: float, digits: int = 1) -> str:
    """A number with its sign and ``digits`` decimals, minus as it is printed."""
    # A sum with zero, so that what rounds to nothing is not written as less than nothing.
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−")


def format_p(p: float, *, draws: int | None = None) -> str:
    """A probability with its relation. draws: of the null that it was counted among, if any; if
    none reached the value, p is 1 / (1 + draws) at most.
    """
    if draws and p <= 1.001 / (1 + draws):
        return f"≤ {1 / (1 + draws):.1g}"
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def strip_template(prompt: str, template: str) -> str:
    """Return the words of a prompt without the template that they were put into."""
    before, _, after = template.partition("{}")
    return prompt.removeprefix(before).removesuffix(after)


def wrap_text(text: str, *, width: float, lines: int) -> str:
    """Break text at its spaces into lines of at most ``width`` mm; what is left over is cut with
    an ellipsis.
    """
    broken: list[list[str]] = []
    across = 0.0
    for word in text.split():
        wide = measure_text(f"{word} ")
        if broken and across + wide <= width:
            broken[-1].append(word)
        else:
            broken.append([word])
            across = 0.0
        across += wide
    kept = [" ".join(line) for line in broken[:lines]]
    if len(broken) > lines:
        kept[-1] = kept[-1].rstrip(",.") + " …"
    return "\n".join(kept)


def write_columns(figure: Figure, columns: dict[str, tuple[str, str]]) -> None:
    """Write the heads of a strip's cells. columns: name to what it is and its colour."""
    for place, (name, (meaning, colour)) in enumerate(columns.items()):
        left = EDGE + place * CELL
        add_text(figure, left, 1.5, name, fontsize=HEADING, weight="bold", color=colour)
        for line, text in enumerate(meaning.split("\n")):
            add_text(figure, left, 5.0 + line * LINE, text, color=INK)


def write_voxel(figure: Figure, top: float, region: str, voxel: int, *, beside: float) -> float:
    """Write which voxel a heading is of. Returns where what is said of it may begin: at ``beside``,
    or further right where the name reaches it: mm.
    """
    name = f"{region}, voxel {voxel}"
    add_text(figure, EDGE, top, name, fontsize=HEADING, weight="bold")
    return max(beside, EDGE + measure_text(name, "bold", HEADING) + GAP)


def write_heading(figure: Figure, top: float, region: str, voxel: int, entry: pd.Series) -> None:
    """Write which voxel follows. entry: its row of describe_voxels."""
    if top > TOP:
        draw_rule(figure, top - 1.2)
    left = write_voxel(figure, top, region, voxel, beside=EDGE + 1.65 * CELL)
    add_text(figure, left, top + 0.3, f"{write_fit(entry)}    profile: {entry['words']}")


def draw_rule(figure: Figure, top: float) -> None:
    """Draw a thin line across the figure, ``top`` mm from its upper edge."""
    y = 1 - top / (figure.get_size_inches()[1] * MM_PER_INCH)
    line = Line2D([0.01, 0.99], [y, y], color=LIGHT, linewidth=0.6, transform=figure.transFigure)
    figure.add_artist(line)


def draw_picture(
    figure: Figure,
    left: float,
    top: float,
    picture: np.ndarray | None,
    *,
    mask: np.ndarray | None = None,
    instead: str = "no words",
) -> None:
    """Show a picture, uint8 (row, column, 3), and the outline of a mask over its patches, bool
    (row, column); where there is no picture, an empty frame that says so.
    """
    axes = add_axes(figure, left, top, PICTURE, PICTURE)
    # Photographs are larger than their place here, and are to be averaged, not thinned out.
    style = {"extent": (0, 1, 1, 0), "interpolation": "auto"}
    if picture is None:
        add_image(axes, np.full((1, 1, 3), 246, np.uint8), **style)
        axes.text(0.5, 0.5, instead, ha="center", va="center", color=INK)
        return
    add_image(axes, picture, **style)
    if mask is not None:
        # Two lines, so that it is seen on dark and on bright alike.
        for width, colour in ((1.8, "white"), (0.7, BLACK)):
            axes.add_collection(
                LineCollection(
                    outline_mask(mask), colors=colour, linewidths=width, capstyle="projecting"
                )
            )
        axes.set(xlim=(0, 1), ylim=(1, 0))


def outline_mask(mask: np.ndarray) -> np.ndarray:
    """Return the edges between masked patches and others: (edge, end, (across, down)), as
    fractions of the image. mask: bool (row, column).
    """
    rows, columns = mask.shape
    framed = np.pad(mask, 1)
    edges = [
        [(column, row), (column + 1, row)]
        for row, column in np.argwhere(framed[1:, 1:-1] != framed[:-1, 1:-1])
    ]
    edges += [
        [(column, row), (column, row + 1)]
        for row, column in np.argwhere(framed[1:-1, 1:] != framed[1:-1, :-1])
    ]
    return np.array(edges, dtype=float).reshape(-1, 2, 2) / (columns, rows)


def find_limits(*values: np.ndarray) -> tuple[float, float]:
    """Return the ends of a scale that holds some values and zero, with a margin."""
    known = np.concatenate([[0.0], *(np.ravel(part) for part in values)])
    known = known[np.isfinite(known)]
    margin = 0.06 * max(np.ptp(known), 0.1)
    return float(known.min() - margin), float(known.max() + margin)


def draw_gauge(
    figure: Figure,
    left: float,
    top: float,
    *,
    reference: float,
    limits: tuple[float, float],
    value: float = np.nan,
    encoder: float,
    colour: str = BLACK,
) -> None:
    """Draw a value on a vertical scale as a bar from a reference, and the encoder's as a ring."""
    axes = add_axes(figure, left, top, GAUGE, PICTURE)
    axes.set(xlim=(-1, 1), ylim=limits, xticks=[], yticks=[], facecolor="#F4F4F4")
    axes.spines[:].set_visible(False)
    if np.isfinite(value):
        axes.bar(-0.4, value - reference, 1.0, bottom=reference, color=colour)
    axes.plot([-1, 1], [reference] * 2, color=BLACK, linewidth=1.0, solid_capstyle="butt")
    if np.isfinite(encoder):
        halo = [withStroke(linewidth=1.8, foreground="white")]
        ring = {"markerfacecolor": "white", "markeredgecolor": GREY, "markeredgewidth": 1.0}
        axes.plot(0.55, encoder, "o", markersize=2.8, clip_on=False, path_effects=halo, **ring)


def write_number(
    figure: Figure, left: float, top: float, text: str, *, color: str = BLACK, **style: object
) -> None:
    """Write a number that the figure's table has too."""
    add_text(figure, left, top, text, color=color, gid="number", **style)


def write_panel_title(figure: Figure, left: float, top: float, letter: str, title: str) -> None:
    """Write the letter and the title of a panel, from a place given in mm."""
    add_text(figure, left, top, letter, fontsize=HEADING + 1, weight="bold")
    add_text(figure, left + 4, top + 0.2, title, fontsize=HEADING)


def write_note(figure: Figure, top: float, text: str) -> None:
    """Write what is to be known of a figure, over its whole width."""
    add_text(figure, EDGE, top, _wrap_note(text), color="#444444", linespacing=NOTE_SPACING)


def measure_note(text: str) -> float:
    """Height of what :func:`write_note` writes, with a margin beneath: mm."""
    return (_wrap_note(text).count("\n") + 1) * NOTE_LINE + EDGE


def _wrap_note(text: str) -> str:
    return wrap_text(text, width=WIDTH - 2 * EDGE, lines=9)


def draw_notice(heading: str, text: str, *, height: float = 16) -> Figure:
    """Return a figure that says why there is none. height: in mm, by default of one line."""
    figure = new_figure(height, layout=None)
    add_text(figure, EDGE, 3, heading, fontsize=HEADING, weight="bold")
    add_text(figure, EDGE, 9, text)
    return figure


def draw_none(table: pd.DataFrame, region: str, what: str) -> Figure:
    """Return a figure that says why there is none, with the number of voxels by reason.

    table: describe_voxels. what: goes on after "Of these voxels none", and says what is therefore
    not there.
    """
    reasons = ", ".join(f"{count} {name}" for name, count in table["reason"].value_counts().items())
    text = f"Of {format_count(len(table), 'voxel')} none {what}.\n{reasons}"
    return draw_notice(region, text, height=22)


def write_means(
    figure: Figure, top: float, means: pd.DataFrame, *, said: str, write: Callable[[float], str]
) -> None:
    """Write a voxel's means under the columns of the conditions, with q where it has one.

    means: index condition, in the order of the columns; value, q, n. said: what they are, for the
    first column, with {} for the number of images. write: a mean as text.
    """
    most = int(means["n"].max())
    text = said.format(format_count(most, "image"))
    add_text(figure, EDGE, top, text, color=INK, linespacing=1.15)
    for column, (_, row) in enumerate(means.iterrows(), start=1):
        left = EDGE + column * CELL
        if not row["n"]:
            continue
        value = write(row["value"])
        write_number(figure, left, top, value, weight="bold", fontsize=HEADING, color=BLACK)
        if np.isfinite(row["q"]):
            write_number(figure, left + 11, top, f"q {format_p(row['q'])}")
        if row["n"] < most:
            add_text(figure, left, top + LINE, f"of {row['n']}", color=INK)
