import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from semsearch.index.v1 import index_service_pb2 as pb

from index_service.catalog import Catalog
from index_service.definition import EngineKind, IndexDefinition
from index_service.export_format import ExportPiece
from index_service.servicer import IndexServicer
from index_service.translate import exports
from serving.page_tokens import PageTokens
from tests.unit.index_service.conftest import OpenCatalog, fill

CONTEXT: Any = None  # no method of the servicer asks it anything


@pytest.fixture
def catalog(open_data: OpenCatalog) -> Catalog:
    catalog = open_data()
    fill(catalog.create(IndexDefinition("items", 4, "model", engine=EngineKind.EXACT)), 20)
    return catalog


@pytest.fixture
def servicer(catalog: Catalog) -> Iterator[IndexServicer]:
    with ThreadPoolExecutor(2, thread_name_prefix="call") as threads:
        yield IndexServicer(catalog, threads, PageTokens(b"key"))


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
