"""Exports and imports: an import restores an export exactly, and accepts nothing else."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semsearch.index.v1 import index_service_pb2 as pb

from index_service.api.translate import exports
from index_service.api.translate.items import to_upsert
from index_service.attributes import AttributePath, canonical_number, to_json
from index_service.definition import EngineKind, IndexDefinition
from index_service.errors import ExportTooNew, IndexExists, InvalidExport, InvalidVector
from index_service.export_format import FORMAT_VERSION, ExportHeader, ExportPiece, ExportTrailer
from index_service.filters import Filter
from index_service.items import Delete, NewItem, Upsert, Write
from index_service.local.catalog import Catalog, open_catalog
from index_service.local.store import STORE_FILE
from index_service.local.vector_index import VectorIndex
from serving.errors import InvalidField
from tests.services.packed_vectors import packed
from tests.unit.index_service.conftest import NEVER, OpenCatalog, fill, found_ids, random_units
from tests.unit.index_service.engines_in_process import engine_of

DEADLINE = 20.0
DIMENSION = 4
DEFINITION = IndexDefinition(
    "items",
    DIMENSION,
    "model",
    engine=EngineKind.EXACT,
    recall_target=0.9,
    indexed_attributes=(AttributePath.parse("camera.model"),),
    labels={"b": "2", "a": "1"},
)


def imported(catalog: Catalog, pieces: Iterable[pb.ExportPiece], name: str) -> VectorIndex:
    """Import pieces as the servicer does."""
    header, *rest, trailer = pieces
    filling = catalog.begin_import(name, exports.to_header(header))
    try:
        for piece in rest:
            filling.add(exports.to_rows(piece, DIMENSION))
        filling.complete(exports.to_trailer(trailer.trailer))
        return catalog.finish_import(filling)
    finally:
        filling.discard()


def sent(pieces: Iterable[ExportPiece]) -> list[pb.ExportPiece]:
    """Return pieces as read from a file or from the network."""
    return [pb.ExportPiece.FromString(exports.from_piece(piece).SerializeToString()) for piece in pieces]


def contents(index: VectorIndex) -> list[tuple[int, int, str, str | None, bytes]]:
    items = list(index.page(0, 10_000, Filter(), vectors=True))
    return [
        (each.row, each.sequence, each.id, each.attributes, b"" if each.vector is None else each.vector.tobytes())
        for each in items
    ]


vectors = st.lists(st.integers(-3, 3), min_size=DIMENSION, max_size=DIMENSION).filter(any)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False).map(canonical_number)
attributes = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | numbers | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)
ids = st.sampled_from("abcdefg")


@st.composite
def writes(draw: st.DrawFn) -> Write:
    if draw(st.integers(0, 3)) == 0:
        return Delete(tuple(draw(st.lists(ids, min_size=1, max_size=3))))
    message = pb.UpsertItemsRequest()
    for item_id in draw(st.lists(ids, min_size=1, max_size=4)):
        message.items.add(id=item_id, vector=packed(draw(vectors)), attributes=to_json(draw(attributes)))
    return to_upsert(message, DIMENSION)


@settings(max_examples=25, deadline=None)
@given(history=st.lists(writes(), max_size=8))
def test_an_import_equals_the_export_to_the_bit_and_in_order(history: list[Write]) -> None:
    with tempfile.TemporaryDirectory() as folder, open_catalog(Path(folder), engine_of, NEVER) as catalog:
        index = catalog.create(DEFINITION)
        for write in history:
            write_done = index.upsert(write) if isinstance(write, Upsert) else index.delete(write)
            write_done.result(DEADLINE)
        copy = imported(catalog, sent(index.export()), "copy")
        assert contents(copy) == contents(index)
        queries = list(random_units(1, 3, DIMENSION))
        assert copy.search(queries, 10, None, attributes=True) == index.search(queries, 10, None, attributes=True)
        expected = replace(
            DEFINITION, name="copy", created_microseconds=copy.definition.created_microseconds,
            recall_target=copy.definition.recall_target,
        )  # fmt: skip
        assert copy.definition == expected
        assert copy.definition.recall_target == pytest.approx(0.9)


def test_an_export_is_a_snapshot_while_writes_continue(open_data: OpenCatalog) -> None:
    catalog = open_data()
    index = catalog.create(DEFINITION)
    fill(index, 3_000)
    before = contents(index)
    pieces = index.export()
    header = next(pieces)
    assert isinstance(header, ExportHeader)
    assert header.item_count == 3_000
    index.delete(Delete(("0", "2999"))).result(DEADLINE)
    fill(index, 50, seed=1, first=100)
    fill(index, 50, seed=2, first=5_000)
    first_rows = next(pieces)
    index.optimize(lambda _done, _total: None).result(DEADLINE)
    copy = imported(catalog, sent([header, first_rows, *pieces]), "copy")
    assert contents(copy) == before
    assert contents(index) != before


def test_an_import_is_independent_and_survives_a_restart(open_data: OpenCatalog, data_folder: Path) -> None:
    catalog = open_data()
    index = catalog.create(DEFINITION)
    query = fill(index, 20)[3]
    index.delete(Delete(("0", "19"))).result(DEADLINE)
    copy = imported(catalog, sent(index.export()), "copy")
    fill(copy, 2, seed=3, first=100)
    copy.optimize(lambda _done, _total: None).result(DEADLINE)
    after = contents(copy)
    assert [row for _, _, row, _, _ in after] == [*(str(number) for number in range(1, 19)), "100", "101"]
    assert contents(index) == after[:-2]

    copy = open_data().get("copy")
    assert contents(copy) == after
    assert copy.stats().repairs == ()
    assert found_ids(copy, query, 1) == ["3"]
    with sqlite3.connect(f"file:{data_folder / 'copy' / STORE_FILE}?mode=ro", uri=True) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_an_abandoned_export_ends_its_transaction(open_data: OpenCatalog, data_folder: Path) -> None:
    index = open_data().create(DEFINITION)
    fill(index, 3_000)
    pieces = index.export()
    next(pieces)
    next(pieces)
    pieces.close()
    with sqlite3.connect(data_folder / "items" / STORE_FILE) as connection:
        # The log can be reused only if no one reads an older state.
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    connection.close()


Change = Callable[[list[pb.ExportPiece]], list[pb.ExportPiece]]


def changed_item(**fields: object) -> Change:
    def change(pieces: list[pb.ExportPiece]) -> list[pb.ExportPiece]:
        pieces[1].items.items[3].MergeFrom(pb.ExportedItem(**fields))
        return pieces

    return change


def changed_header(**fields: object) -> Change:
    def change(pieces: list[pb.ExportPiece]) -> list[pb.ExportPiece]:
        pieces[0].header.MergeFrom(pb.ExportHeader(**fields))
        return pieces

    return change


UNIT = np.array([0, 1, 0, 0], dtype="<f4").tobytes()
CHANGES: dict[str, tuple[Change, type[Exception], str]] = {
    "no items": (lambda p: [p[0], p[-1]], InvalidExport, "has 0 items"),
    "cut off": (lambda p: p[:-1], InvalidExport, "0 items"),
    "no header": (lambda p: p[1:], InvalidExport, "header"),
    "two headers": (lambda p: [p[0], *p], InvalidExport, "header"),
    "empty": (lambda p: [pb.ExportPiece(), *p[1:]], InvalidExport, "header"),
    "newer": (changed_header(format_version=2), ExportTooNew, "version 2, but this program reads versions up to 1"),
    "another count": (changed_header(item_count=21), InvalidExport, "its header says 21"),
    "another version": (changed_header(snapshot_version=99), InvalidExport, "checksum"),
    "another model": (changed_header(index=pb.Index(model_id="other")), InvalidExport, "checksum"),
    "another label": (changed_header(index=pb.Index(labels={"a": "3"})), InvalidExport, "checksum"),
    "another engine": (changed_header(index=pb.Index(engine=pb.ENGINE_ANNOY)), InvalidExport, "checksum"),
    "a later engine": (changed_header(index=pb.Index(engine=99)), InvalidField, "engine"),
    "another vector": (changed_item(vector=UNIT), InvalidExport, "checksum"),
    "a long vector": (changed_item(vector=bytes(16)), InvalidVector, r"items\[3\].vector"),
    "another id": (changed_item(id="new"), InvalidExport, "checksum"),
    "duplicate id": (changed_item(id="4"), InvalidExport, "a duplicate id or sequence"),
    "duplicate sequence": (changed_item(sequence=1), InvalidExport, "a duplicate id or sequence"),
    "a sequence above its row": (changed_item(sequence=5), InvalidExport, "sequence"),
    "rows that fall": (changed_item(row=2), InvalidExport, "cannot follow 3"),
    "a row too high": (changed_item(row=2**60), InvalidExport, "cannot follow 3"),
    "other attributes": (changed_item(attributes='{"a":1}'), InvalidExport, "checksum"),
    "attributes not canonical": (changed_item(attributes='{"a": 1.0}'), InvalidField, r"items\[3\].attributes"),
    "attributes with NaN": (changed_item(attributes='{"a":NaN}'), InvalidField, r"items\[3\].attributes"),
    "no attributes": (changed_item(attributes="[]"), InvalidField, r"items\[3\].attributes"),
    "deep attributes": (changed_item(attributes='{"a":' * 17 + "1" + "}" * 17), InvalidField, "17|16 levels"),
    "bottomless attributes": (changed_item(attributes="[" * 60_000), InvalidField, "16 levels"),
    "large attributes": (changed_item(attributes=json.dumps({"a": "x" * 70_000})), InvalidField, "65536 bytes"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_an_altered_export_is_refused_and_leaves_nothing(open_data: OpenCatalog, data_folder: Path, case: str) -> None:
    change, error, message = CHANGES[case]
    catalog = open_data()
    index = catalog.create(DEFINITION)
    fill(index, 20)
    before = sorted(data_folder.iterdir())
    with pytest.raises(error, match=message):
        imported(catalog, change(sent(index.export())), "copy")
    assert sorted(data_folder.iterdir()) == before
    assert [each.definition.name for each in catalog.page("", 10) if isinstance(each, VectorIndex)] == ["items"]


def test_an_import_never_takes_a_name_that_is_in_use(open_data: OpenCatalog, data_folder: Path) -> None:
    catalog = open_data()
    index = catalog.create(DEFINITION)
    fill(index, 20)
    catalog.set_alias("alias", "items")
    header, *rows, trailer = index.export()
    assert isinstance(header, ExportHeader)
    assert isinstance(trailer, ExportTrailer)
    for taken in ("items", "alias"):
        with pytest.raises(IndexExists):
            catalog.begin_import(taken, header)
    filling = catalog.begin_import("copy", header)
    for piece in rows:
        assert isinstance(piece, tuple)
        filling.add(piece)
    filling.complete(trailer)
    own = catalog.create(replace(DEFINITION, name="copy"))
    fill(own, 1)
    with pytest.raises(IndexExists):
        catalog.finish_import(filling)
    filling.discard()
    assert own.stats().item_count == 1
    assert sorted(path.name for path in data_folder.iterdir() if path.is_dir()) == ["copy", "items"]


def test_pieces_are_bounded_whatever_the_size_of_items(open_data: OpenCatalog) -> None:
    index = open_data().create(DEFINITION)
    heavy = json.dumps({"a": "x" * 60_000}, separators=(",", ":"))
    for start in range(0, 100, 20):
        items = (NewItem(str(number), heavy, random_units(number, 1, 4)[0]) for number in range(start, start + 20))
        index.upsert(Upsert(tuple(items))).result(DEADLINE)
    pieces = sent(index.export())
    assert max(piece.ByteSize() for piece in pieces) < 2 * 2**20
    assert sum(len(piece.items.items) for piece in pieces) == 100


def test_the_format_has_a_version() -> None:
    header = ExportHeader(DEFINITION, 0, 0)
    assert exports.from_piece(header).header.format_version == FORMAT_VERSION == 1
