"""What the gateway still answers while the embedder is away, what it says about the rest, and that it recovers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import search_service_pb2 as search

from serving.received_errors import from_status
from tests.ports import free_ports
from tests.services.gateway_stack import Stack, color_embedder, image, service, wait_for_health
from tests.unit.gateway.doubles import picture

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@asynccontextmanager
async def gateway_at(data: Path, embedder_port: int) -> AsyncIterator[Stack]:
    async with (
        service("index_service", "--port=0", f"--data={data}") as index,
        service(
            "gateway",
            "--port=0",
            f"--data={data}",
            f"--embedder=127.0.0.1:{embedder_port}",
            f"--index={index.address}",
        ) as gateway,
        grpc.aio.insecure_channel(gateway.address) as channel,
    ):
        yield Stack(channel, None, data)  # type: ignore[arg-type]


async def test_what_needs_no_embedder_is_answered_while_it_is_away(tmp_path: Path) -> None:
    port = free_ports(1).start
    known, new = (search.SearchByTextRequest(query=words, min_relevance=0.0) for words in ("red", "blue"))
    async with AsyncExitStack() as embedder, gateway_at(tmp_path, port) as stack:
        await embedder.enter_async_context(color_embedder(port))
        await stack.wait_until_serving("")
        await stack.index("gallery", [image(0, picture("red"), "one")])
        answer = await stack.search.SearchByText(known)
        assert [match.image.id for match in answer.matches] == ["one"]

        await embedder.aclose()
        await wait_for_health(stack.channel, "semsearch.v1.ModelService", NOT_SERVING)
        assert (await stack.search.SearchByText(known)).matches == answer.matches
        assert (await stack.gallery.GetImage(gallery.GetImageRequest(id="one"))).image.id == "one"
        map_health = await stack.health.Check(health_pb2.HealthCheckRequest(service="semsearch.v1.MapService"))
        assert map_health.status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stack.search.SearchByText(new)
        status = rpc_status.from_call(refused.value)
        assert status is not None
        reason, metadata = from_status(status_pb2.Status.FromString(status.SerializeToString()))
        assert (reason, metadata) == ("DEPENDENCY_UNAVAILABLE", {"service": "embedder"})

        await embedder.enter_async_context(color_embedder(port))
        await stack.wait_until_serving("")
        await stack.search.SearchByText(new)
