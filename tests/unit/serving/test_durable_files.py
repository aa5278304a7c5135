from __future__ import annotations

import errno
from pathlib import Path

import pytest

from serving.durable_files import replacing, write_file


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")
    monkeypatch.setattr("serving.durable_files.sync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "no")))
    with pytest.raises(OSError, match="no"):
        write_file(path, b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    def write() -> None:
        with replacing(tmp_path / "network.keras") as temporary:
            assert temporary.suffix == ".keras"
            temporary.write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert not list(tmp_path.iterdir())
