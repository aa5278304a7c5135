import errno
import sqlite3
from pathlib import Path

import pytest

from index_service.durable_files import storage_errors, write_file
from index_service.errors import StorageFull


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_what_the_system_cannot_write_is_a_storage_error(number: int, tmp_path: Path) -> None:
    with pytest.raises(StorageFull), storage_errors(tmp_path):
        raise OSError(number, "no")


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), storage_errors(tmp_path):
        raise IsADirectoryError(errno.EISDIR, "no")
    with pytest.raises(sqlite3.IntegrityError), storage_errors(tmp_path):
        sqlite3.connect(":memory:").executescript("CREATE TABLE t (a NOT NULL); INSERT INTO t VALUES (NULL)")


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")
    monkeypatch.setattr("index_service.durable_files.sync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "no")))
    with pytest.raises(OSError, match="no"):
        write_file(path, b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"
