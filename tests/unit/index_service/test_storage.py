import errno
import sqlite3
from pathlib import Path

import pytest

from index_service.errors import StorageFull
from index_service.storage import storage_errors


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_a_failed_write_of_the_system_is_a_storage_error(number: int, tmp_path: Path) -> None:
    with pytest.raises(StorageFull), storage_errors(tmp_path):
        raise OSError(number, "no")


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), storage_errors(tmp_path):
        raise IsADirectoryError(errno.EISDIR, "no")
    with pytest.raises(sqlite3.IntegrityError), storage_errors(tmp_path):
        sqlite3.connect(":memory:").executescript("CREATE TABLE t (a NOT NULL); INSERT INTO t VALUES (NULL)")
