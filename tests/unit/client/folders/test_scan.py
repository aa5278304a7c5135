"""The image files of a folder, and the reasons for passing over the others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from semsearch.errors import FolderStopped
from semsearch.folders.exclusions import Exclusions
from semsearch.folders.path_text import from_text, to_text
from semsearch.folders.results import Reason
from semsearch.folders.scan import Found, PassedOver, Scan


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")


def found(folder: Path, *globs: str) -> list[str]:
    return [entry.path for entry in Scan(folder, Exclusions(globs)) if isinstance(entry, Found)]


def reasons(folder: Path, *globs: str) -> dict[str, Reason]:
    return {entry.path: entry.reason for entry in Scan(folder, Exclusions(globs)) if isinstance(entry, PassedOver)}


def test_images_are_found_by_their_suffix_in_a_fixed_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg", "a.JPEG", "z/c.webp", "m/n/o.HeiC", "notes.txt", "jpg", "x.jpg.part", "z.tif", "clip.MOV")
    touch(
        tmp_path,
        *(
            f"r/1.{suffix}"
            for suffix in ["HIF", "mpo", "jxl", "apng", "ARW", "cr2", "cr3", "dng", "nef", "orf", "raf", "rw2"]
        ),
    )
    assert found(tmp_path)[:5] == ["a.JPEG", "b.jpg", "z.tif", "m/n/o.HeiC", "r/1.ARW"]
    assert len(found(tmp_path)) == 17
    assert reasons(tmp_path) == {
        "clip.MOV": Reason.VIDEO, "jpg": Reason.OTHER_SUFFIX, "notes.txt": Reason.OTHER_SUFFIX,
        "x.jpg.part": Reason.OTHER_SUFFIX,
    }  # fmt: skip


def test_hidden_files_are_left_out_but_not_a_hidden_root(tmp_path: Path) -> None:
    touch(tmp_path / ".photos", "a.png", "._a.png", ".trash/b.png", "c/.d.png")
    assert found(tmp_path / ".photos") == ["a.png"]
    assert reasons(tmp_path / ".photos") == dict.fromkeys(["._a.png", ".trash", "c/.d.png"], Reason.HIDDEN)
    assert reasons(tmp_path) == {".photos": Reason.HIDDEN}


def test_links_to_files_are_followed_but_not_links_to_folders(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "a.png", "b.png")
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "link.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    (folder / "circle").symlink_to(folder)
    (folder / "folder.png").symlink_to(tmp_path / "elsewhere")
    assert found(folder) == ["link.png"]
    assert reasons(folder) == {"circle": Reason.LINK, "folder.png": Reason.LINK}


def test_unreadable_files_are_reported_and_hide_nothing_else(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "z.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe.png")
    with (tmp_path / "huge.png").open("wb") as huge:
        huge.truncate(70 * 2**20)
    entries = list(Scan(tmp_path, Exclusions()))
    assert [entry.path for entry in entries if isinstance(entry, Found)] == ["a.png", "z.png"]
    assert [entry for entry in entries if isinstance(entry, PassedOver)] == [
        PassedOver("empty.png", Reason.EMPTY, "The file is empty"),
        PassedOver("gone.png", Reason.UNREADABLE, "No such file or directory"),
        PassedOver("huge.png", Reason.IMAGE_TOO_LARGE, "has 73,400,320 bytes, and an image may have 66,060,288"),
        PassedOver("loop.png", Reason.UNREADABLE, "Too many levels of symbolic links"),
        PassedOver("pipe.png", Reason.UNREADABLE, "Not a regular file"),
    ]


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.png", "locked/b.png", "z/c.png")
    scandir = os.scandir  # the tests may run as root, who may read everything

    def refuse(path: os.PathLike[str]) -> object:
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert found(tmp_path) == ["a.png", "z/c.png"]
    assert reasons(tmp_path) == {"locked": Reason.UNREADABLE}


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(Scan(tmp_path / "gone", Exclusions()))


def test_a_disk_that_is_no_longer_mounted_is_reported(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    touch(tmp_path, "a.png")
    scan = Scan(tmp_path, Exclusions(), ["disk", "media/usb"])
    assert [entry for entry in scan if isinstance(entry, PassedOver)] == [
        PassedOver(path, Reason.NOT_MOUNTED, "A disk was mounted here before, and is not now; its images stay")
        for path in ("disk", "media/usb")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("globs", "left"),
    [
        ([], ["a.png", "b.jpg", "in/a.png", "in/deep/a.png", "out/b.jpg"]),
        (["*.png"], ["b.jpg", "out/b.jpg"]),
        (["/a.png"], ["b.jpg", "in/a.png", "in/deep/a.png", "out/b.jpg"]),
        (["in/"], ["a.png", "b.jpg", "out/b.jpg"]),
        (["**/deep/**", "!b.jpg"], ["a.png", "b.jpg", "in/a.png", "out/b.jpg"]),
        (["*", "!b.jpg"], ["b.jpg"]),
        (["in/*", "!in/a.png"], ["a.png", "b.jpg", "in/a.png", "out/b.jpg"]),
    ],
)
def test_patterns_leave_out_what_git_would_ignore(tmp_path: Path, globs: Sequence[str], left: list[str]) -> None:
    touch(tmp_path, "a.png", "b.jpg", "in/a.png", "in/deep/a.png", "out/b.jpg")
    assert sorted(found(tmp_path, *globs)) == left
    (tmp_path / ".semsearchignore").write_text("# a comment\n" + "\n".join(globs))
    assert sorted(found(tmp_path)) == left


def test_a_deeper_ignore_file_overrides_and_the_option_most(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "in/a.png", "in/b.png", "in/deep/c.png")
    (tmp_path / ".semsearchignore").write_text("*.png")
    (tmp_path / "in" / ".semsearchignore").write_text("!/a.png\n!deep/c.png")
    assert found(tmp_path) == ["in/a.png", "in/deep/c.png"]
    assert found(tmp_path, "in/a.png", "!b.png") == ["in/b.png", "in/deep/c.png"]


def test_an_ignore_file_that_cannot_be_read_closes_its_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "in/secret.png")
    (tmp_path / "in" / ".semsearchignore").mkdir()
    assert found(tmp_path) == ["a.png"]
    assert reasons(tmp_path)["in"] is Reason.UNREADABLE


def test_what_is_no_pattern_is_said() -> None:
    with pytest.raises(FolderStopped, match="--exclude has an invalid pattern"):
        Exclusions(["!"])


@pytest.mark.parametrize("name", [b"a.png", "é.png".encode(), b"\xff.png", "\N{REPLACEMENT CHARACTER}ff.png".encode(),
                                  b"\xef\xbf.png", b"a\n\x1b[31m.png"])  # fmt: skip
def test_each_name_has_a_text_of_its_own(name: bytes) -> None:
    text = to_text(os.fsdecode(name))
    text.encode()
    assert os.fsencode(from_text(text)) == name
    assert text == os.fsdecode(name) or "\N{REPLACEMENT CHARACTER}" in text
