"""The figure of generated pictures draws what the stores hold, in its table too."""

from __future__ import annotations

import numpy as np
import pytest

from mine.core.conditions import PICTURES
from mine.figures.generated import (
    choose_originals,
)
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
from mine.figures.style import MM_PER_INCH
from tests.reference.causal_figures import (
    TEMPLATE,
    draw_pictures,
    make_generated,
    make_table,
    numbers_of,
    said,
    written_as,
)


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
        if row.condition != "description":
            q = sufficiency["q"].sel(model="evaluator", voxel=row.voxel, control=row.condition)
            assert row.q == pytest.approx(float(q))


def test_pictures_are_called_as_in_the_table():
    figure, table = draw_pictures(2, 2)
    assert list(table["condition"].dropna().unique()) == list(PICTURES)
    assert set(PICTURES) <= set(said(figure))


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
