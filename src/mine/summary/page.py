"""A page of a summary: what it says, as plain HTML that needs no network, and as PDF for print."""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mine.figures.strips import wrap_text
from mine.figures.style import (
    GREY,
    HEADING,
    LIGHT,
    MM_PER_INCH,
    MM_PER_POINT,
    SIZE,
    add_text,
    measure_text,
    styled,
)

ACROSS, DOWN = 297.0, 210.0  # mm, A4 on its side
EDGE = 12.0
GAP = 6.0  # between columns of text
LEAD = 1.35 * SIZE * MM_PER_POINT  # from line to line
WHOLE = 1000  # lines: text is never cut

STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; }
body { max-width: 78rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.05rem; margin: 0 0 .4rem; }
p { margin: .3rem 0 1rem; } li { margin: 0 0 .4rem; } ul { margin: 0; padding-left: 1.1rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .87rem; }
th, td { text-align: left; padding: .25rem .7rem .25rem 0; vertical-align: top; }
th { border-bottom: 1.5px solid; } td, tbody th { border-bottom: 1px solid #8886; }
.sections { display: grid; gap: 1.5rem 2rem; margin-top: 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); }
@media print { body { margin: 0; max-width: none; font-size: 9px; } @page { size: A4 landscape; } }
"""


@dataclass(frozen=True)
class Page:
    """What a page says. columns: heads of the table; rows: as many texts each; note: what the table
    shows; sections: heading -> sentences."""

    title: str
    subtitle: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str
    sections: dict[str, Sequence[str]]


def write_page(page: Page, path: Path | str) -> None:
    """Write a page as HTML, and beside it as PDF; the same bytes for the same page: no dates."""
    Path(path).write_text(render_html(page), encoding="utf-8")
    # It tells of every step of every font that goes into a PDF.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    metadata = {"CreationDate": None, "Title": page.title}
    draw_page(page).savefig(Path(path).with_suffix(".pdf"), metadata=metadata)


def render_html(page: Page) -> str:
    """Return the page as HTML, whole in one file."""
    heads = "".join(f'<th scope="col">{html.escape(head)}</th>' for head in page.columns)
    rows = ""
    for first, *others in page.rows:
        # An interval stays on one line.
        kept = (re.sub(r", (?=[^[\]]*\])", ",\N{NO-BREAK SPACE}", text) for text in others)
        cells = "".join(f"<td>{html.escape(text)}</td>" for text in kept)
        rows += f'<tr><th scope="row">{html.escape(first)}</th>{cells}</tr>\n'
    sections = ""
    for heading, sentences in page.sections.items():
        items = "".join(f"<li>{html.escape(sentence)}</li>\n" for sentence in sentences)
        sections += f"<section><h2>{html.escape(heading)}</h2><ul>\n{items}</ul></section>\n"
    title = html.escape(page.title)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{title}</h1>
<p>{html.escape(page.subtitle)}</p>
<div class="table" tabindex="0" role="region" aria-label="Regions">
<table><thead><tr>{heads}</tr></thead>
<tbody>
{rows}</tbody></table>
</div>
<p><small>{html.escape(page.note)}</small></p>
<div class="sections">
{sections}</div>
</body>
</html>
"""


@styled
def draw_page(page: Page) -> Figure:
    """Draw the page on A4, and on a longer one where there are more regions than that holds."""
    widths = _share_width(page)
    rows = [_wrap(texts, widths) for texts in (page.columns, *page.rows)]
    note = wrap_text(page.note, width=ACROSS - 2 * EDGE, lines=WHOLE)
    texts = _arrange(page.sections)
    table = sum(_measure(row) for row in rows)
    longest = max((text.count("\n") + 1 for text in texts.values()), default=0)
    fixed = EDGE + 14 + (note.count("\n") + 1) * LEAD + 14 + EDGE
    height = max(DOWN, fixed + table + longest * LEAD)
    figure = Figure(figsize=(ACROSS / MM_PER_INCH, height / MM_PER_INCH))
    add_text(figure, EDGE, EDGE, page.title, fontsize=1.5 * HEADING, weight="bold")
    add_text(figure, EDGE, EDGE + 6.5, page.subtitle, color="#444444")
    top = EDGE + 14
    for place, row in enumerate(rows):
        left = EDGE
        for column, (text, width) in enumerate(zip(row, widths, strict=True)):
            bold = "bold" if place == 0 or column == 0 else "normal"
            add_text(figure, left, top, text, weight=bold)
            left += width
        top += _measure(row)
        _draw_rule(figure, top - 0.9, GREY if place == 0 else LIGHT)
    add_text(figure, EDGE, top, note, color="#444444")
    top += (note.count("\n") + 1) * LEAD + 6
    width = _column_width(len(texts))
    for place, (heading, text) in enumerate(texts.items()):
        left = EDGE + place * (width + GAP)
        add_text(figure, left, top, heading, fontsize=HEADING, weight="bold")
        add_text(figure, left, top + 5, text, linespacing=1.35)
    return figure


def _column_width(count: int) -> float:
    return (ACROSS - 2 * EDGE - (count - 1) * GAP) / max(count, 1)


def _arrange(sections: dict[str, Sequence[str]]) -> dict[str, str]:
    """Break the sentences of each section into the lines of its column."""
    width = _column_width(len(sections))
    return {
        heading: "\n".join(
            wrap_text(sentence, width=width - 4, lines=WHOLE).replace("\n", "\n   ")
            for sentence in (f"– {sentence}" for sentence in sentences)
        )
        for heading, sentences in sections.items()
    }


def _share_width(page: Page) -> list[float]:
    """Share the page's width among columns: what their longest text takes, and where that is too
    much the widest give way."""
    longest = [
        max(measure_text(f"{text}  ", "bold") for text in column) + 1
        for column in zip(page.columns, *page.rows, strict=True)
    ]
    room = ACROSS - 2 * EDGE
    least = [
        max(measure_text(f"{word}  ", "bold") for text in column for word in text.split() or [""])
        for column in zip(page.columns, *page.rows, strict=True)
    ]
    while sum(longest) > room:
        widest = max(
            range(len(longest)), key=lambda place: (longest[place] > least[place], longest[place])
        )
        if longest[widest] <= least[widest]:
            break
        longest[widest] = max(longest[widest] - 1, least[widest])
    return longest


def _wrap(texts: Sequence[str], widths: Sequence[float]) -> list[str]:
    return [
        wrap_text(text, width=width - 1, lines=WHOLE)
        for text, width in zip(texts, widths, strict=True)
    ]


def _measure(row: Sequence[str]) -> float:
    """Height of a row of the table: mm."""
    return max(text.count("\n") + 1 for text in row) * LEAD + 1.4


def _draw_rule(figure: Figure, top: float, colour: str) -> None:
    across, down = (side * MM_PER_INCH for side in figure.get_size_inches())
    ends = [EDGE / across, 1 - EDGE / across]
    height = [1 - top / down] * 2
    figure.add_artist(Line2D(ends, height, color=colour, linewidth=0.5))
