"""What only indexes in Weaviate have: a cluster that can be away, restarts, and names of its own."""

from __future__ import annotations

import string
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.weaviate_process import WeaviateServer, weaviate_server
from index_service.backends import Backend, Backends
from index_service.contract import Index
from index_service.definition import LOCAL_ENGINES, EngineKind, IndexDefinition
from index_service.errors import ClusterUnavailable, InvalidName, ReplicasMissing
from index_service.export_format import ExportHeader
from index_service.items import Delete, NewItem, StoredRow, Upsert
from index_service.local.catalog import open_catalog
from tests.contract.conftest import MODEL
from tests.unit.index_service.conftest import NEVER
from tests.unit.index_service.engines_in_process import engine_of
from tests.weaviate_server import need_weaviate

DEADLINE = 60.0
NOBODY = "127.0.0.1:1:2"
_OTHER_ROWS = 1_000_000  # a process that ended may have given them out
VECTOR = np.array([1, 0, 0, 0], np.float32)


@pytest.fixture(autouse=True, scope="module")
def _needed() -> None:
    need_weaviate()


def options(*addresses: str, factor: int = 1) -> Any:
    from index_service.weaviate.cluster import Options

    return Options(addresses, factor, "QUORUM", "")


def definition(name: str) -> IndexDefinition:
    return IndexDefinition(name, 4, MODEL, engine=EngineKind.WEAVIATE)


def upsert(*ids: str) -> Upsert:
    return Upsert(tuple(NewItem(item_id, "{}", VECTOR) for item_id in ids))


@given(
    names=st.lists(
        st.text(string.ascii_letters + string.digits + "._-", min_size=1), min_size=2, max_size=2, unique=True
    )
)
@settings(max_examples=50, deadline=None, database=None)
def test_names_are_encoded_without_loss_and_differ_without_regard_to_case(names: list[str]) -> None:
    from index_service.weaviate.names import from_weaviate, to_weaviate

    encoded = [to_weaviate(name) for name in names]
    assert [from_weaviate(each) for each in encoded] == names
    assert len({each.lower() for each in encoded}) == 2
    assert set("".join(encoded)) <= {*string.ascii_letters, *string.digits, "_"}


def test_a_search_of_few_items_compares_all(clusters: Backend) -> None:
    name = f"few-{uuid.uuid4().hex[:8]}"
    index = clusters.catalog.create(definition(name))
    index.upsert(upsert("a", "b")).result(DEADLINE)
    answer = index.search([VECTOR], 1, None, attributes=False)
    assert [neighbor.id for neighbor in answer.neighbors[0]] == ["a"]
    assert answer.exact


def test_a_write_that_was_broken_off_and_repeated_is_found(clusters: Backend, server: WeaviateServer) -> None:
    vectors = np.random.default_rng(0).standard_normal((200, 64)).astype(np.float32)
    items = tuple(NewItem(f"item-{row}", "{}", vector) for row, vector in enumerate(vectors))
    seconds, cut = 0.005, 0
    while cut == 0 or seconds < 0.1:
        index = clusters.catalog.create(replace(definition(f"cut-{uuid.uuid4().hex[:8]}"), dimension=64))
        cut += _write_for(seconds, server, index, items)
        index.upsert(Upsert(items)).result(DEADLINE)
        found = index.search(vectors, 1, None, attributes=False).neighbors
        assert [[neighbor.id for neighbor in each] for each in found] == [[item.id] for item in items]
        seconds *= 1.3
        assert seconds < DEADLINE


def _write_for(seconds: float, server: WeaviateServer, index: Index, items: Sequence[NewItem]) -> bool:
    """Send a write that ends after some seconds; return whether it was broken off when items were already stored."""
    from weaviate.exceptions import WeaviateBaseError

    from index_service.weaviate.cluster import connect
    from index_service.weaviate.collections import to_object
    from index_service.weaviate.names import to_weaviate

    rows = [
        StoredRow(number, number, item.id, "{}", item.vector.tobytes())
        for number, item in enumerate(items, _OTHER_ROWS)
        if item.vector is not None
    ]
    with connect(server.address, insert_seconds=seconds) as client:
        try:
            client.collections.use(to_weaviate(index.definition.name)).data.insert_many([*map(to_object, rows)])
        except WeaviateBaseError:
            return index.item_count() > 0
    return False


def test_a_killed_node_still_finds_what_it_acknowledged(tmp_path: Path) -> None:
    from index_service.weaviate.catalog import open_weaviate

    name, program = f"killed-{uuid.uuid4().hex[:8]}", need_weaviate()
    vectors = np.eye(8, dtype=np.float32)
    with weaviate_server(tmp_path, program) as node:
        with open_weaviate(options(node.address)) as catalog:
            catalog.create(replace(definition(name), dimension=8))
        _divide(node, name, shards=3)
        with open_weaviate(options(node.address)) as catalog:
            index = catalog.get(name)
            for rows in (range(7), range(7, 8)):
                index.upsert(Upsert(tuple(NewItem(f"{row}", "{}", vectors[row]) for row in rows))).result(DEADLINE)
            node.process.kill()
            node.process.wait(DEADLINE)
    with weaviate_server(tmp_path, program) as node, open_weaviate(options(node.address)) as catalog:
        found = catalog.get(name).search(vectors, 1, None, attributes=False).neighbors
        assert [[neighbor.id for neighbor in each] for each in found] == [[f"{row}"] for row in range(8)]


def _divide(server: WeaviateServer, name: str, shards: int) -> None:
    """Make the collection of an empty index again, with some shards, as there are with several nodes."""
    from index_service.weaviate.cluster import connect
    from index_service.weaviate.names import to_weaviate

    with connect(server.address) as client:
        schema = client.collections.export_config(to_weaviate(name)).to_dict()
        client.collections.delete(to_weaviate(name))
        client.collections.create_from_dict(schema | {"shardingConfig": {"desiredCount": shards}})


@pytest.mark.parametrize("wrong_answers", [1, 100])
def test_an_answer_whose_distances_do_not_fit_is_asked_for_again(
    clusters: Backend, monkeypatch: pytest.MonkeyPatch, wrong_answers: int
) -> None:
    from weaviate.collections.queries.near_vector.query.sync import _NearVectorQuery as Query

    index = clusters.catalog.create(replace(definition(f"shifted-{uuid.uuid4().hex[:8]}"), dimension=8))
    vectors = np.eye(8, dtype=np.float32) + 0.1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index.upsert(Upsert(tuple(NewItem(f"{row}", "{}", each) for row, each in enumerate(vectors)))).result(DEADLINE)
    answers = 0
    search = Query.near_vector

    def shifted(self: Any, *arguments: Any, **options: Any) -> Any:
        """Answer as Weaviate does if it misses an object of a shard: the first of another gets its distance."""
        nonlocal answers
        found = search(self, *arguments, **options)
        answers += 1
        if answers > wrong_answers:
            return found
        lost = answers % len(found.objects)
        kept = [each for number, each in enumerate(found.objects) if number != lost]
        lengths = [each.metadata.distance for each in found.objects]
        return SimpleNamespace(
            objects=[
                SimpleNamespace(
                    properties=each.properties, vector=each.vector, metadata=SimpleNamespace(distance=length)
                )
                for each, length in zip(kept, [lengths[-1], *lengths], strict=False)
            ]
        )

    monkeypatch.setattr(Query, "near_vector", shifted)
    found = index.search(vectors, 1, None, attributes=False).neighbors
    assert [[neighbor.id for neighbor in each] for each in found] == [[f"{row}"] for row in range(8)]


def test_a_collection_of_an_older_version_is_completed(server: WeaviateServer) -> None:
    from index_service.weaviate.catalog import open_weaviate
    from index_service.weaviate.cluster import connect
    from index_service.weaviate.names import to_weaviate

    name = f"older-{uuid.uuid4().hex[:8]}"
    with open_weaviate(options(server.address)) as catalog:
        catalog.create(definition(name))
    with connect(server.address) as client:
        description = client.collections.use(to_weaviate(name)).config.get().description
        client.collections.delete(to_weaviate(name))
        client.collections.create(to_weaviate(name), description=description)
    with open_weaviate(options(server.address)), connect(server.address) as client:
        (attempt,) = client.collections.use(to_weaviate(name)).config.get().properties
        assert (attempt.name, attempt.index_filterable) == ("attempt", False)


def test_a_name_that_would_be_too_long_is_refused() -> None:
    from index_service.weaviate.names import to_weaviate

    to_weaviate("a" * 128)
    with pytest.raises(InvalidName, match="too long"):
        to_weaviate("A" * 128)


def test_a_cluster_that_is_away_is_unavailable_and_indexes_on_this_machine_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from index_service.weaviate import catalog as module

    monkeypatch.setattr(module, "_START_SECONDS", 0.0)
    with (
        open_catalog(tmp_path / "index", engine_of, NEVER) as local,
        module.open_weaviate(options(NOBODY)) as cluster,
    ):
        local.create(IndexDefinition("here", 4, MODEL, engine=EngineKind.EXACT))
        backends = Backends([Backend(LOCAL_ENGINES, local), Backend(frozenset({EngineKind.WEAVIATE}), cluster)])
        backends.get("here").upsert(upsert("a")).result(DEADLINE)
        for call in (
            lambda: backends.get("elsewhere"),
            lambda: backends.create(definition("new")),
            lambda: backends.page("", 10),
        ):
            with pytest.raises(ClusterUnavailable, match="does not answer"):
                call()


def test_another_node_answers_if_the_first_does_not(server: WeaviateServer) -> None:
    from index_service.weaviate.cluster import Cluster

    cluster = Cluster(options(NOBODY, server.address))
    assert cluster.call(lambda client: client.is_ready())
    cluster.close()


class Connection:
    """A connection to a node, in place of the library's."""

    is_closed = False

    def close(self) -> None:
        self.is_closed = True


def test_a_node_that_is_left_is_closed_only_when_no_call_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from weaviate.exceptions import WeaviateRetryError

    from index_service.weaviate.cluster import Cluster

    made = [Connection(), Connection()]
    opened = iter(made)
    monkeypatch.setattr("index_service.weaviate.cluster.connect", lambda *_, **__: next(opened))
    cluster = Cluster(options("one:1:2", "other:1:2"))

    def fail_on_first(connection: Any) -> Connection:
        if connection is made[0]:
            raise WeaviateRetryError("it is away", 1)
        return made[1]

    def work(connection: Any) -> bool:
        """Go on with a node that another call leaves meanwhile."""
        assert cluster.call(fail_on_first) is made[1]
        return bool(connection.is_closed)

    assert not cluster.call(work)
    assert (made[0].is_closed, made[1].is_closed) == (True, False)
    cluster.close()
    assert made[1].is_closed


def test_more_replicas_than_nodes_are_refused_with_the_reason(server: WeaviateServer) -> None:
    from index_service.weaviate.catalog import open_weaviate

    with (
        open_weaviate(options(server.address, factor=3)) as catalog,
        pytest.raises(ReplicasMissing, match="1 available, 3 requested"),
    ):
        catalog.create(definition(f"many-{uuid.uuid4().hex[:8]}"))


def test_definitions_aliases_and_rows_survive_a_restart(server: WeaviateServer) -> None:
    from index_service.weaviate.catalog import open_weaviate

    name = f"Kept.{uuid.uuid4().hex[:8]}"
    with open_weaviate(options(server.address)) as catalog:
        index = catalog.create(definition(name))
        catalog.set_alias(f"{name}-alias", name)
        index.upsert(upsert("a", "b", "c")).result(DEADLINE)
        uid, rows = index.uid, [item.row for item in index.items(["a", "b", "c"], vectors=False).values()]
        index.delete(Delete(("c",))).result(DEADLINE)
        unfinished = catalog.begin_import(f"{name}-unfinished", next(index.export()))  # type: ignore[arg-type]
        unfinished._begin()
    with open_weaviate(options(server.address)) as catalog:
        again = catalog.get(f"{name}-alias")
        assert (again.uid, again.definition) == (uid, index.definition)
        assert not any(each.definition.name == f"{name}-unfinished" for each in catalog.page("", 1_000))  # type: ignore[union-attr]
        again.upsert(upsert("d")).result(DEADLINE)
        assert again.items(["d"], vectors=False)["d"].row == max(rows) + 1  # never c's again, and none skipped
        catalog.delete_alias(f"{name}-alias")
        assert catalog.delete(name) == 3


def test_what_a_batch_failed_to_write_is_sent_again_and_else_not_acknowledged(
    server: WeaviateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from weaviate.collections.data.sync import _DataCollection as DataCollection

    from index_service.weaviate.catalog import open_weaviate

    with open_weaviate(options(server.address)) as catalog:
        index = catalog.create(definition(f"batch-{uuid.uuid4().hex[:8]}"))
        failures = [{1: "half"}, {}, {}, {0: "half"}, {0: "half"}]
        sent: list[list[str]] = []
        insert = DataCollection.insert_many

        def failing(self: Any, objects: list[Any]) -> Any:
            sent.append([each.properties["item"] for each in objects])
            result = insert(self, objects)
            return SimpleNamespace(
                errors={number: SimpleNamespace(message=text) for number, text in failures.pop(0).items()}
                or result.errors
            )

        monkeypatch.setattr(DataCollection, "insert_many", failing)
        assert index.upsert(upsert("a", "b", "c")).result(DEADLINE).count == 3
        assert sent == [["a", "b", "c"]] * 3  # with an error, again, and for the log
        with pytest.raises(ClusterUnavailable, match="1 items were not written: half"):
            index.upsert(upsert("d")).result(DEADLINE)


def test_too_few_replicas_are_told_apart(server: WeaviateServer) -> None:
    from weaviate.exceptions import WeaviateQueryError

    from index_service.weaviate.cluster import Cluster

    def fail(_: object) -> None:
        raise WeaviateQueryError("cannot achieve consistency level QUORUM: 1 of 3", "GRPC search")

    cluster = Cluster(options(server.address))
    with pytest.raises(ReplicasMissing, match="QUORUM"):
        cluster.call(fail)
    cluster.close()


def test_an_import_that_fails_leaves_an_index_that_took_its_name(server: WeaviateServer) -> None:
    from index_service.weaviate.catalog import open_weaviate

    name = f"taken-{uuid.uuid4().hex[:8]}"
    with open_weaviate(options(server.address)) as catalog:
        late = catalog.begin_import(name, ExportHeader(definition(name), 0, 1))
        index = catalog.create(definition(name))
        index.upsert(upsert("a")).result(DEADLINE)
        with pytest.raises(Exception, match="already exists"):
            late._begin()
        late.discard()
        assert list(index.items(["a"], vectors=False)) == ["a"]
        assert catalog.delete(name) == 1


def test_an_index_that_cannot_be_deleted_is_served_on(server: WeaviateServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from index_service.weaviate.catalog import open_weaviate

    name = f"stays-{uuid.uuid4().hex[:8]}"
    with open_weaviate(options(server.address)) as catalog:
        catalog.create(definition(name)).upsert(upsert("a")).result(DEADLINE)
        with monkeypatch.context() as away:
            away.setattr(catalog, "_remove", _away)
            with pytest.raises(ClusterUnavailable):
                catalog.delete(name)
        index = catalog.get(name)
        index.upsert(upsert("b")).result(DEADLINE)
        rows = [item.row for item in index.items(["a", "b"], vectors=False).values()]
        assert len(set(rows)) == 2
        assert catalog.delete(name) == 2


def _away(name: str) -> None:
    raise ClusterUnavailable("away")
