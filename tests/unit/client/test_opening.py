"""The choice of the file to open for an image."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import Mock

import pytest
from semsearch.cli.opening import _downloaded, local_file
from semsearch.errors import ErrorDetails, WrongState
from semsearch.folders.state import FolderState
from semsearch.values import Image

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

    def download(_: str, *, collection: str, thumbnail: bool = False) -> bytes:
        if not thumbnail:
            raise WrongState("elsewhere", ErrorDetails("ORIGINAL_ELSEWHERE"))
        return b"thumbnail"

    file = _downloaded(Mock(download_image=download), image(b"bytes", None))
    assert (file.suffix, file.read_bytes()) == (".webp", b"thumbnail")
