"""The maps of collections: described, computed one at a time, and read.

A computation is requested by a record (`map_requests`), so that it begins again after a restart, or in the next owner:

1. The vectors are copied from the index to a file, page by page.
2. A process computes the principal places, then those by neighbours (`computation`). Where the collection has no map
   yet, the first is shown while the second is computed.
3. The map is written: the commit point. Its regions then get their words from the words index.
4. The request is removed.

The files of maps are this machine's own. A map that was computed on another one is computed again when somebody asks
for it.

If a service does not answer, the computation waits and begins again. Any other failure ends it, and is reported until
the next one begins.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
import structlog

from gateway.backends.embedding import Vector
from gateway.backends.refusals import IndexNotFound
from gateway.backends.vector_index import IndexInfo, VectorIndex
from gateway.collections.names import ALIAS_PREFIX, alias_of, errors_of
from gateway.errors import (
    CollectionNotFound,
    DependencyUnavailable,
    GatewayError,
    MapCancelled,
    MapFailed,
    MapNotFound,
    MapNotStored,
    WordsNotReady,
)
from gateway.maps.changes import brought_up_to_date, count_changes, is_up_to_date
from gateway.maps.computation import Computed, compute
from gateway.maps.computing import VECTORS
from gateway.maps.layouts import can_be_neighborly
from gateway.maps.map_files import MapFiles, MapHeader, Region, StoredMap
from gateway.maps.map_metrics import COMPUTATIONS, RUNNING, SECONDS
from gateway.maps.map_requests import KnownMaps, MapRequests
from gateway.maps.map_run import MapProgress, MapRun, Stage
from gateway.search.words import WordsIndex
from serving.background import WorkHealth

_PAGE = 1_000
_WORDS = 3
# Among these, a region can find a first word that no larger region has.
_WORD_CANDIDATES = 8
_RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class MapLimits:
    """The resources of the process that computes a map."""

    threads: int = 1
    memory_bytes: int = 4 * 2**30


@dataclass(frozen=True)
class MapState:
    """A collection's map, without its places; the computation in progress; why the last one failed, or ""."""

    header: MapHeader | None
    progress: MapProgress | None
    failure: str


class Maps:
    """Computes, describes and reads maps."""

    def __init__(
        self,
        index: VectorIndex,
        words: WordsIndex,
        requests: MapRequests,
        files: MapFiles,
        limits: MapLimits | None = None,
        health: WorkHealth | None = None,
    ) -> None:
        self._index = index
        self._words = words
        self._requests = requests
        self._files = files
        self._limits = limits or MapLimits()
        self._runs: dict[str, MapRun] = {}  # by collection, in the order of the requests
        self._failures: dict[str, str] = {}
        self._computing: tuple[str, asyncio.Task[None]] | None = None
        self._requested = asyncio.Event()
        self._updating = asyncio.Lock()
        self._known: KnownMaps | None = None
        self._remembering = asyncio.Lock()
        self._requesting: asyncio.Task[MapRun] | None = None
        self.health = health or WorkHealth("mapping")

    async def keep_mapping(self) -> None:
        """Compute the maps that are requested, and those that a stop interrupted; run until cancelled."""
        while True:
            try:
                async with self._remembering:
                    await self._recall()
            except (GatewayError, TimeoutError) as error:
                self.health.failed(error, expected=True)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                break
        while True:
            self._requested.clear()
            while self._runs:
                run = next(iter(self._runs.values()))
                await self._finish(run)
                if self._runs.get(run.collection) is run:
                    del self._runs[run.collection]
            self.health.succeeded()
            await self._requested.wait()

    async def describe(self, collection: str) -> MapState:
        """Describe a collection's map; raises `CollectionNotFound`."""
        info = await self._info(collection)
        header = await self._header_of(collection, info)
        run = self._runs.get(collection)
        if run is None and header is None and self._known is not None and info.name in self._known.computed:
            self._known.computed.remove(info.name)  # if it fails here, it is not tried for ever
            run = await self._request_safely(collection)
        if run is not None and not run.ended:
            return MapState(header, run.progress, "")
        return MapState(header, None, self._failures.get(collection, ""))

    async def compute(self, collection: str, *, again: bool = False) -> AsyncGenerator[MapProgress, None]:
        """Compute a collection's map, or join the computation in progress; yield the progress.

        Yields nothing if the map is up to date, unless it is to be computed `again`.

        Raises:
            CollectionNotFound: the collection does not exist, or was deleted in the meantime.
            MapCancelled: the computation was cancelled.
            MapFailed, MapNotStored: the computation failed.
        """
        header = await self._header(collection)
        run = self._runs.get(collection)
        if run is None or run.ended:
            if header is not None and is_up_to_date(header) and not again:
                return
            run = await self._request_safely(collection)
        async for progress in run.watch():
            yield progress

    async def cancel(self, collection: str) -> bool:
        """Stop the computation of a collection's map, and return whether there was one."""
        run = self._runs.get(collection)
        if run is None or run.ended:
            return False
        del self._runs[collection]
        run.end(MapCancelled(collection))
        if self._computing is not None and self._computing[0] == collection:
            self._computing[1].cancel()
        await self._remember()
        return True

    async def read(self, collection: str) -> StoredMap:
        """Return a collection's map with all its images.

        Raises:
            CollectionNotFound: the collection does not exist.
            MapNotFound: it has no map.
        """
        info = await self._info(collection)
        async with self._updating:
            stored = await asyncio.to_thread(self._files.read, info.name)
            if stored is None:
                raise MapNotFound(collection)
            with errors_of(collection):
                updated = await brought_up_to_date(self._index, info, stored)
            if updated is not stored:
                await asyncio.to_thread(self._files.write, info.name, updated)
            return updated

    async def _finish(self, run: MapRun) -> None:
        """Compute one map, with a new attempt whenever a service does not answer."""
        while not run.ended:
            attempt = asyncio.create_task(self._attempt(run))
            self._computing = run.collection, attempt
            try:
                await asyncio.wait([attempt])
            finally:
                self._computing = None
                attempt.cancel()
            error = None if attempt.cancelled() else attempt.exception()
            if run.ended:
                COMPUTATIONS.labels("cancelled").inc()
            elif isinstance(error, DependencyUnavailable | TimeoutError):
                self.health.failed(error, expected=True)
                await asyncio.sleep(_RETRY_SECONDS)
            elif error is None or isinstance(error, GatewayError):
                await self._end(run, error)
            else:  # it must not keep other maps waiting
                log.error("internal error", collection=run.collection, exc_info=error)
                await self._end(run, MapFailed("an error inside semsearch; the gateway's log has the details"))
        await asyncio.to_thread(shutil.rmtree, self._files.scratch(), ignore_errors=True)

    async def _end(self, run: MapRun, error: GatewayError | None = None) -> None:
        COMPUTATIONS.labels("failed" if error else "done").inc()
        if isinstance(error, MapFailed | MapNotStored):
            self._failures[run.collection] = str(error)
            self.health.failed(error, run.collection, expected=True, event="a map could not be computed")
        else:
            self.health.succeeded(run.collection)
        run.end(error)
        try:
            await self._remember()
        except (GatewayError, TimeoutError) as failure:  # the next owner computes this map again, and no harm is done
            log.warning("a finished computation of a map is still recorded", problem=str(failure))

    async def _request_safely(self, collection: str) -> MapRun:
        """Request a map in a task of its own: a cancelled call must not separate the record from the run."""
        self._requesting = asyncio.create_task(self._request(collection))
        return await asyncio.shield(self._requesting)

    async def _request(self, collection: str) -> MapRun:
        run = self._runs[collection] = MapRun(collection)
        try:
            await self._remember()
        except (GatewayError, TimeoutError) as error:
            del self._runs[collection]
            run.end(error if isinstance(error, GatewayError) else DependencyUnavailable("index"))
            raise
        self._failures.pop(collection, None)
        self._requested.set()
        return run

    async def _remember(self) -> None:
        """Record which maps are still to be computed, and which were."""
        async with self._remembering:
            known = await self._recall()
            known.wanted = [name for name, run in self._runs.items() if not run.ended]
            await self._requests.write(known)

    async def _recall(self) -> KnownMaps:
        """Return what is recorded of maps; the first time, take over what an earlier process has not finished."""
        if self._known is None:
            self._known = await self._requests.read()
            for collection in self._known.wanted:
                self._runs.setdefault(collection, MapRun(collection))
        return self._known

    async def _attempt(self, run: MapRun) -> None:
        info = await self._info(run.collection)
        await self._remove_unused()
        run.advance(Stage.READING, 0.0)
        try:
            with RUNNING.track_inprogress(), SECONDS.time():
                await self._compute(run, info)
        except IndexNotFound as error:
            # The collection was emptied, switched to another model or deleted, so the vectors are out of date.
            raise CollectionNotFound(run.collection) from error
        log.info("computed a map", collection=run.collection, images=info.item_count)

    async def _compute(self, run: MapRun, info: IndexInfo) -> None:
        scratch = self._files.scratch()
        ids, cursor, dimension = await self._copy_vectors(run, info, scratch)
        existing = await asyncio.to_thread(self._files.read_header, info.name)
        final = not can_be_neighborly(len(ids))
        async with aclosing(compute(scratch, dimension, self._limits.threads, self._limits.memory_bytes)) as steps:
            async for step in steps:
                if not isinstance(step, Computed):
                    run.advance(Stage[step.stage.upper()], step.fraction)
                elif final or step.neighborly or existing is None:
                    stored = _stored(step, info, ids, cursor, final=final or step.neighborly)
                    async with self._updating:
                        await asyncio.to_thread(self._files.write, info.name, stored)
                    run.show(stored.header.revision)
        await self._find_words(run, info)
        if self._known is not None and info.name not in self._known.computed:
            self._known.computed.append(info.name)

    async def _copy_vectors(self, run: MapRun, info: IndexInfo, scratch: Path) -> tuple[list[str], str, int]:
        """Copy an index's vectors to a file; return the items' ids, the last page's token and the dimension."""
        ids: list[str] = []
        cursor = token = ""
        dimension = 1
        await asyncio.to_thread(_renew, scratch)
        with (scratch / VECTORS).open("wb") as file:
            while True:
                items, token = await self._index.list_items(info.name, page_size=_PAGE, page_token=cursor, vectors=True)
                vectors = [each.vector for each in items if each.vector is not None]
                ids += [each.id for each in items]
                if vectors:
                    dimension = len(vectors[0])
                    await asyncio.to_thread(_append, file, vectors)
                run.advance(Stage.READING, len(ids) / max(info.item_count, len(ids), 1))
                if not token:
                    return ids, cursor, dimension
                cursor = token

    async def _find_words(self, run: MapRun, info: IndexInfo) -> None:
        header = await asyncio.to_thread(self._files.read_header, info.name)
        regions = header.regions if header else ()
        words: list[tuple[str, ...]] = []
        for region in regions:
            run.advance(Stage.WORDS, len(words) / len(regions))
            candidates = await self._words_of(region, info.model_id)
            words.append(_own_first(candidates, {each[0] for each in words if each})[:_WORDS])
        async with self._updating:
            await asyncio.to_thread(self._files.change_words, info.name, words)
        run.show(header.revision if header else "")

    async def _words_of(self, region: Region, model_id: str) -> tuple[str, ...]:
        while True:
            try:
                found = await self._words.nearest_tags(region.mean, _WORD_CANDIDATES, model_id)
            except WordsNotReady:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return tuple(each.id for each in found)

    async def _remove_unused(self) -> None:
        """Remove the maps of indexes that no collection names any more."""
        infos = await self._index.list_all()
        used = [each.name for each in infos if any(alias.startswith(ALIAS_PREFIX) for alias in each.aliases)]
        if self._known is not None:
            self._known.computed = [each for each in self._known.computed if each in used]
        await asyncio.to_thread(self._files.remove_all_but, used)

    async def _info(self, collection: str) -> IndexInfo:
        with errors_of(collection):
            return await self._index.get(alias_of(collection))

    async def _header(self, collection: str) -> MapHeader | None:
        """Return the header of a collection's map, with all changes counted."""
        return await self._header_of(collection, await self._info(collection))

    async def _header_of(self, collection: str, info: IndexInfo) -> MapHeader | None:
        stored = await asyncio.to_thread(self._files.read, info.name)
        if stored is None:
            return None
        with errors_of(collection):
            return await count_changes(self._index, info, stored)


def _stored(computed: Computed, info: IndexInfo, ids: list[str], cursor: str, *, final: bool) -> StoredMap:
    regions = computed.regions
    header = MapHeader(
        revision=secrets.token_hex(8),
        model_id=info.model_id,
        create_time=datetime.now(UTC),
        neighborly=computed.neighborly,
        final=final,
        cursor=cursor,
        computed_count=len(ids),
        added_count=0,
        deleted_count=0,
        regions=tuple(
            Region((), float(x), float(y), int(count), ids[row], mean)
            for count, (x, y), mean, row in zip(
                regions.counts, regions.middles, regions.means, regions.rows, strict=True
            )
        ),
    )
    return StoredMap(header, ids, computed.places)


def _own_first(words: tuple[str, ...], taken: set[str]) -> tuple[str, ...]:
    """Move the first word that is not taken to the front, so that two regions of dogs are "dog" and "puppy"."""
    own = next((word for word in words if word not in taken), None)
    return words if own is None else (own, *(word for word in words if word != own))


def _renew(folder: Path) -> None:
    """Create a folder anew; raises `MapNotStored`."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise MapNotStored(error.strerror or str(error)) from error


def _append(file: BinaryIO, vectors: Sequence[Vector]) -> None:
    """Write vectors to a file; raises `MapNotStored`."""
    try:
        file.write(np.stack(vectors).astype("<f4", copy=False).tobytes())
    except OSError as error:
        raise MapNotStored(error.strerror or str(error)) from error
