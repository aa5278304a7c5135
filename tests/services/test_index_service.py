"""Every RPC of the index service, over real gRPC to a real process."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import ParseDict
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.v1 import query_pb2

from tests.services.index_process import IndexProcess, index_process, item, query
from tests.services.packed_vectors import unpacked
from tests.services.service_process import Refusal

X, Y, Z = [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]


# One process for the module, because starting it takes a second; every test has its own index.
@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexProcess]:
    with index_process(tmp_path_factory.mktemp("data")) as running:
        yield running
        assert running.stop() == 0


@pytest.fixture
def index(service: IndexProcess, request: pytest.FixtureRequest) -> str:
    name = request.node.name.split("[")[0]
    service.stub.CreateIndex(
        pb.CreateIndexRequest(
            index=pb.Index(name=name, dimension=3, model_id="m", engine=pb.ENGINE_EXACT, indexed_attributes=["kind"])
        )
    )
    return name


def upsert(service: IndexProcess, index: str, *items: pb.Item) -> int:
    request = pb.UpsertItemsRequest(index=index, model_id="m", items=items)
    return service.stub.UpsertItems(iter([request])).upserted_count


def ids(response: pb.SearchResponse) -> list[list[str]]:
    return [[neighbor.id for neighbor in result.neighbors] for result in response.results]


def test_an_index_is_created_as_described(service: IndexProcess) -> None:
    wanted = pb.Index(
        name="described",
        dimension=300,
        model_id="starter@sha256:0",
        indexed_attributes=["image.sha256"],
        labels={"a": "b"},
    )
    created = service.stub.CreateIndex(pb.CreateIndexRequest(index=wanted)).index
    assert created.engine == pb.ENGINE_ANNOY
    assert created.recall_target == pytest.approx(0.95)
    assert created.create_time.seconds > 1_600_000_000
    assert created.stats.disk_bytes > 0
    assert (created.name, created.dimension, created.model_id) == ("described", 300, "starter@sha256:0")
    assert (list(created.indexed_attributes), dict(created.labels)) == (["image.sha256"], {"a": "b"})
    got = service.stub.GetIndex(pb.GetIndexRequest(name="described")).index
    for message in (created, got):
        message.stats.Clear()  # files come and go
    assert got == created


def test_indexes_are_listed_in_pages(service: IndexProcess) -> None:
    for number in range(5):
        service.stub.CreateIndex(
            pb.CreateIndexRequest(index=pb.Index(name=f"paged-{number}", dimension=1, model_id="m"))
        )
    names, token = [], ""
    while True:
        page = service.stub.ListIndexes(pb.ListIndexesRequest(page_size=2, page_token=token))
        assert len(page.indexes) <= 2
        names.extend(index.name for index in page.indexes)
        token = page.next_page_token
        if not token:
            break
    assert names == sorted(names)
    assert [name for name in names if name.startswith("paged-")] == [f"paged-{number}" for number in range(5)]


def test_written_items_are_found_at_once(service: IndexProcess, index: str) -> None:
    assert upsert(service, index, item("x", X), item("y", Y), item("xy", [3.0, 3.0, 0.0])) == 3
    response = service.stub.Search(
        pb.SearchRequest(index=index, k=3, model_id="m", queries=[query([5, 0, 0]), query(Z)])
    )
    assert ids(response) == [["x", "xy", "y"], ["x", "y", "xy"]]
    assert [neighbor.distance for neighbor in response.results[0].neighbors] == pytest.approx(
        [0.0, math.sqrt(2 - math.sqrt(2)), math.sqrt(2)], abs=1e-6
    )
    assert response.exact


def test_a_stream_of_messages_is_written_in_order(service: IndexProcess, index: str) -> None:
    messages = [
        pb.UpsertItemsRequest(index=index if not number else "", model_id="m" if not number else "", items=[each])
        for number, each in enumerate([item(f"i{number}", X, turn=number) for number in range(30)] + [item("i0", Y)])
    ]
    assert service.stub.UpsertItems(iter(messages)).upserted_count == 31
    listed = service.stub.ListItems(pb.ListItemsRequest(index=index)).items
    assert [each.id for each in listed] == [f"i{number}" for number in range(30)]
    assert listed[0].attributes == "{}"
    assert service.stub.GetIndex(pb.GetIndexRequest(name=index)).index.item_count == 30


def test_attributes_come_back_as_they_were_sent(service: IndexProcess, index: str) -> None:
    attributes = {
        "text": 'quo"te \\ \x00 ü 🐟',
        "number": 0.1,
        "count": 3,
        "big": 1e300,
        "yes": True,
        "nothing": None,
        "list": [1, "a", [False], {}],
        "camera": {"model": "X", "lens": {"f": 2.8}},
    }
    sent = item("a", [3, 4, 0], **attributes)
    upsert(service, index, sent)
    (got,) = service.stub.GetItems(pb.GetItemsRequest(index=index, ids=["a"], include_vectors=True)).items
    assert got.attributes == sent.attributes
    assert unpacked(got.vector) == pytest.approx([0.6, 0.8, 0.0])
    masked = service.stub.Search(
        pb.SearchRequest(
            index=index,
            k=1,
            queries=[query(X)],
            model_id="m",
            attributes_mask=FieldMask(paths=["camera.lens", "count", "missing"]),
        )
    )
    assert json.loads(masked.results[0].neighbors[0].attributes) == {"camera": {"lens": {"f": 2.8}}, "count": 3}
    bare = service.stub.Search(
        pb.SearchRequest(index=index, k=1, queries=[query(X)], model_id="m", attributes_mask=FieldMask(paths=["-"]))
    )
    assert not bare.results[0].neighbors[0].attributes


def walk(
    service: IndexProcess, request: pb.SearchRequest, between: Callable[[], object] = lambda: None
) -> Iterator[pb.SearchResponse]:
    """Yield page after page of a request with one query."""
    request = pb.SearchRequest.FromString(request.SerializeToString())
    while True:
        response = service.stub.Search(request)
        (result,) = response.results
        if not result.neighbors:
            return
        yield response
        last, rank = result.neighbors[-1], request.queries[0].after.rank + len(result.neighbors)
        request.queries[0].after.CopyFrom(pb.Position(distance=last.distance, row=last.row, rank=rank))
        request.index_uid = response.index_uid
        between()


@pytest.mark.parametrize("k", [1, 3, 10])
def test_pages_show_each_item_once_and_older_equals_first(service: IndexProcess, index: str, k: int) -> None:
    upsert(service, index, *(item(f"i{number:02}", (X, Y, [1.0, 1.0, 0.0])[number % 3]) for number in range(30)))
    request = pb.SearchRequest(index=index, k=k, model_id="m", queries=[query([1.0, 0.2, 0.0])])
    found = [each for page in walk(service, request) for each in ids(page)[0]]
    assert found == [f"i{number:02}" for first in (0, 2, 1) for number in range(first, 30, 3)]
    service.stub.DeleteIndex(pb.DeleteIndexRequest(name=index))


def test_pages_do_not_shift_when_items_come_and_go(service: IndexProcess, index: str) -> None:
    upsert(service, index, *(item(f"i{number}", [1.0, number / 10, 0.0], kind="old") for number in range(12)))
    request = pb.SearchRequest(index=index, k=3, model_id="m", queries=[query(X)])
    pages = walk(service, request)
    assert ids(next(pages)) == [["i0", "i1", "i2"]]
    service.stub.DeleteItems(pb.DeleteItemsRequest(index=index, ids=["i0", "i2", "i4"]))
    upsert(service, index, item("near", X), item("far", [1.0, 0.55, 0.0]), item("i5", [], kind="new"))
    assert ids(next(pages)) == [["i3", "i5", "far"]]
    upsert(
        service, index, item("i6", X), item("i1", [1.0, 0.75, 0.0])
    )  # from after the position to before it, and vice versa
    assert ids(next(pages)) == [["i7", "i1", "i8"]]


def test_each_query_of_a_call_continues_from_its_own_position(service: IndexProcess, index: str) -> None:
    upsert(service, index, item("x", X), item("y", Y), item("z", Z))
    request = pb.SearchRequest(
        index=index, k=1, model_id="m", queries=[query(X), query(Y), pb.SearchQuery(item_id="z")]
    )
    first = service.stub.Search(request)
    request.index_uid = first.index_uid
    for number in (1, 2):
        (last,) = first.results[number].neighbors
        request.queries[number].after.CopyFrom(pb.Position(distance=last.distance, row=last.row, rank=1))
    assert ids(first) == [["x"], ["y"], ["x"]]
    assert ids(service.stub.Search(request)) == [["x"], ["x"], ["y"]]


def test_a_position_is_invalid_in_a_later_index_of_the_same_name(service: IndexProcess, index: str) -> None:
    upsert(service, index, item("x", X), item("y", Y))
    definition = service.stub.GetIndex(pb.GetIndexRequest(name=index)).index
    request = pb.SearchRequest(index=index, k=1, model_id="m", queries=[query(X)])
    pages = walk(service, request)
    next(pages)
    service.stub.DeleteIndex(pb.DeleteIndexRequest(name=index))
    service.stub.CreateIndex(pb.CreateIndexRequest(index=definition))
    upsert(service, index, item("x", X), item("y", Y))
    with pytest.raises(grpc.RpcError) as caught:
        next(pages)
    assert Refusal.of(caught.value).reason == "INVALID_PAGE_TOKEN"


def test_an_item_without_a_vector_changes_attributes_only(service: IndexProcess, index: str) -> None:
    upsert(service, index, item("a", X, kind="old"))
    assert upsert(service, index, item("a", [], kind="new")) == 1
    (got,) = service.stub.GetItems(pb.GetItemsRequest(index=index, ids=["a"], include_vectors=True)).items
    assert json.loads(got.attributes) == {"kind": "new"}
    assert unpacked(got.vector) == X


def test_a_stored_item_is_not_its_own_neighbour(service: IndexProcess, index: str) -> None:
    upsert(service, index, item("a", X), item("twin", X), item("far", Y))
    request = pb.SearchRequest(index=index, k=2, queries=[pb.SearchQuery(item_id="a"), query(X)], model_id="m")
    assert ids(service.stub.Search(request)) == [["twin", "far"], ["a", "twin"]]


def test_queries_by_item_need_no_model(service: IndexProcess, index: str) -> None:
    upsert(service, index, item("a", X), item("b", Y))
    request = pb.SearchRequest(index=index, k=1, queries=[pb.SearchQuery(item_id="a")])
    assert ids(service.stub.Search(request)) == [["b"]]


def test_neighbours_come_with_their_vectors_on_request(service: IndexProcess, index: str) -> None:
    upsert(service, index, item("x", X), item("y", Y), item("z", Z))
    request = pb.SearchRequest(index=index, k=2, model_id="m", queries=[query(Y), query(Z)], include_vectors=True)
    response = service.stub.Search(request)
    vectors = {"x": X, "y": Y, "z": Z}
    for found, result in zip(ids(response), response.results, strict=True):
        np.testing.assert_array_equal(
            np.frombuffer(result.vectors, "<f4").reshape(2, 3), [vectors[item_id] for item_id in found]
        )
    request.include_vectors = False
    assert not any(result.vectors for result in service.stub.Search(request).results)


def test_filters_apply_to_searches_and_lists(service: IndexProcess, index: str) -> None:
    upsert(
        service,
        index,
        item("fish", X, kind="fish", tags=["red", "small"], size=2),
        item("boat", Y, kind="boat", tags=["red"], size=12.5),
        item("bare", Z),
    )

    def passing(filter_: dict[str, object]) -> list[str]:
        message = ParseDict(filter_, query_pb2.Filter())
        listed = [each.id for each in service.stub.ListItems(pb.ListItemsRequest(index=index, filter=message)).items]
        request = pb.SearchRequest(index=index, k=10, model_id="m", queries=[query([1, 0.5, 0.1])], filter=message)
        response = service.stub.Search(request)
        assert response.exact
        assert sorted(ids(response)[0]) == sorted(listed)
        return listed

    assert passing({"must": [{"field": "kind", "equals": "fish"}]}) == ["fish"]
    assert passing({"must": [{"field": "tags", "equals": "red"}]}) == ["fish", "boat"]
    assert passing({"must": [{"field": "kind", "any_of": ["fish", "boat"]}]}) == ["fish", "boat"]
    assert passing({"must": [{"field": "size", "range": {"gt": 2, "lte": 12.5}}]}) == ["boat"]
    assert passing({"must": [{"field": "kind", "exists": False}]}) == ["bare"]
    assert passing({"must_not": [{"field": "tags", "equals": "small"}]}) == ["boat", "bare"]
    assert passing(
        {
            "should": [
                {"field": "size", "range": {"lt": 3}},
                {"nested": {"must_not": [{"field": "kind", "exists": True}]}},
            ]
        }
    ) == ["fish", "bare"]
    assert passing({}) == ["fish", "boat", "bare"]


def test_items_are_listed_by_first_addition_in_pages(service: IndexProcess, index: str) -> None:
    upsert(service, index, *(item(f"i{number}", X, even=number % 2 == 0) for number in range(10)))
    upsert(service, index, item("i3", Y), item("last", Y))
    listed, token = [], ""
    while True:
        request = pb.ListItemsRequest(index=index, page_size=4, page_token=token, include_vectors=True)
        page = service.stub.ListItems(request)
        listed.extend((each.id, unpacked(each.vector)) for each in page.items)
        if listed[-1][0] == "i3":  # changes elsewhere cause no repeated or skipped items
            service.stub.DeleteItems(pb.DeleteItemsRequest(index=index, ids=["i0"]))
        token = page.next_page_token
        if not token:
            break
    assert [item_id for item_id, _ in listed] == [*(f"i{number}" for number in range(10)), "last"]
    assert dict(listed)["i3"] == Y


def test_deleted_items_are_gone_and_unknown_ones_named(service: IndexProcess, index: str) -> None:
    upsert(service, index, item("a", X), item("b", Y))
    response = service.stub.DeleteItems(pb.DeleteItemsRequest(index=index, ids=["a", "nothing", "a"]))
    assert (response.deleted_count, list(response.unknown_ids)) == (1, ["nothing"])
    got = service.stub.GetItems(pb.GetItemsRequest(index=index, ids=["a", "b"]))
    assert ([each.id for each in got.items], list(got.unknown_ids)) == (["b"], ["a"])
    assert ids(service.stub.Search(pb.SearchRequest(index=index, k=5, model_id="m", queries=[query(X)]))) == [["b"]]


def test_optimizing_reports_progress_and_leaves_one_segment(service: IndexProcess) -> None:
    service.stub.CreateIndex(pb.CreateIndexRequest(index=pb.Index(name="optimized", dimension=8, model_id="m")))
    vectors = np.random.default_rng(0).normal(size=(1_500, 8)).astype(np.float32)
    upsert(service, "optimized", *(item(str(number), row.tolist()) for number, row in enumerate(vectors)))
    service.stub.DeleteItems(pb.DeleteItemsRequest(index="optimized", ids=["0", "1"]))
    steps = list(service.stub.OptimizeIndex(pb.OptimizeIndexRequest(name="optimized")))
    assert all(step.total_row_count == 1_498 and not step.HasField("index") for step in steps[:-1])
    last = steps[-1]
    assert last.done_row_count == 1_498
    stats = last.index.stats
    assert (stats.segment_count, stats.segment_row_count, stats.live_row_count, stats.deleted_row_count) == (
        1,
        1_498,
        0,
        0,
    )
    request = pb.SearchRequest(
        index="optimized", k=1, model_id="m", queries=[query(row.tolist()) for row in vectors[2:30]]
    )
    assert ids(service.stub.Search(request)) == [[str(number)] for number in range(2, 30)]
    (again,) = list(service.stub.OptimizeIndex(pb.OptimizeIndexRequest(name="optimized")))[-1:]
    assert again.index.stats == stats


def test_an_alias_is_used_wherever_a_name_is(service: IndexProcess, index: str) -> None:
    upsert(service, index, item("a", X))
    assert service.stub.SetAlias(pb.SetAliasRequest(alias="alias", index=index)).previous_index == ""
    assert service.stub.SetAlias(pb.SetAliasRequest(alias="alias", index=index)).previous_index == index
    assert upsert(service, "alias", item("b", Y)) == 1
    described = service.stub.GetIndex(pb.GetIndexRequest(name="alias")).index
    assert (described.name, list(described.aliases), described.item_count) == (index, ["alias"], 2)
    assert [each.id for each in service.stub.ListItems(pb.ListItemsRequest(index="alias")).items] == ["a", "b"]
    assert service.stub.DeleteAlias(pb.DeleteAliasRequest(alias="alias")).previous_index == index
    assert service.stub.DeleteIndex(pb.DeleteIndexRequest(name=index)).deleted_item_count == 2


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(300, 8)).astype(np.float32)
    search = pb.SearchRequest(index="kept", k=20, model_id="m", queries=[query(row.tolist()) for row in vectors[:20]])
    with index_process(tmp_path) as first:
        first.stub.CreateIndex(pb.CreateIndexRequest(index=pb.Index(name="kept", dimension=8, model_id="m")))
        upsert(first, "kept", *(item(str(number), row.tolist(), n=number) for number, row in enumerate(vectors)))
        list(first.stub.OptimizeIndex(pb.OptimizeIndexRequest(name="kept")))
        upsert(first, "kept", *(item(f"live{number}", row.tolist()) for number, row in enumerate(-vectors[:50])))
        first.stub.DeleteItems(pb.DeleteItemsRequest(index="kept", ids=["3", "live4"]))
        first.stub.SetAlias(pb.SetAliasRequest(alias="current", index="kept"))
        expected = first.stub.Search(search)
        token = first.stub.ListItems(pb.ListItemsRequest(index="current", page_size=10)).next_page_token
        further = pb.SearchRequest(index="current", k=15, queries=search.queries[:1], model_id="m")
        further.index_uid = expected.index_uid
        last = expected.results[0].neighbors[4]
        further.queries[0].after.CopyFrom(pb.Position(distance=last.distance, row=last.row, rank=5))
        assert first.stop() == 0
    with index_process(tmp_path) as second:
        assert second.stub.Search(search) == expected
        assert list(second.stub.Search(further).results[0].neighbors) == list(expected.results[0].neighbors[5:])
        page = second.stub.ListItems(pb.ListItemsRequest(index="current", page_size=3, page_token=token))
        assert [each.id for each in page.items] == ["11", "12", "13"]  # 3 is deleted
        assert second.stop() == 0
