"""Figures draw what the data hold: as many bars and words as given, and none where none are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from mine.figures.attributions import (
    attribution_shares,
    draw_attributions,
    place_words,
    tabulate_attributions,
)
from mine.figures.catalogue import FIGURES
from mine.figures.described import draw_described, tabulate_described
from mine.figures.encoder import draw_encoder, list_members, tabulate_encoder
from mine.figures.faithfulness import (
    RANKINGS,
    advantages,
    draw_faithfulness,
    retained,
    tabulate_faithfulness,
)
from mine.figures.profiles import draw_profiles, tabulate_profiles
from mine.figures.recovery import COUNTED, EFFECTS, FALSE, FOUND, draw_recovery, select_drawn
from mine.figures.strips import PAGE
from mine.figures.style import (
    BROWN,
    CYCLE,
    HUES,
    REASON_COLOURS,
    SIZE,
    WIDTH,
    add_text,
    error_lengths,
    new_figure,
    save_figure,
)
from mine.figures.voxels import (
    WITHHELD,
    choose_cards,
    choose_described,
    describe_voxels,
    gather_pictures,
    rank_images,
    write_fit,
)
from mine.stages.profiles import REASONS

WORDS = np.array(["dog", "face", "street", "red", "wooden"])
GRID = (2, 3)


def texts(figure: Figure) -> list[str]:
    """Everything that the figure says."""
    from matplotlib.text import Text

    shown = [text for text in figure.findobj(Text) if text.get_visible()]
    return [text.get_text() for text in shown if text.get_text()]


def make_scores(voxels: int, *, seed: int = 0) -> tuple[xr.Dataset, xr.Dataset]:
    rng = np.random.default_rng(seed)
    models, rois = ["mine", "ridge", "caption", "banded"], ["FFA-1", "V1v"]
    around = np.array([-0.1, 0.1])
    r2, by_roi = rng.random((4, voxels)), rng.random((4, 2))
    by_roi[:, 1] = np.nan  # no voxel with a sufficient ceiling
    scores = xr.Dataset(
        {
            "r2": (("model", "voxel"), r2),
            "r2_interval": (("model", "voxel", "bound"), r2[..., None] + around),
            "r2_normalised": (("model", "voxel"), r2 / 0.8),
            "noise_ceiling": ("voxel", rng.random(voxels)),
            "roi_r2_normalised": (("model", "roi"), by_roi),
            "roi_r2_normalised_interval": (("model", "roi", "bound"), by_roi[..., None] + around),
            "roi_r2": (("model", "roi"), by_roi / 2),
            "roi_r2_interval": (("model", "roi", "bound"), by_roi[..., None] / 2 + around),
            "roi_voxels": ("roi", [voxels, 0]),
        },
        coords={"model": models, "roi": rois, "bound": ["low", "high"]},
    )
    member = np.zeros((2, voxels), dtype=bool)
    member[0] = True
    return scores, xr.Dataset({"member": (("roi", "voxel"), member)}, coords={"roi": rois})


def make_profiles(reasons: list[str]) -> xr.Dataset:
    voxels = len(reasons)
    word = np.broadcast_to(np.arange(5), (2, voxels, 5))
    z = np.broadcast_to([9.0, 5.0, 3.0, 1.0, -1.0], (2, voxels, 5))
    return xr.Dataset(
        {
            "word": (("sign", "voxel", "rank"), word),
            "z": (("sign", "voxel", "rank"), z),
            "listed": (("sign", "voxel", "rank"), z > 2),
            "added": (("sign", "voxel", "rank"), z / 10),
            "added_p": (("sign", "voxel", "rank"), np.where(z > 2, 0.01, 0.5)),
            "reliability": ("voxel", np.full(voxels, 0.8)),
            "reliability_p": ("voxel", np.full(voxels, 0.001)),
            "described": ("voxel", np.array(reasons) == "described"),
            "reason": ("voxel", np.array(reasons, dtype=str)),
            "position_map": (("voxel", "row", "column"), np.full((voxels, *GRID), 1 / 6)),
            "exemplar": (("voxel", "exemplar"), np.tile([0, 2, 3], (voxels, 1))),
        },
        coords={"sign": ["positive", "negative"], "voxel": np.arange(voxels)},
        attrs={"images": 100, "measured_images": 900, "false_discovery_rate": 0.05},
    )


def make_explained(voxels: int, images: int = 4) -> tuple[xr.Dataset, xr.Dataset]:
    """Attributions and descriptions, the top tokens 4 and 1 in each image."""
    shape = (2, voxels, images)
    coordinates = {"voxel": np.arange(voxels), "image": np.arange(images)}
    attributions = xr.Dataset(
        {
            "token": (("sign", "voxel", "image", "rank"), np.broadcast_to([4, 1, -1], (*shape, 3))),
            "attribution": (
                ("sign", "voxel", "image", "rank"),
                np.broadcast_to([0.6, 0.3, 0.0], (*shape, 3)),
            ),
            "total": (("sign", "voxel", "image"), np.full(shape, 1.2)),
            "prediction": (
                ("voxel", "image"),
                np.broadcast_to(np.arange(images) * 1.0, shape[1:]),
            ),
        },
        coords={"sign": ["positive", "negative"], **coordinates},
    )
    ranked = ("condition", "voxel", "image", "rank")
    word = np.broadcast_to([0, 1, 2], (3, voxels, images, 3))
    descriptions = xr.Dataset(
        {
            "word": (ranked, word),
            "weight": (ranked, np.broadcast_to([0.5, 0.2, -0.1], word.shape)),
            "chance": (ranked, np.full(word.shape, 0.01)),
            "patch": (ranked, np.broadcast_to([4, 4, 1], word.shape)),
        },
        coords={"condition": ["description", "random", "lowest"], **coordinates},
        attrs={"false_words": 0.05, "phrase_words": 4},
    )
    return attributions, descriptions


def read(images: np.ndarray) -> np.ndarray:
    return np.full((len(images), 12, 12, 3), 128, dtype=np.uint8)


def make_faithfulness() -> xr.Dataset:
    rankings = ["integrated_gradients", "random", "lowest"]
    around = np.array([0.0, -0.05, 0.05])
    error = around[:, None, None, None] + np.linspace(1, 0, 4) * np.ones((3, 3, 2, 4))
    area = around[:, None, None] + np.array([0.0, -0.2, -0.4])[:, None] * np.array([1, -1])
    return xr.Dataset(
        {
            "roi_error": (("bound", "ranking", "mode", "fraction"), error),
            "roi_error_auc": (("bound", "ranking", "mode"), area),
            "error_auc_difference": (("bound", "ranking", "mode"), area),
            "roi_auc": (("bound", "target", "ranking", "mode"), area[:, None]),
            "auc_difference": (("bound", "target", "ranking", "mode"), area[:, None]),
            "r2": ("voxel", [0.5]),
        },
        coords={
            "bound": ["value", "low", "high"],
            "ranking": rankings,
            "mode": ["keep", "remove"],
            "fraction": [0.1, 0.3, 0.6, 1.0],
            "target": ["prediction"],
        },
        attrs={"images": 20},
    )


def make_recovery(subjects: tuple[str, ...] = ("subj01", "subj02")) -> pd.DataFrame:
    rows = []
    for subject in (*subjects, "all"):
        rows += [
            ("described", subject, "all", 0.9, 0.8, 0.95, 50),
            ("described", subject, "noise", 0.02, 0.0, 0.05, 200),
            ("pointing", subject, "all", 0.9, 0.8, 0.95, 50),
            ("pointing_chance", subject, "all", 0.2, 0.15, 0.25, 50),
        ]
    for subject in subjects:
        for model in ("mine", "ridge", "noiseless"):
            rows.append((f"r2_normalised_{model}", subject, "all", 0.7, 0.6, 0.8, 50))
    return pd.DataFrame(rows, columns=["measure", "subject", "roi", "value", "low", "high", "n"])


@pytest.mark.parametrize("voxels", [1, 12])
def test_encoder_has_a_bar_for_each_model_and_a_row_for_each_voxel(voxels: int) -> None:
    scores, rois = make_scores(voxels)
    figure = draw_encoder(scores, rois)
    assert len(figure.axes[1].patches) == 4  # V1v has no value, hence no bar
    assert "no voxel above" in texts(figure)
    assert f"FFA-1\nn = {voxels}" in texts(figure)
    table = tabulate_encoder(scores, rois)
    assert (table["panel"] == "voxels").sum() == voxels
    assert (table["panel"] == "rois").sum() == 8


def test_an_error_bar_is_never_negative() -> None:
    rows = pd.DataFrame({"value": [0.5, 0.5, np.nan], "low": [0.2, 0.6, 0.1], "high": 0.9})
    found = error_lengths(rows)
    np.testing.assert_allclose(found, [[0.3, 0, np.nan], [0.4, 0.4, np.nan]])
    np.testing.assert_array_equal(error_lengths(rows.iloc[1]), found[:, [1]])


def test_intervals_of_scores_are_drawn_to_their_ends_or_have_an_arrow() -> None:
    scores, rois = make_scores(12)
    scores["roi_r2_normalised"][:, 1] = -0.2
    scores["roi_r2_normalised_interval"][:, 1] = [-0.5, 0.1]
    scores["roi_r2_normalised_interval"][0, 1, 0] = -9.0
    scores["roi_voxels"][1] = 3
    axes = draw_encoder(scores, rois).axes[1]
    ends = [path.vertices[:, 1] for lines in axes.collections for path in lines.get_paths()]
    lowest = axes.get_ylim()[0]
    assert min(map(min, ends)) == pytest.approx(lowest) and lowest < -0.5
    arrows = [line for line in axes.lines if line.get_marker() == "v"]
    assert [float(line.get_ydata()[0]) for line in arrows] == [pytest.approx(lowest)]
    # The region of three voxels is pale, the other is not.
    assert sorted({bar.get_alpha() for bar in axes.patches}) == [0.35, 1]


def test_encoder_without_a_ceiling_shows_r2_and_says_so() -> None:
    scores, rois = make_scores(12)
    scores["noise_ceiling"] = scores["noise_ceiling"] * np.nan
    figure = draw_encoder(scores, rois)
    said = texts(figure)
    assert "Every voxel (the dataset has no noise ceiling)" in said
    assert "Mean R² on test images" in said
    assert not any("nan" in text or "n = 0" in text for text in said)
    table = tabulate_encoder(scores, rois)
    own = table[(table["panel"] == "rois") & (table["roi"] == "FFA-1")]
    np.testing.assert_array_equal(own["value"], scores["roi_r2"].sel(roi="FFA-1"))


def test_a_heading_without_a_ceiling_says_so() -> None:
    entry = pd.Series({"r2": -0.1, "noise_ceiling": np.nan})
    assert write_fit(entry) == "R² −0.10 (no noise ceiling)"
    entry["noise_ceiling"] = 0.5
    assert write_fit(entry) == "R² −0.10 of a ceiling of 0.50"


def test_a_voxel_is_drawn_in_each_of_its_rois_or_in_none() -> None:
    scores, rois = make_scores(12)
    rois["member"][0, 8:] = False
    rois["member"][1, 2:5] = True
    parts = {"": range(8, 12), "FFA-1": range(8), "V1v": range(2, 5)}
    assert {roi: own.tolist() for roi, own in list_members(rois).items()} == {
        roi: list(own) for roi, own in parts.items()
    }
    axes = draw_encoder(scores, rois).axes[0]
    drawn = {each.get_label(): each for each in axes.collections if each.get_label()[0] != "_"}
    assert {"no region (n = 4)", "FFA-1 (n = 8)", "V1v (n = 3)"} <= set(drawn)
    order = sorted(drawn, key=lambda label: drawn[label].get_zorder())
    assert [label.split(" (")[0] for label in order] == ["no region", "FFA-1", "V1v"]
    table = tabulate_encoder(scores, rois)
    voxels = table[table["panel"] == "voxels"]
    assert {roi: own["voxel"].tolist() for roi, own in voxels.groupby("roi")} == {
        roi: list(own) for roi, own in parts.items()
    }
    r2 = scores["r2"].sel(model="mine").values
    np.testing.assert_array_equal(voxels["value"], r2[voxels["voxel"].astype(int)])


def test_described_parts_add_up_to_all_voxels() -> None:
    reasons = {"FFA-1": np.array(["described"] * 3 + ["retinotopic"]), "V1v": np.array([], str)}
    table = tabulate_described(reasons)
    assert table.groupby("roi")["voxels"].sum().to_dict() == {"FFA-1": 4, "V1v": 0}
    figure = draw_described(reasons)
    assert "n = 4" in texts(figure)
    assert sum(patch.get_height() for patch in figure.axes[0].patches) == pytest.approx(100)


def test_every_part_has_its_number_and_no_other_is_in_the_legend() -> None:
    reasons = {"PPA": np.array(["described"] * 96 + ["retinotopic"] * 3 + ["not predicted"])}
    figure = draw_described(reasons)
    parts = {text.get_text(): text.get_position()[1] for text in figure.axes[0].texts}
    assert {"96", "3", "1", "n = 100"} == set(parts)
    assert parts["1"] - parts["3"] >= 6
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "described",
        "retinotopic",
        "not predicted",
    ]


def test_faithfulness_keeps_its_bounds_in_order_when_turned_round() -> None:
    data = make_faithfulness()
    for array in (retained(data), advantages(data)):
        assert (array.sel(bound="low") <= array.sel(bound="value")).all()
        assert (array.sel(bound="value") <= array.sel(bound="high")).all()
    # Less error when kept and more when removed are both in favour of integrated gradients.
    assert (advantages(data).sel(bound="value") > 0).all()


@pytest.mark.parametrize("rois", [1, 5])
def test_faithfulness_draws_each_ranking_in_each_region_and_mode(rois: int) -> None:
    by_roi = {f"roi{number}": make_faithfulness() for number in range(rois)}
    figure = draw_faithfulness(by_roi)
    lines = [line.get_label() for axes in figure.axes for line in axes.lines]
    assert lines.count("integrated gradients") == 2 * rois
    assert set(tabulate_faithfulness(by_roi)["roi"]) == set(by_roi)


def test_faithfulness_without_a_rival_is_drawn_as_curves_alone(tmp_path: Path) -> None:
    by_roi = {"EBA": make_faithfulness().sel(ranking=["integrated_gradients"])}
    figure = draw_faithfulness(by_roi)
    assert len([axes for axes in figure.axes if axes.lines]) == 2
    table = tabulate_faithfulness(by_roi)
    assert "advantage" not in set(table["measure"]) and "retained" in set(table["measure"])
    save_figure(figure, table, tmp_path / "a.png")


@pytest.mark.parametrize("rois", [1, 5])
@pytest.mark.parametrize("rivals", [1, 2, 7])
def test_no_text_of_faithfulness_is_cut_off_however_many_rankings(rois: int, rivals: int) -> None:
    data = make_faithfulness()
    data = data.isel(ranking=np.resize(np.arange(data.sizes["ranking"]), 1 + rivals))
    data = data.assign_coords(ranking=list(RANKINGS)[: 1 + rivals])
    figure = draw_faithfulness({f"roi{number}": data for number in range(rois)})
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    label = figure.subfigs[1]._supylabel.get_window_extent(canvas.get_renderer())
    assert label.y0 >= 0 and label.y1 <= figure.bbox.height


@pytest.mark.parametrize(
    ("reasons", "drawn"),
    [
        (["described"], 1),
        (["described", "retinotopic", "described", "described"], 3),
        (["no reliable profile", "not predicted"], 2),
    ],
)
def test_cards_show_words_of_described_voxels_alone(reasons: list[str], drawn: int) -> None:
    profiles = make_profiles(reasons)
    scores, _ = make_scores(len(reasons))
    table = describe_voxels(profiles, scores, WORDS)
    cards = profiles.sel(voxel=choose_cards(table, 2))
    assert cards.sizes["voxel"] == drawn
    pictures = gather_pictures(read, cards["exemplar"].values)
    figure = draw_profiles(cards, pictures, words=WORDS, table=table, region="FFA-1")
    described = int(cards["described"].sum())
    # Three of the five words are listed, of both signs.
    bars = sum(len(bars) for axes in figure.axes for bars in axes.containers)
    assert bars == 2 * 3 * described
    assert any("measured responses to 900\ntraining images" in text for text in texts(figure))
    assert texts(figure).count("dog") == 2 * described
    withheld = [text for text in texts(figure) if text.startswith("Not described")]
    assert len(withheld) == cards.sizes["voxel"] - described
    numbers = tabulate_profiles(cards, words=WORDS, table=table)
    assert (numbers["item"] == "positive").sum() == 3 * described


def test_every_reason_has_a_colour_in_figures_and_in_the_browser(repository: Path) -> None:
    assert set(REASON_COLOURS) == set(REASONS)
    script = (repository / "workflow/browser/data.js").read_text()
    block = re.search(r"^mine\.reasons = \{(.*?)^\};", script, re.M | re.S)[1]
    assert set(re.findall(r'^ *"?([\w ]+?)"?:', block, re.M)) == set(REASONS)


def test_categories_and_clusters_have_the_same_colours_in_figures_and_in_the_browser(
    repository: Path,
) -> None:
    script = (repository / "workflow/browser/data.js").read_text()
    colours = re.search(r"^mine\.colours = \[(.*?)\];", script, re.M)[1]
    assert tuple(re.findall(r'"(#\w+)"', colours)) == HUES


def test_every_reason_is_told_on_the_card_of_a_voxel_that_is_not_described() -> None:
    assert tuple(WITHHELD) == REASONS[:-1]
    profiles = make_profiles(list(WITHHELD))
    scores, _ = make_scores(len(WITHHELD))
    table = describe_voxels(profiles, scores, WORDS)
    pictures = gather_pictures(read, profiles["exemplar"].values)
    figure = draw_profiles(profiles, pictures, words=WORDS, table=table, region="FFA-1")
    said = [text.replace("\n", " ") for text in texts(figure)]
    for why in WITHHELD.values():
        assert f"{why}; words are withheld." in said


def test_suppressed_words_point_down_on_the_scale_of_the_others() -> None:
    profiles = make_profiles(["described"])
    scores, _ = make_scores(1)
    table = describe_voxels(profiles, scores, WORDS)
    pictures = gather_pictures(read, profiles["exemplar"].values)
    figure = draw_profiles(profiles, pictures, words=WORDS, table=table, region="FFA-1")
    up, down = (axes for axes in figure.axes if axes.containers)
    assert [bar.get_width() for bar in up.patches] == pytest.approx([0.9, 0.5, 0.3])
    assert [bar.get_width() for bar in down.patches] == pytest.approx([-0.9, -0.5, -0.3])
    scales = [np.ptp(axes.get_xlim()) / axes.get_position().width for axes in (up, down)]
    assert scales[0] == pytest.approx(scales[1])


def test_a_card_without_a_listed_word_says_so() -> None:
    profiles = make_profiles(["described"])
    profiles["listed"][:] = False
    scores, _ = make_scores(1)
    table = describe_voxels(profiles, scores, WORDS)
    pictures = gather_pictures(read, profiles["exemplar"].values)
    figure = draw_profiles(profiles, pictures, words=WORDS, table=table, region="FFA-1")
    assert texts(figure).count("none") == 2
    assert not any(axes.containers for axes in figure.axes)


@pytest.mark.parametrize("voxels", [1, 2])
def test_attributions_show_the_words_that_are_above_their_base_rate(voxels: int) -> None:
    attributions, descriptions = make_explained(voxels)
    scores, _ = make_scores(voxels)
    table = describe_voxels(make_profiles(["described"] * voxels), scores, WORDS)
    drawn = {"words": WORDS, "grid": GRID, "images": 3}
    pictures = gather_pictures(read, rank_images(attributions["prediction"], 3))
    figure = draw_attributions(
        attributions, descriptions, pictures, table=table, region="FFA-1", **drawn
    )
    said = texts(figure)
    assert said.count("dog") == said.count("face") == 3 * voxels
    assert said.count("street") == 0  # below its base rate
    for condition in ("description", "random", "lowest"):
        assert said.count(condition) == 3 * voxels
    numbers = tabulate_attributions(attributions, descriptions, **drawn)
    assert (numbers["item"] == "prediction").sum() == 3 * voxels
    assert (numbers["item"] == "share").sum() == 2 * 3 * voxels


def test_a_voxel_that_is_not_described_is_drawn_without_words() -> None:
    attributions, descriptions = make_explained(2)
    scores, _ = make_scores(2)
    table = describe_voxels(make_profiles(["described", "not predicted"]), scores, WORDS)
    pictures = gather_pictures(read, rank_images(attributions["prediction"], 3))
    figure = draw_attributions(
        attributions, descriptions, pictures, table=table, region="FFA-1", words=WORDS, grid=GRID,
        images=3,
    )  # fmt: skip
    said = texts(figure)
    assert said.count("dog") == said.count("description") == 3
    assert sum("no words: not predicted" in text for text in said) == 1


def test_without_a_described_voxel_no_words_are_shown() -> None:
    attributions, descriptions = make_explained(0)
    scores, _ = make_scores(2)
    table = describe_voxels(make_profiles(["retinotopic", "not predicted"]), scores, WORDS)
    assert not len(choose_described(table, 3))
    drawn = {"words": WORDS, "grid": GRID, "images": 3}
    pictures = gather_pictures(read, np.empty(0, dtype=int))
    figure = draw_attributions(
        attributions, descriptions, pictures, table=table, region="V1v", **drawn
    )
    assert any("Of 2 voxels none is described" in text for text in texts(figure))
    assert tabulate_attributions(attributions, descriptions, **drawn).empty


def test_shares_are_of_all_positive_attribution() -> None:
    attributions, _ = make_explained(1)
    share = attribution_shares(attributions, 0, 0, 6)
    np.testing.assert_allclose(share, [0, 0.25, 0, 0, 0.5, 0])


@pytest.mark.parametrize("centre", [(0.95, 0.95), (0.5, 0.05), (0.05, 0.5)])
def test_words_cover_neither_each_other_nor_their_patch(centre: tuple[float, float]) -> None:
    sizes, patch, centres = (
        np.array([[0.4, 0.1]] * 4),
        np.array([0.1, 0.1]),
        np.tile(centre, (4, 1)),
    )
    placed = place_words(centres, sizes=sizes, patch=patch)
    beside = np.abs(placed - centre) >= (sizes + patch) / 2 - 1e-9
    assert beside.any(axis=1).all()
    apart = np.abs(placed[:, None] - placed[None]) >= sizes[0] - 1e-9
    assert (apart.any(axis=2) | np.eye(4, dtype=bool)).all()
    assert (placed >= sizes / 2 - 1e-9).all() and (placed <= 1 - sizes / 2 + 1e-9).all()


@pytest.mark.parametrize("subjects", [(), ("subj01",), ("subj01", "subj02")])
def test_recovery_draws_what_the_table_has(subjects: tuple[str, ...]) -> None:
    figure = draw_recovery(make_recovery(subjects))
    assert "described: noise voxels" in texts(figure)
    assert "top word right" not in texts(figure)  # not in the table
    assert any("n = 200" in text for text in texts(figure))


def test_what_has_no_interval_is_written_without_one() -> None:
    table = make_recovery()
    first = table["measure"] == "described"
    assert first.any()
    table.loc[first, ["low", "high"]] = np.nan
    said = texts(draw_recovery(table))
    assert not any("nan" in text for text in said)
    row = table[first & (table["subject"] == "all")].iloc[0]
    assert f"{row['value']:.2f}   n = {row['n']:.0f}" in said


@pytest.mark.parametrize("colour", sorted({*CYCLE, *HUES, BROWN}))
def test_text_is_dark_enough_in_every_colour(colour: str) -> None:
    figure = new_figure(10, layout=None)
    add_text(figure, 1, 1, "text", color=colour)
    levels = np.array(to_rgb(figure.texts[0].get_color()))
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    # Relative luminance and contrast to white, WCAG 2.1.
    assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 4.5


def test_recovery_of_everything_fits_a_page() -> None:
    rows = [
        (measure, subject, roi, 0.5, 0.25, 0.75, 2)
        for measure, roi, _ in (*FOUND, *FALSE, *EFFECTS)
        for subject in ("subj01", "subj02", "all")
    ]
    rows += [
        (f"r2_normalised_{model}", subject, f"roi{roi}", 0.7, 0.6, 0.8, 50)
        for model in ("mine", "ridge", "caption", "planted_ridge", "noiseless")
        for subject in ("subj01", "subj02")
        for roi in range(6)
    ]
    columns = ["measure", "subject", "roi", "value", "low", "high", "n"]
    figure = draw_recovery(pd.DataFrame(rows, columns=columns))
    assert figure.get_size_inches()[1] * 25.4 <= PAGE
    assert texts(figure).count("1 of 2 regions") == len(COUNTED)


def test_figures_are_saved_at_journal_width_in_type_that_can_be_read(tmp_path: Path) -> None:
    from PIL import Image

    reasons = {"FFA-1": np.array(["described"])}
    figure, path = draw_described(reasons), tmp_path / "a.png"
    save_figure(figure, tabulate_described(reasons), path)
    with Image.open(path) as image:
        assert image.width == pytest.approx(WIDTH / 25.4 * 300, abs=2)
    from matplotlib.text import Text

    assert min(text.get_fontsize() for text in figure.findobj(Text)) >= SIZE
    first = [one.read_bytes() for one in sorted(tmp_path.iterdir())]
    save_figure(draw_described(reasons), tabulate_described(reasons), path)
    assert [one.read_bytes() for one in sorted(tmp_path.iterdir())] == first


def test_every_figure_has_a_number_and_writes_its_numbers_beside_it(repository: Path) -> None:
    text = (repository / "workflow/rules/figures.smk").read_text()
    written = {}
    for block in re.split(r"\n *rule ", text)[1:]:
        files = re.findall(r'"<results>/figures/([^"]+)\.(\w+)"', block)
        for name in {name for name, _ in files}:
            assert {ending for one, ending in files if one == name} == {"png", "pdf", "tsv"}, name
            written[name] = block.split(":")[0]
    assert written == {figure.files: figure.rule for figure in FIGURES}
    for rule in set(written.values()):
        script = (repository / f"workflow/scripts/{rule}.py").read_text()
        figures = sum(figure.rule == rule for figure in FIGURES)
        assert script.count("save_figure(") == figures and "savefig" not in script


def test_figures_with_planted_truth_are_the_last() -> None:
    # So that an analysis without it has the same numbers.
    assert [figure.demo for figure in FIGURES] == sorted(figure.demo for figure in FIGURES)


def test_the_table_of_the_recovery_has_what_is_drawn_and_nothing_else() -> None:
    table = make_recovery()
    drawn = select_drawn(table)
    assert len(drawn) == len(table)
    other = table.iloc[:1].assign(measure="not_drawn")
    assert select_drawn(pd.concat([other, table])).equals(drawn)
    assert texts(draw_recovery(drawn)) == texts(draw_recovery(table))
