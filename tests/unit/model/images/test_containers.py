"""Damaged metadata does not matter if the pixels are complete; missing pixels do."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from model.errors import DamagedImage, ImageTooLarge
from model.images import DecodedImage, ImageLimits, Resize, decode
from tests.unit.model.images.picture_files import chunk, encode, exif, ramp, with_chunks, with_segment

PNG, JPEG, WEBP = (encode(ramp(), name) for name in ("PNG", "JPEG", "WEBP"))
MEGABYTES = zlib.compress(bytes(64 * 2**20))


def square(content: bytes) -> DecodedImage:
    return decode(content, size=64, resize=Resize.SQUASH)


def is_ramp(decoded: DecodedImage) -> bool:
    expected = np.asarray(ramp().resize((64, 64)), np.int16)
    return bool(np.abs(decoded.pixels - expected).mean() < 6)


@pytest.mark.parametrize(
    "broken",
    [
        chunk(b"eXIf", b"no TIFF structure"),
        chunk(b"iTXt", b"workflow\x00\x01\x00\x00\x00" + MEGABYTES),
        chunk(b"zTXt", b"workflow\x00\x00" + MEGABYTES),
        chunk(b"iCCP", b"profile\x00\x00" + MEGABYTES),
        chunk(b"iCCP", b"profile\x00\x00no zlib stream"),
        chunk(b"tEXt", b"a\x00b")[:-4] + b"\x00\x00\x00\x00",
        chunk(b"pHYs", b"\x00\x00"),
        chunk(b"acTL", struct.pack(">II", 2**31, 0)),
    ],
    ids=["exif", "itxt", "ztxt", "profile", "profile-garbage", "crc", "phys", "animation"],
)
def test_a_broken_ancillary_chunk_of_a_png_does_not_matter(broken: bytes) -> None:
    tracemalloc.start()
    decoded = square(with_chunks(PNG, broken))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert is_ramp(decoded)
    assert peak < 8 * 2**20


def test_a_broken_critical_chunk_of_a_png_does() -> None:
    at = PNG.index(b"IDAT") + 10
    with pytest.raises(DamagedImage):
        square(PNG[:at] + bytes((PNG[at] ^ 255,)) + PNG[at + 1 :])


@pytest.mark.parametrize("content", [PNG[:-12], JPEG[:-2], encode(ramp(), "JPEG", progressive=True)[:-2]])
def test_a_missing_end_marker_does_not_matter(content: bytes) -> None:
    assert is_ramp(square(content))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_missing_pixels_of_a_jpeg_do(options: dict[str, object], share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8))
    content = encode(noise, "JPEG", **options)
    with pytest.raises(DamagedImage):
        square(content[: int(len(content) * share)])


@pytest.mark.parametrize("kind", [0xE1, 0xE2, 0xED, 0xFE])
def test_what_else_a_jpeg_carries_does_not_matter(kind: int) -> None:
    assert is_ramp(square(with_segment(JPEG, kind, b"Exif\x00\x00garbage" if kind == 0xE1 else b"MPF\x00garbage")))


def test_exif_garbage_in_a_webp_does_not_matter() -> None:
    assert is_ramp(square(encode(ramp(), "WEBP", exif=b"Exif\x00\x00garbage")))


@pytest.mark.parametrize("prefix", [b"", b"Exif\x00\x00"])
def test_a_webp_is_turned_by_its_exif(prefix: bytes) -> None:
    turned = exif((0x0112, 3, 1, b"\x00\x06\x00\x00"))
    assert (decoded := square(encode(ramp(), "WEBP", exif=prefix + turned))).width == 48
    assert decoded.metadata.orientation == 6


def test_a_second_image_in_a_jpeg_is_ignored() -> None:
    two = encode(ramp(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    decoded = square(two)
    assert decoded.media_type == "image/jpeg"
    assert is_ramp(decoded)


def test_scans_are_counted_before_decoding() -> None:
    content = encode(ramp(), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    bomb = content[:-2] + content[last:-2] * 200 + content[-2:]
    with pytest.raises(ImageTooLarge, match=r"2\d\d scans, but at most 100 are allowed"):
        square(bomb)
    with pytest.raises(ImageTooLarge, match="scans"):
        decode(content, size=8, limits=ImageLimits(scans=3))


def test_the_first_shown_frame_of_an_animation_counts() -> None:
    red, blue = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 255))
    for name in ("PNG", "GIF", "WEBP"):
        shown = decode(encode(red, name, save_all=True, append_images=[blue], lossless=True), size=8)
        assert shown.pixels[4, 4, 0] > 200, name
    hidden = encode(red, "PNG", save_all=True, append_images=[blue], default_image=True)
    assert (decode(hidden, size=8).pixels == (0, 0, 255)).all()
