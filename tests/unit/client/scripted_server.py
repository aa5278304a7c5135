"""A server whose responses are scripted, for every public RPC; and a way to call it with either client."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from semsearch import AsyncClient, Client
from semsearch.index.v1 import index_service_pb2
from semsearch.v1 import (
    backup_service_pb2,
    gallery_service_pb2,
    limits_service_pb2,
    map_service_pb2,
    model_service_pb2,
    search_service_pb2,
)

SECONDS = 20.0
KINDS = ("Client", "AsyncClient")
FILES = (
    search_service_pb2,
    gallery_service_pb2,
    map_service_pb2,
    backup_service_pb2,
    model_service_pb2,
    limits_service_pb2,
    index_service_pb2,
)
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for module in FILES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


@dataclass(frozen=True)
class Refusal:
    """A status that ends a call after some responses; `bare` as gRPC itself reports one.

    With `late`, it comes only after the client has given up.
    """

    code: int
    retry_after: float | None = None
    after: Sequence[Message] = ()
    bare: bool = False
    late: bool = False


Outcome = Refusal | Sequence[Message]
UNAVAILABLE = Refusal(code_pb2.UNAVAILABLE)
SILENCE = Refusal(code_pb2.UNAVAILABLE, late=True)
LOST = Refusal(code_pb2.UNAVAILABLE, bare=True)
GIVEN_UP = Refusal(code_pb2.CANCELLED, bare=True)


@dataclass
class ScriptedServer(grpc.GenericRpcHandler):
    """Outcomes by the RPC's name, in order; without one, the answer is one empty response.

    `abandoned` is set when the client gives up a call whose refusal is late.
    """

    script: dict[str, deque[Outcome]] = field(default_factory=lambda: defaultdict(deque))
    requests: list[tuple[str, Message]] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    seconds_left: list[float] = field(default_factory=list)
    abandoned: threading.Event = field(default_factory=threading.Event)

    def will(self, name: str, *outcomes: Outcome) -> None:
        self.script[name].extend(outcomes)

    @property
    def calls(self) -> list[str]:
        return [name for name, _ in self.requests]

    def service(self, details: Any) -> grpc.RpcMethodHandler | None:
        self.metadata = dict(details.invocation_metadata)
        method = METHODS.get(details.method)
        if method is None:
            return None
        request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        kind = f"{_kind(method.client_streaming)}_{_kind(method.server_streaming)}"

        def responses(given: Any, context: grpc.ServicerContext) -> Iterator[Message]:
            self.seconds_left.append(context.time_remaining())
            for each in given if method.client_streaming else [given]:
                self.requests.append((method.name, each))
            outcome: Outcome = self.script[method.name].popleft() if self.script[method.name] else [response()]
            # Before the first response: a call that is given up then is not continued here.
            if isinstance(outcome, Refusal) and outcome.late and not context.add_callback(self.abandoned.set):
                self.abandoned.set()
            yield from outcome.after if isinstance(outcome, Refusal) else outcome
            if isinstance(outcome, Refusal):
                _refuse(context, outcome, self.abandoned)

        handler = getattr(grpc, f"{kind}_rpc_method_handler")
        behavior = responses if method.server_streaming else lambda given, context: next(responses(given, context))
        return handler(behavior, request.FromString, response.SerializeToString)


def _kind(is_stream: bool) -> str:
    return "stream" if is_stream else "unary"


def _refuse(context: grpc.ServicerContext, refusal: Refusal, abandoned: threading.Event) -> None:
    if refusal.late:
        abandoned.wait(SECONDS)
    if refusal.bare:
        code = next(each for each in grpc.StatusCode if each.value[0] == refusal.code)
        context.abort(code, "Socket closed")
    status = status_pb2.Status(code=refusal.code, message="It is so.")
    if refusal.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(int(refusal.retry_after * 1_000))
        status.details.add().Pack(retry)
    context.abort_with_status(rpc_status.to_status(status))


@contextmanager
def running(
    script: ScriptedServer, credentials: grpc.ServerCredentials | None = None, address: str = "127.0.0.1:0"
) -> Iterator[str]:
    """Serve on an address, and yield it."""
    server = grpc.server(ThreadPoolExecutor(4), handlers=[script])
    host = address.rpartition(":")[0]
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield f"{host}:{port}"
    finally:
        server.stop(None).wait()


def ask(kind: str, address: str, use: Callable[[Any], Any], **options: Any) -> Any:
    """Make a client of a kind, use it, and return what that returns: awaited, or as a list if it is an iterator."""
    if kind == "Client":
        with Client(address, **options) as client:
            found = use(client)
            return list(found) if isinstance(found, Iterator) else found

    async def ask_asynchronously() -> Any:
        async with asyncio.timeout(SECONDS), AsyncClient(address, **options) as client:
            found = use(client)
            if hasattr(found, "__aiter__"):
                return [each async for each in found]
            return await found if inspect.isawaitable(found) else found

    return asyncio.run(ask_asynchronously())
