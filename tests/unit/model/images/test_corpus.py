"""Every format, in every orientation, colour space and depth, gives the same image."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from itertools import product

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from model.images import decode
from tests.unit.model.images.picture_files import SPACES, chunk, encode, in_space, ramp, rgb_profile
from tests.unit.model.images.test_metadata import FORMATS, camera_exif, stored_as

SOFT = Image.fromarray((np.asarray(ramp(96, 72)) // 3 + 80).astype(np.uint8))  # within every space


def thumbnail(content: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    decoded = decode(content, size=16, thumbnail_edge=96)
    assert (decoded.width, decoded.height) == SOFT.size
    with Image.open(io.BytesIO(decoded.thumbnail)) as small:
        return np.asarray(small.convert("RGB"), np.int16)


@pytest.mark.parametrize("format_name", FORMATS)
def test_orientation_and_colour_space_keep_the_thumbnail(format_name: str) -> None:
    reference = thumbnail(encode(SOFT, "PNG"))
    options = {} if format_name in ("PNG", "TIFF") else {"quality": 95}
    for orientation, space in product(range(1, 9), [None, *SPACES]):
        picture = stored_as(SOFT, orientation)
        profile = rgb_profile(space) if space else None
        exif = camera_exif(orientation).tobytes()
        shown = in_space(picture, space) if space else picture
        content = encode(shown, format_name, exif=exif, icc_profile=profile, **options)
        assert np.abs(thumbnail(content) - reference).mean() < 4, (orientation, space)


def png_of_16_bits(picture: Image.Image) -> bytes:
    values = (np.asarray(picture, np.uint16) * 257).astype(">u2")
    rows = b"".join(b"\x00" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", *picture.size, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def heif_of_16_bits(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    values = np.asarray(picture, np.uint16) * 257
    pillow_heif.encode("RGB;16", picture.size, values.tobytes(), file, quality=95)
    return file.getvalue()


@pytest.mark.parametrize("content", [png_of_16_bits(SOFT), heif_of_16_bits(SOFT)], ids=["PNG", "HEIF"])
def test_deep_colours_leave_the_thumbnail_the_same(content: bytes) -> None:
    assert np.abs(thumbnail(content) - thumbnail(encode(SOFT, "PNG"))).mean() < 4


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "YCbCr", "I;16", "F"])
def test_every_pixel_format_gives_a_similar_thumbnail(mode: str) -> None:
    gray = Image.linear_gradient("L").resize((96, 72))
    picture = Image.fromarray(np.asarray(gray, np.uint16) * 257) if mode == "I;16" else gray.convert(mode)
    shown = thumbnail(encode(picture, "TIFF" if mode not in ("P", "YCbCr") else ("GIF" if mode == "P" else "JPEG")))
    assert np.abs(shown.mean(axis=2) - np.asarray(gray, np.int16)).mean() < 5


def test_a_hundred_million_pixels_take_less_than_a_gibibyte() -> None:
    program = """
import io, resource, sys
from PIL import Image
from model.images import decode
content = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert decode(content, size=64, thumbnail_edge=320).width == 10_000
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    picture = Image.new("RGBA", (10_000, 10_000), (200, 100, 50, 128))
    content = encode(picture, "PNG", compress_level=1)
    del picture
    done = subprocess.run([sys.executable, "-c", program], input=content, capture_output=True, check=True)
    assert int(done.stdout) < 1_024
