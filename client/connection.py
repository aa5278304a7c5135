"""The channel to a server: every call has a deadline, and every error is one of `errors.py`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self, TypeVar

import grpc

from client.rpc_errors import GATEWAY, Peer, from_rpc_error

DEFAULT_SERVER = "127.0.0.1:50051"
DEFAULT_TIMEOUT_SECONDS = 30.0
# What the gateway takes unless told otherwise; a larger message would end its whole stream.
MAX_MESSAGE_BYTES = 64 * 2**20

Q = TypeVar("Q", contravariant=True)
R = TypeVar("R", covariant=True)


class _UnaryMethod(Protocol[Q, R]):
    def __call__(self, request: Q, /, *, timeout: float | None = None) -> R: ...


class Connection:
    """A channel to one server, opened with the first call. Use it as a context manager, or close it."""

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        peer: Peer = GATEWAY,
    ) -> None:
        """Names the server ("host:port"), how long a call may take, and what the server is."""
        self.server = server
        self._peer = peer
        self.timeout_seconds = timeout_seconds
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            # A server that went away without a word is noticed while a stream is silent. gRPC's servers allow a ping
            # in 5 minutes and end the connection of who pings more often ("too_many_pings", after 3 of them).
            ("grpc.keepalive_time_ms", 330_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ]
        self.channel = grpc.insecure_channel(server, options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel; calls that run on it are cancelled."""
        self.channel.close()

    def call(self, method: _UnaryMethod[Q, R], request: Q) -> R:
        """Calls a unary method.

        Raises:
            SemsearchError: the call failed.
        """
        with self.translated_errors():
            return method(request, timeout=self.timeout_seconds)

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Turns the errors of gRPC into the client's own."""
        try:
            yield
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.server, self._peer) from error
