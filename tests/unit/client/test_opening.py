"""Which file is opened for an image."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import Mock

import pytest
from semsearch.cli.opening import _downloaded, local_file
from semsearch.errors import ErrorDetails, WrongState
from semsearch.values import Image


def image(content: bytes, path: object) -> Image:
    sha256 = hashlib.sha256(content).hexdigest()
    return Image(sha256, "gallery", {"path": path}, sha256, "image/png", len(content), 1, 1, datetime.now(UTC))  # type: ignore[dict-item]


def test_only_a_file_with_the_same_bytes_is_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(b"bytes")
    assert local_file(image(b"bytes", "a.png")) == tmp_path / "a.png"
    assert local_file(image(b"bytes", str(tmp_path / "a.png"))) == tmp_path / "a.png"
    for content, path in ((b"bites", "a.png"), (b"byte", "a.png"), (b"bytes", "b.png"), (b"bytes", ".")):
        assert local_file(image(content, path)) is None
    for other in (None, "", 5, "a\x00b", "x" * 5_000):
        assert local_file(image(b"bytes", other)) is None


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
