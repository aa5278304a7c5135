"""The errors with which the embedder and the index refuse a call; each carries the reason, to be passed on.

GatewayError
└── Refused
    ├── Overloaded           it has as much to do as it can do in time
    ├── UnknownWords         no word of a query is in the vocabulary
    ├── InvalidCrop          the crop box is empty or outside the image
    ├── ModelNotFound
    ├── IndexNotFound
    ├── IndexExists
    ├── SnapshotEnded        the index no longer holds the snapshot
    ├── ModelMismatch        the vector and the index's items come from different models
    ├── PositionOutOfDate    the index is not the one that the search began in
    └── RecordChanged        a shared record has another version than the one to be replaced
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from gateway.errors import GatewayError

R = TypeVar("R", bound="Refused")


@dataclass(frozen=True)
class Violation:
    """A field that a service refused, and why."""

    field: str
    description: str


@dataclass(frozen=True)
class Refusal:
    """A service's answer when it refuses a call or an item.

    `code` is the number of the gRPC status code; `reason` the ErrorInfo reason, for example "EMPTY_QUERY".
    """

    message: str
    code: int
    reason: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    retry_after_seconds: float | None = None


class Part(enum.Enum):
    """The part of a search that a refusal is about; the servicer maps it to the caller's field."""

    TEXT = enum.auto()
    IMAGE = enum.auto()
    CROP = enum.auto()


class Refused(GatewayError):
    """The embedder or the index refused a call, or one item of it.

    `part` is the part of a search that the refusal is about, and `number` its index if there are several; None means
    unknown.
    """

    def __init__(self, refusal: Refusal, part: Part | None = None, number: int | None = None) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.part = part
        self.number = number

    def about(self: R, part: Part, number: int | None = None) -> R:
        """Return the same error, attributed to a part of a search."""
        return type(self)(self.refusal, part, number)

    def at(self: R, field: str) -> R:
        """Return the same error, attributed to a field of the gateway's own caller."""
        return type(self)(replace(self.refusal, violations=(Violation(field, self.refusal.message),)))


class Overloaded(Refused):
    """The service has as much to do as it can do in time."""


class UnknownWords(Refused):
    """No word of a query is in the vocabulary."""


class InvalidCrop(Refused):
    """The crop box is empty or outside the image."""


class ModelNotFound(Refused):
    """No model has that id."""


class IndexNotFound(Refused):
    """No index has that name."""


class IndexExists(Refused):
    """An index with that name exists."""


class SnapshotEnded(Refused):
    """The index no longer holds the snapshot."""


class ModelMismatch(Refused):
    """The vector and the index's items come from different models."""


class PositionOutOfDate(Refused):
    """The index is not the one that the search began in."""


class RecordChanged(Refused):
    """A shared record has another version than the one to be replaced."""
