"""Downloads a file, and resumes where an earlier attempt stopped.

1. The bytes received so far are in the caller's file; `<file>.from` beside it holds their location and its ETag. Both
   stay when the connection breaks or the process ends, and the next attempt requests only the rest. Servers without
   ETags or ranges work too.
2. A file of unknown checksum is resumed only if the same location still has the same ETag, so that it is never put
   together from two files. Otherwise the download starts over.
3. A broken connection is retried a few times, with growing pauses.
4. When all bytes have arrived, the caller checks their checksum and gives the file its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from model.files.file_sources import FetchFailed, WrongFile, open_file

PAUSES = (0.5, 1.0, 2.0)  # seconds before the second attempt and those after it

Progress = Callable[[int, int | None], None]
"""Called with the number of bytes received, and the total if it is known."""


def _ignore(error: FetchFailed) -> None:
    """Ignore a retry."""


@dataclass(frozen=True)
class Download:
    """The download of a file from `place`, a URL or a path, into `part`.

    `size` is the file's size in bytes, if it is known. `checked` says whether the caller will verify the checksum.
    `on_retry` is called with the reason for each retry.
    """

    place: str
    part: Path
    size: int | None = None
    checked: bool = True
    on_retry: Callable[[FetchFailed], None] = _ignore

    def run(self, progress: Progress, stop: Event) -> None:
        """Download all bytes, with retries. Once `stop` is set, the next chunk is the last.

        Raises:
            FetchFailed: the file cannot be fetched now, or the download was stopped; the bytes received are kept.
            WrongFile: the file does not have the expected size.
        """
        pauses = iter(PAUSES)
        while True:
            try:
                self._fetch(progress, stop)
            except FetchFailed as error:
                pause = next(pauses, None)
                if pause is None or not error.again or stop.wait(pause):
                    raise
                self.on_retry(error)
            except WrongFile:
                # The size is unknown, and the file ends before the byte to resume from: it changed, or was complete.
                if self.size is not None or not self.part.exists():
                    raise
                self.part.unlink()
            else:
                self._origin.unlink(missing_ok=True)
                return

    def _fetch(self, progress: Progress, stop: Event) -> None:
        """Fetch the missing bytes in one attempt."""
        start, etag = self._resume_point()
        if start == self.size:
            return
        with (
            open_file(self.place, self.size, start, etag) as opened,
            self.part.open("r+b" if self.part.exists() else "wb") as output,
        ):
            output.truncate(opened.start)
            output.seek(opened.start)
            self._origin.write_text(f"{self.place}\n{opened.etag}", encoding="utf-8")
            size = self.size if self.size is not None else opened.size
            position = opened.start
            progress(position, size)
            for chunk in opened.chunks:
                position += output.write(chunk)
                progress(position, size)
                if self.size is not None and position > self.size:
                    self.part.unlink()
                    raise WrongFile(f"it has more than {self.size:,} bytes")
                if stop.is_set():
                    raise FetchFailed("it was stopped", again=False)
        if size is not None and position < size:
            raise FetchFailed("the connection broke off", again=True)

    def _resume_point(self) -> tuple[int, str]:
        """Return the byte to resume from, and the ETag that the file must still have ("" for any)."""
        if not self.part.exists():
            return 0, ""
        start = self.part.stat().st_size
        if self.size is not None and start > self.size:
            return 0, ""
        origin = self._origin.read_text(encoding="utf-8") if self._origin.exists() else ""
        came_from, _, etag = origin.partition("\n")
        if came_from != self.place:
            etag = ""
        return (start if etag or self.checked else 0), etag

    @property
    def _origin(self) -> Path:
        return self.part.with_name(f"{self.part.name}.from")
