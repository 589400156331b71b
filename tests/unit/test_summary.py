"""A summary says what the numbers are, and the same on paper as on the screen."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from scipy import stats

from mine.core.conditions import CONTROLS
from mine.figures.style import SIZE
from mine.figures.voxels import WITHHELD
from mine.stages.profiles import REASONS
from mine.stores import read_table, write_table
from mine.summary.page import Page, draw_page, render_html, write_page
from mine.summary.regions import EDITED, tabulate_regions
from mine.summary.subject import summarise_subject
from mine.summary.subjects import average_regions, summarise_subjects
from tests.reference.documented import read_names

WORDS = np.array(["face", "dog", "red", "visage"])
GROUP = np.array([0, 1, 2, 0])
BOUNDS = ["value", "low", "high"]


def make_stores(
    reasons: list[str], *, clusters: int, d: float, first: int = 0
) -> dict[str, xr.Dataset]:
    """Stores of a region: each described voxel lists the first word, the first voxel by a synonym,
    and every second one another. first: of its voxels, which is tested where any is described."""
    voxels = len(reasons)
    described = np.array([reason == "described" for reason in reasons])
    listed = np.zeros((2, voxels, 2), bool)
    listed[0, described, 0] = True
    listed[0, np.flatnonzero(described)[::2], 1] = True
    word = np.tile([0, 2], (2, voxels, 1))
    word[:, 0, 0] = 3
    tested = int(described.any())
    around = np.array([d, d - 0.2, d + 0.2]) if tested else np.full(3, np.nan)
    # Each control leaves another effect, that of another category the least.
    edited = np.array([around + 0.1 * place for place in range(len(CONTROLS))]) - 0.1
    return {
        "profiles": xr.Dataset(
            {
                "reason": ("voxel", np.array(reasons)),
                "described": ("voxel", described),
                "word": (("sign", "voxel", "rank"), word),
                "listed": (("sign", "voxel", "rank"), listed),
                "reliability": ("voxel", np.linspace(0, 1, voxels)),
            },
            coords={"sign": ["positive", "negative"], "voxel": first + np.arange(voxels)},
        ),
        "preference": xr.Dataset(
            {"roi_preferred": ("evidence", np.array(["faces", "faces", ""]))},
            coords={"evidence": ["profile", "measured", "localiser"]},
        ),
        "structure": xr.Dataset(
            {
                "identification_mean": ("source", [0.8]),
                "identification_p": (("source", "null"), [[0.01]]),
            },
            coords={"source": ["tuning"], "null": ["shared"]},
            attrs={"clusters": clusters},
        ),
        "sufficiency": xr.Dataset(
            {
                f"{prefix}roi_{name}": (("model", "control", "bound"), around[None, None] * scale)
                for prefix, less in (("", 1.0), ("to_measured_", 0.5))
                for name, scale in (("cohens_dz", less), ("mean", less / 2))
            },
            coords={
                "model": ["evaluator"],
                "control": ["random"],
                "bound": BOUNDS,
                "voxel": first + np.arange(tested),
            },
        ),
        "counterfactuals": xr.Dataset(
            {
                f"effect_roi_{name}": (
                    ("direction", "model", "guide", "control", "bound"),
                    np.stack([edited, -edited])[:, None, None] * scale,
                )
                for name, scale in (("cohens_dz", 1.0), ("mean", 0.25))
            },
            coords={
                "direction": ["insertion", "removal"],
                "model": ["evaluator"],
                "guide": ["description"],
                "control": list(CONTROLS),
                "bound": BOUNDS,
            },
        ),
    }


def make_table(*, ceiling: float = 0.5, shared: dict | None = None) -> pd.DataFrame:
    """Of a subject of six voxels. shared: a third region, which has voxels of the other two."""
    by_roi = {
        "FFA-1": make_stores(["described"] * 3 + ["not predicted"], clusters=3, d=1.0),
        "V1v": make_stores(["retinotopic", "no reliable profile"], clusters=0, d=np.nan, first=4),
    } | ({} if shared is None else {"EBA": shared})
    score = np.array([[0.8, 0.6, 0.8], [0.7, 0.5, 0.7]])[:, : len(by_roi)]
    scores = xr.Dataset(
        {
            "noise_ceiling": ("voxel", np.where(np.arange(6) == 3, 0.09, 1) * ceiling / 0.5),
            "roi_voxels": ("roi", [3, 2, 3][: len(by_roi)]),
            "roi_coverage": (("level", "roi"), [[0.93, 0.96, 0.95][: len(by_roi)]]),
            "roi_r2_normalised": (("model", "roi"), score),
            "roi_r2_normalised_interval": (
                ("model", "roi", "bound"),
                score[..., None] + [-0.1, 0.1],
            ),
            "roi_r2": (("model", "roi"), score / 2),
            "roi_r2_interval": (("model", "roi", "bound"), score[..., None] / 2 + [-0.1, 0.1]),
        },
        coords={
            "model": ["mine", "ridge"],
            "roi": list(by_roi),
            "bound": ["low", "high"],
            "level": [0.95],
        },
    )
    return tabulate_regions(by_roi, scores, WORDS, GROUP)


def make_page(
    table: pd.DataFrame,
    *,
    ceiling: float = 0.5,
    absent: str = "EBA",
    evaluator_r2: Sequence[float] = (0.1, 0.25, 0.6, 0.7),
) -> Page:
    responses = xr.Dataset(
        {
            "split": ("image", ["training"] * 7 + ["test"] * 3),
            "noise_ceiling": ("voxel", np.full(6, ceiling)),
        },
        attrs={
            "subject": "subj01",
            "dataset": "a <dataset>",
            "voxels_invalid": 2,
            "images_left_out": 5,
            "sessions": 3,
            "sessions_recorded": 4,
        },
    )
    return summarise_subject(
        table,
        name="demo",
        responses=responses,
        rois=xr.Dataset(attrs={"absent": [absent], "absent_reason": ["no such label"]}),
        evaluator_r2=np.array(evaluator_r2),
        level=0.05,
        least_voxels=10,
    )


def sayings(page: Page) -> list[str]:
    """Every text of a page."""
    cells = [cell for row in (page.columns, *page.rows) for cell in row]
    sentences = [one for heading, said in page.sections.items() for one in (heading, *said)]
    return [page.title, page.subtitle, page.note, *cells, *sentences]


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def measure_boxes(figure: Figure) -> list[Bbox]:
    """Where each text lies, in pixels so small that type is hardly fitted to them."""
    figure.set_dpi(300)
    renderer = FigureCanvasAgg(figure).get_renderer()
    texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
    return [text.get_window_extent(renderer) for text in texts]


def test_a_region_has_the_numbers_of_its_stores() -> None:
    face, contrast, _ = (row for _, row in make_table().iterrows())
    assert (face["voxels"], face["described"], face["not predicted"]) == (4, 3, 1)
    assert face["share"] == 0.75 and face["share_low"] < 0.75 < face["share_high"]
    assert (face["score"], face["score_low"], face["score_high"]) == pytest.approx((0.8, 0.7, 0.9))
    assert face["ridge"] == 0.7 and face["scored"] == 3 and face["coverage"] == 0.93
    assert face["words"] == "face (3), red (2)"
    assert face["reliability"] == pytest.approx(1 / 3)
    assert (face["pictures"], face["removal"]) == (1.0, -1.0)
    assert (face["pictures_mean"], face["insertion_mean"]) == (0.5, 0.25)
    assert (face["pictures_measured"], face["pictures_measured_mean"]) == (0.5, 0.25)
    for name, (direction, control) in EDITED.items():
        d = 1 + 0.1 * (CONTROLS.index(control) - 1)
        assert face[name] == pytest.approx(d if direction == "insertion" else -d)
        assert face[f"{name}_mean"] == pytest.approx(face[name] / 4)
    assert (face["identification"], face["clusters"], face["tested"]) == (0.8, 3, 1)
    # Where nothing was measured there is no number, though a store may hold one.
    assert np.isnan(contrast["identification"]) and np.isnan(contrast["pictures"])
    assert contrast["words"] == "" and contrast["tested"] == 0
    table = make_table()
    assert (table[list(REASONS)].sum(axis=1) == table["voxels"]).all()


def test_columns_are_what_is_documented() -> None:
    table = make_table()
    # Baselines have a column each where they are measured; of these scores one is.
    unmeasured = {"ridge", "caption", "banded"} - set(table)
    assert sorted({*table, *unmeasured}) == sorted(read_names("column"))
    found = average_regions({"subj01": table, "subj02": table})
    assert sorted(found) == sorted(read_names("column of subjects"))


def test_voxels_of_several_regions_are_summed_up_once() -> None:
    alone = make_table().iloc[-1]
    assert (alone["roi"], alone["voxels"], alone["described"], alone["scored"]) == ("all", 6, 3, 5)
    assert alone["tested"] == 1 and alone["share"] == 0.5 and np.isnan(alone["score"])
    # Of the five voxels of EBA three are described in FFA-1 too and one in EBA alone; the last has
    # passed more conditions than in V1v. Both regions have tested the first.
    reasons = ["described"] * 4 + ["no significant word"]
    table = make_table(shared=make_stores(reasons, clusters=0, d=1.0))
    found = table.iloc[-1]
    counts = {"described": 4, "no reliable profile": 1, "no significant word": 1}
    assert {name: found[name] for name in REASONS if found[name]} == counts
    assert found["voxels"] == 6 < table["voxels"].iloc[:-1].sum()
    assert (found["scored"], found["tested"]) == (5, 1)
    said = " ".join(sayings(make_page(table)))
    assert "4 of 6 voxels in 3 regions" in said and "1 voxel, “no significant word”" in said
    said = " ".join(sayings(summarise_subjects({"subj01": table, "subj02": table}, name="demo")))
    assert "8 of 12 voxels are described" in said and "2 in subj01, 2 in subj02" in said


def test_without_a_ceiling_the_score_is_r2_and_the_page_says_so() -> None:
    table = make_table(ceiling=np.nan)
    assert table["score"].tolist()[:2] == [0.4, 0.3]
    page = make_page(table, ceiling=np.nan)
    assert "R²" in page.columns and "R² / ceiling" not in page.columns
    assert any("there is no noise ceiling" in text for text in sayings(page))
    assert not any("ceiling is below" in text for text in sayings(page))


def test_all_that_was_left_out_is_named_with_its_reason() -> None:
    said = " ".join(make_page(make_table()).sections["What was left out, and why"])
    for reason in ("not predicted", "retinotopic", "no reliable profile"):
        assert f"1 voxel, “{reason}”: {WITHHELD[reason]}." in said
    assert "no significant word" not in said
    assert "Region EBA: no such label." in said
    assert "Structure of V1v: fewer than 10" in said
    assert "Pictures and edits of V1v" in said
    assert "of 1 voxel whose ceiling" in said
    assert "2 of the selected voxels" in said and "5 images: shared" in said
    assert "1 of 4 sessions" in said


def test_regions_that_words_and_responses_say_different_things_of_are_all_named() -> None:
    table = make_table(shared=make_stores(["described"], clusters=0, d=1.0))
    preferred = {
        ("faces", "faces"): "the same category in {}; ",
        ("faces", "bodies"): "different ones in {}. ",
        ("", "faces"): "No category by words: {}; ",
        ("faces", ""): "by words alone: {}.",
    }
    for (words, responses), where in preferred.items():
        table.loc[table["roi"] == "EBA", ["profile", "measured"]] = [words, responses]
        table.loc[table["roi"] != "EBA", ["profile", "measured"]] = ["faces", "faces"]
        said = " ".join(make_page(table).sections["What was found"])
        others = "FFA-1, V1v"
        named = f"{others}, EBA" if words == responses else "EBA"
        assert where.format(named) in said


def test_where_nothing_is_described_no_number_is_made_of_nothing() -> None:
    table = make_table()
    table = table[table["roi"] != "FFA-1"].assign(tested=0)
    said = make_page(table, evaluator_r2=[]).sections["How sure it is"]
    assert "No pictures or edits were made." in said
    assert "No voxel is described, so nothing is said of words." in said
    assert "hold 96% of them, by region." in said[0]
    assert "–" not in " ".join(said[1:])


def test_only_intervals_above_zero_count_as_found() -> None:
    said = " ".join(make_page(make_table()).sections["What was found"])
    assert "3 of 6 voxels in 2 regions" in said
    above = "above zero in 1 of 1 region (FFA-1)"
    assert f"than pictures from random tokens' words by 0.50 sd (d 1.00), {above}" in said
    assert f"than a word of another category by 0.22 sd (d 0.90), {above}" in said
    assert f"than words of random tokens by 0.25 sd (d 1.00), {above}" in said
    assert (
        "what random tokens show by −0.25 sd (d −1.00), above zero in 0 of 1 region (none)" in said
    )
    assert (
        "over without naming it by −0.30 sd (d −1.20), above zero in 0 of 1 region (none)" in said
    )


def test_a_control_that_no_region_has_is_told_with_its_reason() -> None:
    table = make_table()
    table["insertion_other_mean"] = table["insertion_other"] = np.nan
    said = " ".join(make_page(table).sections["What was found"])
    why = "no other category has a word of the vocabulary"
    assert f"a word of another category by an amount that is not known ({why}); than words" in said
    table[["insertion_mean", "insertion"]] = np.nan
    said = " ".join(make_page(table).sections["What was found"])
    assert said.count("by an amount that is not known (nothing was tested)") == 2
    assert "–" not in said and why not in said


def test_the_evaluator_is_reported_where_it_judged() -> None:
    said = " ".join(make_page(make_table()).sections["How sure it is"])
    assert "R² on test images is 0.42 in these voxels, their median, between 0.10 and 0.70." in said
    nothing = make_page(make_table(), evaluator_r2=[]).sections["How sure it is"]
    assert "R² on test images" not in " ".join(nothing) and "nan" not in " ".join(nothing)


@pytest.mark.parametrize("regions", [0, 8, 60])
def test_paper_and_screen_say_the_same_and_nothing_leaves_the_paper(regions: int) -> None:
    table = make_table()
    table = pd.concat([*[table[:2]] * (regions // 2), table[2:]])
    page = make_page(table)
    figure = draw_page(page)
    shown = render_html(page)
    drawn = plain(" ".join(text.get_text() for text in figure.findobj(Text)))
    written = plain(html.unescape(re.sub(r"<[^>]+>", " ", shown)))
    for text in sayings(page):
        assert plain(text) in drawn and plain(text) in written, text
    assert min(text.get_fontsize() for text in figure.findobj(Text)) >= SIZE
    assert figure.get_size_inches()[1] * 25.4 >= 210 - 1e-6
    for box in measure_boxes(figure):
        box = box.transformed(figure.transFigure.inverted())
        assert box.x0 >= 0.03 and box.x1 <= 0.98 and box.y0 >= 0.01 and box.y1 <= 1


def test_cells_do_not_lie_over_each_other() -> None:
    figure = draw_page(make_page(pd.concat([make_table()] * 4)))
    boxes = measure_boxes(figure)
    for place, box in enumerate(boxes):
        for other in boxes[:place]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            down = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert across <= 0 or down <= 0.2 * min(box.height, other.height)


def test_pages_need_no_network_and_are_the_same_again(tmp_path: Path) -> None:
    page = make_page(make_table(), absent="<script>")
    for name in ("first", "second"):
        write_page(page, tmp_path / f"{name}.html")
    assert (tmp_path / "first.pdf").read_bytes() == (tmp_path / "second.pdf").read_bytes()
    text = (tmp_path / "first.html").read_text()
    assert not re.search(r"https?:|src=|@import|url\(", text)
    assert "<script>" not in text and "&lt;script&gt;" in text and "a &lt;dataset&gt;" in text


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    table = make_table()
    write_table(table, tmp_path / "subj01.tsv")
    found = read_table(tmp_path / "subj01.tsv")
    pd.testing.assert_frame_equal(found, table, check_dtype=False, rtol=1e-5)


@pytest.mark.parametrize("subjects", [2, 3, 17])
def test_means_are_over_the_subjects_that_have_the_region(subjects: int) -> None:
    tables = {f"subj{number}": make_table() for number in range(subjects)}
    for number, table in enumerate(tables.values()):
        table["pictures"] += number
    tables["subj0"] = tables["subj0"][tables["subj0"]["roi"] != "V1v"]
    found = average_regions(tables).set_index("roi")
    assert found["subjects"].to_dict() == {"FFA-1": subjects, "V1v": subjects - 1, "all": subjects}
    values = np.arange(subjects) + 1.0
    assert found.loc["FFA-1", "pictures"] == pytest.approx(values.mean())
    assert np.isfinite(found.loc["FFA-1", "pictures_low"]) == (subjects >= 3)
    if subjects >= 3:
        low, _ = stats.t.interval(0.95, subjects - 1, values.mean(), stats.sem(values))
        assert found.loc["FFA-1", "pictures_low"] == pytest.approx(low, rel=1e-5)
    preferred = ["profile", "profile_subjects", "profile_known"]
    assert found.loc["FFA-1", preferred].tolist() == ["faces", subjects, subjects]
    assert found.loc["FFA-1", ["localiser", "localiser_subjects"]].tolist()[0] == ""
    page = summarise_subjects(tables, name="demo")
    said = " ".join(sayings(page))
    assert "V1v of subj0: the subject's page says why." in said
    assert ("Nothing is said of other people" in said) == (subjects < 3)
    assert draw_page(page) and render_html(page)


def test_a_number_that_few_subjects_have_is_a_mean_of_these() -> None:
    tables = {f"subj{number}": make_table() for number in range(3)}
    for number, table in enumerate(tables.values()):
        table["pictures"] += number
        # Of equal subjects there would be no interval.
        table[["insertion", "insertion_other_mean"]] *= 1 + number / 10
        table["share"] = [0.95, 1.0, 0.8][number]
    face = tables["subj2"]["roi"] == "FFA-1"
    tables["subj2"].loc[face, ["pictures", "pictures_mean"]] = np.nan
    row = average_regions(tables).set_index("roi").loc["FFA-1"]
    assert (row["subjects"], row["pictures_subjects"], row["insertion_subjects"]) == (3, 2, 3)
    assert row["pictures"] == 1.5 and np.isnan(row["pictures_low"])
    assert np.isfinite(row["insertion_low"]) and row["share_high"] == 1
    page = summarise_subjects(tables, name="demo")
    assert "Pictures and edits of FFA-1: measured in 2 of 3 subjects" in " ".join(sayings(page))
    (said,) = [text for text in sayings(page) if "mean over subjects has" in text]
    assert "pictures from words in 0 of 0 regions" in said
    # Of the mean effect, as on the pages of the subjects, and not of d.
    assert "insertion against another category in 1 of 1 region (FFA-1)" in said
    for table in tables.values():
        table["insertion_other_mean"] *= [1.0, -1.0][table is tables["subj2"]]
    (said,) = [
        text
        for text in sayings(summarise_subjects(tables, name="demo"))
        if "mean over subjects has" in text
    ]
    assert "insertion against another category in 0 of 1 region (none)" in said


def test_a_preference_is_of_the_subjects_in_which_there_is_one() -> None:
    tables = {f"subj{number}": make_table() for number in range(3)}
    for number, category in ((1, ""), (2, "bodies")):
        table = tables[f"subj{number}"]
        table.loc[table["roi"] == "FFA-1", "measured"] = category
    row = average_regions(tables).set_index("roi").loc["FFA-1"]
    found = row[["measured", "measured_subjects", "measured_known"]].tolist()
    assert found == ["bodies, faces", 1, 2]
    page = summarise_subjects(tables, name="demo")
    assert "bodies, faces (1/2)" in page.rows[0] and "faces (3/3)" in page.rows[0]


def test_the_page_of_all_subjects_counts_the_effects_that_their_own_pages_count() -> None:
    tables = {"subj01": make_table(), "subj02": make_table()}
    # A mean and its d may differ in whether they are sure: here the first subject's mean is not.
    for subject, name, low in (
        ("subj01", "pictures_mean_low", -0.1),
        ("subj02", "removal_low", 0.1),
    ):
        known = tables[subject][name].notna()
        tables[subject][name] = tables[subject][name].mask(known, low)
    counted = [
        re.findall(r"above zero in (\d+) of (\d+) region", " ".join(sayings(make_page(table))))
        for table in tables.values()
    ]
    expected = np.sum(np.array(counted, int), axis=0).tolist()
    (said,) = [
        text for text in sayings(summarise_subjects(tables, name="demo")) if "causal" in text
    ]
    assert expected == [list(map(int, pair)) for pair in re.findall(r"in (\d+) of (\d+)", said)]
    assert len(expected) == 7 and expected[0] == [1, 2]
