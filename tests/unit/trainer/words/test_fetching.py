"""Word vectors are fetched by name over real sockets: fetches resume where they stopped, and are checked."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.files import downloads
from tests.file_server import DEADLINE, FileServer, file_server
from trainer.errors import WordFetchFailed, WordFileUnknown, WordFileWrong
from trainer.words.fetching import KNOWN, Fetched, KnownFile, fetch, known_file

CONTENT = os.urandom(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = "backbone file.bin"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "PAUSES", (0.0, 0.0, 0.0))


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server(CONTENT) as served:
        yield served


@pytest.fixture(params=[DIGEST, None], ids=["known", "unknown"])
def sha256(request: pytest.FixtureRequest) -> str | None:
    """The checksum that is known of the file."""
    checksum: str | None = request.param
    return checksum


def fetched(known: KnownFile, folder: Path, mirror: str = "") -> tuple[Fetched, list[tuple[int, int | None]]]:
    """Fetch the file, and return the reported progress too."""
    progress: list[tuple[int, int | None]] = []
    result = fetch(known, folder, mirror, lambda done, total: progress.append((done, total)))
    assert result.path == folder / NAME
    assert result.path.read_bytes() == CONTENT
    assert result.sha256 == DIGEST
    assert {each.name for each in folder.iterdir()} <= {NAME, f"{NAME}.sha256"}
    return result, progress


def break_off(server: FileServer, known: KnownFile, folder: Path, after: int) -> None:
    """The remains of an interrupted run."""
    server.breaks = [after, 0, 0, 0]
    with pytest.raises(WordFetchFailed, match="resumes where it stopped"):
        fetched(known, folder)
    server.breaks, server.requests = [], []


def test_an_interrupted_download_resumes_within_a_run(server: FileServer, tmp_path: Path, sha256: str | None) -> None:
    server.breaks = [81_920, 40_960]
    fetched(KnownFile(server.url, sha256), tmp_path)
    assert server.requests == [(None, None), ("bytes=81920-", '"one"'), ("bytes=122880-", '"one"')]


def test_an_interrupted_download_resumes_in_the_next_run(
    server: FileServer, tmp_path: Path, sha256: str | None
) -> None:
    known = KnownFile(server.url, sha256)
    break_off(server, known, tmp_path, 81_920)
    _, progress = fetched(known, tmp_path)
    assert server.requests == [("bytes=81920-", '"one"')]
    assert progress[0] == (81_920, 300_000)
    assert progress[-1] == (300_000, 300_000)
    assert progress == sorted(progress)


def test_a_download_whose_process_was_killed_resumes(server: FileServer, tmp_path: Path) -> None:
    server.hold_after = 200_000
    mirror = f"http://127.0.0.1:{server.port}/"
    command = [sys.executable, "-m", "trainer", "words", "fetch", "cc.en.300", "--out", tmp_path, "--mirror", mirror]
    partial = tmp_path / "cc.en.300.vec.gz.partial"
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 2 * DEADLINE
        while not (partial.exists() and partial.stat().st_size):
            assert process.poll() is None
            assert time.monotonic() < deadline
            server.held.wait(0.05)
        process.kill()
    came = partial.stat().st_size
    server.released.set()
    server.hold_after, server.requests = None, []
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert server.requests == [(f"bytes={came}-", '"one"')]
    assert (tmp_path / "cc.en.300.vec.gz").read_bytes() == CONTENT
    assert not partial.exists()


def test_a_changed_file_starts_over(server: FileServer, tmp_path: Path, sha256: str | None) -> None:
    known = KnownFile(server.url, sha256)
    server.content, server.etag = os.urandom(len(CONTENT)), '"old"'
    break_off(server, known, tmp_path, 81_920)
    server.content, server.etag = CONTENT, '"one"'
    fetched(known, tmp_path)
    assert server.requests == [("bytes=81920-", '"old"')]


def test_without_an_etag_only_a_known_checksum_allows_resuming(
    server: FileServer, tmp_path: Path, sha256: str | None
) -> None:
    known = KnownFile(server.url, sha256)
    server.etag = ""
    break_off(server, known, tmp_path, 81_920)
    fetched(known, tmp_path)
    assert server.requests == [("bytes=81920-", None) if sha256 else (None, None)]


def test_an_unchecked_file_is_never_assembled_from_two_places(server: FileServer, tmp_path: Path) -> None:
    server.content = os.urandom(len(CONTENT))
    break_off(server, KnownFile(server.url), tmp_path, 81_920)
    server.content = CONTENT
    fetched(KnownFile(server.url), tmp_path, f"http://127.0.0.1:{server.port}/mirror")
    assert server.requests == [(None, None)]


def test_a_refused_range_fetches_the_whole_file_again(server: FileServer, tmp_path: Path) -> None:
    known = KnownFile(server.url, DIGEST)
    break_off(server, known, tmp_path, 81_920)
    server.statuses = [416]
    fetched(known, tmp_path)
    assert server.requests == [("bytes=81920-", '"one"'), (None, None)]


def test_a_file_is_fetched_once(server: FileServer, tmp_path: Path, sha256: str | None) -> None:
    known = KnownFile(server.url, sha256)
    assert fetched(known, tmp_path)[0].checked == (sha256 is not None)
    assert fetched(known, tmp_path)[0].checked
    assert len(server.requests) == 1


def test_an_unknown_checksum_is_recorded_and_checked_later(server: FileServer, tmp_path: Path) -> None:
    known = KnownFile(server.url)
    fetched(known, tmp_path)
    assert (tmp_path / f"{NAME}.sha256").read_text() == f"{DIGEST}  {NAME}\n"
    (tmp_path / NAME).write_bytes(b"changed")
    fetched(known, tmp_path)  # it is fetched again, and is what it was
    (tmp_path / NAME).unlink()
    server.content = os.urandom(len(CONTENT))
    with pytest.raises(WordFileWrong, match=f"its SHA-256 is not {DIGEST}"):
        fetch(known, tmp_path, "", lambda *_: None)
    assert not (tmp_path / NAME).exists()


def test_a_file_with_a_wrong_checksum_is_refused_and_removed(server: FileServer, tmp_path: Path) -> None:
    known = KnownFile(server.url, DIGEST)
    server.content = os.urandom(len(CONTENT))
    with pytest.raises(WordFileWrong, match=r"--mirror"):
        fetch(known, tmp_path, "", lambda *_: None)
    assert list(tmp_path.iterdir()) == []
    server.content = CONTENT
    fetched(known, tmp_path)


@pytest.mark.parametrize("kind", ["folder", "file", "http"])
def test_a_mirror_is_asked_by_the_files_own_name(server: FileServer, tmp_path: Path, kind: str) -> None:
    store = tmp_path / "a mirror"
    store.mkdir()
    (store / NAME).write_bytes(CONTENT)
    mirror = {"folder": str(store), "file": store.as_uri() + "/", "http": f"http://127.0.0.1:{server.port}/x"}[kind]
    fetched(KnownFile("https://words.invalid/of/somebody/backbone%20file.bin", DIGEST), tmp_path / "here", mirror)


def test_a_missing_file_is_reported_with_the_way_to_a_mirror(server: FileServer, tmp_path: Path) -> None:
    server.statuses = [404]
    with pytest.raises(WordFetchFailed, match=r"answers 404.*SEMSEARCH_WORDS_MIRROR"):
        fetch(KnownFile(server.url), tmp_path, "", lambda *_: None)
    assert len(server.requests) == 1


def test_known_files_have_names_checksums_and_members_that_fit() -> None:
    assert known_file("glove.6B.300d") == KnownFile(
        "https://nlp.stanford.edu/data/glove.6B.zip",
        "617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
        "glove.6B.300d.txt",
    )
    checksums = {each.url: each.sha256 for each in KNOWN.values() if each.sha256}
    assert len(set(checksums.values())) == len(checksums)
    assert all(len(bytes.fromhex(checksum)) == 32 for checksum in checksums.values())
    with pytest.raises(WordFileUnknown, match=r"glove\.6B\.300d"):
        known_file("glove.7B")
