"""A writer and its read replicas as processes: what is published, served, refused, and lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import struct_pb2
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.v1.query_pb2 import Condition, Filter

from tests.services.index_process import IndexProcess, index_process, item, query
from tests.services.service_process import Refusal

FAST = ("--replication-seconds=0.1", "--full-scan-threshold=400")
DEADLINE_SECONDS = 60.0
DIMENSION = 8


def vectors(count: int, seed: int = 0) -> list[list[float]]:
    found: list[list[float]] = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(float).tolist()
    return found


def upsert(writer: IndexProcess, name: str, ids: list[str], seed: int = 0) -> str:
    """Write items, and return the beat from which on replicas have them."""
    items = [
        item(each, vector, colour="red" if seed else "blue")
        for each, vector in zip(ids, vectors(len(ids), seed), strict=True)
    ]
    request = pb.UpsertItemsRequest(index=name, model_id="model", items=items)
    _, call = writer.stub.UpsertItems.with_call(iter([request]))
    return dict(call.trailing_metadata())["semsearch-index-beat"]


def create(writer: IndexProcess, name: str, engine: pb.Engine.ValueType = pb.ENGINE_EXACT) -> None:
    writer.stub.CreateIndex(
        pb.CreateIndexRequest(index=pb.Index(name=name, dimension=DIMENSION, model_id="model", engine=engine))
    )


def eventually(condition: Callable[[], Any]) -> Any:
    """Wait until a condition holds, and return what it returned; a refused call counts as not yet."""
    end = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            if found := condition():
                return found
        except grpc.RpcError as error:
            if time.monotonic() > end:
                raise AssertionError(Refusal.of(error)) from error
        assert time.monotonic() < end
        time.sleep(0.02)


def seen(replica: IndexProcess, beat: str, call: str, request: Any) -> Any:
    """Return a replica's answer to a read once it has a beat."""
    method = getattr(replica.stub, call)
    return eventually(lambda: method(request, metadata=(("semsearch-index-beat", beat),)))


@dataclass
class Cluster:
    place: str
    folder: Path

    @contextmanager
    def writer(self, name: str = "writer", *flags: str) -> Iterator[IndexProcess]:
        with index_process(self.folder / name, f"--publish={self.place}", *FAST, *flags) as process:
            yield process

    @contextmanager
    def replica(self, name: str = "replica", *flags: str) -> Iterator[IndexProcess]:
        with index_process(self.folder / name, f"--replica-of={self.place}", *FAST, *flags) as process:
            yield process


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(str(tmp_path / "place"), tmp_path)


@pytest.fixture(params=["folder", "s3", "gcs"])
def any_cluster(request: pytest.FixtureRequest, tmp_path: Path, new_place: Callable[[str], str]) -> Cluster:
    return Cluster(new_place(request.param), tmp_path)


def test_a_replica_answers_as_the_writer(cluster: Cluster) -> None:
    """It refuses changes, too, and says how old its answers are."""
    with cluster.writer() as writer, cluster.replica() as replica:
        create(writer, "photos", pb.ENGINE_HNSW)
        writer.stub.SetAlias(pb.SetAliasRequest(alias="current", index="photos"))
        ids = [f"id-{number}" for number in range(1_000)]
        upsert(writer, "photos", ids)
        upsert(writer, "photos", ids[:300], seed=1)
        writer.stub.DeleteItems(pb.DeleteItemsRequest(index="photos", ids=ids[500:600]))
        for _ in writer.stub.OptimizeIndex(pb.OptimizeIndexRequest(name="photos")):
            pass
        beat = upsert(writer, "photos", ["last"], seed=2)
        search = pb.SearchRequest(
            index="current", queries=[query(vector) for vector in vectors(5, 9)], k=20, model_id="model"
        )
        blue = Filter(must=[Condition(field="colour", equals=struct_pb2.Value(string_value="blue"))])
        # The replica has the new segment once its statistics are those of the writer.
        ours = eventually(lambda: same_statistics(writer, replica, "photos"))
        assert ours.aliases == ["current"]
        first = seen(replica, beat, "Search", search)
        assert first.SerializeToString(deterministic=True) == writer.stub.Search(search).SerializeToString(
            deterministic=True
        )
        for call, request in (
            ("ListItems", pb.ListItemsRequest(index="photos", page_size=1_000, include_vectors=True)),
            ("ListItems", pb.ListItemsRequest(index="photos", descending_by="colour", page_size=50)),
            ("GetItems", pb.GetItemsRequest(index="photos", ids=["id-1", "id-550"], include_vectors=True)),
            ("CountItems", pb.CountItemsRequest(index="photos", filter=blue)),
            ("ListItems", pb.ListItemsRequest(index="photos", filter=blue)),
            ("SumAttribute", pb.SumAttributeRequest(index="photos", field="size")),
        ):
            theirs = getattr(writer.stub, call)(request)
            assert getattr(replica.stub, call)(request) == theirs, call
        # A page that begins at the writer continues at the replica.
        last = first.results[0].neighbors[-1]
        search.queries[0].after.CopyFrom(pb.Position(distance=last.distance, row=last.row, rank=20))
        search.index_uid = first.index_uid
        assert replica.stub.Search(search) == writer.stub.Search(search)
        with pytest.raises(grpc.RpcError) as refused:
            create(replica, "more")
        refusal = Refusal.of(refused.value)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "READ_REPLICA")
        state = replica.stub.GetIndex(pb.GetIndexRequest(name="photos")).replica
        assert state.version == 4
        assert 0 < state.age.ToMilliseconds() < 60_000
        _, call = replica.stub.ListIndexes.with_call(pb.ListIndexesRequest())
        assert int(dict(call.trailing_metadata())["semsearch-index-age-ms"]) >= 0


def same_statistics(writer: IndexProcess, replica: IndexProcess, name: str) -> pb.Index | None:
    described = []
    for process in (writer, replica):
        index = process.stub.GetIndex(pb.GetIndexRequest(name=name)).index
        index.stats.disk_bytes = 0  # SQLite's log is as long as it happens to be
        described.append(index)
    return described[1] if described[0] == described[1] else None


def test_beyond_its_limit_a_replica_refuses_reads_and_recovers(cluster: Cluster) -> None:
    with cluster.replica("replica", "--max-staleness=1") as replica:
        with cluster.writer() as writer:
            create(writer, "photos")
            beat = upsert(writer, "photos", ["one"])
            seen(replica, beat, "CountItems", pb.CountItemsRequest(index="photos"))
        refusal = eventually(lambda: stale(replica))
        assert refusal.code == grpc.StatusCode.UNAVAILABLE
        with cluster.writer() as writer:
            assert eventually(lambda: replica.stub.CountItems(pb.CountItemsRequest(index="photos"))).item_count == 1


def stale(replica: IndexProcess) -> Refusal | None:
    try:
        replica.stub.CountItems(pb.CountItemsRequest(index="photos"))
    except grpc.RpcError as error:
        refusal = Refusal.of(error)
        return refusal if refusal.reason == "REPLICA_STALE" else None
    return None


def test_killed_replicas_and_a_killed_writer_lose_nothing(any_cluster: Cluster) -> None:
    """Everything acknowledged is on every replica in the end, and no replica ever shows anything else."""
    cluster = any_cluster
    with ExitStack() as stack:
        writer = stack.enter_context(cluster.writer())
        replicas = [stack.enter_context(cluster.replica(f"replica-{number}")) for number in range(2)]
        create(writer, "photos", pb.ENGINE_ANNOY)
        acknowledged: list[str] = []
        stop, wrong = threading.Event(), []

        def write(target: IndexProcess) -> None:
            for number in range(len(acknowledged), 10_000):
                if stop.is_set():
                    return
                try:
                    upsert(target, "photos", [f"id-{number}"], seed=number)
                except grpc.RpcError:
                    return
                acknowledged.append(f"id-{number}")

        def read(replica: IndexProcess) -> None:
            """Search for the newest item that the replica lists: it must find it first, at distance 0."""
            known = 0
            while not stop.is_set():
                try:
                    count = replica.stub.CountItems(pb.CountItemsRequest(index="photos")).item_count
                    if count < known:
                        wrong.append(f"{count} items after {known}")
                    known = count
                    if count:
                        vector = vectors(1, count - 1)[0]
                        request = pb.SearchRequest(index="photos", queries=[query(vector)], k=1, model_id="model")
                        found = replica.stub.Search(request).results[0].neighbors[0]
                        if found.id != f"id-{count - 1}":
                            wrong.append(f"{found.id} is not id-{count - 1}")
                except grpc.RpcError as error:
                    # It has nothing yet, cannot tell how old that is, or was killed.
                    if error.code() not in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE):
                        wrong.append(str(error.details()))

        threads = [threading.Thread(target=write, args=(writer,))]
        threads += [threading.Thread(target=read, args=(replica,)) for replica in replicas]
        for thread in threads:
            thread.start()
        eventually(lambda: len(acknowledged) > 30)
        replicas[0].kill()
        eventually(lambda: len(acknowledged) > 60)
        writer.kill()
        threads[0].join()
        writer = stack.enter_context(cluster.writer())
        replicas[0] = stack.enter_context(cluster.replica("replica-0"))
        before = len(acknowledged)
        threads += [threading.Thread(target=write, args=(writer,))]
        threads[-1].start()
        eventually(lambda: len(acknowledged) > before + 20)
        stop.set()
        for thread in threads:
            thread.join()
        beat = upsert(writer, "photos", ["last"])
        for replica in replicas:
            request = pb.GetItemsRequest(index="photos", ids=[*acknowledged, "last"])
            assert not seen(replica, beat, "GetItems", request).unknown_ids
        assert not wrong
