"""A file that nobody has touched is not read again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mine.memory import Memory, digest_contents


def test_contents_count_and_age_does_not(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        file.write_text("one")
    kept = tmp_path / "memory/digests.json"
    first = digest_contents(files, memory=Memory(kept))
    os.utime(files[0])
    assert digest_contents(reversed(files), memory=Memory(kept)) == first
    kept.write_text("{")
    assert digest_contents(files, memory=Memory(kept)) == first
    files[1].write_text("two")
    assert digest_contents(files, memory=Memory(kept)) != first
    assert digest_contents(files[:1], memory=Memory(kept)) != first
    assert [path.name for path in kept.parent.iterdir()] == ["digests.json"]


def test_contents_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    first = digest_contents([file], memory=Memory(tmp_path / "digests.json"))
    monkeypatch.delattr("hashlib.file_digest")
    assert digest_contents([file], memory=Memory(tmp_path / "digests.json")) == first
    os.utime(file)
    with pytest.raises(AttributeError):
        digest_contents([file], memory=Memory(tmp_path / "digests.json"))


def test_processes_of_one_number_on_two_machines_do_not_share_a_half_written_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, kept, halves = tmp_path / "a", tmp_path / "digests.json", []
    replace = os.replace

    def record(half: Path, whole: Path) -> None:
        halves.append(half)
        replace(half, whole)

    monkeypatch.setattr("os.getpid", lambda: 1)
    monkeypatch.setattr("os.replace", record)
    for text in ("one", "three"):
        file.write_text(text)
        digest_contents([file], memory=Memory(kept))
    assert len(set(halves)) == 2 and {half.parent for half in halves} == {tmp_path}
