"""What goes wrong between a writer and its replicas. No caller gets these errors: the next attempt follows.

ReplicationError
├── NothingPublished         nothing was published where a replica looks
├── EarlierWriter            a writer that was replaced has published
├── NotTheWriter             another writer has begun to publish to the same place
├── PlaceDamaged             an object is not what was published
└── PlaceTooNew              a newer version of this program published
"""

from __future__ import annotations


class ReplicationError(Exception):
    """The base of these errors."""


class NothingPublished(ReplicationError):
    """Nothing was published where a replica looks."""

    def __init__(self) -> None:
        super().__init__(
            "There is nothing to replicate at this place yet. Start the writer with SEMSEARCH_INDEX_PUBLISH set to it."
        )


class EarlierWriter(ReplicationError):
    """A writer that was replaced has published."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"The index service {address} has published, but this replica has seen a later writer. Stop the earlier "
            "one. If the place was emptied on purpose, empty this replica's folder too."
        )


class NotTheWriter(ReplicationError):
    """Another writer has begun to publish to the same place."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"Another index service ({address}) publishes to the same place and began later, so this one no longer "
            "does. Stop one of the two, or give them different places."
        )


class PlaceDamaged(ReplicationError):
    """An object is not what was published."""


class PlaceTooNew(ReplicationError):
    """A newer version of this program published."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"The published indexes have format version {found}, but this program reads versions up to {known}. "
            "Nothing was changed; run the newer program."
        )
