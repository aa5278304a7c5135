"""Exports and imports through IndexService and EmbedderService; implements `backup_sources`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import grpc.aio
from semsearch.embedder.v1 import embedder_service_pb2 as embedder_pb
from semsearch.embedder.v1 import embedder_service_pb2_grpc as embedder_pb_grpc
from semsearch.index.v1 import index_service_pb2 as index_pb
from semsearch.index.v1 import index_service_pb2_grpc as index_pb_grpc

from gateway.backends.backup_sources import IndexPart, ModelFile, SnapshotIndex
from gateway.backends.embedder_pool import EmbedderPool
from gateway.backends.rpc_errors import calls_to
from gateway.lease import Lease
from serving.servers_status import servers_status

M = TypeVar("M")

_INDEX, _EMBEDDER = "index", "embedder"
# A part has the items whose row numbers, divided by this, are equal; and it ends earlier beyond this many bytes.
_PART_ROWS = 1_024
_PART_BYTES = 2 * 2**20
# A hundred million items to a slow place.
_TRANSFER_SECONDS = 24 * 3_600.0


class _Snapshot:
    """A snapshot that a call of HoldSnapshot holds."""

    def __init__(self, stub: index_pb_grpc.IndexServiceAsyncStub, first: index_pb.HoldSnapshotResponse) -> None:
        self._stub = stub
        self._id = first.snapshot_id
        self.indexes = [SnapshotIndex(each.name, each.model_id, tuple(each.aliases)) for each in first.indexes]
        self.damaged = tuple(first.damaged_indexes)
        self.log_bytes = 0

    async def export(self, name: str) -> AsyncGenerator[IndexPart, None]:
        """Yield the parts of an index, once; raises `SnapshotEnded`."""
        request = index_pb.ExportIndexRequest(name=name, snapshot_id=self._id)
        call = self._stub.ExportIndex(request, timeout=_TRANSFER_SECONDS)
        part = _Part()
        try:
            with calls_to(_INDEX):
                async for response in call:
                    piece = response.piece
                    if piece.HasField("items"):
                        for item in piece.items.items:
                            if part.is_full_before(item):
                                yield part.taken()
                            part.add(item)
                    else:
                        if part.items:
                            yield part.taken()
                        yield IndexPart(piece.SerializeToString(deterministic=True), ())
        finally:
            call.cancel()


class _Part:
    """Items that become a part."""

    def __init__(self) -> None:
        self.items: list[index_pb.ExportedItem] = []
        self._size = 0

    def is_full_before(self, item: index_pb.ExportedItem) -> bool:
        """Return whether an item belongs to the next part."""
        return bool(self.items) and (
            self._size >= _PART_BYTES or item.row // _PART_ROWS != self.items[-1].row // _PART_ROWS
        )

    def add(self, item: index_pb.ExportedItem) -> None:
        """Add the next item."""
        self.items.append(item)
        self._size += item.ByteSize()

    def taken(self) -> IndexPart:
        """Return the part, and begin the next one."""
        items, self.items, self._size = self.items, [], 0
        piece = index_pb.ExportPiece(items=index_pb.ExportedItems(items=items))
        return IndexPart(piece.SerializeToString(deterministic=True), [item.attributes for item in items])


class IndexTransferClient:
    """Implements `gateway.backends.backup_sources.IndexTransfer`."""

    def __init__(self, channel: grpc.aio.Channel, lease: Lease) -> None:
        self._stub: index_pb_grpc.IndexServiceAsyncStub = index_pb_grpc.IndexServiceStub(channel)
        self._lease = lease

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[_Snapshot]:
        """Hold a snapshot until the `with` block ends."""
        call = self._stub.HoldSnapshot(index_pb.HoldSnapshotRequest(), timeout=_TRANSFER_SECONDS)
        try:
            with calls_to(_INDEX):
                snapshot = _Snapshot(self._stub, await anext(aiter(call)))
            following = asyncio.create_task(_follow(call, snapshot))
            try:
                yield snapshot
            finally:
                following.cancel()
        finally:
            call.cancel()

    async def import_index(self, name: str, parts: AsyncIterator[bytes]) -> None:
        """Make an index from the parts of an export."""
        with self._lease.change() as lease, calls_to(_INDEX):
            await _send(self._stub.ImportIndex(timeout=_TRANSFER_SECONDS, metadata=lease), _to_pieces(name, parts))


async def _to_pieces(name: str, parts: AsyncIterator[bytes]) -> AsyncIterator[index_pb.ImportIndexRequest]:
    async for part in parts:
        yield index_pb.ImportIndexRequest(name=name, piece=index_pb.ExportPiece.FromString(part))
        name = ""


async def _follow(call: grpc.aio.UnaryStreamCall[Any, index_pb.HoldSnapshotResponse], snapshot: _Snapshot) -> None:
    """Note what the service reports. If the call ends, exports report it."""
    try:
        async for response in call:
            snapshot.log_bytes = response.log_bytes
    except grpc.aio.AioRpcError:
        return


class ModelTransferClient:
    """Implements `gateway.backends.backup_sources.ModelTransfer` over all embedders."""

    def __init__(self, pool: EmbedderPool) -> None:
        self._pool = pool

    async def list_files(self, model_id: str) -> Sequence[ModelFile]:
        """Return the files of a model, by name."""
        with calls_to(_EMBEDDER):
            response = await self._with_model(model_id).ListModelFiles(embedder_pb.ListModelFilesRequest(id=model_id))
        return [ModelFile(each.name, each.size, each.sha256) for each in response.files]

    async def read_file(self, model_id: str, name: str) -> AsyncGenerator[bytes, None]:
        """Yield the content of a file of a model in parts."""
        request = embedder_pb.ReadModelFileRequest(id=model_id, name=name)
        call = self._with_model(model_id).ReadModelFile(request, timeout=_TRANSFER_SECONDS)
        try:
            with calls_to(_EMBEDDER):
                async for response in call:
                    yield response.content
        finally:
            call.cancel()

    async def import_model(self, model_id: str, parts: Callable[[], AsyncIterator[tuple[str, bytes]]]) -> bool:
        """Make a model on every embedder that is well and lacks it."""
        await self._pool.look_at_all()
        nodes = self._pool.nodes
        lacking = [node.channel for node in nodes if model_id not in (node.models or ())]
        for channel in lacking if nodes else [self._pool.channel]:
            with calls_to(_EMBEDDER):
                await _send(_stub(channel).ImportModel(timeout=_TRANSFER_SECONDS), _to_files(model_id, parts()))
        await self._pool.look_at_all()
        return bool(lacking)

    def _with_model(self, model_id: str) -> embedder_pb_grpc.EmbedderServiceAsyncStub:
        having = [node.channel for node in self._pool.nodes if model_id in (node.models or ())]
        return _stub(having[0] if having else self._pool.channel)


def _stub(channel: grpc.aio.Channel) -> embedder_pb_grpc.EmbedderServiceAsyncStub:
    return embedder_pb_grpc.EmbedderServiceStub(channel)


async def _to_files(
    model_id: str, parts: AsyncIterator[tuple[str, bytes]]
) -> AsyncIterator[embedder_pb.ImportModelRequest]:
    async for name, content in parts:
        yield embedder_pb.ImportModelRequest(id=model_id, name=name, content=content)


async def _send(call: grpc.aio.StreamUnaryCall[M, Any], messages: AsyncIterator[M]) -> None:
    """Send messages one by one, and wait for the answer, which may come before all are sent."""
    try:
        async with servers_status(call):
            with suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):  # the call has ended; its answer says why
                async for message in messages:
                    await call.write(message)
                await call.done_writing()
            await call
    finally:
        call.cancel()
