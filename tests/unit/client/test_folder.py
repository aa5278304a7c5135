"""Which files of a folder are images."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from semsearch.folder import LocalFile, Unreadable, scan


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")


def found(folder: Path) -> list[str]:
    return [file.relative for file in scan(folder)[0]]


def test_images_are_found_by_their_suffix_in_a_fixed_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg", "a.JPEG", "z/c.webp", "m/n/o.HeiC", "notes.txt", "jpg", "x.jpg.part", "z.tif")
    assert found(tmp_path) == ["a.JPEG", "b.jpg", "z.tif", "m/n/o.HeiC", "z/c.webp"]


def test_a_file_is_described_by_size_and_time(tmp_path: Path) -> None:
    touch(tmp_path, "sub/a.png")
    os.utime(tmp_path / "sub" / "a.png", (0, 1_700_000_000.25))
    [file], unreadable = scan(tmp_path)
    when = datetime(2023, 11, 14, 22, 13, 20, 250_000, UTC).isoformat()
    assert file == LocalFile(tmp_path / "sub" / "a.png", "sub/a.png", 5, when)
    assert unreadable == []


def test_what_is_hidden_is_left_out_but_not_the_folder_that_was_named(tmp_path: Path) -> None:
    touch(tmp_path / ".photos", "a.png", "._a.png", ".trash/b.png", "c/.d.png")
    assert found(tmp_path / ".photos") == ["a.png"]
    assert found(tmp_path) == []


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "a.png", "b.png")
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "link.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    (folder / "circle").symlink_to(folder)
    (folder / "folder.png").symlink_to(tmp_path / "elsewhere")
    assert found(folder) == ["link.png"]


def test_what_cannot_be_read_is_told_and_hides_nothing_else(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "z.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    files, unreadable = scan(tmp_path)
    assert [file.relative for file in files] == ["a.png", "z.png"]
    assert unreadable == [
        Unreadable("gone.png", "No such file or directory"),
        Unreadable("loop.png", "Too many levels of symbolic links"),
        Unreadable("pipe.png", "Not a regular file"),
    ]


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    assert scan(tmp_path / "gone") == ([], [Unreadable(".", "No such file or directory")])
