"""Fetches word vectors by name into a folder, through pooch.

Contract: a file is in the folder under its publisher's name as a whole or not at all, and is fetched once. Each fetch
holds its SHA-256 against the known one; where none is known, the first fetch writes it down in `<file>.sha256`, and
those after it hold the file against that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pooch

from model.files.durable_files import sha256, storage_errors, write_file
from model.files.file_sources import file_name, place_of
from trainer.errors import WordFileWrong
from trainer.word_files.known_files import KnownFile
from trainer.word_files.resuming import Progress, ResumingDownloader

__all__ = ["Fetched", "fetch"]


@dataclass(frozen=True)
class Fetched:
    """A file that was fetched, its SHA-256 in hex, and whether that was held against a known one."""

    path: Path
    sha256: str
    checked: bool


def fetch(known: KnownFile, folder: Path, mirror: str, progress: Progress) -> Fetched:
    """Returns the file in the folder, fetched from its URL or the mirror unless it is there already.

    ``mirror``: a folder, or a URL (http, https, file), that has the file under its publisher's name; "" is the
    publisher itself.

    Raises:
        WordFetchFailed: it cannot be fetched now; what came is kept.
        WordFileWrong: its SHA-256 is another than the known one; nothing of it is kept.
        StorageFull: it cannot be written.
    """
    path = folder / file_name(known.url)
    note = path.with_name(f"{path.name}.sha256")
    place = place_of(known.url, mirror)
    pooch.get_logger().setLevel("WARNING")  # it would advise to put the checksum into our code
    with storage_errors(folder):
        wanted = known.sha256 or (note.read_text(encoding="utf-8").split()[0] if note.exists() else None)
        downloader = ResumingDownloader(path, progress, checked=wanted is not None)
        try:
            pooch.retrieve(place, wanted and f"sha256:{wanted}", path.name, folder, downloader=downloader)
        except ValueError as error:
            raise WordFileWrong(
                f"What {place} gives is not the {path.name} that is known: its SHA-256 is not {wanted}. Nothing of it "
                "is kept. Try again; if it stays so, the file was changed there or on the way: give a place that has "
                "the right one as --mirror."
            ) from error
        if wanted is None:
            wanted = sha256(path)
            write_file(note, f"{wanted}  {path.name}\n")
            return Fetched(path, wanted, checked=False)
    return Fetched(path, wanted, checked=True)
