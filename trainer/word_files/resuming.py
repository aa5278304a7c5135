"""A downloader for pooch that goes on where an earlier try stopped.

1. What came so far lies beside the file in `<file>.partial`, where it came from and that place's ETag in
   `<file>.partial.from`. Both stay when the connection breaks off or the process ends; the next try asks for the rest
   only.
2. A file that no checksum will be held against goes on only where the same place still has the same ETag, so that it is
   never put together from two; any other starts over.
3. A connection that breaks off is tried again a few times, later each time.
4. When all bytes are there they become the file that pooch asked for, which takes its checksum.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from model.files.file_sources import Broken, OtherFile, open_file
from trainer.errors import WordFetchFailed

__all__ = ["Progress", "ResumingDownloader"]

PAUSES = (0.5, 1.0, 2.0)  # seconds before the second try and those after it

Progress = Callable[[int, int | None], None]
"""Hears how many bytes are here, and of how many, if that is known."""


class ResumingDownloader:
    """Fetches one file, from a URL or a path; ``checked``: whether pooch will hold a checksum against it."""

    def __init__(self, file: Path, progress: Progress, *, checked: bool) -> None:
        self._partial = file.with_name(f"{file.name}.partial")
        self._origin = file.with_name(f"{file.name}.partial.from")
        self._progress = progress
        self._checked = checked

    def __call__(self, url: str, output_file: str | Path, pooch: object) -> None:
        """Puts the file in the place that pooch has for it.

        Raises:
            WordFetchFailed: it cannot be fetched now; what came is kept.
        """
        try:
            self._fetch_all(url)
        except (Broken, OtherFile) as error:
            raise WordFetchFailed(
                f"{url} could not be fetched: {error}. Try again: it goes on where it stopped. Where this machine "
                "cannot reach that place, put the file into a folder under its own name and give that folder, or the "
                "URL of a server that has it, as --mirror or SEMSEARCH_WORDS_MIRROR."
            ) from error
        self._partial.replace(output_file)
        self._origin.unlink(missing_ok=True)

    def _fetch_all(self, place: str) -> None:
        """Fetches until all bytes are here, in several tries."""
        pauses = iter(PAUSES)
        while True:
            try:
                self._fetch(place)
            except Broken as error:
                pause = next(pauses, None)
                if pause is None or not error.again:
                    raise
                time.sleep(pause)
            except OtherFile:  # it has no such byte to go on from: another file, or one that had come to its end
                if not self._partial.exists():
                    raise
                self._partial.unlink()
            else:
                return

    def _fetch(self, place: str) -> None:
        """Fetches what is missing, in one try."""
        start, etag = self._known(place)
        with (
            open_file(place, None, start, etag) as opened,
            self._partial.open("r+b" if self._partial.exists() else "wb") as into,
        ):
            into.truncate(opened.start)
            into.seek(opened.start)
            self._origin.write_text(f"{place}\n{opened.etag}", encoding="utf-8")
            position = opened.start
            self._progress(position, opened.size)
            for piece in opened.pieces:
                position += into.write(piece)
                self._progress(position, opened.size)
        if opened.size is not None and position < opened.size:
            raise Broken("the connection broke off", again=True)

    def _known(self, place: str) -> tuple[int, str]:
        """From which byte to go on, and the ETag that the file must still have ("" for any)."""
        if not self._partial.exists():
            return 0, ""
        origin = self._origin.read_text(encoding="utf-8") if self._origin.exists() else ""
        came_from, _, etag = origin.partition("\n")
        if came_from != place:
            etag = ""
        return (self._partial.stat().st_size if etag or self._checked else 0), etag
