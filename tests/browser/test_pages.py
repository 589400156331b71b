"""The voxel browser in a real browser, opened from disk."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mine.figures.voxels import WITHHELD
from tests.browser.synthetic import WORDS, write_site

NAMES = ("chromium", "chromium-browser", "google-chrome")
REGIONS = {"FFA-1": 30, "PPA": 20}
CARD = "article.card"


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    """A running Chromium that is on this machine; nothing is downloaded."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"none of {', '.join(NAMES)} is on this machine")
    with playwright.sync_playwright() as running:
        # Chromium refuses its sandbox to the administrator, as whom containers run.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        # Without a graphics card WebGL is drawn by the processor, which Chromium wants to be told.
        options = [*sandbox, "--enable-unsafe-swiftshader"]
        browser = running.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    write_site(folder, REGIONS)
    return folder


class Visit:
    """A page, with what its console said and what it asked for."""

    def __init__(self, page: object, folder: Path) -> None:
        self.page, self.folder = page, folder
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("requestfailed", lambda request: self.said.append(f"failed: {request.url}"))

    def open(self, fragment: str = "") -> None:
        self.page.goto((self.folder / "index.html").as_uri() + fragment)
        self.page.wait_for_selector("html[data-ready]")

    def card(self) -> str:
        return self.page.get_attribute(f"{CARD}:last-child", "aria-label")


@pytest.fixture
def visit(chromium: object, folder: Path) -> Iterator[Visit]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    # Machines that test do much else at the same time.
    context.set_default_timeout(120_000)
    visit = Visit(context.new_page(), folder)
    yield visit
    inside = [url for url in visit.asked if not url.startswith("data:")]
    assert inside and all(url.startswith(visit.folder.as_uri() + "/") for url in inside)
    # What begins so is said by the machine's graphics and not by the page.
    assert [text for text in visit.said if not text.startswith("[.WebGL-")] == []
    context.close()


def test_opens_from_disk_and_lists_all_voxels(visit: Visit) -> None:
    visit.open()
    assert visit.page.inner_text("#count") == "50 voxels"
    assert visit.page.inner_text("h1") == "MINE synthetic"
    assert visit.page.locator(CARD).count() == 0


def test_a_voxel_of_two_regions_counts_once(visit: Visit, tmp_path: Path) -> None:
    write_site(tmp_path, REGIONS, shared=5)
    visit.folder = tmp_path
    visit.open()
    assert visit.page.inner_text("#count") == "45 voxels"
    options = visit.page.locator("#reason option").all_inner_texts()
    reasons = [int(text.split("(")[1].rstrip(")")) for text in options[1:]]
    # It may fail in one region and be described in the other.
    assert 45 <= sum(reasons) <= 50
    visit.page.fill("#search", WORDS[4])
    described = next(text for text in options if text.startswith("described"))
    assert visit.page.inner_text("#count").split("drives ")[1] == (
        described.split("(")[1].rstrip(")") + " voxels"
    )


def test_voxels_are_listed_by_falling_r2(visit: Visit) -> None:
    visit.open()
    values = [float(text) for text in visit.page.locator("#rows .r2").all_inner_texts()]
    assert len(values) > 5 and values == sorted(values, reverse=True)


def test_a_searched_word_finds_the_voxels_that_list_it(visit: Visit) -> None:
    visit.open()
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("dog")
    shown = visit.page.locator("#rows [role=option]").all_inner_texts()
    assert shown and all("dog" in text for text in shown)
    assert visit.page.inner_text("#count").startswith("“dog” drives")
    assert visit.page.inner_text("#live") == visit.page.inner_text("#count")
    visit.page.fill("#search", "zebra")
    said = "“zebra” is listed in no profile here, nor is a synonym of it"
    assert visit.page.inner_text("#count") == said
    visit.page.keyboard.press("Escape")
    assert visit.page.inner_text("#count") == "50 voxels"


def test_a_searched_word_finds_the_voxels_in_which_it_is_sure_of_a_named_list(
    visit: Visit,
) -> None:
    visit.open()
    visit.page.select_option("#reason", "described")
    described = visit.page.locator("#rows [role=option]").count()
    visit.page.fill("#search", WORDS[4])
    shown = visit.page.locator("#rows [role=option]").all_inner_texts()
    assert len(shown) == described > 3 and all(text.count(WORDS[4]) == 1 for text in shown)
    assert not any(text.startswith("not ") for text in shown)


def test_a_synonym_of_a_listed_word_finds_it_too(visit: Visit) -> None:
    visit.open()
    shown = {}
    for word in ("sea", "ocean"):
        visit.page.fill("#search", word)
        assert visit.page.inner_text("#count").startswith(f"“{word}” or a synonym drives")
        shown[word] = visit.page.locator("#rows [role=option]").all_inner_texts()
    assert any("ocean (sea)" in text for text in shown["sea"])
    assert any("sea (ocean)" in text for text in shown["ocean"])
    assert len(shown["sea"]) == len(shown["ocean"])


def test_filters_leave_the_voxels_that_they_name(visit: Visit) -> None:
    visit.open()
    visit.page.select_option("#region", "PPA")
    assert visit.page.inner_text("#count") == "20 voxels"
    visit.page.select_option("#reason", "described")
    assert 0 < int(visit.page.inner_text("#count").split()[0]) < 20
    visit.page.select_option("#cluster", "2")
    described = visit.page.locator("#rows .what.none").all_inner_texts()
    assert set(described) <= {"described"}
    visit.page.click("#clear")
    assert visit.page.inner_text("#count") == "50 voxels"


def test_a_click_on_a_slice_opens_the_voxel_there(visit: Visit) -> None:
    visit.open("#subj01/FFA-1/25")
    told = visit.page.inner_text("#where")
    assert told.startswith("FFA-1, voxel 25:")
    # Voxel 15 lies one place behind voxel 25, in the same axial slice. Slices are cut to the voxels
    # and a place around: three places from left to right, of which theirs is the last, since the
    # volume's first axis goes left; and all 14 from front to back, of which theirs are 12 and 11.
    box = visit.page.locator("#slice-axial").bounding_box()
    place = {"x": box["width"] * 2.5 / 3, "y": box["height"] * (13 - 11 + 0.5) / 14}
    visit.page.click("#slice-axial", position=place)
    visit.page.wait_for_selector(f"{CARD}[data-voxel='15']")
    assert visit.page.url.endswith("#subj01/FFA-1/15")
    assert visit.page.inner_text("#where").startswith("FFA-1, voxel 15:")
    visit.page.focus("#slice-axial")
    visit.page.keyboard.press("ArrowUp")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_selector(f"{CARD}[data-voxel='25']")
    assert visit.page.inner_text("#where") == told


def test_overlays_have_their_legends(visit: Visit) -> None:
    visit.open("#subj01/FFA-1/0")
    assert "and above" in visit.page.inner_text("#legend")
    visit.page.select_option("#overlay", "region")
    assert visit.page.inner_text("#legend").split() == ["FFA-1", "30", "PPA", "20"]
    visit.page.select_option("#overlay", "measured")
    assert set(visit.page.inner_text("#legend").split()[::2]) == {"faces", "places"}


def test_arrows_step_through_images_by_rank(visit: Visit) -> None:
    visit.open("#subj01/FFA-1/0")
    first = visit.page.inner_text(".rank")
    picture = visit.page.get_attribute(".images .frame img", "src")
    assert first.startswith("1 of 6")
    visit.page.focus("section.images")
    visit.page.keyboard.press("ArrowRight")
    assert visit.page.inner_text(".rank").startswith("2 of 6")
    assert visit.page.get_attribute(".images .frame img", "src") != picture
    visit.page.click(".previous")
    assert visit.page.inner_text(".rank") == first
    predictions = []
    for _ in range(6):
        said = visit.page.inner_text(".rank").replace("−", "-")
        predictions.append(float(said.split("predicted ")[1].split(",")[0]))
        visit.page.click(".next")
    assert predictions == sorted(predictions, reverse=True)


def test_a_card_is_what_its_address_says(visit: Visit) -> None:
    visit.open("#subj01/FFA-1/0")
    assert visit.card() == "subj01, FFA-1, voxel 0"
    words = visit.page.locator(".words.positive >> nth=0").locator("th[scope=row]")
    assert words.first.inner_text() == "dog"
    assert "house" in visit.page.locator(".words.negative >> nth=0").inner_text()
    assert visit.page.locator(".tests img[src*=generated]").count() == 2
    visit.page.click("text=Images edited")
    assert visit.page.locator(".tests img[src*=edits]").count() == 2
    assert "+0.80" in visit.page.inner_text(".tests")


def test_a_card_of_a_voxel_that_is_not_described_says_why(visit: Visit) -> None:
    visit.open()
    for reason in ("retinotopic", "no reliable profile"):
        visit.page.select_option("#reason", reason)
        visit.page.locator("#rows [role=option]").first.click()
        note = visit.page.locator(f"{CARD} .note", has_text=WITHHELD[reason])
        note.wait_for()
        assert note.inner_text() == f"No words are claimed: {WITHHELD[reason]}."


def test_a_card_tells_the_sure_words_of_named_lists(visit: Visit) -> None:
    visit.open("#subj01/FFA-1/0")
    rows = visit.page.locator(".lists tbody tr")
    assert [row.split("\t") for row in rows.all_inner_texts()] == [
        ["colour", "<img src=x onerror=alert(1)>", "0.25", "0.020"]
    ]


def test_an_address_that_leads_nowhere_says_so(visit: Visit) -> None:
    visit.open("#subj01/FFA-1/999")
    assert "which these results do not have" in visit.page.inner_text("#hint")


def test_two_voxels_are_shown_side_by_side_and_linked_to(visit: Visit) -> None:
    visit.open("#subj01/FFA-1/0")
    visit.page.click(".compare")
    visit.page.keyboard.press("Home")
    visit.page.wait_for_function("document.querySelectorAll('article.card').length === 2")
    assert "+" in visit.page.url.split("#")[1]
    visit.page.goto("about:blank")
    visit.open("#subj01/FFA-1/0+subj01/PPA/31")
    assert visit.page.locator(CARD).count() == 2
    left, right = (visit.page.locator(CARD).nth(place).bounding_box() for place in (0, 1))
    assert left["y"] == right["y"] and left["x"] + left["width"] <= right["x"]
    visit.page.keyboard.press("Escape")
    visit.page.wait_for_function("document.querySelectorAll('article.card').length === 1")
    assert visit.card() == "subj01, FFA-1, voxel 0"


def test_words_of_files_never_become_markup(visit: Visit) -> None:
    visit.open("#subj01/FFA-1/0")
    assert "<img src=x onerror=alert(1)>" in visit.page.inner_text(".words.positive >> nth=0")
    assert visit.page.locator("img[src=x]").count() == 0


def test_every_control_has_a_name_and_focus_follows(visit: Visit) -> None:
    visit.open()
    visit.page.focus("#list")
    visit.page.keyboard.press("ArrowDown")
    visit.page.wait_for_selector(CARD)
    active = visit.page.get_attribute("#list", "aria-activedescendant")
    assert visit.page.get_attribute(f"#{active}", "aria-selected") == "true"
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_function("document.activeElement.matches('article.card')")
    assert "is shown" in visit.page.inner_text("#live")
    nameless = visit.page.evaluate(
        """[...document.querySelectorAll('button, select, input, canvas, img')].filter((e) =>
        !(e.getAttribute('aria-label') || e.textContent.trim() || (e.labels && e.labels.length) ||
        e.hasAttribute('alt') || e.hasAttribute('aria-hidden'))).map((e) => e.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_its_width_in_both_schemes(visit: Visit, width: int, scheme: str) -> None:
    visit.page.set_viewport_size({"width": width, "height": 844})
    visit.page.emulate_media(color_scheme=scheme)
    visit.open("#subj01/FFA-1/0")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    brightness = visit.page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    )
    assert (brightness < 100) == (scheme == "dark")
    visit.page.click("#theme")
    visit.page.click("#theme")
    assert visit.page.evaluate("mine.dark()")


def test_without_images_frames_stand_for_them(chromium: object, tmp_path: Path) -> None:
    write_site(tmp_path, {"FFA-1": 4}, write_images=False)
    visit = Visit(chromium.new_page(), tmp_path)
    visit.open("#subj01/FFA-1/0")
    assert visit.said == []
    assert visit.page.locator(".images .missing").count() == 7
    assert not list(tmp_path.rglob("images/*.jpg")) and not list(tmp_path.rglob("edits/*"))
    visit.page.close()


def test_the_brain_is_turned_in_space_in_the_colours_of_the_slices(visit: Visit) -> None:
    visit.open()
    if not visit.page.evaluate("mine.Space.possible()"):
        assert visit.page.locator("#turn").count() == 0
        pytest.skip("this Chromium has no WebGL 2")
    page, seen = visit.page, []
    assert not any(url.endswith("niivue.js") for url in visit.asked)

    def look() -> bytes:
        page.wait_for_timeout(200)
        seen.append(page.locator("#space").screenshot())
        return seen[-1]

    page.click("#turn")
    page.wait_for_selector("#turn[aria-pressed=true]")
    assert any(url.endswith("niivue.js") for url in visit.asked)
    look()
    page.focus("#space")
    page.keyboard.press("ArrowRight")
    look()
    page.select_option("#overlay", "profile")
    look()
    # A voxel that is chosen has the cross here too.
    page.locator("#rows [role=option]").first.click()
    page.wait_for_selector(CARD)
    look()
    assert len(set(seen)) == len(seen)
    # What the volume holds are the colours of the voxels, each in its place.
    assert page.evaluate("""() => {
        const { brain, over } = mine.brain.space, [width, depth, height] = brain.brain.shape;
        let alike = 0;
        for (let place = 0; place < over.img.length / 4; place++) {
            const x = place % width, y = Math.floor(place / width) % depth;
            const voxel = brain.index.get(brain.flat(x, y, Math.floor(place / width / depth)));
            const value = voxel === undefined ? null : brain.values[voxel];
            const expected = value === null ? [0, 0, 0, 0] : [...brain.colourOf(value), 255];
            alike += expected.every((part, channel) => part === over.img[4 * place + channel]);
        }
        return alike === width * depth * height;
    }""")
    page.click("#turn")
    assert page.locator("#space").count() == 0


def test_the_bundle_is_of_the_packages_that_are_locked(repository: Path) -> None:
    lock = json.loads((repository / "resources/niivue/lock.json").read_text())
    text = (repository / "workflow/browser/niivue.js").read_text()
    banner = text[: text.index("*/")]
    for name, entry in lock.items():
        assert f"{name} {entry['version']}\n" in banner, "run `python resources/niivue/build.py`"
        assert entry["integrity"].startswith("sha512-")
    assert "Redistributions in binary form must reproduce" in banner
    assert not re.search(r"^import |^export ", text, flags=re.MULTILINE)
