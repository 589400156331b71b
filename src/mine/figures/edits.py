"""Edited images: a feature inserted and removed by description, by profile and by controls."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from mine.core.conditions import GUIDES
from mine.figures.strips import (
    CELL,
    EDGE,
    FOOT,
    GAUGE,
    HEAD,
    INK,
    LINE,
    PICTURE,
    TOP,
    choose_places,
    draw_gauge,
    draw_none,
    draw_picture,
    find_limits,
    fit_page,
    format_signed,
    strip_template,
    wrap_text,
    write_columns,
    write_heading,
    write_means,
    write_note,
    write_number,
)
from mine.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    add_text,
    new_figure,
    styled,
)

CONDITIONS = {
    "description": ("words of one\nimage's top tokens", BLUE),
    "profile": ("as many words\nof the profile", GREEN),
    "other": ("a word of another\ncategory", SKY),
    "random": ("words of\nrandom tokens", ORANGE),
    "lowest": ("words of lowest\n|attribution|", VERMILLION),
    "unspecific": ("same mask, without\nthe feature's words", GREY),
    "elsewhere": ("same words,\nmask moved off", PURPLE),
}
DRAWN = {
    "insertion": ("description", "profile", "other", "unspecific", "elsewhere"),
    "removal": ("description", "profile", "random", "unspecific", "elsewhere"),
}
"""By direction, a condition for each column: there is room for one control by other words."""

OTHER_WORDS = ("put in: other\ntaken out: random", BLACK)
DIRECTIONS = {"insertion": (BLUE, "o"), "removal": (VERMILLION, "s")}
MOST_IMAGES = 2

NONE = {
    "insertion": "no test image is without the feature, so nothing was inserted",
    "removal": "the feature is read in no test image, so nothing was removed",
}

LINES = {"insertion": 2, "removal": 3}  # of words beneath an image
SUMMARY = 6.6  # mm
NOTHING = 5.0  # mm

Chosen = dict[tuple[int, str], list[int]]
"""By voxel and direction: the places (``chosen``) of the images that are drawn."""


def choose_edits(edits: xr.Dataset, voxels: np.ndarray, *, images: int) -> Chosen:
    """Return which images are drawn for each voxel and direction.

    The first of those that were drawn at random for the test, so not chosen by what came of them,
    other ones for each voxel where there are; at most ``images`` and MOST_IMAGES, and no more than
    a page holds.
    """
    voxels = [int(voxel) for voxel in voxels]
    start = {
        (voxel, str(direction)): edits["start"].sel(voxel=voxel, direction=direction).values
        for voxel in voxels
        for direction in edits["direction"].values
    }
    able = {key: bool((image >= 0).any()) for key, image in start.items()}
    fixed = TOP + FOOT + len(voxels) * HEAD
    fixed += sum(SUMMARY if known else NOTHING for known in able.values())
    row = sum(_row(direction) for (_, direction), known in able.items() if known)
    most = fit_page(min(images, MOST_IMAGES), row=max(row, 1.0), fixed=fixed)
    drawn: set[int] = set()
    return {key: choose_places(image, most, drawn) for key, image in start.items()}


def list_edited(edits: xr.Dataset, chosen: Chosen) -> np.ndarray:
    """Return the identities of the images that are drawn."""
    start = edits["start"]
    found = [
        start.sel(voxel=voxel, direction=direction).values[places]
        for (voxel, direction), places in chosen.items()
    ]
    return np.concatenate([np.empty(0, int), *found]).astype(int)


@styled
def draw_edits(
    edits: xr.Dataset,
    counterfactuals: xr.Dataset,
    pictures: xr.DataArray,
    *,
    chosen: Chosen,
    template: str,
    method: str,
    table: pd.DataFrame,
    region: str,
) -> Figure:
    """Draw images before and after the edits of some voxels, and the shifts that they brought.

    edits, counterfactuals: stores of the ROI. pictures: uint8 (image, row, column, channel), at
    least the images drawn. chosen: of :func:`choose_edits`. template: that words were put into.
    method: ``inpainting``, whose masks are outlined, or ``instruction``, which knows none. table:
    describe_voxels. region: for the heading. With no voxel the figure says so.
    """
    if not chosen:
        return draw_none(table, region, "was tested, so nothing was edited")
    numbers = tabulate_edits(edits, counterfactuals, chosen=chosen)
    voxels = list(dict.fromkeys(voxel for voxel, _ in chosen))
    height = TOP + len(voxels) * HEAD + FOOT + 1
    for (_, direction), places in chosen.items():
        height += len(places) * _row(direction) + SUMMARY if places else NOTHING
    figure = new_figure(height, layout=None)
    columns = {
        name if name == also else "other words": CONDITIONS[name] if name == also else OTHER_WORDS
        for name, also in zip(*DRAWN.values(), strict=True)
    }
    painted = method == "inpainting"
    before = "outlined: what\nis repainted" if painted else "shown to\nthe subject"
    write_columns(figure, {"before": (before, BLACK), **columns})
    limits = find_limits(numbers.loc[numbers["item"] == "shift", "value"].to_numpy())
    top = TOP
    for voxel in voxels:
        write_heading(figure, top, region, voxel, table.loc[voxel])
        top += HEAD
        for direction in edits["direction"].values:
            places = chosen[voxel, str(direction)]
            here = numbers[(numbers["voxel"] == voxel) & (numbers["direction"] == direction)]
            if not places:
                add_text(figure, EDGE, top, str(direction), style="italic")
                add_text(figure, EDGE + CELL, top, NONE[str(direction)], color=INK)
                top += NOTHING
                continue
            for place in places:
                own = edits.sel(voxel=voxel, direction=direction).isel(chosen=place)
                picture = pictures.sel(image=int(own["start"])).values
                shifts = here[here["image"] == int(own["start"])]
                _draw_row(figure, top, own, picture, shifts, limits, template if painted else None)
                top += _row(str(direction))
            write_means(
                figure,
                top,
                here[here["item"] == "mean_shift"].set_index("condition"),
                said="mean of {}",
                write=partial(format_signed, digits=2),
            )
            top += SUMMARY
    said = template.replace("{}", "…")
    asked = f"Words are put into “{said}”; “not”: what the generator is kept from painting. "
    write_note(
        figure,
        top + 1,
        f"{asked if painted else ''}Beside an edited image: the shift of the predicted response in "
        "the expected direction, up for insertion and down for removal, by the evaluator (bold, "
        "bar from the line at zero) and by the explained encoder (grey, ring), in standard "
        "deviations of the response; "
        "q: that the description's mean is higher. All gauges have one scale.",
    )
    return figure


def tabulate_edits(
    edits: xr.Dataset, counterfactuals: xr.Dataset, *, chosen: Chosen
) -> pd.DataFrame:
    """Return the numbers of :func:`draw_edits`.

    Columns: item, voxel, direction, image, condition, model, prompt, negative, instruction, value,
    q, n.
    Items: ``shift`` of the drawn edit in the expected direction; ``mean_shift`` of the voxel over
    its n images, by the evaluator, with q that the description's shift is larger; both in standard
    deviations of the response.
    """
    rows: list[dict[str, object]] = []
    for (voxel, direction), places in chosen.items():
        own = counterfactuals.sel(voxel=voxel, direction=direction)
        for place in places:
            here = edits.sel(voxel=voxel, direction=direction).isel(chosen=place)
            for condition in DRAWN[direction]:
                edit = _find_edit(here, condition)
                if edit < 0:
                    continue
                made = here.isel(edit=edit)
                common = {
                    "item": "shift",
                    "voxel": voxel,
                    "direction": direction,
                    "image": int(here["start"]),
                    "condition": condition,
                    "prompt": str(made["prompt"].values),
                    "negative": str(made["negative"].values),
                    "instruction": str(made["instruction"].values),
                }
                shift = own["shift"].sel(condition=condition).isel(chosen=place)
                for model in counterfactuals["model"].values:
                    value = float(shift.sel(model=model))
                    rows.append(common | {"model": model, "value": value})
        if not places:
            continue
        judged = own.sel(model="evaluator")
        for condition in DRAWN[direction]:
            known = np.isfinite(judged["shift"].sel(condition=condition).values).sum()
            row = {
                "item": "mean_shift",
                "voxel": voxel,
                "direction": direction,
                "condition": condition,
                "model": "evaluator",
                "value": float(judged["shift_mean"].sel(condition=condition)),
                "n": known,
            }
            if condition not in GUIDES:
                q = judged["effect_q"].sel(guide="description", control=condition)
                row["q"] = float(q)
            rows.append(row)
    columns = ["item", "voxel", "direction", "image", "condition", "model", "prompt", "negative"]
    table = pd.DataFrame(rows, columns=[*columns, "instruction", "value", "q", "n"])
    return table.astype({"image": "Int64", "n": "Int64"})


def say_edit(edit: xr.Dataset, template: str | None) -> str:
    """Say what an edit asked for: the words to paint and those not to, or its instruction.

    template: that the words were put into; None for an edit by instruction.
    """
    if template is None:
        return str(edit["instruction"].values) or "(no words)"
    prompt, negative = str(edit["prompt"].values), str(edit["negative"].values)
    painted = strip_template(prompt, template)
    parts = [f"not {negative}" if negative else "", f"but {painted}" if negative else painted]
    return " ".join(part for part in parts if part.strip() not in ("", "but")) or "(no words)"


def _row(direction: str) -> float:
    """Height of a row of images with the words beneath: mm."""
    return PICTURE + 0.8 + LINES[direction] * LINE + 0.8


def _find_edit(here: xr.Dataset, condition: str) -> int:
    return int(here["index"].sel(condition=condition))


def _draw_row(
    figure: Figure,
    top: float,
    here: xr.Dataset,
    picture: np.ndarray,
    shifts: pd.DataFrame,
    limits: tuple[float, float],
    template: str | None,
) -> None:
    """Draw an image before and after its edits. here: edits of one voxel, direction and image.
    template: None for edits by instruction, which know no mask.
    """
    below = top + PICTURE + 0.8
    guide = next((edit for name in GUIDES if (edit := _find_edit(here, name)) >= 0), -1)
    masks = None if template is None else here["mask"].values
    mask = masks[guide] if masks is not None and guide >= 0 else None
    draw_picture(figure, EDGE, top, picture, mask=mask)
    direction = str(here["direction"].values)
    add_text(figure, EDGE, below, direction, style="italic")
    add_text(figure, EDGE, below + LINE, f"image {int(here['start'])}")
    for column, condition in enumerate(DRAWN[direction], start=1):
        left, edit = EDGE + column * CELL, _find_edit(here, condition)
        if edit < 0:
            moved = condition == "elsewhere" and masks is None
            draw_picture(figure, left, top, None, instead="no mask" if moved else "no words")
            continue
        made = here.isel(edit=edit)
        mask = None if masks is None else masks[edit]
        draw_picture(figure, left, top, made["pixels"].values, mask=mask)
        shift = shifts[shifts["condition"] == condition].set_index("model")["value"]
        draw_gauge(
            figure,
            left + PICTURE + 0.8,
            top,
            value=shift["evaluator"],
            reference=0.0,
            encoder=shift["encoder"],
            colour=CONDITIONS[condition][1],
            limits=limits,
        )
        numbers = left + PICTURE + GAUGE + 1.4
        write_number(figure, numbers, top, format_signed(shift["evaluator"]), weight="bold")
        write_number(figure, numbers, top + LINE, format_signed(shift["encoder"]), color=INK)
        said = wrap_text(say_edit(made, template), width=CELL - 2, lines=LINES[direction])
        add_text(figure, left, below, said, gid="prompt")
