"""IndexService over gRPC: each method validates, translates, calls the core and translates back.

The event loop moves messages and runs small searches; all other work with SQLite, vectors or large messages runs on the
call threads. What changes the contents is admitted by `changes`; merging and checking change none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from contextlib import aclosing, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeVar

import grpc.aio
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.index.v1 import index_service_pb2_grpc as pb_grpc
from typing_extensions import override

from index_service.api.call_threads import read, run_to_end, steps
from index_service.api.changes import Changes
from index_service.api.held_snapshots import HeldSnapshots
from index_service.api.importing import fill
from index_service.api.listing import DEFAULT_PAGE, MAX_PAGE, list_descending, list_items
from index_service.api.searching import is_small, search
from index_service.api.translate import checks, exports, indexes, items, listings
from index_service.api.translate.filters import to_path
from index_service.api.upserting import upsert
from index_service.contract import MAX_LOG_BYTES, AnyCatalog, Index
from index_service.coordination.leases import Leases
from index_service.definition import NAME_PATTERN, EngineKind
from index_service.descriptions import CheckProgress, DamagedIndex
from index_service.errors import StoreDamaged, TooManyOperations
from index_service.results import Count
from index_service.thread_work import log_failure
from serving import tracing
from serving.byte_budget import ByteBudget
from serving.errors import InvalidField, InvalidPageToken
from serving.page_tokens import page_size

# Exports, imports and checks that may run at once: each reads or writes a whole index.
_MAX_OPERATIONS = 4

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]


class IndexServicer(pb_grpc.IndexServiceServicer):
    """Serves the indexes of a catalog."""

    def __init__(
        self,
        catalog: AnyCatalog,
        leases: Leases,
        threads: Executor,
        budget: ByteBudget,
        max_snapshot_log_bytes: int = MAX_LOG_BYTES,
        default_engine: EngineKind = EngineKind.ANNOY,
    ) -> None:
        self._catalog = catalog
        self._leases = leases
        self._threads = threads
        self._budget = budget  # bytes of uncommitted writes
        self._snapshots = HeldSnapshots(catalog, threads, max_snapshot_log_bytes)
        self._default_engine = default_engine
        self._operations = 0

    @override
    async def CreateIndex(self, request: pb.CreateIndexRequest, context: Context) -> pb.CreateIndexResponse:
        """Create an index."""
        definition = indexes.to_definition(request.index, self._default_engine)
        index = await self._change(context, lambda: self._catalog.create(definition))
        return pb.CreateIndexResponse(index=await self._describe(index))

    @override
    async def GetIndex(self, request: pb.GetIndexRequest, context: Context) -> pb.GetIndexResponse:
        """Return an index's description."""
        return pb.GetIndexResponse(index=await self._describe(self._find(request.name, "name")))

    @override
    async def ListIndexes(self, request: pb.ListIndexesRequest, context: Context) -> pb.ListIndexesResponse:
        """List the indexes by name."""
        size = page_size(request.page_size, DEFAULT_PAGE, MAX_PAGE)
        if request.page_token and not NAME_PATTERN.fullmatch(request.page_token):
            raise InvalidPageToken
        found = await self._on_thread(lambda: self._catalog.page(request.page_token, size + 1))
        token = _name(found[size - 1]) if len(found) > size else ""
        described = [await self._describe(index) for index in found[:size]]
        return pb.ListIndexesResponse(indexes=described, next_page_token=token)

    @override
    async def DeleteIndex(self, request: pb.DeleteIndexRequest, context: Context) -> pb.DeleteIndexResponse:
        """Delete an index."""
        name = indexes.required(request.name, "name")
        count = await self._change(context, lambda: self._catalog.delete(name))
        return pb.DeleteIndexResponse(deleted_item_count=count)

    @override
    async def UpsertItems(
        self, request_iterator: AsyncIterator[pb.UpsertItemsRequest], context: Context
    ) -> pb.UpsertItemsResponse:
        """Add or replace items, message by message."""
        first = await anext(aiter(request_iterator), None)
        if first is None:
            raise InvalidField("index", "is missing: the stream had no message.")
        index = self._find(first.index, "index")
        index.check_model(first.model_id)
        changes = Changes(self._leases, context)
        with index.bulk() if first.bulk else nullcontext(), self._budget.share() as share:
            count = await upsert(index, first, request_iterator, share, changes, self._threads)
        return pb.UpsertItemsResponse(upserted_count=count)

    @override
    async def DeleteItems(self, request: pb.DeleteItemsRequest, context: Context) -> pb.DeleteItemsResponse:
        """Delete items."""
        index = self._find(request.index, "index")
        delete = items.to_delete(request)
        written = await asyncio.wrap_future(Changes(self._leases, context).submit(lambda: index.delete(delete)))
        return pb.DeleteItemsResponse(deleted_count=written.count, unknown_ids=written.unknown_ids)

    @override
    async def GetItems(self, request: pb.GetItemsRequest, context: Context) -> pb.GetItemsResponse:
        """Return items by id."""
        index = self._find(request.index, "index")
        return await self._on_thread(lambda: _get_items(index, request))

    @override
    async def ListItems(self, request: pb.ListItemsRequest, context: Context) -> pb.ListItemsResponse:
        """List items in the order of first addition, or in descending order of an attribute."""
        index = self._find(request.index, "index")
        if request.descending_by:
            return await list_descending(index, request, self._threads)
        if request.HasField("within"):
            raise InvalidField("within", "needs an order: set `descending_by`, or use Search.")
        return await self._on_thread(lambda: list_items(index, request))

    @override
    async def CountItems(self, request: pb.CountItemsRequest, context: Context) -> pb.CountItemsResponse:
        """Count items, and those within distances of a vector; stop when the caller leaves."""
        index = self._find(request.index, "index")
        if request.vector:
            index.check_model(request.model_id)
        what = listings.to_counting(request, index.definition.dimension)
        count = Count(0, ())
        async with aclosing(
            steps(self._threads, index.count(what.condition, what.near, what.bounds, what.left_out))
        ) as counts:
            async for count in counts:  # noqa: B007 — the last one is the result
                pass
        return pb.CountItemsResponse(item_count=count.items, counts_within=count.within)

    @override
    async def SumAttribute(self, request: pb.SumAttributeRequest, context: Context) -> pb.SumAttributeResponse:
        """Add up a number attribute over all items."""
        index, path = self._find(request.index, "index"), to_path(request.field, "field")
        count, total = await self._on_thread(lambda: index.sum_of(path))
        return pb.SumAttributeResponse(item_count=count, sum=total)

    @override
    async def Search(self, request: pb.SearchRequest, context: Context) -> pb.SearchResponse:
        """Find the nearest items."""
        index = self._find(request.index, "index")
        with tracing.span("search index") as span:
            span.set("semsearch.queries", len(request.queries))
            if is_small(index, request):
                return search(index, request)
            return await self._on_thread(lambda: search(index, request))

    @override
    async def OptimizeIndex(
        self, request: pb.OptimizeIndexRequest, context: Context
    ) -> AsyncIterator[pb.OptimizeIndexResponse]:
        """Fold everything into one segment, or rewrite it; continue even if the caller leaves."""
        index = self._find(request.name, "name")
        loop = asyncio.get_running_loop()
        progress: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue()
        merge = index.optimize(
            lambda done, total: _put_progress(loop, progress, (done, total)), rebuild=request.rebuild
        )
        merge.add_done_callback(lambda _: _put_progress(loop, progress, None))
        last = (0, 0)
        try:
            while (step := await progress.get()) is not None:
                last = step
                if progress.empty():  # a slow caller gets only the newest figure
                    yield pb.OptimizeIndexResponse(done_row_count=last[0], total_row_count=last[1])
        except (asyncio.CancelledError, GeneratorExit):
            log_failure(merge)  # the caller, which would have received the error, has left
            raise
        await asyncio.wrap_future(merge)
        yield pb.OptimizeIndexResponse(
            done_row_count=last[0], total_row_count=last[1], index=await self._describe(index)
        )

    @override
    async def SetAlias(self, request: pb.SetAliasRequest, context: Context) -> pb.SetAliasResponse:
        """Point an alias at an index."""
        alias = indexes.to_name(request.alias, "alias")
        name = indexes.required(request.index, "index")
        previous = await self._change(context, lambda: self._catalog.set_alias(alias, name))
        return pb.SetAliasResponse(previous_index=previous or "")

    @override
    async def DeleteAlias(self, request: pb.DeleteAliasRequest, context: Context) -> pb.DeleteAliasResponse:
        """Remove an alias."""
        alias = indexes.required(request.alias, "alias")
        previous = await self._change(context, lambda: self._catalog.delete_alias(alias))
        return pb.DeleteAliasResponse(previous_index=previous)

    @override
    async def ExportIndex(
        self, request: pb.ExportIndexRequest, context: Context
    ) -> AsyncIterator[pb.ExportIndexResponse]:
        """Stream a snapshot of an index."""
        if request.snapshot_id:
            pieces = self._snapshots.export(request.snapshot_id, request.name)
        else:
            pieces = self._find(request.name, "name").export()
        with self._operation():
            async with aclosing(steps(self._threads, exports.from_pieces(pieces))) as messages:
                async for message in messages:
                    yield message

    @override
    async def HoldSnapshot(
        self, request: pb.HoldSnapshotRequest, context: Context
    ) -> AsyncIterator[pb.HoldSnapshotResponse]:
        """Hold a snapshot of all indexes while the call lasts."""
        async with aclosing(self._snapshots.hold()) as responses:
            async for response in responses:
                yield response

    @override
    async def ImportIndex(
        self, request_iterator: AsyncIterator[pb.ImportIndexRequest], context: Context
    ) -> pb.ImportIndexResponse:
        """Create an index from an export; keep nothing unless the export is complete."""
        first = await anext(request_iterator, None)
        if first is None:
            raise InvalidField("name", "is missing: the stream had no message.")
        name = indexes.to_name(first.name, "name")
        header = exports.to_header(first.piece)
        engine = indexes.to_engine(first.engine, header.definition.engine, "engine")
        changes = Changes(self._leases, context)
        with self._operation():
            importing = await self._on_thread(lambda: self._catalog.begin_import(name, header, engine))
            try:
                index = await fill(
                    importing, header.definition.dimension, request_iterator, self._catalog, changes, self._threads
                )
            finally:
                await run_to_end(self._threads, importing.discard)
        return pb.ImportIndexResponse(index=await self._describe(index))

    @override
    async def CheckIndex(self, request: pb.CheckIndexRequest, context: Context) -> AsyncIterator[pb.CheckIndexResponse]:
        """Check an index for damage; this also works if the damage prevented the index from being opened."""
        last = CheckProgress(0, 0)
        try:
            index = self._find(request.name, "name")
        except StoreDamaged as error:
            yield checks.from_step(checks.report_of(error), last)
            return
        with self._operation():
            async with aclosing(steps(self._threads, index.check())) as found:
                async for step in found:
                    yield checks.from_step(step, last)
                    last = step if isinstance(step, CheckProgress) else last

    @contextmanager
    def _operation(self) -> Iterator[None]:
        """Count a long-running call."""
        if self._operations >= _MAX_OPERATIONS:
            raise TooManyOperations(_MAX_OPERATIONS)
        self._operations += 1
        try:
            yield
        finally:
            self._operations -= 1

    def _find(self, name: str, field: str) -> Index:
        return self._catalog.get(indexes.required(name, field))

    async def _describe(self, index: Index | DamagedIndex) -> pb.Index:
        aliases = self._catalog.aliases(_name(index))
        if isinstance(index, DamagedIndex):
            return indexes.from_damaged(index, aliases)
        return await self._on_thread(lambda: indexes.from_index(index, aliases))

    async def _change(self, context: Context, work: Callable[[], T]) -> T:
        changes = Changes(self._leases, context)
        return await asyncio.wrap_future(changes.submit(lambda: self._threads.submit(work)))

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await read(self._threads, work)


def _get_items(index: Index, request: pb.GetItemsRequest) -> pb.GetItemsResponse:
    return items.to_part(items.to_ids(request.ids), partial(index.items, vectors=request.include_vectors))


def _name(index: Index | DamagedIndex) -> str:
    return index.name if isinstance(index, DamagedIndex) else index.definition.name


def _put_progress(
    loop: asyncio.AbstractEventLoop, steps: asyncio.Queue[tuple[int, int] | None], step: tuple[int, int] | None
) -> None:
    loop.call_soon_threadsafe(steps.put_nowait, step)
