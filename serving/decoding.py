"""Decode requests: after the gates, with a bound, and without holding the event loop.

Contract:
- gRPC hands over bytes (`Decoder`), so a call that a gate refuses is not decoded.
- A message has at most `MAX_FIELDS` fields. An empty message takes 2 bytes in another one, and some 100 bytes of memory
  when it is decoded; compressed, 30 million of them are 60 kB.
- Messages with many fields are decoded in `THREADS`.
- A request that cannot be decoded becomes a placeholder, until it reaches the code that turns errors into statuses
  (`checked`): bytes of another message, text that is not UTF-8, or nesting beyond protobuf's limit of 100 messages.
  gRPC itself would answer without details.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc.aio
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError

from serving.errors import InvalidField
from serving.lane_executor import LaneExecutor

if TYPE_CHECKING:
    from google._upb import _message

Deserialize = Callable[[bytes], Any]
AnyDescriptor: TypeAlias = "Descriptor | _message.Descriptor"

MAX_FIELDS = 250_000
# A message of at most this many bytes, or fields, is decoded in the event loop.
SMALL_BYTES, _FEW_FIELDS = 32 * 2**10, 1_000
# Python runs one thread at a time, but changes between them every 5 ms; only single steps in C, such as decoding a
# message, go on for longer. So more than two threads would be of no use.
THREADS = LaneExecutor(2, "messages")


@dataclass(frozen=True)
class Undecodable:
    """The placeholder for a request that could not be decoded, with the reason if it is known."""

    problem: str = "it is not a message of this method, or is nested too deep (100 messages)"


_TOO_MANY_FIELDS = Undecodable(
    f"it has more than {MAX_FIELDS:,} fields, those of its messages included; send less in a call"
)


class Decoder:
    """Decodes the requests of a method from gRPC; `deserialize` makes a message of bytes, None leaves them."""

    def __init__(self, deserialize: Deserialize | None) -> None:
        self._deserialize = deserialize or bytes
        self._message: AnyDescriptor | None = getattr(getattr(deserialize, "__self__", None), "DESCRIPTOR", None)

    async def each(self, requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """Yield the requests of a stream, or placeholders."""
        async for content in requests:
            yield await self.decode(content)

    async def decode(self, content: bytes) -> Any:
        """Return a request, or a placeholder."""
        if (
            len(content) <= SMALL_BYTES
            or self._message is None
            or count_fields(content, self._message, _FEW_FIELDS) <= _FEW_FIELDS
        ):
            return _attempt(self._deserialize, content)
        return await asyncio.wrap_future(THREADS.submit(decode_bounded, self._deserialize, content, self._message))


class OnlyRequest:
    """The request of a call that has one."""

    def __init__(self, decoder: Decoder, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self._decoder = decoder
        self._context = context
        self._content: Any = None

    async def arrive(self) -> None:
        """Wait until it has arrived."""
        if self._content is None:
            self._content = await self._context.read()

    async def decoded(self) -> Any:
        """Return the request, or a placeholder."""
        await self.arrive()
        content, self._content = self._content, b""
        return Undecodable("the call has none") if content is grpc.aio.EOF else await self._decoder.decode(content)


def decode_bounded(deserialize: Deserialize, content: bytes, message: AnyDescriptor) -> Any:
    """Return a message of a type, or a placeholder if it has too many fields or cannot be decoded."""
    if len(content) > SMALL_BYTES and count_fields(content, message, MAX_FIELDS) > MAX_FIELDS:
        return _TOO_MANY_FIELDS
    return _attempt(deserialize, content)


def _attempt(deserialize: Deserialize, content: bytes) -> Any:
    try:
        return deserialize(content)
    except DecodeError:
        return Undecodable()


def checked(request: Any) -> Any:
    """Return a request, or a stream's requests, if they could be decoded.

    Raises:
        InvalidField: A request could not be decoded; in a stream, raised when that request is reached.
    """
    if isinstance(request, Undecodable):
        raise InvalidField("request", f"cannot be decoded: {request.problem}.")
    return _each_checked(request) if isinstance(request, AsyncIterator) else request


async def _each_checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield checked(request)


def count_fields(content: bytes, message: AnyDescriptor, most: int) -> int:
    """Return how many fields a message on the wire has, those of its messages included; at most `most` + 1.

    Bytes that are no message count as far as they can be read.
    """
    count = 0
    parts = [(0, len(content), message)]
    try:
        while parts:
            at, end, descriptor = parts.pop()
            messages = _messages(descriptor)
            while at < end:
                tag, at = _varint(content, at)
                count += 1
                if count > most:
                    return count
                match tag & 7:  # the wire type
                    case 0:
                        _, at = _varint(content, at)
                    case 1:
                        at += 8
                    case 2:
                        length, at = _varint(content, at)
                        if (inner := messages.get(tag >> 3)) is not None:
                            parts.append((at, min(at + length, end), inner))
                        at += length
                    case 5:
                        at += 4
                    case 3 | 4:  # the ends of a group, whose fields lie between them
                        pass
                    case _:
                        return count
    except IndexError:
        pass
    return count


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place, and where it ends; raises `IndexError` if the content ends before."""
    byte = content[at]
    at += 1
    value, shift = byte & 0x7F, 7
    while byte & 0x80:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
    return value, at


@lru_cache(maxsize=1_024)
def _messages(descriptor: AnyDescriptor) -> Mapping[int, AnyDescriptor]:
    """Return the types of a message's fields that are messages, by number."""
    return {field.number: field.message_type for field in descriptor.fields if field.message_type is not None}
