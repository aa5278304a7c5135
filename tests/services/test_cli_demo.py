"""`semsearch demo` with a small archive, from an unreliable server and from a file."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from semsearch.cli import demo
from semsearch.demo import download
from semsearch.demo.photo_set import FLOWERS, PhotoSet

from tests.file_server import file_server
from tests.services.client_stack import ClientStack, Done, client_stack, semsearch
from tests.unit.gateway.doubles import picture

CREDITS = """All images in this archive are licensed under the Creative Commons By-Attribution License.

red/1.jpg CC-BY by Ann O - Nym - https://photos.example/1/
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientStack]:
    with client_stack(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="module")
def archive() -> bytes:
    files = {f"{color}/{n}.jpg": picture(color, seed=n) for color in ("red", "green") for n in (1, 2)}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in {**files, "LICENSE.txt": CREDITS.encode()}.items():
            member = tarfile.TarInfo(f"{FLOWERS.root}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def photos(archive: bytes, monkeypatch: pytest.MonkeyPatch) -> PhotoSet:
    """The set, with the small archive's size and checksum."""
    small = replace(
        FLOWERS, size_bytes=len(archive), sha256=hashlib.sha256(archive).hexdigest(), queries=("red", "red -red green")
    )
    monkeypatch.setattr(demo, "FLOWERS", small)
    monkeypatch.setattr(download, "_PAUSES", (0.0, 0.0))
    return small


def run(stack: ClientStack, folder: Path, source: object, collection: str, *more: str, answer: str = "") -> Done:
    return semsearch(
        stack.server, "demo", "--folder", folder, "--from", source, "-c", collection, *more, answer=answer
    )  # fmt: skip


def test_the_set_has_an_address_a_checksum_and_a_licence() -> None:
    assert FLOWERS.url.startswith("https://")
    assert len(bytes.fromhex(FLOWERS.sha256)) == 32
    assert FLOWERS.licence_url


def test_photos_are_fetched_with_breaks_added_with_credits_and_searched(
    stack: ClientStack, archive: bytes, photos: PhotoSet, tmp_path: Path
) -> None:
    with file_server(archive) as served:
        served.breaks = [100]
        served.statuses = [503, 200]
        done = run(stack, tmp_path, served.url, "broken", "--yes")
        assert done.status == 0, done.err
        assert served.requests == [(None, None), (None, None), ("bytes=100-", None)]
        again = run(stack, tmp_path, served.url, "broken")
        assert len(served.requests) == 3  # what is there is not fetched again
    for shown in (photos.sha256, "CC BY 2.0", served.url, "4 added"):
        assert shown in done.err
    assert "red/" in done.out
    assert "4 already there" in again.err
    listed = [json.loads(line) for line in semsearch(stack.server, "list", "-c", "broken", "--json").out.splitlines()]
    (credited,) = (each["attributes"] for each in listed if each["attributes"]["name"] == "1.jpg"
                   and each["attributes"]["label"] == "red")  # fmt: skip
    assert credited["photographer"] == "Ann O - Nym"
    assert credited["source"] == "https://photos.example/1/"
    assert not list(tmp_path.glob("*.tar*"))


def test_an_interrupted_download_resumes_at_the_next_run(stack: ClientStack, archive: bytes, tmp_path: Path) -> None:
    with file_server(archive) as served:
        served.breaks = [50, 60, 70]
        broken = run(stack, tmp_path, served.url, "resumed", "--yes")
        assert broken.status == 1
        assert "resumes" in broken.err
        received = next(tmp_path.glob("*.part")).stat().st_size
        assert run(stack, tmp_path, served.url, "resumed", "--yes").status == 0
        assert served.requests[-1] == (f"bytes={received}-", None)


def test_another_file_is_refused_and_removed(stack: ClientStack, archive: bytes, tmp_path: Path) -> None:
    with file_server(archive[:-1] + b"x") as served:
        done = run(stack, tmp_path, served.url, "refused", "--yes")
    assert done.status == 1
    assert "is not the archive" in done.err
    assert not list(tmp_path.iterdir())


def test_nothing_is_fetched_without_a_yes(stack: ClientStack, archive: bytes, tmp_path: Path) -> None:
    with file_server(archive) as served:
        assert run(stack, tmp_path, served.url, "asked", answer="n\n").status == 1
        assert not served.requests
    assert not list(tmp_path.iterdir())


def test_a_file_is_used_and_a_missing_one_is_reported(stack: ClientStack, archive: bytes, tmp_path: Path) -> None:
    file = tmp_path / "flower photos.tgz"
    missing = run(stack, tmp_path / "kept", file, "local", "--yes")
    assert missing.status == 1
    assert "cannot be fetched" in missing.err
    file.write_bytes(archive)
    assert run(stack, tmp_path / "kept", file, "local", "--yes").status == 0


def test_a_missing_server_is_reported_before_the_download(archive: bytes, tmp_path: Path) -> None:
    with file_server(archive) as served:
        done = semsearch("127.0.0.1:1", "demo", "--folder", tmp_path, "--from", served.url, "--yes")
        assert done.status == 1
        assert not served.requests
