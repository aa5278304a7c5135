"""Opens a file at a given byte, over HTTP or in a folder.

Contract: the opened file has the expected size if its location reports a size. A `FetchFailed` says whether a retry may
help. A server without range requests starts at byte 0, whatever byte was requested.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

import requests

_CHUNK = 8_192  # bytes; an incomplete chunk is lost
_TIMEOUTS = (10.0, 20.0)  # seconds: to connect, and between two chunks
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_RETRYABLE = {408, 425, 429, 500, 502, 503, 504}
_HOPELESS = (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL, requests.exceptions.MissingSchema)


class FetchFailed(Exception):
    """The file cannot be opened, or its transfer broke off; `again` says whether a retry may help."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


class WrongFile(Exception):
    """The file is not the expected one."""


@dataclass(frozen=True)
class OpenedFile:
    """The chunks of a file from byte `start`, and the strong ETag of its content ("" if it has none).

    `size` is the size of the whole file in bytes, if its location reports it.
    """

    start: int
    chunks: Iterator[bytes]
    etag: str = ""
    size: int | None = None


def file_name(url: str) -> str:
    """Return the file name in a URL, which is also the name in a mirror."""
    return PurePosixPath(unquote(urlsplit(url).path)).name


def place_of(url: str, mirror: str) -> str:
    """Return where to fetch a file from: its URL, or its name in a mirror, which is a URL or a folder."""
    if not mirror:
        return url
    if "://" in mirror:
        return f"{mirror.rstrip('/')}/{quote(file_name(url))}"
    return str(Path(mirror) / file_name(url))


@contextmanager
def open_file(place: str, size: int | None, start: int, etag: str) -> Iterator[OpenedFile]:
    """Open a file at byte `start`, or at 0 if it no longer matches `etag`; `size` is its size in bytes, if known.

    Raises:
        FetchFailed: it cannot be opened, or breaks off while its chunks are read.
        WrongFile: it has another size.
    """
    scheme = urlsplit(place).scheme if "://" in place else ""
    if scheme in ("http", "https"):
        try:
            with _open_url(place, size, start, etag) as opened:
                yield opened
        except requests.RequestException as error:
            raise FetchFailed(_why(error), again=not isinstance(error, _HOPELESS)) from error
    elif scheme in ("", "file"):
        with _open_path(Path(url2pathname(urlsplit(place).path)) if scheme else Path(place), size, start) as opened:
            yield opened
    else:
        raise FetchFailed(f"files are fetched by http, https and file, not by {scheme}", again=False)


@contextmanager
def _open_path(path: Path, size: int | None, start: int) -> Iterator[OpenedFile]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise FetchFailed(f"it cannot be read ({error.strerror})", again=False) from error
    with file:
        found = path.stat().st_size
        _check_size(found, size)
        file.seek(start)
        yield OpenedFile(start, iter(lambda: file.read(_CHUNK), b""), size=found)


@contextmanager
def _open_url(url: str, size: int | None, start: int, etag: str) -> Iterator[OpenedFile]:
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if etag:
            headers["If-Range"] = etag
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUTS) as response:
        code, tag = response.status_code, response.headers.get("ETag", "")
        part = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if code == 206 and part and int(part[1]) == start:
            if part[2].isdigit():
                _check_size(int(part[2]), size)
        elif code == 200:
            start = 0
        elif code == 416:
            raise WrongFile(f"it ends before byte {start:,}" + (f" of {size:,}" if size else ""))
        else:
            raise FetchFailed(f"it answers {code} {response.reason}", again=code in _RETRYABLE)
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        _check_size(total, size)
        yield OpenedFile(start, response.iter_content(_CHUNK), "" if tag.startswith("W/") else tag, total)


def _check_size(found: int | None, wanted: int | None) -> None:
    if found is not None and wanted is not None and found != wanted:
        raise WrongFile(f"it has {found:,} bytes, not {wanted:,}")


def _why(error: requests.RequestException) -> str:
    match error:
        case requests.Timeout():
            return "it does not answer in time"
        case requests.exceptions.SSLError():
            return "its certificate is not trusted"
        case requests.exceptions.ChunkedEncodingError():
            return "the connection broke off"
        case requests.ConnectionError():
            return "it cannot be reached"
        case _:
            return f"it cannot be fetched ({type(error).__name__})"
