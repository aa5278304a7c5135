"""Whoever waits for a server with an upload can end that at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.rpc import code_pb2
from semsearch import AsyncClient, Client, Overloaded, Retries, UploadResult

from tests.unit.client.scripted_server import SECONDS, Refusal, ScriptedServer, running


class Waiting:
    """A server that asks for an hour, and the policy of a client that waits so long."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._begun = threading.Event()
        self.retries = Retries(patience=7200.0, on_wait=lambda *_: self._begun.set())

    def begins(self) -> None:
        assert self._begun.wait(SECONDS)


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    script = ScriptedServer()
    script.will("IndexImages", Refusal(code_pb2.RESOURCE_EXHAUSTED, retry_after=3600))
    with running(script) as address:
        yield Waiting(address)


def test_a_client_that_is_closed_waits_no_longer(waiting: Waiting) -> None:
    with ThreadPoolExecutor(1) as pool, Client(waiting.address, retries=waiting.retries) as client:
        uploading = pool.submit(list, client.index_images([b"a"]))
        waiting.begins()
        client.close()
        with pytest.raises(Overloaded):
            uploading.result(SECONDS)


async def test_an_asynchronous_client_that_is_closed_waits_no_longer(waiting: Waiting) -> None:
    async with asyncio.timeout(SECONDS), AsyncClient(waiting.address, retries=waiting.retries) as client:
        uploading = asyncio.create_task(upload(client))
        await asyncio.to_thread(waiting.begins)
        await client.close()
        with pytest.raises(Overloaded):
            await uploading


async def test_a_task_that_is_cancelled_waits_no_longer(waiting: Waiting) -> None:
    async with asyncio.timeout(SECONDS), AsyncClient(waiting.address, retries=waiting.retries) as client:
        uploading = asyncio.create_task(upload(client))
        await asyncio.to_thread(waiting.begins)
        uploading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await uploading


async def upload(client: AsyncClient) -> list[UploadResult]:
    return [result async for result in client.index_images([b"a"])]
