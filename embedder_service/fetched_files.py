"""Fetches a file of a recipe into a folder, and resumes an earlier attempt (see `model.files.downloads`).

The bytes received so far are in `<sha256>.part`. When all have arrived, their checksum is checked. A wrong file is
removed and reported; the right one is synced and renamed to `<sha256>`. It is then complete, and is not fetched again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event

import structlog

from embedder_service.errors import DownloadFailed, DownloadWrong
from model.bundle.recipe import FetchedFile
from model.errors import storage_errors
from model.files.downloads import Download
from model.files.file_sources import FetchFailed, WrongFile, file_name, place_of
from serving.durable_files import publish, sha256, sync
from serving.url_secrets import without_secrets

log = structlog.get_logger(__name__)
Progress = Callable[[int], None]


def bytes_here(file: FetchedFile, folder: Path) -> int:
    """Return the number of bytes of a file that are already in the folder."""
    for path in (folder / file.sha256, _part(file, folder)):
        if path.exists():
            return min(path.stat().st_size, file.size)
    return 0


def download(file: FetchedFile, mirror: str, folder: Path, progress: Progress, stop: Event) -> Path:
    """Fetch the file from its URL or the mirror unless it is in the folder, and return its path there.

    `progress` gets the number of bytes received. Once `stop` is set, the next chunk is the last.

    Raises:
        DownloadFailed: the file cannot be fetched now, or the download was stopped; the bytes received are kept.
        DownloadWrong: it is not the file that the recipe names.
        StorageFull: it cannot be written.
    """
    complete = folder / file.sha256
    name, place = file_name(file.url), place_of(file.url, mirror)
    shown = without_secrets(place)

    def on_retry(error: FetchFailed) -> None:
        log.info("fetching again", place=shown, error=str(error))

    with storage_errors(folder):
        if not complete.exists():
            try:
                fetched = Download(place, _part(file, folder), file.size, on_retry=on_retry)
                fetched.run(lambda here, _: progress(min(here, file.size)), stop)
                _finish(file, folder, complete)
            except FetchFailed as error:
                raise DownloadFailed(name, shown, str(error)) from error
            except WrongFile as error:
                raise DownloadWrong(name, shown, str(error)) from error
    progress(file.size)
    return complete


def _finish(file: FetchedFile, folder: Path, complete: Path) -> None:
    part = _part(file, folder)
    found = sha256(part)
    if found != file.sha256:
        part.unlink()
        raise WrongFile(f"its SHA-256 is {found}, not {file.sha256}")
    sync(part)
    publish(part, complete)


def _part(file: FetchedFile, folder: Path) -> Path:
    return folder / f"{file.sha256}.part"
