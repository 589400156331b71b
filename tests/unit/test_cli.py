"""What the command line refuses, in one sentence."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mine import draft
from mine.cli import main

EXPLAIN = ["explain", "photo.jpg", "--subject", "subj01", "--roi", "FFA-1", "--figure"]
INIT = ["init", "folder", "--root", "data", "--output"]


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
    assert main([*EXPLAIN, str(figure), "--results", results]) == 1
    assert capsys.readouterr().err.startswith(f"{figure}: {said.format(folder=tmp_path)}")


def test_a_comparison_replaces_no_table_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "recovery.tsv"
    table.write_text("mine")
    command = ["compare", str(tmp_path / "absent"), "other", "--output", str(table)]
    for options, said in (
        ([], f"{table}: expected no such file, or --force to replace it, found one\n"),
        (["--force"], f"{tmp_path}/absent: expected the results of an analysis, found no such"),
    ):
        assert main([*command, *options]) == 1
        assert capsys.readouterr().err.startswith(said)
    assert table.read_text() == "mine"


def test_a_figure_replaces_no_file_unasked_and_never_the_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photo.jpg").write_text("mine")
    Path("alias.png").symlink_to("photo.jpg")
    Path("out.png").write_text("mine too")
    for name, options, said in (
        ("out.png", [], "out.png: expected no such file, or --force to replace it, found one\n"),
        ("alias.png", [], "alias.png: expected another file than the image, found the image\n"),
        ("alias.png", ["--force"], "alias.png: expected another file than the image, found the "),
        ("out.png", ["--force"], "absent: expected the results of an analysis, found no such"),
    ):
        assert main([*EXPLAIN, name, *options, "--results", "absent"]) == 1
        assert capsys.readouterr().err.startswith(said)
    assert Path("photo.jpg").read_text() == "mine"


@pytest.mark.parametrize("command", [[*EXPLAIN, "out.png"], [*INIT, "out.yaml"]])
def test_a_folder_without_the_right_to_write_is_refused_before_anything_is_read(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not by taking the right away: an administrator writes all the same.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert main(command) == 1
    said = f"{command[-1]}: expected a place that can be written, found no right to write to .\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["figures", "bundle", "--to", "file"], "file: expected a folder, or nothing there yet, "),
        (["figures", "bundle", "--to", "file/in"], "file/in: expected a place that can be read "),
        ([*INIT, "a" * 300], f"{'a' * 300}: expected a place that can be read and written, found"),
        (["check", "file/in.yaml"], "file/in.yaml: "),
    ],
)
def test_what_the_system_does_not_read_or_write_is_told_in_one_sentence(
    tmp_path: Path,
    command: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("no folder")
    Path("data").mkdir()
    assert main(command) == 1
    told = capsys.readouterr().err
    assert told.startswith(said) and told.count("\n") == 1


def test_a_full_disk_is_told_of_what_was_to_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(code: int) -> None:
        def write(*given: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(draft, "write_draft", write)

    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    fail(errno.ENOSPC)
    assert main([*INIT, "out.yaml"]) == 1
    assert capsys.readouterr().err == (
        "out.yaml: expected a place that can be read and written, found: No space left on device\n"
    )
    # Of another error without a place the traceback says more.
    fail(errno.EIO)
    with pytest.raises(OSError, match="nput/output error"):
        main([*INIT, "out.yaml"])


@pytest.mark.parametrize("cores", ["0", "-1", "two", "1.5"])
def test_figures_are_drawn_by_one_core_at_least(
    cores: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["figures", "bundle", "--to", "again", "--cores", cores])
    assert stopped.value.code == 2
    said = f"argument --cores: expected a whole number of at least 1, found '{cores}'"
    assert said in capsys.readouterr().err
