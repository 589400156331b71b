"""The miniature of the bucket of the Natural Scenes Dataset, as files and as a server has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the bucket holds."""
    from tests.data.miniature_bucket import write_bucket

    folder = tmp_path_factory.mktemp("source")
    write_bucket(folder)
    return folder


@pytest.fixture(scope="module")
def address(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the bucket, on this machine."""
    from tests.data.local_bucket import serve_bucket, upload_folder

    with serve_bucket(tmp_path_factory.mktemp("server") / "log") as served:
        upload_folder(served, source)
        yield served
