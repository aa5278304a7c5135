"""Fetching a file over real sockets: downloads resume, and a wrong file is never kept."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from structlog.testing import capture_logs

from embedder_service.errors import DownloadFailed, DownloadWrong
from embedder_service.fetched_files import bytes_here, download
from model.bundle.recipe import FetchedFile
from model.errors import StorageFull
from model.files import downloads
from tests.file_server import FileServer, file_server

CONTENT = os.urandom(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "PAUSES", (0.0, 0.0, 0.0))


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server(CONTENT) as served:
        yield served


def wanted(url: str) -> FetchedFile:
    return FetchedFile("backbone.tflite", url, len(CONTENT), DIGEST)


def fetch(url: str, folder: Path, mirror: str = "", stop: Event | None = None) -> list[int]:
    """Fetch the file and return the reported progress."""
    reported: list[int] = []
    path = download(wanted(url), mirror, folder, reported.append, stop or Event())
    assert path.read_bytes() == CONTENT
    assert [each.name for each in folder.iterdir()] == [DIGEST]
    return reported


def test_a_file_is_fetched_once(server: FileServer, tmp_path: Path) -> None:
    reported = fetch(server.url, tmp_path)
    assert reported == sorted(reported)
    assert reported[-1] == len(CONTENT) == bytes_here(wanted(server.url), tmp_path)
    assert fetch(server.url, tmp_path) == [len(CONTENT)]
    assert server.requests == [(None, None)]


def test_a_broken_download_resumes_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    server.breaks = [81_920, 40_960]
    fetch(server.url, tmp_path)
    assert server.requests == [(None, None), ("bytes=81920-", '"one"'), ("bytes=122880-", '"one"')]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_a_download_resumes_without_a_strong_etag(server: FileServer, tmp_path: Path, etag: str) -> None:
    server.etag, server.breaks = etag, [81_920]
    fetch(server.url, tmp_path)
    assert server.requests[-1] == ("bytes=81920-", None)


def test_without_ranges_a_download_starts_over(server: FileServer, tmp_path: Path) -> None:
    server.ranges, server.breaks = False, [81_920]
    fetch(server.url, tmp_path)
    assert len(server.requests) == 2


def test_a_changed_file_is_downloaded_from_the_start(server: FileServer, tmp_path: Path) -> None:
    server.content, server.breaks = os.urandom(len(CONTENT)), [81_920, 0, 0, 0]
    with pytest.raises(DownloadFailed):
        fetch(server.url, tmp_path)
    server.content, server.etag, server.breaks = CONTENT, '"two"', []
    fetch(server.url, tmp_path)
    assert server.requests[-1][1] == '"one"'


def test_without_a_length_only_too_many_bytes_are_refused(server: FileServer, tmp_path: Path) -> None:
    server.chunked = True
    fetch(server.url, tmp_path)
    (tmp_path / DIGEST).unlink()
    server.content += b"more"
    with pytest.raises(DownloadWrong, match="more than 300,000 bytes"):
        fetch(server.url, tmp_path)
    assert bytes_here(wanted(server.url), tmp_path) == 0


def test_bytes_from_a_failing_server_are_kept_and_reported(server: FileServer, tmp_path: Path) -> None:
    server.breaks, server.statuses = [81_920], [200, 503, 503, 503]
    with pytest.raises(DownloadFailed, match=r"answers 503.*SEMSEARCH_EMBEDDER_MODEL_MIRROR"):
        fetch(server.url, tmp_path)
    assert bytes_here(wanted(server.url), tmp_path) == 81_920
    fetch(server.url, tmp_path)
    assert server.requests[-1][0] == "bytes=81920-"


def test_a_missing_file_is_not_requested_again(server: FileServer, tmp_path: Path) -> None:
    server.statuses = [404]
    with pytest.raises(DownloadFailed, match="404"):
        fetch(server.url, tmp_path)
    assert len(server.requests) == 1


def test_an_unreachable_server_is_reported_in_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadFailed, match="it cannot be reached") as raised:
        fetch(f"http://127.0.0.1:{port}/backbone.bin", tmp_path)
    assert "backbone.bin" in str(raised.value)
    assert "Max retries" not in str(raised.value)


def test_a_wrong_file_of_the_right_size_is_removed(server: FileServer, tmp_path: Path) -> None:
    server.content = os.urandom(len(CONTENT))
    with pytest.raises(DownloadWrong, match="its SHA-256 is"):
        fetch(server.url, tmp_path)
    assert not list(tmp_path.iterdir())
    server.content = CONTENT
    fetch(server.url, tmp_path)


@pytest.mark.parametrize("length", [10, len(CONTENT) + 1])
def test_a_wrong_length_is_refused_before_reading(server: FileServer, tmp_path: Path, length: int) -> None:
    server.length = length
    with pytest.raises(DownloadWrong, match=f"it has {length:,} bytes, not 300,000"):
        fetch(server.url, tmp_path)
    assert bytes_here(wanted(server.url), tmp_path) == 0


def test_a_file_shorter_than_the_bytes_received_is_refused(server: FileServer, tmp_path: Path) -> None:
    server.breaks = [81_920] + [0] * 3
    with pytest.raises(DownloadFailed):
        fetch(server.url, tmp_path)
    server.statuses = [416]
    with pytest.raises(DownloadWrong, match="ends before byte 81,920"):
        fetch(server.url, tmp_path)


def test_a_stopped_download_keeps_the_bytes_received(server: FileServer, tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    with pytest.raises(DownloadFailed, match="stopped"):
        fetch(server.url, tmp_path, stop=stop)
    assert 0 < bytes_here(wanted(server.url), tmp_path) < len(CONTENT)
    fetch(server.url, tmp_path)


@pytest.mark.parametrize("kind", ["folder", "file", "http"])
def test_a_mirror_is_asked_for_the_file_name(server: FileServer, tmp_path: Path, kind: str) -> None:
    store = tmp_path / "a mirror"
    store.mkdir()
    (store / "backbone file.bin").write_bytes(CONTENT)
    mirror = {"folder": str(store), "file": store.as_uri() + "/", "http": f"http://127.0.0.1:{server.port}/x"}[kind]
    folder = tmp_path / "models"
    folder.mkdir()
    fetch("https://models.invalid/of/somebody/backbone%20file.bin?raw=1", folder, mirror)


def test_a_mirror_without_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=str(tmp_path / "none" / "b.bin")):
        fetch("https://models.invalid/b.bin", tmp_path, str(tmp_path / "none"))


@pytest.mark.parametrize(("statuses", "expected"), [([503, 404], DownloadFailed), ([503, 416], DownloadWrong)])
def test_a_password_in_a_url_is_neither_logged_nor_told_to_callers(
    server: FileServer, tmp_path: Path, statuses: list[int], expected: type[DownloadFailed | DownloadWrong]
) -> None:
    server.statuses = statuses
    with capture_logs() as logs, pytest.raises(expected) as raised:
        fetch("https://models.invalid/b.bin", tmp_path, f"http://me:hunter2@127.0.0.1:{server.port}/x")
    place = f"http://127.0.0.1:{server.port}/x/b.bin"
    assert raised.value.place == place
    assert place in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert [each["place"] for each in logs] == [place]


def test_a_local_file_of_another_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.bin").write_bytes(b"short")
    with pytest.raises(DownloadWrong, match="it has 5 bytes"):
        fetch((tmp_path / "b.bin").as_uri(), tmp_path)


def test_other_url_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="not by ftp"):
        fetch("ftp://models.invalid/b.bin", tmp_path)


def test_a_full_disk_is_reported(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("embedder_service.fetched_files.sync", full)
    with pytest.raises(StorageFull, match="No space left"):
        fetch(server.url, tmp_path)
