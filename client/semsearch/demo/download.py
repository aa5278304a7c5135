"""Fetch a file of known size and checksum; an interrupted download resumes.

The bytes received so far are in `<file>.part`. It gets the file's name once its checksum is right, and is removed if it
is wrong, so a wrong file is never used.
"""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from semsearch.demo.photo_set import PhotoSet
from semsearch.errors import DownloadFailed

_PAUSES = (0.5, 1.0, 2.0)  # seconds before the second attempt and those after it
_CHUNK_BYTES = 2**18
_TIMEOUT_SECONDS = 30.0
_ADVICE = "Run the same command again: the download resumes. --from takes another URL, or a file."

Progress = Callable[[int], object]
"""Called with the number of bytes received."""


def download(photos: PhotoSet, address: str, file: Path, progress: Progress) -> None:
    """Fetch the archive of a set from an address, which may differ from its own, into `file`.

    Raises:
        DownloadFailed: it cannot be fetched, or the file is not the archive.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    for pause in (*_PAUSES, None):
        try:
            _fetch(address, part, photos.size_bytes, progress)
            break
        except (OSError, http.client.HTTPException, ValueError) as error:
            if pause is None or not _may_pass(error):
                raise DownloadFailed(f"{address} cannot be fetched: {_reason(error)}.", hint=_ADVICE) from error
            time.sleep(pause)
    if part.stat().st_size != photos.size_bytes or _sha256(part) != photos.sha256:
        part.unlink()
        raise DownloadFailed(
            f"The file at {address} is not the archive that this version of semsearch knows: its SHA-256 is not"
            f" {photos.sha256}. It was removed and not used.",
            hint="If the address is right, the archive has changed; `semsearch index` takes any folder of photos.",
        )
    part.rename(file)


def _fetch(address: str, part: Path, size: int, progress: Progress) -> None:
    """Fetch the missing bytes in one attempt."""
    start = part.stat().st_size if part.exists() else 0
    if start >= size:
        return
    request = urllib.request.Request(address, headers={"Range": f"bytes={start}-"} if start else {})  # noqa: S310
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 — the user's own choice
        resumes = getattr(response, "status", None) == http.HTTPStatus.PARTIAL_CONTENT
        with part.open("ab" if resumes else "wb") as output:
            progress(output.tell())
            while chunk := response.read(_CHUNK_BYTES):
                output.write(chunk)
                progress(output.tell())
                if output.tell() > size:
                    return
    if part.stat().st_size < size:
        raise ConnectionError("the connection broke off")


def _may_pass(error: Exception) -> bool:
    """Return whether another attempt may succeed: not if the server lacks the file, or the address is wrong."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= http.HTTPStatus.INTERNAL_SERVER_ERROR
    if isinstance(error, urllib.error.URLError):
        return not isinstance(error.reason, FileNotFoundError | str)
    return not isinstance(error, ValueError)


def _reason(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(getattr(reason, "strerror", None) or reason).rstrip(".")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
