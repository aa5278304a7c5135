"""A gateway over a writing index and two read replicas: own changes are found, and no search fails if one is killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc.aio
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import search_service_pb2 as search

from tests.services.gateway_stack import Service, Stack, color_embedder, image, service
from tests.unit.gateway.doubles import picture

COLORS = ("red", "green", "blue", "yellow", "purple", "orange")
FAST = ("--port=0", "--replication-seconds=0.1")


async def test_searches_over_replicas(tmp_path: Path) -> None:
    async with AsyncExitStack() as exits:
        place = tmp_path / "place"
        embedder, port = await exits.enter_async_context(color_embedder())
        writer = await exits.enter_async_context(
            service("index_service", f"--data={tmp_path / 'writer'}", f"--publish={place}", *FAST)
        )
        replicas = [
            await exits.enter_async_context(
                service("index_service", f"--data={tmp_path / str(number)}", f"--replica-of={place}", *FAST)
            )
            for number in range(2)
        ]
        gateway = await exits.enter_async_context(
            service(
                "gateway",
                "--port=0",
                f"--data={tmp_path / 'gateway'}",
                f"--embedder=127.0.0.1:{port}",
                f"--index={writer.address}",
                f"--index-replicas={','.join(replica.address for replica in replicas)}",
            )
        )
        stack = Stack(await exits.enter_async_context(grpc.aio.insecure_channel(gateway.address)), embedder, tmp_path)
        await stack.wait_until_serving("")
        name = await stack.new_collection()
        for number, color in enumerate(COLORS):
            await stack.index(name, [image(number, picture(color), color)])
            # Whatever answers, the image that was just added is there.
            assert await found(stack, name, color) == color
        pages = [match async for match in paged(stack, name)]
        assert sorted(pages) == sorted(COLORS)
        await search_while_killing(stack, name, replicas)
        await stack.gallery.DeleteImages(gallery.DeleteImagesRequest(collection=name, ids=["red"]))
        assert await found(stack, name, "red") != "red"


async def search_while_killing(stack: Stack, name: str, replicas: list[Service]) -> None:
    """Kill one replica after the other while searches run; each must give the right answer."""
    stop = asyncio.Event()
    count = 0

    async def keep_searching(color: str) -> None:
        nonlocal count
        while not stop.is_set():
            assert await found(stack, name, color) == color
            count += 1

    async def kill() -> None:
        for replica in replicas:
            before = count
            while count < before + 20:  # noqa: ASYNC110 — the count is changed by several tasks
                await asyncio.sleep(0.01)
            replica.process.kill()
            await replica.process.wait()
        before = count
        while count < before + 20:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        stop.set()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for color in COLORS[:3]:
            group.create_task(keep_searching(color))
        group.create_task(kill())


async def found(stack: Stack, name: str, color: str) -> str:
    request = search.SearchByTextRequest(query=color, collection=name, min_relevance=0)
    return (await stack.search.SearchByText(request, timeout=20)).matches[0].image.id


async def paged(stack: Stack, name: str) -> AsyncIterator[str]:
    """Yield the ids of a search page by page; each page may come from another index service."""
    token = ""
    while True:
        request = search.SearchByTextRequest(
            query="red", collection=name, min_relevance=0, page_size=2, page_token=token
        )
        response = await stack.search.SearchByText(request, timeout=20)
        for match in response.matches:
            yield match.image.id
        token = response.next_page_token
        if not token:
            return
