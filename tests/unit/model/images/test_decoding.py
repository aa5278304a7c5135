"""Every format gives the same square of pixels; anything else is refused with a reason."""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model.errors import DamagedImage, ImageError, ImageTooLarge, InvalidCrop, NotAnImage
from model.images import CropBox, ImageLimits, Resize, decode
from tests.needs import SHARED_DATA

PHOTOS = SHARED_DATA / "photos"


def halves(width: int = 64, height: int = 64) -> Image.Image:
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", (width, height), (220, 20, 20))
    picture.paste((20, 20, 220), (width // 2, 0, width, height))
    return picture


def encode(picture: Image.Image, format_name: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, format_name, **options)
    return file.getvalue()


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"])
def test_every_format_gives_the_same_picture(format_name: str) -> None:
    decoded = decode(encode(halves(), format_name), size=32)
    assert decoded.pixels.shape == (32, 32, 3)
    assert decoded.pixels.dtype == np.uint8
    assert np.abs(decoded.pixels[16, 4].astype(int) - (220, 20, 20)).max() < 30
    assert np.abs(decoded.pixels[16, 28].astype(int) - (20, 20, 220)).max() < 30
    assert (decoded.width, decoded.height) == (64, 64)
    assert decoded.media_type.startswith("image/")


def test_exif_orientation_rotates_the_image_and_its_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn clockwise
    decoded = decode(encode(halves(64, 32), "JPEG", exif=exif, quality=95), size=16, resize=Resize.SQUASH)
    assert (decoded.width, decoded.height) == (32, 64)
    assert decoded.pixels[2, 8, 0] > 150  # red is now at the top
    assert decoded.pixels[13, 8, 2] > 150


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_lies_on_white(mode: str) -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0)).convert(mode)
    assert decode(encode(clear, "PNG"), size=8).pixels.min() > 250


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "I;16"])
def test_other_depths_and_colours_become_rgb(mode: str) -> None:
    gray = Image.new("L", (8, 8), 255)
    picture = Image.fromarray(np.full((8, 8), 65535, np.uint16)) if mode == "I;16" else gray.convert(mode)
    assert decode(encode(picture, "TIFF"), size=8).pixels.min() > 250


def test_a_large_jpeg_decoded_smaller_reports_its_full_size() -> None:
    decoded = decode(encode(halves(1600, 800), "JPEG"), size=32, thumbnail_edge=100)
    assert (decoded.width, decoded.height) == (1600, 800)
    with Image.open(io.BytesIO(decoded.thumbnail)) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (100, 50))


def test_a_crop_shows_its_part_only() -> None:
    right = decode(encode(halves(), "PNG"), size=8, crop=CropBox(0.5, 0, 1, 1))
    assert (right.pixels == (20, 20, 220)).all()


@pytest.mark.parametrize(
    "sides", [(0.5, 0, 0.5, 1), (0.6, 0, 0.4, 1), (-0.1, 0, 1, 1), (0, 0, 1, 1.1), (float("nan"), 0, 1, 1)]
)
def test_an_empty_or_outlying_crop_is_refused(sides: tuple[float, float, float, float]) -> None:
    with pytest.raises(InvalidCrop):
        CropBox(*sides)


def test_a_png_of_900_million_pixels_is_refused_before_decoding() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", bytes(2**20)) + chunk(b"IEND", b"")
    tracemalloc.start()
    with pytest.raises(ImageTooLarge, match="900,000,000 pixels, but at most 100,000,000 are allowed"):
        decode(bomb, size=64)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50 * 2**20


def test_the_limit_may_allow_images_beyond_pillows_own_cap() -> None:
    file = io.BytesIO()
    with Image.new("1", (20_000, 10_000), 1) as large:
        large.save(file, "PNG")
    assert 20_000 * 10_000 > 2 * 89_478_485, "beyond Pillow's own limit"
    decoded = decode(file.getvalue(), size=8, limits=ImageLimits(pixels=200_000_000))
    assert (decoded.width, decoded.height) == (20_000, 10_000)
    assert (decoded.pixels == 255).all()


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(ImageTooLarge) as raised:
        decode(bytes(11), size=8, limits=ImageLimits(bytes=10))
    assert raised.value.limit == 10


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ImageError):
        decode(content, size=8)


@pytest.mark.parametrize("content", [b"", b"hello", b"%PDF-1.7", b"<svg/>", b"BM", bytes(1000)])
def test_bytes_without_an_image_header_are_refused(content: bytes) -> None:
    with pytest.raises(NotAnImage):
        decode(content, size=8)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF"])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_damaged_bytes_raise_nothing_but_image_errors(format_name: str, data: st.DataObject) -> None:
    content = bytearray(encode(halves(), format_name))
    for _ in range(data.draw(st.integers(0, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    with contextlib.suppress(ImageError):
        assert decode(bytes(content[:cut]), size=8).pixels.shape == (8, 8, 3)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "BMP"])
def test_a_truncated_image_is_damaged(format_name: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    content = encode(noise, format_name)
    with pytest.raises(DamagedImage):
        decode(content[: len(content) // 2], size=8)


@pytest.mark.skipif(not PHOTOS.exists(), reason=f"the photos are not at {PHOTOS}")
def test_real_photos_decode() -> None:
    for path in sorted(PHOTOS.glob("*.jpg"))[:30]:
        decoded = decode(path.read_bytes(), size=64, thumbnail_edge=320)
        assert decoded.pixels.std() > 5
        assert len(decoded.thumbnail) > 500
