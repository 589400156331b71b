"""How far what the lens says may be believed: as rates, word by word, and read again."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mine.figures.style import (
    BLACK,
    BLUE,
    GREY,
    HEADING,
    LIGHT,
    SKY,
    VERMILLION,
    error_lengths,
    measure_text,
    new_figure,
    styled,
)

READINGS = {"own": ("own", VERMILLION, "s"), "fitted": ("fitted", BLUE, "o")}

SHARES = {
    "false_words": "False words, of tokens\nthat show nothing",
    "false_descriptions": "False words, of\ndescriptions of such tokens",
    "says_nothing": "Says nothing,\nof tokens of images",
    "right": "Right, of words said",
    "right_unclear": "Right, of words read\nbut not said",
}

AGREEMENTS = {
    ("prompts", "first"): "Other prompts:\nfirst word",
    ("prompts", "said"): "words said",
    ("vocabulary", "first"): "Half of the vocabulary:\nfirst word",
    ("vocabulary", "said"): "words said",
    ("temperature", "first"): "Half, twice the temperature:\nfirst word",
    ("temperature", "said"): "words said",
}


def gather_calibration(
    words: pd.DataFrame, stability: pd.DataFrame, temperature: pd.DataFrame, *, level: float
) -> pd.DataFrame:
    """Gather what is drawn of words.tsv, stability.tsv and temperature.tsv (docs/stores.md).

    level: stated rate of false words. Returns rows of ``panel`` (``reliability``, ``words``,
    ``shares``, ``stability``), ``item``, ``part`` (a reading, a word, two readings), ``at`` (what a
    point of the first two panels stands at), ``value``, ``low``, ``high`` and ``n``.
    """
    columns = ["panel", "item", "part", "at", "value", "low", "high", "n"]
    single = words["word"] != ""
    right = words[single & (words["measure"] == "right") & (words["n"] > 0)]
    mentioned = words[single & (words["measure"] == "mentioned")].set_index("word")["value"]
    chance = right.assign(item="mentioned", value=right["word"].map(mentioned), low=np.nan)
    named = [
        temperature.assign(panel="reliability", item=temperature["measure"]).rename(
            columns={"reading": "part", "confidence": "at"}
        ),
        pd.concat([right.assign(item="right"), chance.assign(high=np.nan)]).assign(
            panel="words", part=lambda rows: rows["word"], at=lambda rows: rows["n"]
        ),
        words[~single & words["measure"].isin(SHARES)].assign(
            panel="shares", item=lambda rows: rows["measure"], part="", at=np.nan
        ),
        pd.DataFrame([{"panel": "shares", "item": "stated", "part": "", "value": level}]),
        stability[stability["word"] == ""].assign(
            panel="stability",
            item=lambda rows: rows["varied"] + " " + rows["measure"],
            part=lambda rows: rows["readings"],
        ),
    ]
    table = pd.concat([part.reindex(columns=columns) for part in named], ignore_index=True)
    return table.astype({"n": "Int64"})


FIFTHS = np.linspace(0, 1, 6)
TICKS = (1, 3, 10, 30, 100, 300, 1000, 3000)
ROOM = 76.0  # mm, below a panel


@styled
def draw_calibration(table: pd.DataFrame) -> Figure:
    """Draw :func:`gather_calibration`."""
    figure = new_figure(155)
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.2, 1))
    # Apart, since the labels of the lower panels take more of the width.
    panels = [*upper.subplots(1, 2), *lower.subplots(1, 2)]
    drawings = {
        "reliability": _draw_reliability,
        "words": _draw_words,
        "shares": _draw_shares,
        "stability": _draw_stability,
    }
    for axes, letter, (panel, draw) in zip(panels, "abcd", drawings.items(), strict=True):
        draw(axes, table[table["panel"] == panel])
        axes.set_title(letter, loc="left", fontsize=HEADING + 1, weight="bold")
    return figure


def _draw_reliability(axes: Axes, rows: pd.DataFrame) -> None:
    whole = rows[rows["item"] != "right"].set_index(["item", "part"])["value"]
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=0.8)
    for place, (reading, (name, colour, marker)) in enumerate(READINGS.items()):
        # The first of them is of all bins.
        own = rows[(rows["item"] == "right") & (rows["part"] == reading)][1:]
        temperature, error = (whole[item, reading] for item in ("temperature", "calibration_error"))
        axes.errorbar(
            own["at"],
            own["value"],
            yerr=error_lengths(own),
            color=colour,
            marker=marker,
            markersize=3.5,
            elinewidth=0.8,
            label=f"{name} temperature, {temperature:.3g}: error {error:.3f}",
        )
        tenth = np.minimum(own["at"].to_numpy(float) * 10 // 1, 9) / 10
        height = own["n"].to_numpy(float) / own["n"].sum()
        axes.bar(tenth + 0.01 + 0.04 * place, height, 0.04, align="edge", color=colour, alpha=0.3)
    n = rows[rows["item"] == "temperature"]["n"].iloc[0]
    axes.set(
        xlim=(0, 1.02),
        ylim=(0, 1.02),
        xticks=FIFTHS,
        yticks=FIFTHS,
        xlabel=f"Probability of the first word (n = {n:,} tokens, by tenths)",
        ylabel="Share that captions mention",
        title="Is a probability a rate?",
    )
    _write_legend(axes)


def _draw_words(axes: Axes, rows: pd.DataFrame) -> None:
    axes.set(
        xscale="log",
        ylim=(-0.02, 1.02),
        yticks=FIFTHS,
        ylabel="Share whose captions mention the word",
        title="Is a word right?",
    )
    right, chance = (rows[rows["item"] == item] for item in ("right", "mentioned"))
    if not len(right):
        axes.set(xticks=[], xlabel="No image with captions says a word")
        return
    axes.plot(
        chance["at"], chance["value"], "_", color=GREY, markersize=5, label="of any image (chance)"
    )
    axes.errorbar(
        right["at"],
        right["value"],
        yerr=error_lengths(right),
        fmt="o",
        color=BLUE,
        markersize=2.5,
        elinewidth=0.5,
        label="of images that say it",
    )
    axes.set_xlabel(f"Images that say the word (n = {len(right):,} words){_list_wrong(right)}")
    low, high = 0.8 * right["at"].min(), 1.25 * right["at"].max()
    ticks = [tick for tick in TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(low, high)
    _write_legend(axes)


def _list_wrong(right: pd.DataFrame) -> str:
    """Name words that are surely right in less than half of their images, most said first, as many
    as there is room for."""
    wrong = right[right["high"] < 0.5].sort_values("n", ascending=False)["part"].tolist()
    for count in range(len(wrong), 0, -1):
        more = f" and {len(wrong) - count} more" if count < len(wrong) else ""
        text = f"less than half right: {', '.join(wrong[:count])}{more}"
        if measure_text(text) <= ROOM:
            return f"\n{text}"
    return ""


def _write_legend(axes: Axes) -> None:
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.23))


def _draw_shares(axes: Axes, rows: pd.DataFrame) -> None:
    rows = rows.set_index("item")
    shown = [item for item in SHARES if item in rows.index]
    _draw_dots(axes, rows.loc[shown])
    stated = rows.loc["stated", "value"]
    axes.plot([stated, stated], [-0.35, 0.35], color=VERMILLION, label=f"stated rate, {stated:g}")
    axes.legend(loc="upper right")
    labels = [f"{SHARES[item]}\n(n = {rows.loc[item, 'n']:,})" for item in shown]
    _set_lines(axes, labels)
    axes.set(xlabel="Share", title="What is said")


def _draw_stability(axes: Axes, rows: pd.DataFrame) -> None:
    items = {f"{varied} {measure}": name for (varied, measure), name in AGREEMENTS.items()}
    shown = [item for item in items if item in set(rows["item"])]
    whole = rows[rows["part"] == ""].set_index("item").loc[shown]
    pairs = rows[rows["part"] != ""]
    axes.scatter(
        pairs["value"],
        pairs["item"].map(shown.index) + 0.25,  # below the black dot, which would hide them
        s=8,
        color=SKY,
        linewidths=0,
        gid="pair",
    )
    _draw_dots(axes, whole)
    _set_lines(axes, [f"{items[item]} (n = {whole.loc[item, 'n']:,})" for item in shown])
    axes.set(xlabel="Agreement of two readings of a token", title="Is the same said again?")


def _draw_dots(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the value of each row on a line of its own, from the top, with its interval."""
    axes.errorbar(
        rows["value"].to_numpy(float),
        range(len(rows)),
        xerr=error_lengths(rows),
        fmt="o",
        color=BLACK,
        markersize=4,
        elinewidth=1,
    )


def _set_lines(axes: Axes, labels: list[str]) -> None:
    """Label lines from the top, each with a thin line."""
    for line in range(len(labels)):
        axes.axhline(line, color=LIGHT, linewidth=0.6, zorder=0)
    axes.set(yticks=range(len(labels)), yticklabels=labels, ylim=(len(labels) - 0.5, -0.5))
    axes.set(xlim=(-0.02, 1.02), xticks=FIFTHS)
