"""What a script says goes to its rule's log and to the terminal, and how far it is with it."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from mine.errors import InputError

EVERY = 30.0
"""Seconds between two lines of the log on how far a job is."""

log = logging.getLogger("progress")


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


class Progress:
    """Tells a job's log how far it is, how fast, and how long it will take.

    A line is written once in `every` seconds at most, so that a short job says nothing and one of
    days no more than can be read.

    total: how much there is to do. what: what is counted, such as "images". at_most: the job may
    end before all of it is done. clock: gives the time in seconds.
    """

    def __init__(
        self,
        total: int,
        what: str,
        *,
        at_most: bool = False,
        every: float = EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = total
        self.what = what
        self.done = 0
        self._at_most = "at most " if at_most else ""
        self._every = every
        self._clock = clock
        self._started = self._told = clock()

    def add(self, count: int = 1) -> None:
        """Count what has been done since the last call."""
        self.done += count
        now = self._clock()
        if now - self._told < self._every or self.done >= self.total:
            return
        self._told = now
        rate = self.done / (now - self._started)
        log.info(
            "%s of %s %s, %.3g a second, %s%s left",
            f"{self.done:,}",
            f"{self.total:,}",
            self.what,
            rate,
            self._at_most,
            format_time((self.total - self.done) / rate),
        )


def split_work(count: int, *, size: int, what: str) -> Iterator[slice]:
    """Go through work in parts of at most `size`, and tell the log how far it is.

    Yields:
        slices that cover `count`, one after the other.
    """
    progress = Progress(count, what)
    for start in range(0, count, size):
        part = slice(start, min(start + size, count))
        yield part
        progress.add(part.stop - part.start)


def format_time(seconds: float) -> str:
    """A time as a reader wants it: "1 h 20 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
