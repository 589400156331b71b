"""Attributions: where in an image a voxel's prediction comes from, in words, beside controls."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from mine.core.calibration import find_said, join_said
from mine.core.conditions import DESCRIPTIONS
from mine.figures.strips import EDGE, draw_none, write_voxel
from mine.figures.style import (
    BLACK,
    BLUE,
    MM_PER_POINT,
    SIZE,
    VERMILLION,
    WIDTH,
    add_axes,
    add_image,
    add_text,
    measure_text,
    new_figure,
    styled,
)
from mine.figures.voxels import rank_images, write_fit

WORDS_ON_IMAGE = 4

# Clear where there is nothing to see, so that the picture shows through.
HEAT = LinearSegmentedColormap.from_list(
    "heat", [(*to_rgb(VERMILLION), 0.0), (*to_rgb(VERMILLION), 0.9)]
)

# mm
HEAD = 6.5
LINE = 3.3
STEP = 3.0  # of a condition's second line
OVERLAY_SHARE = 0.70
FOOT = 13.0


def attribution_shares(attributions: xr.Dataset, voxel: int, image: int, tokens: int) -> np.ndarray:
    """Return each token's share of a prediction's positive attribution: (token,).

    Tokens that the store left out as too weak have 0, so the sum may be less than one.
    """
    here = attributions.sel(sign="positive", voxel=voxel, image=image)
    token = here["token"].values.astype(int)
    share = np.zeros(tokens)
    total = max(float(here["total"]), 1e-12)
    share[token[token >= 0]] = here["attribution"].values[token >= 0] / total
    return share


@styled
def draw_attributions(
    attributions: xr.Dataset,
    descriptions: xr.Dataset,
    pictures: xr.DataArray,
    *,
    words: np.ndarray,
    grid: tuple[int, int],
    table: pd.DataFrame,
    images: int,
    region: str,
) -> Figure:
    """Draw, for some voxels, the test images of largest prediction and what was read in them.

    attributions, descriptions: stores of the ROI, the drawn voxels and all test images.
    pictures: uint8 (image, row, column, channel), at least the drawn images. words: (word,) the
    vocabulary. grid: rows and columns of tokens. table: describe_voxels. images: how many a voxel.
    region: for the heading. With no voxel the figure says that there is none.
    """
    voxels = attributions["voxel"].values
    if not len(voxels):
        return draw_none(table, region, "is described, so no words are shown")
    shown = rank_images(attributions["prediction"], images)
    columns = shown.shape[1]
    cell = (WIDTH - 2 * EDGE + 2) / max(columns, 2)
    overlay = (cell - 2) * OVERLAY_SHARE
    block = HEAD + overlay + 1 + 2 * LINE * len(DESCRIPTIONS) + 3
    figure = new_figure(len(voxels) * block + FOOT, layout=None)
    shares = {
        (voxel, image): attribution_shares(attributions, voxel, image, grid[0] * grid[1])
        for voxel, row in zip(voxels, shown, strict=True)
        for image in row
    }
    scale = Normalize(0, max(share.max() for share in shares.values()) or 1)
    for line, (voxel, row) in enumerate(zip(voxels, shown, strict=True)):
        top = line * block + 1
        entry = table.loc[voxel]
        left = write_voxel(figure, top, region, voxel, beside=EDGE + 45)
        # Its words are withheld here as they are everywhere.
        said = (
            f"profile: {entry['words']}" if entry["described"] else f"no words: {entry['reason']}"
        )
        add_text(figure, left, top + 0.3, f"{write_fit(entry)}    {said}")
        for place, image in enumerate(row):
            left = EDGE + place * cell
            axes = add_axes(figure, left, top + HEAD - 1, overlay, overlay)
            picture = pictures.sel(image=image).values
            draw_overlay(axes, picture, shares[voxel, image].reshape(grid), scale)
            chosen = descriptions.sel(voxel=voxel, image=image)
            if entry["described"]:
                draw_words(axes, chosen.sel(condition="description"), words, grid, overlay)
                _write_phrases(figure, chosen, words, left, top + HEAD + overlay, cell - 3)
            side = cell - overlay - 3
            small = add_axes(figure, left + overlay + 1, top + HEAD - 1, side, side)
            add_image(small, picture)
            predicted = float(attributions["prediction"].sel(voxel=voxel, image=image))
            note = f"{_sign(predicted)} sd\npredicted\n\nimage\n{image}"
            add_text(figure, left + overlay + 1, top + HEAD + side, note, linespacing=1.1)
    _add_scale(figure, scale, len(voxels) * block + 2)
    return figure


def tabulate_attributions(
    attributions: xr.Dataset,
    descriptions: xr.Dataset,
    *,
    words: np.ndarray,
    grid: tuple[int, int],
    images: int,
) -> pd.DataFrame:
    """Return the numbers of :func:`draw_attributions`.

    Columns: item, voxel, image, condition, rank, word, said, row, column, value. Items:
    ``prediction`` (standard deviations), ``share`` (a token's share of the positive attribution,
    by its place), ``word`` (its weight, the patch that gave most of it, and whether it is said:
    only such words are drawn).
    """
    rows: list[dict[str, object]] = []
    shown = rank_images(attributions["prediction"], images)
    for voxel, row in zip(attributions["voxel"].values, shown, strict=True):
        for image in row:
            common = {"voxel": voxel, "image": image}
            prediction = float(attributions["prediction"].sel(voxel=voxel, image=image))
            rows.append(common | {"item": "prediction", "value": prediction})
            share = attribution_shares(attributions, voxel, image, grid[0] * grid[1])
            for rank, token in enumerate(np.argsort(-share, kind="stable")[: (share > 0).sum()]):
                place = dict(zip(("row", "column"), divmod(int(token), grid[1]), strict=True))
                rows.append(common | place | {"item": "share", "rank": rank, "value": share[token]})
            for condition in DESCRIPTIONS:
                chosen = descriptions.sel(voxel=voxel, image=image, condition=condition)
                said = find_said(chosen)
                parts = (chosen[name].values for name in ("word", "weight", "patch"))
                for rank, (word, weight, token) in enumerate(zip(*parts, strict=True)):
                    place = dict(zip(("row", "column"), divmod(int(token), grid[1]), strict=True))
                    found = {"item": "word", "condition": condition, "rank": rank, "value": weight}
                    found |= {"word": words[word], "said": bool(said[rank])}
                    rows.append(common | place | found)
    columns = ["item", "voxel", "image", "condition", "rank", "word", "said", "row", "column"]
    table = pd.DataFrame(rows, columns=[*columns, "value"])
    whole = dict.fromkeys(("rank", "row", "column"), "Int64")
    return table.astype(whole | {"said": "boolean"})


def place_words(centres: np.ndarray, *, sizes: np.ndarray, patch: np.ndarray) -> np.ndarray:
    """Place words beside their patches, near and hardly overlapping: (word, 2) centres.

    centres, sizes: (word, 2), of the patches and of the words, across and down, as shares of the
    image's side; words stay within the image where they fit. patch: (2,), of the patches' size;
    they are not to be covered either. Earlier words have their way.
    """
    placed = centres[:0]
    for number, (home, size) in enumerate(zip(centres, sizes, strict=True)):
        half = np.minimum(size / 2, 0.5)
        across = np.linspace(half[0], 1 - half[0], 5)
        down = np.arange(half[1], 1 - half[1] + 1e-9, size[1] / 2)
        # Above the patch, below it, on either side; in its column, anywhere.
        sides = np.array([(0, -1), (0, 1), (1, 0), (-1, 0)])
        options = np.concatenate(
            [
                home + sides * (patch + size) / 2,
                [(home[0], y) for y in down],
                [(x, y) for x in across for y in down],
            ]
        )
        options = np.clip(options, half, 1 - half)
        taken = np.concatenate([centres, placed])
        extents = np.concatenate([np.broadcast_to(patch, centres.shape), sizes[:number]])
        gap = np.abs(options[:, None] - taken) - (extents + size) / 2
        overlap = np.prod(np.maximum(-gap, 0) * (gap < 0).all(axis=2, keepdims=True), axis=2)
        # A trace of overlap is better than a word far from its patch.
        cost = overlap.sum(axis=1) * 50 + np.hypot(*(options - home).T)
        placed = np.vstack([placed, options[cost.argmin()]])
    return placed


def draw_overlay(axes: Axes, picture: np.ndarray, share: np.ndarray, scale: Normalize) -> None:
    """Lay shares of the attribution (row, column) over a picture in grey."""
    grey = picture @ np.array([0.299, 0.587, 0.114])  # luma, ITU-R BT.601
    box = {"extent": (0, 1, 1, 0)}
    add_image(axes, 115 + 0.5 * grey, cmap="gray", vmin=0, vmax=255, **box)
    axes.imshow(share, cmap=HEAT, norm=scale, interpolation="nearest", **box)
    axes.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])


def draw_words(
    axes: Axes, chosen: xr.Dataset, words: np.ndarray, grid: tuple[int, int], side: float
) -> None:
    """Write the best words that are said near the patches they came from. side: mm."""
    best = np.flatnonzero(find_said(chosen))[:WORDS_ON_IMAGE]
    texts = [str(words[word]) for word in chosen["word"].values[best]]
    row, column = np.divmod(chosen["patch"].values[best].astype(int), grid[1])
    centres = np.stack([(column + 0.5) / grid[1], (row + 0.5) / grid[0]], axis=1)
    sizes = np.array([_measure(text) for text in texts]).reshape(-1, 2) / side
    patch = np.array([1 / grid[1], 1 / grid[0]])
    for text, place in zip(texts, place_words(centres, sizes=sizes, patch=patch), strict=True):
        axes.text(
            *place,
            text,
            ha="center",
            va="center",
            weight="bold",
            color=BLACK,
            path_effects=[withStroke(linewidth=1.8, foreground="white")],
            gid="word",
        )
    for left, top in {(c, r) for c, r in zip(column, row, strict=True)}:
        corner = (left / grid[1], top / grid[0])
        outline = Rectangle(
            corner, 1 / grid[1], 1 / grid[0], fill=False, edgecolor=BLACK, linewidth=0.7
        )
        axes.add_patch(outline)


def _sign(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def _measure(text: str) -> tuple[float, float]:
    """Width and height of bold text at the smallest size, with its outline: mm."""
    return measure_text(text, "bold") + 3 * MM_PER_POINT, (SIZE + 1) * MM_PER_POINT


def _write_phrases(
    figure: Figure, chosen: xr.Dataset, words: np.ndarray, left: float, top: float, width: float
) -> None:
    indent = max(measure_text(name, "bold") for name in DESCRIPTIONS) + 1.5
    for line, condition in enumerate(DESCRIPTIONS):
        phrase = str(join_said(chosen.sel(condition=condition), words)) or "nothing"
        place = top + 2 * line * LINE
        colour = BLUE if condition == "description" else "#555555"
        add_text(figure, left, place, condition, weight="bold", color=colour)
        # What does not fit beside the name has the whole of the second line, but for a step.
        for row, (text, start) in enumerate(
            zip(_wrap(phrase, width - indent, width - STEP), (indent, STEP), strict=False)
        ):
            add_text(figure, left + start, place + row * LINE, text)


def _wrap(phrase: str, first: float, width: float) -> list[str]:
    """Break a phrase at its commas into lines of at most ``width`` mm, the first of at most
    ``first``, where words allow it.
    """
    lines: list[str] = []
    across = 0.0
    for word in phrase.split(", "):
        wide = measure_text(f"{word}, ")
        across += wide
        if lines and across <= (first if len(lines) == 1 else width):
            lines[-1] += f", {word}"
        else:
            if lines:
                lines[-1] += ","
            lines.append(word)
            across = wide
    return lines


def _add_scale(figure: Figure, scale: Normalize, top: float) -> None:
    axes = add_axes(figure, EDGE + 1, top, 40, 2.5)
    bar = figure.colorbar(ScalarMappable(scale, HEAT), cax=axes, orientation="horizontal")
    bar.ax.xaxis.set_major_formatter(lambda value, _: f"{value * 100:.0f}")
    bar.outline.set_linewidth(0.4)
    bar.set_label("Share of the positive attribution (%)")
    note = (
        "The scale is of this figure alone. Outlined: the patch that gave most of a word (at most "
        "four words an\nimage). Description: words from the top tokens; below it, from random "
        "tokens and from those of lowest\n|attribution| of the same image."
    )
    add_text(figure, EDGE + 46, top - 0.8, note)
