"""A call as a value: its request, and the translation of its response. Nothing here sends anything.

Every RPC has a request message of its own (buf's lint holds the protos to it), so the request identifies its RPC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from semsearch.errors import DownloadFailed, InvalidRequest
from semsearch.transport.server import Server

R = TypeVar("R", covariant=True)

# What a message takes besides its own bytes, and the most that is around content: a byte for each 16, and 1 KiB.
_FRAME_BYTES = 5
_CONTENT_PER_BYTE_AROUND = 16
_LEAST_BYTES_AROUND = 1_024


@dataclass(frozen=True)
class Call(Generic[R]):
    """A call that is ready to be sent.

    `answer` translates a response (for a method that collects a stream, the list of responses) to the client's values.
    `timeout` None means the client's own. A call that is not `repeatable` is sent once. One that collects a stream
    takes up to `max_bytes` of content, None for any number.
    """

    request: Message
    answer: Callable[[Any], R]
    timeout: float | None = None
    repeatable: bool = True
    max_bytes: int | None = None


class Collected:
    """The responses of a stream, of which a server must not make more than the call takes."""

    def __init__(self, call: Call[Any]) -> None:
        self.responses: list[Any] = []
        self._max_bytes = call.max_bytes
        self._bytes = 0

    def add(self, response: Any) -> None:
        """Add the next response; raises `DownloadFailed` if that is more than the call takes."""
        self.responses.append(response)
        if self._max_bytes is None:
            return
        self._bytes += response.ByteSize() + _FRAME_BYTES
        if self._bytes > self._max_bytes + self._max_bytes // _CONTENT_PER_BYTE_AROUND + _LEAST_BYTES_AROUND:
            raise too_much(self._max_bytes)


def too_much(max_bytes: int) -> DownloadFailed:
    """Return the error for content of more bytes than a call takes."""
    return DownloadFailed(f"The server sends more than the {max_bytes:,} bytes that this may have.")


def next_call(call: Call[R] | None, page_token: str) -> Call[R]:
    """Return the call for the next page.

    Raises:
        InvalidRequest: the page does not know its call.
    """
    if call is None:
        raise InvalidRequest(
            "This page was copied, joined or read from a file, and no longer knows its search.",
            hint="Search again with its next_page_token as page_token.",
        )
    request: Any = type(call.request)()
    request.CopyFrom(call.request)
    request.page_token = page_token
    return replace(call, request=request)


@dataclass(frozen=True)
class Rpc:
    """The path of an RPC and how its messages are written and read."""

    path: str
    write: Callable[[Message], bytes]
    read: Callable[[bytes], Message]


def rpc_of(request: type[Message]) -> Rpc:
    """Return the RPC of a request, which is declared in the same proto."""
    for service in request.DESCRIPTOR.file.services_by_name.values():
        for method in service.methods:
            if method.input_type is request.DESCRIPTOR:
                response = GetMessageClass(cast("Descriptor", method.output_type))
                return Rpc(f"/{service.full_name}/{method.name}", request.SerializeToString, response.FromString)
    raise TypeError(f"{request.DESCRIPTOR.full_name} is the request of no RPC.")


class HasServer(Protocol):
    """What the methods need of their client."""

    @property
    def server(self) -> Server:
        """The server that it calls."""
        ...
