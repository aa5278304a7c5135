"""Refuse requests that cannot be decoded, with a status that explains it.

gRPC decodes a request before it calls the method. If decoding fails, it answers without details: for bytes of another
message, text that is not UTF-8, or nesting beyond protobuf's limit of 100 messages. Here a placeholder stands for such
a request until it reaches the code that turns errors into statuses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from serving.errors import InvalidField

Deserialize = Callable[[bytes], Any]


@dataclass(frozen=True)
class Undecodable:
    """The placeholder for a request that could not be decoded, with the reason if it is known."""

    problem: str = "it is not a message of this method, or is nested too deep (100 messages)"


def tolerant(deserialize: Deserialize | None) -> Deserialize | None:
    """Return a deserializer that does not raise; its results must be passed through `checked`."""
    if deserialize is None:
        return None

    def attempt(content: bytes) -> Any:
        try:
            return deserialize(content)
        except DecodeError:
            return Undecodable()

    return attempt


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
