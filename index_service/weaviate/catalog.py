"""All indexes of a cluster, by name and by alias.

Collections and aliases are Weaviate's own: it keeps them on a majority of its nodes, and moves an alias atomically.
This process remembers them, and so one service at a time may use a cluster. While the cluster has not answered yet,
every name that no other backend knows may be one of its: it is unavailable, and not unknown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import structlog
from weaviate import WeaviateClient

from index_service.contract import Promise, Snapshot
from index_service.definition import EngineKind, IndexDefinition
from index_service.descriptions import DamagedIndex, HeldIndex
from index_service.errors import (
    ClusterUnavailable,
    IndexExists,
    IndexInUse,
    IndexNotFound,
    IndexServiceError,
    SnapshotEnded,
)
from index_service.export_format import ExportHeader, ExportPiece
from index_service.weaviate.cluster import Cluster, Options
from index_service.weaviate.collections import Record, complete_schema, create, new_record
from index_service.weaviate.importing import Import
from index_service.weaviate.index import LACKS, Threads, WeaviateIndex
from index_service.weaviate.names import PREFIX, from_weaviate, to_weaviate
from serving.background import WorkHealth

_RETRY_SECONDS = 1.0
_START_SECONDS = 10.0
_COMMIT_THREADS = 8

log = structlog.get_logger(__name__)


class WeaviateCatalog:
    """The indexes of a cluster; thread-safe."""

    def __init__(self, cluster: Cluster) -> None:
        """Connect in the background, again and again until the cluster answers."""
        self._cluster = cluster
        self._threads = Threads(
            ThreadPoolExecutor(_COMMIT_THREADS, thread_name_prefix="weaviate-commit"),
            ThreadPoolExecutor(1, thread_name_prefix="weaviate-background"),
        )
        self._connecting = WorkHealth("weaviate")
        self._measuring = WorkHealth("weaviate-recall")
        # Held while indexes are created or deleted and aliases change.
        self._lock = threading.RLock()
        self._indexes: dict[str, WeaviateIndex | DamagedIndex] = {}
        self._aliases: dict[str, str] = {}
        self._problem: ClusterUnavailable | None = ClusterUnavailable("it has not been reached yet")
        self._closing = threading.Event()
        self._connector = threading.Thread(target=self._connect, name="weaviate-connect")
        self._connector.start()

    @property
    def lacks(self) -> Mapping[Promise, str]:
        """How these indexes differ from those on this machine."""
        return LACKS

    @property
    def background(self) -> Sequence[WorkHealth]:
        """The health of connecting and of measuring."""
        return (self._connecting, self._measuring)

    def create(self, definition: IndexDefinition) -> WeaviateIndex:
        """Create an index."""
        with self._lock:
            self._check_free(definition.name)
            record = new_record(_created_now(definition), is_complete=True)
            factor = self._cluster.options.replication_factor
            self._cluster.call(lambda client: create(client, record, factor))
            return self._add(record)

    def begin_import(self, name: str, header: ExportHeader, engine: EngineKind | None = None) -> Import:
        """Begin a new index to fill from an export."""
        with self._lock:
            self._check_free(name)
        definition = replace(header.definition, name=name, engine=engine or header.definition.engine)
        return Import(self._cluster, new_record(_created_now(definition), is_complete=False), header)

    def finish_import(self, filled: Import) -> WeaviateIndex:
        """Make a complete import an index."""
        with self._lock:
            self._check_free(filled.definition.name)
            return self._add(filled.finish())

    def get(self, name: str) -> WeaviateIndex:
        """Return an index by its name or an alias."""
        index = self._indexes.get(name) or self._indexes.get(self._aliases.get(name, ""))
        if isinstance(index, DamagedIndex):
            raise index.problem
        if index is None:
            self._check_connected()
            raise IndexNotFound(name)
        return index

    def aliases(self, name: str) -> tuple[str, ...]:
        """Return the aliases of an index, sorted."""
        return tuple(sorted(alias for alias, index in self._aliases.items() if index == name))

    def page(self, after: str, limit: int) -> Sequence[WeaviateIndex | DamagedIndex]:
        """Return the next indexes by name."""
        with self._lock:
            self._check_connected()
            names = sorted(name for name in self._indexes if name > after)
            return [self._indexes[name] for name in names[:limit]]

    def delete(self, name: str) -> int:
        """Delete an index and return its number of items."""
        with self._lock:
            self._check_connected()
            index = self._indexes.get(name)
            if index is None:
                raise IndexNotFound(name)
            if aliases := self.aliases(name):
                raise IndexInUse(name, aliases)
            if isinstance(index, DamagedIndex):
                self._remove(name)
                del self._indexes[name]
                return 0
            index.close()
            try:
                count = index.item_count()
                self._remove(name)
            except BaseException:
                self._add(index.record)  # a closed index writes nothing
                raise
            del self._indexes[name]
            return count

    def set_alias(self, alias: str, name: str) -> str | None:
        """Point an alias at an index and return the one it named."""
        with self._lock:
            self._check_connected()
            if name not in self._indexes:
                raise IndexNotFound(name)
            if alias in self._indexes:
                raise IndexExists(alias)
            previous = self._aliases.get(alias)
            self._cluster.call(lambda client: _point(client, to_weaviate(alias), to_weaviate(name)))
            self._aliases[alias] = name
            return previous

    def delete_alias(self, alias: str) -> str:
        """Remove an alias and return the index it named."""
        with self._lock:
            self._check_connected()
            if alias not in self._aliases:
                raise IndexNotFound(alias)
            self._cluster.call(lambda client: client.alias.delete(alias_name=to_weaviate(alias)))
            return self._aliases.pop(alias)

    @contextmanager
    def hold_snapshot(self) -> Iterator[Snapshot]:
        """Hold all indexes as they are: writes wait until the `with` block ends."""
        with ExitStack() as stack:
            with self._lock:
                self._check_connected()
                indexes = [each for _, each in sorted(self._indexes.items()) if isinstance(each, WeaviateIndex)]
                damaged = sorted(name for name, each in self._indexes.items() if isinstance(each, DamagedIndex))
                for index in indexes:
                    stack.enter_context(index.writer.held)
                snapshot = _Snapshot(
                    indexes, {each.definition.name: self.aliases(each.definition.name) for each in indexes}, damaged
                )
            yield snapshot

    def wait(self, seconds: float) -> None:
        """Wait until the cluster has answered, at most some seconds."""
        self._connector.join(seconds)

    def close(self) -> None:
        """Commit queued writes, and end all connections."""
        self._closing.set()
        self._connector.join()
        with self._lock:
            indexes = [each for each in self._indexes.values() if isinstance(each, WeaviateIndex)]
        for index in indexes:
            index.close()
        for threads in (self._threads.commits, self._threads.background):
            threads.shutdown(cancel_futures=True)
        for index in indexes:
            try:
                index.close_rows()
            except IndexServiceError as error:
                log.warning("rows will be skipped", index=index.definition.name, problem=str(error))
        self._cluster.close()

    def _connect(self) -> None:
        while not self._closing.is_set():
            try:
                records, aliases = self._cluster.call(_stored)
            except Exception as error:  # noqa: BLE001 — reported, and tried again
                expected = isinstance(error, ClusterUnavailable)
                self._problem = error if isinstance(error, ClusterUnavailable) else ClusterUnavailable(str(error))
                self._connecting.failed(error, expected=expected)
                self._closing.wait(_RETRY_SECONDS)
                continue
            with self._lock:
                for name, record in records.items():
                    if isinstance(record, DamagedIndex):
                        self._indexes[name] = record
                    else:
                        self._add(record)
                self._aliases = aliases
                self._problem = None
            self._connecting.succeeded()
            return

    def _add(self, record: Record) -> WeaviateIndex:
        index = WeaviateIndex(self._cluster, record, self._threads, self._measuring)
        self._indexes[record.definition.name] = index
        return index

    def _remove(self, name: str) -> None:
        self._cluster.call(lambda client: client.collections.delete(to_weaviate(name)))

    def _check_connected(self) -> None:
        if self._problem is not None:
            raise self._problem

    def _check_free(self, name: str) -> None:
        self._check_connected()
        to_weaviate(name)
        if name in self._indexes:
            raise IndexExists(name)
        if name in self._aliases:
            raise IndexExists(name, "alias")


class _Snapshot:
    """All indexes of a cluster while their writes are held."""

    def __init__(
        self, indexes: Sequence[WeaviateIndex], aliases: Mapping[str, tuple[str, ...]], damaged: Sequence[str]
    ) -> None:
        self._indexes = {index.definition.name: index for index in indexes}
        self.indexes: Sequence[HeldIndex] = tuple(
            HeldIndex(index.definition, aliases[name]) for name, index in self._indexes.items()
        )
        self.damaged = damaged

    def log_bytes(self) -> int:
        """Return 0: nothing is kept but the indexes themselves."""
        return 0

    def export(self, name: str) -> Generator[ExportPiece, None, None]:
        """Yield the pieces of an export of an index."""
        index = self._indexes.pop(name, None)
        if index is None:
            raise SnapshotEnded(f'it has no index "{name}" any more')
        return index.export_held()


def _stored(client: WeaviateClient) -> tuple[dict[str, Record | DamagedIndex], dict[str, str]]:
    """Return the records of all indexes, and all aliases; remove imports that were never finished.

    Collections of older versions get what they lack.
    """
    records: dict[str, Record | DamagedIndex] = {}
    for collection, config in client.collections.list_all(simple=False).items():
        if not collection.startswith(PREFIX):
            continue
        try:
            record = Record.from_json(config.description or "")
        except (ValueError, KeyError, TypeError) as error:
            name = from_weaviate(collection)
            problem = ClusterUnavailable(f'the description of the collection "{collection}" is not ours ({error})')
            records[name] = DamagedIndex(name, problem)
            continue
        if record.is_complete:
            complete_schema(client, config)
            records[record.definition.name] = record
        else:
            client.collections.delete(collection)
    aliases = {
        from_weaviate(alias): from_weaviate(each.collection)
        for alias, each in client.alias.list_all().items()
        if alias.startswith(PREFIX)
    }
    return records, aliases


def _point(client: WeaviateClient, alias: str, collection: str) -> None:
    """Point an alias at a collection, whether it is new or not."""
    if not client.alias.update(alias_name=alias, new_target_collection=collection):
        client.alias.create(alias_name=alias, target_collection=collection)


def _created_now(definition: IndexDefinition) -> IndexDefinition:
    return replace(definition, created_microseconds=time.time_ns() // 1_000)


@contextmanager
def open_weaviate(options: Options) -> Iterator[WeaviateCatalog]:
    """Open the indexes of a cluster, and close them at the end; wait a moment for the cluster, not for long."""
    catalog = WeaviateCatalog(Cluster(options))
    try:
        catalog.wait(_START_SECONDS)
        yield catalog
    finally:
        catalog.close()
