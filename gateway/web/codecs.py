"""How messages are written in a request or response: as binary protobuf or as JSON, and perhaps compressed.

`connectrpc` asks for it in the event loop, where a large message would take too long. So a request stays `Received`,
and a response comes `Encoded`: `Messages` reads and writes them.

A request that cannot be decoded becomes a placeholder, as on gRPC (serving/decoding.py), so that its error has details.
JSON with a field that the message does not have is refused: the field would have no effect, and is usually a typo.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from connectrpc.compression.gzip import GzipCompression
from google.protobuf import json_format
from google.protobuf.message import Message
from typing_extensions import override

from serving.decoding import Undecodable, decode_bounded
from serving.http_bodies import MAX_JSON_VALUES

# Most clients are on the same machine or network, where better compression costs more time than it saves.
_COMPRESSION_LEVEL = 1


class Encoded(bytes):
    """A response's bytes; `zipped` has the same compressed, if its client accepts that."""

    zipped: bytes | None = None


class Zipped(bytes):
    """A compressed request, which may have `most_bytes` when it is not compressed any more."""

    most_bytes: int | None = None


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    codec: Codec
    data: bytes | bytearray
    message_class: type[Message]


class Codec(ABC):
    """One way to write messages."""

    @abstractmethod
    def name(self) -> str:
        """Return the name in content types."""

    @abstractmethod
    def write(self, message: Message) -> bytes:
        """Return a message's bytes."""

    @abstractmethod
    def read(self, data: bytes | bytearray, message_class: type[Message]) -> Message | Undecodable:
        """Return the message, or a placeholder."""

    def encode(self, message: Message | Encoded) -> bytes:
        """Return a message's bytes."""
        return message if isinstance(message, Encoded) else self.write(message)

    def decode(self, data: bytes | bytearray, message_class: type[Message]) -> Received:
        """Return a request that has not been read."""
        return Received(self, data, message_class)


class BinaryCodec(Codec):
    """Binary protobuf."""

    @override
    def name(self) -> str:
        return "proto"

    @override
    def write(self, message: Message) -> bytes:
        return message.SerializeToString()

    @override
    def read(self, data: bytes | bytearray, message_class: type[Message]) -> Message | Undecodable:
        decoded: Message | Undecodable = decode_bounded(message_class.FromString, bytes(data), message_class.DESCRIPTOR)
        return decoded


class JsonCodec(Codec):
    """JSON as protobuf defines it, in one line."""

    @override
    def name(self) -> str:
        return "json"

    @override
    def write(self, message: Message) -> bytes:
        return json_format.MessageToJson(message, indent=None, ensure_ascii=False).encode()

    @override
    def read(self, data: bytes | bytearray, message_class: type[Message]) -> Message | Undecodable:
        if sum(map(data.count, (b",", b"[", b"{"))) > MAX_JSON_VALUES:  # or of these characters in texts
            return Undecodable(f"its JSON has more than {MAX_JSON_VALUES:,} values; send less in a call, or binary")
        try:
            return json_format.Parse(bytes(data), message_class())
        except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
            return Undecodable(str(error).rstrip("."))


class Gzip(GzipCompression):
    """Leaves requests compressed; compresses the responses that are not yet."""

    def __init__(self) -> None:
        super().__init__(_COMPRESSION_LEVEL)

    @override
    def compress(self, data: bytes | bytearray | memoryview) -> bytes:
        return data.zipped if isinstance(data, Encoded) and data.zipped is not None else super().compress(data)

    @override
    def decompress(self, data: bytes | bytearray | memoryview, read_max_bytes: int | None = None) -> bytes:
        zipped = Zipped(data)
        zipped.most_bytes = read_max_bytes
        return zipped

    def unzip(self, zipped: Zipped) -> bytes:
        """Return a request's bytes; raises `ConnectError` if it has too many, and others if it is damaged."""
        return super().decompress(zipped, zipped.most_bytes)


CODECS = (BinaryCodec(), JsonCodec())
GZIP = Gzip()
