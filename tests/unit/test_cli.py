"""What the command line refuses before anything is computed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mine.cli import main


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere/out.png", "expected the folder {folder}/nowhere, found none"),
        ("there.png", "expected a file to write, found a folder"),
        ("out.txt", "expected a name that ends in one of "),
    ],
)
def test_a_figure_that_cannot_be_written_is_refused_before_results_are_read(
    tmp_path: Path, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there.png").mkdir()
    figure, results = tmp_path / name, str(tmp_path / "absent")
    given = ["--subject", "subj01", "--roi", "FFA-1", "--results", results]
    assert main(["explain", "photo.jpg", *given, "--figure", str(figure)]) == 1
    assert capsys.readouterr().err.startswith(f"{figure}: {said.format(folder=tmp_path)}")
