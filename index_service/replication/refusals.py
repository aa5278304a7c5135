"""Why a read replica refuses a call.

IndexServiceError
├── ReadReplica              a replica was asked to write
├── ReplicaBehind            a replica has not yet what the caller must see
└── ReplicaStale             a replica may be further behind than its limit
"""

from __future__ import annotations

from index_service.errors import IndexServiceError


class ReadReplica(IndexServiceError):
    """A replica was asked to write."""

    def __init__(self, writer: str) -> None:
        super().__init__(
            "This index service is a read replica, which only answers reads. "
            f"Send the call to the writer{f', {writer}' if writer else ''}."
        )
        self.writer = writer


class ReplicaBehind(IndexServiceError):
    """A replica has not yet what the caller must see."""

    def __init__(self) -> None:
        super().__init__(
            "This read replica does not have the change yet that the call must see. Ask the writer, or try again."
        )


class ReplicaStale(IndexServiceError):
    """A replica may be further behind than its limit."""

    def __init__(self, age_seconds: float | None, limit_seconds: float) -> None:
        known = "It is not known" if age_seconds is None else f"For {age_seconds:.1f} s it has not been known"
        limit = f"the limit is {limit_seconds:g} s" if limit_seconds else "it has nothing yet"
        super().__init__(
            f"{known} whether this read replica is behind the writer; {limit}. It answers "
            "again as soon as the writer publishes and the object store can be read. Ask the writer meanwhile."
        )
        self.age_seconds = age_seconds
        self.limit_seconds = limit_seconds
