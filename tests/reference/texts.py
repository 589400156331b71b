"""Where the text of a figure lies."""

from __future__ import annotations

from itertools import combinations

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def find_boxes(figure: Figure) -> dict[Text, Bbox]:
    """Where each text of a figure is, with the frame that it has, in pixels."""
    figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    return {text: (text.get_bbox_patch() or text).get_window_extent() for text in shown}


def find_overlaps(boxes: dict[Text, Bbox]) -> list[tuple[str, str]]:
    """Pairs of texts that lie over each other."""
    return [
        (one.get_text(), other.get_text())
        for (one, first), (other, second) in combinations(boxes.items(), 2)
        if (shared := Bbox.intersection(first, second)) and min(shared.width, shared.height) > 0.5
    ]
