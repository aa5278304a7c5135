"""The lane of a call: somebody waits for an interactive one; a bulk one, such as an upload, may wait.

A call says so in its metadata, and the calls that are made on its behalf say the same (`serving.channels`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum

HEADER = "semsearch-lane"
# Where both lanes wait, every fourth turn is a bulk call's, so that bulk work does not stop.
BULK_EVERY = 4
# For how long after an interactive call the next one is expected.
INTERACTIVE_SECONDS = 2.0


class Lane(Enum):
    """How urgent a call is."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class Turns:
    """Whose turn it is where both lanes wait."""

    def __init__(self) -> None:
        self._interactive = 0

    @property
    def is_bulk(self) -> bool:
        """Whether the next turn is a bulk one."""
        return self._interactive >= BULK_EVERY - 1

    def record(self, lane: Lane) -> None:
        """Record whose turn it was."""
        self._interactive = 0 if lane is Lane.BULK else self._interactive + 1


_current: ContextVar[Lane] = ContextVar("lane", default=Lane.INTERACTIVE)


def current() -> Lane:
    """Return the lane of the current call."""
    return _current.get()


def begin(lane: Lane) -> None:
    """Set the lane of the current call."""
    _current.set(lane)


@contextmanager
def bulk() -> Iterator[None]:
    """Make the calls of a `with` block bulk ones."""
    before = _current.set(Lane.BULK)
    try:
        yield
    finally:
        _current.reset(before)


def of_metadata(metadata: Mapping[str, str]) -> Lane:
    """Return the lane that a call's metadata names; any other text than "bulk" is interactive."""
    return Lane.BULK if metadata.get(HEADER) == Lane.BULK.value else Lane.INTERACTIVE


def metadata() -> tuple[tuple[str, str], ...]:
    """Return the metadata of a call that is made on behalf of the current one."""
    lane = _current.get()
    return ((HEADER, lane.value),) if lane is Lane.BULK else ()
