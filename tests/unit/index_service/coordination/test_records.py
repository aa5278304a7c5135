"""Records are replaced only by writers who know their version, and survive a restart."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from index_service.coordination.database import FORMAT_VERSION, Database, StoredRecord, open_database
from index_service.coordination.errors import RecordChanged, TooManyNames
from index_service.coordination.records import Records
from index_service.errors import StoreTooNew


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path) as database:
        yield database


def test_a_record_is_replaced_by_version(database: Database) -> None:
    records = Records(database)
    assert records.get("key") == StoredRecord("key", b"", 0)
    assert records.put("key", b"first", 0) == 1
    with pytest.raises(RecordChanged) as refused:
        records.put("key", b"other", 0)
    assert refused.value.version == 1
    assert records.put("key", b"", 1) == 2
    assert records.get("key") == StoredRecord("key", b"", 2)


def test_of_many_writers_one_succeeds(database: Database) -> None:
    records = Records(database)

    def put(number: int) -> bool:
        try:
            records.put("key", str(number).encode(), 0)
        except RecordChanged:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(put, range(20))) == 1


def test_records_survive_a_restart(tmp_path: Path) -> None:
    with open_database(tmp_path) as database:
        Records(database).put("key", b"\x00\xff", 0)
    with open_database(tmp_path) as database:
        assert Records(database).get("key") == StoredRecord("key", b"\x00\xff", 1)


def test_there_is_a_limit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index_service.coordination.database.MAX_NAMES", 2)
    records = Records(database)
    for name in "ab":
        records.put(name, b"", 0)
    with pytest.raises(TooManyNames):
        records.put("c", b"", 0)
    assert records.get("c").version == 0
    assert records.put("a", b"", 1) == 2


def test_a_newer_file_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("index_service.coordination.database.FORMAT_VERSION", FORMAT_VERSION + 1)
        with open_database(tmp_path):
            pass
        # A first start writes the version that it knows.
    with pytest.raises(StoreTooNew), open_database(tmp_path):
        pass
