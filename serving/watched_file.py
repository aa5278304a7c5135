"""Content that is read again and again, so that changes count within a second, whatever way files were replaced.

If new content cannot be used, the last good one stays in use, and the log says once what is wrong. Content is compared,
not times of files: links that are exchanged and edits within one tick of the clock are seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import structlog
from prometheus_client import Gauge
from typing_extensions import override

POLL_SECONDS = 1.0
MAX_BYTES = 16 * 2**20

_UNUSABLE = Gauge(
    "semsearch_file_unusable",
    "Whether a changed file of tokens or keys is unusable, so that what it said before still holds.",
    ["file"],
)
R = TypeVar("R")
T = TypeVar("T")
log = structlog.get_logger(__name__)


class UnusableFile(Exception):
    """A file that a setting names cannot be used."""

    def __init__(self, path: Path, problem: object) -> None:
        super().__init__(f"{path} cannot be used: {problem}.")
        self.path = path


class Watched(Generic[R, T]):
    """What `parse` made of the newest usable content that `read` returned; both may raise `errors`.

    `has_content` is False until the first content was used. `problem` is what is wrong with the newest content, "" if
    nothing is. If files are replaced `one_by_one`, it counts only if it is still there at the next look.
    """

    def __init__(
        self,
        file: Path,
        read: Callable[[], R],
        parse: Callable[[R], T],
        *errors: type[Exception],
        event: str = "a file cannot be used; what it said before still holds",
        one_by_one: bool = False,
    ) -> None:
        """Read the content; raises what `read` and `parse` raise. The log has `event` and `file` about a problem."""
        self._file = file
        self._read = read
        self._parse = parse
        self._errors = errors
        self._event = event
        self._one_by_one = one_by_one
        self._doubtful: object = None
        self.problem = ""
        self.has_content = False
        self._raw = read()
        self.content = parse(self._raw)
        self.has_content = True

    async def keep_current(self, looked: Callable[[bool], object] = lambda _: None) -> None:
        """Look every second, and call `looked` with whether the content is new; run until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            looked(await asyncio.to_thread(self.look))

    def look(self) -> bool:
        """Read the content, and return whether it is new."""
        raw: R | None = None
        try:
            raw = self._read()
            is_new = raw != self._raw
            if is_new:
                self.content, self._raw = self._parse(raw), raw
        except self._errors as error:
            self._refuse(raw, problem_of(error))
            return False
        self.problem, self._doubtful = "", None
        return is_new

    def _refuse(self, raw: R | None, problem: str) -> None:
        doubtful, self._doubtful = self._doubtful, (raw, problem)
        if problem != self.problem and (doubtful == self._doubtful or not self._one_by_one):
            self.problem = problem
            log.error(self._event, file=str(self._file), error=problem)


class WatchedFile(Watched[bytes, T]):
    """A file, and what `parse` made of its bytes; `parse` raises one of `errors` if it cannot be used."""

    def __init__(self, path: Path, parse: Callable[[bytes], T], *errors: type[Exception]) -> None:
        """Read the file; raises `UnusableFile`."""
        every: tuple[type[Exception], ...] = (OSError, *errors)
        try:
            super().__init__(path, partial(read_file, path), parse, *every)
        except every as error:
            raise UnusableFile(path, problem_of(error)) from error
        self._measure()

    @override
    def look(self) -> bool:
        """Read the file, and return whether its content is new."""
        if is_new := super().look():
            log.info("read a changed file", file=str(self._file))
        self._measure()
        return is_new

    def _measure(self) -> None:
        _UNUSABLE.labels(str(self._file)).set(bool(self.problem))


def read_file(path: Path) -> bytes:
    """Return the content of a file; raises OSError, also if it has more than `MAX_BYTES`."""
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(0, f"it has more than {MAX_BYTES // 2**20} MiB")
    return content


def problem_of(error: Exception) -> str:
    """Return what an error says, without the path and number of an OSError."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
