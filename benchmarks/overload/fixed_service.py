"""A gateway whose calls take a fixed time, so that a busy machine does not change what it could answer.

    .venv/bin/python -m benchmarks.overload.fixed_service --workers=2 --search-seconds=0.05

It has the real server, gates and lanes. A search and an upload of one image wait for a worker, in the order in which
they come, and keep it for their time.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import grpc
import grpc.aio
from google.protobuf.message import Message
from pydantic import Field
from semsearch.v1 import gallery_service_pb2 as galleries
from semsearch.v1 import search_service_pb2 as searches

from gateway.api.method_lanes import METHOD_LANES
from serving.safeguards import Methods
from serving.server import GrpcService, Served, run
from serving.settings import ServiceSettings, load_settings

Context = grpc.aio.ServicerContext[Any, Any]


class FixedSettings(ServiceSettings):
    """The settings of the service."""

    service: ClassVar[str] = "gateway"

    workers: int = Field(2, ge=1, description="Calls that are worked on at the same time.")
    search_seconds: float = Field(0.05, gt=0, description="How long a search keeps a worker.")
    upload_seconds: float = Field(0.2, gt=0, description="How long an upload keeps a worker.")


def services(settings: FixedSettings) -> list[GrpcService]:
    """Return the services, each with one method."""
    workers = asyncio.Semaphore(settings.workers)

    def method(
        seconds: float, request: type[Message], response: type[Message]
    ) -> grpc.RpcMethodHandler[Message, Message]:
        async def answer(_: Message, __: Context) -> Message:
            async with workers:
                await asyncio.sleep(seconds)
            return response()

        return grpc.unary_unary_rpc_method_handler(answer, request.FromString, response.SerializeToString)

    search = method(settings.search_seconds, searches.SearchByTextRequest, searches.SearchByTextResponse)
    upload = method(settings.upload_seconds, galleries.BatchIndexImagesRequest, galleries.BatchIndexImagesResponse)
    methods = {
        searches.DESCRIPTOR.services_by_name["SearchService"].full_name: {"SearchByText": search},
        galleries.DESCRIPTOR.services_by_name["GalleryService"].full_name: {"BatchIndexImages": upload},
    }
    return [
        GrpcService(
            name,
            lambda server, name=name, each=each: server.add_generic_rpc_handlers(  # type: ignore[misc]
                [grpc.method_handlers_generic_handler(name, each)]
            ),
        )
        for name, each in methods.items()
    ]


@asynccontextmanager
async def open_services(settings: FixedSettings) -> AsyncIterator[Served]:
    """Yield the services."""
    yield Served(services(settings))


if __name__ == "__main__":
    settings = load_settings(FixedSettings)
    sys.exit(run(settings, lambda _: open_services(settings), Methods({}, lanes=METHOD_LANES)))
