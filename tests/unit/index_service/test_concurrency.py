"""Concurrent writers, readers and searches, and a full disk."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from index_service.definition import EngineKind, IndexDefinition
from index_service.errors import ItemNotFound, StorageFull
from index_service.items import NewItem, Upsert
from tests.unit.index_service.conftest import OpenCatalog, fill, found_ids, random_units

DEADLINE = 20.0


def definition(name: str) -> IndexDefinition:
    return IndexDefinition(name, 4, "model", engine=EngineKind.EXACT)


def test_items_of_one_message_are_written_in_order(open_data: OpenCatalog) -> None:
    index = open_data().create(definition("one"))
    first, second = random_units(0, 2, 4)
    items = (
        NewItem("a", '{"turn":1}', first),
        NewItem("b", '{"turn":2}', first),
        NewItem("a", '{"turn":3}', second),
        NewItem("a", '{"turn":4}', None),
    )
    assert index.upsert(Upsert(items)).result(DEADLINE).count == 4
    kept = index.items(["a", "b"], vectors=True)
    assert (kept["a"].attributes, kept["b"].attributes) == ('{"turn":4}', '{"turn":2}')
    np.testing.assert_array_equal(kept["a"].vector, second)


def test_attributes_before_their_item_in_a_message_are_refused(open_data: OpenCatalog) -> None:
    index = open_data().create(definition("one"))
    items = (NewItem("a", '{"turn":1}', None), NewItem("a", '{"turn":2}', random_units(0, 1, 4)[0]))
    with pytest.raises(ItemNotFound, match='"a"'):
        index.upsert(Upsert(items)).result(DEADLINE)
    assert index.stats().item_count == 0


def test_writers_share_commits_and_each_reads_its_own_writes(open_data: OpenCatalog) -> None:
    index = open_data().create(definition("one"))
    vectors = random_units(0, 400, 4)

    def write_and_read(number: int) -> bool:
        item = NewItem(str(number), "{}", vectors[number])
        index.upsert(Upsert((item,))).result(DEADLINE)
        return found_ids(index, vectors[number], 1) == [str(number)] and str(number) in index.items(
            [str(number)], vectors=False
        )

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(write_and_read, range(len(vectors))))
    with index._store.read() as reader:
        # 16 threads made 400 writes; without sharing, there would be 400 transactions.
        assert reader.version() < 400
    assert index.stats().item_count == 400


def test_searches_see_a_replaced_item_once_during_writes(open_data: OpenCatalog) -> None:
    index = open_data().create(definition("one"))
    vectors = fill(index, 20)

    def rewrite() -> None:
        for turn in range(50):
            moved = random_units(turn, 20, 4)
            items = tuple(NewItem(str(number), "{}", vector) for number, vector in enumerate(moved))
            index.upsert(Upsert(items)).result(DEADLINE)

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(rewrite)
        turn = 0
        while not writing.done():
            found = found_ids(index, vectors[turn % 20], 50)
            assert sorted(found, key=int) == [str(number) for number in range(20)]
            turn += 1
        writing.result()
    assert turn > 0


def test_a_full_disk_refuses_a_write_and_keeps_earlier_ones(
    open_data: OpenCatalog,
) -> None:
    index = open_data().create(definition("one"))
    vectors = fill(index, 10)
    with index._store.write() as connection:
        ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
        # For a database that may not grow, SQLite raises the same error as for a full disk: SQLITE_FULL.
        connection.execute(f"PRAGMA max_page_count = {pages}")
    big = Upsert(tuple(NewItem(f"new{number}", "{}", vector) for number, vector in enumerate(random_units(1, 5000, 4))))
    with pytest.raises(StorageFull, match="Nothing that was acknowledged is lost"):
        index.upsert(big).result(DEADLINE)
    assert index.stats().item_count == 10
    assert found_ids(index, vectors[4], 1) == ["4"]
    with index._store.write() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    assert index.upsert(big).result(DEADLINE).count == 5000
    assert open_data().get("one").stats().item_count == 5010


def test_live_rows_grow_without_disturbing_older_snapshots(open_data: OpenCatalog) -> None:
    index = open_data().create(definition("one"))
    snapshots = []
    for turn in range(40):
        fill(index, 37, seed=turn, first=37 * turn)
        snapshots.append((index._published.newest, index._published.newest.live.vectors.copy()))
    for turn, (snapshot, vectors) in enumerate(snapshots):
        assert len(snapshot.live.rows) == 37 * (turn + 1)
        np.testing.assert_array_equal(snapshot.live.vectors, vectors)
