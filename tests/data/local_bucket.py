"""A bucket of the S3 protocol on this machine, and a proxy before it that spoils connections."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

BUCKET = "natural-scenes-dataset"
OWNER = {"Authorization": "AWS owner:signature"}
"""What the server takes for the owner of all objects: it looks at no signature."""

PUBLIC = OWNER | {"x-amz-acl": "public-read"}

PART = 5 * 2**20
"""Bytes in a part of an upload in parts: the least that the protocol allows."""


@contextmanager
def serve_bucket(log: Path) -> Iterator[str]:
    """Run a server with one empty bucket; gives the bucket's address."""
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    # A port that is chosen while it is bound: one found beforehand may be somebody else's by then.
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with open(log, "wb") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    try:
        address = f"{wait_for_address(server, log)}/{BUCKET}"
        requests.put(address, timeout=60).raise_for_status()
        yield address
    finally:
        server.terminate()
        server.wait(30)


def wait_for_address(server: subprocess.Popen, log: Path, *, seconds: float = 60) -> str:
    """Return the address that a server listens at, as it says in its log.

    Raises RuntimeError, with the log, if it ends or says nothing in that time.
    """
    for _ in range(round(seconds / 0.1)):
        if said := re.search(r"Running on (http://[\d.]+:\d+)", log.read_text()):
            return said[1]
        if server.poll() is not None:
            raise RuntimeError(f"the server ended: {log.read_text()}")
        time.sleep(0.1)
    raise RuntimeError(f"the server says no address: {log.read_text()}")


def upload_folder(address: str, root: Path) -> None:
    """Put every file of a folder into the bucket, for anybody to read; large ones in parts."""
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        upload(address, path.relative_to(root).as_posix(), path.read_bytes())


def upload(address: str, key: str, content: bytes) -> None:
    """Put an object into the bucket, for anybody to read; in parts if it is large."""
    url = f"{address}/{key}"
    if len(content) <= PART:
        requests.put(url, data=content, headers=PUBLIC, timeout=60).raise_for_status()
        return
    started = requests.post(f"{url}?uploads", headers=PUBLIC, timeout=60)
    upload_id = re.search(r"<UploadId>(.+?)</UploadId>", started.text)[1]
    parts = ""
    for number, start in enumerate(range(0, len(content), PART), 1):
        query = {"partNumber": str(number), "uploadId": upload_id}
        piece = content[start : start + PART]
        done = requests.put(url, params=query, data=piece, headers=OWNER, timeout=60)
        parts += (
            f"<Part><PartNumber>{number}</PartNumber><ETag>{done.headers['ETag']}</ETag></Part>"
        )
    body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
    requests.post(
        url, params={"uploadId": upload_id}, data=body, headers=PUBLIC, timeout=60
    ).raise_for_status()


def hide(address: str, key: str) -> None:
    """Put an object into the bucket that only its owner may read."""
    requests.put(f"{address}/{key}", data=b"secret", headers=OWNER, timeout=60).raise_for_status()


def remove(address: str, key: str) -> None:
    requests.delete(f"{address}/{key}", headers=OWNER, timeout=60).raise_for_status()


class Proxy:
    """Passes requests on, one a connection, and spoils some.

    heads: of all requests that came. cuts: part of a path -> bytes of the body after which the
    connection is cut, one number for each GET of it. busy: how many requests are answered by 503
    beforehand. damage: part of a path -> how many of its bodies get a wrong byte. on_cut: called
    after each cut. careless: whether no condition (If-Match) reaches the server.
    """

    def __init__(self, address: str) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        host, _, path = address.removeprefix("http://").partition("/")
        self.target = (host.split(":")[0], int(host.split(":")[1]))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}/{path}"
        self.heads: list[str] = []
        self.cuts: dict[str, list[int]] = {}
        self.busy = 0
        self.damage: dict[str, int] = {}
        self.careless = False
        self.on_cut: Callable[[], None] = lambda: None
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def gets(self, part: str) -> list[str]:
        """Heads of the requests for the content of objects whose path holds a part."""
        gets = [head for head in self.heads if head.startswith("GET")]
        return [head for head in gets if "?" not in head.split()[1] and part in head.split()[1]]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client:
            head = _read_head(client)
            if not head:
                return
            text = head.decode()
            self.heads.append(text)
            if self.busy > 0:
                self.busy -= 1
                client.sendall(
                    b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
                return
            # Listings have their prefix in the query, and are left alone.
            path, is_get = text.split()[1].partition("?")[0], text.startswith("GET")
            budgets = [cuts for part, cuts in self.cuts.items() if is_get and part in path and cuts]
            budget = budgets[0].pop(0) if budgets else None
            spoiled = [part for part, count in self.damage.items() if part in path and count > 0]
            damage = bool(spoiled) and is_get
            if damage:
                self.damage[spoiled[0]] -= 1
            asked = re.sub(r"\r\nConnection: [^\r]*", "", text).replace(
                "\r\n\r\n", "\r\nConnection: close\r\n\r\n"
            )
            if self.careless:
                asked = re.sub(r"\r\nIf-[^\r]*", "", asked)
            with socket.create_connection(self.target) as server:
                server.sendall(asked.encode())
                answer = _read_head(server)
                client.sendall(answer)
                while piece := server.recv(2**14):
                    if damage:
                        piece, damage = bytes([piece[0] ^ 1]) + piece[1:], False
                    if budget is not None:
                        piece, budget = piece[:budget], budget - len(piece)
                    try:
                        client.sendall(piece)
                    except OSError:
                        return
                    if budget is not None and budget <= 0:
                        break
            if budget is not None:
                self.on_cut()


def _read_head(source: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = source.recv(1)
        if not byte:
            return b""
        head += byte
    return head
