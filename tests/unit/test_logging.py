"""A long job tells how far it is, seldom and rightly; at the end the workflow says what it made."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from mine.logging import EVERY, Progress, format_time, split_work
from mine.summary.outcome import PLACES, describe_outcome


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def work(clock: Clock, total: int, seconds: float, **options: object) -> None:
    progress = Progress(total, "images", clock=clock, **options)
    for _ in range(total):
        clock.now += seconds
        progress.add()


def test_a_short_job_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    work(Clock(), 1_000, EVERY / 1_001)
    assert not caplog.messages


def test_lines_are_seldom_and_tell_rate_and_time_left(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    work(clock, 2_000, 0.5)
    assert clock.now == 1_000
    assert len(caplog.messages) == 1_000 // EVERY
    assert caplog.messages[0] == "60 of 2,000 images, 2 a second, 16 min left"
    for message in caplog.messages:
        done, left = re.match(r"([\d,]+) of 2,000 images, 2 a second, (.+) left", message).groups()
        assert left == format_time((2_000 - int(done.replace(",", ""))) / 2)


def test_a_job_that_may_end_before_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    work(Clock(), 4, 100, at_most=True)
    assert [message.endswith("left") for message in caplog.messages] == [True] * 3
    assert caplog.messages[0] == "1 of 4 images, 0.01 a second, at most 5 min left"


@pytest.mark.parametrize(("count", "size"), [(0, 4), (3, 4), (8, 4), (9, 4)])
def test_parts_cover_the_work_once(count: int, size: int) -> None:
    parts = list(split_work(count, size=size, what="images"))
    covered = [place for part in parts for place in range(part.start, part.stop)]
    assert covered == list(range(count))
    assert all(0 < part.stop - part.start <= size for part in parts)


def test_the_end_names_what_is_there_and_nothing_else(tmp_path: Path) -> None:
    assert describe_outcome(tmp_path) == ""
    (tmp_path / "figures").mkdir()
    said = describe_outcome(tmp_path)
    assert str(tmp_path / "figures") in said and "described" not in said
    (tmp_path / "summary").mkdir()
    head = "roi\tvoxels\tdescribed\n"
    (tmp_path / "summary/subj01.tsv").write_text(f"{head}EBA\t10\t7\nV1v\t1200\t0\n")
    (tmp_path / "summary/subjects.tsv").write_text(f"{head}EBA\t10\t7\n")
    (tmp_path / "summary/subjects.html").touch()
    said = describe_outcome(tmp_path)
    assert said.startswith("subj01: 7 of 1,210 voxels in 2 regions are described\nLook first at\n")
    # The first thing to look at comes first.
    assert said.index("summary/subjects.html") < said.index("figures")
    for name in PLACES.keys() - {"summary/subjects.html", "figures"}:
        assert name not in said
