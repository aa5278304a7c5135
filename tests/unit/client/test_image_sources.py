"""Images as callers have them become the bytes of files."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from semsearch import InvalidRequest
from semsearch.image_sources import content_of, source_of

PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_files_and_bytes_are_taken_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(b"any bytes")
    for image in (file, b"any bytes", bytearray(b"any bytes"), memoryview(b"any bytes")):
        assert content_of(image) == source_of(image) == b"any bytes"
    assert source_of("an-id") == "an-id"


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1), (2, 3, 3), (2, 3, 4)])
def test_arrays_keep_every_pixel(shape: tuple[int, ...]) -> None:
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    assert np.array_equal(np.asarray(opened(content_of(pixels))).reshape(shape), pixels)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "HSV", "F"])
def test_pillow_images_of_any_mode(mode: str) -> None:
    image = Image.fromarray(PIXELS).convert("L" if mode == "F" else mode).convert(mode)
    found = opened(content_of(image))
    assert found.format == "PNG"
    assert np.array_equal(np.asarray(found.convert("RGB")), np.asarray(image.convert("RGB")))


def test_a_photo_is_sent_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG", exif=exif)
    found = opened(content_of(opened(file.getvalue())))
    assert (found.size, found.getexif().get(0x0112)) == ((2, 3), None)


def test_an_image_that_pillow_cannot_read_is_refused() -> None:
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(file, "PNG")
    with pytest.raises(InvalidRequest, match="Pillow cannot read"):
        content_of(opened(file.getvalue()[:500]))


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (np.zeros((2, 3, 3)), "float|f8"),
        (np.zeros((2, 3, 2), np.uint8), r"shape \(2, 3, 2\)"),
        (np.zeros(3, np.uint8), r"shape \(3,\)"),
        (np.zeros((0, 3), np.uint8), r"shape \(0, 3\)"),
        (Path("no/such.jpg"), r"no/such\.jpg cannot be read: No such file"),
        (3, "not int"),
        ("photos/a.jpg", "id of a stored image"),
    ],
    ids=str,
)
def test_what_is_no_image_is_refused(image: Any, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        source_of(image)


def test_pillow_and_numpy_are_not_imported_unasked() -> None:
    script = "import sys, semsearch; [getattr(semsearch, name) for name in semsearch.__all__]; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "PIL", "rich", "typer", "watchfiles", "pathspec", "semsearch.notebook"} & {*loaded}
