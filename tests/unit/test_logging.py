"""A long job tells how far it is, seldom and rightly; at the end the workflow says what it made."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pytest

from mine.core import fitting
from mine.core.encoder import position_basis
from mine.logging import EVERY, Progress, format_time, split_work
from mine.stages import attributions
from mine.summary.outcome import PLACES, describe_outcome
from tests.reference.fits import fit_encoder


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


def test_what_a_fit_and_its_attributions_count_adds_up_to_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted: list[Progress] = []

    class Counted(Progress):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)
            counted.append(self)

    for module in (fitting, attributions):
        monkeypatch.setattr(module, "Progress", Counted)
    random = np.random.default_rng(0)
    tokens = random.standard_normal((11, 4, 6)).astype(np.float32)
    responses = random.standard_normal((11, 5)).astype(np.float32)
    phi = position_basis(2, 2, 1)
    sizes = {"heads": 1, "head_width": 4, "rank": 4, "image_batch": 4, "voxel_batch": 2}
    weights, _ = fit_encoder(
        tokens,
        responses,
        phi=phi,
        validation=np.arange(11) > 7,
        epochs=3,
        patience=9,
        seed=0,
        **sizes,
    )
    attributions.attribute(
        weights,
        tokens,
        tokens.mean(axis=0),
        phi,
        nodes=2,
        tolerance=1.0,
        maximum_nodes=2,
        token_fraction=0.5,
        voxel_batch=2,
        image_batch=3,
    )
    assert [(one.done, one.total) for one in counted] == [(24, 24), (55, 55)]


def test_the_end_names_what_is_there_and_nothing_else(tmp_path: Path) -> None:
    assert describe_outcome(tmp_path, ["subj01"]) == ""
    (tmp_path / "figures").mkdir()
    said = describe_outcome(tmp_path, ["subj01"])
    assert str(tmp_path / "figures") in said and "described" not in said
    (tmp_path / "summary").mkdir()
    head = "roi\tvoxels\tdescribed\n"
    # Of the voxels of EBA one is of V1v too.
    rows = "EBA\t10\t7\nV1v\t1200\t0\nall\t1209\t7\n"
    # One subject was summed up under an earlier configuration.
    for name in ("subj01", "subj02", "subjects"):
        (tmp_path / f"summary/{name}.tsv").write_text(f"{head}{rows}")
    (tmp_path / "summary/subjects.html").touch()
    # Nothing is said of a page that does not count all regions together.
    (tmp_path / "summary/subj04.tsv").write_text(head)
    said = describe_outcome(tmp_path, ["subj01", "subj03", "subj04"])
    assert said.startswith("subj01: 7 of 1,209 voxels in 2 regions are described\nLook first at\n")
    # The first thing to look at comes first.
    assert said.index("summary/subjects.html") < said.index("figures")
    for name in PLACES.keys() - {"summary/subjects.html", "figures"}:
        assert name not in said
