"""Download what an analysis reads of the Natural Scenes Dataset, and nothing else.

Sizes are known, and the disk is looked at, before anything is fetched. What has been fetched is
listed with its digests in `downloads.json` in the dataset's folder, by which a later run verifies.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath

from mine.datasets import nsd_files, nsd_required
from mine.datasets.bucket import Bucket, RemoteObject
from mine.datasets.checksums import digest_file
from mine.datasets.file_sizes import find_free
from mine.datasets.nsd_required import Selection
from mine.datasets.transfer import (
    Meter,
    Stopped,
    fetch_object,
    format_size,
    name_part,
    verify_file,
)
from mine.errors import InputError
from mine.provenance import dump_json

MANIFEST = "downloads.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """A file that is whole. verified: the kind of checksum that its source had, or "none"."""

    size: int
    etag: str
    sha256: str
    verified: str


@dataclass(frozen=True)
class Plan:
    """What an analysis reads, and how much of it is missing.

    groups: group -> objects. missing: keys of those to be fetched. started: bytes of these that
    came in an earlier run.
    """

    root: Path
    groups: Mapping[str, list[RemoteObject]]
    missing: frozenset[str] = field(default_factory=frozenset)
    started: int = 0

    def objects(self, groups: Collection[str] | None = None) -> list[RemoteObject]:
        """The objects of some groups, of all by default."""
        chosen = self.groups if groups is None else [name for name in self.groups if name in groups]
        return [one for name in chosen for one in self.groups[name]]

    def describe(self) -> list[str]:
        """Say, a line a group and one for all, how many files there are and how large."""
        lines = [
            f"{name}: {len(objects)} files, {format_size(sum(one.size for one in objects))}"
            for name, objects in self.groups.items()
        ]
        objects = self.objects()
        free = format_size(find_free(self.root))
        lines.append(
            f"all: {len(objects)} files, {format_size(sum(one.size for one in objects))}, of which "
            f"{len(self.missing)} files and {format_size(self.count_bytes())} are to be fetched; "
            f"{free} are free"
        )
        return lines

    def count_bytes(self) -> int:
        """Bytes that are yet to come."""
        return sum(one.size for one in self.objects() if one.key in self.missing) - self.started


def require_terms(accepted: bool) -> None:
    """Raise InputError unless the user has accepted the terms of the dataset."""
    if not accepted:
        raise InputError(
            "download.accept_terms: expected true, which states that you have read and accepted "
            "NSD's terms and conditions (https://naturalscenesdataset.org, under its data access), "
            "found false"
        )


def plan_download(bucket: Bucket, root: Path, selection: Selection, *, connections: int) -> Plan:
    """List what an analysis reads and find out what of it is missing.

    Nothing is fetched but listings and the tables that say which volume has which label.

    Raises:
        InputError: something that is needed is not in the bucket, or a file that was not downloaded
            by this program is in the way.
    """
    root = Path(root)
    with ThreadPoolExecutor(connections) as pool:
        pages = pool.map(bucket.list_objects, nsd_required.list_prefixes(selection))
        offered = {one.key: one for page in pages for one in page}
        if not offered:
            raise InputError(
                f"download.endpoint: expected a bucket with NSD's folders, found none of them at "
                f"{bucket.endpoint}"
            )
        tables = nsd_required.list_label_tables(selection, offered)
        texts = pool.map(bucket.read, tables)
        labels: dict[str, dict[str, list[str]]] = {}
        for (name, (subject, atlas)), text in zip(tables.items(), texts, strict=True):
            entries = nsd_files.parse_labels(text.decode("utf-8", errors="replace"), source=name)
            labels.setdefault(subject, {})[atlas] = list(entries.values())
    names = nsd_required.choose_files(selection, offered, labels)
    groups = {group: [offered[name] for name in chosen] for group, chosen in names.items()}
    records = read_records(root)
    missing, problems, started = set(), [], 0
    for one in (one for objects in groups.values() for one in objects):
        path = place_file(root, one.key)
        if not path.exists():
            missing.add(one.key)
        elif (record := records.get(one.key)) is not None:
            if (record.size, record.etag) != (one.size, one.etag) or _differs(path, one.size):
                missing.add(one.key)
        elif _differs(path, one.size):
            problems.append(
                f"{path}: expected {one.size} bytes as at its source, found "
                f"{path.stat().st_size}; move it away to have it fetched"
            )
        if one.key in missing and (part := name_part(path, one)).exists():
            started += min(part.stat().st_size, one.size)
    if problems:
        raise InputError("\n".join(problems))
    return Plan(root, groups, frozenset(missing), started)


def check_disk(plan: Plan) -> None:
    """Raise InputError unless what is yet to come fits on the disk."""
    needed, free = plan.count_bytes(), find_free(plan.root)
    if needed > free:
        raise InputError(
            f"{plan.root}: expected {format_size(needed)} of free disk for what is yet to come, "
            f"found {format_size(free)}; fewer subjects or dataset.sessions take less"
        )


def download_files(
    root: Path,
    selection: Selection,
    *,
    endpoint: str,
    connections: int,
    megabytes_per_second: float | None,
    groups: Collection[str] | None = None,
    bucket: Bucket | None = None,
) -> dict[str, Record]:
    """Fetch what is missing and verify what is there.

    Args:
        root: the dataset's folder; files go where the dataset has them.
        selection: what decides which files are needed.
        endpoint: address of the bucket.
        connections: how many files are fetched at a time.
        megabytes_per_second: most that all connections together take.
        groups: only these groups of files; all by default.
        bucket: in place of one at the endpoint.

    Returns:
        Name of each file of the groups -> what is known of it.

    Raises:
        InputError: one sentence or more; what has been fetched by then is kept.
    """
    root = Path(root)
    stop = threading.Event()
    bucket = bucket or Bucket(endpoint)
    bucket.sleep = stop.wait
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{root}: expected to write to this folder, found {error}") from None
    with _lock(root):
        plan = plan_download(bucket, root, selection, connections=connections)
        for line in plan.describe():
            log.info("%s", line)
        check_disk(plan)
        objects = plan.objects(groups)
        total = sum(one.size for one in objects if one.key in plan.missing)
        rate = None if megabytes_per_second is None else megabytes_per_second * 1e6
        meter = Meter(total, rate=rate, sleep=stop.wait)
        for one in objects:
            if one.key in plan.missing and (part := name_part(root / one.key, one)).exists():
                meter.correct(-part.stat().st_size)
        present = [one for one in objects if one.key not in plan.missing]
        if present:
            size = format_size(sum(one.size for one in present))
            log.info("verifying the %d files that are there, %s", len(present), size)
        records = read_records(root)

        def settle(one: RemoteObject) -> tuple[str, Record]:
            missing, record = one.key in plan.missing, records.get(one.key)
            return one.key, _settle(
                bucket, one, root, record=record, missing=missing, meter=meter, stop=stop
            )

        with ThreadPoolExecutor(connections) as pool:
            try:
                for done in as_completed([pool.submit(settle, one) for one in objects]):
                    key, record = done.result()
                    if records.get(key) != record:
                        records[key] = record
                        _write_manifest(root, records)
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if all(one.key in records for one in plan.objects()):
            _write_manifest(root, records, complete=selection)
    chosen = {one.key: records[one.key] for one in objects}
    log.info("%s", _describe_records(chosen))
    return chosen


def is_complete(root: Path, selection: Selection) -> bool:
    """Tell whether all that an analysis reads has been downloaded into a folder."""
    return _digest(selection) in _read_manifest(Path(root)).get("complete", [])


def read_records(root: Path) -> dict[str, Record]:
    """Read which files have been downloaded into a folder: name -> what is known of it."""
    files = _read_manifest(root).get("files", {})
    try:
        return {name: Record(**entry) for name, entry in files.items()}
    except (AttributeError, TypeError):
        raise InputError(
            f"{root / MANIFEST}: expected size, etag, sha256 and verified of each file, found "
            "something else; remove it to have all files verified anew"
        ) from None


def write_summary(records: Mapping[str, Record], path: Path) -> None:
    """Write a table of files with their sizes and digests."""
    rows = ["\t".join(("file", *Record.__dataclass_fields__))]
    rows += ["\t".join((name, *map(str, asdict(one).values()))) for name, one in records.items()]
    Path(path).write_text("\n".join(rows) + "\n", encoding="utf-8")


def place_file(root: Path, key: str) -> Path:
    """Where an object belongs; InputError if its name leads out of the folder."""
    parts = PurePosixPath(key).parts
    if not parts or key.startswith("/") or ".." in parts or "\\" in key:
        raise InputError(f"{key!r}: expected a name inside {root}, found one that leaves it")
    return Path(root, *parts)


def _settle(
    bucket: Bucket,
    one: RemoteObject,
    root: Path,
    *,
    record: Record | None,
    missing: bool,
    meter: Meter,
    stop: threading.Event,
) -> Record:
    """Verify a file that is there, and fetch it if it is missing or damaged."""

    def watch() -> None:
        if stop.is_set():
            raise Stopped

    path = place_file(root, one.key)
    if not missing and record is not None:
        if digest_file(path, watch=watch).sha256 == record.sha256:
            return record
        log.warning("%s: not what was downloaded any more; fetching it anew", path)
        meter.total += one.size
    elif not missing:
        verdict = verify_file(bucket, one, path, watch=watch)
        if verdict.agrees is False:
            raise InputError(
                f"{path}: expected the checksum {one.etag} of its source, found another content; "
                "move it away to have it fetched"
            )
        return Record(one.size, one.etag, verdict.sha256, verdict.form)
    fetched = fetch_object(bucket, one, path, meter=meter, stop=stop)
    verdict, remote = fetched.verdict, fetched.remote
    log.info("%s: %s, checksum: %s", one.key, format_size(remote.size), verdict.form)
    return Record(remote.size, remote.etag, verdict.sha256, verdict.form)


def _differs(path: Path, size: int) -> bool:
    return path.stat().st_size != size


def _describe_records(records: Mapping[str, Record]) -> str:
    forms = [one.verified for one in records.values()]
    unverified = forms.count("none")
    text = f"{len(forms)} files are there, {len(forms) - unverified} of them with the checksum"
    return f"{text} of their source; of the others only the length was known"


@contextmanager
def _lock(root: Path) -> Iterator[None]:
    """Let one process at a time download into a folder; the lock ends with its process."""
    with open(root / f".{MANIFEST}.lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s: another download into this folder is running; waiting for it", root)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            # Some cluster file systems have no locks; a single download needs none.
            log.warning("%s: this file system has no locks (%s)", root, error.strerror)
        yield


def _digest(selection: Selection) -> str:
    text = json.dumps(asdict(selection), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _read_manifest(root: Path) -> dict:
    path = root / MANIFEST
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected JSON as it was written, found something else; remove it to have all "
            "files verified anew"
        )
    return content


def _write_manifest(
    root: Path, records: Mapping[str, Record], *, complete: Selection | None = None
) -> None:
    """Write the manifest whole or not at all."""
    selections = set(_read_manifest(root).get("complete", []))
    if complete is not None:
        selections.add(_digest(complete))
    content = {
        "files": {name: asdict(records[name]) for name in sorted(records)},
        "complete": sorted(selections),
    }
    partial = root / f".{MANIFEST}.part"
    partial.write_text(dump_json(content), encoding="utf-8")
    os.replace(partial, root / MANIFEST)
