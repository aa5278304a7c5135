"""Searches go to replicas that are well and far enough, and to the writer otherwise; no call fails for a replica."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_status import rpc_status
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.index.v1 import index_service_pb2_grpc as pb_grpc

from gateway.backends import index_replicas
from gateway.backends.index_replicas import Replica, ReplicatedIndex, open_replicas
from gateway.backends.refusals import Overloaded
from gateway.backends.vector_index import Item
from serving import deadlines
from serving.byte_budget import TooManyBytes
from serving.channels import Channels
from serving.errors import to_status

BEAT = "semsearch-index-beat"
MESSAGE_BYTES = 4 * 2**20
VECTOR = np.ones(4, dtype=np.float32)


@dataclass
class Service(pb_grpc.IndexServiceServicer):
    """An index service that returns its name as the only neighbour."""

    name: str
    fails: bool = False
    hangs: bool = False
    is_overloaded: bool = False
    wanted: list[str] = field(default_factory=list)

    async def Search(self, request: pb.SearchRequest, context: Any) -> pb.SearchResponse:  # noqa: N802
        self.wanted.append(dict(context.invocation_metadata()).get(BEAT, ""))
        if self.fails:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "behind")
        if self.is_overloaded:
            await context.abort_with_status(rpc_status.to_status(to_status(TooManyBytes(1, 1), {})))
        if self.hangs:
            await asyncio.Event().wait()
        return pb.SearchResponse(results=[pb.SearchResult(neighbors=[pb.Neighbor(id=self.name)])], index_uid="uid")

    async def CountItems(self, request: pb.CountItemsRequest, context: Any) -> pb.CountItemsResponse:  # noqa: N802
        return pb.CountItemsResponse(item_count=len(self.name))

    async def GetIndex(self, request: pb.GetIndexRequest, context: Any) -> pb.GetIndexResponse:  # noqa: N802
        return pb.GetIndexResponse(index=pb.Index(name="photos-1"))

    async def UpsertItems(self, requests: Any, context: Any) -> pb.UpsertItemsResponse:  # noqa: N802
        async for _ in requests:
            pass
        context.set_trailing_metadata(((BEAT, "7-0000000000000000-3"),))
        return pb.UpsertItemsResponse()


@asynccontextmanager
async def served(service: Service) -> AsyncIterator[tuple[str, grpc.aio.Server]]:
    server = grpc.aio.server()
    pb_grpc.add_IndexServiceServicer_to_server(service, server)
    health = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    await health.set("semsearch.index.v1.IndexService", health_pb2.HealthCheckResponse.SERVING)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}", server
    finally:
        await server.stop(0)


@dataclass
class Cluster:
    writer: Service
    replicas: list[Service]
    servers: list[grpc.aio.Server]
    index: ReplicatedIndex
    opened: Sequence[Replica]

    async def search(self, name: str = "photos") -> str:
        found = await self.index.search(name, VECTOR, 1, "model")
        return found.neighbors[0].id


@pytest.fixture
async def cluster(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    monkeypatch.setattr(index_replicas, "_ATTEMPT_SECONDS", 0.5)
    writer, replicas = Service("writer"), [Service("a"), Service("b")]
    async with (
        served(writer) as (address, _),
        served(replicas[0]) as (first, first_server),
        served(replicas[1]) as (second, second_server),
        Channels(MESSAGE_BYTES).open(address) as channel,
        open_replicas([first, second], Channels(MESSAGE_BYTES)) as opened,
    ):
        async with asyncio.timeout(20):
            while not all(replica.is_well for replica in opened):  # noqa: ASYNC110 — their health is watched, not announced
                await asyncio.sleep(0.01)
        yield Cluster(writer, replicas, [first_server, second_server], ReplicatedIndex(channel, opened), opened)


async def test_replicas_answer_in_turn(cluster: Cluster) -> None:
    assert [await cluster.search() for _ in range(4)] == ["a", "b", "a", "b"]


async def test_a_list_shows_the_count_of_the_writer(cluster: Cluster) -> None:
    assert await cluster.index.count("photos") == (len("writer"), [])


async def test_a_replica_that_ends_fails_no_call(cluster: Cluster) -> None:
    await cluster.servers[0].stop(0)
    assert {await cluster.search() for _ in range(6)} <= {"b", "writer"}


async def test_a_replica_that_refuses_or_hangs_fails_no_call(cluster: Cluster) -> None:
    cluster.replicas[0].fails = cluster.replicas[1].hangs = True
    assert [await cluster.search() for _ in range(4)] == ["writer"] * 4


async def test_what_a_replica_has_no_room_for_is_asked_of_another_and_not_of_the_writer(cluster: Cluster) -> None:
    cluster.replicas[0].is_overloaded = True
    assert [await cluster.search() for _ in range(4)] == ["b"] * 4
    cluster.replicas[1].is_overloaded = True
    with pytest.raises(Overloaded):
        await cluster.search()
    assert not cluster.writer.wanted


async def test_a_deadline_of_the_caller_says_nothing_about_a_replica(cluster: Cluster) -> None:
    cluster.replicas[0].hangs = cluster.replicas[1].hangs = True
    deadlines.begin(0.01)
    for _ in cluster.replicas:
        with pytest.raises(TimeoutError):
            await cluster.search()
    assert all(replica.is_well for replica in cluster.opened)
    assert not cluster.writer.wanted


@pytest.mark.parametrize("name", ["photos", "photos-1"])
async def test_a_search_names_the_last_change_of_its_index(cluster: Cluster, name: str) -> None:
    await cluster.index.get("photos")
    await cluster.index.upsert("photos", "model", [Item("one", json.dumps({}), VECTOR)])
    await cluster.search(name)
    await cluster.search("others")
    assert cluster.replicas[0].wanted == ["7-0000000000000000-3"]
    assert cluster.replicas[1].wanted == [""]
