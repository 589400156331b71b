"""Downloading from a real server on this machine, through connections that fail."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import yaml

from mine.cli import main
from mine.datasets import download, nsd, nsd_required
from mine.datasets.bucket import Bucket
from mine.datasets.reader import open_dataset
from mine.datasets.transfer import Meter, format_size
from mine.errors import InputError
from mine.logging import format_time
from tests.data.local_bucket import (
    PART,
    Proxy,
    hide,
    remove,
    upload,
)
from tests.data.miniature_bucket import FOLDER, STIMULI, select
from tests.reference.responses import build_responses

Usage = namedtuple("Usage", "total used free")
SESSION = f"{FOLDER}/betas_session01.hdf5"


@pytest.fixture
def proxy(address: str) -> Iterator[Proxy]:
    one = Proxy(address)
    yield one
    one.close()


def fetch(address: str, root: Path, **options: object) -> dict[str, download.Record]:
    selection = options.pop("selection", None) or select(subjects=["subj01"])
    bucket = Bucket(address, attempts=4, pause=0.01)
    options = {"connections": 4, "megabytes_per_second": None, **options}
    return download.download_files(root, selection, endpoint=address, bucket=bucket, **options)


def files_of(root: Path) -> dict[str, bytes]:
    """Name -> content of all files but the manifest and its lock."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and download.MANIFEST not in path.name
    }


def test_what_is_needed_arrives_as_it_was_and_nothing_else(
    source: Path, proxy: Proxy, tmp_path: Path
) -> None:
    records = fetch(proxy.address, tmp_path, selection=select())
    got = files_of(tmp_path)
    assert set(got) == set(records)
    assert all(content == (source / name).read_bytes() for name, content in got.items())
    assert (source / STIMULI).stat().st_size > PART
    assert records[STIMULI].verified == "MD5 of parts"
    assert {one.verified for name, one in records.items() if name != STIMULI} == {"MD5"}
    requested = {head.split()[1] for head in proxy.heads if head.startswith("GET")}
    assert not any("assumehrf" in path for path in requested)
    assert not any(
        "authorization" in head.lower() or "x-amz" in head.lower() for head in proxy.heads
    )

    # The same responses and regions as from the source, with nothing to complain of.
    chosen = {"subjects": ["subj01", "subj02"], "rois": ["FFA-1", "prf-visualrois:V1v"]}
    arrived = open_dataset({"root": str(tmp_path), "test_images": "shared"})
    references = {name: name for name in chosen["rois"]}
    assert arrived.check(subjects=chosen["subjects"], rois=references) == []
    for subject in chosen["subjects"]:
        theirs, ours = (nsd.read_subject(root, subject) for root in (source, tmp_path))
        expected, found = (
            build_responses(one, test="shared", standardise_on="training") for one in (theirs, ours)
        )
        assert found.identical(expected)
        for name in chosen["rois"]:
            regions = [
                nsd.read_rois(root, subject, rois=[name], voxels=one.voxels)["member"]
                for root, one in ((source, theirs), (tmp_path, ours))
            ]
            assert regions[0].equals(regions[1])
    images = [nsd.open_stimuli(root).read([3, 70]) for root in (source, tmp_path)]
    assert np.array_equal(*images)


def test_second_run_fetches_nothing_and_verifies(
    proxy: Proxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = fetch(proxy.address, tmp_path)
    manifest = (tmp_path / download.MANIFEST).read_bytes()
    proxy.heads.clear()
    assert fetch(proxy.address, tmp_path) == first
    assert {head.split()[1].rpartition(".")[2] for head in proxy.gets("")} == {"ctab"}
    assert (tmp_path / download.MANIFEST).read_bytes() == manifest

    # One byte of a session gone wrong on this disk: only that file comes again.
    path = tmp_path / SESSION
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    proxy.heads.clear()
    with caplog.at_level(logging.WARNING):
        fetch(proxy.address, tmp_path)
    assert path.read_bytes() == content and "not what was downloaded any more" in caplog.text
    objects = [head.split()[1] for head in proxy.gets("betas")]
    assert objects == [f"/natural-scenes-dataset/{SESSION}"]


def test_cut_connections_are_taken_up_where_they_were_cut(
    source: Path, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.cuts = {"nsd_stimuli.hdf5": [700_000, 1_000_000, 1, 0, 500_000], SESSION: [10_000]}
    fetch(proxy.address, tmp_path)
    assert (tmp_path / STIMULI).read_bytes() == (source / STIMULI).read_bytes()
    heads = proxy.gets("nsd_stimuli.hdf5")
    starts = [int(head.split("bytes=")[1].split("-")[0]) for head in heads if "Range: " in head]
    # What came is never asked for again, and every continued request names the version.
    assert starts == sorted(starts) and len(starts) == 5 and starts[0] == 700_000
    assert starts[1] == 1_700_000 and starts[-1] == 2_200_001
    assert all("If-Match: " in head for head in heads)
    assert all("If-Range: " in head for head in heads[1:])


def test_killed_process_is_taken_up(source: Path, proxy: Proxy, tmp_path: Path) -> None:
    root = tmp_path / "nsd"
    config = write_config(tmp_path, proxy.address, root, megabytes_per_second=2)
    command = [sys.executable, "-c", "from mine.cli import main; main()", "download", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    folder = (root / STIMULI).parent
    try:
        for _ in range(1200):
            parts = list(folder.glob("*.part"))
            if parts and parts[0].stat().st_size > 500_000:
                break
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    (part,) = folder.glob("*.part")
    assert not (root / STIMULI).exists()
    kept = part.stat().st_size
    proxy.heads.clear()
    plan = download.plan_download(
        Bucket(proxy.address), root, select(subjects=["subj01"]), connections=2
    )
    assert plan.started >= kept
    fetch(proxy.address, root)
    (head,) = proxy.gets("nsd_stimuli.hdf5")
    assert f"Range: bytes={kept}-" in head
    assert (root / STIMULI).read_bytes() == (source / STIMULI).read_bytes()
    assert not list(root.rglob("*.part"))


def test_wrong_bytes_are_fetched_anew_and_never_kept(
    source: Path, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.damage = {SESSION: 1}
    fetch(proxy.address, tmp_path)
    assert (tmp_path / SESSION).read_bytes() == (source / SESSION).read_bytes()
    shutil.rmtree(tmp_path / "nsddata_stimuli")
    proxy.damage = {"nsd_stimuli.hdf5": 100}
    with pytest.raises(InputError, match="expected an object with the checksum [0-9a-f]{32}-2"):
        fetch(proxy.address, tmp_path)
    assert not list((tmp_path / STIMULI).parent.iterdir())


@pytest.mark.parametrize("careless", [False, True])
def test_object_that_changes_while_it_is_fetched(
    source: Path, address: str, proxy: Proxy, tmp_path: Path, careless: bool
) -> None:
    proxy.careless = careless
    old = (source / SESSION).read_bytes()
    new = old[:-3] + bytes(50)
    proxy.cuts = {SESSION: [20_000]}
    proxy.on_cut = lambda: upload(address, SESSION, new)
    try:
        fetch(proxy.address, tmp_path)
        assert (tmp_path / SESSION).read_bytes() == new
        assert not list(tmp_path.rglob("*.part"))
        # And one that changed since the last run, which had begun to fetch another version.
        upload(address, SESSION, old)
        begun = tmp_path / f"{SESSION}.{'0' * 32}.part"
        begun.write_bytes(b"of another version")
        fetch(proxy.address, tmp_path)
        assert (tmp_path / SESSION).read_bytes() == old and not begun.exists()
    finally:
        upload(address, SESSION, old)


def test_file_of_other_origin_is_taken_if_it_is_the_same(
    source: Path, proxy: Proxy, tmp_path: Path
) -> None:
    for name in (SESSION, STIMULI):
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copy(source / name, tmp_path / name)
    records = fetch(proxy.address, tmp_path)
    assert not proxy.gets("nsd_stimuli.hdf5")
    assert records[STIMULI].verified == "MD5 of parts"
    (tmp_path / download.MANIFEST).unlink()
    content = (tmp_path / SESSION).read_bytes()
    (tmp_path / SESSION).write_bytes(b"?" + content[1:])
    with pytest.raises(InputError, match="found another content; move it away to have it fetched"):
        fetch(proxy.address, tmp_path)
    (tmp_path / SESSION).write_bytes(b"mine")
    with pytest.raises(InputError, match="found 4; move it away to have it fetched"):
        fetch(proxy.address, tmp_path)
    assert (tmp_path / SESSION).read_bytes() == b"mine"


def test_busy_server_is_asked_again(proxy: Proxy, tmp_path: Path) -> None:
    proxy.busy = 3
    assert fetch(proxy.address, tmp_path, groups=["experiment"], connections=1)
    proxy.busy = 10**6
    with pytest.raises(InputError, match="in 4 tries, found status 503 Slow Down; what has come"):
        fetch(proxy.address, tmp_path, connections=1)


def test_connection_that_never_stands(tmp_path: Path) -> None:
    with socket.socket() as one:
        # Bound and not listened at: nobody answers there, and nobody else can come to.
        one.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match="expected an answer in 4 tries, found no connection"):
            fetch(f"http://127.0.0.1:{one.getsockname()[1]}/bucket", tmp_path)


def test_missing_objects_are_told_in_a_sentence(source: Path, address: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected an object of the dataset, found none; look at"):
        fetch(f"{address}-of-nobody", tmp_path)
    hide(address, SESSION)
    try:
        expected = "expected an object that anybody may read, found status 403"
        with pytest.raises(InputError, match=expected):
            fetch(address, tmp_path)
    finally:
        upload(address, SESSION, (source / SESSION).read_bytes())
    remove(address, STIMULI)
    try:
        with pytest.raises(InputError, match=f"^{STIMULI}: expected this file in the bucket"):
            fetch(address, tmp_path)
    finally:
        upload(address, STIMULI, (source / STIMULI).read_bytes())


def test_what_is_no_bucket_is_named(tmp_path: Path) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>welcome</html>")

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(InputError, match="expected the address of a bucket of the S3 protocol"):
            fetch(f"http://127.0.0.1:{server.server_port}", tmp_path)
        server.shutdown()


def test_too_little_disk_stops_before_any_byte(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, 1_000_000))
    with pytest.raises(InputError, match=r"expected 6.* MB of free disk .*, found 1 MB; fewer"):
        fetch(proxy.address, tmp_path)
    assert files_of(tmp_path) == {}
    assert not proxy.gets("betas_session")


def test_name_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    for key in ("../x", "/etc/x", "nsddata/../../x", "a\\..\\x", ""):
        with pytest.raises(InputError, match="expected a name inside"):
            download.place_file(tmp_path, key)
    assert download.place_file(tmp_path, "nsddata/x") == tmp_path / "nsddata/x"


def test_listing_of_several_pages(address: str) -> None:
    bucket = Bucket(address)
    ask = bucket._ask
    bucket._ask = lambda key, query=None: ask(key, {**query, "max-keys": "3"} if query else None)
    few = {one.key for one in bucket.list_objects("nsddata/")}
    assert few == {one.key for one in Bucket(address).list_objects("nsddata/")} and len(few) > 20


def test_rate_is_kept(address: str, tmp_path: Path) -> None:
    start = time.monotonic()
    records = fetch(address, tmp_path, megabytes_per_second=3)
    seconds = time.monotonic() - start
    assert seconds >= sum(one.size for one in records.values()) / 3e6 * 0.95


def test_log_tells_size_rate_and_time_left(
    address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Meter.__init__, "__kwdefaults__", {**Meter.__init__.__kwdefaults__, "every": 0.2}
    )
    with caplog.at_level(logging.INFO):
        fetch(address, tmp_path, megabytes_per_second=6)
    said = caplog.text
    assert " are to be fetched; " in said and "/s, " in said and " left" in said
    assert said.index("are to be fetched") < said.index("/s, ")


def test_sizes_and_times_are_readable() -> None:
    assert [format_size(count) for count in (12, 3_400, 41_966_000_000)] == [
        "12 bytes",
        "3.4 kB",
        "42 GB",
    ]
    assert [format_time(seconds) for seconds in (12.3, 600, 4_800)] == [
        "12 s",
        "10 min",
        "1 h 20 min",
    ]


def write_config(folder: Path, address: str, root: Path, **settings: object) -> Path:
    path = folder / "config.yaml"
    content = {
        "name": "small",
        "subjects": ["subj01"],
        "rois": ["FFA-1", "V1v"],
        "dataset": {"root": str(root)},
        "download": {"accept_terms": True, "endpoint": address, **settings},
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_terms_have_to_be_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    path = write_config(tmp_path, address, tmp_path / "nsd", accept_terms=False)
    assert main(["download", str(path)]) == 1
    assert capsys.readouterr().err == (
        "download.accept_terms: expected true, which states that you have read and accepted NSD's "
        "terms and conditions (https://naturalscenesdataset.org, under its data access), found "
        "false\n"
    )
    # What there is may be looked at before.
    assert main(["download", str(path), "--dry-run"]) == 0
    assert "are to be fetched" in capsys.readouterr().out
    assert not (tmp_path / "nsd").exists()


@pytest.mark.parametrize("asked", [[], ["--dry-run"]])
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"dataset": {"root": "data", "kind": "folder"}},
            "dataset.kind: expected nsd with `mine download`, since only nsd is downloaded, found "
            "folder; --models fetches models with any kind",
        ),
        (
            {"dataset": {"root": "results/small/nsd"}, "demo": {"truth": "results/small/truth"}},
            "demo: expected no such section with `mine download`, since the demo writes its own "
            "dataset, found one",
        ),
    ],
)
def test_nothing_is_asked_of_the_bucket_or_of_terms_for_what_is_not_downloaded(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    settings: dict,
    said: str,
    asked: list[str],
) -> None:
    monkeypatch.delattr(Bucket, "list_objects")
    path = tmp_path / "config.yaml"
    content = {"name": "small", "subjects": ["subj01"], "rois": ["EBA"], **settings}
    path.write_text(yaml.safe_dump(content))
    assert main(["download", str(path), *asked]) == 1
    assert capsys.readouterr().err == f"{path}: {said}\n"


def test_command_announces_and_then_fetches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], proxy: Proxy
) -> None:
    root = tmp_path / "nsd"
    path = write_config(tmp_path, proxy.address, root)
    assert main(["download", str(path), "--dry-run"]) == 0
    said = capsys.readouterr().out.splitlines()
    rows = [line.split("\t") for line in said if "\t" in line]
    assert {row[0] for row in rows} == {"missing"} and not root.exists()
    total = sum(int(row[1]) for row in rows)
    assert said[-1].startswith(
        f"all: {len(rows)} files, {format_size(total)}, of which {len(rows)} "
    )
    assert not proxy.gets("betas_session")
    assert main(["download", str(path)]) == 0
    assert set(files_of(root)) == {row[2] for row in rows}
    capsys.readouterr()
    main(["download", str(path), "--dry-run"])
    assert "of which 0 files and 0 bytes are to be fetched" in capsys.readouterr().out


def test_manifest_tells_whether_all_is_there(address: str, tmp_path: Path) -> None:
    selection = select(subjects=["subj01"])
    for group in selection.groups:
        assert not download.is_complete(tmp_path, selection)
        fetch(address, tmp_path, selection=selection, groups=[group])
    assert download.is_complete(tmp_path, selection)
    assert not download.is_complete(tmp_path, select())
    content = json.loads((tmp_path / download.MANIFEST).read_text())
    assert set(content["files"]) == set(files_of(tmp_path))
    assert not any(str(tmp_path) in text for text in (json.dumps(content), content))
    for damage in ("{", "[]", '{"files": {"a": {}}}'):
        (tmp_path / download.MANIFEST).write_text(damage)
        with pytest.raises(InputError, match="remove it to have all files verified anew"):
            download.read_records(tmp_path)


def test_groups_are_those_of_the_workflow() -> None:
    assert set(select().groups) == {
        nsd_required.EXPERIMENT,
        nsd_required.REGIONS,
        nsd_required.STIMULI,
        "subj01",
        "subj02",
    }
