"""One sync in each case that users have met."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from semsearch.errors import FolderStopped, NotFound
from semsearch.folders import reading, uploads
from semsearch.folders.results import Outcome
from semsearch.values import Upload

from tests.unit.client.folders.conftest import Bench, write
from tests.unit.client.folders.gallery_double import NO_IMAGE, GalleryDouble, sha256


def test_files_with_equal_name_size_and_time_are_two_images(bench: Bench) -> None:
    for name, content in (("trip", "one"), ("home", "two")):
        write(bench.root(name), IMG__1_png=content)
        os.utime(bench.root(name) / "IMG" / "1.png", (1_700_000_000, 1_700_000_000))
    assert bench.count("trip") == bench.count("home") == {"added": 1}
    assert bench.places() == ["home/IMG/1.png", "trip/IMG/1.png"]
    assert len(bench.gallery.images) == 2


def test_a_renamed_file_gets_its_new_path_without_an_upload(bench: Bench) -> None:
    write(bench.root(), a_png="one", b_png="two")
    bench.sync()
    (bench.root() / "a.png").rename(bench.root() / "c.png")
    assert bench.count(delete=False) == {"moved": 1, "unchanged": 1}
    assert bench.places() == ["photos/b.png", "photos/c.png"]
    image = bench.gallery.images[sha256(b"one")]
    assert (image.attributes["path"], image.attributes["name"], image.attributes["folder"]) == ("c.png", "c.png", ".")
    assert bench.gallery.sent == 2


def test_an_edited_file_replaces_what_it_was(bench: Bench) -> None:
    write(bench.root(), a_png="one")
    bench.sync()
    write(bench.root(), a_png="two")
    assert bench.count(delete=False) == {"replaced": 1}
    assert bench.gallery.places() == {"photos/a.png": sha256(b"two")}
    assert len(bench.gallery.images) == 1


def test_an_edit_that_is_refused_leaves_the_image_before_it(bench: Bench) -> None:
    write(bench.root(), a_png="one")
    bench.sync()
    write(bench.root(), a_png=NO_IMAGE.decode(), b_png=NO_IMAGE.decode())
    assert bench.count() == {"failed": 2}
    assert bench.gallery.places() == {"photos/a.png": sha256(b"one")}
    (bench.root() / "a.png").write_bytes(b"")
    assert bench.count()["passed_over"] == 1
    assert bench.gallery.places() == {"photos/a.png": sha256(b"one")}


def test_a_photo_in_two_places_is_removed_with_the_last(bench: Bench) -> None:
    write(bench.root("a"), x_png="one", y_png="one", z_png="two")
    write(bench.root("b"), x_png="one", z_png="six")
    assert bench.count("a") == {"added": 2, "duplicate": 1}
    assert bench.count("b") == {"added": 1, "duplicate": 1}
    image = bench.gallery.images[sha256(b"one")]
    assert image.attributes["paths"] == ["a/x.png", "a/y.png", "b/x.png"]
    assert image.attributes["roots"] == ["a", "b"]
    (bench.root("a") / "x.png").unlink()
    (bench.root("a") / "y.png").unlink()
    assert bench.count("a") == {"unchanged": 1, "removed": 2}
    assert bench.gallery.images[sha256(b"one")].attributes["path"] == "x.png"
    (bench.root("b") / "x.png").unlink()
    assert bench.count("b") == {"unchanged": 1, "removed": 1}
    assert sha256(b"one") not in bench.gallery.images


def test_more_copies_than_there_is_room_for_are_no_failure(bench: Bench) -> None:
    folder = bench.root() / ("d" * 200)
    write(folder, **{f"n{number}_png": "one" for number in range(300)})
    assert sum(bench.count().values()) == 300
    places = bench.gallery.places()
    assert 100 < len(places) < 300
    assert "failed" not in bench.count()
    for place in sorted(places)[1:]:
        Path(bench.folder, place).unlink()
    bench.sync()
    assert len(bench.gallery.images) == 1
    assert len(bench.gallery.places()) > 100


def test_existing_images_are_adopted_with_their_attributes(bench: Bench) -> None:
    bench.gallery.store(b"one", {"path": "a.png", "name": "a.png", "folder": ".", "modified": "x", "label": "dog"})
    bench.gallery.store(b"two", {"colour": "red"}, "an-id-of-its-own")
    write(bench.root(), a_png="one", b_png="two")
    assert bench.count() == {"unchanged": 2}
    assert bench.gallery.sent == 0
    assert bench.places() == ["photos/a.png", "photos/b.png"]
    assert bench.gallery.images[sha256(b"one")].attributes["label"] == "dog"
    assert bench.gallery.images["an-id-of-its-own"].attributes["colour"] == "red"


def test_what_is_gone_stays_until_it_may_go(bench: Bench) -> None:
    write(bench.root(), a_png="one", b_png="two", c_png="six")
    bench.sync()
    (bench.root() / "a.png").unlink()
    asked: list[int] = []
    results = list(bench.of().run(lambda count: bool(asked.append(count))))
    assert asked == [1]
    assert [result.path for result in results if result.outcome is Outcome.GONE] == ["a.png"]
    assert len(bench.gallery.images) == 3
    assert bench.count() == {"unchanged": 2, "removed": 1}
    assert bench.places() == ["photos/b.png", "photos/c.png"]


@pytest.mark.parametrize("damage", ["missing", "empty", "half", "unmounted"])
def test_a_folder_that_lost_too_much_stops_with_nothing_changed(bench: Bench, damage: str) -> None:
    root = bench.root()
    write(root, a_png="one", b_png="two", c_png="six")
    mounted = mock.patch("os.path.ismount", return_value=True)
    with mounted if damage == "unmounted" else mock.MagicMock():
        bench.sync()
    before = dict(bench.gallery.images)
    match damage:
        case "missing":
            shutil.rmtree(root)
        case "empty":
            shutil.rmtree(root)
            root.mkdir()
        case "half":
            (root / "a.png").unlink()
            (root / "b.png").rename(root / "b.txt")
            write(root, d_png="ten")
        case _:
            write(root, d_png="ten")  # on the disk below
    with pytest.raises(FolderStopped) as stopped:
        bench.sync()
    assert stopped.value.reason == {
        "missing": "FOLDER_UNREADABLE", "empty": "FOLDER_EMPTY", "half": "MORE_THAN_HALF_GONE",
        "unmounted": "NOT_MOUNTED",
    }[damage]  # fmt: skip
    assert "Nothing was changed." in stopped.value.message
    assert bench.gallery.images == before
    if damage in ("empty", "half"):
        bench.sync(force=True)
        assert bench.places() == (["photos/c.png", "photos/d.png"] if damage == "half" else [])


def test_a_folder_whose_files_were_all_moved_has_lost_nothing(bench: Bench) -> None:
    write(bench.root(), a_png="one", b_png="two", c_png="six")
    bench.sync()
    (bench.root() / "2024").mkdir()
    for name in "abc":
        (bench.root() / f"{name}.png").rename(bench.root() / "2024" / f"{name}.png")
    assert bench.count() == {"moved": 3}
    assert bench.places() == ["photos/2024/a.png", "photos/2024/b.png", "photos/2024/c.png"]


def test_what_cannot_be_listed_protects_what_is_below_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    write(bench.root(), a_png="one", b_png="two", in__deep__c_png="six", gone_png="ten")
    bench.sync()
    (bench.root() / "gone.png").unlink()
    scandir = os.scandir

    def refuse(path: os.PathLike[str]) -> object:
        if os.fspath(path).endswith("photos/in"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", refuse)
        assert bench.count() == {"unchanged": 2, "failed": 1, "removed": 1}
    assert "photos/in/deep/c.png" in bench.places()
    assert bench.count() == {"unchanged": 3}


def test_what_is_excluded_now_goes_when_it_may(bench: Bench) -> None:
    write(bench.root(), a_png="one", b_png="two", in__c_png="six")
    bench.sync()
    (bench.root() / ".semsearchignore").write_text("in/")
    assert bench.count() == {"unchanged": 2, "removed": 1, "passed_over": 2}
    assert bench.places() == ["photos/a.png", "photos/b.png"]


def test_unchanged_files_are_read_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    write(bench.root(), **{f"n{number}_png": f"image {number}" for number in range(100)})
    monkeypatch.setattr(uploads, "_TICK_NS", 0)  # as if they were older
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls > 40:
            raise NotFound("The server was restarted.")

    read: list[str] = []
    real = reading.read
    monkeypatch.setattr(uploads, "read", lambda path: read.append(path.name) or real(path))
    bench.gallery.before_call = stop
    with pytest.raises(NotFound):
        bench.sync()
    sent, first = set(bench.gallery.places()), list(read)
    bench.gallery.before_call = lambda: None
    read.clear()
    bench.sync()
    assert len(bench.gallery.images) == 100
    assert len(first) == 64  # a batch
    assert not {f"photos/{name}" for name in read} & sent
    assert len(read) == 100 - len(sent)
    read.clear()
    assert bench.count() == {"unchanged": 100}
    assert read == []


def test_a_file_that_grows_while_read_waits_for_the_next_run(bench: Bench) -> None:
    write(bench.root(), a_png="one")
    file = bench.root() / "a.png"
    real = os.read

    def grow(descriptor: int, size: int) -> bytes:
        if os.fstat(descriptor).st_ino == file.stat().st_ino:
            with file.open("a") as more:
                more.write("+")
        return real(descriptor, size)

    with mock.patch.object(os, "read", grow):
        [result] = bench.sync()
    assert (result.outcome, result.reason) == (Outcome.FAILED, "CHANGING")
    assert bench.gallery.images == {}


def test_a_file_that_became_a_pipe_is_not_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    write(bench.root(), a_png="one")
    keeping = bench.of()
    list(keeping.compare())
    (bench.root() / "a.png").unlink()
    os.mkfifo(bench.root() / "a.png")
    [result] = keeping.send()
    assert result.reason == "UNREADABLE"


def test_names_of_any_bytes_are_kept_apart(bench: Bench) -> None:
    for number, name in enumerate(
        [b"\xff.png", b"\xfe.png", "\ufffd.png".encode(), b"a\n\x1b[31m.png", b"caf\xc3\xa9.png"]
    ):
        Path(os.fsdecode(os.fsencode(bench.root()) + b"/" + name)).write_text(f"image {number}")
    assert bench.count() == {"added": 5}
    assert bench.count() == {"unchanged": 5}
    assert len(bench.places()) == 5


def test_a_killed_run_leaves_no_image_without_a_place(bench: Bench) -> None:
    """The new image of an edited file is stored before the old one is removed; the next run removes that."""
    write(bench.root(), a_png="one", b_png="two")
    bench.sync()
    write(bench.root(), a_png="six")
    keeping = bench.of()
    list(keeping.compare())
    list(keeping.send())
    assert len(bench.gallery.images) == 3
    assert bench.count(delete=False) == {"replaced": 1, "unchanged": 1}
    assert bench.gallery.places() == {"photos/a.png": sha256(b"six"), "photos/b.png": sha256(b"two")}


def test_two_runs_sending_the_same_bytes_share_the_image(bench: Bench) -> None:
    write(bench.root(), a_png="one")

    class Late(GalleryDouble):
        def index_images(self, uploads: Any, *, collection: str = "") -> Any:
            sent = [Upload(each.content, attributes=each.attributes) for each in uploads]
            self.store(b"one", {"paths": ["other/a.png"], "roots": ["other"]})
            return super().index_images(sent)

    bench.gallery = Late()
    assert bench.count() == {"duplicate": 1}
    assert bench.places() == ["other/a.png", "photos/a.png"]


def test_an_image_whose_answer_was_lost_is_no_duplicate(bench: Bench) -> None:
    """It was stored, and the upload sent it again when the server was back."""
    write(bench.root(), a_png="one")

    class SentTwice(GalleryDouble):
        def index_images(self, uploads: Any, *, collection: str = "") -> Any:
            sent = list(uploads)
            list(super().index_images(sent))
            return super().index_images(sent)

    bench.gallery = SentTwice()
    assert bench.count() == {"unchanged": 1}
    assert bench.places() == ["photos/a.png"]
