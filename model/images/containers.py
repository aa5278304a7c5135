"""Splits image files into the bytes that the decoder reads, and their EXIF.

A picture with complete pixels is never refused because of its metadata. So JPEG, PNG and WebP files are parsed part by
part, and the decoder gets only what the pixels need: no comments, text, thumbnails, second picture, or profile that
decompresses to more than a mebibyte. A missing end marker is added.

Contract: pure functions on bytes; nothing is decoded, and at most one copy of the file is made. A part that cannot be
parsed is passed to the decoder unchanged. Sources: ITU-T T.81 (JPEG), W3C PNG (third edition), RFC 9649 (WebP).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_EXIF_PREFIX = re.compile(rb"(Exif\x00\x00)*")
_MAX_PROFILE_BYTES = 2**20

# Within entropy-coded data, FF 00 is a data byte and FF D0 to FF D7 are restart markers.
_JPEG_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
_START, _END, _SCAN, _COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
_APP0, _APP1, _APP2, _APP14, _APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF
_END_OF_JPEG = bytes((0xFF, _END))

_PNG_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
_END_OF_PNG = b"\x00\x00\x00\x00IEND\xae\x42\x60\x82"

_WEBP_EXIF, _WEBP_XMP = 0x08, 0x04  # flags of the chunk VP8X


@dataclass(frozen=True)
class ImageFile:
    """A file as the decoder reads it.

    `exif` is a TIFF structure, or empty. `scans` is the number of scans of a JPEG. `end_added` is True if the file
    lacked its end marker, so that its pixels may be incomplete.
    """

    content: bytes
    exif: bytes = b""
    scans: int = 0
    end_added: bool = False


def read_container(content: bytes) -> ImageFile:
    """Return the file without its metadata; other formats are returned unchanged."""
    if content.startswith(_JPEG):
        return _read_jpeg(content)
    if content.startswith(_PNG):
        return _read_png(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _read_webp(content)
    return ImageFile(content)


def _read_jpeg(content: bytes) -> ImageFile:
    keep: list[tuple[int, int]] = [(0, 2)]
    exif = b""
    scans = 0
    at, ended = 2, False
    while not ended and (marker := _JPEG_MARKER.search(content, at)):
        kind, body = marker[1][0], marker.end()
        if scans:  # the bytes before the marker are the scan's pixels
            keep.append((at, marker.start()))
        if kind in (_START, _END):
            at, ended = body, kind == _END
            continue
        length = int.from_bytes(content[body : body + 2], "big")
        if length < 2 or body + length > len(content):
            at = marker.start()
            break
        at = body + length
        if kind == _SCAN:
            scans += 1
        elif kind == _APP1 and not exif and content.startswith(b"Exif\x00", body + 2):
            exif = _without_prefix(content[body + 2 : at])
        if _is_needed(kind, content[body + 2 : body + 14]):
            keep.append((marker.start(), at))
    if not ended:
        keep.append((at, len(content)))
        return ImageFile(_joined(content, keep) + _END_OF_JPEG, exif, scans, end_added=True)
    return ImageFile(_joined(content, [*keep, (at - 2, at)]), exif, scans)


def _is_needed(kind: int, beginning: bytes) -> bool:
    """Return whether decoding the pixels needs a JPEG segment: JFIF, a colour profile, Adobe's transform."""
    if kind == _APP2:
        return beginning.startswith(b"ICC_PROFILE\x00")
    return kind in (_APP0, _APP14) or not (_APP1 <= kind <= _APP15 or kind == _COMMENT)


def _read_png(content: bytes) -> ImageFile:
    keep: list[tuple[int, int]] = [(0, len(_PNG))]
    exif = b""
    at, ended = len(_PNG), False
    is_default_hidden = _is_default_hidden(content)
    while not ended and at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        start, at = at, at + 12 + length
        if at > len(content):
            at = start
            break
        is_critical = not kind[0] & 0x20
        data = slice(start + 8, at - 4)
        if is_critical:
            keep.append((start, at))
            ended = kind == b"IEND"
        elif kind in _PNG_ANIMATION and is_default_hidden:
            keep.append((start, at))
        elif kind in (b"eXIf", b"tRNS", b"iCCP") and _is_intact(content, start, at):
            if kind == b"eXIf":
                exif = exif or _without_prefix(content[data])
            elif kind == b"tRNS" or _is_small_profile(content[data]):
                keep.append((start, at))
    if not ended:
        keep.append((at, len(content)))
        return ImageFile(_joined(content, keep) + _END_OF_PNG, exif, end_added=True)
    return ImageFile(_joined(content, keep), exif)


def _is_default_hidden(content: bytes) -> bool:
    """Return whether a PNG's animation lacks its default image: the first frame comes after IDAT."""
    control, frame, pixels = (content.find(kind) for kind in (b"acTL", b"fcTL", b"IDAT"))
    return -1 < control < pixels < frame


def _is_intact(content: bytes, start: int, end: int) -> bool:
    return zlib.crc32(content[start + 4 : end - 4]).to_bytes(4, "big") == content[end - 4 : end]


def _is_small_profile(chunk: bytes) -> bool:
    _, _, compressed = chunk.partition(b"\x00")
    try:
        profile = zlib.decompressobj().decompress(compressed[1:], _MAX_PROFILE_BYTES + 1)
    except zlib.error:
        return False
    return len(profile) <= _MAX_PROFILE_BYTES


def _read_webp(content: bytes) -> ImageFile:
    keep: list[tuple[int, int]] = []
    exif = b""
    at = 12
    while at + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, at)
        start, at = at, at + 8 + length + length % 2
        if kind == b"EXIF":
            exif = exif or _without_prefix(content[start + 8 : start + 8 + length])
        elif kind != b"XMP ":
            keep.append((start, min(at, len(content))))
    rest = bytearray(_joined(content, keep))
    if rest.startswith(b"VP8X") and len(rest) > 8:
        rest[8] &= ~(_WEBP_EXIF | _WEBP_XMP)
    return ImageFile(b"RIFF" + struct.pack("<I", len(rest) + 4) + b"WEBP" + rest, exif)


def _without_prefix(exif: bytes) -> bytes:
    return _EXIF_PREFIX.sub(b"", exif, count=1)


def _joined(content: bytes, ranges: Sequence[tuple[int, int]]) -> bytes:
    return b"".join(content[start:end] for start, end in ranges)
