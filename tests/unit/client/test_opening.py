"""The choice of the file to open for an image, and what a server may do to the machine of whoever opens one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import Mock

import pytest
import typer
from semsearch.cli.last_search import LastSearch, remember
from semsearch.cli.opening import SUFFIXES, _downloaded, local_file, open_result
from semsearch.errors import DownloadFailed, ErrorDetails, WrongState
from semsearch.folders.file_kinds import FileKind, kind_of
from semsearch.folders.state import FolderState
from semsearch.v1 import gallery_service_pb2 as pb
from semsearch.v1 import image_pb2
from semsearch.values import Image

from gateway.web.images import SHOWN
from tests.unit.client.scripted_server import ScriptedServer, running

SERVER = "127.0.0.1:1"


@pytest.fixture(autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMSEARCH_CLIENT_STATE", str(tmp_path_factory.mktemp("state")))


def image(content: bytes, path: object) -> Image:
    sha256 = hashlib.sha256(content).hexdigest()
    return Image(sha256, "gallery", {"path": path}, sha256, "image/png", len(content), 1, 1, datetime.now(UTC))  # type: ignore[dict-item]


def test_only_a_file_with_the_same_bytes_is_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(b"bytes")
    assert local_file(image(b"bytes", "a.png"), SERVER) == tmp_path / "a.png"
    assert local_file(image(b"bytes", str(tmp_path / "a.png")), SERVER) == tmp_path / "a.png"
    for content, path in ((b"bites", "a.png"), (b"byte", "a.png"), (b"bytes", "b.png"), (b"bytes", ".")):
        assert local_file(image(content, path), SERVER) is None
    for other in (None, "", 5, "a\x00b", "x" * 5_000):
        assert local_file(image(b"bytes", other), SERVER) is None


def test_a_file_below_a_root_is_found_from_every_folder(tmp_path: Path) -> None:
    (tmp_path / "2024").mkdir()
    (tmp_path / "2024" / "a.png").write_bytes(b"bytes")
    FolderState().name_folder(SERVER, "gallery", "nas", tmp_path)
    stored = image(b"bytes", "2024/a.png")
    for found in (
        replace(stored, attributes={"path": "2024/a.png", "paths": ["gone/2024/a.png", "nas/2024/a.png"]}),
        replace(stored, original_at="nas/2024/a.png"),
    ):
        assert local_file(found, SERVER) == tmp_path / "2024" / "a.png"
        assert local_file(found, "far:1") is None


def test_a_file_that_is_no_image_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "a.desktop").write_bytes(b"bytes")
    assert local_file(image(b"bytes", str(tmp_path / "a.desktop")), SERVER) is None


def test_a_thumbnail_is_opened_where_the_original_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def download(_: str, *, collection: str, max_bytes: int, thumbnail: bool = False) -> bytes:
        if not thumbnail:
            raise WrongState("elsewhere", ErrorDetails("ORIGINAL_ELSEWHERE"))
        return b"thumbnail"

    file = _downloaded(Mock(download_image=download), image(b"bytes", None))
    assert (file.suffix, file.read_bytes()) == (".webp", b"thumbnail")


@dataclass
class Machine:
    """Whoever opens the first result of a search: what files appeared, and which of them were opened."""

    folder: Path
    server: ScriptedServer
    opened: list[str] = field(default_factory=list)

    def open(self, description: image_pb2.Image, *chunks: bytes) -> None:
        self.server.will("GetImage", [pb.GetImageResponse(image=description)])
        self.server.will("DownloadImage", [pb.DownloadImageResponse(chunk=chunk) for chunk in chunks])
        open_result(1, as_json=False)

    @property
    def files(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.folder.rglob("*") if file.is_file()}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    temporary = tmp_path / "a" / "b"
    temporary.mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    made = Machine(tmp_path, ScriptedServer())

    def launch(file: str) -> int:
        made.opened.append(file)
        return 0

    monkeypatch.setattr(typer, "launch", launch)
    with running(made.server) as address:
        remember(LastSearch(address, "gallery", ("an-id",)))
        yield made


def described(content: bytes, media_type: str = "image/png", **changes: object) -> image_pb2.Image:
    sha256 = hashlib.sha256(content).hexdigest()
    found = image_pb2.Image(id="an-id", sha256=sha256, media_type=media_type, size_bytes=len(content))
    found.MergeFrom(image_pb2.Image(**changes))  # type: ignore[arg-type]
    return found


def test_an_original_is_opened_as_a_picture_of_its_type(machine: Machine) -> None:
    machine.open(described(b"a picture"), b"a pic", b"ture")

    assert machine.files == {"image.png": b"a picture"}
    assert [Path(file).name for file in machine.opened] == ["image.png"]


@pytest.mark.parametrize("sha256", ["../evil", "../../evil", "ab" * 32, ""])
def test_bytes_that_are_not_the_image_are_not_kept(machine: Machine, sha256: str) -> None:
    description = described(b"a picture")
    description.sha256 = sha256

    with pytest.raises(DownloadFailed, match="not those of the image"):
        machine.open(description, b"a picture")

    assert (machine.files, machine.opened) == ({}, [])


def test_a_server_that_sends_more_than_the_image_has_is_stopped(machine: Machine) -> None:
    with pytest.raises(DownloadFailed, match="more than the 9 bytes"):
        machine.open(described(b"a picture"), b"a picture", *[b"and more" * 1_000] * 1_000)

    assert (machine.files, machine.opened) == ({}, [])


@pytest.mark.parametrize("media_type", ["text/html", "text/x-python", "application/x-msdownload", "image/svg+xml", ""])
def test_what_is_of_no_type_of_pictures_is_not_opened(
    machine: Machine, media_type: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):
        machine.open(described(b"<script>", media_type), b"<script>")

    assert (machine.files, machine.opened) == ({"image.img": b"<script>"}, [])
    assert "was not opened" in capsys.readouterr().err


def test_all_types_that_the_suite_stores_have_a_suffix_of_pictures() -> None:
    stored = {*SHOWN, "image/mpo", "image/x-canon-cr2", "image/x-canon-cr3", "image/x-nikon-nef", "image/x-sony-arw"}
    stored |= {"image/x-fuji-raf", "image/x-panasonic-rw2", "image/x-olympus-orf", "image/x-adobe-dng"}
    assert SUFFIXES.keys() == stored
    assert {kind_of(f"image{suffix}") for suffix in SUFFIXES.values()} == {FileKind.IMAGE}
