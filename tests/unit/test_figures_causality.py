"""Figures of the causal tests draw what the stores hold, in tables too, and say what is missing."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.text import Text

from mine.figures.causality import draw_causality
from mine.figures.edits import (
    DRAWN,
    choose_edits,
    draw_edits,
    list_edited,
    say_edit,
    tabulate_edits,
)
from mine.figures.exact import draw_exact, tabulate_exact
from mine.figures.generated import (
    choose_originals,
    draw_generated,
    list_originals,
    tabulate_generated,
)
from mine.figures.recovery import EFFECTS, draw_recovery
from mine.figures.strips import (
    CELL,
    PAGE,
    choose_places,
    choose_tested,
    format_signed,
    outline_mask,
    strip_template,
    wrap_text,
)
from mine.figures.style import MM_PER_INCH, SIZE, WIDTH, save_figure
from mine.figures.voxels import gather_pictures
from mine.stages.causality import ALL, tabulate_causality
from mine.stages.counterfactuals import measure_counterfactuals
from mine.stages.editing import plan_edits
from mine.stages.edits import record_edits
from mine.stages.generation import plan_pictures, planned_images, record_pictures
from mine.stages.sufficiency import measure_sufficiency
from mine.statistics import clustered_effect, pearson
from tests.reference.causal import VOCABULARY, make_features, make_readings

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
        samples=2,
        quantile=0.5,
        generator=np.random.default_rng(seed),
    )
    pictures, images = plan.sizes["picture"], len(planned_images(plan["image"]))
    pixels = np.random.default_rng(seed).integers(0, 255, (pictures, 8, 8, 3), dtype=np.uint8)
    generated = record_pictures(plan, pixels, respond(pictures, seed), respond(images, seed + 1))
    measured = np.random.default_rng(seed).normal(size=plan["image"].shape).astype(np.float32)
    random = np.random.default_rng(seed)
    sufficiency = measure_sufficiency(generated, measured=measured, resamples=50, generator=random)
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
        edited=(respond(len(row), seed + 2), lens.isel(image=row)),
        before=(respond(len(images), seed + 3), lens),
        group=np.arange(len(VOCABULARY)),
        region=np.array([5, 6]),
    )
    random = np.random.default_rng(seed)
    measured = measure_counterfactuals(edits.drop_vars("pixels"), resamples=50, generator=random)
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
    """Two regions that are tested and one that is not."""
    regions = {
        roi: (make_generated(seed)[1], make_edits(seed)[1])
        for seed, roi in enumerate(("FFA-1", "EBA"))
    }
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
            "condition": random.choice(["description", "profile", "random", "lowest"], count),
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
    return {text.lstrip("+").replace("−", "-") for text in rounded}


# --- strips ---


def test_wrapped_text_loses_no_word_unless_it_says_so():
    text = "a big ebony pastry and a small dark text and a big gloomy visage on the beach"
    whole = wrap_text(text, width=CELL, lines=9)
    assert whole.split() == text.split() and "\n" in whole
    cut = wrap_text(text, width=CELL, lines=2)
    assert cut.count("\n") == 1 and cut.endswith("…")
    assert text.startswith(cut.removesuffix(" …").replace("\n", " "))


def test_a_template_is_taken_off_where_it_was_put_on():
    assert strip_template("a photo of dog, red", TEMPLATE) == "dog, red"
    assert strip_template("dog on a street", "{} on a street") == "dog"


def test_nothing_is_not_written_as_less_than_nothing():
    assert format_signed(-0.04) == "+0.0" and format_signed(-0.05, 2) == "−0.05"


def test_an_outline_is_as_long_as_the_masks_border():
    mask = np.zeros((4, 4), dtype=bool)
    mask[1:3, :2] = True
    edges = outline_mask(mask)
    assert len(edges) == 8  # two patches on each side, the picture's own edge among them
    assert np.abs(edges[:, 1] - edges[:, 0]).sum() == pytest.approx(8 * 0.25)
    assert len(outline_mask(np.zeros((4, 4), dtype=bool))) == 0


def test_tested_voxels_are_drawn_best_fitted_first():
    assert choose_tested(make_table(), np.array([5, 6]), 1).tolist() == [6]
    assert choose_tested(make_table(), np.array([5, 6]), 4).tolist() == [6, 5]


def test_images_that_no_other_voxel_shows_go_first():
    drawn: set[int] = set()
    assert choose_places(np.array([4, 7, 9, -1]), 2, drawn) == [0, 1]
    assert choose_places(np.array([4, 7, 9, 2]), 2, drawn) == [2, 3]
    assert choose_places(np.array([4, 2, 5, -1]), 2, drawn) == [0, 2]
    assert choose_places(np.array([-1, -1]), 2, drawn) == []


# --- generated pictures ---


@pytest.mark.parametrize(("voxels", "images"), [(1, 1), (2, 2)])
def test_every_number_beside_a_picture_is_in_the_table(voxels: int, images: int):
    figure, table = draw_pictures(voxels, images)
    assert numbers_of(figure) and numbers_of(figure) <= written_as(table, "value", "q")
    assert (table["item"] == "measured").sum() == voxels * images


def test_the_table_of_pictures_holds_the_stores_numbers():
    generated, sufficiency = make_generated()
    _, table = draw_pictures(2, 2)
    errors = table[table["item"] == "error"]
    for row in errors.itertuples():
        here = generated.sel(voxel=row.voxel)
        place = here["image"].values.tolist().index(row.image)
        picture = int(here["picture"].sel(condition=row.condition).values[place, 0])
        made = float(here["response"].sel(model="evaluator").isel(picture=picture))
        original = float(here["original"].sel(model="evaluator").isel(chosen=place))
        assert row.value == pytest.approx(abs(made - original))
        assert row.prompt == str(generated["prompt"].values[picture])
    for row in table[table["item"] == "mean_error"].itertuples():
        error = sufficiency["error"].sel(
            model="evaluator", voxel=row.voxel, condition=row.condition
        )
        assert row.value == pytest.approx(float(error.mean()))
        if row.condition != "attribution":
            q = sufficiency["q"].sel(model="evaluator", voxel=row.voxel, control=row.condition)
            assert row.q == pytest.approx(float(q))


def test_every_prompt_is_drawn_under_its_picture():
    figure, table = draw_pictures(2, 2)
    drawn = [text.replace("\n", " ") for text in said(figure, "prompt")]
    prompts = table[table["item"] == "error"]["prompt"]
    expected = [strip_template(prompt, TEMPLATE) or "(no words)" for prompt in prompts]
    assert sorted(drawn) == sorted(expected)


def test_what_has_no_picture_says_why():
    generated, _ = make_generated()
    assert (generated["picture"].sel(condition="caption") < 0).any()
    figure, _ = draw_pictures(2, 6)
    assert "no caption" in said(figure)


def test_originals_are_the_first_that_the_plan_drew_and_fit_on_a_page():
    generated, _ = make_generated()
    originals = choose_originals(generated, np.array([5, 6]), images=2)
    assert originals[5] == [0, 1]
    figure, _ = draw_pictures(2, 6)
    assert figure.get_size_inches()[1] * MM_PER_INCH <= PAGE


# --- edits ---


@pytest.mark.parametrize(("voxels", "images"), [(1, 2), (2, 1)])
def test_every_number_beside_an_edit_is_in_the_table(voxels: int, images: int):
    figure, table = draw_strips(voxels, images)
    assert numbers_of(figure) and numbers_of(figure) <= written_as(table, "value", "q")
    assert set(table["direction"]) == {"insertion", "removal"}


def test_the_table_of_edits_holds_the_stores_numbers():
    edits, counterfactuals = make_edits()
    _, table = draw_strips(2, 1)
    for row in table[table["item"] == "shift"].itertuples():
        start = edits["start"].sel(voxel=row.voxel, direction=row.direction).values.tolist()
        place = {"voxel": row.voxel, "direction": row.direction, "condition": row.condition}
        shift = counterfactuals["shift"].sel(model=row.model, **place)
        assert row.value == pytest.approx(float(shift.isel(chosen=start.index(row.image))))
    for row in table[table["item"] == "mean_shift"].itertuples():
        place = {"model": "evaluator", "voxel": row.voxel, "direction": row.direction}
        mean = counterfactuals["shift_mean"].sel(condition=row.condition, **place)
        assert row.value == pytest.approx(float(mean), nan_ok=True)
        if row.condition not in ("description", "profile"):
            q = counterfactuals["effect_q"].sel(guide="description", control=row.condition)
            assert row.q == pytest.approx(float(q.sel(**place)), nan_ok=True)


def test_every_edits_words_are_drawn_under_it():
    edits, _ = make_edits()
    figure, table = draw_strips(2, 1)
    drawn = [text.replace("\n", " ") for text in said(figure, "prompt")]
    shifts = table[(table["item"] == "shift") & (table["model"] == "evaluator")]
    expected = []
    for row in shifts.itertuples():
        start = edits["start"].sel(voxel=row.voxel, direction=row.direction).values.tolist()
        index = edits["index"].sel(
            voxel=row.voxel, direction=row.direction, condition=row.condition
        )
        made = edits.isel(edit=int(index[start.index(row.image)]))
        expected.append(say_edit(made, TEMPLATE))
        for word in made["word"].values[made["word"].values >= 0]:
            assert VOCABULARY[word] in expected[-1]
    assert sorted(drawn) == sorted(expected)
    assert any(text.startswith("not dog") for text in drawn)


def test_an_edit_says_what_to_paint_and_what_not():
    made = xr.Dataset({"prompt": "a photo of sea, sky", "negative": "dog"})
    assert say_edit(made, TEMPLATE) == "not dog but sea, sky"
    assert say_edit(made.assign(prompt=""), TEMPLATE) == "not dog"
    assert say_edit(made.assign(negative=""), TEMPLATE) == "sea, sky"
    assert say_edit(made.assign(negative="", prompt=""), TEMPLATE) == "(no words)"
    assert say_edit(made.assign(instruction="remove dog"), None) == "remove dog"


def test_edits_by_instruction_show_it_and_no_mask():
    figure, table = draw_strips(1, 1, method="instruction")
    shifts = table[(table["item"] == "shift") & (table["model"] == "evaluator")]
    assert "elsewhere" not in set(shifts["condition"])
    expected = [text or "(no words)" for text in shifts["instruction"]]
    drawn = [text.replace("\n", " ") for text in said(figure, "prompt")]
    assert sorted(drawn) == sorted(expected) and any(text.startswith("remove") for text in drawn)
    assert said(figure).count("no mask") == 2
    assert not any(axes.collections for axes in figure.axes)


def test_edits_fit_on_a_page_and_show_every_condition():
    figure, table = draw_strips(2, 6)
    assert figure.get_size_inches()[1] * MM_PER_INCH <= PAGE + 5
    assert set(table["condition"]) == set(DRAWN)


def test_a_feature_that_is_nowhere_is_not_removed_and_the_figure_says_so():
    figure, table = draw_strips(1, 2, main=CAT)
    assert "the feature is read in no test image, so nothing was removed" in said(figure)
    assert set(table["direction"]) == {"insertion"}


# --- without a tested voxel ---


def test_a_region_without_a_tested_voxel_says_so():
    for figure, table in (draw_pictures(0, 2), draw_strips(0, 2)):
        assert any("None of the 3 voxels was tested" in text for text in said(figure))
        assert any("1 retinotopic" in text for text in said(figure))
        assert table.empty


def test_a_subject_without_a_tested_voxel_says_so():
    table = tabulate({"V1v": make_subject()["V1v"]})
    assert table.empty
    assert "No voxel was tested in V1v." in said(draw_causality(table, ["V1v"]))


# --- causal tests of a subject ---


def test_every_number_written_for_a_subject_is_in_the_table():
    by_roi = make_subject()
    table = tabulate(by_roi)
    figure = draw_causality(table, list(by_roi))
    assert numbers_of(figure) and numbers_of(figure) <= written_as(table, "value", "low", "high")
    assert any("No voxel was tested in V1v." in text for text in said(figure))
    for roi in ("FFA-1", "EBA", ALL):
        assert said(figure).count(roi) == 2


def test_every_point_of_a_voxel_is_in_the_table():
    by_roi = make_subject()
    table = tabulate(by_roi)
    figure = draw_causality(table, list(by_roi))
    points = [
        part.get_offsets()
        for axes in figure.axes
        for part in axes.collections
        if part.get_gid() == "voxel"
    ]
    drawn = np.concatenate([np.ravel(part) for part in points if len(part)])
    voxels = table[table["voxel"].notna()]["value"].to_numpy(float)
    # Five errors and, in two directions, two guides and two models for each of the four voxels.
    assert len(voxels) == 4 * (5 + 2 * 2 + 2 * 2)
    for value in voxels:
        assert np.isclose(drawn, value).any()


def test_the_statistics_of_a_region_are_those_of_its_stores():
    by_roi = make_subject()
    table = tabulate(by_roi)
    for roi, (sufficiency, counterfactuals) in list(by_roi.items())[:2]:
        own = table[(table["roi"] == roi) & table["voxel"].isna()]
        first = sufficiency.sel(model="evaluator", control="random")
        second = counterfactuals.sel(
            model="evaluator", direction="removal", guide="profile", control="unspecific"
        )
        for kept, mean, data, prefix in (
            (own["panel"] == "sufficiency", "advantage", first, ""),
            (
                (own["direction"] == "removal") & (own["guide"] == "profile"),
                "effect",
                second,
                "effect_",
            ),
        ):
            control = str(data["control"].values)
            rows = own[kept & (own["condition"] == control)].set_index("measure")
            for name, part in ((mean, "mean"), ("d", "cohens_dz")):
                expected = data[f"{prefix}roi_{part}"].values
                found = rows.loc[name, ["value", "low", "high"]].to_numpy(float)
                np.testing.assert_allclose(found, expected)
            assert rows.loc["share", "value"] == pytest.approx(float(data[f"{prefix}roi_share"]))
            expected = (data[f"{prefix}q"].values <= 0.05).mean()
            assert rows.loc["significant", "value"] == pytest.approx(expected)


def test_all_regions_are_the_pairs_of_all_regions():
    by_roi = make_subject()
    table = tabulate(by_roi)
    pairs, images = [], []
    for sufficiency, _ in list(by_roi.values())[:2]:
        error = sufficiency["error"].sel(model="evaluator")
        pairs.append(error.sel(condition="lowest") - error.sel(condition="attribution"))
        images.append(sufficiency["image"].values)
    values = np.concatenate([part.values.ravel() for part in pairs])
    expected = clustered_effect(
        values, np.ravel(images), resamples=10, generator=np.random.default_rng(0)
    )
    rows = table[(table["panel"] == "sufficiency") & (table["condition"] == "lowest")]
    rows = rows[(rows["roi"] == ALL)].set_index("measure")
    assert rows.loc["advantage", "value"] == pytest.approx(expected[0, 0])
    assert rows.loc["d", "value"] == pytest.approx(expected[1, 0])
    assert rows.loc["advantage", "n"] == 4
    share = np.mean([part.mean("chosen").values > 0 for part in pairs])
    assert rows.loc["share", "value"] == pytest.approx(share)


def test_a_voxels_two_guided_shifts_differ_by_its_guidance():
    by_roi = make_subject()
    table = tabulate(by_roi)
    points = table[(table["panel"] == "guidance") & (table["measure"] == "shift")]
    wide = points.pivot(index=["roi", "direction", "voxel"], columns="guide", values="value")
    assert len(wide) == 8
    for (roi, direction, voxel), row in wide.iterrows():
        guidance = by_roi[roi][1]["guidance_mean"].sel(
            model="evaluator", direction=direction, voxel=voxel
        )
        difference = row["profile"] - row["description"]
        assert difference == pytest.approx(float(guidance), rel=1e-3, abs=1e-5)


def test_the_models_correlation_is_that_of_the_points():
    table = tabulate(make_subject())
    models = table[table["panel"] == "models"]
    points = models[models["measure"] == "shift"]
    wide = points.pivot(index=["roi", "direction", "voxel"], columns="model", values="value")
    found = models[models["measure"] == "correlation"].set_index("direction")["value"]
    assert found["both"] == pytest.approx(pearson(wide["evaluator"], wide["encoder"]))
    half = wide.xs("removal", level="direction")
    assert found["removal"] == pytest.approx(pearson(half["evaluator"], half["encoder"]))


def test_one_region_is_not_drawn_twice():
    by_roi = {"FFA-1": make_subject()["FFA-1"]}
    figure = draw_causality(tabulate(by_roi), ["FFA-1"])
    assert ALL not in said(figure) and said(figure).count("FFA-1") == 2


def test_a_region_in_which_nothing_could_be_removed_is_drawn():
    by_roi = {"FFA-1": (make_generated()[1], make_edits(main=CAT)[1])}
    figure = draw_causality(tabulate(by_roi), ["FFA-1"])
    assert "no such image" in said(figure)


# --- exact edits ---


def test_every_number_of_the_exact_edits_is_in_the_table():
    table = tabulate_exact(make_exact(), resamples=50, generator=np.random.default_rng(0))
    figure = draw_exact(table)
    assert numbers_of(figure) and numbers_of(figure) <= written_as(table, "value", "low", "high")
    drawn = sum(
        len(part.get_offsets())
        for axes in figure.axes
        for part in axes.collections
        if part.get_gid() == "edit"
    )
    assert drawn == (table["item"] == "edit").sum() == 2 * 120


def test_correlation_and_slope_are_those_of_the_edits():
    edits = make_exact()
    table = tabulate_exact(edits, resamples=200, generator=np.random.default_rng(0))
    for target in ("exact", "planted"):
        for direction in ("removal", "both"):
            here = edits if direction == "both" else edits[edits["direction"] == direction]
            rows = table[(table["against"] == target) & (table["direction"] == direction)]
            rows = rows.set_index("item")
            slope = np.polyfit(here[target], here["change"], 1)[0]
            assert rows.loc["slope", "value"] == pytest.approx(slope)
            r = np.corrcoef(here[target], here["change"])[0, 1]
            assert rows.loc["correlation", "value"] == pytest.approx(r)
            low, high = rows.loc["slope", ["low", "high"]]
            assert low < slope < high
            assert rows.loc["slope", "n"] == len(here)


def test_bins_share_out_all_edits_in_order_and_keep_equals_together():
    edits = make_exact()
    table = tabulate_exact(edits, resamples=50, generator=np.random.default_rng(0))
    for target in ("exact", "planted"):
        bins = table[(table["item"] == "bin") & (table["against"] == target)]
        assert bins["n"].sum() == len(edits) and bins["x"].is_monotonic_increasing
        mean = (bins["value"] * bins["n"].astype(float)).sum() / len(edits)
        assert mean == pytest.approx(edits["change"].mean())
    assert set(bins["n"]) <= {
        total
        for start in range(8)
        for total in np.cumsum(edits["planted"].value_counts().sort_index().to_numpy()[start:])
    }


@pytest.mark.parametrize("count", [0, 2])
def test_few_exact_edits_or_none_are_drawn(count: int):
    edits = make_exact().assign(image=1)[:count]
    table = tabulate_exact(edits, resamples=50, generator=np.random.default_rng(0))
    figure = draw_exact(table)
    assert ("No edit has an exact counterpart." in said(figure)) == (count == 0)


# --- recovery ---


def test_recovery_draws_the_effects_that_the_table_has():
    rows = [
        (measure, subject, "all", value, value - 0.1, value + 0.1, 48)
        for measure, value in (("insertion_d", 1.4), ("removal_expected", 0.9))
        for subject in ("subj01", "all")
    ]
    columns = ["measure", "subject", "roi", "value", "low", "high", "n"]
    figure = draw_recovery(pd.DataFrame(rows, columns=columns))
    names = {measure: name for measure, _, name in EFFECTS}
    assert names["insertion_d"] in said(figure) and names["removal_d"] not in said(figure)
    assert "1.40 [1.30, 1.50]   n = 48" in said(figure)
    assert "removal by description as expected" in said(figure)


# --- all of them ---


def test_type_can_be_read_and_figures_are_of_journal_width(tmp_path: Path):
    by_roi = make_subject()
    exact = tabulate_exact(make_exact(), resamples=50, generator=np.random.default_rng(0))
    figures = [
        draw_pictures(1, 1)[0],
        draw_strips(1, 1)[0],
        draw_causality(tabulate(by_roi), list(by_roi)),
        draw_exact(exact),
    ]
    for figure in figures:
        assert min(text.get_fontsize() for text in figure.findobj(Text)) >= SIZE
        assert figure.get_size_inches()[0] * MM_PER_INCH == pytest.approx(WIDTH)
    paths = {"png": tmp_path / "a.png", "pdf": tmp_path / "a.pdf"}
    save_figure(figures[0], **paths)
    first = [path.read_bytes() for path in paths.values()]
    save_figure(draw_pictures(1, 1)[0], **paths)
    assert [path.read_bytes() for path in paths.values()] == first


def test_nothing_leaves_the_figure():
    by_roi = make_subject()
    exact = tabulate_exact(make_exact(), resamples=50, generator=np.random.default_rng(0))
    for figure in (
        draw_pictures(2, 2)[0],
        draw_strips(2, 1)[0],
        draw_causality(tabulate(by_roi), list(by_roi)),
        draw_exact(exact),
    ):
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
        width, height = figure.get_size_inches()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
