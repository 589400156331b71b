"""MINE: explain in words what in a natural image drives a voxel of human visual cortex."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from mine.results import Results

__version__ = "0.1.0"


def open(path: Path | str, *, config: Path | str | Mapping[str, Any] | None = None) -> Results:
    """Open the results of an analysis; nothing is read before it is asked for.

    Args:
        path: folder of the results, `results/<name>`.
        config: configuration that made them, a file or what was read from one; None takes the
            `config.json` that the workflow writes into the folder. Beside a `config.json` it may
            differ from that in where dataset and models are, and in how things are run: devices,
            batches, memory, download.

    Raises:
        InputError: there are no results, no configuration, or another than made them.

    >>> import mine
    >>> results = mine.open("results/demo")
    >>> results.subjects
    ['subj01', 'subj02']
    >>> results["subj01"]["FFA-1"]
    <FFA-1 of subj01, 48 voxels>
    """
    # Imported late: `import mine` is to take no time.
    from mine.results import Results

    return Results(path, config=config)
