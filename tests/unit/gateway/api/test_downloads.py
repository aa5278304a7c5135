"""Downloads that are not read, over gRPC: a real server on a core over doubles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from semsearch.v1 import gallery_service_pb2 as pb
from semsearch.v1 import gallery_service_pb2_grpc as pb_grpc

from gateway.api import downloads
from gateway.api.gallery_servicer import GalleryServicer
from gateway.api.statuses import ERRORS
from gateway.collections.gallery import Download, Gallery
from gateway.collections.images import StoredImage
from serving.byte_budget import ByteBudget
from serving.interceptors import CallInterceptor
from serving.page_tokens import PageTokens
from tests.unit.gateway.core import Core, upload
from tests.unit.gateway.doubles import picture

SECONDS = 20.0
IMAGE_BYTES = 16 * 2**20  # more than gRPC and the sockets buffer
READERS, AT_A_TIME = 20, 4
REQUEST = pb.DownloadImageRequest(id="large", rendition=pb.RENDITION_ORIGINAL)

Reader = Any  # a call whose messages are read one by one


@dataclass
class Downloads:
    """A gateway whose only image is large, and which may hold a few of it."""

    stub: pb_grpc.GalleryServiceStub
    budget: ByteBudget
    reads: int = 0

    def begin(self) -> Reader:
        return self.stub.DownloadImage(REQUEST, timeout=SECONDS)


@pytest_asyncio.fixture
async def gateway(core: Core, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Downloads]:
    get = Gallery.get

    async def get_large(self: Gallery, collection: str, image_id: str) -> StoredImage:
        return replace(await get(self, collection, image_id), size_bytes=IMAGE_BYTES)

    async def read_large(*_: object) -> Download:
        gateway.reads += 1
        return Download("image/png", bytes(IMAGE_BYTES))

    monkeypatch.setattr(Gallery, "get", get_large)
    monkeypatch.setattr(Gallery, "read", read_large)
    await core.add(upload(1, picture("red"), "large"))
    budget = ByteBudget(AT_A_TIME * IMAGE_BYTES)
    server = grpc.aio.server(interceptors=[CallInterceptor(ERRORS)])
    servicer = GalleryServicer(
        core.gallery, core.duplicates, core.ingest, core.collections, PageTokens(lambda: b"key"), budget
    )
    pb_grpc.add_GalleryServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop, None)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        gateway = Downloads(pb_grpc.GalleryServiceStub(channel), budget)
        yield gateway


async def read_all(reader: Reader) -> None:
    while await reader.read() is not grpc.aio.EOF:
        pass


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_download_is_whole(gateway: Downloads) -> None:
    messages = [message async for message in gateway.begin()]
    assert (messages[0].media_type, messages[0].size_bytes) == ("image/png", IMAGE_BYTES)
    assert sum(len(message.chunk) for message in messages) == IMAGE_BYTES
    await until(lambda: not gateway.budget.taken)


async def test_downloads_that_are_not_read_hold_no_more_than_the_budget_and_others_wait(gateway: Downloads) -> None:
    readers = [gateway.begin() for _ in range(READERS)]
    first = [asyncio.create_task(reader.read()) for reader in readers]
    await until(lambda: sum(each.done() for each in first) == AT_A_TIME)
    assert (gateway.reads, gateway.budget.taken) == (AT_A_TIME, AT_A_TIME * IMAGE_BYTES)
    next(reader for reader, read in zip(readers, first, strict=True) if read.done()).cancel()
    await until(lambda: sum(each.done() for each in first) == AT_A_TIME + 1)
    assert (gateway.reads, gateway.budget.taken) == (AT_A_TIME + 1, AT_A_TIME * IMAGE_BYTES)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*first, return_exceptions=True)
    await until(lambda: not gateway.budget.taken)


async def test_a_reader_that_stalls_loses_its_download_to_those_who_wait(
    gateway: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "STALL_SECONDS", 0.1)
    readers = [gateway.begin() for _ in range(READERS)]
    await asyncio.gather(*(reader.read() for reader in readers))
    await until(lambda: not gateway.budget.taken)
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await read_all(readers[0])
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "was not read for 0.1 s" in (failed.value.details() or "")
    for reader in readers:
        reader.cancel()
