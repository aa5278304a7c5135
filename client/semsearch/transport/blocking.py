"""The transport of `Client`: calls that block, on a channel that threads may share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Self, TypeVar

import grpc

from semsearch.listing import Listing
from semsearch.translate import upload_result
from semsearch.transport.calls import Call, Collected
from semsearch.transport.connection import Connection
from semsearch.transport.retries import Attempts
from semsearch.transport.server import Server
from semsearch.transport.upload_stream import UploadStream
from semsearch.v1 import gallery_service_pb2 as pb
from semsearch.values import UploadResult

T = TypeVar("T")
R = TypeVar("R")


def open_channel(server: Server) -> grpc.Channel:
    """Open a channel to a server; raises `InvalidRequest` if its certificates cannot be read."""
    options, credentials = server.channel_options(), server.credentials()
    if credentials is None:
        return grpc.insecure_channel(server.address, options)
    return grpc.secure_channel(server.address, credentials, options)


class BlockingConnection(Connection):
    """A channel to one server, opened by the first call. Use it as a context manager, or close it."""

    is_asynchronous: ClassVar[bool] = False

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.channel = open_channel(server)
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Ctrl-C may leave a gRPC lock locked, and closing would wait for it forever. The process is ending, and the
        # connection ends with it.
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            self.close()

    def close(self) -> None:
        """Close the channel and cancel its running calls."""
        self._closed.set()
        self.channel.close()

    def _call(self, call: Call[R]) -> R:
        """Send a call that has one response."""
        method = self._method("unary_unary", type(call.request))
        response = self._repeated(call, lambda options: method(call.request, **options))
        return call.answer(response)

    def _collect(self, call: Call[R]) -> R:
        """Send a call that has a stream of responses, and wait for all of them."""
        method = self._method("unary_stream", type(call.request))

        def read(options: dict[str, Any]) -> list[Any]:
            collected, responses = Collected(call), method(call.request, **options)
            try:
                for response in responses:
                    collected.add(response)
            finally:
                responses.cancel()
            return collected.responses

        return call.answer(self._repeated(call, read))

    def _stream(self, call: Call[R]) -> Iterator[R]:
        """Send a call that has a stream of responses, and yield the answers; it is cancelled if the iteration ends."""
        method = self._method("unary_stream", type(call.request))

        def open_stream(options: dict[str, Any]) -> tuple[Any, Any]:
            responses = method(call.request, **options)
            try:
                return next(responses, None), responses
            except BaseException:
                responses.cancel()
                raise

        response, responses = self._repeated(call, open_stream)
        try:
            while response is not None:
                yield call.answer(response)
                with self._translated_errors():
                    response = next(responses, None)
        finally:
            responses.cancel()

    def _upload(self, stream: UploadStream, timeout: float) -> Iterator[UploadResult]:
        """Send uploads and yield their results. If a stream breaks off, send what was not answered on a new one."""
        method = self._method("stream_stream", pb.IndexImagesRequest)
        end = time.monotonic() + timeout
        attempts = None
        try:
            while True:
                # Not marked as repeated: for hours, the server would not repeat what it does for the stream.
                call = method(stream.requests(), **self._call_options(end - time.monotonic()))
                try:
                    for response in call:
                        attempts = None
                        self._state.record_success()
                        for result in response.results:
                            stream.release(result.sequence)
                            yield upload_result(result)
                    break
                except grpc.RpcError as error:
                    attempts = attempts or self._attempts_to_go_on(end - time.monotonic())
                    self._wait(attempts, error)
                finally:
                    call.cancel()
            stream.raise_fault()
        finally:
            stream.close()

    def _listing(self, call: Call[tuple[R, ...]]) -> Listing[R]:
        """Return the items of all pages."""
        return Listing(self._each_page(call))

    def _each_page(self, call: Call[R]) -> Iterator[R]:
        """Yield the pages from a call's on; the next page is fetched while one is used."""
        method = self._method("unary_unary", type(call.request))
        request: Any = type(call.request)()
        request.CopyFrom(call.request)
        upcoming: Any = None

        def fetch(options: dict[str, Any]) -> Any:
            nonlocal upcoming
            fetched, upcoming = upcoming or method.future(request, **options), None
            return fetched.result()

        try:
            response = self._repeated(call, fetch)
            while response.next_page_token:
                request.page_token = response.next_page_token
                upcoming = method.future(request, **self._call_options(self._timeout(call)))
                yield call.answer(response)
                response = self._repeated(call, fetch)
            yield call.answer(response)
        finally:
            if upcoming is not None:
                upcoming.cancel()

    def _repeated(self, call: Call[Any], send: Callable[[dict[str, Any]], T]) -> T:
        """Send a call until it is answered, or `retries` gives it up."""
        attempts = self._attempts(call)
        while True:
            try:
                answer = send(self._call_options(attempts.remaining(), attempts.repeated))
            except grpc.RpcError as error:
                self._wait(attempts, error)
            else:
                attempts.record_success()
                return answer

    def _wait(self, attempts: Attempts, error: grpc.RpcError) -> None:
        """Wait until the next attempt; raise the translated error if there is none, or if the client is closed."""
        if self._closed.wait(self._delay(attempts, error)):
            raise self._translated(error) from error
