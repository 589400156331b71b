"""Whether files are as long as their headers say, which shows those that are cut off, and whether
there is room for more."""

from __future__ import annotations

import gzip
import os
import shutil
import zlib
from pathlib import Path

from mine.errors import InputError

GIGABYTE = 1e9

BLOCK_BYTES = 2**22
"""What is inflated at once."""


def check_size(path: Path, needed: int, *, of: str) -> None:
    """Raise InputError if a file, compressed or not, has less than the bytes that it needs.

    of: what these hold, for the message. Of a file .gz only the end is read where that says that
    all bytes went in; only if it does not, the file is inflated.
    """
    if str(path).lower().endswith(".gz"):
        found = needed if _read_end(path) == needed % 2**32 else _count_inflated(path)
    else:
        found = os.path.getsize(path)
    if found < needed:
        raise InputError(
            f"{path}: expected {needed} bytes for {of}, found a truncated file of {found}"
        )


def find_free(folder: Path) -> int:
    """Free bytes of the disk on which a folder is, or will be made."""
    folder = Path(folder).absolute()
    place = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(place).free


def _read_end(path: Path) -> int:
    """Size that a gzip file ends with: of what its last member holds, modulo 2³². It has one
    member, unless it was written in blocks (bgzip) or joined."""
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - 4))
        return int.from_bytes(file.read(), "little")


def _count_inflated(path: Path) -> int:
    """Bytes that come out of a gzip file, up to where it is damaged."""
    found = 0
    try:
        with gzip.open(path, "rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                found += len(block)
    except (OSError, EOFError, zlib.error):
        pass
    return found
