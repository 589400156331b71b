"""The form of an archive: a folder or a ZIP file with a list of its files and their checksums.

An archive comes from somebody else, so it is data: nothing in it is run, no pickle is read, and no
name in it leads out of its folder.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from mine.errors import InputError
from mine.provenance import dump_json

INDEX = "archive.json"
FORMAT_VERSION = 1

CODE = "software"
"""Folder in which the software is installed and run, which writes there: no file but those that are
listed is looked at, and no figure is drawn from any."""

CODECS = frozenset(
    {"blosc", "bytes", "crc32c", "sharding_indexed", "transpose", "vlen-utf8", "zstd"}
)
"""How the numbers of stores are written. Others are refused: Zarr knows some that run code."""

PACKED = {".gii", ".gz", ".npy", ".pdf", ".png", ""}
"""Endings of files that are compressed already, as chunks are, which have none."""

ZIP = ".zip"
"""Ending of the archives that are files."""

ARCHIVES = (
    *(ending for form in shutil.get_unpack_formats() for ending in form[1]),
    *(".gz", ".bz2", ".xz", ".zst", ".7z", ".rar"),
)
"""Endings, in small letters, by which people know a file for an archive."""

UNPACKABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, RuntimeError)
"""What is raised by a ZIP file that is damaged, encrypted or of a compression that Python lacks."""

Source = Path | bytes


def write_archive(place: Path, files: Mapping[str, Source], about: Mapping[str, object]) -> None:
    """Write an archive, whole or not at all; the same files give the same bytes.

    Args:
        place: a folder to be made, or a file that ends in .zip.
        files: name within the archive -> file to copy, or content.
        about: what else the list of files says.

    Raises:
        InputError: as `check_destination` does, or a name leads out of the archive.
    """
    check_destination(place)
    partial = place.with_name(place.name + ".partial")
    # It may be somebody's, and nothing in it says whose.
    if os.path.lexists(partial):
        raise InputError(
            f"{partial}: expected nothing there yet, found what may be left of an export that was "
            "cut off; delete it"
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write_partial(partial, files, about, of=place)
    except BaseException:
        _remove(partial)
        raise
    partial.rename(place)


def check_destination(place: Path) -> None:
    """Raise InputError if there is something where an archive is to be written, or if the name ends
    as archives of a form do that is not written: it would become a folder of that name."""
    if place.exists():
        raise InputError(f"{place}: expected nothing there yet, found a file or a folder")
    if place.suffix != ZIP and place.name.lower().endswith(ARCHIVES):
        raise InputError(
            f"{place}: expected a name that ends in {ZIP}, the only form of archive that is "
            f"written, or the name of a folder, found {place.suffix}"
        )


def _write_partial(
    partial: Path, files: Mapping[str, Source], about: Mapping[str, object], *, of: Path
) -> None:
    opened = _open_zip if of.suffix == ZIP else _open_folder
    listed = {}
    with opened(partial) as create:
        for name in sorted(files):
            check_name(name, of=of)
            with create(name) as stream:
                listed[name] = _copy(files[name], stream)
        index = {"format_version": FORMAT_VERSION, **about, "files": listed}
        with create(INDEX) as stream:
            stream.write(dump_json(index).encode())


def read_index(folder: Path) -> dict[str, Any]:
    """Read the list of an archive's files, and compare each with its checksum.

    Raises:
        InputError: this is no archive, or a file is absent, another than listed, not listed, or of
            a form that is not read.
    """
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        files = {str(name): (one["sha256"], one["size"]) for name, one in index["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(
            f"{folder}: expected an archive with its list {INDEX}, found none"
        ) from None
    if index.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"{path}: expected format version {FORMAT_VERSION}, found {index.get('format_version')}"
        )
    for name, (digest, size) in files.items():
        file = contain(folder, name)
        if not file.is_file():
            raise InputError(f"{file}: expected this file of the archive, found none")
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if (found, file.stat().st_size) != (digest, size):
            raise InputError(f"{file}: expected sha256 {digest} and {size} bytes, found others")
    for file in folder.rglob("*"):
        name = file.relative_to(folder)
        is_listed = name.as_posix() in files
        if is_listed or name.parts[0] != CODE:
            _check_form(file)
            if file.is_file() and not is_listed and name != Path(INDEX):
                raise InputError(f"{file}: expected files that {INDEX} lists alone, found another")
    return index


def extract_archive(path: Path, folder: Path) -> None:
    """Unpack a ZIP file into an empty folder.

    Raises:
        InputError: it is no ZIP file, a name leads out of the folder or is a link, the disk is too
            small, or what is in it cannot be unpacked, being damaged or encrypted.
    """
    try:
        packed = zipfile.ZipFile(path)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        raise InputError(
            f"{path}: expected an archive as a folder or a ZIP file, found neither"
        ) from None
    with packed:
        entries = packed.infolist()
        for entry in entries:
            check_name(entry.filename, of=path)
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise InputError(f"{path}: expected files alone, found a link {entry.filename}")
        need, free = sum(entry.file_size for entry in entries), shutil.disk_usage(folder).free
        if need > free:
            raise InputError(f"{folder}: expected {need} free bytes to unpack into, found {free}")
        try:
            packed.extractall(folder)
        except UNPACKABLE as error:
            raise InputError(f"{path}: expected a whole ZIP file, found: {error}") from None


def check_name(name: str, *, of: Path) -> None:
    """Raise InputError unless a name within an archive stays in its folder."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0]:
        raise InputError(f"{of}: expected names inside the archive, found {name!r}")


def contain(folder: Path, name: str) -> Path:
    """Return a path inside a folder; InputError if the name, or a link on its way, leads out."""
    path = Path(os.path.normpath(folder / name))
    if "\0" in name or not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{folder}: expected names inside the archive, found {name!r}")
    return path


@contextmanager
def _open_folder(folder: Path) -> Iterator[Callable[[str], IO[bytes]]]:
    def create(name: str) -> IO[bytes]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb")

    yield create


@contextmanager
def _open_zip(path: Path) -> Iterator[Callable[[str], IO[bytes]]]:
    with zipfile.ZipFile(path, "w") as packed:

        def create(name: str) -> IO[bytes]:
            # The form's first day in the place of a time, so that equal content gives equal bytes.
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            is_packed = Path(name).suffix in PACKED
            entry.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
            return packed.open(entry, "w", force_zip64=True)

        yield create


def _copy(source: Source, stream: IO[bytes]) -> dict[str, object]:
    """Copy into an archive and return what its list says of the file."""
    digest, size = hashlib.sha256(), 0
    for block in [source] if isinstance(source, bytes) else _read_blocks(source):
        stream.write(block)
        digest.update(block)
        size += len(block)
    return {"sha256": digest.hexdigest(), "size": size}


def _read_blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(2**20):
            yield block


def _check_form(file: Path) -> None:
    """Refuse a link, and a store of a form or with codecs that MINE does not write."""
    if file.is_symlink():
        raise InputError(f"{file}: expected files alone, found a link")
    if file.name in (".zarray", ".zgroup", ".zmetadata"):
        raise InputError(f"{file}: expected stores in the third version of Zarr, found another")
    if file.name == "zarr.json":
        try:
            codecs = set(_list_codecs(json.loads(file.read_text(encoding="utf-8"))))
        except (ValueError, RecursionError):
            raise InputError(
                f"{file}: expected the description of a Zarr array, found none"
            ) from None
        unknown = sorted(codecs - CODECS)
        if unknown:
            raise InputError(
                f"{file}: expected codecs among {', '.join(sorted(CODECS))}, found {unknown[0]}"
            )


def _list_codecs(value: Any) -> Iterator[str]:
    """Yield the name of every codec that the description of an array has, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("codecs", "index_codecs") and isinstance(inner, list):
                for codec in inner:
                    yield str(codec.get("name") if isinstance(codec, dict) else codec)
            yield from _list_codecs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _list_codecs(inner)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
