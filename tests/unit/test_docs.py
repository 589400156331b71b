"""The documentation and what it documents do not part."""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from mine.config import load_config
from mine.demo.planting import REGIONS
from mine.demo.words import CONCEPTS
from mine.figures.catalogue import FIGURES

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*(ROOT / "docs").glob("*.md"), *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING"))]
) + [ROOT / "CHANGELOG.md"]
RULES = sorted((ROOT / "workflow/rules").glob("*.smk"))
HOSTS = {
    "naturalscenesdataset.org",
    "natural-scenes-dataset.s3.amazonaws.com",
    "arxiv.org",
    "snakemake.github.io",
    "images.cocodataset.org",
    "keepachangelog.com",
    "semver.org",
}


def headings(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    return re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)


def anchor(heading: str) -> str:
    """The name by which a heading is linked to."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def rows(page: Path, heading: str) -> list[str]:
    """The lines of all tables below a heading, without its subsections."""
    section = page.read_text().split(f"\n## {heading}\n")[1].split("\n#")[0]
    return re.findall(r"^\|.*$", section, flags=re.MULTILINE)


def stores() -> set[str]:
    """Every store that a rule reads or writes, with its wildcards as <name>."""
    found = set()
    for path in RULES:
        for store in re.findall(r'"((?:<results>|<embeddings>)[^"]+\.zarr)"', path.read_text()):
            store = store.replace("<results>/", "").replace("<embeddings>", "embeddings/{backbone}")
            store = store.replace("{{", "{").replace("}}", "}").replace("wildcards.", "")
            store = re.sub(r"/(encoder|attributions)/[\w{}]+\.zarr", r"/\1/{fit}.zarr", store)
            store = re.sub(r"/encoders/mine_\w+/[\w{}]+\.", "/encoders/{form}/{size}.", store)
            if store.startswith("{part}"):
                continue  # any of the stores that are cut into shards, each named by its own rule
            for control in ("", "_random") if "{control}" in store else ("",):
                plain = store.replace("{control}", control)
                found.add(re.sub(r"\{(\w+)\}", r"<\1>", plain))
    return found


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_parts_are_what_the_code_says(generate: ModuleType) -> None:
    for path, declared in generate.render_pages().items():
        committed = path.read_text()
        difference = difflib.unified_diff(
            committed.splitlines(), declared.splitlines(), "committed", "declared", lineterm=""
        )
        assert committed == declared, "run `python docs/generate.py`\n" + "\n".join(difference)


def test_every_rule_has_its_heading() -> None:
    rules = set()
    for path in RULES:
        names = re.findall(r"^(?:rule|checkpoint) (\w+):", path.read_text(), re.MULTILINE)
        rules.update(names)
    assert len(rules) > 10
    assert not rules - set(headings(ROOT / "docs/pipeline.md"))


def test_rules_that_take_a_gpu_are_listed() -> None:
    taken = set()
    for path in RULES:
        for block in re.split(r"^(?:rule|checkpoint) ", path.read_text(), flags=re.MULTILINE)[1:]:
            taken |= {block.split(":")[0]} if "gpu=gpus(" in block else set()
    text = (ROOT / "docs/cluster.md").read_text()
    part = text.split(":slurm_partition=gpu")[1].split("\n\n")[1]
    assert len(taken) > 10 and set(re.findall(r"`(\w+)`", part)) == taken


def test_every_figure_is_explained() -> None:
    page = (ROOT / "docs/figures.md").read_text()
    captions = sorted((ROOT / "workflow/report").glob("figure_*.rst"))
    assert len(captions) > 10
    for path in captions:
        # Names of subjects and regions are written otherwise, and so is code.
        parts = re.split(r"\{\{.*?\}\}|``|\n", path.read_text())
        assert not [part for part in parts if part not in page], path.name
    assert "{{" not in page and "``" not in page
    numbers = re.findall(r"^## Figure (\d+): ", page, flags=re.MULTILINE)
    assert numbers == [str(number) for number in range(1, len(FIGURES) + 1)]


def test_every_store_has_its_place() -> None:
    text = (ROOT / "docs/stores.md").read_text()
    found = stores()
    assert len(found) > 10
    missing = {store for store in found if f"`{store}`" not in text}
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if "://" in target:
            continue
        name, _, part = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), target
        if part:
            assert part in map(anchor, headings(linked)), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_nothing_outside(page: Path) -> None:
    text = page.read_text()
    hosts = re.findall(r"https?://(?:www\.)?([\w.-]+)", text)
    assert not set(hosts) - HOSTS
    # An absolute path would be somebody's machine.
    assert not re.findall(r"(?<![\w.:/<>}*…-])/[a-z]+/[\w./-]*", text)
    assert "../" not in text.replace("](../", "")


def test_named_keys_exist() -> None:
    config = load_config(ROOT / "config.yaml")
    known = {
        f"{section.name}.{field.name}"
        for section in dataclasses.fields(config)
        if dataclasses.is_dataclass(value := getattr(config, section.name))
        for field in dataclasses.fields(value)
    }
    # Lower case, so no class; files have endings, and what is called is code.
    names = re.compile(r"`([a-z]\w*\.[a-z]\w*)(?:: [^`]*)?`")
    named = {
        name
        for page in PAGES
        for name in names.findall(page.read_text())
        if name.partition(".")[0] not in CODE and name.partition(".")[2] not in ENDINGS
    }
    assert named - known == OTHERS
    assert len(named & known) > 60


CODE = {"mine", "numpy"}
ENDINGS = {"csv", "jpg", "json", "lock", "npy", "pdf", "png", "py", "toml", "tsv", "yaml", "zarr"}
OTHERS = {"datasets.finding", "rois.describe_rois"}
OTHERS |= {"results.base_rates", "results.generator", "results.images", "results.vocabulary"}
OTHERS |= {"results.words", "roi.profiles", "subject.responses"}
"""Modules, and what an opened analysis has, which are written as keys are."""


def test_the_first_run_searches_for_what_its_region_was_planted_with() -> None:
    page = " ".join((ROOT / "docs/first-run.md").read_text().split())
    name = re.search(r"Choose the region ([\w-]+) and", page)[1]
    word, synonym = re.search(r"Type \*(\w+)\* in .*? such as \*(\w+)\*", page).groups()
    (concept,) = next(region.mains for region in REGIONS if region.name == name)
    assert {word, synonym} <= set(CONCEPTS[concept])


def test_the_readme_shows_rows_of_the_whole_table_of_the_demo() -> None:
    chosen, whole = (
        rows(ROOT / page, "What the demo recovers") for page in ("README.md", "docs/demo.md")
    )
    assert 10 < len(chosen) < len(whole)
    assert not [row for row in chosen if row not in whole]


def test_every_page_is_in_the_navigation_once() -> None:
    # Read as text: the reader of YAML for sites has tags of its own.
    listed = re.findall(r": ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = [page.name for page in (ROOT / "docs").glob("*.md")]
    assert sorted(listed) == sorted([*pages, "tour.md"])


def test_the_tour_has_every_cell_as_a_page() -> None:
    script = (ROOT / "docs/tour.py").read_text()
    assert script.startswith("# %% [markdown]\n# # ")
    cells = re.split(r"^# %%.*\n", script, flags=re.MULTILINE)[1:]
    code = [cell for cell in cells if not cell.startswith("# ")]
    assert len(code) > 5
    for cell in code:
        assert not cell.lstrip().startswith("#"), "prose belongs into a cell of its own"


def test_imports_run_the_way_that_is_enforced() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    line = page.split("## Imports run one way")[1].split("```")[1]
    said = [re.split(r",\s+", layer.strip()) for layer in line.split("→")]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(each for each in contracts["contracts"] if each["type"] == "layers")["layers"]
    assert said == [layer.split(" | ") for layer in layers]
