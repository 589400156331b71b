"""Structure within a region: are its voxels told apart, and into which clusters do they fall?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mine.figures.strips import (
    EDGE,
    INK,
    LINE,
    draw_notice,
    draw_rule,
    format_p,
    write_note,
    write_number,
    write_panel_title,
)
from mine.figures.style import (
    BLACK,
    BLUE,
    GREY,
    HEADING,
    HUES,
    LIGHT,
    VERMILLION,
    add_axes,
    add_image,
    add_key,
    add_text,
    measure_text,
    new_figure,
    styled,
)
from mine.wording import format_count

SOURCES = {"tuning": "measured\nresponses", "attributions": "attributions"}
# What a null says, the colour of its draws and that of its text.
NULLS = {
    "shared": ("one shared tuning", GREY, INK),
    "spatial": ("smooth maps", VERMILLION, VERMILLION),
}
COLOURS = "PuOr_r"  # orange above, purple below, as in all figures
CHANCE = 0.5
PLACES = 4  # of pictures on a card
WORDS = 5
LEVEL = 0.95

# mm
TOP = 24.5
PANEL = 34.0
MATRIX = 23.0
CLUSTERS = TOP + PANEL + 20.0
CARD = 18.0
PICTURE = 14.5
WORD = 30.0
COLUMNS = {"z": 60.0, "q": 69.0, "adds r": 84.0, "p": 95.0}
FOOT = 17.0


@styled
def draw_structure(
    structure: xr.Dataset,
    pictures: xr.DataArray,
    *,
    words: np.ndarray,
    voxels: int,
    least_voxels: int,
    region: str,
) -> Figure:
    """Draw the structure of one region.

    structure: store of the ROI. pictures: uint8 (image, row, column, channel), at least the
    exemplars. words: (word,) the vocabulary. voxels: of the ROI, described or not. least_voxels:
    described voxels that a region needs. region: for the heading. Where nothing was measured the
    figure says so.
    """
    if not structure.attrs["clusters"]:
        few = f"fewer than {least_voxels} of the {format_count(voxels, 'voxel')} are described"
        return draw_notice(f"{region}: structure", f"Not measured: {few}.")
    count = structure.attrs["clusters"]
    figure = new_figure(CLUSTERS + count * CARD + FOOT, layout=None)
    _write_panel_title(figure, structure, words, voxels, region)
    _draw_identification(figure, structure)
    _draw_explained(figure, structure)
    _draw_similarity(figure, structure)
    if count > 1:
        _draw_consensus(figure, structure)
    _draw_clusters(figure, structure, pictures, words)
    write_note(figure, CLUSTERS + count * CARD + 1, _explain(structure))
    return figure


def tabulate_structure(structure: xr.Dataset, *, words: np.ndarray) -> pd.DataFrame:
    """Return the numbers of :func:`draw_structure`; its matrices are in the store.

    Columns: item, source, null, count, cluster, voxel, rank, word, image, value, low, high, p, q,
    n. Items: ``identification``, mean over the region's n voxels; ``null``, mean of n draws with
    the interval that holds 95% of them, and the share p that reaches the identification; ``draw``,
    each of these; ``explained``, by number of clusters; ``explained_null``, what 95% of n draws
    stay below, with p; ``clusters``, how many are reported of n described voxels; ``cluster``, mean
    stability of its n voxels; ``voxel``, its cluster and stability; ``word``, z of a cluster's word
    with q; ``added``, its partial correlation with p; ``exemplar``. Clusters are counted from 1.
    """
    columns = ["item", "source", "null", "count", "cluster", "voxel", "rank", "word", "image"]
    columns += ["value", "low", "high", "p", "q", "n"]
    if not structure.attrs["clusters"]:
        return pd.DataFrame(columns=columns)
    rows: list[dict[str, object]] = []
    voxels = structure.sizes["voxel"]
    for source in SOURCES:
        here = structure.sel(source=source)
        value = float(here["identification_mean"])
        common = {"source": source, "n": structure.sizes["roi_voxel"]}
        rows.append(common | {"item": "identification", "value": value})
        for null in NULLS:
            draws = here["identification_null"].sel(null=null).values
            common = {"source": source, "null": null}
            if not np.isfinite(draws).all():
                # Of voxels whose places are not known no smooth maps can be drawn.
                rows.append(common | {"item": "null", "n": 0})
                continue
            low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            found = {"item": "null", "value": draws.mean(), "low": low, "high": high}
            p = float(here["identification_p"].sel(null=null))
            rows.append(common | found | {"p": p, "n": len(draws)})
            rows += [common | {"item": "draw", "value": draw} for draw in draws]
    for count, value in structure["explained"].to_series().items():
        rows.append({"item": "explained", "count": count, "value": value})
    null = structure["explained_null"].values
    p = structure.attrs["clusters_p"]
    limit = np.quantile(null, LEVEL)
    rows.append({"item": "explained_null", "value": limit, "p": p, "n": len(null)})
    clusters = structure.attrs["clusters"]
    rows.append({"item": "clusters", "value": clusters, "p": p, "n": voxels})
    for cluster in range(clusters):
        rows += _tabulate_cluster(structure, cluster, words)
    order = np.argsort(structure["cluster"].values, kind="stable")
    for place in order:
        here = structure.isel(voxel=place)
        cluster, stability = int(here["cluster"]) + 1, float(here["stability"])
        found = {"item": "voxel", "voxel": int(here["voxel"]), "cluster": cluster}
        rows.append(found | {"value": stability})
    whole = dict.fromkeys(("count", "cluster", "voxel", "rank", "image", "n"), "Int64")
    return pd.DataFrame(rows, columns=columns).astype(whole)


def _tabulate_cluster(
    structure: xr.Dataset, cluster: int, words: np.ndarray
) -> list[dict[str, object]]:
    here = structure.isel(cluster_number=cluster)
    own = structure["cluster"].values == cluster
    stability = structure["stability"].values[own]
    known = stability[np.isfinite(stability)]
    value = known.mean() if len(known) else np.nan
    rows: list[dict[str, object]] = [{"item": "cluster", "value": value, "n": int(own.sum())}]
    listed = here["cluster_word"].values
    for rank, word in enumerate(listed[listed >= 0][:WORDS]):
        group = int(np.flatnonzero(structure["word"].values == word)[0])
        common = {"rank": rank, "word": words[word]}
        z, q = float(here["cluster_z"][group]), float(here["cluster_q"][group])
        added, p = float(here["cluster_added"][rank]), float(here["cluster_added_p"][rank])
        rows.append(common | {"item": "word", "value": z, "q": q})
        rows.append(common | {"item": "added", "value": added, "p": p})
    for rank, image in enumerate(here["exemplar"].values[:PLACES]):
        rows.append({"item": "exemplar", "rank": rank, "image": int(image)})
    return [{"cluster": cluster + 1} | row for row in rows]


def _explain(structure: xr.Dataset) -> str:
    text = (
        f"a, points: mean over {format_count(structure.sizes['roi_voxel'], 'voxel')}; shaded: "
        f"{structure.sizes['draw']} draws of each null, p the share that reach the mean, ≤ where "
        "none does; dashed: chance. b, dashed: what 95% of the draws of one shared "
        "tuning stay below, each with its own best number"
    )
    halves = (
        "c, each voxel's tuning in one half of the images with each voxel's in the other (last: "
        "not described): told apart is a diagonal; orange above 0, purple below"
    )
    if structure.attrs["clusters"] == 1:
        return f"{text}. {halves}."
    return (
        f"{text}; ring: the number reported. {halves}. d, of two voxels, by resamples of the "
        "images. e, words that tell the cluster from the other voxels, in images that had no part "
        "in the grouping: z and q of each by itself; r and p, what it adds to those above it. "
        "Pictures: largest response of the cluster less that of the others."
    )


def _write_panel_title(
    figure: Figure, structure: xr.Dataset, words: np.ndarray, voxels: int, region: str
) -> None:
    clusters, p = structure.attrs["clusters"], _say_p(structure)
    described = structure.sizes["voxel"]
    found = f"{clusters} clusters" if clusters > 1 else "no clusters"
    add_text(figure, EDGE, 2, f"{region}: {found}", fontsize=HEADING + 1, weight="bold")
    shared = words[structure.attrs["shared_word"]]
    text = (
        f"Clusters of {described} described voxels of {voxels:,}: p {p} against one shared tuning. "
        f"The word that most share, “{shared}”, does not count."
    )
    add_text(figure, EDGE, 7, text, color=INK)


def _draw_identification(figure: Figure, structure: xr.Dataset) -> None:
    write_panel_title(figure, EDGE, TOP - 12, "a", "Are voxels told apart?")
    add_text(figure, EDGE + 4, TOP - 7.5, "nulls:", color=INK)
    left = EDGE + 4 + measure_text("nulls: ")
    for name, _, colour in NULLS.values():
        add_text(figure, left, TOP - 7.5, name, color=colour, weight="bold")
        left += measure_text(f"{name} ", "bold") + 2
    axes = add_axes(figure, 19, TOP, 35, PANEL)
    draws = structure["identification_null"].values
    means = structure["identification_mean"].values
    low = min(np.nanmin(draws), np.nanmin(means), CHANCE - 0.1) - 0.02
    edges = np.linspace(low, 1.0, 41)
    for row, source in enumerate(SOURCES):
        here = structure.sel(source=source)
        value, base = float(here["identification_mean"]), 3 * row
        axes.plot(value, base + 0.5, "o", color=BLUE, markersize=4, gid="mean")
        write_number(figure, 55, TOP + PANEL / 6 * base + 1.6, f"{value:.2f}", color=BLUE)
        for line, (null, (_, colour, ink)) in enumerate(NULLS.items(), start=1):
            height = TOP + PANEL / 6 * (base + line) + 1.6
            drawn = here["identification_null"].sel(null=null).values
            if not np.isfinite(drawn).all():
                write_number(figure, 55, height, "no places", color=ink)
                continue
            counts, _ = np.histogram(drawn, edges)
            bottom = base + line + 0.85
            axes.stairs(
                bottom - 0.75 * counts / counts.max(),
                edges,
                baseline=bottom,
                fill=True,
                color=colour,
            )
            p = float(here["identification_p"].sel(null=null))
            text = f"p {format_p(p, draws=len(drawn))}"
            write_number(figure, 55, height, text, color=ink)
    axes.axvline(CHANCE, color=BLACK, linestyle="--", linewidth=0.8)
    axes.axhline(3, color=LIGHT, linewidth=0.6)
    axes.set(xlim=(edges[0], edges[-1] + 0.01), ylim=(6, 0))
    axes.set_yticks([1.5, 4.5], SOURCES.values())
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Identification, share of other voxels")


def _draw_explained(figure: Figure, structure: xr.Dataset) -> None:
    write_panel_title(figure, 70, TOP - 12, "b", "How many clusters?")
    add_text(figure, 74, TOP - 7.5, "explained of the other half", color=INK)
    axes = add_axes(figure, 82.5, TOP, 21, PANEL)
    counts, explained = structure["count"].values, structure["explained"].values
    axes.plot(counts, explained, "o-", color=BLUE, markersize=3, gid="explained")
    limit = np.quantile(structure["explained_null"].values, LEVEL)
    axes.axhline(limit, color=GREY, linestyle="--", linewidth=1.0)
    axes.axhline(0, color=BLACK, linewidth=0.6)
    clusters = structure.attrs["clusters"]
    if clusters > 1:
        value = explained[counts == clusters]
        ring = {"markerfacecolor": "none", "markeredgecolor": BLACK, "markeredgewidth": 1.0}
        axes.plot([clusters], value, "o", markersize=7, **ring)
    axes.set(xticks=counts, xlabel="Number of clusters")
    axes.set_ylabel("Explained variation")
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -0.02), max(high, 0.02))


def _draw_similarity(figure: Figure, structure: xr.Dataset) -> None:
    write_panel_title(figure, 107, TOP - 12, "c", "Do halves agree?")
    add_text(figure, 111, TOP - 7.5, "correlation of tunings", color=INK)
    values = structure["similarity"].sel(source="tuning").values
    limit = np.abs(values).max()
    voxels = structure["roi_voxel"].values
    style = {"vmin": -limit, "vmax": limit, "cmap": COLOURS}
    axes = _draw_matrix(figure, 112, structure, values, voxels, **style)
    axes.set_xlabel("Voxels, second half")
    # Beside the marks of the clusters.
    axes.set_ylabel("Voxels, first half", labelpad=5)


def _draw_consensus(figure: Figure, structure: xr.Dataset) -> None:
    write_panel_title(figure, 143, TOP - 12, "d", "Do resamples?")
    add_text(figure, 147, TOP - 7.5, "share in one cluster", color=INK)
    values = structure["together"].values
    voxels = structure["voxel"].values
    axes = _draw_matrix(figure, 148, structure, values, voxels, vmin=0, vmax=1, cmap="cividis")
    axes.set_xlabel("Voxels, by cluster")


def _draw_matrix(
    figure: Figure,
    left: float,
    structure: xr.Dataset,
    values: np.ndarray,
    voxels: np.ndarray,
    **style: object,
) -> Axes:
    """Draw a (voxel, voxel) matrix, sorted and marked by cluster, with its scale. Voxels that are
    in no cluster stand last."""
    count = structure.attrs["clusters"]
    label = structure["cluster"].reindex(voxel=voxels, fill_value=count).values
    stability = structure["stability"].reindex(voxel=voxels).values
    # The most stable voxels of a cluster stand first.
    order = np.lexsort((-np.nan_to_num(stability, nan=-2), label))
    axes = add_axes(figure, left, TOP, MATRIX, MATRIX)
    image = axes.imshow(values[np.ix_(order, order)], interpolation="nearest", **style)
    axes.set(xticks=[], yticks=[])
    ends = np.cumsum(np.bincount(label, minlength=count)[:count])
    for cluster, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        if count > 1:
            for across in (True, False):
                span = axes.axvspan if across else axes.axhspan
                limits = (1.015, 1.065) if across else (-0.065, -0.015)
                colour = _colour(cluster)
                span(start - 0.5, end - 0.5, *limits, color=colour, clip_on=False, linewidth=0)
    scale = add_axes(figure, left + MATRIX + 0.8, TOP, 1.4, MATRIX)
    bar = figure.colorbar(
        image,
        cax=scale,
        ticks=MaxNLocator(3),
        format=lambda value, _: f"{value:g}".replace("-", "−"),
    )
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(pad=1)
    return axes


def _draw_clusters(
    figure: Figure, structure: xr.Dataset, pictures: xr.DataArray, words: np.ndarray
) -> None:
    clusters = structure.attrs["clusters"]
    title = (
        f"Words of clusters that add to those above them, at most {WORDS}"
        if clusters > 1
        else "Images of largest response"
    )
    letter = "e" if clusters > 1 else "d"
    write_panel_title(figure, EDGE, CLUSTERS - 9, letter, title)
    if clusters > 1:
        for name, left in {"word": WORD, **COLUMNS}.items():
            add_text(figure, left, CLUSTERS - 3.8, name, color=INK)
    table = tabulate_structure(structure, words=words)
    for cluster in range(clusters):
        top = CLUSTERS + cluster * CARD
        own = table[table["cluster"] == cluster + 1]
        if cluster:
            draw_rule(figure, top - 1)
        _write_cluster(figure, top, cluster, own, structure)
        for rank, image in enumerate(own.loc[own["item"] == "exemplar", "image"]):
            axes = add_axes(figure, 115 + rank * (PICTURE + 1.2), top + 0.5, PICTURE, PICTURE)
            # Photographs are larger than their place here, and are to be averaged.
            add_image(axes, pictures.sel(image=image).values, interpolation="auto")


def _write_cluster(
    figure: Figure, top: float, cluster: int, own: pd.DataFrame, structure: xr.Dataset
) -> None:
    entry = own[own["item"] == "cluster"].iloc[0]
    voxels = format_count(entry["n"], "voxel")
    if structure.attrs["clusters"] == 1:
        text = f"No clusters: p {_say_p(structure)}, {voxels}."
        add_text(figure, EDGE, top, text, weight="bold")
        text = "No grouping of the voxels explains more of the other\nhalf of the images than "
        text += "groupings of one shared tuning do."
        add_text(figure, EDGE, top + 1.3 * LINE, text, linespacing=1.25)
        return
    add_key(figure, EDGE, top, f"cluster {cluster + 1}", _colour(cluster))
    add_text(figure, EDGE, top + 1.2 * LINE, voxels)
    if np.isfinite(entry["value"]):
        add_text(figure, EDGE, top + 2.3 * LINE, "stability")
        write_number(figure, EDGE + 12, top + 2.3 * LINE, f"{entry['value']:.2f}")
    listed = own[own["item"] == "word"].set_index("rank")
    added = own[own["item"] == "added"].set_index("rank")
    if not len(listed):
        add_text(figure, WORD, top, "no word is sure", color=INK)
    for rank in listed.index:
        where = top + 1.1 * LINE * rank
        add_text(figure, WORD, where, listed["word"][rank], weight="bold")
        numbers = {
            "z": f"{listed['value'][rank]:.1f}".replace("-", "−"),
            "q": format_p(listed["q"][rank]),
            "adds r": f"{added['value'][rank]:.2f}",
            "p": format_p(added["p"][rank]),
        }
        for name, number in numbers.items():
            write_number(figure, COLUMNS[name], where, number.removeprefix("= "))


def _say_p(structure: xr.Dataset) -> str:
    """The probability of the clusters, with its relation."""
    return format_p(structure.attrs["clusters_p"], draws=structure["explained_null"].size)


def _colour(cluster: int) -> str:
    return HUES[cluster % len(HUES)]
