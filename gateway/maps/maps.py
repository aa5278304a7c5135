"""The maps of collections: described, requested, computed one at a time, and read.

A computation is requested by a record (`map_requests`), so that it begins again after a restart, or in the next owner.
`map_maker` computes the map and writes it. Then the request is removed.

The files of maps are this machine's own. A map that was computed on another one is computed again when somebody asks
for it.

If a service does not answer, the computation waits and begins again. Any other failure ends it, and is reported until
the next one begins.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import structlog

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
)
from gateway.maps.changes import brought_up_to_date, count_changes, is_up_to_date
from gateway.maps.map_files import MapFiles, MapHeader, StoredMap
from gateway.maps.map_maker import MapLimits, MapMaker
from gateway.maps.map_metrics import COMPUTATIONS, RUNNING, SECONDS
from gateway.maps.map_requests import KnownMaps, MapRequests
from gateway.maps.map_run import MapProgress, MapRun, Stage
from gateway.search.words import WordsIndex
from serving.background import WorkHealth

_RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


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
        self._requests = requests
        self._files = files
        self._runs: dict[str, MapRun] = {}  # by collection, in the order of the requests
        self._failures: dict[str, str] = {}
        self._computing: tuple[str, asyncio.Task[None]] | None = None
        self._requested = asyncio.Event()
        self._updating = asyncio.Lock()  # held while a map's files are changed
        self._maker = MapMaker(index, words, files, limits or MapLimits(), self._updating)
        self._known: KnownMaps | None = None
        self._remembering = asyncio.Lock()
        self._requesting: asyncio.Task[None] | None = None
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
        run = self._runs[collection] = MapRun(collection)  # at once, so that a second caller joins it
        self._requesting = asyncio.create_task(self._request(run))
        await asyncio.shield(self._requesting)
        return run

    async def _request(self, run: MapRun) -> None:
        try:
            await self._remember()
        except (GatewayError, TimeoutError) as error:
            if self._runs.get(run.collection) is run:  # not cancelled in the meantime
                del self._runs[run.collection]
                run.end(error if isinstance(error, GatewayError) else DependencyUnavailable("index"))
            raise
        self._failures.pop(run.collection, None)
        self._requested.set()

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
                await self._maker.make(run, info)
        except IndexNotFound as error:
            # The collection was emptied, switched to another model or deleted, so the vectors are out of date.
            raise CollectionNotFound(run.collection) from error
        if self._known is not None and info.name not in self._known.computed:
            self._known.computed.append(info.name)
        log.info("computed a map", collection=run.collection, images=info.item_count)

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
