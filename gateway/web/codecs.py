"""How messages are written in a request or response: as binary protobuf or as JSON.

A request that cannot be decoded becomes a placeholder, as on gRPC (serving/decoding.py), so that its error has details.
JSON with a field that the message does not have is refused: the field would have no effect, and is usually a typo.
"""

from __future__ import annotations

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from gateway.web.failures import connect_error
from serving.byte_budget import TooManyBytes
from serving.decoding import Undecodable
from serving.errors import to_status
from serving.http_bodies import hold


class BinaryCodec:
    """Binary protobuf."""

    def name(self) -> str:
        """Return the name in content types."""
        return "proto"

    def encode(self, message: Message) -> bytes:
        """Return a message's bytes."""
        return message.SerializeToString()

    def decode(self, data: bytes | bytearray, message_class: type[Message]) -> Message | Undecodable:
        """Return the message, or a placeholder; raises `ConnectError` if there is no room for it."""
        _hold(data)
        try:
            return message_class.FromString(bytes(data))
        except DecodeError:
            return Undecodable()


class JsonCodec:
    """JSON as protobuf defines it."""

    def name(self) -> str:
        """Return the name in content types."""
        return "json"

    def encode(self, message: Message) -> bytes:
        """Return a message's JSON, in one line."""
        return json_format.MessageToJson(message, indent=None, ensure_ascii=False).encode()

    def decode(self, data: bytes | bytearray, message_class: type[Message]) -> Message | Undecodable:
        """Return the message, or a placeholder; raises `ConnectError` if there is no room for it."""
        _hold(data)
        try:
            return json_format.Parse(bytes(data), message_class())
        except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
            return Undecodable(str(error).rstrip("."))


def _hold(data: bytes | bytearray) -> None:
    try:
        hold(len(data))
    except TooManyBytes as error:
        raise connect_error(to_status(error, {})) from None


CODECS = (BinaryCodec(), JsonCodec())
