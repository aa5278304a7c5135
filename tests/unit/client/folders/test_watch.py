"""A watch survives temporary errors, and reports each problem once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import watchfiles
from semsearch.errors import InvalidRequest, SemsearchError, ServerUnreachable
from semsearch.folders import watching
from semsearch.folders.results import FileResult
from semsearch.folders.watch import FolderWatch

from tests.unit.client.folders.conftest import Bench, write
from tests.unit.client.folders.gallery_double import NO_IMAGE


class Watched:
    """A watch whose changes a test makes: each step of `run` writes files, and yields their results."""

    def __init__(self, bench: Bench) -> None:
        self.said: list[str] = []
        self.slept: list[float] = []
        self.while_asleep = lambda: None
        self._watch = FolderWatch(bench.of(), self.said.append, lambda _: True, self._sleep)

    def run(self, times: int = 1) -> list[FileResult]:
        return list(self._watch.run([None] * times))

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.while_asleep()


def test_only_files_that_changed_are_reported_and_once(bench: Bench) -> None:
    write(bench.root(), a_png="one", b_png=NO_IMAGE.decode(), c_txt="text")
    watched = Watched(bench)
    assert [(result.path, result.outcome.value) for result in watched.run()] == [
        ("c.txt", "passed_over"), ("a.png", "added"), ("b.png", "failed"),
    ]  # fmt: skip
    assert watched.run(3) == []
    sent = bench.gallery.sent
    (bench.root() / "a.png").rename(bench.root() / "d.png")
    assert [result.outcome.value for result in watched.run(2)] == ["moved"]
    assert bench.gallery.sent == sent  # what was refused is not sent again


def test_an_unreachable_server_is_retried_with_growing_delays(bench: Bench) -> None:
    write(bench.root(), a_png="one")
    watched = Watched(bench)

    def away() -> None:
        if len(watched.slept) < 8:
            raise ServerUnreachable("No semsearch answers.")

    bench.gallery.before_call = away
    assert [result.outcome.value for result in watched.run()] == ["added"]
    assert watched.slept == [1, 2, 4, 8, 16, 32, 60, 60]
    assert watched.said[0] == "No semsearch answers. Trying again in 1 s."


def test_an_image_that_the_restarted_server_lacks_is_sent_again(bench: Bench) -> None:
    write(bench.root(), a_png="one", b_png="two")
    watched = Watched(bench)
    watched.run()

    def lose() -> None:
        bench.gallery.images.clear()
        bench.gallery.before_call = lambda: None

    def away() -> None:
        raise ServerUnreachable("No semsearch answers.")

    bench.gallery.before_call, watched.while_asleep = away, lose
    write(bench.root(), c_png="six")
    watched.run()
    assert len(bench.gallery.images) == 3


def test_an_error_that_stays_ends_the_watch(bench: Bench) -> None:
    def refuse() -> None:
        raise InvalidRequest("That is no collection.")

    bench.gallery.before_call = refuse
    bench.root()
    with pytest.raises(SemsearchError, match="no collection"):
        Watched(bench).run()


def test_a_folder_that_goes_and_comes_back_is_reported_once(bench: Bench) -> None:
    write(bench.root(), a_png="one")
    watched = Watched(bench)
    watched.run()
    bench.root().rename(bench.folder / "away")
    assert watched.run(3) == []
    assert len(watched.said) == 1
    assert "cannot be read" in watched.said[0]
    (bench.folder / "away").rename(bench.folder / "photos")
    assert watched.run() == []
    assert bench.places() == ["photos/a.png"]


def test_changes_are_seen_also_after_the_folder_was_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_LOOK_MS", 50)
    monkeypatch.setattr(watching, "_STEP_MS", 10)
    monkeypatch.setattr(watching, "_AWAY_SECONDS", 0.01)
    folder = tmp_path / "photos"
    folder.mkdir()
    changes = watching.changes(folder, 0, pytest.fail)
    next(changes)  # at once
    (folder / "a.png").touch()
    next(changes)
    folder.rename(tmp_path / "away")
    next(changes)
    folder.mkdir()
    threading.Timer(0.2, (folder / "b.png").touch).start()
    seen = iter(lambda: next(changes) or (folder / "b.png").exists(), True)
    list(seen)


def test_a_folder_that_cannot_be_watched_is_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Iterator[set[object]]:
        raise OSError("OS file watch limit reached.")

    monkeypatch.setattr(watchfiles, "watch", refuse)
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.01)
    said: list[str] = []
    changes = watching.changes(tmp_path, 0, said.append)
    for _ in range(3):
        next(changes)
    assert len(said) == 1
    assert "limit reached" in said[0]


MOUNTS = r"""22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:50 / /mnt/our\040photos rw shared:1 - nfs4 server:/export rw
31 30 0:51 / /mnt/our\040photos/local rw - ext4 /dev/sdb1 rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/home/x", "ext4"), ("/mnt/our photos/2024", "nfs4"), ("/mnt/our photos", "nfs4"),
     ("/mnt/our photos/local/x", "ext4"), ("/mnt/our photos 2", "ext4")],
)  # fmt: skip
def test_the_kind_of_disk_decides_where_to_poll(folder: str, kind: str) -> None:
    assert watching.disk_kind(Path(folder), MOUNTS) == kind
