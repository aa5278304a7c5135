"""The channel to a server: every call has a deadline, and every error is one of `errors.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self, TypeVar

import grpc

from semsearch.rpc_errors import Peer, from_rpc_error

DEFAULT_TIMEOUT_SECONDS = 30.0
# The gateway's default limit; a larger message would end its whole stream.
MAX_MESSAGE_BYTES = 64 * 2**20

T = TypeVar("T")
Q = TypeVar("Q", contravariant=True)
R = TypeVar("R", covariant=True)


class _PageRequest(Protocol):
    page_token: str


class _Page(Protocol):
    @property
    def next_page_token(self) -> str: ...


PageRequest = TypeVar("PageRequest", bound=_PageRequest)
Page = TypeVar("Page", bound=_Page)


class _Future(Protocol[R]):
    def result(self) -> R: ...
    def cancel(self) -> bool: ...


class _UnaryMethod(Protocol[Q, R]):
    def __call__(self, request: Q, /, *, timeout: float | None = None) -> R: ...
    def future(self, request: Q, /, *, timeout: float | None = None) -> _Future[R]: ...


class _Responses(Protocol[R]):
    def __iter__(self) -> Iterator[R]: ...
    def cancel(self) -> bool: ...


class _StreamMethod(Protocol[Q, R]):
    def __call__(self, request: Q, /, *, timeout: float | None = None) -> _Responses[R]: ...


class Connection:
    """A channel to one server, opened by the first call. Use it as a context manager, or close it."""

    def __init__(self, server: str, peer: Peer, timeout_seconds: float) -> None:
        """Set the server ("host:port"), its kind, and the deadline of a call."""
        self.server = server
        self.timeout_seconds = timeout_seconds
        self._peer = peer
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            # These detect a server that has vanished while a stream is silent. gRPC servers allow one ping per
            # 5 minutes and close the connection of a client that pings more often ("too_many_pings", after 3 of them).
            ("grpc.keepalive_time_ms", 330_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ]
        self.channel = grpc.insecure_channel(server, options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Ctrl-C may leave a gRPC lock locked, and closing would wait for it forever. The process is ending, and the
        # connection ends with it.
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            self.close()

    def close(self) -> None:
        """Close the channel and cancel its running calls."""
        self.channel.close()

    def call(self, method: _UnaryMethod[Q, R], request: Q) -> R:
        """Call a unary method.

        Raises:
            SemsearchError: the call failed.
        """
        with self.translated_errors():
            return method(request, timeout=self.timeout_seconds)

    def pages(self, method: _UnaryMethod[PageRequest, Page], request: PageRequest) -> Iterator[Page]:
        """Call a paged method once per page, and yield the pages; the next page is fetched while one is used.

        Raises:
            SemsearchError: a call failed.
        """
        upcoming: _Future[Page] | None = None
        try:
            page = self.call(method, request)
            while page.next_page_token:
                request.page_token = page.next_page_token
                upcoming = method.future(request, timeout=self.timeout_seconds)
                yield page
                with self.translated_errors():
                    page = upcoming.result()
            yield page
        finally:
            if upcoming is not None:
                upcoming.cancel()

    def stream(
        self, method: _StreamMethod[Q, R], request: Q, timeout_seconds: float, translate: Callable[[R], T]
    ) -> Iterator[T]:
        """Call a method that returns a stream, and yield its translated responses.

        The call is cancelled if the iteration ends early.

        Raises:
            SemsearchError: the call failed.
        """
        call = method(request, timeout=timeout_seconds)
        try:
            with self.translated_errors():
                for response in call:
                    yield translate(response)
        finally:
            call.cancel()

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Turn the errors of gRPC into the client's own."""
        try:
            yield
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.server, self._peer) from error
