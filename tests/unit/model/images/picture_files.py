"""Image files that tests make: encoded pictures, PNG chunks, JPEG segments, colour profiles."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# CIE xy of the primaries and gamma; https://www.color.org/chardata/rgb/rgb_registry.xalter
SPACES = {
    "Adobe RGB": (((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), (0.3127, 0.3290), 563 / 256),
    "Display P3": (((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), (0.3127, 0.3290), 2.2),
    "ProPhoto": (((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), (0.3457, 0.3585), 1.8),
}
_SRGB = (((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), (0.3127, 0.3290))
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def ramp(width: int = 64, height: int = 48) -> Image.Image:
    """Red rises from left to right, green from top to bottom; blue is 40."""
    across, down = np.meshgrid(np.linspace(0, 252, width), np.linspace(30, 220, height))
    return Image.fromarray(np.stack([across, down, np.full_like(across, 40)], axis=2).round().astype(np.uint8))


def encode(picture: Image.Image, format_name: str, **options: object) -> bytes:
    """Return a picture as a file."""
    file = io.BytesIO()
    picture.save(file, format_name, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """Return a PNG with chunks after its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def with_segment(jpeg: bytes, kind: int, data: bytes) -> bytes:
    """Return a JPEG with a segment at its beginning."""
    return jpeg[:2] + bytes((0xFF, kind)) + struct.pack(">H", len(data) + 2) + data + jpeg[2:]


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """Return a TIFF structure of tags: number, type, count, value of four bytes (big-endian)."""
    directory = b"".join(struct.pack(">HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return b"MM\x00*\x00\x00\x00\x08" + struct.pack(">H", len(entries)) + directory + bytes(4)


def with_tiff_tag(tiff: bytes, tag: int, value: int) -> bytes:
    """Return a little-endian TIFF with another value of a tag that has one short number."""
    entry = struct.pack("<HHI", tag, 3, 1)
    at = tiff.index(entry) + len(entry)
    return tiff[:at] + struct.pack("<H", value) + tiff[at + 2 :]


def in_space(picture: Image.Image, space: str) -> Image.Image:
    """Return the numbers that show an sRGB picture in another colour space."""
    primaries, white, gamma = SPACES[space]
    values = np.asarray(picture, np.float64) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    matrix = np.linalg.inv(_to_d50(primaries, white)) @ _to_d50(*_SRGB)
    encoded = np.clip(linear @ matrix.T, 0, 1) ** (1 / gamma)
    return Image.fromarray((encoded * 255).round().astype(np.uint8))


def rgb_profile(space: str) -> bytes:
    """Return the ICC profile (version 2, matrix and curves) of a colour space."""
    primaries, white, gamma = SPACES[space]
    columns = _to_d50(primaries, white).T
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = {b"rXYZ": _xyz(columns[0]), b"gXYZ": _xyz(columns[1]), b"bXYZ": _xyz(columns[2])}
    return _profile(b"RGB ", b"XYZ ", tags | {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def cmyk_profile(corners: Sequence[tuple[int, int, int]]) -> bytes:
    """Return a profile whose 16 corners of CMYK have these CIELAB values, 8 bits each."""
    identity = bytes(range(256))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + identity * 4
    table += b"".join(bytes(corner) for corner in corners) + identity * 3
    return _profile(b"CMYK", b"Lab ", {b"A2B0": table})


def _to_d50(primaries: Sequence[tuple[float, float]], white: tuple[float, float]) -> NDArray[np.float64]:
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    light = np.array([white[0] / white[1], 1, (1 - sum(white)) / white[1]])
    to_xyz = columns * np.linalg.solve(columns, light)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / (_BRADFORD @ light)) @ _BRADFORD @ to_xyz
    return np.asarray(adapted)


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def _profile(colours: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = b"text" + bytes(4) + b"test\x00"
    description = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\x00" + bytes(78)
    tags = tags | {b"wtpt": _xyz(_D50), b"cprt": text, b"desc": description}
    directory, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        directory += name + struct.pack(">2I", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    kind = b"mntr" if colours == b"RGB " else b"prtr"
    size = start + len(data)
    header = struct.pack(">I4sI4s4s4s12x4s", size, b"lcms", 0x02400000, kind, colours, connection, b"acsp")
    header += bytes(28) + struct.pack(">3i", *(round(value * 65536) for value in _D50)) + bytes(48)
    return header + directory + data
