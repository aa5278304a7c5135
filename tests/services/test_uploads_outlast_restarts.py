"""The only gateway is killed in the middle of an upload, and is away for longer than other calls wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from semsearch import AsyncClient, Client, Retries, SemsearchError, ServerUnreachable, UploadResult

from tests.ports import free_ports
from tests.services.gateway_stack import START_SECONDS, Service, color_embedder, service, wait_for_health
from tests.unit.gateway.doubles import ColorEmbedder, overloaded, picture

IMAGES = [picture("red", seed=number) for number in range(30)]
EMBEDDED_BEFORE = 10
# How often other calls wait.
SHORT_WAITS = 4
pytestmark = pytest.mark.parametrize("kind", ["Client", "AsyncClient"])


@dataclass
class Gateway:
    """A gateway that starts on the same port again; `embedder` is what it embeds with."""

    flags: tuple[str, ...]
    address: str
    embedder: ColorEmbedder

    @asynccontextmanager
    async def started(self) -> AsyncIterator[Service]:
        """Run the gateway, from the moment that it serves."""
        async with service("gateway", *self.flags) as running:
            async with grpc.aio.insecure_channel(running.address) as channel:
                await wait_for_health(channel, "", health_pb2.HealthCheckResponse.SERVING)
            yield running


@asynccontextmanager
async def only_gateway(data: Path) -> AsyncIterator[Gateway]:
    [port] = free_ports(1)
    async with (
        color_embedder() as (servicer, embedder_port),
        service("index_service", "--port=0", f"--data={data}") as index,
    ):
        flags = (f"--port={port}", f"--data={data}", f"--embedder=127.0.0.1:{embedder_port}")
        yield Gateway((*flags, f"--index={index.address}"), f"127.0.0.1:{port}", servicer.embedder)


@dataclass
class Progress:
    """The results so far, how often the client has waited for its server, and whether the upload is over."""

    results: list[UploadResult] = field(default_factory=list)
    waits: int = 0
    is_over: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def answer(self, result: UploadResult) -> None:
        with self._changed:
            self.results.append(result)
            self._changed.notify_all()

    def wait(self, error: SemsearchError, seconds: float) -> None:
        with self._changed:
            self.waits += 1
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self.is_over = True
            self._changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition is true, or the upload is over."""

        def reached() -> bool:
            with self._changed:
                return self._changed.wait_for(lambda: self.is_over or condition(), START_SECONDS)

        assert await asyncio.to_thread(reached)


async def upload(kind: str, address: str, progress: Progress, **retries: Any) -> None:
    """Upload all images with a client of a kind."""
    policy = Retries(on_wait=progress.wait, **retries)

    def upload_blocking() -> None:
        with Client(address, retries=policy) as client:
            for result in client.index_images(IMAGES):
                progress.answer(result)

    try:
        if kind == "Client":
            await asyncio.to_thread(upload_blocking)
            return
        async with AsyncClient(address, retries=policy) as client:
            async for result in client.index_images(IMAGES):
                progress.answer(result)
    finally:
        progress.end()


async def interrupted(gateway: Gateway, kind: str, progress: Progress, **retries: Any) -> asyncio.Task[None]:
    """Start an upload, kill the gateway once some images are answered and others wait, and return the upload."""

    def refuse() -> None:
        if gateway.embedder.embedded_images >= EMBEDDED_BEFORE:
            raise overloaded(0.02)

    gateway.embedder.before_images = refuse
    async with gateway.started() as running:
        uploading = asyncio.create_task(upload(kind, gateway.address, progress, **retries))
        await progress.until(lambda: bool(progress.results))
        running.process.kill()
        await running.process.wait()
    gateway.embedder.before_images = lambda: None
    return uploading


async def test_each_image_is_stored_once_and_answered_when_the_gateway_is_back(tmp_path: Path, kind: str) -> None:
    progress = Progress()
    async with only_gateway(tmp_path) as gateway:
        uploading = await interrupted(gateway, kind, progress)
        before, waits = len(progress.results), progress.waits
        await progress.until(lambda: progress.waits > waits + SHORT_WAITS)
        async with gateway.started(), AsyncClient(gateway.address) as client:
            await uploading
            stored = [image.id async for image in client.list_images()]
    assert 0 < before < len(IMAGES)
    assert [result.number for result in progress.results] == list(range(len(IMAGES)))
    assert not [result.error for result in progress.results if result.error]
    assert sorted(stored) == sorted(result.id for result in progress.results)


async def test_a_gateway_that_stays_away_ends_the_upload_after_its_patience(tmp_path: Path, kind: str) -> None:
    progress = Progress()
    retries = {"first_delay": 0.01, "longest_delay": 0.1, "patience": 1.0}
    async with only_gateway(tmp_path) as gateway:
        uploading = await interrupted(gateway, kind, progress, **retries)
        with pytest.raises(ServerUnreachable, match=f"No semsearch answers at {gateway.address}"):
            await uploading
    assert progress.waits > SHORT_WAITS
