"""Bad input to the index service: each case gets its code, its reason and the field, and causes no loss."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import ParseDict
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.index.v1 import index_service_pb2_grpc as pb_grpc
from semsearch.v1 import query_pb2

from tests.services.index_process import IndexProcess, index_process, item, query
from tests.services.packed_vectors import packed
from tests.services.service_process import Refusal

X = [1.0, 0.0, 0.0]
Stub = pb_grpc.IndexServiceStub
Call = Callable[[Stub], object]


# One process for the module: bad calls must have no effect, which the last test checks.
@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexProcess]:
    with index_process(tmp_path_factory.mktemp("data")) as running:
        running.stub.CreateIndex(pb.CreateIndexRequest(index=pb.Index(name="items", dimension=3, model_id="m")))
        running.stub.SetAlias(pb.SetAliasRequest(alias="current", index="items"))
        running.stub.UpsertItems(
            iter([pb.UpsertItemsRequest(index="items", model_id="m", items=[item(f"i{n}", X) for n in range(20)])])
        )
        yield running


def refusal(service: IndexProcess, call: Call) -> Refusal:
    with pytest.raises(grpc.RpcError) as caught:
        call(service.stub)
    return Refusal.of(caught.value)


def create(**fields: object) -> Call:
    index = pb.Index(**{"name": "new", "dimension": 3, "model_id": "m", **fields})
    return lambda stub: stub.CreateIndex(pb.CreateIndexRequest(index=index))


def upsert(*items: pb.Item, index: str = "items", model: str = "m") -> Call:
    request = pb.UpsertItemsRequest(index=index, model_id=model, items=items)
    return lambda stub: stub.UpsertItems(iter([request]))


def search(**fields: object) -> Call:
    request = pb.SearchRequest(**{"index": "items", "k": 1, "model_id": "m", "queries": [query(X)], **fields})
    return lambda stub: stub.Search(request)


def after_position(uid: str | None = None, **position: float) -> Call:
    """Return a search after a position of the current index, unless another `uid` is given."""

    def call(stub: Stub) -> object:
        first = pb.SearchRequest(index="items", k=1, model_id="m", queries=[query(X)])
        request = pb.SearchRequest()
        request.CopyFrom(first)
        request.index_uid = stub.Search(first).index_uid if uid is None else uid
        request.queries[0].after.CopyFrom(pb.Position(**position))
        return stub.Search(request)

    return call


def listed(**fields: object) -> Call:
    return lambda stub: stub.ListItems(pb.ListItemsRequest(**{"index": "items", **fields}))


def filtered(filter_: dict[str, object]) -> Call:
    return search(filter=ParseDict(filter_, query_pb2.Filter()))


def nested(depth: int) -> dict[str, object]:
    condition: dict[str, object] = {"field": "a", "exists": True}
    for _ in range(depth):
        condition = {"nested": {"must": [condition]}}
    return {"must": [condition]}


def attributed(text: str) -> pb.Item:
    return pb.Item(id="a", vector=packed(X), attributes=text)


INVALID = grpc.StatusCode.INVALID_ARGUMENT
CASES: dict[str, tuple[Call, grpc.StatusCode, str, str]] = {
    # vectors
    "too short": (upsert(item("a", [1.0, 0.0])), INVALID, "DIMENSION_MISMATCH", "items[0].vector"),
    "too long": (upsert(item("a", X), item("b", [*X, 1])), INVALID, "DIMENSION_MISMATCH", "items[1].vector"),
    "nan": (upsert(item("a", X), item("b", [math.nan, 1, 0])), INVALID, "INVALID_VECTOR", "items[1].vector"),
    "infinite": (upsert(item("a", [math.inf, 1, 0])), INVALID, "INVALID_VECTOR", "items[0].vector"),
    "zero": (upsert(item("a", [0, 0, 0])), INVALID, "INVALID_VECTOR", "items[0].vector"),
    "half a number": (upsert(pb.Item(id="a", vector=packed(X)[:-2])), INVALID, "INVALID_VECTOR", "items[0].vector"),
    **{
        f"attributes {text[:20]}": (upsert(attributed(text)), INVALID, "INVALID_FIELD", "items[0].attributes")
        for text in (
            "{",
            "[]",
            '{"a": 1}',
            '{"a":1.0}',
            '{"a":NaN}',
            '{"a":-Infinity}',
            '{"a":' * 17 + "1" + "}" * 17,
            f'{{"a":"{"x" * 65536}"}}',
        )
    },
    "query too long": (search(queries=[query([*X, 1])]), INVALID, "DIMENSION_MISMATCH", "queries[0].vector"),
    "query empty": (search(queries=[query([])]), INVALID, "DIMENSION_MISMATCH", "queries[0].vector"),
    "query nan": (search(queries=[query(X), query([math.nan, 1, 0])]), INVALID, "INVALID_VECTOR", "queries[1].vector"),
    "query zero": (search(queries=[query([0, 0, 0])]), INVALID, "INVALID_VECTOR", "queries[0].vector"),
    # ids
    "id with slash": (upsert(item("a/b", X)), INVALID, "INVALID_ID", "items[0].id"),
    "id of 10 kB": (upsert(item("x" * 10_000, X)), INVALID, "INVALID_ID", "items[0].id"),
    "id of 513 bytes": (upsert(item("ü" * 256 + "x", X)), INVALID, "INVALID_ID", "items[0].id"),
    "no id": (upsert(item("", X)), INVALID, "INVALID_ID", "items[0].id"),
    "id with a line break": (upsert(item("a\nb", X)), INVALID, "INVALID_ID", "items[0].id"),
    "id with a nul": (upsert(item("a\x00b", X)), INVALID, "INVALID_ID", "items[0].id"),
    "delete bad id": (
        lambda stub: stub.DeleteItems(pb.DeleteItemsRequest(index="items", ids=["ok", "a/b"])),
        INVALID,
        "INVALID_ID",
        "ids[1]",
    ),
    "get no ids": (lambda stub: stub.GetItems(pb.GetItemsRequest(index="items")), INVALID, "INVALID_FIELD", "ids"),
    "search bad id": (
        search(queries=[pb.SearchQuery(item_id="a/b")]),
        INVALID,
        "INVALID_ID",
        "queries[0].item_id",
    ),
    # missing things
    "unknown index": (upsert(item("a", X), index="nothing"), grpc.StatusCode.NOT_FOUND, "INDEX_NOT_FOUND", ""),
    "search unknown index": (search(index="nothing"), grpc.StatusCode.NOT_FOUND, "INDEX_NOT_FOUND", ""),
    "index with a path": (search(index="../items"), grpc.StatusCode.NOT_FOUND, "INDEX_NOT_FOUND", ""),
    "no index": (search(index=""), INVALID, "INVALID_FIELD", "index"),
    "unknown item": (
        search(queries=[pb.SearchQuery(item_id="nothing")]),
        grpc.StatusCode.NOT_FOUND,
        "ITEM_NOT_FOUND",
        "",
    ),
    "attributes of an unknown item": (
        upsert(item("nothing", [], kind="x")),
        grpc.StatusCode.NOT_FOUND,
        "ITEM_NOT_FOUND",
        "",
    ),
    "get unknown": (
        lambda stub: stub.GetIndex(pb.GetIndexRequest(name="nothing")),
        grpc.StatusCode.NOT_FOUND,
        "INDEX_NOT_FOUND",
        "",
    ),
    "optimize unknown": (
        lambda stub: list(stub.OptimizeIndex(pb.OptimizeIndexRequest(name="nothing"))),
        grpc.StatusCode.NOT_FOUND,
        "INDEX_NOT_FOUND",
        "",
    ),
    "delete by alias": (
        lambda stub: stub.DeleteIndex(pb.DeleteIndexRequest(name="current")),
        grpc.StatusCode.NOT_FOUND,
        "INDEX_NOT_FOUND",
        "",
    ),
    "delete unknown alias": (
        lambda stub: stub.DeleteAlias(pb.DeleteAliasRequest(alias="nothing")),
        grpc.StatusCode.NOT_FOUND,
        "INDEX_NOT_FOUND",
        "",
    ),
    "alias of an unknown index": (
        lambda stub: stub.SetAlias(pb.SetAliasRequest(alias="a", index="nothing")),
        grpc.StatusCode.NOT_FOUND,
        "INDEX_NOT_FOUND",
        "",
    ),
    # states
    "other model": (
        upsert(item("a", X), model="n"),
        grpc.StatusCode.FAILED_PRECONDITION,
        "MODEL_MISMATCH",
        "",
    ),
    "search other model": (search(model_id="n"), grpc.StatusCode.FAILED_PRECONDITION, "MODEL_MISMATCH", ""),
    "search no model": (search(model_id=""), grpc.StatusCode.FAILED_PRECONDITION, "MODEL_MISMATCH", ""),
    "exists": (create(name="items"), grpc.StatusCode.ALREADY_EXISTS, "INDEX_EXISTS", ""),
    "name of an alias": (create(name="current"), grpc.StatusCode.ALREADY_EXISTS, "INDEX_EXISTS", ""),
    "alias is an index": (
        lambda stub: stub.SetAlias(pb.SetAliasRequest(alias="items", index="items")),
        grpc.StatusCode.ALREADY_EXISTS,
        "INDEX_EXISTS",
        "",
    ),
    "in use": (
        lambda stub: stub.DeleteIndex(pb.DeleteIndexRequest(name="items")),
        grpc.StatusCode.FAILED_PRECONDITION,
        "INDEX_IN_USE",
        "",
    ),
    # definitions
    "no name": (create(name=""), INVALID, "INVALID_FIELD", "index.name"),
    "name with a slash": (create(name="a/b"), INVALID, "INVALID_FIELD", "index.name"),
    "name with dots first": (create(name="..a"), INVALID, "INVALID_FIELD", "index.name"),
    "long name": (create(name="a" * 129), INVALID, "INVALID_FIELD", "index.name"),
    "name with a line break": (create(name="a\n"), INVALID, "INVALID_FIELD", "index.name"),
    "no dimension": (create(dimension=0), INVALID, "INVALID_FIELD", "index.dimension"),
    "large dimension": (create(dimension=4_097), INVALID, "INVALID_FIELD", "index.dimension"),
    "no model": (create(model_id=""), INVALID, "INVALID_FIELD", "index.model_id"),
    "unknown engine": (create(engine=99), INVALID, "INVALID_FIELD", "index.engine"),
    "recall above one": (create(recall_target=1.5), INVALID, "INVALID_FIELD", "index.recall_target"),
    "recall nan": (create(recall_target=math.nan), INVALID, "INVALID_FIELD", "index.recall_target"),
    "odd attribute": (
        create(indexed_attributes=["ok", 'a")']),
        INVALID,
        "INVALID_FIELD",
        "index.indexed_attributes[1]",
    ),
    "bad alias": (
        lambda stub: stub.SetAlias(pb.SetAliasRequest(alias="a b", index="items")),
        INVALID,
        "INVALID_FIELD",
        "alias",
    ),
    # attributes
    "large attributes": (upsert(item("a", X, text="x" * 70_000)), INVALID, "INVALID_FIELD", "items[0].attributes"),
    # sizes
    "no items": (upsert(), INVALID, "INVALID_FIELD", "items"),
    "5,001 items": (upsert(*[item("a", X)] * 5_001), INVALID, "INVALID_FIELD", "items"),
    "no message": (lambda stub: stub.UpsertItems(iter([])), INVALID, "INVALID_FIELD", "index"),
    "k zero": (search(k=0), INVALID, "INVALID_FIELD", "k"),
    "k negative": (search(k=-1), INVALID, "INVALID_FIELD", "k"),
    "k large": (search(k=10_001), INVALID, "INVALID_FIELD", "k"),
    "too many vectors": (search(k=5_001, include_vectors=True), INVALID, "INVALID_FIELD", "k"),
    "too many neighbours": (search(k=10_000, queries=[query(X)] * 21), INVALID, "INVALID_FIELD", "k"),
    "recall of a search above one": (search(recall=1.01), INVALID, "INVALID_FIELD", "recall"),
    "recall of a search negative": (search(recall=-0.1), INVALID, "INVALID_FIELD", "recall"),
    "recall of a search nan": (search(recall=math.nan), INVALID, "INVALID_FIELD", "recall"),
    "no queries": (search(queries=[]), INVALID, "INVALID_FIELD", "queries"),
    "1,001 queries": (search(queries=[query(X)] * 1_001), INVALID, "INVALID_FIELD", "queries"),
    "no target": (search(queries=[query(X), pb.SearchQuery()]), INVALID, "INVALID_FIELD", "queries[1]"),
    "odd mask": (
        search(attributes_mask=FieldMask(paths=["a..b"])),
        INVALID,
        "INVALID_FIELD",
        "attributes_mask.paths[0]",
    ),
    # pages
    "page size -1": (listed(page_size=-1), INVALID, "INVALID_FIELD", "page_size"),
    "index page size -1": (
        lambda stub: stub.ListIndexes(pb.ListIndexesRequest(page_size=-1)),
        INVALID,
        "INVALID_FIELD",
        "page_size",
    ),
    "token": (listed(page_token="WzEsMl0.abc"), INVALID, "INVALID_PAGE_TOKEN", "page_token"),
    "index token": (
        lambda stub: stub.ListIndexes(pb.ListIndexesRequest(page_token="/")),
        INVALID,
        "INVALID_PAGE_TOKEN",
        "page_token",
    ),
    "distance nan": (after_position(distance=math.nan), INVALID, "INVALID_FIELD", "queries[0].after.distance"),
    "distance negative": (after_position(distance=-0.1), INVALID, "INVALID_FIELD", "queries[0].after.distance"),
    "distance above two": (after_position(distance=2.1), INVALID, "INVALID_FIELD", "queries[0].after.distance"),
    "row negative": (after_position(row=-1), INVALID, "INVALID_FIELD", "queries[0].after"),
    "rank negative": (after_position(rank=-1), INVALID, "INVALID_FIELD", "queries[0].after"),
    "position of no index": (after_position(uid=""), INVALID, "INVALID_PAGE_TOKEN", "index_uid"),
    "position of another index": (after_position(uid="0" * 32), INVALID, "INVALID_PAGE_TOKEN", "index_uid"),
    # filters
    "no test": (filtered({"must": [{"field": "a"}]}), INVALID, "INVALID_FILTER", "filter.must[0]"),
    "no field": (
        filtered({"should": [{"exists": True}]}),
        INVALID,
        "INVALID_FILTER",
        "filter.should[0].field",
    ),
    "odd field": (
        filtered({"must_not": [{"field": 'a" OR 1', "exists": True}]}),
        INVALID,
        "INVALID_FILTER",
        "filter.must_not[0].field",
    ),
    "equals a list": (
        filtered({"must": [{"field": "a", "equals": [1]}]}),
        INVALID,
        "INVALID_FILTER",
        "filter.must[0].equals",
    ),
    "any of objects": (
        filtered({"must": [{"field": "a", "any_of": [1, {}]}]}),
        INVALID,
        "INVALID_FILTER",
        "filter.must[0].any_of[1]",
    ),
    "nan bound": (
        filtered({"must": [{"field": "a", "range": {"gt": "NaN"}}]}),
        INVALID,
        "INVALID_FILTER",
        "filter.must[0].range.gt",
    ),
    "field beside nested": (
        filtered({"must": [{"field": "a", "nested": {}}]}),
        INVALID,
        "INVALID_FILTER",
        "filter.must[0].field",
    ),
    "too deep": (
        filtered(nested(8)),
        INVALID,
        "INVALID_FILTER",
        "filter.must[0]" + ".nested.must[0]" * 7 + ".nested",
    ),
    "too many conditions": (
        filtered({"should": [{"field": "a", "exists": True}] * 257}),
        INVALID,
        "INVALID_FILTER",
        "filter",
    ),
    "too many values": (
        listed(filter=ParseDict({"must": [{"field": "a", "any_of": list(range(10_001))}]}, query_pb2.Filter())),
        INVALID,
        "INVALID_FILTER",
        "filter",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused(service: IndexProcess, case: str) -> None:
    call, code, reason, field = CASES[case]
    error = refusal(service, call)
    assert (error.code, error.reason) == (code, reason), error
    assert error.fields == ((field,) if field else ())
    assert error.message


def field(number: int, content: bytes) -> bytes:
    """Return the wire format of a message's field."""
    length, head = len(content), bytearray([number << 3 | 2])
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*head, length]) + content


def deep_filter(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = field(1, field(6, content))  # Filter.must[0].nested
    return content


# As bytes, because a client's protobuf refuses to send such deep messages.
@pytest.mark.parametrize("depth", [9, 30, 120, 1_000])
@pytest.mark.parametrize("method", ["Search", "ListItems"])
def test_a_filter_of_any_depth_is_refused_with_details(service: IndexProcess, method: str, depth: int) -> None:
    request = pb.SearchRequest(index="items", k=1, model_id="m", queries=[query(X)]).SerializeToString()
    head, number = (request, 5) if method == "Search" else (field(1, b"items"), 4)
    with grpc.insecure_channel(service.address) as channel:
        call = channel.unary_unary(f"/semsearch.index.v1.IndexService/{method}")
        with pytest.raises(grpc.RpcError) as caught:
            call(head + field(number, deep_filter(depth)))
    error = Refusal.of(caught.value)
    assert error.code == INVALID
    assert error.reason == ("INVALID_FILTER" if depth < 40 else "INVALID_FIELD")
    assert error.fields[0].startswith("filter" if depth < 40 else "request")


@pytest.mark.parametrize("depth", [17, 30, 40, 1_000])
def test_attributes_of_any_depth_are_refused_with_details(service: IndexProcess, depth: int) -> None:
    error = refusal(service, upsert(attributed('{"a":' * depth + "1" + "}" * depth)))
    assert (error.code, error.reason, error.fields) == (INVALID, "INVALID_FIELD", ("items[0].attributes",))


@pytest.mark.parametrize("name", ["x" * 10_000, "ü" * 10_000, '"' * 10_000])
def test_long_texts_are_cut_in_errors(service: IndexProcess, name: str) -> None:
    for call, reason in (
        (lambda stub: stub.GetIndex(pb.GetIndexRequest(name=name)), "INDEX_NOT_FOUND"),
        (create(name=name), "INVALID_FIELD"),
        (upsert(item("a", X), model=name), "MODEL_MISMATCH"),
        (search(model_id=name), "MODEL_MISMATCH"),
    ):
        error = refusal(service, call)
        assert error.reason == reason
        assert "…" in error.message
        assert len(error.message) < 1_500


@pytest.mark.parametrize("size", [0, 10**6])
def test_page_sizes_out_of_range_are_clamped(service: IndexProcess, size: int) -> None:
    page = service.stub.ListItems(pb.ListItemsRequest(index="items", page_size=size))
    assert len(page.items) == 20


def test_messages_before_an_invalid_one_are_kept(service: IndexProcess) -> None:
    messages = [
        pb.UpsertItemsRequest(index="items", model_id="m", items=[item("before", X)]),
        pb.UpsertItemsRequest(items=[item("partly", X), item("a/b", X)]),
        pb.UpsertItemsRequest(items=[item("after", X)]),
    ]
    assert refusal(service, lambda stub: stub.UpsertItems(iter(messages))).reason == "INVALID_ID"
    got = service.stub.GetItems(pb.GetItemsRequest(index="items", ids=["partly", "after"]))
    assert list(got.unknown_ids) == ["partly", "after"]
    service.stub.DeleteItems(pb.DeleteItemsRequest(index="items", ids=["before"]))


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (pb.UpsertItemsRequest(index="current", items=[item("a", X)]), "INVALID_FIELD"),
        (pb.UpsertItemsRequest(model_id="n", items=[item("a", X)]), "MODEL_MISMATCH"),
    ],
)
def test_a_stream_stays_with_its_index_and_model(
    service: IndexProcess, later: pb.UpsertItemsRequest, reason: str
) -> None:
    messages = [pb.UpsertItemsRequest(index="items", model_id="m", items=[item("i0", X)]), later]
    assert refusal(service, lambda stub: stub.UpsertItems(iter(messages))).reason == reason


def test_bad_input_lost_or_added_nothing(service: IndexProcess) -> None:
    described = service.stub.GetIndex(pb.GetIndexRequest(name="current")).index
    assert described.item_count == 20
    assert [index.name for index in service.stub.ListIndexes(pb.ListIndexesRequest()).indexes] == ["items"]
    assert not [line for line in service.lines if '"level": "error"' in line]


def test_a_damaged_store_answers_data_loss_and_the_others_work(tmp_path: Path) -> None:
    with index_process(tmp_path) as first:
        for name in ("broken", "sound"):
            first.stub.CreateIndex(pb.CreateIndexRequest(index=pb.Index(name=name, dimension=3, model_id="m")))
        upsert(item("a", X), index="sound")(first.stub)
    (tmp_path / "index" / "broken" / "store.sqlite").write_bytes(b"not a database" * 1000)
    with index_process(tmp_path) as second:
        for call in (
            search(index="broken"),
            upsert(item("a", X), index="broken"),
            lambda stub: stub.GetIndex(pb.GetIndexRequest(name="broken")),
        ):
            error = refusal(second, call)
            assert (error.code, error.reason) == (grpc.StatusCode.DATA_LOSS, "STORE_DAMAGED")
            assert "store.sqlite" in error.message
        assert second.stub.GetIndex(pb.GetIndexRequest(name="sound")).index.item_count == 1
        broken, sound = second.stub.ListIndexes(pb.ListIndexesRequest()).indexes
        assert (broken.name, sound.name) == ("broken", "sound")
        assert "store.sqlite" in broken.stats.repairs[0]
        assert second.stub.DeleteIndex(pb.DeleteIndexRequest(name="broken")).deleted_item_count == 0
