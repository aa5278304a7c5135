"""The status with which a server ended a stream of requests, where grpc.aio reports one of its own.

A server may end a call while a request is on its way there. grpc.aio then fails to send the request, and writes
INTERNAL, "Internal error from Core", over the status that the server sent (https://github.com/grpc/grpc/issues/36066).
The server's status comes shortly before or after that one.

The client has the same (`semsearch.transport.servers_status`): it knows nothing of the suite, and the suite may use no
more of it than generated code. One test holds both.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import grpc
import grpc.aio

from serving.received_errors import STATUS_LOST

# There may be no status of the server.
_WAIT_SECONDS = 1.0

T = TypeVar("T")


@asynccontextmanager
async def servers_status(call: Any) -> AsyncIterator[None]:
    """Return a context in which the responses of a stream of requests are read, until it ends as its server says.

    Raises:
        grpc.aio.AioRpcError: The call failed.
    """
    sent: asyncio.Future[grpc.aio.AioRpcError] = asyncio.get_running_loop().create_future()

    def note(_: Any) -> None:
        status = _status_of(call)
        if not sent.done() and status.details() != STATUS_LOST:
            sent.set_result(status)

    call.add_done_callback(note)  # called for each status that the call gets
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if error.details() != STATUS_LOST:
            raise
        with suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_SECONDS):
                await sent
        if not sent.done() or sent.cancelled():
            raise
        if sent.result().code() is not grpc.StatusCode.OK:
            raise sent.result() from None


def _status_of(call: Any) -> grpc.aio.AioRpcError:
    """Return the status that a call has now."""
    return grpc.aio.AioRpcError(
        _at_once(call.code()),
        _at_once(call.initial_metadata()),
        _at_once(call.trailing_metadata()),
        _at_once(call.details()),
        _at_once(call.debug_error_string()),
    )


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that has nothing to wait for: a task of its own would run too late."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("a call that is done has a status")
