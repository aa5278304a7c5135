"""The state about folders: names, locks, and recovery from damage."""

from __future__ import annotations

from pathlib import Path

import pytest
from semsearch.errors import FolderStopped
from semsearch.folders.roots import claim, root_of
from semsearch.folders.scan import Stamp
from semsearch.folders.state import FolderState

from tests.unit.client.folders.conftest import Bench, write


def test_a_name_stands_for_one_folder(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "photos").mkdir(parents=True)
    first = root_of(bench.root(), "", "server", "c")
    other = root_of(tmp_path / "elsewhere" / "photos", "", "server", "c")
    claim(first, bench.state, force=False)
    claim(first, bench.state, force=False)
    claim(root_of(tmp_path / "elsewhere" / "photos", "", "server", "another"), bench.state, force=False)
    with pytest.raises(FolderStopped, match=r"stands for .*/photos, and not for .*/elsewhere/photos"):
        claim(other, bench.state, force=False)
    claim(other, bench.state, force=True)
    claim(other, bench.state, force=False)


@pytest.mark.parametrize(("folder", "name"), [("/tmp", "a/b"), ("/tmp", " "), ("/tmp", "a\nb"), ("/", "")])
def test_a_name_that_paths_cannot_begin_with_is_refused(folder: str, name: str) -> None:
    with pytest.raises(FolderStopped, match="cannot be the name of a root") as stopped:
        root_of(Path(folder), name, "server", "c")
    assert "--name" in stopped.value.hint


def test_a_root_has_one_sync_at_a_time(tmp_path: Path) -> None:
    with (
        FolderState(tmp_path) as one,
        FolderState(tmp_path) as two,
        one.lock("server", "c", "photos"),
        two.lock("server", "c", "other"),
        pytest.raises(FolderStopped, match='Another semsearch is working on the root "photos"'),
        two.lock("server", "c", "photos"),
    ):
        pass
    with FolderState(tmp_path) as one, one.lock("server", "c", "photos"):
        pass


def test_damage_to_what_is_remembered_costs_only_reading(bench: Bench, tmp_path: Path) -> None:
    write(bench.root(), a_png="one")
    bench.sync()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "folders.sqlite3").write_bytes(b"this is no database" * 1000)
    with FolderState(tmp_path / "other") as state:
        bench.state = state
        assert bench.count() == {"unchanged": 1}


def test_a_place_for_it_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderStopped, match="cannot be used") as stopped:
        FolderState(tmp_path / "file" / "state")
    assert "SEMSEARCH_CLIENT_STATE" in stopped.value.hint


def test_a_slow_run_keeps_no_other_from_remembering(tmp_path: Path) -> None:
    with FolderState(tmp_path) as slow, FolderState(tmp_path) as other:
        slow.remember_hash(tmp_path, "a.png", Stamp(1, 2, 3), b"hash")
        other._database.execute("PRAGMA busy_timeout = 0")
        other.name_folder("server", "c", "photos", tmp_path)
        assert other.folder_named("server", "c", "photos") == tmp_path
    with FolderState(tmp_path) as later:
        assert later.hash_of(tmp_path, "a.png", Stamp(1, 2, 3)) == b"hash"
        assert later.hash_of(tmp_path, "a.png", Stamp(1, 2, 4)) is None


def test_a_link_has_its_own_name_and_the_folder_that_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "photos").symlink_to(tmp_path / "disk")
    root = root_of(tmp_path / "photos" / ".." / "photos", "", "server", "c")
    assert (root.name, root.folder) == ("photos", tmp_path / "disk")
