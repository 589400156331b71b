"""One call that sends what a script says to its rule's log and to the terminal."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from mine.errors import InputError


def start_logging(snakemake: Any) -> logging.Logger:
    """Log to the rule's log file and to standard error; call it first in a script.

    Warnings and uncaught errors land there too, an `InputError` as its one sentence and any other
    with its traceback. Threads need nothing here: Snakemake starts a script in a process of its
    own with OMP_NUM_THREADS and its kin set from the rule's `threads`, before numpy or torch is
    imported.

    Args:
        snakemake: the object that Snakemake gives to scripts.

    Returns:
        A logger with the rule's name.
    """
    path = Path(snakemake.log[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=[logging.FileHandler(path, mode="w", encoding="utf-8"), logging.StreamHandler()],
        force=True,
    )
    logging.captureWarnings(True)
    logger = logging.getLogger(snakemake.rule)

    def log_error(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if issubclass(kind, InputError):
            logger.error("%s", error)
        else:
            logger.critical("uncaught error", exc_info=(kind, error, traceback))

    sys.excepthook = log_error
    return logger


def announce_parts(logger: logging.Logger, count: int, *, size: int, what: str) -> Iterator[slice]:
    """Go through much work in parts, saying beforehand how much it is and how long it will take.

    The time is told after the first part, from what that took.

    Yields:
        slices of at most `size` that cover `count`.
    """
    logger.info("%d %s to be made", count, what)
    started = time.monotonic()
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
        if start == 0 and count > size:
            seconds = (time.monotonic() - started) * (count - size) / size
            logger.info("about %.0f s for the other %d %s", seconds, count - size, what)
