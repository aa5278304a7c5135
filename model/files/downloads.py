"""Fetches a file from elsewhere, from where an earlier try stopped.

1. What came so far lies in a file of the caller's, where it came from and that place's ETag beside it, in
   `<file>.from`. Both stay when the connection breaks off or the process ends, and the next try asks for the rest only.
   A place that has no ETag, or gives only whole files, is served too.
2. A file whose checksum is not known is resumed only if the same place still has the same ETag, so that it is never
   put together from two files. Otherwise it starts over.
3. A connection that breaks off is tried again a few times, later each time.
4. When all bytes are there, it is the caller's to take their checksum and to give the file its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from model.files.file_sources import Broken, OtherFile, open_file

__all__ = ["Download", "Progress"]

PAUSES = (0.5, 1.0, 2.0)  # seconds before the second try and those after it

Progress = Callable[[int, int | None], None]
"""Hears how many bytes are here, and of how many, if that is known."""


def _ignore(error: Broken) -> None:
    """Nobody wants to hear of it."""


@dataclass(frozen=True)
class Download:
    """A file at its place, a URL or a path, and `part`, where its bytes are put.

    `size` is the number of its bytes, if that is known. `checked` says whether the caller will verify its checksum.
    `on_retry` is called with the reason of each further try.
    """

    place: str
    part: Path
    size: int | None = None
    checked: bool = True
    on_retry: Callable[[Broken], None] = _ignore

    def run(self, progress: Progress, stop: Event) -> None:
        """Fetch until all bytes are here, in several tries. Once `stop` is set, the next piece is the last.

        Raises:
            Broken: it cannot be fetched now, or was stopped; what came is kept.
            OtherFile: it has another size than the one that is known.
        """
        pauses = iter(PAUSES)
        while True:
            try:
                self._fetch(progress, stop)
            except Broken as error:
                pause = next(pauses, None)
                if pause is None or not error.again or stop.wait(pause):
                    raise
                self.on_retry(error)
            except OtherFile:
                # Of unknown size, it has no such byte to go on from: another file, or one that had come to its end.
                if self.size is not None or not self.part.exists():
                    raise
                self.part.unlink()
            else:
                self._origin.unlink(missing_ok=True)
                return

    def _fetch(self, progress: Progress, stop: Event) -> None:
        """Fetch what is missing, in one try."""
        start, etag = self._known()
        if start == self.size:
            return
        with (
            open_file(self.place, self.size, start, etag) as opened,
            self.part.open("r+b" if self.part.exists() else "wb") as into,
        ):
            into.truncate(opened.start)
            into.seek(opened.start)
            self._origin.write_text(f"{self.place}\n{opened.etag}", encoding="utf-8")
            size = self.size if self.size is not None else opened.size
            position = opened.start
            progress(position, size)
            for piece in opened.pieces:
                position += into.write(piece)
                progress(position, size)
                if self.size is not None and position > self.size:
                    self.part.unlink()
                    raise OtherFile(f"it has more than {self.size:,} bytes")
                if stop.is_set():
                    raise Broken("it was stopped", again=False)
        if size is not None and position < size:
            raise Broken("the connection broke off", again=True)

    def _known(self) -> tuple[int, str]:
        """From which byte to go on, and the ETag that the file must still have ("" for any)."""
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
