"""What was read of files, kept so that a file which nobody has touched is not read again."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


class Memory:
    """What was read of each file, with the file's size and time of change.

    path: a JSON file that keeps it between processes, made where it is missing, and worth nothing
    but time; None keeps it in this process alone.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = None if path is None else Path(path)
        self._known = self._read()
        self._news: dict[str, list] = {}

    def recall(self, file: Path | str, read: Callable[[str], Any]) -> Any:
        """Return what ``read`` makes of a file, or made of it before: plain values, as in JSON.

        Raises FileNotFoundError if the file does not exist.
        """
        file = str(file)
        state = os.stat(file)
        kept = self._known.get(file)
        if kept is None or kept[:2] != [state.st_size, state.st_mtime_ns]:
            kept = [state.st_size, state.st_mtime_ns, read(file)]
            self._known[file] = self._news[file] = kept
        return kept[2]

    def save(self) -> None:
        """Keep what was read since the last time."""
        if self._news and self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Jobs that run beside each other, here or on other machines that share the folder, may
            # write it at once: each its own file, then renamed.
            half = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}")
            half.write_text(json.dumps(self._read() | self._news), encoding="utf-8")
            os.replace(half, self.path)
        self._news = {}

    def _read(self) -> dict[str, list]:
        """Return what was kept; nothing from a file that is absent or damaged."""
        if self.path is None:
            return {}
        try:
            return json.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}


def digest_contents(files: Iterable[Path | str], *, memory: Memory) -> str:
    """Digest files by name and content, whatever their age.

    Raises FileNotFoundError if one of the files does not exist.
    """
    digest = hashlib.sha256()
    for file in sorted(map(str, files)):
        digest.update(f"{file}\0{memory.recall(file, _digest_content)}\n".encode())
    memory.save()
    return digest.hexdigest()


def _digest_content(file: str) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
