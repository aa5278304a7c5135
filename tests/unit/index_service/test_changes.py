"""Changes under a lease: only its holder's are made, and none of a former holder's after the next grant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from semsearch.index.v1 import coordination_service_pb2 as coordination
from semsearch.index.v1 import index_service_pb2 as pb

from index_service.api.coordination_servicer import CoordinationServicer
from index_service.api.servicer import IndexServicer
from index_service.coordination.database import open_database
from index_service.coordination.errors import LeaseLost
from index_service.coordination.leases import Leases
from index_service.coordination.records import Records
from index_service.definition import EngineKind, IndexDefinition
from index_service.local.vector_index import VectorIndex
from index_service.local.writes import Written
from serving.byte_budget import ByteBudget
from serving.errors import InvalidField
from tests.unit.index_service.conftest import OpenCatalog, fill

LEASE = "gateway"
VECTOR = np.array([1, 0, 0, 0], "<f4").tobytes()
TTL_SECONDS = 60.0
DEADLINE = 20.0


class Services:
    """Both services on one data folder, with two indexes and an alias."""

    def __init__(self, open_data: OpenCatalog, leases: Leases, records: Records, threads: ThreadPoolExecutor) -> None:
        self.catalog = open_data()
        for name in ("items", "unused"):
            fill(self.catalog.create(IndexDefinition(name, 4, "model", engine=EngineKind.EXACT)), 3)
        self.catalog.set_alias("alias", "items")
        self.leases = leases
        self.index = IndexServicer(self.catalog, leases, threads, ByteBudget(2**20))
        self.coordination = CoordinationServicer(leases, records, threads)

    def state(self) -> tuple[object, ...]:
        """Return all that a change could change."""
        items = self.catalog.get("items")
        indexes = [each.definition.name for each in self.catalog.page("", 10) if isinstance(each, VectorIndex)]
        return indexes, self.catalog.aliases("items"), self.catalog.aliases("unused"), items.stats().item_count


@pytest.fixture
def services(open_data: OpenCatalog, data_folder: Path) -> Iterator[Services]:
    data_folder.mkdir()
    with open_database(data_folder) as database, ThreadPoolExecutor(2) as threads:
        yield Services(open_data, Leases(database), Records(database), threads)


def context(number: int | None) -> Any:
    metadata = () if number is None else (("semsearch-lease", f"{LEASE}:{number}"),)
    return Mock(invocation_metadata=lambda: metadata)


def upsert(item_id: str) -> pb.UpsertItemsRequest:
    return pb.UpsertItemsRequest(index="items", model_id="model", items=[pb.Item(id=item_id, vector=VECTOR)])


async def stream(*messages: Any) -> AsyncIterator[Any]:
    for message in messages:
        yield message


def definition(name: str) -> pb.Index:
    return pb.Index(name=name, dimension=4, model_id="model")


CHANGES: dict[str, Callable[[Services, Any], Awaitable[Any]]] = {
    "CreateIndex": lambda services, context: services.index.CreateIndex(
        pb.CreateIndexRequest(index=definition("new")), context
    ),
    "DeleteIndex": lambda services, context: services.index.DeleteIndex(pb.DeleteIndexRequest(name="unused"), context),
    "UpsertItems": lambda services, context: services.index.UpsertItems(stream(upsert("new")), context),
    "DeleteItems": lambda services, context: services.index.DeleteItems(
        pb.DeleteItemsRequest(index="items", ids=["0"]), context
    ),
    "SetAlias": lambda services, context: services.index.SetAlias(
        pb.SetAliasRequest(alias="alias", index="unused"), context
    ),
    "DeleteAlias": lambda services, context: services.index.DeleteAlias(pb.DeleteAliasRequest(alias="alias"), context),
    "PutRecord": lambda services, context: services.coordination.PutRecord(
        coordination.PutRecordRequest(name="record", value=b"new"), context
    ),
}


def granted(services: Services, holder: str) -> int:
    grant = services.leases.acquire(LEASE, holder, "", TTL_SECONDS, ended_holder=services.leases.get(LEASE).holder)
    assert grant.granted
    return grant.lease.number


@pytest.mark.parametrize("change", CHANGES)
async def test_a_former_holder_changes_nothing(services: Services, change: str) -> None:
    former, _ = granted(services, "a"), granted(services, "b")
    before = services.state()
    with pytest.raises(LeaseLost):
        await CHANGES[change](services, context(former))
    assert services.state() == before
    record = await services.coordination.GetRecord(coordination.GetRecordRequest(name="record"), context(None))
    assert record.record.version == 0


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("has_lease", [True, False])
async def test_the_holder_and_operators_change_what_they_want(services: Services, change: str, has_lease: bool) -> None:
    number = granted(services, "a")
    await CHANGES[change](services, context(number if has_lease else None))
    assert services.leases.acquire(LEASE, "b", "", TTL_SECONDS, "a").granted, "no change is counted as in progress"


async def test_a_stream_ends_at_the_first_message_after_the_loss(services: Services) -> None:
    number = granted(services, "a")

    async def messages() -> AsyncIterator[pb.UpsertItemsRequest]:
        yield upsert("before")
        async with asyncio.timeout(DEADLINE):
            while services.leases._in_progress:  # noqa: ASYNC110
                await asyncio.sleep(0)
        granted(services, "b")
        yield upsert("after")

    with pytest.raises(LeaseLost):
        await services.index.UpsertItems(messages(), context(number))
    assert services.catalog.get("items").stats().item_count == 4


async def test_a_write_in_progress_delays_the_next_grant_even_if_its_caller_has_left(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = granted(services, "a")
    commit: Future[Written] = Future()
    commit.set_running_or_notify_cancel()
    monkeypatch.setattr(VectorIndex, "upsert", lambda *_: commit)
    call = asyncio.create_task(services.index.UpsertItems(stream(upsert("new")), context(number)))
    async with asyncio.timeout(DEADLINE):
        while not services.leases._in_progress:  # noqa: ASYNC110
            await asyncio.sleep(0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert not services.leases.acquire(LEASE, "b", "", TTL_SECONDS, "a").granted
    commit.set_result(Written(1, ()))
    assert services.leases.acquire(LEASE, "b", "", TTL_SECONDS, "a").granted


@pytest.mark.parametrize("text", ["", "gateway", "gateway:", "gateway:-1", "no name:1", "gateway:1:2"])
async def test_a_lease_that_cannot_be_read_is_refused(services: Services, text: str) -> None:
    bad = Mock(invocation_metadata=lambda: (("semsearch-lease", text),))
    with pytest.raises(InvalidField):
        await CHANGES["SetAlias"](services, bad)
