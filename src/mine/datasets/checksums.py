"""Checksums of downloaded files, against what a bucket states of its objects.

An object that was uploaded in one piece has its MD5 as ETag. One that was uploaded in N parts has
the MD5 of the parts' MD5s, then "-N"; the size of a part is asked for, or guessed from the sizes
that are common.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

MEBIBYTE = 2**20
COMMON_PARTS = tuple(
    MEBIBYTE * count
    for count in (5, 6, 7, 8, 10, 15, 16, 20, 25, 32, 50, 64, 100, 128, 250, 256, 500, 512, 1024)
)
"""Sizes of parts that programs for uploading use, in bytes."""

BLOCK = MEBIBYTE


@dataclass(frozen=True)
class Digest:
    """What one reading of a file gives.

    sha256: hexadecimal. etags: what its ETag would be, part size in bytes -> ETag; under None for
    one piece.
    """

    sha256: str
    etags: dict[int | None, str]


@dataclass(frozen=True)
class Verdict:
    """agrees: True or False, or None where the ETag tells nothing. form: of the ETag, "MD5",
    "MD5 of parts" or "none"."""

    agrees: bool | None
    form: str
    sha256: str


def digest_file(
    path: Path,
    *,
    part_sizes: Sequence[int | None] = (),
    watch: Callable[[], None] = lambda: None,
) -> Digest:
    """Read a file once and digest it in all ways.

    Args:
        path: the file.
        part_sizes: sizes of parts, in bytes, for each of which an ETag is made; None for one piece.
        watch: called for each block; what it raises ends the reading.
    """
    sha256 = hashlib.sha256()
    current = {size: _md5() for size in part_sizes}
    filled = dict.fromkeys(part_sizes, 0)
    parts: dict[int | None, list[bytes]] = {size: [] for size in part_sizes}
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            watch()
            sha256.update(block)
            for size in part_sizes:
                view = memoryview(block)
                while view:
                    piece = view if size is None else view[: size - filled[size]]
                    current[size].update(piece)
                    filled[size] += len(piece)
                    view = view[len(piece) :]
                    if filled[size] == size:
                        parts[size].append(current[size].digest())
                        current[size], filled[size] = _md5(), 0
    etags: dict[int | None, str] = {}
    for size in part_sizes:
        if size is None:
            etags[size] = current[size].hexdigest()
            continue
        if filled[size]:
            parts[size].append(current[size].digest())
        etags[size] = f"{_md5(b''.join(parts[size])).hexdigest()}-{len(parts[size])}"
    return Digest(sha256.hexdigest(), etags)


def guess_part_sizes(size: int, parts: int) -> list[int]:
    """Common sizes of a part, in bytes, by which a file of `size` bytes falls into so many."""
    smallest = -(-size // parts)
    rounded = -(-smallest // MEBIBYTE) * MEBIBYTE
    sizes = {*COMMON_PARTS, smallest, rounded}
    return sorted(part for part in sizes if part and -(-size // part) == parts)


def check_etag(
    path: Path,
    etag: str,
    *,
    find_part_size: Callable[[], int | None],
    watch: Callable[[], None] = lambda: None,
) -> Verdict:
    """Compare a file with the ETag of the object that it is a copy of.

    Args:
        path: the file, of the object's length.
        etag: as the bucket states it, without quotes.
        find_part_size: asks for the size of the object's first part; None where nobody tells.
        watch: called for each block that is read.
    """
    match = re.fullmatch(r"[0-9a-f]{32}(?:-(\d+))?", etag)
    if match is None:
        return Verdict(None, "none", digest_file(path, watch=watch).sha256)
    if match[1] is None:
        digest = digest_file(path, part_sizes=[None], watch=watch)
        return Verdict(digest.etags[None] == etag, "MD5", digest.sha256)
    size, parts = path.stat().st_size, int(match[1])
    told = find_part_size()
    # Parts need not be of one size. Then, and where guesses fail, the ETag tells nothing.
    certain = told is not None and told > 0 and -(-size // told) == parts
    guesses = [told] if certain else guess_part_sizes(size, parts) if told is None else []
    digest = digest_file(path, part_sizes=guesses, watch=watch)
    if etag in digest.etags.values():
        return Verdict(True, "MD5 of parts", digest.sha256)
    return Verdict(False if certain else None, "MD5 of parts" if certain else "none", digest.sha256)


def _md5(data: bytes = b"") -> hashlib._Hash:
    # As a checksum: no secret hangs on it, and machines in FIPS mode then allow it.
    return hashlib.md5(data, usedforsecurity=False)
