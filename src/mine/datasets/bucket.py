"""A public bucket of the S3 protocol, read over HTTPS without signing in.

Answers that a later try may better (a cut connection, a time-out, 429 and 5xx) are `Interrupted`;
what no try will better is an InputError.
"""

from __future__ import annotations

import logging
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

import requests
import urllib3

from mine.errors import InputError
from mine.provenance import library_versions

Result = TypeVar("Result")

BUSY = frozenset({408, 429, 500, 502, 503, 504})
TIMEOUT = (20, 60)
"""Seconds until a connection stands, and between two pieces of an answer."""

LONGEST_WAIT = 60.0

log = logging.getLogger(__name__)


class Interrupted(Exception):
    """An answer that did not come, or not whole; another try may bring it.

    wait: seconds that the server asks to be left alone for.
    """

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class Changed(Exception):
    """The object is not the one that was asked for any more."""


@dataclass(frozen=True)
class RemoteObject:
    """An object as a bucket states it. size: in bytes; etag: without its quotes."""

    key: str
    size: int
    etag: str


class Bucket:
    """The objects below an address, such as https://<bucket>.s3.amazonaws.com.

    attempts: how often in a row something may fail; pause: seconds before the second try, doubled
    before each further one.
    """

    def __init__(self, endpoint: str, *, attempts: int = 8, pause: float = 1.0) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.attempts = attempts
        self.pause = pause
        self.sleep: Callable[[float], object] = time.sleep
        self._own = threading.local()

    def list_objects(self, prefix: str) -> list[RemoteObject]:
        """List the objects whose keys begin with a prefix."""
        found, token = [], None
        while True:
            query = {"list-type": "2", "prefix": prefix}
            if token:
                query["continuation-token"] = token
            page = self.retry(lambda query=query: self._ask("", query), what=prefix)
            entries, token = _parse_listing(page, address=self.endpoint)
            found += entries
            if not token:
                return found

    def read(self, key: str) -> bytes:
        """Read a small object whole."""
        return self.retry(lambda: self._ask(key), what=key)

    def describe(self, key: str) -> RemoteObject:
        """Ask for an object's size and ETag."""

        def ask() -> RemoteObject:
            with self._send("HEAD", key) as answer:
                return RemoteObject(key, int(answer.headers["Content-Length"]), _etag(answer))

        return self.retry(ask, what=key)

    def find_part_size(self, wanted: RemoteObject) -> int | None:
        """Ask for the bytes in the first part of an object that was uploaded in parts.

        Returns None where the server does not tell.
        """

        def ask() -> int | None:
            with self._send("HEAD", wanted.key, query={"partNumber": "1"}) as answer:
                told = "x-amz-mp-parts-count" in answer.headers
                return int(answer.headers["Content-Length"]) if told else None

        try:
            return self.retry(ask, what=wanted.key)
        except (InputError, Changed):
            return None

    def open_from(self, wanted: RemoteObject, start: int) -> requests.Response:
        """Open an object at a byte, to be read piece by piece and closed.

        Raises:
            Changed: the object has another ETag or size by now.
            Interrupted: no answer, or one that a later try may better.
        """
        headers = {"If-Match": f'"{wanted.etag}"'}
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": f'"{wanted.etag}"'}
        answer = self._send("GET", wanted.key, headers=headers)
        length = int(answer.headers.get("Content-Length", -1))
        if _etag(answer) != wanted.etag:
            answer.close()
            raise Changed(wanted.key)
        expected = f"bytes {start}-{wanted.size - 1}/{wanted.size}"
        whole = answer.status_code == 200 and not start
        rest = answer.status_code == 206 and answer.headers.get("Content-Range") == expected
        if not (whole or rest) or length != wanted.size - start:
            answer.close()
            raise Interrupted(
                f"expected {wanted.size - start} bytes from byte {start}, was offered {length} "
                f"with status {answer.status_code}"
            )
        return answer

    def retry(self, ask: Callable[[], Result], *, what: str) -> Result:
        """Ask again and again, with growing pauses, until an answer comes."""
        for attempt in range(1, self.attempts + 1):
            try:
                return ask()
            except Interrupted as error:
                self.pause_after(attempt, error, what=what)
        raise AssertionError("the last attempt raises")

    def pause_after(self, attempt: int, error: Interrupted, *, what: str) -> None:
        """Wait before the next try; InputError after the last."""
        if attempt >= self.attempts:
            raise InputError(
                f"{self.endpoint}/{what}: expected an answer in {self.attempts} tries, found "
                f"{error}; what has come is kept, so run it again later"
            ) from None
        wait = min(max(error.wait, self.pause * 2 ** (attempt - 1)), LONGEST_WAIT)
        log.warning("%s: %s; trying again in %.1f s", what, error, wait)
        self.sleep(wait)

    def _ask(self, key: str, query: dict[str, str] | None = None) -> bytes:
        with self._send("GET", key, query=query) as answer:
            try:
                return answer.content
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                raise Interrupted(f"the connection cut off ({type(error).__name__})") from None

    def _send(
        self,
        method: str,
        key: str,
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        """Send a request and return its answer, open, if its status is 200 or 206."""
        address = f"{self.endpoint}/{quote(key)}"
        try:
            answer = self._session().request(
                method,
                address,
                params=query,
                headers=headers,
                stream=True,
                timeout=TIMEOUT,
                allow_redirects=True,
            )
        except requests.RequestException as error:
            if isinstance(error, ValueError):
                # Of the address itself: no try will better it.
                raise InputError(
                    f"download.endpoint: expected an address, found {self.endpoint}: {error}"
                ) from None
            raise Interrupted(_name_fault(error)) from None
        if answer.status_code in (200, 206):
            return answer
        answer.close()
        return _refuse(answer, address)

    def _session(self) -> requests.Session:
        """The session of this thread, which keeps its connection."""
        if not hasattr(self._own, "session"):
            session = requests.Session()
            # Without this requests would look for a password in ~/.netrc.
            session.auth = _leave_unsigned
            session.headers.update(
                {"Accept-Encoding": "identity", "User-Agent": f"mine/{library_versions()['mine']}"}
            )
            self._own.session = session
        return self._own.session


def _leave_unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _refuse(answer: requests.Response, address: str) -> requests.Response:
    """Raise what an answer other than 200 and 206 means."""
    status = answer.status_code
    if status in BUSY:
        asked = answer.headers.get("Retry-After", "")
        raise Interrupted(
            f"status {status} {answer.reason}", float(asked) if asked.isdigit() else 0.0
        )
    if status in (412, 416):
        raise Changed(address)
    if status == 404:
        raise InputError(
            f"{address}: expected an object of the dataset, found none; look at download.endpoint, "
            "subjects, dataset.space and dataset.betas"
        )
    if status in (401, 403):
        raise InputError(
            f"{address}: expected an object that anybody may read, found status {status} "
            f"{answer.reason}; look at download.endpoint"
        )
    raise InputError(
        f"{address}: expected the answer of a bucket, found status {status} {answer.reason}; look "
        "at download.endpoint"
    )


def _parse_listing(page: bytes, *, address: str) -> tuple[list[RemoteObject], str | None]:
    """Objects of one page of a listing, and the token of the next page."""
    try:
        root = ElementTree.fromstring(page)
    except ElementTree.ParseError:
        root = ElementTree.Element("")
    if not root.tag.endswith("ListBucketResult"):
        raise InputError(
            f"download.endpoint: expected the address of a bucket of the S3 protocol, found "
            f"another answer at {address}"
        )
    found = [
        RemoteObject(
            entry.findtext("{*}Key", ""),
            int(entry.findtext("{*}Size", "0")),
            entry.findtext("{*}ETag", "").strip('"'),
        )
        for entry in root.findall("{*}Contents")
    ]
    more = root.findtext("{*}IsTruncated", "false") == "true"
    return found, root.findtext("{*}NextContinuationToken") if more else None


def _etag(answer: requests.Response) -> str:
    return answer.headers.get("ETag", "").strip('"')


def _name_fault(error: requests.RequestException) -> str:
    """Name what kept a request from being answered, in a few words."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return f"no safe connection: {error}"
    return "no connection, or one that was cut before the answer"
