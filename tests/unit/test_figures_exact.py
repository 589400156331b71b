"""The figure of exact edits draws every edit, in its table too."""

from __future__ import annotations

import numpy as np
import pytest

from mine.figures.exact import draw_exact, tabulate_exact
from tests.reference.causal_figures import make_exact, numbers_of, said, written_as


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
