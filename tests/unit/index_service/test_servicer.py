import asyncio
import math
import os
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from google.protobuf import field_mask_pb2
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.v1 import query_pb2

from index_service.api.servicer import IndexServicer
from index_service.api.translate import exports
from index_service.coordination.database import open_database
from index_service.coordination.leases import Leases
from index_service.definition import EngineKind, IndexDefinition
from index_service.errors import ModelMismatch, SnapshotEnded
from index_service.export_format import ExportPiece
from index_service.items import NewItem, Upsert, Written
from index_service.local.catalog import Catalog
from index_service.local.segments import SEGMENTS_FOLDER
from index_service.results import Count
from serving.byte_budget import ByteBudget
from serving.errors import InvalidField, InvalidPageToken
from tests.unit.index_service.conftest import OpenCatalog, fill, random_units

DEADLINE = 20.0
DEFAULT_MAX_MESSAGE_BYTES = 4 * 2**20  # a client's default limit
MAX_PENDING_BYTES = 1_000  # of waiting writes
VECTOR = np.array([1, 0, 0, 0], "<f4").tobytes()
LARGE_TEXT = f'{{"text":"{"x" * 60_000}"}}'
CONTEXT: Any = Mock(invocation_metadata=tuple)  # the methods use nothing else of it


@pytest.fixture
def catalog(open_data: OpenCatalog) -> Catalog:
    catalog = open_data()
    fill(catalog.create(IndexDefinition("items", 4, "model", engine=EngineKind.EXACT)), 20)
    return catalog


@pytest.fixture
def leases(catalog: Catalog, data_folder: Path) -> Iterator[Leases]:
    with open_database(data_folder) as database:
        yield Leases(database)


@pytest.fixture
def servicer(catalog: Catalog, leases: Leases) -> Iterator[IndexServicer]:
    with ThreadPoolExecutor(2, thread_name_prefix="call") as threads:
        yield IndexServicer(catalog, leases, threads, ByteBudget(MAX_PENDING_BYTES))


def test_an_export_is_translated_on_the_call_threads(servicer: IndexServicer, monkeypatch: pytest.MonkeyPatch) -> None:
    names: set[str] = set()
    translate = exports.from_piece

    def noted(piece: ExportPiece) -> pb.ExportPiece:
        names.add(threading.current_thread().name)
        return translate(piece)

    monkeypatch.setattr(exports, "from_piece", noted)

    async def export() -> list[pb.ExportIndexResponse]:
        return [message async for message in servicer.ExportIndex(pb.ExportIndexRequest(name="items"), CONTEXT)]

    messages = asyncio.run(export())
    assert [message.piece.WhichOneof("piece") for message in messages] == ["header", "items", "trailer"]
    assert all(name.startswith("call") for name in names)


def test_describing_an_index_lists_each_folder_once(
    catalog: Catalog, servicer: IndexServicer, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = catalog.get("items")
    index.optimize(lambda _done, _total: None).result(DEADLINE)
    listed: list[str] = []
    scan = os.scandir

    def noted(path: os.PathLike[str] | str) -> Any:
        listed.append(os.fspath(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", noted)
    stats = asyncio.run(servicer.GetIndex(pb.GetIndexRequest(name="items"), CONTEXT)).index.stats
    monkeypatch.undo()
    sizes = {path: path.stat().st_size for path in (data_folder / "items").rglob("*") if path.is_file()}
    assert len(listed) == len(set(listed))
    assert stats.disk_bytes == sum(sizes.values())
    assert stats.segment_disk_bytes == sum(size for path, size in sizes.items() if SEGMENTS_FOLDER in path.parts) > 0


def add_large(catalog: Catalog, count: int, attributes: str) -> list[str]:
    ids = [f"large{number}" for number in range(count)]
    items = zip(ids, random_units(0, count, 4), strict=True)
    catalog.get("items").upsert(Upsert(tuple(NewItem(each, attributes, vector) for each, vector in items))).result(
        DEADLINE
    )
    return ids


@pytest.mark.parametrize(
    ("count", "attributes"),
    [
        (100, LARGE_TEXT),
        (15, f'{{"numbers":[{",".join(["1"] * 30_000)}]}}'),  # five times as large as a message
    ],
)
def test_a_page_of_large_items_ends_before_4_mib(
    catalog: Catalog, servicer: IndexServicer, count: int, attributes: str
) -> None:
    large = add_large(catalog, count, attributes)
    ids: list[str] = []
    token = ""
    while token or not ids:
        page = asyncio.run(servicer.ListItems(pb.ListItemsRequest(index="items", page_token=token), CONTEXT))
        assert page.ByteSize() < DEFAULT_MAX_MESSAGE_BYTES
        assert page.items
        ids.extend(item.id for item in page.items)
        token = page.next_page_token
    assert ids == [*map(str, range(20)), *large]


def test_large_items_are_returned_in_parts_below_4_mib(catalog: Catalog, servicer: IndexServicer) -> None:
    wanted = ["nobody", *add_large(catalog, 100, LARGE_TEXT), "0", "no one"]
    items: list[pb.Item] = []
    unknown: list[str] = []
    missing = wanted
    while missing:
        part = asyncio.run(servicer.GetItems(pb.GetItemsRequest(index="items", ids=missing), CONTEXT))
        assert part.ByteSize() < DEFAULT_MAX_MESSAGE_BYTES
        assert part.items
        items.extend(part.items)
        unknown.extend(part.unknown_ids)
        missing = wanted[len(items) + len(unknown) :]
    assert [item.id for item in items] == wanted[1:-1]
    assert unknown == ["nobody", "no one"]


def test_a_search_of_large_items_ends_before_4_mib(catalog: Catalog, servicer: IndexServicer) -> None:
    add_large(catalog, 100, LARGE_TEXT)
    query = pb.SearchQuery(vector=np.array([1, 2, 3, 4], "<f4").tobytes())

    def search(**options: Any) -> pb.SearchResponse:
        request = pb.SearchRequest(index="items", model_id="model", k=10_000, queries=[query], **options)
        return asyncio.run(servicer.Search(request, CONTEXT))

    whole = search(attributes_mask=field_mask_pb2.FieldMask(paths=["-"]))
    assert not whole.results[0].truncated
    found: list[str] = []
    while True:
        response = search(index_uid=whole.index_uid)
        assert response.ByteSize() < DEFAULT_MAX_MESSAGE_BYTES
        (result,) = response.results
        found.extend(each.id for each in result.neighbors)
        if not result.truncated:
            break
        last = result.neighbors[-1]
        query.after.CopyFrom(pb.Position(distance=last.distance, row=last.row, rank=len(found)))
    assert len(found) > len(result.neighbors), "it came in parts"
    assert found == [each.id for each in whole.results[0].neighbors]


def test_each_of_several_large_searches_says_if_it_was_cut(catalog: Catalog, servicer: IndexServicer) -> None:
    add_large(catalog, 100, LARGE_TEXT)
    queries = [pb.SearchQuery(vector=np.array([1, 2, 3, number], "<f4").tobytes()) for number in range(3)]
    request = pb.SearchRequest(index="items", model_id="model", k=40, queries=queries)
    response = asyncio.run(servicer.Search(request, CONTEXT))
    assert response.ByteSize() < DEFAULT_MAX_MESSAGE_BYTES
    assert [result.truncated for result in response.results] == [False, True, True]


def test_writes_of_all_streams_wait_for_room(
    catalog: Catalog, servicer: IndexServicer, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = catalog.get("items")
    upsert = index.upsert
    uncommitted, most = 0, 0

    def counted(write: Upsert) -> Future[Written]:
        nonlocal uncommitted, most
        uncommitted += 1
        most = max(most, uncommitted)
        written = upsert(write)
        written.add_done_callback(ended)
        return written

    def ended(_: object) -> None:
        nonlocal uncommitted
        uncommitted -= 1

    async def messages(stream: int) -> AsyncIterator[pb.UpsertItemsRequest]:
        for number in range(10):
            item = pb.Item(id=f"{stream}-{number}".ljust(350, "x"), vector=VECTOR)
            yield pb.UpsertItemsRequest(index="items", model_id="model", items=[item])

    async def write() -> list[int]:
        async with asyncio.timeout(DEADLINE):
            answers = await asyncio.gather(*(servicer.UpsertItems(messages(stream), CONTEXT) for stream in range(4)))
        return [answer.upserted_count for answer in answers]

    monkeypatch.setattr(index, "upsert", counted)
    assert asyncio.run(write()) == [10] * 4
    assert most <= 2, "two messages fit"


class NoThreads(ThreadPoolExecutor):
    def submit(self, *_arguments: Any, **_more: Any) -> Any:
        raise AssertionError("handed to a thread")


@pytest.mark.parametrize(
    ("fields", "small"),
    [
        ({}, True),
        ({"k": 101}, False),
        ({"filter": query_pb2.Filter(must=[query_pb2.Condition(field="n", exists=True)])}, False),
        ({"queries": [pb.SearchQuery(item_id="1"), pb.SearchQuery(item_id="2")]}, False),
    ],
)
def test_only_small_searches_run_on_the_event_loop(
    catalog: Catalog, leases: Leases, fields: dict[str, Any], small: bool
) -> None:
    servicer = IndexServicer(catalog, leases, NoThreads(1), ByteBudget(2**20))
    request = pb.SearchRequest(**{"index": "items", "k": 3, "queries": [pb.SearchQuery(item_id="1")], **fields})
    if small:
        assert len(asyncio.run(servicer.Search(request, CONTEXT)).results[0].neighbors) == 3
    else:
        with pytest.raises(AssertionError, match="handed to a thread"):
            asyncio.run(servicer.Search(request, CONTEXT))


def test_a_search_of_many_rows_runs_on_a_thread(
    catalog: Catalog, leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("index_service.local.index_reads._SMALL_ROW_COUNT", 19)
    servicer = IndexServicer(catalog, leases, NoThreads(1), ByteBudget(2**20))
    request = pb.SearchRequest(index="items", k=3, queries=[pb.SearchQuery(item_id="1")])
    with pytest.raises(AssertionError, match="handed to a thread"):
        asyncio.run(servicer.Search(request, CONTEXT))


def test_a_list_in_descending_order_is_followed_by_its_tokens(catalog: Catalog, servicer: IndexServicer) -> None:
    ids = add_large(catalog, 20, LARGE_TEXT)  # one text for all: the newest come first
    ids += add_large(catalog, 5, '{"text":"y"}')  # these replace five
    request = pb.ListItemsRequest(index="items", page_size=15, descending_by="text")
    request.within.MergeFrom(pb.Neighborhood(vector=VECTOR, model_id="model", distance=2.0))
    shown: list[str] = []
    while request.page_token or not shown:
        page = asyncio.run(servicer.ListItems(request, CONTEXT))
        assert page.ByteSize() < DEFAULT_MAX_MESSAGE_BYTES
        assert len(page.distances) == len(page.items)
        assert not any(item.vector for item in page.items)
        shown += [item.id for item in page.items]
        request.page_token = page.next_page_token
    without_text = [str(number) for number in reversed(range(20))]
    assert shown == [*reversed(ids[20:]), *reversed(ids[5:20]), *without_text]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ListItemsRequest(index="items", within=pb.Neighborhood(vector=VECTOR, model_id="model")), "within"),
        (
            pb.ListItemsRequest(
                index="items",
                descending_by="text",
                within=pb.Neighborhood(vector=VECTOR, model_id="model", distance=2.5),
            ),
            "within.distance",
        ),
        (pb.ListItemsRequest(index="items", descending_by="a..b"), "descending_by"),
        (pb.CountItemsRequest(index="items", vector=VECTOR, model_id="model", distances=[1.0, 0.5]), "distances"),
        (
            pb.CountItemsRequest(index="items", vector=VECTOR, model_id="model", distances=[math.nan]),
            "distances[0]",
        ),
        (pb.CountItemsRequest(index="items", distances=[0.0] * 1_001), "distances"),
        (pb.CountItemsRequest(index="items", excluded_ids=["a"] * 1_001), "excluded_ids"),
    ],
)
def test_lists_and_counts_that_break_the_rules_are_refused(
    servicer: IndexServicer, request_: pb.ListItemsRequest | pb.CountItemsRequest, field: str
) -> None:
    call = servicer.CountItems if isinstance(request_, pb.CountItemsRequest) else servicer.ListItems
    with pytest.raises(InvalidField) as caught:
        asyncio.run(call(request_, CONTEXT))  # type: ignore[arg-type]
    assert caught.value.field == field


@pytest.mark.parametrize(
    "token", ["x", "7", "[1, 2]", '["a"]', '[null, "1"]', f"[null, {2**63}]", pytest.param("[" * 100_000, id="deep")]
)
def test_a_token_that_is_no_place_is_refused(servicer: IndexServicer, token: str) -> None:
    request = pb.ListItemsRequest(index="items", descending_by="text", page_token=token)
    with pytest.raises(InvalidPageToken):
        asyncio.run(servicer.ListItems(request, CONTEXT))


def test_vectors_of_another_model_are_not_counted_or_listed(servicer: IndexServicer) -> None:
    with pytest.raises(ModelMismatch):
        asyncio.run(servicer.CountItems(pb.CountItemsRequest(index="items", vector=VECTOR, model_id="other"), CONTEXT))
    request = pb.ListItemsRequest(
        index="items", descending_by="text", within=pb.Neighborhood(vector=VECTOR, model_id="other")
    )
    with pytest.raises(ModelMismatch):
        asyncio.run(servicer.ListItems(request, CONTEXT))


async def test_a_count_ends_when_its_caller_leaves(
    catalog: Catalog, servicer: IndexServicer, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, closed, compared = catalog.get("items"), asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def counts(*_: object) -> Iterator[Count]:
        try:
            while True:
                loop.call_soon_threadsafe(compared.set)
                yield Count(0, ())
        finally:
            loop.call_soon_threadsafe(closed.set)

    monkeypatch.setattr(index, "count", counts)
    call = asyncio.create_task(servicer.CountItems(pb.CountItemsRequest(index="items"), CONTEXT))
    async with asyncio.timeout(DEADLINE):
        await compared.wait()
        call.cancel()
        await closed.wait()
    with pytest.raises(asyncio.CancelledError):
        await call


def test_a_snapshot_lasts_as_long_as_its_call(servicer: IndexServicer, catalog: Catalog) -> None:
    async def hold() -> None:
        catalog.set_alias("alias", "items")
        call = servicer.HoldSnapshot(pb.HoldSnapshotRequest(), CONTEXT)
        held = await anext(aiter(call))
        fill(catalog.get("items"), 5, first=100)
        assert [(each.name, list(each.aliases), each.dimension) for each in held.indexes] == [("items", ["alias"], 4)]
        request = pb.ExportIndexRequest(name="items", snapshot_id=held.snapshot_id)
        pieces = [response.piece async for response in servicer.ExportIndex(request, CONTEXT)]
        assert pieces[0].header.item_count == 20

        with pytest.raises(SnapshotEnded, match="only one"):
            await anext(aiter(servicer.HoldSnapshot(pb.HoldSnapshotRequest(), CONTEXT)))
        await call.aclose()  # type: ignore[attr-defined]
        with pytest.raises(SnapshotEnded, match="over"):
            await anext(aiter(servicer.ExportIndex(request, CONTEXT)))

    asyncio.run(asyncio.wait_for(hold(), DEADLINE))


def test_a_snapshot_ends_if_the_logs_grow_too_large(catalog: Catalog, leases: Leases) -> None:
    async def hold(servicer: IndexServicer) -> None:
        fill(catalog.get("items"), 5, first=100)
        async for response in servicer.HoldSnapshot(pb.HoldSnapshotRequest(), CONTEXT):
            assert response.snapshot_id

    with ThreadPoolExecutor(2) as threads:
        servicer = IndexServicer(catalog, leases, threads, ByteBudget(MAX_PENDING_BYTES), max_snapshot_log_bytes=10)
        with pytest.raises(SnapshotEnded, match="10 are allowed"):
            asyncio.run(asyncio.wait_for(hold(servicer), DEADLINE))
