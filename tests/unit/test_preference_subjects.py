"""Laws of the tables of category preference, and of the figure that is drawn from them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import Rectangle
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

import mine.figures.preference
from mine.figures.preference import draw_preference, find_best, format_row
from mine.figures.preference_subjects import draw_preference_subjects, select_drawn
from mine.figures.style import SIZE, WIDTH, save_figure
from mine.stages.preference import EVIDENCE
from mine.stages.preference_subjects import (
    LEAST_VOXELS,
    count_voxels,
    label_voxels,
    summarise_subjects,
    tabulate_preference,
)
from mine.stores import read_table, write_table
from tests.reference.documented import read_columns, read_names

CATEGORIES = ["faces", "places", "food"]
VOXELS, IMAGES = 6, 20


def make_preference(main: str, *, first: int = 0, described: bool = True) -> xr.Dataset:
    """A region that prefers ``main`` by all evidence; of its six voxels one prefers food by its
    words. The localiser has no contrast for food."""
    random = np.random.default_rng(first)
    place = CATEGORIES.index(main)
    known = described and main != ""
    names = np.full((4, VOXELS), main, dtype="<U6")
    names[0, -1] = "food"
    t = random.normal(0, 0.1, (3, VOXELS))
    t[place] += 1 + np.arange(VOXELS)
    t[2] = np.nan
    if not known:
        names[0] = ""
    label = np.tile([1, 0, 0, -1], (3, IMAGES // 4)).astype(np.int8)
    bounds, z = random.random((2, 3, 3)), random.random(3)
    bounds[:, place] += 1
    z[place] += 1
    share = np.array([[(row == name).mean() for name in CATEGORIES] for row in names])
    share[0] = share[0] if known else np.nan
    share[3, 2] = np.nan
    best = [main if known else "", main, main, main if main != "food" else ""]
    pair = ("evidence", "other")
    return xr.Dataset(
        {
            "label": (("category", "image"), label),
            "images": ("category", [5, 5, 5]),
            "described": ("voxel", np.full(VOXELS, known)),
            "t": (("category", "voxel"), t),
            "preferred": (("evidence", "voxel"), names),
            "roi_cosine_z": ("category", z if known else np.full(3, np.nan)),
            "roi_share_p": ("category", [1e-3, 0.5, 0.5]),
            "roi_response": (("response", "image"), random.normal(size=(2, IMAGES))),
            "roi_auc": (("response", "category", "bound"), bounds),
            "roi_d_prime": (("response", "category", "bound"), bounds),
            "roi_auc_p": (("response", "category"), bounds[..., 0]),
            "roi_t": ("category", t.mean(axis=1)),
            "roi_preferred": ("evidence", best),
            "roi_share": (("evidence", "category"), share),
            "roi_voxels": ("evidence", [VOXELS * known, *[VOXELS] * 3]),
            "agreement": (pair, np.full((4, 4), 5 / 6)),
            "agreement_voxels": (pair, np.full((4, 4), VOXELS)),
        },
        coords={
            "category": CATEGORIES,
            "image": 50 + np.arange(IMAGES),
            "voxel": first + np.arange(VOXELS),
            "response": ["predicted", "measured"],
            "evidence": list(EVIDENCE),
            "other": list(EVIDENCE),
            "bound": ["value", "low", "high"],
        },
    )


def make_regions() -> dict[str, xr.Dataset]:
    return {
        "FFA": make_preference("faces"),
        "PPA": make_preference("places", first=4),
        "none": make_preference("faces", first=20, described=False),
    }


def pick(table: pd.DataFrame, measure: str, **values: object) -> pd.DataFrame:
    for column, value in {"measure": measure, **values}.items():
        table = table[table[column] == value]
    return table


def test_table_holds_the_datasets_numbers():
    regions = make_regions()
    table, own = tabulate_preference(regions), regions["PPA"]
    for measure, value in {
        "cosine_z": own["roi_cosine_z"],
        "share_profile": own["roi_share"].sel(evidence="profile"),
        "share_localiser": own["roi_share"].sel(evidence="localiser"),
        "auc_measured": own["roi_auc"].sel(response="measured", bound="value"),
        "d_prime_predicted": own["roi_d_prime"].sel(response="predicted", bound="value"),
        "t": own["roi_t"],
    }.items():
        rows = pick(table, measure, roi="PPA")
        assert rows["category"].tolist() == CATEGORIES
        np.testing.assert_array_equal(rows["value"], value, err_msg=measure)
    auc = pick(table, "auc_predicted", roi="FFA", category="food").iloc[0]
    bounds = regions["FFA"]["roi_auc"].sel(response="predicted", category="food")
    assert auc[["value", "low", "high"]].tolist() == bounds.values.tolist()
    assert pick(table, "share_profile", roi="FFA")["p"].tolist() == [1e-3, 0.5, 0.5]


def test_measures_are_what_is_documented():
    named = read_names("measure")
    table = tabulate_preference(make_regions())
    assert set(table["measure"]) == set(named) and len(named) == len(set(named))
    known = summarise_subjects({"subj01": table})
    assert list(known) == read_columns()["preference.tsv"]
    assert set(named) - set(known["measure"]) == {"carries", "lacks"}


def test_a_preference_is_told_where_something_is_known():
    table = tabulate_preference(make_regions())
    assert pick(table, "prefers_profile", roi="PPA")["value"].tolist() == [0, 1, 0]
    assert pick(table, "prefers_profile", roi="none").empty
    assert pick(table, "prefers_measured", roi="none")["value"].tolist() == [1, 0, 0]
    assert pick(table, "prefers_localiser", roi="FFA")["category"].tolist() == CATEGORIES[:2]


def test_what_could_not_be_asked_has_no_share():
    table = tabulate_preference(make_regions())
    shares = pick(table, "share_localiser", roi="FFA").set_index("category")
    assert shares["n"].to_dict() == {"faces": VOXELS, "places": VOXELS, "food": 0}
    assert shares["value"].isna().tolist() == [False, False, True]
    whole = summarise_subjects({"subj01": table})
    assert set(pick(whole, "share_localiser")["category"]) == {"faces", "places"}


def test_voxels_are_counted_whatever_evidence_there_is(tmp_path):
    regions = make_regions()
    for region in regions.values():
        region["roi_share"][1:] = np.nan
    tables = {name: tabulate_preference(regions) for name in ("subj01", "subj02")}
    for table, subjects in ((tables["subj01"], 1), (summarise_subjects(tables), 2)):
        described, voxels = count_voxels(table)
        expected = {"FFA": VOXELS * subjects, "PPA": VOXELS * subjects, "none": 0}
        assert described.to_dict() == expected
        assert voxels.to_dict() == dict.fromkeys(expected, VOXELS * subjects)
    # As the rule draws it, from a file, in which rows of no category have an empty one.
    write_table(summarise_subjects(tables), tmp_path / "preference.tsv")
    figure = draw_preference_subjects(read_table(tmp_path / "preference.tsv"))
    shown = {text.get_text() for text in figure.findobj(lambda part: hasattr(part, "get_text"))}
    assert {"12/12", "0/12"} <= shown
    names = [[label.get_text() for label in axes.get_xticklabels()] for axes in figure.axes]
    assert [own for own in names if set(own) & set(CATEGORIES)] == 3 * [CATEGORIES]


def test_responses_are_to_the_category_that_the_words_prefer():
    regions = make_regions()
    table = tabulate_preference(regions)
    response = regions["PPA"]["roi_response"].sel(response="measured")
    for measure, places in (("carries", slice(0, None, 4)), ("lacks", [1, 2, 5, 6])):
        rows = pick(table, measure, roi="PPA")
        assert set(rows["category"]) == {"places"}
        images = response["image"].values[places]
        found = rows.set_index("image")["value"]
        np.testing.assert_array_equal(found.loc[images], response.sel(image=images))
    assert len(pick(table, "lacks", roi="PPA")) == 10
    assert pick(table, "carries", roi="none").empty


def test_share_above_a_threshold_counts_each_described_voxel_once():
    regions = make_regions()
    rows = pick(tabulate_preference(regions), "above_t").set_index("threshold")
    # Voxels 4 and 5 are of both regions, and count as the first one's.
    t = np.concatenate([regions["FFA"]["t"][0], regions["PPA"]["t"][1, 2:]])
    right = np.array([True] * 5 + [False] + [True] * 3 + [False])
    for threshold, row in rows.iterrows():
        above = t >= threshold
        assert row["n"] == above.sum() and row["value"] == pytest.approx(right[above].mean())
        low, high = proportion_confint(right[above].sum(), above.sum(), method="wilson")
        assert row[["low", "high"]].tolist() == pytest.approx([low, high])
    assert rows.index.max() == np.floor(2 * t.max()) / 2


def test_a_voxel_counts_where_any_of_its_regions_describes_it():
    own = make_preference("places")
    other = own.assign(described=("voxel", np.zeros(VOXELS, dtype=bool)))
    other["preferred"] = own["preferred"].copy()
    other["preferred"][0] = ""
    alone = pick(tabulate_preference({"PPA": own}), "above_t", threshold=0)
    for by_roi in ({"EBA": other, "PPA": own}, {"PPA": own, "EBA": other}):
        both = pick(tabulate_preference(by_roi), "above_t", threshold=0)
        assert both["n"].item() == alone["n"].item() == VOXELS
        assert both["value"].item() == alone["value"].item()
        np.testing.assert_array_equal(label_voxels(by_roi)[1], label_voxels({"PPA": own})[1])


def test_exchanged_profiles_agree_as_often_as_is_expected():
    regions = make_regions()
    expected = pick(tabulate_preference(regions), "above_t_shuffled", threshold=0)["value"].item()
    preferred = np.array(["faces"] * 5 + ["food"] + ["places"] * 3 + ["food"])
    localiser = np.array(["faces"] * 6 + ["places"] * 4)
    random = np.random.default_rng(0)
    draws = [(random.permutation(preferred) == localiser).mean() for _ in range(4000)]
    assert expected == pytest.approx(np.mean(draws), abs=0.01)


def test_agreement_of_regions_counts_those_with_both():
    table = tabulate_preference(make_regions())
    both = pick(table, "agreement_profile_measured", roi="all").iloc[0]
    assert (both["value"], both["n"]) == (1, 2)
    voxels = pick(table, "agreement_profile_measured", roi="FFA").iloc[0]
    assert voxels["value"] == pytest.approx(5 / 6) and voxels["n"] == VOXELS


def test_a_mean_t_value_counts_the_voxels_that_have_one():
    region = make_preference("places")
    region["t"][:2, 0] = np.nan
    rows = pick(tabulate_preference({"PPA": region}), "t").set_index("category")
    assert rows["n"].to_dict() == {"faces": VOXELS - 1, "places": VOXELS - 1, "food": 0}


def test_subjects_are_the_unit():
    first, second, third = (make_regions() for _ in range(3))
    second["PPA"]["roi_t"][:] += 2.0
    second["PPA"]["roi_preferred"][0] = "faces"
    del second["none"], third["none"]
    subjects = {"subj01": first, "subj02": second, "subj03": third}
    tables = {name: tabulate_preference(regions) for name, regions in subjects.items()}
    found = summarise_subjects(tables)
    rows = pick(found, "t", roi="PPA", category="places").set_index("subject")
    values = rows.loc[list(subjects), "value"]
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert rows.loc["all", ["value", "low", "high", "n"]].tolist() == pytest.approx(
        [values.mean(), low, high, 3]
    )
    share = pick(found, "prefers_profile", roi="PPA", category="places", subject="all").iloc[0]
    expected = proportion_confint(2, 3, method="wilson")
    assert share[["value", "low", "high"]].tolist() == pytest.approx([2 / 3, *expected])
    alone = pick(found, "auc_measured", roi="none", category="food", subject="all").iloc[0]
    assert alone["n"] == 1 and np.isnan(alone["low"])
    assert pick(found, "carries").empty and found["value"].notna().all()


def test_shares_are_no_less_than_none_and_no_more_than_all():
    tables = {f"subj{number}": tabulate_preference(make_regions()) for number in range(3)}
    for table, share in zip(tables.values(), (0.0, 0.9, 1.0), strict=True):
        table.loc[table["measure"].isin(["share_profile", "t"]), "value"] = share
    found = summarise_subjects(tables)
    for measure, ends in (("share_profile", [0, 1]), ("t", [-0.73, 2.0])):
        rows = pick(found, measure, subject="all")
        assert len(rows) and (rows[["low", "high"]].round(2) == ends).all(axis=None)


def test_many_subjects_have_their_mean_and_interval():
    subjects, tables, values = 17, {}, []
    for number in range(subjects):
        region = make_preference("places")
        region["roi_t"][:] += number**2
        tables[f"subj{number:02d}"] = tabulate_preference({"PPA": region})
        values.append(region["roi_t"].sel(category="places").item())
    row = pick(summarise_subjects(tables), "t", category="places", subject="all").iloc[0]
    interval = stats.t.interval(0.95, subjects - 1, np.mean(values), stats.sem(values))
    assert row[["low", "high", "n"]].tolist() == pytest.approx([*interval, subjects])


def test_agreement_with_the_localiser_is_averaged_over_subjects_with_voxels_enough():
    first, second = make_regions(), make_regions()
    second["FFA"]["preferred"][0] = "places"
    for each in (second["FFA"], second["PPA"]):
        each["t"][:] += 3
    tables = {"subj01": tabulate_preference(first), "subj02": tabulate_preference(second)}
    found = summarise_subjects(tables)
    for threshold, own in pick(found, "above_t").groupby("threshold"):
        own = own.set_index("subject")
        enough = own.drop("all", errors="ignore").query(f"n >= {LEAST_VOXELS}")
        assert ("all" in own.index) == bool(len(enough)), threshold
        if len(enough):
            assert own.loc["all", "n"] == len(enough)
            assert own.loc["all", "value"] == pytest.approx(enough["value"].mean())
    assert pick(found, "above_t", threshold=2.5, subject="all")["n"].item() == 1


def test_voxels_are_labelled_once_by_the_place_of_their_category():
    regions = make_regions()
    voxels, labels = label_voxels(regions)
    assert voxels.tolist() == [*range(10), *range(20, 26)]
    places = {"faces": 1, "places": 2, "food": 3, "": 0}
    for roi in ("PPA", "FFA", "none"):  # of a voxel of two regions the first one's stays
        own = np.searchsorted(voxels, regions[roi]["voxel"].values)
        expected = np.vectorize(places.get)(regions[roi]["preferred"].values).T
        keep = regions[roi]["voxel"].values >= 6 if roi == "PPA" else slice(None)
        np.testing.assert_array_equal(labels[own][keep], expected[keep])


def read_numbers(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda part: part.get_gid() == "number")]


@pytest.mark.parametrize("subjects", [1, 2, 4])
def test_figure_of_subjects_counts_those_that_prefer(subjects, tmp_path):
    tables = {}
    for number in range(subjects):
        regions = make_regions()
        if number == 1:
            regions["PPA"]["roi_preferred"][0] = "food"
        tables[f"subj{number:02d}"] = tabulate_preference(regions)
    found = summarise_subjects(tables)
    figure = draw_preference_subjects(found)
    numbers = read_numbers(figure)
    # By words FFA and, but for one subject, PPA; three regions by responses and by the localiser.
    assert numbers.count(f"{subjects}/{subjects}") == 1 + 3 + 3 + (subjects == 1)
    assert (f"{subjects - 1}/{subjects}" in numbers) == (subjects > 1)
    assert f"1/{subjects}" in numbers  # food for one PPA, or all of one subject
    # Words of no described voxel, and the localiser of food.
    assert numbers.count("83") == 2 and numbers.count("–") == 3 + 3
    assert figure.get_size_inches()[0] * 25.4 == pytest.approx(WIDTH)
    drawn = select_drawn(found)
    assert not drawn.empty and set(drawn.columns) == set(found.columns)
    text = [part for part in figure.findobj(lambda part: hasattr(part, "get_fontsize"))]
    assert min(part.get_fontsize() for part in text if part.get_text()) >= SIZE
    save_figure(figure, found, tmp_path / "a.png")


@pytest.mark.parametrize("least", [VOXELS, VOXELS + 1])
def test_figure_shows_the_numbers_and_frames_the_preferred(least, tmp_path, monkeypatch):
    # Words of too few voxels are not framed; responses and localiser are of all voxels.
    monkeypatch.setattr(mine.figures.preference, "LEAST_VOXELS", least)
    regions = make_regions()
    table = tabulate_preference(regions)
    figure = draw_preference(table, list(regions), "subj01")
    assert figure.get_size_inches()[0] * 25.4 == pytest.approx(WIDTH)
    numbers = [text.get_text() for text in figure.findobj(lambda part: part.get_gid() == "number")]
    for roi in ("FFA", "PPA"):
        auc = pick(table, "auc_measured", roi=roi)
        assert {f"{value:.2f}" for value in auc["value"]} <= set(numbers)
        category = regions[roi]["roi_preferred"].values[0]
        row = pick(auc, "auc_measured", category=category).iloc[0]
        text = f"{row['value']:.2f} [{row['low']:.2f}, {row['high']:.2f}], 5:10"
        assert text in numbers
    frames = [part for part in figure.findobj(Rectangle) if part.get_linewidth() == 1.3]
    assert len(frames) == (2 + 2) * (least == VOXELS) + 3 + 3
    shown = [text for text in figure.findobj(lambda part: hasattr(part, "get_fontsize"))]
    assert min(text.get_fontsize() for text in shown if text.get_text()) >= SIZE
    save_figure(figure, table, tmp_path / "a.png")


def test_an_unknown_auc_is_said_to_be_of_too_few_images():
    regions = make_regions()
    for region in regions.values():
        region["roi_auc"][:] = np.nan
    figure = draw_preference(tabulate_preference(regions), list(regions), "subj01")
    numbers = [text.get_text() for text in figure.findobj(lambda part: part.get_gid() == "number")]
    assert "too few images, 5:10" in numbers and not any("nan" in text for text in numbers)


@pytest.mark.parametrize("categories", [3, 6, 8, 12])
def test_numbers_of_a_map_keep_apart_however_many_categories_there_are(categories):
    random, regions = np.random.default_rng(0), {}
    for roi in ("FFA", "PPA", "EBA"):
        own = make_preference("faces").isel(category=np.resize(np.arange(3), categories))
        own = own.assign_coords(category=[*CATEGORIES, *map(str, range(categories - 3))])
        own["roi_cosine_z"] = "category", random.normal(0, 9, categories)
        own["roi_cosine_z"][:2] = [-11.33, -11.31]
        own["roi_share"][:] = 1.0
        own["roi_t"] = "category", random.normal(0, 9, categories)
        regions[roi] = own
    figure = draw_preference(tabulate_preference(regions), list(regions), "subj01")
    canvas = FigureCanvasAgg(figure).get_renderer()
    boxes = [text.get_window_extent(canvas) for axes in figure.axes[:4] for text in axes.texts]
    assert len(boxes) == 4 * 3 * categories
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])


def test_a_figure_says_why_words_are_not_compared_with_a_localiser():
    regions = make_regions()
    for t, expected in ((1.0, "fewer than 10 described voxels"), (np.nan, "no localiser")):
        few = regions["PPA"].assign(t=regions["PPA"]["t"] * t, roi_t=regions["PPA"]["roi_t"] * t)
        few["roi_share"].loc["localiser"] *= t
        table = tabulate_preference({"PPA": few})
        for figure in (
            draw_preference(table, ["PPA"], "subj01"),
            draw_preference_subjects(summarise_subjects({"subj01": table})),
        ):
            shown = [text.get_text() for axes in figure.axes for text in axes.texts]
            reasons = {"fewer than 10 described voxels", "no localiser"}
            assert reasons & set(shown) == {expected}


def test_a_figure_says_where_no_two_kinds_of_evidence_can_be_compared():
    region = make_regions()["PPA"]
    alone = "no region with a preference by two"
    for names, expected in ((["places", "", "", ""], True), (["places", "places", "", ""], False)):
        region["roi_preferred"][:] = names
        table = summarise_subjects({"subj01": tabulate_preference({"PPA": region})})
        figure = draw_preference_subjects(table)
        shown = [text.get_text() for axes in figure.axes for text in axes.texts]
        assert (alone in shown) == expected


def test_close_numbers_get_a_decimal_more_and_ties_are_won_by_none():
    for values, written, best in (
        ([1.91, 1.84, -0.04], ["1.9", "1.8", "0.0"], 0),
        ([1.84, 1.81, -0.3], ["1.84", "1.81", "−0.30"], 0),
        ([1.841, 1.844, np.nan], ["1.84", "1.84", "–"], -1),
        ([np.nan, np.nan, np.nan], ["–", "–", "–"], -1),
    ):
        assert format_row(np.array(values), "{:.1f}") == written
        assert find_best(np.array(values), written) == best


def test_a_mean_over_subjects_ends_where_the_first_of_them_does():
    tables = {}
    for number, most in enumerate((3.0, 2.0)):
        table = tabulate_preference(make_regions())
        rows = [
            {"measure": measure, "roi": "all", "threshold": t, "value": 0.5, "n": LEAST_VOXELS}
            for measure in ("above_t", "above_t_shuffled")
            for t in np.arange(0, most + 0.5, 0.5)
        ]
        table = table[table["threshold"].isna()]
        tables[f"subj{number}"] = pd.concat([table, pd.DataFrame(rows)])
    axes = next(
        axes
        for axes in draw_preference_subjects(summarise_subjects(tables)).axes
        if axes.get_xlabel().startswith("Voxels with")
    )
    ends = [float(line.get_xdata()[-1]) for line in axes.lines]
    assert ends == [3, 2, 2, 2]  # each subject, their mean, by chance


def test_figure_is_drawn_where_nothing_is_known(tmp_path):
    regions = {"none": make_regions()["none"]}
    regions["none"]["roi_auc"][:] = np.nan
    regions["none"]["t"][:] = regions["none"]["roi_t"][:] = np.nan
    # Neither words nor labels nor a localiser: no share of any kind.
    regions["none"]["roi_share"][:] = np.nan
    table = tabulate_preference(regions)
    for figure in (
        draw_preference(table, ["none"], "subj01"),
        draw_preference_subjects(summarise_subjects({"subj01": table})),
    ):
        save_figure(figure, table, tmp_path / "a.png")
