"""Profile cards: what a voxel responds to in words, with what speaks for and against them."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mine.figures.strips import EDGE, draw_rule, format_p, write_voxel
from mine.figures.style import (
    BLACK,
    BLUE,
    HEADING,
    REASON_COLOURS,
    VERMILLION,
    add_axes,
    add_image,
    add_text,
    new_figure,
    styled,
)
from mine.figures.voxels import WITHHELD

WORDS = 8
SUPPRESSED = 8
EXEMPLARS = 8

# mm
CARD = 48.0
HEAD = 10.5
BODY = 28.0
BARS = 27.0
FOOT = 16.0


@styled
def draw_profiles(
    profiles: xr.Dataset,
    pictures: xr.DataArray,
    *,
    words: np.ndarray,
    table: pd.DataFrame,
    region: str,
) -> Figure:
    """Draw one card for each voxel of ``profiles``, in that order.

    profiles: store of the ROI, the drawn voxels. pictures: uint8 (image, row, column, channel), at
    least the exemplars. words: (word,) the vocabulary. table: describe_voxels. A voxel that is not
    described shows the reason in the place of its words.
    """
    voxels = profiles["voxel"].values
    figure = new_figure(CARD * len(voxels) + FOOT, layout=None)
    # Times the number of places: 1 is an even spread.
    place = profiles["position_map"] * profiles.sizes["row"] * profiles.sizes["column"]
    scale = Normalize(0, max(float(place.max()) if place.size else 0, 1))
    for number, voxel in enumerate(voxels):
        top = number * CARD
        card = profiles.sel(voxel=voxel)
        _write_head(figure, top, voxel, table.loc[voxel], region)
        body = top + HEAD
        if table.loc[voxel, "described"]:
            _draw_words(figure, 27, body, card.sel(sign="positive"), words)
            _draw_words(figure, 66, body, card.sel(sign="negative"), words)
            add_text(figure, EDGE, body - 4, "words, partial r", color=BLUE)
            add_text(figure, 66, body - 4, "suppressed words, partial r", color=VERMILLION)
        else:
            _write_reason(figure, body, str(table.loc[voxel, "reason"]))
        add_text(figure, 117, body - 4, "position map")
        field = add_axes(figure, 117, body, 20, 20)
        add_image(field, place.sel(voxel=voxel).values, cmap="cividis", norm=scale)
        add_text(figure, 141, body - 4, "images of largest prediction")
        for rank, image in enumerate(card["exemplar"].values[:EXEMPLARS]):
            line, column = divmod(rank, 4)
            axes = add_axes(figure, 141 + column * 9.4, body + line * 9.8, 9, 9)
            add_image(axes, pictures.sel(image=image).values)
        if number:
            draw_rule(figure, top - 0.8)
    _write_foot(figure, CARD * len(voxels), scale, profiles.attrs["measured_images"])
    return figure


def tabulate_profiles(
    profiles: xr.Dataset, *, words: np.ndarray, table: pd.DataFrame
) -> pd.DataFrame:
    """Return the numbers of :func:`draw_profiles`.

    Columns: voxel, reason, item, rank, word, row, column, image, value, low, high, p. Items: ``r2``
    with its interval, ``noise_ceiling``, ``r2_normalised``, ``reliability`` (p under shuffled
    responses), ``positive`` and ``negative`` (partial correlation of words with the measured
    response, p corrected for the number of words; none for voxels that are not described),
    ``position`` (times the number of places), ``exemplar``.
    """
    rows: list[dict[str, object]] = []
    places = profiles.sizes["row"] * profiles.sizes["column"]
    for voxel in profiles["voxel"].values:
        card, entry = profiles.sel(voxel=voxel), table.loc[voxel]
        found: list[dict[str, object]] = [
            {"item": "r2", "value": entry["r2"], "low": entry["r2_low"], "high": entry["r2_high"]},
            {"item": "noise_ceiling", "value": entry["noise_ceiling"]},
            {"item": "r2_normalised", "value": entry["r2_normalised"]},
            {"item": "reliability", "value": entry["reliability"], "p": entry["reliability_p"]},
        ]
        signs = ("positive", "negative") if entry["described"] else ()
        for sign, most in zip(signs, (WORDS, SUPPRESSED), strict=False):
            for rank, (word, added, p) in enumerate(_listed(card.sel(sign=sign), most)):
                row = {"item": sign, "rank": rank, "word": words[word], "value": added, "p": p}
                found.append(row)
        for place, share in np.ndenumerate(card["position_map"].values):
            row, column = place
            value = share * places
            found.append({"item": "position", "row": row, "column": column, "value": value})
        for rank, image in enumerate(card["exemplar"].values[:EXEMPLARS]):
            found.append({"item": "exemplar", "rank": rank, "image": image})
        rows += [{"voxel": voxel, "reason": entry["reason"]} | item for item in found]
    columns = ["voxel", "reason", "item", "rank", "word", "row", "column", "image", "value"]
    result = pd.DataFrame(rows, columns=[*columns, "low", "high", "p"])
    return result.astype(dict.fromkeys(("rank", "row", "column", "image"), "Int64"))


def _listed(card: xr.Dataset, most: int) -> list[tuple[int, float, float]]:
    """Word, partial correlation and p of the first listed words."""
    here = card.isel(rank=np.flatnonzero(card["listed"].values)[:most])
    columns = (here[name].values for name in ("word", "added", "added_p"))
    return [(int(word), float(r), float(p)) for word, r, p in zip(*columns, strict=True)]


def _draw_words(
    figure: Figure, left: float, top: float, card: xr.Dataset, words: np.ndarray
) -> None:
    """Draw what the listed words of one sign add: up to the right, down to the left of zero, both
    on one scale, and "none" where there is no word.
    """
    negative = str(card["sign"].values) == "negative"
    colour, most = (VERMILLION, SUPPRESSED) if negative else (BLUE, WORDS)
    found = _listed(card, most)
    if not found:
        add_text(figure, left, top + 1, "none")
        return
    axes = add_axes(figure, left, top, BARS, BODY)
    lengths = np.array([added for _, added, _ in found])
    axes.barh(range(len(found)), -lengths if negative else lengths, 0.72, color=colour)
    axes.set_yticks(range(len(found)), [str(words[word]) for word, *_ in found])
    axes.set_ylim(most - 0.4, -0.6)
    axes.spines["left"].set_visible(False)
    if negative:
        axes.yaxis.tick_right()
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(*((-1, 0) if negative else (0, 1)))
    axes.locator_params(axis="x", nbins=3)


def _write_head(figure: Figure, top: float, voxel: int, entry: pd.Series, region: str) -> None:
    left = write_voxel(figure, top + 1.2, region, voxel, beside=47.0)
    reason = str(entry["reason"])
    badge = {"facecolor": REASON_COLOURS[reason], "edgecolor": BLACK, "linewidth": 0.4, "pad": 1.5}
    ink = "white" if reason == "described" else BLACK
    add_text(figure, left, top + 1.5, reason, color=ink, bbox=badge)
    normalised = entry["r2_normalised"]
    ratio = f", ratio {normalised:.2f}" if np.isfinite(normalised) else ""
    known = np.isfinite(entry["noise_ceiling"])
    ceiling = f"ceiling {entry['noise_ceiling']:.2f}{ratio}" if known else "no noise ceiling"
    text = (
        f"R² {entry['r2']:.2f} [{entry['r2_low']:.2f}, {entry['r2_high']:.2f}], "
        f"{ceiling}; reliability {entry['reliability']:.2f} "
        f"(p {format_p(entry['reliability_p'])})"
    )
    add_text(figure, 179, top + 1.5, text.replace("-", "−"), ha="right")


def _write_reason(figure: Figure, top: float, reason: str) -> None:
    text = textwrap.fill(f"{WITHHELD[reason]}; words are withheld.", 52)
    add_text(figure, EDGE, top + 6, f"Not described: {reason}", fontsize=HEADING, weight="bold")
    add_text(figure, EDGE, top + 11, text, linespacing=1.3)


def _write_foot(figure: Figure, top: float, scale: Normalize, images: int) -> None:
    axes = add_axes(figure, 117, top + 2, 30, 2.5)
    bar = figure.colorbar(ScalarMappable(scale, "cividis"), cax=axes, orientation="horizontal")
    bar.outline.set_linewidth(0.4)
    bar.set_label("Positive attribution (1: an even spread)")
    note = (
        f"Bars: what a listed word adds to those above it in measured responses to {images:,}\n"
        "training images (partial r); suppressed words lower them. Intervals: 95%, over test\n"
        "images. Reliability: correlation of the profiles of two encoders, each fitted on half\n"
        "of the images."
    )
    add_text(figure, EDGE, top + 1, note, color="#444444", linespacing=1.25)
