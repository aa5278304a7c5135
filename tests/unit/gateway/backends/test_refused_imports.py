"""Imports that a service refuses while more is on its way to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator

import grpc
import grpc.aio
import pytest
from grpc_status import rpc_status
from semsearch.embedder.v1 import embedder_service_pb2 as embedder_pb
from semsearch.index.v1 import index_service_pb2 as index_pb
from semsearch.v1 import error_reason_pb2 as reasons

from gateway.backends.backup_clients import IndexTransferClient
from gateway.backends.embedder_client import EmbedderClient
from gateway.backends.refusals import Refused
from gateway.lease import SoleProcess
from serving.error_status import ErrorStatus, build
from tests.method_server import serving_methods

IMPORTS = 100
PARTS = 32
PART = b"x" * 65_536
FULL = build(ErrorStatus(grpc.StatusCode.RESOURCE_EXHAUSTED, reasons.ERROR_REASON_STORAGE_FULL), "The disk is full.")


def refuse(requests: Iterator[bytes], context: grpc.ServicerContext) -> None:
    next(requests)
    context.abort_with_status(rpc_status.to_status(FULL))


async def outcome(importing: Awaitable[object]) -> str:
    with pytest.raises(Exception, match=r".") as caught:
        await importing
    return caught.value.refusal.reason if isinstance(caught.value, Refused) else repr(caught.value)


async def test_an_index_that_is_not_imported_says_why() -> None:
    item = index_pb.ExportedItem(attributes=PART.decode())
    part = index_pb.ExportPiece(items=index_pb.ExportedItems(items=[item])).SerializeToString()

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(PARTS):
            yield part

    handlers = {"ImportIndex": grpc.stream_unary_rpc_method_handler(refuse)}
    with serving_methods("semsearch.index.v1.IndexService", handlers) as address:
        async with grpc.aio.insecure_channel(address) as channel:
            client = IndexTransferClient(channel, SoleProcess())
            reasons_given = Counter([await outcome(client.import_index("name", parts())) for _ in range(IMPORTS)])
    assert reasons_given == {"STORAGE_FULL": IMPORTS}


async def test_a_model_that_is_not_copied_says_why() -> None:
    def files(request: bytes, context: grpc.ServicerContext) -> bytes:
        return embedder_pb.ListModelFilesResponse(files=[embedder_pb.ModelFile(name="a")]).SerializeToString()

    def content(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        for _ in range(PARTS):
            yield embedder_pb.ReadModelFileResponse(content=PART).SerializeToString()

    handlers = {
        "ListModelFiles": grpc.unary_unary_rpc_method_handler(files),
        "ReadModelFile": grpc.unary_stream_rpc_method_handler(content),
        "ImportModel": grpc.stream_unary_rpc_method_handler(refuse),
    }
    with serving_methods("semsearch.embedder.v1.EmbedderService", handlers) as address:
        async with grpc.aio.insecure_channel(address) as channel:
            client = EmbedderClient(channel)
            reasons_given = Counter([await outcome(client.copy_model("id", client)) for _ in range(IMPORTS)])
    assert reasons_given == {"STORAGE_FULL": IMPORTS}
