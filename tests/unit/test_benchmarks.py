"""The report of the benchmarks fails where a comparison became slow, or was not made."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest


@pytest.fixture
def report(repository, monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    return importlib.import_module("report")


def test_a_comparison_that_is_slow_or_was_not_made_is_told(report):
    records = [{"name": name, "ratio": least} for name, least in report.LEAST.items()]
    assert report.find_slow(records) == []
    (slow,) = report.find_slow([records[0] | {"ratio": 0.5 * records[0]["ratio"]}, *records[1:]])
    assert slow.startswith(f"{records[0]['name']}: expected a ratio of at least ")
    (missing,) = report.find_slow(records[1:])
    assert missing.startswith(f"{records[0]['name']}: expected a record in ")


def test_what_was_multiplied_up_is_shown_as_that(report):
    hours = {"epoch_hours_extrapolated": 2.5, "rival_epoch_hours_extrapolated": 3.0}
    record = {"name": "fitting", "sizes": {"voxels": 512}, **hours}
    assert "512 voxels; extrapolated to an epoch of a subject of NSD 2.5 h" in (
        report.format_record(record)
    )
