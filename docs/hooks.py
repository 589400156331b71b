"""What the site shows that is no page as it stands: the tour, and links out of the documents."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the tour, a script of cells, as a page."""
    script = (Path(config.docs_dir) / "tour.py").read_text(encoding="utf-8")
    files.append(File.generated(config, "tour.md", content=render_cells(script)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write what is linked outside of the documents as plain text: it is no part of the site."""
    markdown = markdown.replace("](tour.py)", "](tour.md)")
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", markdown)


def render_cells(script: str) -> str:
    """Return a script in the percent format as Markdown."""
    parts = []
    for cell in re.split(r"^# %%", script, flags=re.MULTILINE)[1:]:
        kind, _, text = cell.partition("\n")
        if kind.strip() == "[markdown]":
            parts.append(re.sub(r"^# ?", "", text.strip(), flags=re.MULTILINE))
        else:
            parts.append(f"```python\n{text.strip()}\n```")
    return "\n\n".join(parts) + "\n"
