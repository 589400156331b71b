"""Fetch one object of a bucket into a file: it goes on where it was cut off, and is verified."""

from __future__ import annotations

import errno
import glob
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import urllib3

from mine.datasets.bucket import Bucket, Changed, Interrupted, RemoteObject
from mine.datasets.checksums import Verdict, check_etag
from mine.errors import InputError
from mine.logging import EVERY, format_time

PIECE = 256 * 2**10
"""Most bytes that are read at once."""

CHANGES = 3
"""How often an object may change, or fail its checksum, while it is being fetched."""

log = logging.getLogger(__name__)


class Stopped(Exception):
    """Another file has failed, or the user has had enough."""


@dataclass(frozen=True)
class Fetched:
    """A file that is there, whole. remote: the object that it is a copy of."""

    remote: RemoteObject
    verdict: Verdict


class Meter:
    """Counts the bytes of all connections, tells how far they are, and holds them to a rate.

    total: bytes to come; rate: bytes a second at most, or None; every: seconds between two lines
    of the log.
    """

    def __init__(
        self,
        total: int,
        *,
        rate: float | None = None,
        every: float = EVERY,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.total = total
        self.rate = rate
        self.every = every
        self.done = 0
        self.received = 0
        self._sleep = sleep
        self._lock = threading.Lock()
        self._started = self._told = self._free = time.monotonic()

    @property
    def piece(self) -> int:
        """Bytes to read at once: few enough that a low rate is kept within a second."""
        return PIECE if self.rate is None else max(1, min(PIECE, int(self.rate / 8)))

    def add(self, count: int) -> None:
        """Count received bytes, and wait until the rate allows the next ones."""
        with self._lock:
            self.done += count
            self.received += count
            now = time.monotonic()
            if now - self._told >= self.every:
                self._told = now
                log.info("%s", self.describe(now - self._started))
            if self.rate is None:
                return
            self._free = max(self._free, now) + count / self.rate
            wait = self._free - now
        if wait > 0:
            self._sleep(wait)

    def correct(self, count: int) -> None:
        """Take back bytes that were counted and have to come again (or, below 0, are there)."""
        with self._lock:
            self.done -= count

    def describe(self, seconds: float) -> str:
        """Say how far it is, how fast, and how long it will take."""
        speed = self.received / max(seconds, 1e-9)
        left = max(0, self.total - self.done)
        return (
            f"{format_size(self.done)} of {format_size(self.total)}, {format_size(speed)}/s, "
            f"{format_time(left / max(speed, 1e-9))} left"
        )


def fetch_object(
    bucket: Bucket, wanted: RemoteObject, path: Path, *, meter: Meter, stop: threading.Event
) -> Fetched:
    """Fetch an object into a file, which is there only once it is whole and verified.

    What has come is kept in a file beside it, named by the object's ETag and `.part`: a later call
    asks for the rest only, and never mixes two versions of an object.

    Args:
        bucket: where it comes from.
        wanted: what is expected; another version is taken instead if it has been replaced.
        path: where it goes; its folder is made.
        meter: counts what comes.
        stop: once set, Stopped is raised.

    Raises:
        InputError: the object is not there, keeps failing, or does not have the checksum that the
            bucket states; or the disk does not take it.
    """

    def watch() -> None:
        if stop.is_set():
            raise Stopped

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(CHANGES):
            part = name_part(path, wanted)
            _remove_other_parts(path, part)
            try:
                _complete(bucket, wanted, part, meter=meter, watch=watch)
            except Changed:
                log.warning("%s: replaced at its source; fetching it anew", wanted.key)
                meter.correct(_size(part))
                part.unlink(missing_ok=True)
                wanted = bucket.describe(wanted.key)
                continue
            verdict = verify_file(bucket, wanted, part, watch=watch)
            if verdict.agrees is not False:
                os.replace(part, path)
                return Fetched(wanted, verdict)
            log.warning("%s: not what its checksum says; fetching it anew", wanted.key)
            meter.correct(wanted.size)
            part.unlink()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"{path}: expected room for its {format_size(wanted.size)}, found a full disk; "
                "what has come is kept"
            ) from None
        raise InputError(f"{path}: expected to write this file, found {error}") from None
    raise InputError(
        f"{bucket.endpoint}/{wanted.key}: expected an object with the checksum {wanted.etag}, "
        f"found another content {CHANGES} times; nothing of it is kept"
    )


def verify_file(
    bucket: Bucket, remote: RemoteObject, path: Path, *, watch: Callable[[], None]
) -> Verdict:
    """Compare a file of the right length with the checksum of its object."""
    return check_etag(
        path, remote.etag, find_part_size=lambda: bucket.find_part_size(remote), watch=watch
    )


def name_part(path: Path, wanted: RemoteObject) -> Path:
    """Where the beginning of a file is kept while the rest is yet to come."""
    version = "".join(sign for sign in wanted.etag if sign.isalnum() or sign == "-")
    return path.with_name(f"{path.name}.{version}.part")


def _remove_other_parts(path: Path, part: Path) -> None:
    """Remove what has come of other versions of the object."""
    for other in path.parent.glob(f"{glob.escape(path.name)}.*.part"):
        if other != part:
            other.unlink()


def _complete(
    bucket: Bucket,
    wanted: RemoteObject,
    part: Path,
    *,
    meter: Meter,
    watch: Callable[[], None],
) -> None:
    """Append to a part until it is as long as the object."""
    if _size(part) > wanted.size:
        part.unlink()
    part.touch()
    failures = 0
    while (before := _size(part)) < wanted.size:
        watch()
        try:
            _append(bucket, wanted, part, meter=meter, watch=watch)
        except Interrupted as error:
            failures = 1 if _size(part) > before else failures + 1
            bucket.pause_after(failures, error, what=wanted.key)


def _append(
    bucket: Bucket,
    wanted: RemoteObject,
    part: Path,
    *,
    meter: Meter,
    watch: Callable[[], None],
) -> None:
    start = _size(part)
    left = wanted.size - start
    with bucket.open_from(wanted, start) as answer, open(part, "ab") as file:
        while left:
            watch()
            try:
                block = answer.raw.read1(min(meter.piece, left), decode_content=False)
            except (urllib3.exceptions.HTTPError, OSError):
                block = b""
            if not block:
                raise Interrupted(f"cut off at byte {wanted.size - left} of {wanted.size}")
            file.write(block)
            left -= len(block)
            meter.add(len(block))
        file.flush()
        os.fsync(file.fileno())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def format_size(count: float) -> str:
    """Bytes as a reader wants them: "1.05 GB"."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} bytes"
