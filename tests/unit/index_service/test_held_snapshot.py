"""A snapshot of all indexes is of one moment, whatever is written meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from index_service.definition import EngineKind, IndexDefinition
from index_service.errors import SnapshotEnded
from index_service.local.catalog import Catalog
from index_service.local.held_snapshot import HeldSnapshot
from index_service.local.store import STORE_FILE
from index_service.local.vector_index import VectorIndex
from index_service.local.writes import NewItem, Upsert
from tests.unit.index_service.conftest import OpenCatalog, fill

VECTOR = np.array([1, 0, 0, 0], dtype=np.float32)
DEADLINE = 20.0


@pytest.fixture
def catalog(open_data: OpenCatalog) -> Catalog:
    catalog = open_data()
    for name in ("first", "second"):
        create(catalog, name)
    return catalog


def create(catalog: Catalog, name: str) -> VectorIndex:
    return catalog.create(IndexDefinition(name, 4, "model", engine=EngineKind.EXACT))


def add(index: VectorIndex, number: int) -> None:
    index.upsert(Upsert((NewItem(str(number), "{}", VECTOR),))).result(DEADLINE)


def ids(snapshot: HeldSnapshot, name: str) -> list[str]:
    return [row.id for piece in snapshot.export(name) if isinstance(piece, tuple) for row in piece]


def test_acknowledged_writes_are_of_one_moment(catalog: Catalog) -> None:
    """A number is written to the first index and, once acknowledged, to the second: they may differ by one number."""
    ended = threading.Event()
    written = [0]

    def write() -> None:
        while not ended.is_set():
            written[0] += 1
            for name in ("first", "second"):
                add(catalog.get(name), written[0])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            acknowledged = written[0] - 1
            with catalog.hold_snapshot() as snapshot:
                counts = [len(ids(snapshot, name)) for name in ("second", "first")]
            assert 0 <= counts[1] - counts[0] <= 1
            assert counts[0] >= acknowledged
    finally:
        ended.set()
        writer.join(DEADLINE)


def test_later_changes_are_not_seen(catalog: Catalog) -> None:
    add(catalog.get("first"), 1)
    catalog.set_alias("alias", "first")

    with catalog.hold_snapshot() as snapshot:
        add(catalog.get("first"), 2)
        catalog.set_alias("alias", "second")
        catalog.delete("first")
        create(catalog, "third")

        assert [(each.definition.name, each.aliases) for each in snapshot.indexes] == [
            ("first", ("alias",)),
            ("second", ()),
        ]
        assert ids(snapshot, "first") == ["1"]


def test_an_export_outlives_its_snapshot_and_happens_once(catalog: Catalog) -> None:
    fill(catalog.get("first"), 5)

    with catalog.hold_snapshot() as snapshot:
        export = snapshot.export("first")
        next(export)
        with pytest.raises(SnapshotEnded, match='no index "first"'):
            ids(snapshot, "first")

    assert len(list(export)) == 2
    with pytest.raises(SnapshotEnded):
        ids(snapshot, "second")


def test_the_log_grows_only_while_the_index_is_held(catalog: Catalog, data_folder: Path) -> None:
    index = catalog.get("first")
    log = data_folder / "first" / f"{STORE_FILE}-wal"
    large = NewItem("large", f'{{"a":"{"x" * 60_000}"}}', VECTOR)
    with catalog.hold_snapshot() as snapshot:
        for _ in range(400):
            index.upsert(Upsert((large,))).result(DEADLINE)
        grown = snapshot.log_bytes()
        assert grown > 20 * 2**20
        ids(snapshot, "first")
        for _ in range(100):  # the log starts again, and is cut to its usual size
            index.upsert(Upsert((large,))).result(DEADLINE)
        assert log.stat().st_size < grown


def test_a_damaged_index_is_named(open_data: OpenCatalog, data_folder: Path) -> None:
    create(open_data(), "damaged")
    (data_folder / "damaged" / STORE_FILE).write_bytes(b"")

    with open_data().hold_snapshot() as snapshot:
        assert snapshot.damaged == ("damaged",)
        assert not snapshot.indexes
