"""Encodes file names as text for messages.

A name is bytes, but a message holds only Unicode. A byte that is not UTF-8 is written as U+FFFD and two hexadecimal
digits. So is each byte of a U+FFFD in a name; so two different names never become the same text.
"""

from __future__ import annotations

import re

_MARK = "\N{REPLACEMENT CHARACTER}"
# How Python decodes the bytes 0x80 to 0xff that are not UTF-8 ("surrogateescape").
_UNDECODED = re.compile(f"[\udc80-\udcff{_MARK}]")
_ENCODED = re.compile(_MARK.encode() + b"([0-9a-f]{2})")


def to_text(name: str) -> str:
    """Return a name of the file system, or a path of names, as text."""
    if name.isascii():
        return name
    return _UNDECODED.sub(
        lambda found: "".join(f"{_MARK}{byte:02x}" for byte in found[0].encode("utf-8", "surrogateescape")), name
    )


def from_text(text: str) -> str:
    """Return the name that a text encodes."""
    if _MARK not in text:
        return text
    raw = _ENCODED.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode("utf-8", "surrogateescape"))
    return raw.decode("utf-8", "surrogateescape")
