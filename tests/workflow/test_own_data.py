"""That a run leaves alone what it did not write, on the real Snakefile."""

from __future__ import annotations

from pathlib import Path

import pytest

from mine.demo.miniature import MARK, MARKED, make_room
from mine.errors import InputError
from tests.workflow.running import SMALLER, make_smaller, run

FILES = {"nsddata_betas/ppdata/subj01/betas.hdf5": b"years of scans", "README": b"ours"}


def place_data(root: Path) -> None:
    """Write files that are somebody's only copy."""
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def is_intact(root: Path) -> bool:
    found = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }
    return found == FILES


def test_a_demo_laid_over_somebodys_data_leaves_them_as_they_were(
    tmp_path: Path, repository: Path
) -> None:
    data = tmp_path / "nsd"
    place_data(data)
    folder = make_smaller(tmp_path / "run", repository, dataset={"root": str(data)})
    for options in (["-n"], [], ["--forceall"], ["--delete-all-output"]):
        said = run(folder, *options, succeeds=False)
        assert "dataset.root: expected a folder in results/small, since the demo writes it" in said
        assert is_intact(data) and not (tmp_path / "nsd.json").exists()


def test_a_folder_in_the_results_that_the_demo_did_not_write_is_left_as_it_was(
    tmp_path: Path, repository: Path
) -> None:
    folder = make_smaller(tmp_path / "run", repository)
    root = SMALLER["dataset"]["root"]
    place_data(folder / root)
    said = run(folder, f"{root}.json", succeeds=False)
    assert f"{root}: expected a folder that the demo wrote, with its {MARK}, or nothing" in said
    run(folder, "--delete-all-output")
    assert is_intact(folder / root)


def test_the_demo_writes_its_own_folder_anew_and_no_other(tmp_path: Path) -> None:
    root = tmp_path / "results/dataset"
    make_room(root)
    (root / "old/deep").mkdir(parents=True)
    (root / "old/deep/betas.hdf5").write_bytes(b"of an earlier run")
    place_data(tmp_path / "nsd")
    (root / "link").symlink_to(tmp_path / "nsd", target_is_directory=True)
    make_room(root)
    assert [path.name for path in root.iterdir()] == [MARK]
    assert is_intact(tmp_path / "nsd")
    # A file of that name alone does not make a folder the demo's.
    (tmp_path / "nsd" / MARK).write_text("rendered elsewhere")
    with pytest.raises(InputError, match="expected a folder that the demo wrote"):
        make_room(tmp_path / "nsd")
    (tmp_path / "nsd" / MARK).unlink()
    root.rename(tmp_path / "moved")
    root.symlink_to(tmp_path / "nsd", target_is_directory=True)
    with pytest.raises(InputError, match="expected a folder or nothing there yet, found a link"):
        make_room(root)
    assert is_intact(tmp_path / "nsd") and (tmp_path / "moved" / MARK).read_text() == MARKED
