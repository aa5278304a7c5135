"""The indexes of a replica, by name and by alias: the same reads as the writer's catalog, and no writes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

from index_service.contract import Promise
from index_service.errors import IndexNotFound
from index_service.replication.refusals import ReadReplica
from index_service.replication.replica_index import ReplicaIndex
from serving.background import WorkHealth


class ReplicaCatalog:
    """The indexes that a replica has; `show` replaces them as a whole."""

    def __init__(self) -> None:
        self.background: Sequence[WorkHealth] = ()  # a replica merges nothing
        self.lacks: Mapping[Promise, str] = {}
        self.writer = ""
        self._shown: tuple[Mapping[str, ReplicaIndex], Mapping[str, str]] = ({}, {})

    def show(
        self, indexes: Mapping[str, ReplicaIndex], aliases: Mapping[str, str], writer: str
    ) -> Collection[ReplicaIndex]:
        """Replace all indexes and aliases at once, and the writer's address; return the indexes shown before."""
        before = self._shown[0].values()
        self._shown = (dict(indexes), dict(aliases))
        self.writer = writer
        return before

    def has(self, index: ReplicaIndex) -> bool:
        """Return whether an index is shown."""
        return index in self._shown[0].values()

    def get(self, name: str) -> ReplicaIndex:
        """Return an index by its name or an alias.

        Raises:
            IndexNotFound: this replica has none of that name yet, or any more.
        """
        indexes, aliases = self._shown
        index = indexes.get(name) or indexes.get(aliases.get(name, ""))
        if index is None:
            raise IndexNotFound(name)
        return index

    def aliases(self, name: str) -> tuple[str, ...]:
        """Return the aliases of an index."""
        return tuple(sorted(alias for alias, target in self._shown[1].items() if target == name))

    def page(self, after: str, limit: int) -> list[ReplicaIndex]:
        """Return the next `limit` indexes whose names sort after `after`."""
        indexes, _ = self._shown
        return [indexes[name] for name in sorted(name for name in indexes if name > after)[:limit]]

    def refuse(self, *_: object) -> NoReturn:
        """Refuse a write.

        Raises:
            ReadReplica: always.
        """
        raise ReadReplica(self.writer)

    create = begin_import = finish_import = delete = set_alias = delete_alias = hold_snapshot = refuse
