"""The Range header of a request (RFC 9110, section 14): one range of bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes=\s*(\d*)-(\d*)\s*", re.ASCII)
# More digits are no offset of a file, and Python refuses to read thousands of them.
_MOST_DIGITS = 18


@dataclass(frozen=True)
class ByteRange:
    """Bytes from `start` up to and without `stop`."""

    start: int
    stop: int


class UnsatisfiableRange(Exception):
    """The range begins behind the last byte."""


def byte_range(header: str | None, size: int) -> ByteRange | None:
    """Return the range that is asked for; None if all bytes are to be sent.

    A header that asks for several ranges, for another unit or is malformed counts as none, as the RFC allows.

    Raises:
        UnsatisfiableRange: None of the bytes exists.
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
