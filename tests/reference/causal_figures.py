"""Stores of causal tests of two voxels, and what their figures say."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.text import Text

from mine.figures.edits import (
    choose_edits,
    draw_edits,
    list_edited,
    tabulate_edits,
)
from mine.figures.generated import (
    choose_originals,
    draw_generated,
    list_originals,
    tabulate_generated,
)
from mine.figures.strips import (
    choose_tested,
    format_p,
    format_signed,
)
from mine.figures.voxels import gather_pictures
from mine.stages.causality import tabulate_causality
from mine.stages.counterfactuals import measure_counterfactuals
from mine.stages.editing import plan_edits
from mine.stages.edits import record_edits
from mine.stages.generation import plan_pictures, planned_images, record_pictures
from mine.stages.sufficiency import measure_sufficiency
from tests.reference.causal import VOCABULARY, make_alternatives, make_features, make_readings

TEMPLATE = "a photo of {}"
CAPTION = "a whole sentence of a person"
DOG, CAT, SEA, RED, TALL = 0, 1, 4, 6, 7
MODELS = ("evaluator", "encoder")
VOXELS = 12  # of the subject


def make_words() -> np.ndarray:
    """Half of the images show a dog in quadrant 0; no quadrant shows a cat."""
    words = np.random.default_rng(0).integers(2, 6, (40, 4))
    words[::2, 0] = DOG
    return words


def respond(count: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    shared = random.normal(size=(count, VOXELS))
    return {
        model: (shared + 0.3 * random.normal(size=shared.shape)).astype(np.float32)
        for model in MODELS
    }


@cache
def make_generated(seed: int = 0) -> tuple[xr.Dataset, xr.Dataset]:
    """Stores ``generated`` and ``sufficiency`` of two voxels; one image has no caption."""
    features = make_features(make_words(), [[DOG, RED], [DOG]])
    plan = plan_pictures(
        features,
        VOCABULARY,
        [[]] + [[CAPTION]] * 39,
        template=TEMPLATE,
        words=2,
        images=6,
        quantile=0.5,
        generator=np.random.default_rng(seed),
    )
    pictures, images = plan.sizes["picture"], len(planned_images(plan["image"]))
    pixels = np.random.default_rng(seed).integers(0, 255, (pictures, 8, 8, 3), dtype=np.uint8)
    generated = record_pictures(plan, pixels, [respond(pictures, seed)], respond(images, seed + 1))
    measured = np.random.default_rng(seed).normal(size=plan["image"].shape).astype(np.float32)
    random = np.random.default_rng(seed)
    sufficiency = measure_sufficiency(generated, measured=measured, generator=random)
    return generated, sufficiency


@cache
def make_edits(
    seed: int = 0, main: int = DOG, method: str = "inpainting"
) -> tuple[xr.Dataset, xr.Dataset]:
    """Stores ``edits`` and ``counterfactuals`` of two voxels."""
    words = make_words()
    plan = plan_edits(
        make_features(words, [[main, TALL], [main, SEA]]),
        make_readings(words),
        thresholds=np.full(len(VOCABULARY), 0.5),
        alternatives=make_alternatives(),
        words=2,
        images=5,
        window=0.5,
        dilation=0,
        most_overlap=1,
        seed=seed,
        method=method,
    )
    images, row = np.unique(plan["image"].values, return_inverse=True)
    lens = make_readings(words).lens.sel(image=images)
    edits = record_edits(
        plan,
        np.random.default_rng(seed).integers(0, 255, (len(row), 8, 8, 3), dtype=np.uint8),
        originals=np.random.default_rng(seed + 4).integers(
            0, 255, (len(images), 8, 8, 3), dtype=np.uint8
        ),
        row=row,
        edited=[(respond(len(row), seed + 2), lens.isel(image=row))],
        before=(respond(len(images), seed + 3), lens),
        group=np.arange(len(VOCABULARY)),
        region=np.array([5, 6]),
    )
    random = np.random.default_rng(seed)
    measured = measure_counterfactuals(edits.drop_vars("pixels"), generator=random)
    return edits, measured


def make_table() -> pd.DataFrame:
    """As describe_voxels gives it: the voxels 6 and 5, best first, and one that is not tested."""
    return pd.DataFrame(
        {
            "r2": [0.6, 0.5, 0.4],
            "noise_ceiling": 0.7,
            "described": [True, True, False],
            "reason": ["described", "described", "retinotopic"],
            "words": ["dog, red", "dog", ""],
        },
        index=pd.Index([6, 5, 9], name="voxel"),
    )


def read(images: np.ndarray) -> np.ndarray:
    return np.full((len(images), 12, 12, 3), 128, dtype=np.uint8)


def draw_pictures(voxels: int, images: int) -> tuple[Figure, pd.DataFrame]:
    generated, sufficiency = make_generated()
    shown = choose_tested(make_table(), generated["voxel"].values, voxels)
    originals = choose_originals(generated, shown, images=images)
    figure = draw_generated(
        generated,
        sufficiency,
        gather_pictures(read, list_originals(generated, originals)),
        originals=originals,
        template=TEMPLATE,
        table=make_table(),
        region="FFA-1, subj01",
    )
    return figure, tabulate_generated(generated, sufficiency, originals=originals)


def draw_strips(
    voxels: int, images: int, *, main: int = DOG, method: str = "inpainting"
) -> tuple[Figure, pd.DataFrame]:
    edits, counterfactuals = make_edits(main=main, method=method)
    shown = choose_tested(make_table(), edits["voxel"].values, voxels)
    chosen = choose_edits(edits, shown, images=images)
    figure = draw_edits(
        edits,
        counterfactuals,
        gather_pictures(read, list_edited(edits, chosen)),
        chosen=chosen,
        template=TEMPLATE,
        method=method,
        table=make_table(),
        region="FFA-1, subj01",
    )
    return figure, tabulate_edits(edits, counterfactuals, chosen=chosen)


@cache
def make_subject() -> dict[str, tuple[xr.Dataset, xr.Dataset]]:
    """Two regions that are tested, each in two voxels of its own, and one that is not."""
    regions = {}
    for seed, roi in enumerate(("FFA-1", "EBA")):
        stores = make_generated(seed)[1], make_edits(seed)[1]
        regions[roi] = tuple(
            store.assign_coords(voxel=store["voxel"].values + 10 * seed) for store in stores
        )
    return regions | {"V1v": tuple(store.isel(voxel=[]) for store in regions["EBA"])}


def tabulate(by_roi: dict[str, tuple[xr.Dataset, xr.Dataset]]) -> pd.DataFrame:
    return tabulate_causality(by_roi, resamples=50, generator=np.random.default_rng(0))


def make_exact(count: int = 120) -> pd.DataFrame:
    random = np.random.default_rng(0)
    exact = random.normal(size=count)
    return pd.DataFrame(
        {
            "subject": "subj01",
            "roi": "FFA-1",
            "voxel": random.integers(0, 5, count),
            "main": "dog",
            "direction": random.choice(["insertion", "removal"], count),
            "condition": random.choice(
                ["description", "profile", "other", "random", "lowest"], count
            ),
            "image": random.integers(0, 20, count),
            "change": 0.5 * exact + 0.2 * random.normal(size=count),
            "exact": exact,
            "planted": np.round(exact),
        }
    )


def said(figure: Figure, gid: str | None = None) -> list[str]:
    """What the figure says, or what of it bears a name."""
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    return [text.get_text() for text in shown if gid is None or text.get_gid() == gid]


def numbers_of(figure: Figure) -> set[str]:
    """Every number that the figure writes, without signs of any kind but minus."""
    written = " ".join(said(figure, "number")).replace("−", "-").replace(",", "")
    written = re.sub(r"of \d+|\d+%|\d+ images?", "", written)
    return set(re.findall(r"-?\d+\.\d+", written))


def written_as(table: pd.DataFrame, *columns: str) -> set[str]:
    """The table's numbers as a figure may write them."""
    values = table[list(columns)].to_numpy(float).ravel()
    values = values[np.isfinite(values)]
    rounded = {format_signed(value, digits) for value in values for digits in (1, 2)}
    rounded |= {format_p(value).lstrip("<= ") for value in values}
    return {text.lstrip("+").replace("−", "-") for text in rounded}
