"""The Range header of a request (RFC 9110, section 14): one range of bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes=\s*(\d*)-(\d*)\s*", re.ASCII)
# No file has longer offsets, and Python refuses to parse thousands of digits.
_MOST_DIGITS = 18


@dataclass(frozen=True)
class ByteRange:
    """Bytes from `start` up to, but not including, `stop`."""

    start: int
    stop: int


class UnsatisfiableRange(Exception):
    """The range begins after the last byte."""


def byte_range(header: str | None, size: int) -> ByteRange | None:
    """Return the requested range, or None for the whole content.

    A header that is malformed, has several ranges or another unit is ignored, as the RFC allows.

    Raises:
        UnsatisfiableRange: None of the requested bytes exist.
    """
    match = _ONE_RANGE.fullmatch(header or "")
    if match is None or len(match[0]) > 2 * _MOST_DIGITS or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start, stop = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= stop:
        raise UnsatisfiableRange
    return ByteRange(start, stop)
