"""What the voxel browser's data say, and how they are cut into files."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from mine.browser import region
from mine.browser.brain import describe_brain
from mine.browser.cards import pack_shares
from mine.browser.index import index_region
from mine.browser.pictures import write_pictures
from mine.browser.scripts import scale_to_bytes, write_script
from mine.browser.subject import write_subject
from mine.core.conditions import EDITS, PICTURES
from mine.datasets.voxels import ListedVoxels, VolumeVoxels
from mine.figures.voxels import describe_voxels
from tests.browser.synthetic import (
    GROUP,
    WORDS,
    make_measured,
    make_scores,
    make_stores,
    write_site,
)


def read_script(path: Path) -> tuple[str, object]:
    """The key and the content that a script hands to the page."""
    text = path.read_text(encoding="ascii")
    head, tail = "mineData(", ");\n"
    assert text.startswith(head) and text.endswith(tail)
    return tuple(json.loads(f"[{text[len(head) : -len(tail)]}]"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    write_site(folder, {"FFA-1": 35, "PPA": 20})
    return folder / "data/subj01"


def test_every_script_hands_its_content_under_the_key_of_its_path(folder: Path) -> None:
    scripts = sorted(folder.rglob("*.js"))
    assert len(scripts) == 1 + 2 + 3 + 2
    for path in scripts:
        key, _ = read_script(path)
        assert f"{key}.js" == path.relative_to(folder.parent).as_posix()


def test_a_card_has_words_for_every_picture_and_edit(repository: Path) -> None:
    script = (repository / "workflow/browser/card.js").read_text(encoding="utf-8")
    named = re.search(r"const CONDITIONS = \{(.*?)\};", script, re.DOTALL)[1]
    names = re.findall(r'(\w+): "', named)
    assert sorted(names) == sorted({*PICTURES, *EDITS})


def test_every_voxel_has_one_row_and_one_card_in_its_file(folder: Path) -> None:
    for name, voxels in {"FFA-1": range(35), "PPA": range(35, 55)}.items():
        _, index = read_script(folder / name / "index.js")
        for column in index["columns"].values():
            lengths = map(len, column.values() if isinstance(column, dict) else [column])
            assert set(lengths) == {len(voxels)}
        assert index["columns"]["voxel"] == list(voxels)
        for number in range(-(-len(voxels) // region.CARDS)):
            _, part = read_script(folder / name / f"cards/{number}.js")
            own = list(voxels)[number * region.CARDS : (number + 1) * region.CARDS]
            assert list(part["cards"]) == list(map(str, own))


def test_the_block_that_is_read_changes_no_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region, "BLOCK", region.CARDS)
    write_site(tmp_path, {"FFA-1": 35, "PPA": 20})
    again = tmp_path / "data/subj01"
    expected, found = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.js")}
        for root in (folder, again)
    )
    assert Path("FFA-1/cards/0.js") in expected
    assert found == expected


def test_a_card_says_what_the_stores_say(folder: Path) -> None:
    stores = make_stores(np.arange(35), images=6)
    _, part = read_script(folder / "FFA-1/cards/1.js")
    for voxel in (16, 31):
        card = part["cards"][str(voxel)]
        profile = stores["profiles"].sel(voxel=voxel, sign="negative")
        words = [part["words"][row[0]] for row in card["negative"]]
        assert words == WORDS[profile["word"].values].tolist()
        assert [row[3] for row in card["negative"]] == profile["listed"].values.tolist()
        z = [row[1] for row in card["negative"]]
        np.testing.assert_allclose(z, profile["z"], rtol=1e-2)
        predictions = stores["attributions"]["prediction"].sel(voxel=voxel)
        ranked = predictions.sortby(predictions, ascending=False)
        assert [image[0] for image in card["images"]] == ranked["image"].values.tolist()
        told = stores["descriptions"].sel(condition="description", voxel=voxel)
        for image, _, _, peak, packed, described in card["images"]:
            said = told.sel(image=image)
            said = said.isel(rank=(said["weight"] > 0) & (said["chance"] <= 0.05))
            expected = WORDS[said["word"].values]
            assert [part["words"][row[0]] for row in described] == expected.tolist()
            here = stores["attributions"].sel(sign="positive", voxel=voxel, image=image)
            share = here["attribution"].values / float(here["total"])
            assert peak == pytest.approx(share.max(), rel=1e-2)
            tokens, shares = unpack_shares(packed, peak)
            assert tokens == here["token"].values[: len(tokens)].tolist()
            np.testing.assert_allclose(shares, share[: len(tokens)], atol=2e-3)


def test_a_card_shows_the_responses_of_its_own_voxel_to_its_own_images(folder: Path) -> None:
    measured = make_measured(55, images=6)
    for name, first, number in (("FFA-1", 0, 1), ("FFA-1", 0, 2), ("PPA", 35, 0)):
        count = {"FFA-1": 35, "PPA": 20}[name]
        stores = make_stores(np.arange(first, first + count), images=6, seed=first)
        _, part = read_script(folder / name / f"cards/{number}.js")
        for voxel, card in part["cards"].items():
            predicted = stores["attributions"]["prediction"].sel(voxel=int(voxel))
            for image, prediction, response, *_ in card["images"]:
                assert prediction == pytest.approx(predicted.sel(image=image).item(), rel=5e-3)
                expected = measured.sel(image=image).values[int(voxel)]
                assert response == pytest.approx(expected, rel=5e-3)


def unpack_shares(packed: str, peak: float) -> tuple[list[int], np.ndarray]:
    raw = np.frombuffer(base64.b64decode(packed), np.uint8)
    count = len(raw) // 3
    return raw[: 2 * count].view("<u2").tolist(), raw[2 * count :] / 255 * peak


def test_only_voxels_that_are_described_list_words(folder: Path) -> None:
    _, index = read_script(folder / "FFA-1/index.js")
    columns = index["columns"]
    for reason, positive, negative in zip(
        columns["reason"], columns["positive"], columns["negative"], strict=True
    ):
        assert reason == "described" or not (positive or negative)
    assert [index["words"][word] for word in columns["positive"][0]][0] == "dog"
    assert any(columns["cluster"]) and max(columns["cluster"]) == len(index["clusters"]) == 2


def test_only_sure_words_of_named_lists_are_told_and_of_described_voxels(folder: Path) -> None:
    _, index = read_script(folder / "FFA-1/index.js")
    for number in range(3):
        _, part = read_script(folder / f"FFA-1/cards/{number}.js")
        for voxel, card in part["cards"].items():
            told = [[name, part["words"][word], *rest] for name, word, *rest in card["lists"]]
            described = index["columns"]["reason"][int(voxel)] == "described"
            assert told == ([["colour", WORDS[4], 0.25, 0.02]] if described else [])
            searched = [index["words"][word] for word in index["columns"]["named"][int(voxel)]]
            assert searched == ([WORDS[4]] if described else [])


def test_an_analysis_without_named_lists_has_none_on_its_cards(tmp_path: Path) -> None:
    write_site(tmp_path, {"FFA-1": 3}, lists=False)
    _, part = read_script(tmp_path / "data/subj01/FFA-1/cards/0.js")
    assert [card["lists"] for card in part["cards"].values()] == 3 * [None]
    _, index = read_script(tmp_path / "data/subj01/FFA-1/index.js")
    assert index["columns"]["named"] == 3 * [[]]


def test_a_word_stands_beside_the_others_of_its_group(folder: Path) -> None:
    _, index = read_script(folder / "FFA-1/index.js")
    beside = dict(zip(index["words"], index["synonyms"], strict=True))
    assert {"sea", "ocean", "dog"} <= beside.keys()
    others = {"sea": ["ocean"], "ocean": ["sea"]}
    assert beside == {word: others.get(word, []) for word in beside}


def test_a_cluster_goes_by_the_words_that_most_profiles_list() -> None:
    stores = make_stores(np.arange(35), images=6)
    profiles, structure = stores["profiles"], stores["structure"]
    structure["cluster_word"][:] = [[6, 7], [2, -1]]
    profiles["word"].loc[{"sign": "positive"}] = np.arange(2, 8)
    profiles["listed"].loc[{"sign": "positive", "rank": 4}] = False
    profiles["listed"].loc[{"sign": "positive", "rank": 5}] = True
    table = describe_voxels(profiles, make_scores(35), WORDS)
    index = index_region(
        profiles,
        structure,
        stores["preference"],
        table,
        words=WORDS,
        group=GROUP,
        tested=np.array([]),
    )
    words = [[index["words"][word] for word in own["words"]] for own in index["clusters"]]
    assert words == [["ocean", "ocean"], ["house"]]


def test_only_tested_voxels_show_tests_and_their_pictures_are_written(folder: Path) -> None:
    _, index = read_script(folder / "PPA/index.js")
    _, part = read_script(folder / "PPA/cards/0.js")
    tested = [int(voxel) for voxel, card in part["cards"].items() if card["tests"]]
    assert tested == [35]
    assert index["columns"]["tested"] == [1] + 19 * [0]
    tests = part["cards"]["35"]["tests"]
    (original,) = tests["generated"]
    assert original["original"] == [1.5, 1.4] and original["measured"] == 2.0
    assert [made["prompt"] for made in original["made"]] == ["dog", "sea"]
    assert original["made"][0]["samples"] == [[0, 1.25, 1.0]]
    (start,) = tests["edits"]
    assert [made["shift"] for made in start["made"]] == [[0.8, 0.7], [0.1, 0.2]]
    assert start["made"][0]["mask"] == [6]
    for name in ("generated", "edits"):
        assert {path.name for path in (folder / "PPA" / name).iterdir()} == {"0.jpg", "1.jpg"}


def test_scripts_hold_what_json_cannot_say(tmp_path: Path) -> None:
    content = {"a": np.array([1.5, np.nan, np.inf]), "b": "</script>\u2028naïve", "c": np.int64(3)}
    write_script(tmp_path / "odd.js", "odd", content)
    assert read_script(tmp_path / "odd.js") == (
        "odd",
        {"a": [1.5, None, None], "b": "</script>\u2028naïve", "c": 3},
    )


def test_shares_of_tokens_that_are_not_there_are_left_out() -> None:
    tokens, shares = np.array([300, 7, -1], np.int16), np.array([0.5, 0.25, 0.0])
    assert unpack_shares(pack_shares(tokens, shares), 0.5)[0] == [300, 7]
    assert pack_shares(tokens, np.zeros(3)) == ""
    np.testing.assert_array_equal(scale_to_bytes(np.array([0.0, np.nan, 2.0])), [0, 0, 255])


def test_a_brain_is_turned_right_front_and_up() -> None:
    # Axes of the volume: up, left, front.
    affine = np.array([[0, -2, 0, 5], [0, 0, 3, -6], [4, 0, 0, 7], [0, 0, 0, 1]], float)
    random = np.random.default_rng(0)
    ijk = np.argwhere(np.ones((3, 4, 5)))[random.permutation(60)[:20]]
    voxels = VolumeVoxels(
        hemisphere=np.full(20, "unknown"), space="func", ijk=ijk, shape=(3, 4, 5), affine=affine
    )
    background = random.random((3, 4, 5)) + 1
    r2 = random.random(20)
    brain = describe_brain(
        voxels, geometry="volume", r2=r2, noise_ceiling=r2, background=background
    )
    assert brain["shape"] == [4, 5, 3] and brain["spacing"] == [2, 3, 4]
    place, turned = np.array(brain["place"]).T, np.array(brain["affine"])
    assert (np.diag(turned)[:3] > 0).all()
    np.testing.assert_allclose(place @ turned[:3, :3].T + turned[:3, 3], voxels.position)
    behind = np.frombuffer(base64.b64decode(brain["background"]), np.uint8).reshape(4, 5, 3)
    grey = background[tuple(ijk.T)] / np.percentile(background, 99)
    np.testing.assert_allclose(behind[tuple(place.T)] / 255, grey.clip(0, 1), atol=2e-3)


def test_voxels_of_no_volume_have_no_brain() -> None:
    voxels = ListedVoxels(
        hemisphere=np.full(2, "left"), space="list", name=np.array(["a", "b"]), number=np.arange(2)
    )
    r2 = make_scores(2)["r2"].values[0]
    brain = describe_brain(voxels, geometry="list", r2=r2, noise_ceiling=r2, background=None)
    assert brain == {"geometry": "list"}


@pytest.mark.parametrize("write_images", [True, False])
def test_the_volume_behind_the_slices_is_a_picture_of_the_dataset(
    tmp_path: Path, write_images: bool
) -> None:
    write_subject(
        tmp_path,
        "subj01",
        [],
        scores=make_scores(1),
        measured=xr.DataArray(np.zeros((1, 1)), dims=("image", "voxel")),
        brain={"geometry": "volume", "background": "AAAA"},
        words=WORDS,
        group=GROUP,
        read=lambda images: np.zeros((len(images), 8, 8, 3), np.uint8),
        template="{}",
        method="inpainting",
        images=1,
        side=8,
        write_images=write_images,
    )
    _, content = read_script(tmp_path / "subject.js")
    assert content["brain"]["geometry"] == "volume"
    assert content["brain"]["background"] == ("AAAA" if write_images else None)


def test_pictures_are_made_smaller_and_never_larger(tmp_path: Path) -> None:
    for side, expected in {16: (16, 8), 100: (40, 20)}.items():
        pixels = np.zeros((1, 20, 40, 3), np.uint8)
        write_pictures(lambda _, pixels=pixels: pixels, np.array([3]), tmp_path, side=side)
        with Image.open(tmp_path / "3.jpg") as picture:
            assert picture.size == expected
