"""The figure of edits draws what the stores hold, in its table too."""

from __future__ import annotations

import pytest
import xarray as xr

from mine.figures.edits import (
    DRAWN,
    say_edit,
)
from mine.figures.strips import (
    PAGE,
)
from mine.figures.style import MM_PER_INCH
from tests.reference.causal import VOCABULARY
from tests.reference.causal_figures import (
    CAT,
    TEMPLATE,
    draw_strips,
    make_edits,
    numbers_of,
    said,
    written_as,
)


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
    for direction, rows in table.groupby("direction"):
        assert set(rows["condition"]) == set(DRAWN[direction])


def test_a_feature_that_is_nowhere_is_not_removed_and_the_figure_says_so():
    figure, table = draw_strips(1, 2, main=CAT)
    assert "the feature is read in no test image, so nothing was removed" in said(figure)
    assert set(table["direction"]) == {"insertion"}
