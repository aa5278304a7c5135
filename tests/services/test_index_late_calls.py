"""Filters that would take minutes, whose callers do not wait for them."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from semsearch.index.v1 import index_service_pb2 as pb
from semsearch.v1 import query_pb2

from tests.services.index_process import index_process, item, query

X = [1.0, 0.0]
DEADLINE = 30.0
ROWS = 100
LIST = [0] * 32_000  # 64 KiB of attributes
VALUES = range(1, 257)


def test_a_late_search_frees_its_thread(tmp_path: Path) -> None:
    slow = query_pb2.Filter(should=[query_pb2.Condition(field="list") for _ in VALUES])
    for condition, value in zip(slow.should, VALUES, strict=True):
        condition.equals.number_value = value
    with index_process(tmp_path, "--call-threads", "1") as service:
        service.stub.CreateIndex(pb.CreateIndexRequest(index=pb.Index(name="items", dimension=2, model_id="m")))
        messages = (
            pb.UpsertItemsRequest(index="items", model_id="m", items=[item(f"i{n}", X, list=LIST)]) for n in range(ROWS)
        )
        assert service.stub.UpsertItems(messages).upserted_count == ROWS
        search = pb.SearchRequest(index="items", k=1, model_id="m", queries=[query(X)], filter=slow)
        with pytest.raises(grpc.RpcError) as late:
            service.stub.Search(search, timeout=0.5)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        found = service.stub.GetItems(pb.GetItemsRequest(index="items", ids=["i7"]), timeout=DEADLINE)
        assert [each.id for each in found.items] == ["i7"]
        assert service.stub.CountItems(pb.CountItemsRequest(index="items"), timeout=DEADLINE).item_count == ROWS
