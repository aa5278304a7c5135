"""The transport of `AsyncClient`: calls that are awaited, on a channel of one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, ClassVar, Self, TypeVar

import grpc
import grpc.aio
from typing_extensions import override

from semsearch.listing import AsyncListing
from semsearch.translate import upload_result
from semsearch.transport.calls import Call, Collected
from semsearch.transport.connection import Connection
from semsearch.transport.retries import Attempts
from semsearch.transport.server import Server
from semsearch.transport.servers_status import servers_status
from semsearch.transport.upload_stream import AsyncUploadStream
from semsearch.v1 import gallery_service_pb2 as pb
from semsearch.values import UploadResult

T = TypeVar("T")
R = TypeVar("R")


class AsyncConnection(Connection):
    """A channel to one server, opened by the first call. Use it as an asynchronous context manager, or close it."""

    is_asynchronous: ClassVar[bool] = True

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._credentials = server.credentials()
        self._channel: grpc.aio.Channel | None = None
        self._closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    @override
    def channel(self) -> grpc.aio.Channel:
        """The channel; it belongs to the event loop that runs when it is first used."""
        if self._channel is None:
            options = self.server.channel_options()
            self._channel = (
                grpc.aio.insecure_channel(self.server.address, options)
                if self._credentials is None
                else grpc.aio.secure_channel(self.server.address, self._credentials, options)
            )
        return self._channel

    async def close(self) -> None:
        """Close the channel and cancel its running calls."""
        self._closed.set()
        if self._channel is not None:
            await self._channel.close()

    async def _call(self, call: Call[R]) -> R:
        """Send a call that has one response."""
        method = self._method("unary_unary", type(call.request))
        response = await self._repeated(call, lambda options: method(call.request, **options))
        return call.answer(response)

    async def _collect(self, call: Call[R]) -> R:
        """Send a call that has a stream of responses, and wait for all of them."""
        method = self._method("unary_stream", type(call.request))

        async def read(options: dict[str, Any]) -> list[Any]:
            collected, responses = Collected(call), method(call.request, **options)
            try:
                async for response in responses:
                    collected.add(response)
            finally:
                responses.cancel()
            return collected.responses

        return call.answer(await self._repeated(call, read))

    async def _stream(self, call: Call[R]) -> AsyncIterator[R]:
        """Send a call that has a stream of responses, and yield the answers; it is cancelled if the iteration ends."""
        method = self._method("unary_stream", type(call.request))

        async def open_stream(options: dict[str, Any]) -> tuple[Any, Any]:
            responses = method(call.request, **options)
            try:
                return await _next(responses), responses
            except BaseException:
                responses.cancel()
                raise

        response, responses = await self._repeated(call, open_stream)
        try:
            while response is not None:
                yield call.answer(response)
                with self._translated_errors():
                    response = await _next(responses)
        finally:
            responses.cancel()

    async def _upload(self, stream: AsyncUploadStream, timeout: float) -> AsyncIterator[UploadResult]:  # noqa: ASYNC109
        """Send uploads and yield their results. If a stream breaks off, send what was not answered on a new one."""
        method = self._method("stream_stream", pb.IndexImagesRequest)
        end = time.monotonic() + timeout
        attempts = None
        try:
            while True:
                # Not marked as repeated: for hours, the server would not repeat what it does for the stream.
                call = method(stream.requests(), **self._call_options(end - time.monotonic()))
                try:
                    async with servers_status(call):
                        async for response in call:
                            attempts = None
                            self._state.record_success()
                            for result in response.results:
                                stream.release(result.sequence)
                                yield upload_result(result)
                    break
                except grpc.RpcError as error:
                    attempts = attempts or self._attempts_to_go_on(end - time.monotonic())
                    await self._wait(attempts, error)
                finally:
                    call.cancel()
            stream.raise_fault()
        finally:
            stream.close()

    def _listing(self, call: Call[tuple[R, ...]]) -> AsyncListing[R]:
        """Return the items of all pages."""
        return AsyncListing(self._each_page(call))

    async def _each_page(self, call: Call[R]) -> AsyncIterator[R]:
        """Yield the pages from a call's on; the next page is fetched while one is used."""
        method = self._method("unary_unary", type(call.request))
        request: Any = type(call.request)()
        request.CopyFrom(call.request)
        upcoming: Any = None

        def fetch(options: dict[str, Any]) -> Any:
            nonlocal upcoming
            fetched, upcoming = upcoming or method(request, **options), None
            return fetched

        try:
            response = await self._repeated(call, fetch)
            while response.next_page_token:
                request.page_token = response.next_page_token
                upcoming = method(request, **self._call_options(self._timeout(call)))
                yield call.answer(response)
                response = await self._repeated(call, fetch)
            yield call.answer(response)
        finally:
            if upcoming is not None:
                upcoming.cancel()

    async def _repeated(self, call: Call[Any], send: Callable[[dict[str, Any]], Awaitable[T]]) -> T:
        """Send a call until it is answered, or `retries` gives it up."""
        attempts = self._attempts(call)
        while True:
            try:
                answer = await send(self._call_options(attempts.remaining(), attempts.repeated))
            except grpc.RpcError as error:
                await self._wait(attempts, error)
            else:
                attempts.record_success()
                return answer

    async def _wait(self, attempts: Attempts, error: grpc.RpcError) -> None:
        """Wait until the next attempt; raise the translated error if there is none, or if the client is closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._delay(attempts, error)):
                await self._closed.wait()
        if self._closed.is_set():
            raise self._translated(error) from error


async def _next(responses: Any) -> Any:
    """Return the next response of a stream; None at its end."""
    response = await responses.read()
    return None if response is grpc.aio.EOF else response
