"""A RAW file is decoded from the preview that the camera embedded."""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import rawpy
from numpy.typing import NDArray
from PIL import Image

from model.errors import DamagedImage, UnsupportedImage
from model.images import decode
from model.images.raw import raw_media_type
from tests.unit.model.images.picture_files import encode

SHORT, LONG, RATIO, SIGNED_RATIO = 3, 4, 5, 10
_SIZES = {SHORT: 2, LONG: 4, RATIO: 8, SIGNED_RATIO: 8}
WIDTH, HEIGHT = 64, 48

Tag = tuple[int, int, Sequence[int] | bytes]


def directory(tags: Sequence[Tag], at: int) -> bytes:
    """Return a little-endian TIFF directory at an offset; bytes have type 1."""
    entries, values = struct.pack("<H", len(tags)), b""
    start = at + 2 + 12 * len(tags) + 4
    for tag, kind, numbers in sorted(tags, key=lambda entry: entry[0]):
        number = "H" if kind == SHORT else "i"
        data = numbers if isinstance(numbers, bytes) else struct.pack(f"<{len(numbers)}{number}", *numbers)
        count = len(data) // _SIZES.get(kind, 1)
        if len(data) > 4:
            values, data = values + data + bytes(len(data) % 2), struct.pack("<I", start + len(values))
        entries += struct.pack("<HHI", tag, kind, count) + data.ljust(4, b"\x00")
    return entries + bytes(4) + values


def dng(preview: bytes, orientation: int = 1) -> bytes:
    """Return a DNG (Adobe, Digital Negative Specification 1.4) with a JPEG preview of 32 × 24 pixels."""
    sensor = struct.pack("<H", 1_000) * (WIDTH * HEIGHT)
    sensor_at = 8 + len(preview) + len(preview) % 2
    first_at = sensor_at + len(sensor)

    def first(sub_at: int) -> bytes:
        tags: list[Tag] = [
            (254, LONG, [1]),  # a reduced picture
            (256, LONG, [32]),
            (257, LONG, [24]),
            (258, SHORT, [8, 8, 8]),
            (259, SHORT, [7]),  # JPEG
            (262, SHORT, [6]),  # YCbCr
            (271, 2, b"Testmaker\x00"),
            (272, 2, b"Model 1\x00"),
            (273, LONG, [8]),
            (274, SHORT, [orientation]),
            (277, SHORT, [3]),
            (278, LONG, [24]),
            (279, LONG, [len(preview)]),
            (306, 2, b"2024:06:05 14:03:22\x00"),
            (330, LONG, [sub_at]),
            (50706, 1, b"\x01\x04\x00\x00"),  # DNG version
            (50708, 2, b"Testmaker Model 1\x00"),
            (50721, SIGNED_RATIO, [1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1]),
            (50728, RATIO, [1, 1] * 3),
            (50778, SHORT, [21]),
        ]
        return directory(tags, first_at)

    sub_at = first_at + len(first(0))
    mosaic: list[Tag] = [
        (254, LONG, [0]),
        (256, LONG, [WIDTH]),
        (257, LONG, [HEIGHT]),
        (258, SHORT, [16]),
        (259, SHORT, [1]),
        (262, SHORT, [32803]),  # colour filter array
        (273, LONG, [sensor_at]),
        (277, SHORT, [1]),
        (278, LONG, [HEIGHT]),
        (279, LONG, [len(sensor)]),
        (33421, SHORT, [2, 2]),
        (33422, 1, b"\x00\x01\x01\x02"),
    ]
    content = b"II*\x00" + struct.pack("<I", first_at) + preview + bytes(len(preview) % 2) + sensor
    return content + first(sub_at) + directory(mosaic, sub_at)


def halves() -> bytes:
    picture = Image.new("RGB", (32, 24), (220, 20, 20))
    picture.paste((20, 20, 220), (16, 0, 32, 24))
    return encode(picture, "JPEG", quality=95)


def test_the_preview_has_the_photos_size_and_metadata() -> None:
    decoded = decode(dng(halves()), size=16, thumbnail_edge=32)
    assert (decoded.width, decoded.height, decoded.media_type) == (WIDTH, HEIGHT, "image/x-adobe-dng")
    assert decoded.pixels[8, 2, 0] > 180
    assert decoded.pixels[8, 13, 2] > 180
    assert decoded.thumbnail
    assert decoded.metadata.camera == "Testmaker Model 1"
    assert decoded.metadata.taken_time == "2024-06-05T14:03:22"


def test_the_preview_is_turned_as_the_photo_is() -> None:
    decoded = decode(dng(halves(), orientation=6), size=16)
    assert (decoded.width, decoded.height, decoded.metadata.orientation) == (HEIGHT, WIDTH, 6)
    assert decoded.pixels[2, 8, 0] > 180  # red is now at the top
    assert decoded.pixels[13, 8, 2] > 180


@pytest.mark.parametrize("channels", [1, 3])
def test_a_preview_of_pixels_may_be_grey(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    give_preview(np.full((24, 32, channels), 180, np.uint8), monkeypatch)
    assert decode(dng(halves()), size=8).pixels.min() > 170


def test_a_preview_of_odd_pixels_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    give_preview(np.zeros((24, 32, 5), np.uint8), monkeypatch)
    with pytest.raises(UnsupportedImage, match="no preview that can be read"):
        decode(dng(halves()), size=8)


def give_preview(pixels: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the library find pixels in a RAW file."""
    sizes = SimpleNamespace(width=WIDTH, height=HEIGHT, flip=0)
    found = SimpleNamespace(extract_thumb=lambda: SimpleNamespace(data=pixels), sizes=sizes)
    monkeypatch.setattr(rawpy, "imread", lambda _: nullcontext(found))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(UnsupportedImage, match='extra "raw"'):
        decode(dng(halves()), size=8)


def test_a_raw_file_that_is_cut_off_is_damaged() -> None:
    with pytest.raises(DamagedImage, match="RAW"):
        decode(b"IIRO" + bytes(1_000), size=8)


@pytest.mark.parametrize(
    ("beginning", "media_type"),
    [
        (b"FUJIFILMCCD-RAW 0201", "image/x-fuji-raf"),
        (b"IIU\x00", "image/x-panasonic-rw2"),
        (b"IIRO", "image/x-olympus-orf"),
        (b"\x00\x00\x00\x18ftypcrx ", "image/x-canon-cr3"),
        (b"II*\x00\x10\x00\x00\x00CR\x02\x00", "image/x-canon-cr2"),
        (b"\x00\x00\x00\x18ftypheic", ""),
        (b"\xff\xd8\xff\xe0", ""),
    ],
)
def test_raw_files_are_known_by_their_beginning(beginning: bytes, media_type: str) -> None:
    assert raw_media_type(beginning + bytes(100)) == media_type


@pytest.mark.parametrize(
    ("make", "media_type"), [(b"NIKON CORPORATION\x00", "image/x-nikon-nef"), (b"SONY\x00", "image/x-sony-arw")]
)
def test_raw_files_in_tiff_format_are_known_by_their_maker(make: bytes, media_type: str) -> None:
    tags: list[Tag] = [(254, LONG, [1]), (271, 2, make), (330, LONG, [8])]
    assert raw_media_type(b"II*\x00\x08\x00\x00\x00" + directory(tags, 8)) == media_type


def test_an_ordinary_tiff_is_no_raw_file() -> None:
    assert raw_media_type(encode(Image.new("RGB", (8, 8)), "TIFF")) == ""
