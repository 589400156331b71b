"""Draw the figure of the first page from finished results.

``python docs/overview.py results/demo`` draws a row for the best predicted of each region's voxels
that were tested by edits: the first five words of its profile, test images of largest predicted
response with what drives it, and by how much more its feature shifts it than a control does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

import mine
from mine.figures.attributions import attribution_shares, draw_overlay, draw_words
from mine.figures.strips import choose_tested, format_signed
from mine.figures.style import BLUE, HEADING, add_axes, add_image, add_text, new_figure, styled
from mine.figures.voxels import rank_images
from mine.results import Region
from mine.statistics.effects import clustered_effect

DPI = 150
REGIONS = 5
IMAGES = 3
WORDS = 5
DIRECTIONS = {"insertion": "put in", "removal": "taken out"}
# mm
ROW = 26.0
TOP = 7.0
SIDE = 21.0
SMALL = 6.5  # the picture itself, beside what drives the voxel in it
COLUMNS = {
    "Voxel": 2.0,
    "What it answers to": 20.0,
    "Where, in test images": 60.0,
    "Causal?": 151.0,
}


@styled
def draw_overview(regions: list[Region]) -> Figure:
    """Draw a row for each region."""
    figure = new_figure(TOP + ROW * len(regions), layout=None)
    for head, left in COLUMNS.items():
        add_text(figure, left, 1.5, head, weight="bold", fontsize=HEADING, color=BLUE)
    for place, region in enumerate(regions):
        _draw_row(figure, TOP + ROW * place, region)
    return figure


def _draw_row(figure: Figure, top: float, region: Region) -> None:
    left, _, images_left, causal_left = COLUMNS.values()
    table = region.table()
    edits = region.store("counterfactuals")
    number = int(choose_tested(table, edits["voxel"].values, 1)[0])
    entry, voxel = table.loc[number], region[number]
    add_text(figure, left, top + 2, region.name, weight="bold", fontsize=HEADING)
    fit = f"voxel {number}\nR² {entry['r2']:.2f}\nceiling {entry['noise_ceiling']:.2f}"
    add_text(figure, left, top + 6.5, fit)
    words = voxel.profile.words[:WORDS]
    axes = add_axes(figure, 37, top + 1.5, 19, 4 * len(words))
    axes.barh(range(len(words)), words["added"], 0.7, color=BLUE)
    axes.set(ylim=(max(len(words), 1) - 0.5, -0.5), xlim=(0, 1), xticks=[0, 1])
    axes.set_yticks(range(len(words)), words["word"])
    for place, image in enumerate(_choose_images(region, number)):
        _draw_image(
            figure, images_left + place * (SIDE + SMALL + 2.5), top + 1, region, number, image
        )
    for line, (direction, name) in enumerate(DIRECTIONS.items()):
        effect = _describe_effect(edits, number, direction)
        add_text(figure, causal_left, top + 2 + 11 * line, f"{name}{effect}")


def _describe_effect(edits: xr.Dataset, number: int, direction: str) -> str:
    """Tell the mean over a voxel's images of the shift by its feature less that by words of random
    tokens, with its interval over images, and their number.
    """
    own = edits["shift"].sel(model="evaluator", direction=direction, voxel=number)
    differences = (own.sel(condition="description") - own.sel(condition="random")).values
    if not np.isfinite(differences).any():
        return "\nin no image"
    mean, _ = clustered_effect(differences, np.arange(len(differences)))
    value, low, high = map(format_signed, mean)
    return f", sd\n{value} [{low}, {high}]\nn = {np.isfinite(differences).sum()}"


def _choose_images(region: Region, number: int) -> np.ndarray:
    """Test images of largest prediction."""
    test = region.descriptions["image"].values
    prediction = region.attributions["prediction"].sel(voxel=[number], image=test)
    return rank_images(prediction, IMAGES)[0]


def _draw_image(
    figure: Figure, left: float, top: float, region: Region, number: int, image: int
) -> None:
    grid = region.profiles.sizes["row"], region.profiles.sizes["column"]
    shown = region.attributions.sel(voxel=[number], image=[image]).load()
    share = attribution_shares(shown, number, image, grid[0] * grid[1])
    picture = region.results.pictures([image]).values[0]
    axes = add_axes(figure, left, top, SIDE, SIDE)
    draw_overlay(axes, picture, share.reshape(grid), Normalize(0, share.max()))
    said = region.descriptions.sel(voxel=number, image=image, condition="description")
    draw_words(axes, said, region.results.words, grid, SIDE)
    add_image(add_axes(figure, left + SIDE + 0.7, top, SMALL, SMALL), picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--to", type=Path, default=Path(__file__).with_name("overview.png"))
    options = parser.parse_args()
    results = mine.open(options.results)
    subject = results[results.subjects[0]]
    regions = [subject[roi] for roi in subject.rois]
    shown = [region for region in regions if region.store("counterfactuals").sizes["voxel"]]
    figure = draw_overview(shown[:REGIONS])
    figure.savefig(options.to, dpi=DPI, metadata={"Software": None}, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
