"""Fetch word vectors by name into a folder, through pooch.

Contract: a file appears in the folder under its publisher's name, complete or not at all, and is fetched once. Each
fetch compares its SHA-256 with the known one. If none is known, the first fetch writes it to `<file>.sha256`, and later
fetches compare with that.

The publishers give no checksums. The SHA-256 sums here are those that independent projects agree on for these
addresses; a file without one is reported as unchecked when it is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pooch

from model.errors import storage_errors
from model.files.downloads import Download, Progress
from model.files.file_sources import FetchFailed, WrongFile, file_name, place_of
from serving.durable_files import sha256, write_file
from trainer.errors import WordFetchFailed, WordFileUnknown, WordFileWrong

_GLOVE = "https://nlp.stanford.edu/data/"
_FASTTEXT = "https://dl.fbaipublicfiles.com/fasttext/"


@dataclass(frozen=True)
class KnownFile:
    """A publisher's file: its SHA-256 in hex, or None, and the member of the zip if there are several."""

    url: str
    sha256: str | None = None
    member: str | None = None


def _glove(archive: str, sha256: str, *dimensions: int) -> dict[str, KnownFile]:
    """Return the entries of one archive with a file for each dimension."""
    names = [f"{archive}.{dimension}d" for dimension in dimensions]
    return {name: KnownFile(f"{_GLOVE}{archive}.zip", sha256, f"{name}.txt") for name in names}


KNOWN: Mapping[str, KnownFile] = {
    **_glove("glove.6B", "617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb", 50, 100, 200, 300),
    **_glove("glove.twitter.27B", "792af52f795d1a32c9842a3240f5f3fe5e941a8ff6df5eb0f9d668092ebc019c", 25, 50, 100, 200),
    "glove.42B.300d": KnownFile(
        f"{_GLOVE}glove.42B.300d.zip", "03d5d7fa28e58762ace4b85fb71fe86a345ef0b5ff39f5390c14869da0fc1970"
    ),
    "glove.840B.300d": KnownFile(
        f"{_GLOVE}glove.840B.300d.zip", "c06db255e65095393609f19a4cfca20bf3a71e20cc53e892aafa490347e3849f"
    ),
    "wiki-news-300d-1M": KnownFile(
        f"{_FASTTEXT}vectors-english/wiki-news-300d-1M.vec.zip",
        "bdeb85f44892c505953e3654183e9cb0d792ee51be0992460593e27198d746f8",
    ),
    "crawl-300d-2M": KnownFile(
        f"{_FASTTEXT}vectors-english/crawl-300d-2M.vec.zip",
        "5bfffffbabdab299d4c9165c47275e8f982807a6eaca37ee1f71d3a79ddb544d",
    ),
    "cc.en.300": KnownFile(f"{_FASTTEXT}vectors-crawl/cc.en.300.vec.gz"),
    "cc.de.300": KnownFile(f"{_FASTTEXT}vectors-crawl/cc.de.300.vec.gz"),
    "cc.es.300": KnownFile(f"{_FASTTEXT}vectors-crawl/cc.es.300.vec.gz"),
    "cc.fr.300": KnownFile(f"{_FASTTEXT}vectors-crawl/cc.fr.300.vec.gz"),
}


def known_file(name: str) -> KnownFile:
    """Return the file of a name.

    Raises:
        WordFileUnknown: no file has that name; the message lists the known names.
    """
    if name not in KNOWN:
        raise WordFileUnknown(f"There are no word vectors {name!r} to fetch. There are: {', '.join(KNOWN)}.")
    return KNOWN[name]


@dataclass(frozen=True)
class Fetched:
    """A fetched file, its SHA-256 in hex, and whether that was checked against a known one."""

    path: Path
    sha256: str
    checked: bool


def fetch(known: KnownFile, folder: Path, mirror: str, progress: Progress) -> Fetched:
    """Return the file in the folder, fetched from its URL or the mirror unless it exists already.

    `mirror`: a folder, or a URL (http, https, file), that has the file under its publisher's name; "" is the
    publisher itself.

    Raises:
        WordFetchFailed: it cannot be fetched now; the received part is kept.
        WordFileWrong: its SHA-256 differs from the known one; nothing is kept.
        StorageFull: it cannot be written.
    """
    path = folder / file_name(known.url)
    note = path.with_name(f"{path.name}.sha256")
    place = place_of(known.url, mirror)
    pooch.get_logger().setLevel("WARNING")  # its own message advises putting the checksum into our code
    with storage_errors(folder):
        wanted = known.sha256 or (note.read_text(encoding="utf-8").split()[0] if note.exists() else None)

        def downloader(url: str, output_file: str | Path, pooch: object) -> None:
            _download(url, path, output_file, progress, checked=wanted is not None)

        try:
            pooch.retrieve(place, wanted and f"sha256:{wanted}", path.name, folder, downloader=downloader)
        except ValueError as error:
            raise WordFileWrong(
                f"{place} gives another {path.name} than the known one: its SHA-256 is not {wanted}. Nothing of it "
                "is kept. Try again; if this persists, the file was changed there or in transit: give a place that has "
                "the right one as --mirror."
            ) from error
        if wanted is None:
            wanted = sha256(path)
            write_file(note, f"{wanted}  {path.name}\n".encode())
            return Fetched(path, wanted, checked=False)
    return Fetched(path, wanted, checked=True)


def _download(url: str, path: Path, output_file: str | Path, progress: Progress, *, checked: bool) -> None:
    """Download the file to pooch's path, resuming an interrupted download; pooch checks its checksum.

    Raises:
        WordFetchFailed: it cannot be fetched now; the received part is kept.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        Download(url, partial, checked=checked).run(progress, Event())
    except (FetchFailed, WrongFile) as error:
        raise WordFetchFailed(
            f"{url} could not be fetched: {error}. Try again: it resumes where it stopped. If this machine "
            "cannot reach that place, put the file into a folder under its own name and give that folder, or the "
            "URL of a server that has it, as --mirror or SEMSEARCH_WORDS_MIRROR."
        ) from error
    partial.replace(output_file)
