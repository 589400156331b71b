"""Generated pictures beside their originals, by what they were made from, with their responses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from mine.figures.strips import (
    CELL,
    EDGE,
    FOOT,
    GAUGE,
    HEAD,
    INK,
    LINE,
    LINES,
    PICTURE,
    ROW,
    SUMMARY,
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
    VERMILLION,
    add_text,
    new_figure,
    styled,
)

CONDITIONS = {
    "description": ("words of the\ntop tokens", BLUE),
    "random": ("words of\nrandom tokens", ORANGE),
    "lowest": ("words of tokens of\nlowest |attribution|", VERMILLION),
    "caption": ("a person's\nwhole caption", GREEN),
    "empty": ("no words\nat all", GREY),
}


def choose_originals(
    generated: xr.Dataset, voxels: np.ndarray, *, images: int
) -> dict[int, list[int]]:
    """Return the places (``chosen``) of the originals that are drawn for each voxel.

    The first of those that were drawn at random for the test, so not chosen by what came of them,
    other ones for each voxel where there are; at most ``images``, and no more than a page holds.
    """
    voxels = [int(voxel) for voxel in voxels]
    fixed = TOP + FOOT + len(voxels) * (HEAD + SUMMARY)
    most = fit_page(images, row=ROW * max(len(voxels), 1), fixed=fixed)
    drawn: set[int] = set()
    return {
        voxel: choose_places(generated["image"].sel(voxel=voxel).values, most, drawn)
        for voxel in voxels
    }


def list_originals(generated: xr.Dataset, originals: dict[int, list[int]]) -> np.ndarray:
    """Return the identities of the originals that are drawn."""
    image = generated["image"]
    found = [image.sel(voxel=voxel).values[places] for voxel, places in originals.items()]
    return np.concatenate([np.empty(0, int), *found]).astype(int)


@styled
def draw_generated(
    generated: xr.Dataset,
    sufficiency: xr.Dataset,
    pictures: xr.DataArray,
    *,
    originals: dict[int, list[int]],
    template: str,
    table: pd.DataFrame,
    region: str,
) -> Figure:
    """Draw the first sample of every condition beside its original, for some voxels and images.

    generated, sufficiency: stores of the ROI. pictures: uint8 (image, row, column, channel), at
    least the originals drawn. originals: of :func:`choose_originals`. template: that words were put
    into. table: describe_voxels. region: for the heading. With no voxel the figure says so.
    """
    if not originals:
        return draw_none(table, region, "was tested, so nothing was generated")
    numbers = tabulate_generated(generated, sufficiency, originals=originals)
    rows = sum(map(len, originals.values()))
    height = TOP + rows * ROW + len(originals) * (HEAD + SUMMARY) + FOOT
    figure = new_figure(height, layout=None)
    write_columns(figure, {"original": ("shown to\nthe subject", BLACK), **CONDITIONS})
    responses = numbers["item"].isin(["response", "original"])
    limits = find_limits(numbers.loc[responses, "value"].to_numpy())
    top = TOP
    for voxel, chosen in originals.items():
        write_heading(figure, top, region, voxel, table.loc[voxel])
        top += HEAD
        for place in chosen:
            here = generated.sel(voxel=voxel).isel(chosen=place)
            picture = pictures.sel(image=int(here["image"])).values
            measured = float(sufficiency["measured"].sel(voxel=voxel).isel(chosen=place))
            _draw_row(figure, top, here, picture, measured, template, limits)
            top += ROW
        means = numbers[(numbers["item"] == "mean_error") & (numbers["voxel"] == voxel)]
        write_means(
            figure,
            top,
            means.set_index("condition"),
            said="mean error, {}\n(q: description lower)",
            write="{:.2f}".format,
        )
        top += SUMMARY
    _write_foot(figure, top + 1, template)
    return figure


def tabulate_generated(
    generated: xr.Dataset, sufficiency: xr.Dataset, *, originals: dict[int, list[int]]
) -> pd.DataFrame:
    """Return the numbers of :func:`draw_generated`.

    Columns: item, voxel, image, condition, model, prompt, value, q, n. Items: ``original`` and
    ``response``, predicted for the original and for the drawn picture; ``measured``, the response
    to the original; ``error``, |response − original|; all in standard deviations; and
    ``mean_error`` of the voxel over all n images and samples, with q that the description's is
    smaller.
    """
    rows: list[dict[str, object]] = []
    for voxel, chosen in originals.items():
        for place in chosen:
            here = generated.sel(voxel=voxel).isel(chosen=place)
            common = {"voxel": voxel, "image": int(here["image"])}
            measured = float(sufficiency["measured"].sel(voxel=voxel).isel(chosen=place))
            rows.append(common | {"item": "measured", "value": measured})
            for model in generated["model"].values:
                value = float(here["original"].sel(model=model))
                rows.append(common | {"item": "original", "model": model, "value": value})
            for condition in CONDITIONS:
                picture = _find_picture(here, condition)
                if picture < 0:
                    continue
                made = here.isel(picture=picture)
                said = common | {"condition": condition, "prompt": str(made["prompt"].values)}
                for model in generated["model"].values:
                    value = float(made["response"].sel(model=model))
                    rows.append(said | {"item": "response", "model": model, "value": value})
                response, original = made["response"], here["original"]
                error = float(abs(response - original).sel(model="evaluator"))
                rows.append(said | {"item": "error", "model": "evaluator", "value": error})
        own = sufficiency.sel(voxel=voxel, model="evaluator")
        for condition in CONDITIONS:
            error = own["error"].sel(condition=condition).values
            known = np.isfinite(error)
            mean = error[known].mean() if known.any() else np.nan
            row = {"item": "mean_error", "voxel": voxel, "condition": condition, "value": mean}
            if condition in own["control"].values:
                row["q"] = float(own["q"].sel(control=condition))
            rows.append(row | {"model": "evaluator", "n": known.sum()})
    columns = ["item", "voxel", "image", "condition", "model", "prompt", "value", "q", "n"]
    return pd.DataFrame(rows, columns=columns).astype({"image": "Int64", "n": "Int64"})


def _find_picture(here: xr.Dataset, condition: str) -> int:
    return int(here["picture"].sel(condition=condition).isel(sample=0))


def _draw_row(
    figure: Figure,
    top: float,
    here: xr.Dataset,
    picture: np.ndarray,
    measured: float,
    template: str,
    limits: tuple[float, float],
) -> None:
    """Draw an original and its pictures. here: generated, of one voxel and image."""
    reference = float(here["original"].sel(model="evaluator"))
    beside, below = EDGE + PICTURE + 0.8, top + PICTURE + 0.8
    draw_picture(figure, EDGE, top, picture)
    explained = float(here["original"].sel(model="encoder"))
    draw_gauge(figure, beside, top, reference=reference, limits=limits, encoder=explained)
    numbers = beside + GAUGE + 0.6
    write_number(figure, numbers, top, format_signed(reference), weight="bold")
    write_number(figure, numbers, top + 2 * LINE, format_signed(explained), color=INK)
    add_text(figure, EDGE, below, f"image {int(here['image'])}")
    add_text(figure, EDGE, below + LINE, "measured")
    write_number(figure, EDGE + 13, below + LINE, format_signed(measured))
    for column, (condition, (_, colour)) in enumerate(CONDITIONS.items(), start=1):
        left = EDGE + column * CELL
        place = _find_picture(here, condition)
        if place < 0:
            missing = "no caption" if condition == "caption" else "no words"
            draw_picture(figure, left, top, None, instead=missing)
            continue
        made = here.isel(picture=place)
        draw_picture(figure, left, top, made["pixels"].values)
        value, explained = (float(made["response"].sel(model=m)) for m in ("evaluator", "encoder"))
        draw_gauge(
            figure,
            left + PICTURE + 0.8,
            top,
            value=value,
            reference=reference,
            encoder=explained,
            colour=colour,
            limits=limits,
        )
        numbers = left + PICTURE + GAUGE + 1.4
        write_number(figure, numbers, top, format_signed(value), weight="bold")
        error = f"|{abs(value - reference):.1f}|"
        write_number(figure, numbers, top + LINE, error)
        write_number(figure, numbers, top + 2 * LINE, format_signed(explained), color=INK)
        said = str(made["prompt"].values)
        said = said if condition == "caption" else strip_template(said, template)
        said = said or "(no words)"
        add_text(figure, left, below, wrap_text(said, width=CELL - 2, lines=LINES), gid="prompt")


def _write_foot(figure: Figure, top: float, template: str) -> None:
    said = template.replace("{}", "…")
    write_note(
        figure,
        top,
        f"Words are put into “{said}”. Beside a picture: its response as the evaluator predicts it "
        "(bold), |its distance| to the original's, and the explained encoder's prediction (grey), "
        "in standard deviations of the response. Gauge: line, prediction for the original; bar, "
        "from there to that for the picture, so its length is the error; ring, the explained "
        "encoder's. All gauges have one scale.",
    )
