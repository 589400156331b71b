"""Maps over a subject's own brain: which category voxels prefer, and which cluster they are of.

Slices are nilearn's, in the subject's own space. Of voxels that lie in no volume counts are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import nibabel
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from nibabel.affines import apply_affine

from mine.datasets.maps import fill_volume
from mine.datasets.voxels import VolumeVoxels
from mine.figures.strips import EDGE, draw_notice, write_note, write_panel_title
from mine.figures.style import (
    BROWN,
    HUES,
    MM_PER_INCH,
    SIZE,
    WIDTH,
    add_key,
    measure_text,
    new_figure,
    styled,
)
from mine.stages.preference import EVIDENCE

SLICES = 6
TITLES = {
    "profile": "Preferred category: words",
    "predicted": "Preferred category: predicted responses",
    "measured": "Preferred category: measured responses",
    "localiser": "Preferred category: localiser",
}
NO_CLUSTERS = "no clusters"
NOTHING = "No voxel prefers a category, and no region has clusters."

# mm
HEAD = 9.0  # with one line of a legend
GAP = 4.0  # of it, below the slices
LEGEND = 72.0
LINE = 3.3
ROW = 27.0
FOOT = 20.0


@dataclass(frozen=True)
class Map:
    """Whole numbers over voxels or over a volume, and what they stand for."""

    title: str
    labels: np.ndarray
    """(voxel,) or (X, Y, Z): from 1; 0 for none"""
    names: Sequence[str]
    """of 1, 2, ..."""
    colours: Sequence[str]


def map_preferences(labels: np.ndarray, names: Sequence[str]) -> list[Map]:
    """Maps of the preferred categories.

    labels: (voxel, evidence) or (X, Y, Z, evidence), of the rule preference_maps, evidence in the
    order of mine.stages.preference.EVIDENCE. names: of the categories, in their order. A kind of
    evidence by which no voxel prefers anything is left out.
    """
    colours = [HUES[place % len(HUES)] for place in range(len(names))]
    return [
        Map(TITLES[evidence], own, names, colours)
        for evidence, own in zip(EVIDENCE, np.moveaxis(labels, -1, 0), strict=True)
        if own.any()
    ]


def map_clusters(regions: Sequence[np.ndarray]) -> Map | None:
    """Map of the clusters within each region; None where no region has a described voxel.

    regions: (voxel,) or (X, Y, Z) of each region, clusters from 1, of the rule structure. A region
    of one cluster has none, and is shown as such. Of a voxel of two regions the first one's is
    shown.
    """
    most = max((int(labels.max()) for labels in regions), default=0)
    most = most if most > 1 else 0
    whole = np.zeros_like(regions[0]) if regions else np.zeros(1, int)
    for labels in regions:
        own = labels if labels.max() > 1 else labels * (most + 1)
        whole = np.where(whole == 0, own, whole)
    if not whole.any():
        return None
    names = [f"cluster {number}" for number in range(1, most + 1)] + [NO_CLUSTERS]
    colours = [HUES[place % len(HUES)] for place in range(most)] + [BROWN]
    return Map("Clusters within each region", whole, names, colours)


def place_maps(maps: Sequence[Map], voxels: VolumeVoxels) -> list[Map]:
    """Put labels (voxel,) where their voxels lie: (X, Y, Z)."""
    return [replace(each, labels=fill_volume(each.labels, voxels)) for each in maps]


def tabulate_maps(maps: Sequence[Map]) -> pd.DataFrame:
    """Return how many voxels have which label: columns map, label, name, voxels."""
    rows = [
        {
            "map": each.title,
            "label": label,
            "name": name,
            "voxels": int((each.labels == label).sum()),
        }
        for each in maps
        for label, name in enumerate(each.names, start=1)
    ]
    return pd.DataFrame(rows, columns=["map", "label", "name", "voxels"])


def straighten_volume(
    volume: np.ndarray, affine: np.ndarray, outside: float = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Put a volume (X, Y, Z) onto a grid along the axes of space, and return it with its affine.

    A point of the grid, whose spacing is the voxels' own, has the value of the nearest voxel, since
    between two labels there is none; beyond the centres of the outermost it has ``outside``.
    """
    from nilearn.image import reorder_img

    # What it adds around an oblique volume is 0.
    image = reorder_img(nibabel.Nifti1Image(volume - outside, affine), resample="nearest")
    return np.asarray(image.dataobj) + outside, image.affine


def straighten_labels(labels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Put labels (X, Y, Z) onto the grid of :func:`straighten_volume`: int16.

    Voxels that no point of the grid is nearest to, such as one alone may be, go to the point that
    is nearest to them, if it has no label.
    """
    straight, grid = straighten_volume(labels.astype(np.int16), affine)
    ijk = np.argwhere(labels)
    points = apply_affine(np.linalg.inv(grid) @ affine, ijk)
    place = tuple(np.clip(np.rint(points).astype(int), 0, np.array(straight.shape) - 1).T)
    straight[place] = np.where(straight[place] == 0, labels[tuple(ijk.T)], straight[place])
    return straight


def list_slices(maps: Sequence[Map], affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all axial slices that hold any label: height (slice,) and share (slice, label).

    labels: (X, Y, Z). height: mm, ascending, at least a voxel apart. share: of the voxels of each
    label of all maps, one map after the other and each from 0, those in the slice.
    """
    places = [np.argwhere(each.labels) for each in maps]
    heights = [place @ affine[2, :3] + affine[2, 3] for place in places]
    least, step = np.concatenate(heights).min(), np.linalg.norm(affine[:3, 2])
    rows = [np.rint((height - least) / step).astype(int) for height in heights]
    shown = np.zeros(
        (max(row.max() for row in rows) + 1, sum(len(each.names) + 1 for each in maps))
    )
    first = 0
    for each, row in zip(maps, rows, strict=True):
        np.add.at(shown, (row, first + each.labels[each.labels != 0]), 1)
        first += len(each.names) + 1
    held = np.flatnonzero(shown.any(axis=1))
    return least + step * held, shown[held] / np.maximum(shown.sum(axis=0), 1)


def choose_slices(maps: Sequence[Map], affine: np.ndarray, count: int) -> list[float]:
    """Return the heights (mm) of at most ``count`` axial slices, ascending.

    Slices of :func:`list_slices` are taken one after the other: each the one with which most labels
    of all maps have a tenth of their voxels shown, and of equals that of the largest sum of the
    roots of these shares. So what lies apart is not left out for more of what lies together.
    """
    heights, shown = list_slices(maps, affine)
    chosen, total = [], np.zeros(shown.shape[1])
    while len(chosen) < min(count, len(heights)):
        share = total + shown
        gain = (share >= 0.1).sum(axis=1) + np.sqrt(share).mean(axis=1)
        gain[chosen] = 0
        chosen.append(int(np.argmax(gain)))
        total += shown[chosen[-1]]
    return [float(heights[row]) for row in sorted(chosen)]


@styled
def draw_maps(
    maps: Sequence[Map],
    *,
    mask: np.ndarray,
    affine: np.ndarray,
    background: np.ndarray | None,
    subject: str,
) -> Figure:
    """Draw axial slices of each map, of labels (X, Y, Z).

    mask: bool (X, Y, Z), the voxels that were fitted. background: (X, Y, Z), the mean functional
    volume; without it the mask stands for the brain. affine: (4, 4), to millimetres.
    """
    # A second or three to import, and more than a figure of anything else needs.
    from nilearn import plotting

    if not maps:
        return draw_notice(f"{subject}: maps", NOTHING)
    behind, outside, black, white = _make_background(background, mask)
    behind, grid = straighten_volume(behind, affine, outside)
    laid = [straighten_labels(each.labels, affine) for each in maps]
    straight = [replace(each, labels=labels) for each, labels in zip(maps, laid, strict=True)]
    cuts = choose_slices(straight, grid, SLICES)
    heads = [_measure_head(each) for each in maps]
    height = sum(heads) + len(maps) * ROW
    figure = new_figure(height + FOOT, layout=None)
    across, down = (side * MM_PER_INCH for side in figure.get_size_inches())
    top = 2.0
    for letter, head, each, labels in zip("abcdefgh", heads, maps, laid, strict=False):
        _write_head(figure, top, letter, each)
        bottom = 1 - (top + head - GAP + ROW) / down
        box = (EDGE / across, bottom, 1 - 2 * EDGE / across, ROW / down)
        top += head + ROW
        display = plotting.plot_anat(
            nibabel.Nifti1Image(behind, grid),
            display_mode="z",
            cut_coords=cuts,
            figure=figure,
            axes=box,
            vmin=black,
            vmax=white,
            colorbar=False,
            annotate=False,
            draw_cross=False,
            black_bg=False,
        )
        display.add_overlay(
            nibabel.Nifti1Image(labels, grid),
            cmap=ListedColormap(each.colours),
            vmin=1,
            vmax=max(len(each.colours), 2),
            threshold=0.5,
        )
        display.annotate(size=SIZE, decimals=1)
    brain = (
        "Grey scale: the mean functional volume"
        if background is not None
        else "Light grey: the voxels that were fitted"
    )
    shown = _say_shown(len(cuts), len(list_slices(straight, grid)[0]))
    write_note(
        figure,
        height + 3,
        f"{subject}, its own space; {shown}, heights in mm, L: left. Numbers count the voxels of "
        f"all slices. {brain}. A voxel has a colour where it prefers a category by that evidence. "
        "Clusters are counted within each region by falling size: one colour in two regions means "
        f"nothing; “{NO_CLUSTERS}”: described voxels of regions that fall into none. Predictions "
        "prefer something even where voxels answer to nothing.",
    )
    return figure


@styled
def draw_counts(maps: Sequence[Map], *, geometry: str, subject: str) -> Figure:
    """Draw how many voxels have which label, of voxels that no slice can show.

    geometry: "surface" or "list", where the voxels lie.
    """
    if not maps:
        return draw_notice(f"{subject}: maps", NOTHING)
    heads = [_measure_head(each) for each in maps]
    figure = new_figure(sum(heads) + FOOT + 5, layout=None)
    top = 2.0
    for letter, head, each in zip("abcdefgh", heads, maps, strict=False):
        _write_head(figure, top, letter, each)
        top += head
    where = {
        "surface": "on the cortical surfaces, so that no slices are drawn; a viewer of surfaces "
        "shows the maps, which are GIFTI files",
        "list": "in a list without places, so that nothing is drawn; the maps are tables",
    }
    write_note(
        figure,
        sum(heads) + 3,
        f"{subject}: its voxels lie {where[geometry]}. Numbers count voxels. A voxel counts where "
        "it prefers a category by that evidence. Clusters are counted within each region by "
        "falling size: one number in two regions means nothing. Predictions prefer something even "
        "where voxels answer to nothing.",
    )
    return figure


def _write_head(figure: Figure, top: float, letter: str, each: Map) -> None:
    """Letter, title and legend of a map."""
    write_panel_title(figure, EDGE, top, letter, each.title)
    for line, entries in enumerate(_break_legend(each)):
        for left, text, colour in entries:
            add_key(figure, left, top + 0.4 + line * LINE, text, colour, gid="number")


def _measure_head(each: Map) -> float:
    """Height of title and legend: mm."""
    return HEAD + LINE * (len(_break_legend(each)) - 1)


def _break_legend(each: Map) -> list[list[tuple[float, str, str]]]:
    """Lines of a legend, of names that any voxel has: where each begins (mm), text, colour."""
    lines, left = [[]], LEGEND
    for label, (name, colour) in enumerate(zip(each.names, each.colours, strict=True), start=1):
        count = int((each.labels == label).sum())
        if not count:
            continue
        text = f"{name} {count}"
        width = measure_text("■ ") + measure_text(f"{text} ", "bold") + 2.0
        if lines[-1] and left + width > WIDTH:
            lines.append([])
            left = LEGEND
        lines[-1].append((left, text, colour))
        left += width
    return lines


def _say_shown(drawn: int, held: int) -> str:
    """How many of the slices that hold voxels with a colour are drawn, and which."""
    if drawn == held:
        return "all axial slices that hold a coloured voxel"
    return (
        f"{drawn} of the {held} axial slices that hold a coloured voxel, such that of as many "
        "names as possible a tenth of the voxels is seen"
    )


def _make_background(
    background: np.ndarray | None, mask: np.ndarray
) -> tuple[np.ndarray, float, float | None, float | None]:
    """What lies behind the labels, float32 (X, Y, Z), its value outside of the volume, and the
    values of black and white.
    """
    if background is not None:
        return background, float(np.nanmin(background)), None, None
    # Not 0 outside: what is 0 is cut off around the slices.
    return np.where(mask, 0.9, 1.0).astype(np.float32), 1.0, 0.0, 1.0
