"""The base of both transports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import grpc
from google.protobuf.message import Message
from typing_extensions import override

from semsearch.errors import InvalidRequest, SemsearchError
from semsearch.rpc_errors import from_rpc_error
from semsearch.transport.calls import Call, rpc_of
from semsearch.transport.methods import Method
from semsearch.transport.retries import Attempts, RetryState
from semsearch.transport.server import Server

# A server does not repeat, in its turn, what it does for a call that has this.
_REPEATED = "semsearch-previous-attempts"


class Connection:
    """A channel to one server and the state of its calls."""

    is_asynchronous: ClassVar[bool]
    channel: Any
    _closed: Any  # an event, of asyncio or threading

    @override
    def __init_subclass__(cls) -> None:
        """Give a client the methods that its bases describe."""
        super().__init_subclass__()
        for base in cls.__mro__:
            for name, method in vars(base).items():
                if isinstance(method, Method):
                    setattr(cls, name, method.of(cls))

    def __init__(self, server: Server) -> None:
        self.server = server
        self._state = RetryState()
        self._methods: dict[tuple[str, type[Message]], Any] = {}

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.server.address!r})"

    def _method(self, kind: str, request: type[Message]) -> Any:
        """Return gRPC's callable for the RPC of a request; `kind` is for example "unary_stream".

        Raises:
            InvalidRequest: The client is closed.
        """
        if self._closed.is_set():
            raise InvalidRequest("This client is closed.", hint="Make another one, or close it later.")
        method = self._methods.get((kind, request))
        if method is None:
            rpc = rpc_of(request)
            method = getattr(self.channel, kind)(rpc.path, request_serializer=rpc.write, response_deserializer=rpc.read)
            self._methods[kind, request] = method
        return method

    def _call_options(self, timeout: float, repeated: int = 0) -> dict[str, Any]:
        """Return what gRPC's callables take besides the request; the server learns how often it was `repeated`."""
        metadata = self.server.metadata()
        if repeated:
            metadata = (*(metadata or ()), (_REPEATED, str(repeated)))
        return {"timeout": timeout, "metadata": metadata}

    def _timeout(self, call: Call[Any]) -> float:
        return self.server.timeout if call.timeout is None else call.timeout

    def _attempts(self, call: Call[Any]) -> Attempts:
        return Attempts(self.server.retries, self._state, self._timeout(call), repeatable=call.repeatable)

    def _attempts_to_go_on(self, seconds: float) -> Attempts:
        """Return the attempts to resume uploads after their stream broke off, in the `seconds` that are left."""
        return Attempts(self.server.retries, self._state, seconds, is_upload=True)

    def _delay(self, attempts: Attempts, error: grpc.RpcError) -> float:
        """Return the seconds until the next attempt, or raise the translated error if there is none."""
        translated = self._translated(error)
        delay = attempts.delay_after(translated)
        if delay is None:
            raise translated from error
        return delay

    def _translated(self, error: grpc.RpcError) -> SemsearchError:
        return from_rpc_error(error, self.server.address, self.server.peer)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Turn the errors of gRPC into the client's own."""
        try:
            yield
        except grpc.RpcError as error:
            raise self._translated(error) from error
