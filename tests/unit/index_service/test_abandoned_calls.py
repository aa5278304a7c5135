"""Calls whose caller leaves while SQLite compares items with a filter."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.v1 import query_pb2

from index_service.abandoned import run_until
from index_service.api.servicer import IndexServicer
from index_service.definition import EngineKind, IndexDefinition
from index_service.items import NewItem, Upsert
from serving.byte_budget import ByteBudget
from tests.unit.index_service.conftest import OpenCatalog, random_units

DEADLINE = 20.0
ROWS = 8
NOTHING: Any = None
CONDITION = query_pb2.Condition(field="list")
CONDITION.equals.string_value = "x"
FILTER = query_pb2.Filter(must=[CONDITION])
VECTOR = random_units(0, 1, 4)[0].tobytes()

CALLS: dict[str, Callable[[IndexServicer], Awaitable[Any]]] = {
    "count": lambda servicer: servicer.CountItems(pb.CountItemsRequest(index="items", filter=FILTER), NOTHING),
    "list": lambda servicer: servicer.ListItems(pb.ListItemsRequest(index="items", filter=FILTER), NOTHING),
    "descending": lambda servicer: servicer.ListItems(
        pb.ListItemsRequest(index="items", filter=FILTER, descending_by="when"), NOTHING
    ),
    "search": lambda servicer: servicer.Search(
        pb.SearchRequest(index="items", filter=FILTER, k=1, model_id="model", queries=[pb.SearchQuery(vector=VECTOR)]),
        NOTHING,
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_filter_stops_when_its_caller_leaves(
    open_data: OpenCatalog, call: Callable[[IndexServicer], Awaitable[Any]]
) -> None:
    catalog = open_data()
    index = catalog.create(IndexDefinition("items", 4, "model", engine=EngineKind.EXACT))
    long = f'{{"list":[{",".join(["0"] * 30_000)}]}}'
    vectors = random_units(0, ROWS, 4)
    index.upsert(Upsert(tuple(NewItem(str(n), long, vector) for n, vector in enumerate(vectors)))).result(DEADLINE)
    comparing, go_on = threading.Event(), threading.Event()
    compared = 0

    def type_of_list(text: str, path: str) -> str:
        nonlocal compared
        compared += 1
        comparing.set()
        assert go_on.wait(DEADLINE)
        return "array"

    with index.read() as reader:  # its connection is the next to be used
        reader._connection.create_function("json_type", 2, type_of_list)
    with ThreadPoolExecutor(1) as threads:
        servicer = IndexServicer(catalog, NOTHING, threads, ByteBudget(1))
        left = asyncio.ensure_future(call(servicer))
        await asyncio.to_thread(comparing.wait, DEADLINE)
        left.cancel()
        for _ in range(50):
            await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await left
        await asyncio.wrap_future(threads.submit(lambda: None))  # waits for what the thread still does
        assert compared < ROWS / 2
        compared = 0
        await call(servicer)
        assert compared >= ROWS, "another call is not stopped"


def test_a_check_that_is_stopped_reports_no_damage(open_data: OpenCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index_service.abandoned._INSTRUCTIONS", 1)
    checking, left = open_data().create(IndexDefinition("items", 4, "model")).check(), threading.Event()
    run_until(left, lambda: next(checking))
    left.set()
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        next(checking)
