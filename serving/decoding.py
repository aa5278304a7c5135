"""Requests that are no message of their method, refused with a status that says so.

gRPC decodes a request before the method is called, and answers what cannot be decoded without details: bytes of another
message, text that is not UTF-8, or more than 100 messages within each other, which is protobuf's own limit. Here such a
request passes for one that was decoded, until it reaches the place where errors become statuses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from serving.errors import InvalidField

Deserialize = Callable[[bytes], Any]


@dataclass(frozen=True)
class _Undecodable:
    """Stands for a request that could not be decoded."""


def tolerant(deserialize: Deserialize | None) -> Deserialize | None:
    """Return a deserializer that does not raise; what it returns must be passed through `checked`."""
    if deserialize is None:
        return None

    def attempt(content: bytes) -> Any:
        try:
            return deserialize(content)
        except DecodeError:
            return _Undecodable()

    return attempt


def checked(request: Any) -> Any:
    """Return a request, or the requests of a stream, as a servicer expects them.

    Raises:
        InvalidField: a request could not be decoded; for a stream, when it is its turn.
    """
    if isinstance(request, _Undecodable):
        raise InvalidField(
            "request", "cannot be decoded: it is not a message of this method, or is nested too deep (100 messages)."
        )
    return _each_checked(request) if isinstance(request, AsyncIterator) else request


async def _each_checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield checked(request)
