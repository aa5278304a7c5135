"""Two real embedders and two gateway processes are restarted in turn, while default clients search or upload."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from semsearch import AsyncClient, SemsearchError

from tests.ports import free_ports
from tests.search_load import SearchLoad
from tests.services.gateway_stack import START_SECONDS, Service, service
from tests.unit.gateway.doubles import picture
from tests.upload_load import UploadLoad

pytestmark = pytest.mark.asyncio(loop_scope="module")

IMAGES = sorted(Path("starter/gallery").glob("*.webp"))[:8]
# Enough to use every connection of every client.
SEARCHES = 40
# More than wait in the client.
UPLOADS = 100


@dataclass
class Suite:
    """The processes, by name; each is started with the same flags again."""

    address: str
    commands: dict[str, tuple[str, ...]]
    exits: AsyncExitStack
    running: dict[str, Service] = field(default_factory=dict)

    async def start(self, name: str) -> None:
        module, *flags = self.commands[name]
        self.running[name] = await self.exits.enter_async_context(service(module, *flags))

    async def restart(self, name: str) -> None:
        process = self.running[name].process
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), START_SECONDS)
        await self.start(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    root = tmp_path_factory.mktemp("rolling")
    ports = free_ports(6)
    index, first, second, shared, *own = ports
    gateway = (
        "gateway",
        f"--port={shared}",
        "--processes=2",
        f"--data={root}",
        f"--index=127.0.0.1:{index}",
        f"--embedder=127.0.0.1:{first},127.0.0.1:{second}",
    )
    commands = {
        "index": ("index_service", f"--port={index}", f"--data={root}"),
        "embedder 1": ("embedder_service", f"--port={first}", f"--data={root / '1'}", "--default-model=tiny"),
        "embedder 2": ("embedder_service", f"--port={second}", f"--data={root / '2'}", "--default-model=tiny"),
        "gateway 1": (*gateway, f"--own-port={own[0]}"),
        "gateway 2": (*gateway, f"--own-port={own[1]}"),
    }
    async with AsyncExitStack() as exits:
        suite = Suite(f"127.0.0.1:{shared}", commands, exits)
        await asyncio.gather(*(suite.start(name) for name in commands))
        async with AsyncClient(suite.address) as client, asyncio.timeout(START_SECONDS):
            while not await _is_filled(client):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        yield suite


async def _is_filled(client: AsyncClient) -> bool:
    try:
        results = client.index_images(IMAGES)
        assert not [result async for result in results if result.error]
        return bool(await client.search_by_text("banana", min_relevance=0.0))
    except SemsearchError:
        return False


async def test_no_search_fails_while_embedders_and_gateways_are_restarted(suite: Suite) -> None:
    load = SearchLoad()
    with load.running(suite.address):
        for name in ("embedder 1", "embedder 2", "gateway 1", "gateway 2"):
            await asyncio.to_thread(load.wait_for_more, SEARCHES, START_SECONDS)
            await suite.restart(name)
        await asyncio.to_thread(load.wait_for_more, SEARCHES, START_SECONDS)
    assert (load.errors, load.wrong) == ([], 0)


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
async def test_uploads_go_on_while_the_gateways_are_restarted(suite: Suite, kind: str) -> None:
    collection = kind.lower()
    load = UploadLoad(lambda number: picture("red", seed=number))
    async with AsyncClient(suite.address) as client:
        await client.create_collection(collection)
        with load.running(kind, suite.address, collection):
            for name in ("gateway 1", "gateway 2"):
                await asyncio.to_thread(load.wait_for_more, UPLOADS, START_SECONDS)
                await suite.restart(name)
            await asyncio.to_thread(load.wait_for_more, UPLOADS, START_SECONDS)
        assert load.error is None
        assert [result.number for result in load.results] == list(range(len(load.results)))
        assert not [result.error for result in load.results if result.error]
        stored = [image.id async for image in client.list_images(collection=collection)]
    assert sorted(stored) == sorted(result.id for result in load.results)


async def test_searches_wait_for_the_only_index_while_it_is_restarted(suite: Suite) -> None:
    load = SearchLoad()
    with load.running(suite.address):
        await asyncio.to_thread(load.wait_for_more, SEARCHES, START_SECONDS)
        await suite.restart("index")
        await asyncio.to_thread(load.wait_for_more, SEARCHES, START_SECONDS)
    assert not load.wrong
    # None fails if the index is back within 15 s, which a loaded machine may not manage.
    assert all(error.startswith("ServerNotReady") for error in load.errors)
