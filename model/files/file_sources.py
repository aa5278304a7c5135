"""Opens a file that is elsewhere, at a place within it: over HTTP, or in a folder.

Contract: what is opened has the size that is wanted, as far as its place says so, and no more than that is asked for.
A `Broken` says whether another try may help. A server that gives only whole files starts at 0, whatever was asked.
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

__all__ = ["Broken", "OpenedFile", "OtherFile", "file_name", "open_file", "place_of"]

_PIECE = 8_192  # of one that breaks off nothing is kept
_TIMEOUTS = (10.0, 20.0)  # seconds: to connect, and between two pieces
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_MAY_PASS = {408, 425, 429, 500, 502, 503, 504}
_HOPELESS = (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL, requests.exceptions.MissingSchema)


class Broken(Exception):
    """The file cannot be opened, or broke off; `again` says whether another try may help."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


class OtherFile(Exception):
    """The place has another file than the one that is wanted."""


@dataclass(frozen=True)
class OpenedFile:
    """The pieces of a file from `start` on, and the strong ETag that stands for its content ("" if it has none).

    `size` is that of the whole file, in bytes, where its place says so.
    """

    start: int
    pieces: Iterator[bytes]
    etag: str = ""
    size: int | None = None


def file_name(url: str) -> str:
    """Return the name of a file at its place, which is that in a mirror too."""
    return PurePosixPath(unquote(urlsplit(url).path)).name


def place_of(url: str, mirror: str) -> str:
    """Return where a file is to be looked for: at its URL, or under its name in a mirror, a URL or a folder."""
    if not mirror:
        return url
    if "://" in mirror:
        return f"{mirror.rstrip('/')}/{quote(file_name(url))}"
    return str(Path(mirror) / file_name(url))


@contextmanager
def open_file(place: str, size: int | None, start: int, etag: str) -> Iterator[OpenedFile]:
    """Open a file of `size` bytes, if that is known, from `start` on, if it still is the one `etag` stands for.

    Raises:
        Broken: it cannot be opened, or breaks off while its pieces are taken.
        OtherFile: the file there has another size.
    """
    scheme = urlsplit(place).scheme if "://" in place else ""
    if scheme in ("http", "https"):
        try:
            with _open_url(place, size, start, etag) as opened:
                yield opened
        except requests.RequestException as error:
            raise Broken(_why(error), again=not isinstance(error, _HOPELESS)) from error
    elif scheme in ("", "file"):
        with _open_path(Path(url2pathname(urlsplit(place).path)) if scheme else Path(place), size, start) as opened:
            yield opened
    else:
        raise Broken(f"files are fetched by http, https and file, not by {scheme}", again=False)


@contextmanager
def _open_path(path: Path, size: int | None, start: int) -> Iterator[OpenedFile]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise Broken(f"it cannot be read ({error.strerror})", again=False) from error
    with file:
        found = path.stat().st_size
        _check_size(found, size)
        file.seek(start)
        yield OpenedFile(start, iter(lambda: file.read(_PIECE), b""), size=found)


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
            raise OtherFile(f"it ends before byte {start:,}" + (f" of {size:,}" if size else ""))
        else:
            raise Broken(f"it answers {code} {response.reason}", again=code in _MAY_PASS)
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        _check_size(total, size)
        yield OpenedFile(start, response.iter_content(_PIECE), "" if tag.startswith("W/") else tag, total)


def _check_size(found: int | None, wanted: int | None) -> None:
    if found is not None and wanted is not None and found != wanted:
        raise OtherFile(f"it has {found:,} bytes, not {wanted:,}")


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
