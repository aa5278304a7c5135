"""Fetches a file into a folder, from where an earlier try stopped.

1. What came so far lies in `<sha256>.part`, the ETag of where it came from in `<sha256>.etag`. Both stay when the
   connection breaks off or the process ends, and the next try asks for the rest only. A place that has no ETag, or
   gives only whole files, is served too.
2. A connection that breaks off is tried again a few times, later each time.
3. When all bytes are there their checksum is taken: what is wrong is removed and told.
4. What is right is synced and renamed to `<sha256>`: it is then there as a whole and is not fetched again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import structlog

from embedder_service.errors import DownloadFailed, DownloadWrong
from model.bundle.recipe import FetchedFile
from model.files.durable_files import publish, sha256, storage_errors, sync
from model.files.file_sources import Broken, OpenedFile, OtherFile, file_name, open_file, place_of

__all__ = ["bytes_here", "download"]

PAUSES = (0.5, 1.0, 2.0)  # seconds before the second try and those after it

log = structlog.get_logger(__name__)
Progress = Callable[[int], None]


def bytes_here(file: FetchedFile, folder: Path) -> int:
    """Returns how many bytes of a file are in the folder already."""
    for path in (folder / file.sha256, _part(file, folder)):
        if path.exists():
            return min(path.stat().st_size, file.size)
    return 0


def download(file: FetchedFile, mirror: str, folder: Path, progress: Progress, stop: Event) -> Path:
    """Returns the file in the folder, fetched from its URL or the mirror unless it is there already.

    `progress` is told how many of its bytes are here. Once `stop` is set, the next piece is the last.

    Raises:
        DownloadFailed: it cannot be fetched now, or was stopped; what came is kept.
        DownloadWrong: it is another file than the recipe names.
        StorageFull: it cannot be written.
    """
    complete = folder / file.sha256
    name, place = file_name(file.url), place_of(file.url, mirror)
    with storage_errors(folder):
        if not complete.exists():
            try:
                _fetch_all(file, place, folder, progress, stop)
                _finish(file, folder, complete)
            except Broken as error:
                raise DownloadFailed(name, place, str(error)) from error
            except OtherFile as error:
                raise DownloadWrong(name, place, str(error)) from error
    progress(file.size)
    return complete


def _fetch_all(file: FetchedFile, place: str, folder: Path, progress: Progress, stop: Event) -> None:
    """Fetches until all bytes are here, in several tries."""
    pauses = iter(PAUSES)
    while True:
        try:
            _fetch(file, place, folder, progress, stop)
        except Broken as error:
            pause = next(pauses, None)
            if pause is None or not error.again or stop.wait(pause):
                raise
            log.info("fetching again", place=place, error=str(error))
        else:
            return


def _fetch(file: FetchedFile, place: str, folder: Path, progress: Progress, stop: Event) -> None:
    """Fetches what is missing, in one try."""
    part, etag = _part(file, folder), folder / f"{file.sha256}.etag"
    start = part.stat().st_size if part.exists() else 0
    if start == file.size:
        return
    known = etag.read_text(encoding="utf-8") if etag.exists() else ""
    with (
        open_file(place, file.size, start if start < file.size else 0, known) as opened,
        part.open("r+b" if part.exists() else "wb") as into,
    ):
        into.truncate(opened.start)
        into.seek(opened.start)
        etag.write_text(opened.etag, encoding="utf-8")
        for position in _write(opened, into.write):
            progress(min(position, file.size))
            if position > file.size:
                part.unlink()
                raise OtherFile(f"it has more than {file.size:,} bytes")
            if stop.is_set():
                raise Broken("it was stopped", again=False)
    if part.stat().st_size < file.size:
        raise Broken("the connection broke off", again=True)


def _write(opened: OpenedFile, write: Callable[[bytes], int]) -> Iterator[int]:
    """Writes the pieces, and yields after each where its end is in the file."""
    position = opened.start
    for piece in opened.pieces:
        position += write(piece)
        yield position


def _finish(file: FetchedFile, folder: Path, complete: Path) -> None:
    part = _part(file, folder)
    found = sha256(part)
    (folder / f"{file.sha256}.etag").unlink(missing_ok=True)
    if found != file.sha256:
        part.unlink()
        raise OtherFile(f"its SHA-256 is {found}, not {file.sha256}")
    sync(part)
    publish(part, complete)


def _part(file: FetchedFile, folder: Path) -> Path:
    return folder / f"{file.sha256}.part"
