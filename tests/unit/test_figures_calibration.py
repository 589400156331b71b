"""The figure of the lens's calibration draws what its three tables have, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from mine.figures.calibration import AGREEMENTS, SHARES, draw_calibration, gather_calibration


def make_words(said: int = 12) -> pd.DataFrame:
    rows = [(measure, "", 0.5, 0.4, 0.6, 900) for measure in (*SHARES, "on_object")]
    for number in range(said):
        word, right = f"word{number}", (0.1 if number < 6 else 0.9)
        rows += [
            ("right", word, right, right - 0.05, right + 0.05, 10 * (number + 1)),
            ("mentioned", word, 0.2, 0.1, 0.3, 500),
            ("found", word, 0.3, 0.2, 0.4, 100),
        ]
    # Mentioned and never said.
    rows += [
        ("right", "quiet", np.nan, np.nan, np.nan, 0),
        ("mentioned", "quiet", 0.1, 0, 0.2, 500),
    ]
    return pd.DataFrame(rows, columns=["measure", "word", "value", "low", "high", "n"])


def make_stability(*varied: str) -> pd.DataFrame:
    rows = []
    for name in varied:
        for measure in ("first", "said"):
            rows += [(name, pair, measure, "", 0.8, 0.7, 0.9, 40) for pair in ("a; b", "a; c", "")]
            rows.append((name, "", measure, "word1", 0.1, 0, 0.2, 4))
    columns = ["varied", "readings", "measure", "word", "value", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


def make_temperature() -> pd.DataFrame:
    rows = []
    for reading, value in (("own", 0.04), ("fitted", 0.02)):
        rows += [
            ("temperature", reading, np.nan, np.nan, np.nan, value, np.nan, np.nan, 100),
            ("calibration_error", reading, np.nan, np.nan, np.nan, 0.1, 0.05, 0.2, 100),
            ("right", reading, np.nan, np.nan, 0.7, 0.7, 0.6, 0.8, 100),
            ("right", reading, 0.2, 0.3, 0.25, 0.4, 0.2, 0.6, 25),
            ("right", reading, 0.9, 1.0, 0.97, 0.9, 0.8, 1.0, 75),
        ]
    columns = ["measure", "reading", "from", "to", "confidence", "value", "low", "high", "n"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize("varied", [("prompts", "vocabulary", "temperature"), ("vocabulary",)])
def test_each_panel_draws_its_table(varied):
    tables = make_words(), make_stability(*varied), make_temperature()
    table = gather_calibration(*tables, level=0.05)
    figure = draw_calibration(table)
    reliability, words, shares, stability = figure.axes

    def points(axes, marker: str) -> list[np.ndarray]:
        return [line.get_xydata() for line in axes.lines if line.get_marker() == marker]

    for marker in "so":
        np.testing.assert_allclose(points(reliability, marker)[0], [[0.25, 0.4], [0.97, 0.9]])
    heights = [bar.get_height() for bar in reliability.patches]
    assert heights == pytest.approx([0.25, 0.75] * 2)
    (right,) = points(words, "o")
    assert right[:, 0].tolist() == [10 * (number + 1) for number in range(12)]
    (chance,) = points(words, "_")
    assert (chance[:, 1] == 0.2).all() and len(chance) == 12
    assert len(points(shares, "o")[0]) == len(SHARES)
    (stated,) = (line for line in shares.lines if line.get_label() == "stated rate, 0.05")
    assert list(stated.get_xdata()) == [0.05, 0.05]
    assert points(stability, "o")[0][:, 0].tolist() == [0.8] * 2 * len(varied)
    (pairs,) = (dots for dots in stability.collections if dots.get_gid() == "pair")
    assert len(pairs.get_offsets()) == 2 * 2 * len(varied)
    assert len(stability.get_yticklabels()) == 2 * len(varied) <= len(AGREEMENTS)
    said = [text.get_text() for text in figure.findobj(Text)]
    assert "fitted temperature, 0.02: error 0.100" in said
    assert any(text.endswith("half right: word5, word4, word3, word2 and 2 more") for text in said)


def test_no_text_lies_on_another():
    tables = make_words(40), make_stability("prompts", "vocabulary", "temperature")
    figure = draw_calibration(gather_calibration(*tables, make_temperature(), level=0.05))
    figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    boxes = [text.get_window_extent() for text in shown]
    inside = figure.bbox.padded(1)
    for place, box in enumerate(boxes):
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1, shown[place].get_text()
        for other in range(place):
            assert not box.overlaps(boxes[other]), (
                shown[place].get_text(),
                shown[other].get_text(),
            )


def test_without_captions_of_training_images_a_panel_says_so():
    words = make_words()
    words = words[words["measure"] == "false_words"]
    table = gather_calibration(words, make_stability("vocabulary"), make_temperature(), level=0.05)
    figure = draw_calibration(table)
    assert figure.axes[1].get_xlabel() == "No image with captions says a word"
    (line,) = (line for line in figure.axes[2].lines if line.get_marker() == "o")
    assert line.get_xdata().tolist() == [0.5]
