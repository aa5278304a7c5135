"""The damage of an open index that was found and is not repaired yet.

A segment or a manifest that is damaged can be made again from the store, so its damage ends with a merge. Damage of the
store stays: nothing repairs it while the index is open.
"""

from __future__ import annotations

import threading
from enum import IntEnum
from pathlib import Path

import structlog

from index_service import metrics

log = structlog.get_logger(__name__)


class Repair(IntEnum):
    """What repairs a damage; each of these repairs what those before it do."""

    MERGE = 1  # its rows are live, because recovery left the segment out
    REBUILD = 2  # its segment is in use, so only the store has the right rows
    RESTORE = 3  # it is in the store


class FoundDamage:
    """The damage of one index; thread-safe. The log has each when it is found, and again when it is repaired."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._lock = threading.Lock()
        self._found: tuple[tuple[str, Repair], ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """What is not repaired yet, a sentence for each."""
        return tuple(problem for problem, _ in self._found)

    def add(self, problem: str, repair: Repair) -> None:
        """Note damage, and what repairs it."""
        log.warning("damage found", folder=self._folder, problem=problem)
        metrics.DAMAGES.inc()
        with self._lock:
            self._found = (*self._found, (problem, repair))

    def repaired(self, by: Repair) -> None:
        """Forget the damage that this repairs."""
        with self._lock:
            found, self._found = self._found, tuple(each for each in self._found if each[1] > by)
        for problem, repair in found:
            if repair <= by:
                log.info("damage repaired", folder=self._folder, problem=problem)
