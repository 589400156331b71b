"""Figures of a subject's causal tests, and what holds for all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.text import Text

from mine.core.conditions import EDITS, PICTURES, REFERENCES
from mine.figures.causality import COMPARED, draw_causality
from mine.figures.exact import draw_exact, tabulate_exact
from mine.figures.recovery import EFFECTS, draw_recovery
from mine.figures.strips import PAGE
from mine.figures.style import MM_PER_INCH, SIZE, WIDTH, save_figure
from mine.sections import ALL
from mine.stages.causality import DIFFERENCE, MODELS
from mine.statistics.effects import clustered_effect
from mine.statistics.scores import pearson
from tests.reference.causal_figures import (
    CAT,
    draw_pictures,
    draw_strips,
    make_edits,
    make_exact,
    make_generated,
    make_subject,
    numbers_of,
    said,
    tabulate,
    written_as,
)


def test_a_region_without_a_tested_voxel_says_so():
    for figure, table in (draw_pictures(0, 2), draw_strips(0, 2)):
        assert any("Of 3 voxels none was tested" in text for text in said(figure))
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
    # A table of one analysis can be joined with another by region.
    assert set(table["roi"]) == {"FFA-1", "EBA", ALL}
    for roi in ("FFA-1", "EBA", "all regions"):
        assert said(figure).count(roi) == 2


def test_conditions_are_called_as_in_the_table():
    by_roi = make_subject()
    table = tabulate(by_roi)
    names = {
        panel: set(rows[["condition", "guide"]].stack().dropna())
        for panel, rows in table.groupby("panel")
    }
    assert names["sufficiency"] == set(PICTURES)
    assert names["edits"] == names["edit"] == set(EDITS)
    assert set(PICTURES) | set(EDITS) <= set(said(draw_causality(table, list(by_roi))))


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
    # The encoder's errors and those to the measured response are in the table alone.
    shown = table["measure"].eq("shift") | (
        table["measure"].eq("error") & table["model"].eq("evaluator")
    )
    voxels = table[table["voxel"].notna() & shown]["value"].to_numpy(float)
    # Five errors and, in two directions, two guides and two models for each of the four voxels.
    assert len(voxels) == 4 * (5 + 2 * 2 + 2 * 2)
    for value in voxels:
        assert np.isclose(drawn, value).any()


@pytest.mark.parametrize("model", MODELS)
def test_the_statistics_of_a_region_are_those_of_its_stores(model):
    by_roi = make_subject()
    table = tabulate(by_roi)
    table = table[(table["model"] == model) & table["voxel"].isna()]
    for roi, (sufficiency, counterfactuals) in list(by_roi.items())[:2]:
        own = table[table["roi"] == roi]
        pictures = sufficiency.sel(model=model, control="random")
        edited = counterfactuals.sel(
            model=model, direction="removal", guide="profile", control="unspecific"
        )
        removed = (own["direction"] == "removal") & (own["guide"] == "profile")
        for kept, begin, mean, data, prefix in (
            (own["panel"] == "sufficiency", "", "advantage", pictures, ""),
            (own["panel"] == "sufficiency", "to_measured_", "advantage", pictures, "to_measured_"),
            (removed, "", "effect", edited, "effect_"),
        ):
            control = str(data["control"].values)
            rows = own[kept & (own["condition"] == control)].set_index("measure")
            for name, part in ((mean, "mean"), ("d", "cohens_dz")):
                expected = data[f"{prefix}roi_{part}"].values
                found = rows.loc[begin + name, ["value", "low", "high"]].to_numpy(float)
                np.testing.assert_allclose(found, expected)
            share = rows.loc[f"{begin}share", "value"]
            assert share == pytest.approx(float(data[f"{prefix}roi_share"]))
            expected = (data[f"{prefix}q"].values <= 0.05).mean()
            assert rows.loc[f"{begin}significant", "value"] == pytest.approx(expected)


@pytest.mark.parametrize("prefix", REFERENCES)
@pytest.mark.parametrize("model", MODELS)
def test_all_regions_are_the_pairs_of_all_regions(model, prefix):
    by_roi = make_subject()
    table = tabulate(by_roi)
    pairs, images = [], []
    for sufficiency, _ in list(by_roi.values())[:2]:
        error = sufficiency[f"{prefix}error"].sel(model=model)
        pairs.append(error.sel(condition="lowest") - error.sel(condition="description"))
        images.append(sufficiency["image"].values)
    values = np.concatenate([part.values.ravel() for part in pairs])
    expected = clustered_effect(values, np.ravel(images))
    rows = table[(table["panel"] == "sufficiency") & (table["condition"] == "lowest")]
    rows = rows[(rows["roi"] == ALL) & (rows["model"] == model)].set_index("measure")
    assert rows.loc[f"{prefix}advantage", "value"] == pytest.approx(expected[0, 0])
    assert rows.loc[f"{prefix}d", "value"] == pytest.approx(expected[1, 0])
    assert rows.loc[f"{prefix}advantage", "n"] == 4
    share = np.mean([part.mean("chosen").values > 0 for part in pairs])
    assert rows.loc[f"{prefix}share", "value"] == pytest.approx(share)
    correlation = [pair[0][f"{prefix}correlation"] for pair in list(by_roi.values())[:2]]
    means = [part.sel(model=model, condition="lowest").values for part in correlation]
    assert rows.loc[f"{prefix}correlation", "value"] == pytest.approx(np.mean(means))


def test_the_encoders_numbers_less_the_evaluators_are_of_the_same_pairs():
    by_roi = make_subject()
    table = tabulate(by_roi)
    table = table[table["voxel"].isna()]

    def gather(read) -> tuple[np.ndarray, np.ndarray]:
        """Differences of models and their images, of both regions, pair by pair."""
        pairs = [read(pair) for pair in list(by_roi.values())[:2]]
        found = [
            (
                values.sel(model="encoder").values[voxel, place]
                - values.sel(model="evaluator").values[voxel, place],
                image.values[voxel, place],
            )
            for values, image in pairs
            for voxel, place in np.ndindex(image.shape)
        ]
        return tuple(np.array(part) for part in zip(*found, strict=True))

    def read_errors(pair):
        error = pair[0]["to_measured_error"]
        return error.sel(condition="empty") - error.sel(condition="description"), pair[0]["image"]

    def read_edits(*names):
        def read(pair):
            own = pair[1].sel(direction="insertion")
            shifts = [own["shift"].sel(condition=name) for name in names]
            return shifts[0] - shifts[1] if len(names) > 1 else shifts[0], own["start"]

        return read

    for measure, where, read in (
        ("to_measured_advantage", {"condition": "empty"}, read_errors),
        (
            "effect",
            {"direction": "insertion", "guide": "description", "condition": "random"},
            read_edits("description", "random"),
        ),
        ("guidance", {"direction": "insertion"}, read_edits("profile", "description")),
        ("shift", {"direction": "insertion"}, read_edits("description")),
    ):
        expected = clustered_effect(*gather(read))[0]
        rows = table[(table["roi"] == ALL) & (table["measure"] == measure)]
        for column, value in where.items():
            rows = rows[rows[column] == value]
        rows = rows.set_index("model")
        assert set(rows.index) == {*MODELS, DIFFERENCE}
        found = rows.loc[DIFFERENCE, ["value", "low", "high"]].to_numpy(float)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        # Of the same pairs the difference of means is the mean difference.
        less = rows.loc["encoder", "value"] - rows.loc["evaluator", "value"]
        assert less == pytest.approx(expected[0], rel=1e-4)


def test_a_voxel_of_two_regions_counts_once_as_the_first_that_tested_it():
    own, other = list(make_subject().values())[:2]
    voxels = own[0]["voxel"].values
    # The second region tested one voxel of the first and one of its own.
    shared = tuple(store.assign_coords(voxel=[voxels[1], 99]) for store in other)
    apart = tuple(store.isel(voxel=[1]) for store in shared)
    keys = ["panel", "measure", "direction", "guide", "condition", "model"]

    def pool(second: tuple[xr.Dataset, xr.Dataset]) -> pd.DataFrame:
        table = tabulate({"FFA-1": own, "EBA": second})
        # What an edit took is a mean over regions, whatever voxels they share.
        pooled = table[(table["roi"] == ALL) & (table["panel"] != "edit")]
        return pooled.set_index(keys)[["value", "n", "images"]]

    found = pool(shared)
    # Both directions together have each voxel twice.
    both = found.index.get_level_values("direction") == "both"
    assert set(found["n"][~both]) == {3} and set(found["n"][both]) == {6}
    pd.testing.assert_frame_equal(found, pool(apart))


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


def test_places_without_an_image_change_nothing():
    by_roi = make_subject()
    found = tabulate(by_roi)
    padded = {}
    for roi, (first, second) in by_roi.items():
        more = {
            name: second[name].pad(chosen=(0, 3), constant_values=filler)
            for name, filler in (("start", -1), ("shift", np.nan))
        }
        padded[roi] = first, second.drop_dims("chosen").assign(more)
    pd.testing.assert_frame_equal(tabulate(padded), found)


def test_without_any_image_that_was_edited_models_have_no_correlation():
    first, second = make_subject()["FFA-1"]
    empty = second.assign(start=xr.full_like(second["start"], -1), shift=second["shift"] * np.nan)
    table = tabulate({"FFA-1": (first, empty)})
    found = table[(table["panel"] == "models") & (table["measure"] == "correlation")]
    assert len(found) and found["value"].isna().all()


def test_the_models_correlation_is_that_of_the_points():
    table = tabulate(make_subject())
    models = table[table["panel"] == "models"]
    points = models[(models["measure"] == "shift") & models["voxel"].notna()]
    wide = points.pivot(index=["roi", "direction", "voxel"], columns="model", values="value")
    found = models[models["measure"] == "correlation"].set_index("direction")["value"]
    assert found["both"] == pytest.approx(pearson(wide["evaluator"], wide["encoder"]))
    half = wide.xs("removal", level="direction")
    assert found["removal"] == pytest.approx(pearson(half["evaluator"], half["encoder"]))


def test_one_region_is_not_drawn_twice():
    by_roi = {"FFA-1": make_subject()["FFA-1"]}
    figure = draw_causality(tabulate(by_roi), ["FFA-1"])
    assert "all regions" not in said(figure) and said(figure).count("FFA-1") == 2


def test_a_test_that_could_not_succeed_is_not_written_as_one_that_failed():
    by_roi = {"FFA-1": make_subject()["FFA-1"]}
    table = tabulate(by_roi)
    voxels = (table["panel"] == "sufficiency") & table["voxel"].notna()
    images = by_roi["FFA-1"][0].sizes["chosen"]
    assert table.loc[voxels & (table["condition"] != "caption"), "images"].eq(images).all()
    # 1/32 is below 0.05 and 1/16 is not.
    for count, found in ((5, False), (4, True)):
        given = table.assign(images=table["images"].where(~voxels, count))
        assert ("too few" in said(draw_causality(given, ["FFA-1"]))) is found


def test_an_effect_of_one_voxel_has_no_interval():
    by_roi = {"FFA-1": tuple(store.isel(voxel=[0]) for store in make_subject()["FFA-1"])}
    numbers = said(draw_causality(tabulate(by_roi), ["FFA-1"]), "number")
    assert numbers.count("–") == len(REFERENCES) * len(COMPARED)


def test_the_description_is_compared_with_other_words_and_with_none():
    by_roi = make_subject()
    table = tabulate(by_roi)
    written = said(draw_causality(table, list(by_roi)), "number")
    assert set(COMPARED) == {"random", "lowest", "empty"}
    d = table[(table["panel"] == "sufficiency") & (table["model"] == "evaluator")]
    d = d[d["measure"].isin(["d", "to_measured_d"])]
    for row in d[d["condition"].isin(COMPARED)].itertuples():
        text = f"{row.value:.2f} [{row.low:.2f}, {row.high:.2f}]".replace("-", "−")
        assert text in written


def test_eight_regions_fit_a_page():
    by_roi = {f"roi{number}": make_subject()["FFA-1"] for number in range(7)}
    figure = draw_causality(tabulate(by_roi), list(by_roi))
    assert "all regions" in said(figure) and figure.get_size_inches()[1] * MM_PER_INCH <= PAGE


def test_a_region_in_which_nothing_could_be_removed_is_drawn():
    by_roi = {"FFA-1": (make_generated()[1], make_edits(main=CAT)[1])}
    figure = draw_causality(tabulate(by_roi), ["FFA-1"])
    assert "no such image" in said(figure)


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
    assert "removal beats random tokens' words" in said(figure)


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
    path, table = tmp_path / "a.png", draw_pictures(1, 1)[1]
    save_figure(figures[0], table, path)
    first = [one.read_bytes() for one in sorted(tmp_path.iterdir())]
    save_figure(draw_pictures(1, 1)[0], table, path)
    assert [one.read_bytes() for one in sorted(tmp_path.iterdir())] == first


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
