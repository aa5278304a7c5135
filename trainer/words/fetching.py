"""Fetches word vectors by name into a folder, through pooch.

Contract: a file is in the folder under its publisher's name as a whole or not at all, and is fetched once. Each fetch
holds its SHA-256 against the known one; where none is known, the first fetch writes it down in `<file>.sha256`, and
those after it hold the file against that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pooch

from model.errors import storage_errors
from model.files.downloads import Download, Progress
from model.files.file_sources import Broken, OtherFile, file_name, place_of
from serving.durable_files import sha256, write_file
from trainer.errors import WordFetchFailed, WordFileWrong
from trainer.words.known_files import KnownFile

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

        def downloader(url: str, output_file: str | Path, pooch: object) -> None:
            _download(url, path, output_file, progress, checked=wanted is not None)

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
            write_file(note, f"{wanted}  {path.name}\n".encode())
            return Fetched(path, wanted, checked=False)
    return Fetched(path, wanted, checked=True)


def _download(url: str, path: Path, output_file: str | Path, progress: Progress, *, checked: bool) -> None:
    """Puts the file in the place that pooch has for it, from where an earlier try stopped; pooch takes its checksum.

    Raises:
        WordFetchFailed: it cannot be fetched now; what came is kept.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        Download(url, partial, checked=checked).run(progress, Event())
    except (Broken, OtherFile) as error:
        raise WordFetchFailed(
            f"{url} could not be fetched: {error}. Try again: it goes on where it stopped. Where this machine "
            "cannot reach that place, put the file into a folder under its own name and give that folder, or the "
            "URL of a server that has it, as --mirror or SEMSEARCH_WORDS_MIRROR."
        ) from error
    partial.replace(output_file)
