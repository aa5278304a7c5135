"""The errors of leases and records.

IndexServiceError
├── LeaseLost                a change, under a lease that its caller no longer holds
├── RecordChanged            a record has another version than its writer expects
└── TooManyNames             the limit of leases or of records is reached
"""

from __future__ import annotations

from index_service.errors import IndexServiceError


class LeaseLost(IndexServiceError):
    """A change under a lease that its caller no longer holds."""

    def __init__(self, lease: str, number: int) -> None:
        super().__init__(
            f'The lease "{lease}" is no longer held under the number {number}, so nothing was changed. '
            "Whoever holds it now makes changes; acquire it again to make some."
        )
        self.lease = lease


class RecordChanged(IndexServiceError):
    """A record has another version than its writer expects."""

    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            f'The record "{name}" has version {version}, so somebody else has written it. Nothing was changed; '
            "read it again."
        )
        self.version = version


class TooManyNames(IndexServiceError):
    """The limit of leases or of records is reached."""

    def __init__(self, kind: str, limit: int) -> None:
        super().__init__(f"There are {limit} {kind} already, which is the limit. Nothing was written.")
        self.limit = limit
