"""Results follow from the configuration: not from cores or the order of jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflow.test_demo import make_smaller, manifests, run

pytestmark = pytest.mark.slow

# To be asked for one after the other, each with what it still needs.
TARGETS = [
    "results/small/subj02/PPA/sufficiency.json",
    "results/small/subj02/baselines.json",
    "results/small/subj01/control/profiles.json",
]


def test_neither_cores_nor_the_order_of_jobs_change_a_store(
    finished: Path, tmp_path: Path, repository: Path
) -> None:
    other = make_smaller(tmp_path / "run", repository)
    for target in TARGETS:
        run(other, target, cores=1)
    run(other, cores=1)
    first, second = manifests(finished), manifests(other)
    assert len(first) > 50 and first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
