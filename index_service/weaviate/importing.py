"""Imports: a collection is filled under its name and marked as incomplete, and the mark is removed at the end.

Removing it is the commit point. An incomplete collection is not an index; a start removes those that a crash left.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from weaviate import WeaviateClient

from index_service.definition import IndexDefinition
from index_service.errors import InvalidExport
from index_service.export_format import ExportHeader, ExportTrailer, ImportCheck
from index_service.items import StoredRow
from index_service.weaviate.cluster import Cluster
from index_service.weaviate.collections import Record, create, describe
from index_service.weaviate.names import to_weaviate
from index_service.weaviate.reading import Items
from index_service.weaviate.writing import Rows, Writer


class Import:
    """An index being filled, by one thread at a time; the caller must always discard it at the end."""

    def __init__(self, cluster: Cluster, record: Record, header: ExportHeader) -> None:
        """Prepare an import; touch nothing yet."""
        self._cluster = cluster
        self._record = record
        self._check = ImportCheck(header)
        self._items = Items(cluster, record.definition)
        self._writer = Writer(cluster, self._items, Rows(cluster, record))
        self._is_begun = False
        self._is_finished = False

    @property
    def definition(self) -> IndexDefinition:
        """The definition of the new index."""
        return self._record.definition

    def add(self, rows: Sequence[StoredRow]) -> None:
        """Write the next rows.

        Raises:
            InvalidExport: the rows are not valid after those before.
            ClusterUnavailable: they cannot be written.
        """
        self._check.add(rows)
        self._begin()
        self._writer.insert(rows)

    def complete(self, trailer: ExportTrailer) -> None:
        """Check that the export is complete; raise InvalidExport if it is not."""
        self._begin()
        expected = self._check.complete(trailer)
        if (count := self._items.count(None)) != expected:
            raise InvalidExport(f"it has a duplicate id: {expected} items became {count}")

    def finish(self) -> Record:
        """Remove the mark of an incomplete import: the commit point."""
        record = replace(self._record, is_complete=True, rows_up_to=self._check.last_row)
        self._cluster.call(lambda client: describe(client, record))
        self._is_finished = True
        return record

    def discard(self) -> None:
        """Remove what was written, unless the import is finished."""
        if self._is_begun and not self._is_finished:
            self._cluster.call(self._remove)

    def _remove(self, client: WeaviateClient) -> None:
        """Remove the collection, unless it is another one that took the name first."""
        name = to_weaviate(self.definition.name)
        if not client.collections.exists(name):
            return
        with suppress(ValueError, KeyError, TypeError):  # not one of ours
            if Record.from_json(client.collections.use(name).config.get().description or "").uid == self._record.uid:
                client.collections.delete(name)

    def _begin(self) -> None:
        if not self._is_begun:
            self._is_begun = True
            factor = self._cluster.options.replication_factor
            self._cluster.call(lambda client: create(client, self._record, factor))
