"""Write the parts of the documentation that follow from the code: ``python docs/generate.py``.

A test fails, with the difference, where a page and the code have parted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mine.config import Config
from mine.demo.planting import REGIONS, Region
from mine.demo.words import CONCEPTS, DISTRACTORS, HYPERNYMS, vocabulary
from mine.figures.catalogue import FIGURES, UNNUMBERED, Numbered
from mine.settings_documents import reference_markdown

DOCS = Path(__file__).resolve().parent
MODELS = DOCS.parent / "resources/demo"
WORKFLOW = DOCS.parent / "workflow"

# What a score of the demo's models means, and what was asked of it.
MEASURES = {
    "dense_category": ("token: category of the object that it lies on", 0.95),
    "dense_colour": ("token: colour of the object that it lies on", 0.90),
    "dense_size": ("token: size of the object that it lies on", None),
    "dense_expression": ("token: expression of the face that it lies on", None),
    "dense_background": ("token: background, on free patches", None),
    "dense_top_word_true": ("token: best word of the whole vocabulary is true of the object", None),
    "retrieval_caption_of_image": ("full caption of an image, among 256", 0.95),
    "retrieval_image_of_caption": ("image of a full caption, among 256", 0.95),
    "zero_shot_category": ("pooled: category, scenes with one object", 0.95),
    "zero_shot_colour": ("pooled: colour, scenes with one object", 0.95),
    "zero_shot_background": ("pooled: background, all scenes", 0.95),
    "told_category": ("next word of a caption: a category", None),
    "told_background": ("next word of a caption: the background", None),
    "presence": ("category: there or not, the mean of both shares and over categories", 0.98),
    "found": ("category: of those that are there", None),
    "invented": ("category: of those that are not there, the share wrongly said to be", None),
    "colour": ("colour of an object whose category is known", 0.97),
    "expression": ("expression of a face", None),
    "background": ("background", 0.99),
    "prompted_category": ("prompt: category of each object that it names", 0.90),
    "prompted_colour": ("prompt: its colour", 0.85),
    "prompted_background": ("prompt: background", 0.90),
    "prompted_everything": ("prompt: all of these", None),
    "prompted_invented": ("prompt: categories that it does not name, the share found", None),
    "inserted": ("insertion: the category asked for in a window", 0.90),
    "inserted_colour": ("insertion: its colour", None),
    "removed": ("removal: the category is no longer found", 0.90),
}

# What was asked of a model alone, where the same scores are asked of another.
ASKED = {"vlm": {"dense_category": 0.80}}


def render_pages() -> dict[Path, str]:
    """Return every page that holds generated parts, as the code wants it."""
    configuration, demo, figures, readme = (
        *(DOCS / f"{name}.md" for name in ("configuration", "demo", "figures")),
        DOCS.parent / "README.md",
    )
    text = demo.read_text()
    for heading, table in {
        "Regions": tabulate_regions(REGIONS),
        "Words": tabulate_words(),
        "What the model reaches": tabulate_scores("clip"),
        "What the language model reaches": tabulate_scores("vlm"),
        "What the evaluator's model reaches": tabulate_scores("evaluator"),
        "What the generator reaches": tabulate_scores("generator"),
    }.items():
        text = replace_table(text, heading, table)
    # A bare <name> in a table would be read as HTML.
    reference = re.sub(r"(\S*<\w+>\S*)", r"`\1`", reference_markdown(Config)).replace(".`", "`.")
    return {
        configuration: f"{read_head(configuration)}\n\n{reference}",
        demo: text,
        figures: f"{read_head(figures)}\n\n{explain_figures()}",
        readme: replace_table(readme.read_text(), "Figures", tabulate_figures()),
    }


def read_head(page: Path) -> str:
    """What stands above a page's first section."""
    return page.read_text().split("\n## ")[0].rstrip()


def replace_table(page: str, heading: str, table: str) -> str:
    """Replace the first table below a heading."""
    pattern = rf"(\n#+ {re.escape(heading)}\n.*?\n\n)(?:\|[^\n]*\n)+"
    page, count = re.subn(pattern, lambda found: found[1] + table, page, count=1, flags=re.DOTALL)
    if not count:
        raise ValueError(f"no table below a heading {heading!r}")
    return page


def tabulate_regions(regions: Iterable[Region]) -> str:
    """What is planted where: a row a region."""
    rows = []
    for region in regions:
        mains = ", ".join(
            name if share == 1 else f"{name} ({share:.0%})" for name, share in region.mains.items()
        )
        seconds = ", ".join(f"{second.kind} {second.concept}" for second in region.seconds)
        rows.append(
            (
                region.name,
                f"`{region.volume}`",
                str(region.voxels),
                mains or "nothing",
                seconds or "none",
                region.suppressed or "none",
            )
        )
    columns = ("region", "volume", "voxels", "main feature", "second features", "suppressed")
    return markdown_table(columns, rows)


def tabulate_words() -> str:
    """What each concept may be called, and the words that count for none."""
    rows = [(name, ", ".join(words)) for name, words in CONCEPTS.items()]
    rows.append(("hypernyms", ", ".join(HYPERNYMS)))
    rows.append(
        ("nothing", f"{len(DISTRACTORS)} names, from {DISTRACTORS[0]} to {DISTRACTORS[-1]}")
    )
    rows.append(("all", f"{len(vocabulary())} words"))
    return markdown_table(("concept", "words"), rows)


def tabulate_figures() -> str:
    """How each figure is made anew, and where it is."""
    rows = []
    for number, figure in enumerate(FIGURES, 1):
        heading = title_figure(number, figure)
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        rows.append(
            (
                f"[{number}](docs/figures.md#{anchor})",
                heading.partition(": ")[2],
                f"`snakemake --cores all figure_{number}`",
                f"`{name_wildcards(figure.files)}`",
            )
        )
    return markdown_table(("figure", "what it shows", "regenerate it", "file"), rows)


def explain_figures() -> str:
    """How to read each figure: its caption in the report, with its files and what makes it."""
    captions = read_captions()
    sections = []
    for number, figure in enumerate(FIGURES, 1):
        title, target = title_figure(number, figure), f"figure_{number}"
        sections.append(explain_figure(title, figure.files, target, *captions.pop(figure.files)))
    for name, caption in sorted(captions.items()):
        title, target = UNNUMBERED.get(name, (f"Comparison of {name}", f"compare_{name}"))
        sections.append(explain_figure(title, name, target, *caption))
    return "\n".join(sections)


def explain_figure(title: str, files: str, target: str, rule: str, caption: str) -> str:
    """The section of one figure."""
    files = name_wildcards(files)
    made = f"`{files}`, by the rule [{rule}](pipeline.md#{rule}): `snakemake --cores all {target}`"
    return f"## {title}\n\n{made}.\n\n{caption}\n"


def title_figure(number: int, figure: Numbered) -> str:
    """The number of a figure and what it shows."""
    return f"Figure {number}: {figure.shows}{' (demo)' if figure.demo else ''}"


def name_wildcards(path: str) -> str:
    """A path of the workflow as the documentation writes it."""
    return path.replace("{", "<").replace("}", ">")


def read_captions() -> dict[str, tuple[str, str]]:
    """Rule and caption of every figure of the report, by its file below `figures`, unsuffixed."""
    found = {}
    for path in sorted((WORKFLOW / "rules").glob("*.smk")):
        for block in re.split(r"^ *rule ", path.read_text(), flags=re.MULTILINE)[1:]:
            for files, name in re.findall(
                r'"<results>/figures/([^"]+)\.png",\s+caption="\.\./report/(\w+)\.rst"', block
            ):
                text = (WORKFLOW / f"report/{name}.rst").read_text().strip()
                text = re.sub(r"\{\{ snakemake\.wildcards\.(\w+) \}\}", r"`<\1>`", text)
                # A line of the caption is a paragraph here; two backquotes mean code there.
                caption = text.replace("``", "`").replace("\n", "\n\n")
                found[files] = block.partition(":")[0], caption
    return found


def tabulate_scores(model: str) -> str:
    """What a model of the demo reaches on scenes that it has not seen: a row a score."""
    rows = []
    scores = json.loads((MODELS / model / "scores.json").read_text())
    for name, score in scores.items():
        meaning, goal = explain_score(name)
        goal = ASKED[model].get(name) if model in ASKED else goal
        value = f"{score:.4f}"
        asked = "" if goal is None else f"≥ {goal:.2f}"
        if goal is not None and score < goal:
            asked += ", not reached"
        rows.append((f"`{name}`", meaning, value, asked))
    return markdown_table(("score", "what is to be named", "share right", "asked for"), rows)


def explain_score(name: str) -> tuple[str, float | None]:
    """What a score means and what was asked of it, None where nothing was."""
    if name.endswith("_blurred"):
        return explain_score(name.removesuffix("_blurred"))[0] + "; blurred pictures", None
    for prefix, meaning in {
        "dense_category_": "token: category, on {} only",
        "presence_": "category: {} there or not",
    }.items():
        if name.startswith(prefix):
            return meaning.format(name.removeprefix(prefix)), None
    return MEASURES[name]


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for path, text in render_pages().items():
        path.write_text(text)
