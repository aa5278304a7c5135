"""The calls of the benchmark: searches and uploads. Each function runs in a process of its own."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from itertools import count

import grpc.aio
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image
from semsearch.v1 import (
    gallery_service_pb2,
    gallery_service_pb2_grpc,
    search_service_pb2,
    search_service_pb2_grpc,
)

from benchmarks.overload.arrivals import Call, Outcomes, closed_loop, open_loop

SEARCHES, UPLOADS = "searches", "uploads"
IMAGES = 4
SECONDS_LEFT = 10.0  # deadlines of the calls
_EDGE = 96


def closed(address: str, what: str, clients: int, seconds: float) -> Outcomes:
    """Measure a closed loop of calls of a kind."""
    return asyncio.run(_with_calls(address, what, lambda call: closed_loop(call, clients, seconds)))


def offered(address: str, what: str, a_second: float, seconds: float) -> Outcomes:
    """Measure an open loop of calls of a kind."""
    return asyncio.run(_with_calls(address, what, lambda call: open_loop(call, a_second, seconds)))


async def _with_calls(address: str, what: str, measure: Callable[[Call], Awaitable[Outcomes]]) -> Outcomes:
    """Measure with calls of a kind, no two of which are the same: nothing is remembered."""
    source = np.random.default_rng()
    numbers = count(int(source.integers(1 << 40)))
    async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        searches: search_service_pb2_grpc.SearchServiceAsyncStub = search_service_pb2_grpc.SearchServiceStub(channel)
        galleries: gallery_service_pb2_grpc.GalleryServiceAsyncStub = gallery_service_pb2_grpc.GalleryServiceStub(
            channel
        )

        def search() -> grpc.aio.UnaryUnaryCall[
            search_service_pb2.SearchByTextRequest, search_service_pb2.SearchByTextResponse
        ]:
            query = f"dog flower^{1 + next(numbers) % 10**6 / 10**6:.6f}"
            request = search_service_pb2.SearchByTextRequest(query=query, page_size=10)
            return searches.SearchByText(request, timeout=SECONDS_LEFT)

        def upload() -> grpc.aio.UnaryUnaryCall[
            gallery_service_pb2.BatchIndexImagesRequest, gallery_service_pb2.BatchIndexImagesResponse
        ]:
            images = [
                gallery_service_pb2.ImageUpload(sequence=number + 1, content=_picture(source))
                for number in range(IMAGES)
            ]
            return galleries.BatchIndexImages(
                gallery_service_pb2.BatchIndexImagesRequest(images=images), timeout=SECONDS_LEFT
            )

        return await measure(search if what == SEARCHES else upload)


def _picture(source: np.random.Generator) -> bytes:
    """Return a small picture that no other is the same as."""
    colours = source.integers(0, 255, (3, 3, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(colours).resize((_EDGE, _EDGE)).save(file, "JPEG")
    return file.getvalue()


def empty_calls(address: str, seconds: float) -> Outcomes:
    """Measure empty calls, ten a second, which pass no gate: what the machine adds to every answer."""
    return asyncio.run(_empty_calls(address, seconds))


async def _empty_calls(address: str, seconds: float) -> Outcomes:
    async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        return await open_loop(lambda: check(health_pb2.HealthCheckRequest(), timeout=SECONDS_LEFT), 10.0, seconds)
