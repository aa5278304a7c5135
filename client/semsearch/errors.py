"""The client's exceptions.

    SemsearchError
    ├── ServerUnreachable   nothing answers at the address
    ├── ServerNotReady      the server answers, but a part of it is not up yet; try again
    ├── Overloaded          the server is too busy, its disk is full, or a quota is used up
    ├── TimedOut            no answer in time
    ├── InvalidRequest      something in the request is wrong: a field, the query, the image, the page token
    ├── AccessDenied        the server does not know the caller, or does not allow the call
    ├── NotFound            no image, collection or model has that id
    ├── AlreadyExists       a collection with that id exists
    ├── WrongState          the request is valid, but not now: for example during a switch to another model
    ├── ServerFailed        the server's own fault, or damage on its disk
    ├── DownloadFailed      a file could not be fetched, or is not the expected one
    └── FolderStopped       a local folder is not as expected, so nothing was done

Each has a `reason`, a name of `semsearch.v1.ErrorReason` without its prefix ("" if the server sent none), and a `hint`,
one sentence of advice ("" if the message suffices).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override


@dataclass(frozen=True)
class ErrorDetails:
    """What the server sent besides the message.

    `fields` has pairs of a request field and its problem. `retry_after_seconds` is None if the server sent none.
    """

    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[tuple[str, str], ...] = ()
    retry_after_seconds: float | None = None


class SemsearchError(Exception):
    """The base of all errors. The message states the problem, and `hint` gives advice."""

    def __init__(self, message: str, details: ErrorDetails | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = details or ErrorDetails()
        self.hint = hint
        if hint:
            self.add_note(hint)  # below the message in a traceback

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle message, details and hint: errors cross processes, and subclasses have constructors of their own."""
        return _unpickled, (type(self), self.message, self.details, self.hint)

    @property
    def reason(self) -> str:
        """The server's reason, for example "EMPTY_QUERY"; "" if it sent none."""
        return self.details.reason


def _unpickled(kind: type[SemsearchError], message: str, details: ErrorDetails, hint: str) -> SemsearchError:
    error = kind.__new__(kind)
    SemsearchError.__init__(error, message, details, hint)
    return error


class ServerUnreachable(SemsearchError):
    """Nothing answers at the address."""


class ServerNotReady(SemsearchError):
    """The server answers, but a part of it is not up yet."""


class Overloaded(SemsearchError):
    """The server is too busy, its disk is full, or the caller is over its quota; `reason` says which."""


class TimedOut(SemsearchError):
    """No answer came in time."""


class InvalidRequest(SemsearchError):
    """Something in the request is wrong."""


class AccessDenied(SemsearchError):
    """The server does not know the caller, or does not allow the call."""


class NotFound(SemsearchError):
    """No image, collection or model has that id."""


class AlreadyExists(SemsearchError):
    """A collection with that id exists."""


class WrongState(SemsearchError):
    """The request is valid, but not now."""


class ServerFailed(SemsearchError):
    """The server's own fault, or damage on its disk."""


class DownloadFailed(SemsearchError):
    """A file could not be fetched, or is not the expected one."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)


class FolderStopped(SemsearchError):
    """A local folder is not as expected, so nothing was done."""

    def __init__(self, message: str, reason: str, hint: str = "") -> None:
        super().__init__(message, ErrorDetails(reason), hint)
