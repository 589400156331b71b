"""Finished results as people open them: they say what the stores hold, and explain alike."""

from __future__ import annotations

import doctest
import importlib
import json
import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.text import Text
from PIL import Image

import mine
from mine.cli import main
from mine.errors import InputError
from mine.results import Region, Results
from mine.stores import read_table

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(finished: Path, tmp_path_factory) -> Path:
    """A folder with results/demo, as the documentation has it, and a photo."""
    folder = tmp_path_factory.mktemp("opened")
    (folder / "results").mkdir()
    for name in ("demo", "small"):
        (folder / "results" / name).symlink_to(finished / "results/small")
    (folder / "resources").symlink_to(finished / "resources")
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((360, 270)).save(folder / "photo.jpg")
    return folder


@pytest.fixture
def after_the_demo(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder as `make demo` leaves it, with no picture of one's own."""
    for name in ("results", "resources"):
        (tmp_path / name).symlink_to(folder / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_commands(page: str, voxel: int) -> int:
    """Run every `mine ...` of a page's blocks, with a voxel's number in the place of its own."""
    commands = re.findall(r"^mine (.*)$", page, flags=re.MULTILINE)
    for command in commands:
        assert main(command.replace("428", str(voxel)).split()) == 0, command
    return len(commands)


@pytest.fixture(scope="module")
def results(folder: Path) -> Results:
    return mine.open(folder / "results/demo")


@pytest.fixture(scope="module")
def region(results: Results) -> Region:
    return results["subj01"]["FFA-1"]


def test_an_image_of_the_dataset_gets_the_explanation_that_is_stored(region: Region) -> None:
    for image in region.descriptions["image"].values[:4]:
        stored = region.attributions.sel(image=image).load()
        described = region.descriptions.sel(image=image, condition="description").load()
        for number, found in region.explain(int(image)).items():
            own, said = stored.sel(voxel=number), described.sel(voxel=number)
            again = found.attributions.isel(voxel=0, image=0)
            scale = float(np.abs(own["total"]).sum())
            for name in ("prediction", "baseline_prediction"):
                assert abs(own[name].item() - again[name].item()) < 1e-4, name
            for name in ("attribution", "total"):
                np.testing.assert_allclose(again[name], own[name], atol=1e-4 * scale)
            assert (again["token"].values[:, 0] == own["token"].values[:, 0]).all()
            assert found.phrase == ", ".join(found.words["word"][: said.attrs["phrase_words"]])
            stored_words = region[number].describe(int(image))
            assert found.words["word"].tolist() == stored_words["word"].tolist()
            np.testing.assert_allclose(found.words["weight"], stored_words["weight"], atol=1e-3)


def test_attributions_add_up_to_what_the_image_changes(region: Region, folder: Path) -> None:
    for one in region.explain(folder / "photo.jpg").values():
        change = one.prediction - one.baseline_prediction
        missing = abs(one.attribution.values.sum() - change)
        assert missing <= (one.completeness_error + 1e-5) * np.abs(one.attribution.values).sum()
        positive = one.attributions["total"].sel(sign="positive").item()
        assert positive == pytest.approx(np.maximum(one.attribution.values, 0).sum(), rel=1e-5)


def test_a_picture_is_the_same_as_a_file_as_pixels_and_as_an_object(
    region: Region, results: Results, tmp_path: Path
) -> None:
    voxel = region[region.voxels[0]]
    image = int(region.descriptions["image"][0])
    pixels = results.pictures([image]).values[0]
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    # The middle square is taken, so that what is added on both sides is not seen.
    wide = np.pad(pixels, ((0, 0), (5, 5), (0, 0)))
    expected = voxel.explain(image)
    for other in (tmp_path / "picture.png", pixels, Image.fromarray(pixels), wide):
        found = voxel.explain(other)
        assert (found.picture == pixels).all()
        np.testing.assert_array_equal(found.attribution, expected.attribution)
        assert found.words.equals(expected.words)


def test_what_is_no_image_is_refused(region: Region, folder: Path, tmp_path: Path) -> None:
    voxel = region[region.voxels[0]]
    (tmp_path / "text.png").write_text("no image")
    for image, said in (
        (tmp_path / "absent.png", "expected an image, found no file"),
        (tmp_path / "text.png", "expected an image as PNG, JPEG, BMP"),
        (np.zeros((4, 4)), r"expected pixels as uint8 \(row, column, 3\), found float64 \(4, 4\)"),
        (Image.new("I;16", (4, 4)), "expected an image of 8 bits a channel"),
        (10**6, "expected"),
    ):
        with pytest.raises(InputError, match=said):
            voxel.explain(image)


def test_another_model_is_refused(folder: Path, finished: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "results/demo/config.json").read_text())
    shutil.copytree(finished / "resources/demo/clip", tmp_path / "clip")
    description = tmp_path / "clip/open_clip_config.json"
    description.write_text(description.read_text() + "\n")
    config["backbone"]["model"] = f"local-dir:{tmp_path / 'clip'}"
    region = mine.open(folder / "results/demo", config=config)["subj01"]["FFA-1"]
    with pytest.raises(InputError, match="backbone.model: expected the model that made .* digest"):
        region.explain(folder / "photo.jpg")


def test_tables_say_what_the_stores_hold(region: Region) -> None:
    table = region.table()
    assert sorted(table.index) == region.voxels == region.profiles["voxel"].values.tolist()
    r2 = region.subject.scores["r2"].sel(model="mine").values
    assert (table["r2"].to_numpy() == r2[table.index]).all() and table["r2"].is_monotonic_decreasing
    assert (table["words"] != "").equals(table["described"])
    preferred = region.preference["preferred"].sel(evidence="measured", voxel=table.index)
    assert (table["preferred_by_responses"].to_numpy() == preferred.values).all()
    if region.structure.attrs["clusters"] > 1:
        clustered = table["cluster"].dropna().sort_index()
        assert (clustered.to_numpy() == region.structure["cluster"].values + 1).all()
    else:
        assert table["cluster"].isna().all()


def test_words_are_those_that_are_listed_and_are_withheld_otherwise(
    results: Results, region: Region
) -> None:
    seen = set()
    for number in region.voxels:
        profile, stored = region[number].profile, region.profiles.sel(voxel=number)
        seen.add(profile.described)
        for words, sign in ((profile.words, "positive"), (profile.suppressed, "negative")):
            own = stored.sel(sign=sign)
            listed = np.flatnonzero(own["listed"].values) if profile.described else []
            assert words["word"].tolist() == results.words[own["word"].values[listed]].tolist()
            for name in ("z", "q", "added"):
                np.testing.assert_array_equal(words[name], own[name].values[listed])
        assert (profile.reason == "described") == profile.described
        sure = stored["list_listed"].values & profile.described
        assert profile.lists["list"].tolist() == stored["list"].values[sure].tolist()
        word = stored["list_word"].values[sure]
        assert profile.lists["word"].tolist() == results.words[word].tolist()
        assert (profile.lists["added_p"] <= stored.attrs["false_discovery_rate"]).all()
        by_list = dict(profile.lists[["list", "word"]].values)
        for name in stored["list"].values:
            assert region.table().loc[number, f"list_{name}"] == by_list.get(name, "")
    assert seen


def test_exemplars_are_the_images_of_largest_prediction(region: Region) -> None:
    for number in region.voxels[:3]:
        exemplars = region[number].exemplars
        assert exemplars["prediction"].is_monotonic_decreasing
        assert (
            exemplars["prediction"][0] == region.attributions["prediction"].sel(voxel=number).max()
        )
        for _, row in exemplars.iterrows():
            measured = region.subject.responses["response"].isel(voxel=number)
            assert row["response"] == measured.sel(image=row["image"]).item()
            described = row["image"] in region.descriptions["image"].values
            assert pd.isna(row["phrase"]) != described


def test_names_that_are_not_there_are_refused(results: Results, tmp_path: Path) -> None:
    for open_it, said in (
        (lambda: results["subj99"], "expected one of its subjects, subj01, subj02, found subj99"),
        (lambda: results["subj01"]["V9"], "subj01: expected one of its regions, FFA-1, "),
        (lambda: results["subj01"]["FFA-1"][10**6], "voxels, between .*, found 1000000"),
        (
            lambda: results["subj01"]["FFA-1"].store("none"),
            "one of its stores, attributions/all, .*, found none$",
        ),
        (lambda: mine.open(tmp_path / "absent"), "expected the results of an analysis, found no"),
        (lambda: mine.open(tmp_path), "config.json: expected the configuration that made"),
    ):
        with pytest.raises(InputError, match=said):
            open_it()


def test_show_prints_every_voxel_and_one(folder: Path, region: Region, capsys) -> None:
    given = ["--results", str(folder / "results/demo")]
    assert main(["show", "subj01", "FFA-1", *given]) == 0
    rows = re.findall(r"^ *(\d+)  ", capsys.readouterr().out, flags=re.MULTILINE)
    assert [int(row) for row in rows] == region.table().index.tolist()
    voxel = region[region.table().index[0]]
    assert main(["show", "subj01", "FFA-1", str(voxel.number), *given]) == 0
    said = capsys.readouterr().out
    assert voxel.profile.reason in said and f"R² {voxel.summary['r2']:.2f}" in said
    assert all(word in said for word in voxel.profile.words["word"])
    assert all(str(image) in said for image in voxel.exemplars["image"])


def test_explain_prints_what_python_gives_and_draws(
    folder: Path, region: Region, tmp_path: Path, capsys
) -> None:
    number = region.voxels[0]
    photo, figure = str(folder / "photo.jpg"), tmp_path / "explained.png"
    given = ["--subject", "subj01", "--roi", "FFA-1", "--results", str(folder / "results/demo")]
    assert main(["explain", photo, *given]) == 0
    rows = re.findall(r"^ *(\d+) +\S+ +(-?\S+)", capsys.readouterr().out, flags=re.MULTILINE)
    expected = {k: f"{one.prediction:.2f}" for k, one in region.explain(photo).items()}
    assert {int(voxel): predicted for voxel, predicted in rows} == expected
    predicted = [float(predicted) for _, predicted in rows]
    assert predicted == sorted(predicted, reverse=True)
    drawn = ["--voxel", str(number), "--figure", str(figure)]
    assert main(["explain", photo, *given, *drawn]) == 0
    with Image.open(figure) as drawn_picture:
        assert drawn_picture.size[0] > 1000
    capsys.readouterr()
    wrong = {
        ("explain", str(tmp_path / "none.png"), *given): "expected an image, found no file",
        ("explain", photo, *given, "--voxel", "999999"): "found 999999",
        ("explain", photo, *given, "--voxel", str(number), "--figure", "x.txt"): "x.txt: expected",
        ("show", "subj01", "V9", *given[-2:]): "found V9",
    }
    for arguments, said in wrong.items():
        assert main(arguments) == 1
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1


def test_an_analysis_says_the_same_as_itself(folder: Path, tmp_path: Path, capsys) -> None:
    given, place = (
        [str(folder / "results" / name) for name in ("demo", "small")],
        tmp_path / "x.tsv",
    )
    assert main(["compare", *given, "--output", str(place)]) == 0
    table = read_table(place)
    empty = table["profile_correlation"] == 0
    np.testing.assert_allclose(table["profile_correlation"][~empty], 1)
    for measure in ("listed_shared", "listed_shared_other", "first_word_shared"):
        assert (table[measure].dropna() == 1).all()
    counted = table[["subject", "roi"]].drop_duplicates()
    said = capsys.readouterr().out
    for row in counted.itertuples():
        assert re.search(rf"^{row.subject} +{re.escape(row.roi)} ", said, flags=re.MULTILINE)
    assert table["compared"].any() and not empty[table["compared"]].any()


# Snakemake leaves a time stamp in the folder of every store, which Zarr remarks on.
@pytest.mark.filterwarnings("ignore:.*snakemake_timestamp")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_page_on_python_runs(after_the_demo: Path, repository: Path, capsys) -> None:
    text = (repository / "docs/python.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) > 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    for drawn in ("profile", "explanation"):
        assert (after_the_demo / f"{drawn}.png").is_file()
    assert run_commands(text, names["voxel"].number) == 4
    columns = re.findall(r"^\| (`.*?`) \|", text, flags=re.MULTILINE)
    documented = re.findall(r"`(\w+)`", " ".join(columns))
    assert "`list_<name>`" in columns
    own = [name for name in names["table"].columns if not name.startswith("list_")]
    assert sorted(documented) == sorted(own)


def test_the_commands_of_the_first_run_run(
    after_the_demo: Path, region: Region, repository: Path, capsys
) -> None:
    page = (repository / "docs/first-run.md").read_text()
    assert run_commands(page, region.voxels[0]) == 3


@pytest.mark.filterwarnings("ignore:.*snakemake_timestamp")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_cells_of_the_tour_run(folder: Path, repository: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    exec(compile((repository / "docs/tour.py").read_text(), "docs/tour.py", "exec"), names)
    assert (folder / "tour_profile.png").is_file() and (folder / "tour_explanation.png").is_file()
    whole, change = re.search(r"^(\S+) of (\S+)$", capsys.readouterr().out, re.MULTILINE).groups()
    assert float(whole) == pytest.approx(float(change), abs=1e-3)


def test_the_figure_of_the_first_page_is_drawn(folder: Path, repository: Path, tmp_path) -> None:
    script = runpy.run_path(str(repository / "docs/overview.py"))
    region = mine.open(folder / "results/demo")["subj01"]["PPA"]
    table = region.table().assign(described=True)
    region.table = lambda: table
    # Tested are the worst two, of which the better is drawn, with its own shifts.
    tested, store = table.index[[-1, -2]].to_numpy(), region.store
    shift = np.zeros((1, 2, 2, 2, 4))
    shift[0, 0, 0, 1] = [1, 1, 1, np.nan]
    shift[0, 1] = np.nan
    edits = xr.Dataset(
        {"shift": (("model", "direction", "condition", "voxel", "chosen"), shift)},
        coords={
            "model": ["evaluator"],
            "direction": ["insertion", "removal"],
            "condition": ["description", "random"],
            "voxel": tested,
        },
    )
    region.store = lambda name: edits if name == "counterfactuals" else store(name)
    figure = script["draw_overview"]([region])
    said = {text.get_text() for text in figure.findobj(Text)}
    assert "PPA" in said and any(f"voxel {tested[1]}" in text for text in said)
    assert "put in, sd\n+1.0 [+1.0, +1.0]\nn = 3" in said
    assert "taken out\nin no image" in said
    assert len(figure.axes) == 1 + 2 * script["IMAGES"]


@pytest.mark.parametrize("module", ["mine", "mine.results.regions", "mine.results.explanations"])
def test_examples_in_docstrings_hold(module: str, folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    tried = doctest.testmod(importlib.import_module(module))
    assert tried.attempted > 0 and tried.failed == 0
