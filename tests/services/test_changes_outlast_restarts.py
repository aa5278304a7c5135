"""Changes that must not be made twice, of a default client, while the gateway that makes them is restarted."""

from __future__ import annotations

import asyncio
import itertools
import signal
from pathlib import Path

from semsearch import AsyncClient, SemsearchError

from tests.services.gateway_stack import START_SECONDS
from tests.services.two_processes import two_processes

WORKERS = 6
COLLECTIONS = 40


async def test_a_change_that_the_owner_did_not_take_is_made_by_the_next(tmp_path: Path) -> None:
    names = map("k{}".format, itertools.count())
    created: list[str] = []
    errors: list[SemsearchError] = []
    is_over = False

    async def create(client: AsyncClient) -> None:
        while not is_over:
            name = next(names)
            try:
                await client.create_collection(name)
            except SemsearchError as error:
                errors.append(error)
            else:
                created.append(name)

    async def wait_for_more() -> None:
        wanted = len(created) + COLLECTIONS
        async with asyncio.timeout(START_SECONDS):
            while len(created) < wanted and not errors:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async with (
        two_processes(tmp_path, "--drain-seconds=3") as both,
        AsyncClient(f"127.0.0.1:{both.ports[1 - (leaving := both.owner)]}") as client,
        asyncio.TaskGroup() as workers,
    ):
        for _ in range(WORKERS):
            workers.create_task(create(client))
        await wait_for_more()
        await both.end(leaving, signal.SIGTERM)
        await wait_for_more()
        is_over = True
    assert errors == []
