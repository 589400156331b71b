"""One run of the smaller demo for all tests that read finished results."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def finished(tmp_path_factory, repository: Path) -> Path:
    """The folder of a run that has completed."""
    from tests.workflow.running import make_smaller, run

    folder = make_smaller(tmp_path_factory.mktemp("demo") / "run", repository)
    run(folder)
    return folder
