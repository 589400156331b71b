"""Models that are made once for all tests, and how torch computes in some."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory) -> dict[str, Path]:
    """A folder with a tiny random model of each family of pipelines."""
    from tests.reference.tiny_pipelines import save_models

    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def generators(pipelines) -> dict:
    """A generator of each family; the one called edit is instructed."""
    from tests.reference.tiny_pipelines import load_models

    return load_models(pipelines)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums of floats in one order, whatever the machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
