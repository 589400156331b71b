"""What a comparison of forms of encoders asks for."""

from __future__ import annotations

import re
from pathlib import Path

from mine.sections import FORMS
from tests.workflow.test_demo import make_smaller, run


def test_a_comparison_asks_for_each_form_and_for_no_fit_of_the_analysis(
    tmp_path: Path, repository: Path
) -> None:
    folder = make_smaller(tmp_path / "run", repository, encoders={"images": [100, 150]})
    said = run(folder, "-n", "compare_encoders")
    table = re.search(r"^Job stats:\n.*?\n-.*?\n(.*?)^total", said, re.M | re.S)[1]
    jobs = {name: int(count) for name, count in re.findall(r"(\w+) +(\d+)", table)}
    assert jobs.pop("fit_form") == 2 * len(FORMS) * 3
    assert jobs.pop("score_forms") == 2 * 3
    once = {"tabulate_forms", "figure_forms", "compare_encoders", "render_demo", "stimuli"}
    once |= {"vocabulary", "captions"}
    assert {name for name, count in jobs.items() if count == 1} >= once
    assert jobs.keys() - once == {"responses", "rois", "embed", "low_level", "gather"}
