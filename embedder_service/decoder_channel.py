"""Messages between the embedder and its decoder processes: a JSON object and bytes, over a socket.

Nothing is unpickled: a decoder that an image has taken over could otherwise run code in the embedder.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from typing import Any

_LENGTHS = struct.Struct("<IQ")  # of the JSON text and of the bytes
_MOST_TEXT = 2**16


class Channel:
    """One end of a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def send(self, document: Mapping[str, object], content: bytes = b"") -> None:
        """Send a message.

        Raises:
            OSError: the other end is gone, or does not read within the socket's timeout.
        """
        text = json.dumps(document).encode()
        self.connection.sendall(_LENGTHS.pack(len(text), len(content)) + text)
        self.connection.sendall(content)

    def receive(self, most: int) -> tuple[dict[str, Any], bytes]:
        """Return the next message, whose bytes are at most `most`.

        Raises:
            OSError: the other end is gone, or does not send within the socket's timeout.
            ValueError: what it sends is no message.
        """
        lengths = self._read(_LENGTHS.size)
        text, content = _LENGTHS.unpack(lengths)
        if text > _MOST_TEXT or content > most:
            raise ValueError(f"a message of {text:,} characters and {content:,} bytes")
        document = json.loads(self._read(text))
        if not isinstance(document, dict):
            raise ValueError("a message without an object")  # noqa: TRY004 — the sender's mistake
        return document, self._read(content)

    def _read(self, count: int) -> bytes:
        found = bytearray(count)
        at = 0
        while at < count:
            read = self.connection.recv_into(memoryview(found)[at:])
            if not read:
                raise ConnectionResetError("the other end is gone")
            at += read
        return bytes(found)
