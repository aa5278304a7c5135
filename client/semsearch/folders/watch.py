"""Keeps a root in step continuously: a run whenever the folder may have changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from semsearch.errors import (
    FolderStopped,
    Overloaded,
    ServerFailed,
    ServerNotReady,
    ServerUnreachable,
    TimedOut,
)
from semsearch.folders.results import FileResult, Outcome
from semsearch.folders.sync import FolderSync, MayRemove

_MAY_PASS = (ServerUnreachable, ServerNotReady, Overloaded, TimedOut, ServerFailed)
_FIRST_DELAY = 1.0
_LONGEST_DELAY = 60.0
# Other clients may change the collection too, so the server's images are listed again from time to time.
_LISTING_SECONDS = 3600.0


class FolderWatch:
    """Runs a sync repeatedly; reports a file that failed or was passed over once, until that changes.

    Between runs it relies on the last listing. It reports a folder that is not as expected, and waits for its next
    change. If the server does not answer, it retries with growing delays.
    """

    def __init__(
        self,
        sync: FolderSync,
        say: Callable[[str], None],
        may_remove: MayRemove | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sync = sync
        self._say = say
        self._may_remove = may_remove
        self._sleep = sleep
        self._reported: dict[str, FileResult] = {}
        self._stopped = ""
        self._listed = -_LISTING_SECONDS

    def run(self, changes: Iterable[None]) -> Iterator[FileResult]:
        """Do a run for each change, and yield the results of files that were not unchanged.

        Raises:
            SemsearchError: Trying again would not help.
        """
        for _ in changes:
            delay = _FIRST_DELAY
            while True:
                try:
                    yield from self._run_once()
                    break
                except FolderStopped as error:
                    if self._stopped != error.message:
                        self._stopped = error.message
                        self._say(f"{error.message} {error.hint}")
                    break
                except _MAY_PASS as error:
                    self._sync.forget_listing()
                    self._say(f"{error.message} Trying again in {delay:.0f} s.")
                    self._sleep(delay)
                    delay = min(2 * delay, _LONGEST_DELAY)

    def _run_once(self) -> Iterator[FileResult]:
        if time.monotonic() > self._listed + _LISTING_SECONDS:
            self._sync.forget_listing()
            self._listed = time.monotonic()
        reported: dict[str, FileResult] = {}
        for result in self._sync.run(self._may_remove):
            if result.outcome is Outcome.UNCHANGED:
                continue
            if result.outcome in (Outcome.FAILED, Outcome.PASSED_OVER, Outcome.GONE):
                reported[result.path] = result
                if self._reported.get(result.path) == result:
                    continue
            yield result
        self._reported = reported
        self._stopped = ""
