"""Checksums of one piece and of parts, against the literal definition."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from mine.datasets.checksums import MEBIBYTE, check_etag, digest_file, guess_part_sizes


def literal_etag(content: bytes, size: int | None) -> str:
    if size is None:
        return hashlib.md5(content).hexdigest()
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    return f"{hashlib.md5(digests).hexdigest()}-{len(parts)}"


@pytest.fixture(scope="module")
def content() -> bytes:
    return np.random.default_rng(3).bytes(20 * MEBIBYTE + 12345)


@pytest.fixture(scope="module")
def file(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "betas"
    path.write_bytes(content)
    return path


def test_one_reading_gives_the_literal_digests(file: Path, content: bytes) -> None:
    sizes = [None, 5 * MEBIBYTE, 3_000_001, 8 * MEBIBYTE, len(content), 2 * len(content)]
    digest = digest_file(file, part_sizes=sizes)
    assert digest.sha256 == hashlib.sha256(content).hexdigest()
    assert digest.etags == {size: literal_etag(content, size) for size in sizes}


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert digest_file(path, part_sizes=[None]).etags[None] == hashlib.md5().hexdigest()


@pytest.mark.parametrize("size", [5, 8, 16])
def test_size_of_parts_is_guessed_where_nobody_tells(file: Path, content: bytes, size: int) -> None:
    etag = literal_etag(content, size * MEBIBYTE)
    verdict = check_etag(file, etag, find_part_size=lambda: None)
    assert (verdict.agrees, verdict.form) == (True, "MD5 of parts")
    guesses = guess_part_sizes(len(content), int(etag.split("-")[1]))
    assert size * MEBIBYTE in guesses


def test_guesses_make_the_number_of_parts() -> None:
    for size, parts in ((10**9, 7), (10**9, 120), (40 * 10**9, 4769), (5, 1)):
        guesses = guess_part_sizes(size, parts)
        assert guesses and all(-(-size // guess) == parts for guess in guesses)


@pytest.mark.parametrize(
    ("etag_size", "told", "agrees", "form"),
    [
        (None, None, True, "MD5"),
        (3_000_001, 3_000_001, True, "MD5 of parts"),
        # An odd size that nobody tells, and a first part that cannot be like the others.
        (3_000_001, None, None, "none"),
        (3_000_001, 19 * MEBIBYTE, None, "none"),
    ],
)
def test_verdict(
    file: Path, content: bytes, etag_size: int | None, told: int | None, agrees: bool, form: str
) -> None:
    etag = literal_etag(content, etag_size)
    verdict = check_etag(file, etag, find_part_size=lambda: told)
    assert (verdict.agrees, verdict.form) == (agrees, form)
    assert verdict.sha256 == hashlib.sha256(content).hexdigest()


def test_another_content_is_noticed_where_it_can_be(file: Path, content: bytes) -> None:
    other = bytes([content[0] ^ 1]) + content[1:]
    for size, told in ((None, None), (8 * MEBIBYTE, 8 * MEBIBYTE)):
        verdict = check_etag(file, literal_etag(other, size), find_part_size=lambda told=told: told)
        assert verdict.agrees is False
    # Of a guessed size a difference may as well mean a wrong guess.
    etag = literal_etag(other, 8 * MEBIBYTE)
    assert check_etag(file, etag, find_part_size=lambda: None).agrees is None
    assert check_etag(file, "odd", find_part_size=lambda: None).agrees is None
