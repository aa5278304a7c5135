"""Calls of any RPC over HTTP, from its descriptor, and how they end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from connectrpc.client import ConnectClient
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_json_codec
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.protocol import ProtocolType
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

PROTOS = Path(__file__).parents[1] / "protos"
WAYS = {
    "Connect, JSON": (ProtocolType.CONNECT, google_protobuf_json_codec()),
    "Connect, binary": (ProtocolType.CONNECT, google_protobuf_binary_codec()),
    "gRPC-Web": (ProtocolType.GRPC_WEB, google_protobuf_binary_codec()),
}


@dataclass(frozen=True)
class Outcome:
    """A call's responses, and the code, message and details of its error: the same on every way."""

    responses: Sequence[Message]
    code: str = "ok"
    message: str = ""
    details: Sequence[tuple[str, bytes]] = ()


def public_methods() -> Iterator[MethodDescriptor]:
    """Yield every method of every service that clients may call."""
    for proto in sorted(PROTOS.glob("semsearch/v1/*_service.proto")):
        file = import_module(f"semsearch.v1.{proto.stem}_pb2")
        for service in file.DESCRIPTOR.services_by_name.values():
            yield from service.methods


async def call(
    address: str,
    way: str,
    method: MethodDescriptor,
    requests: Sequence[Message],
    headers: Mapping[str, str] | None = None,
) -> Outcome:
    """Call a method over HTTP."""
    protocol, codec = WAYS[way]
    info: MethodInfo[Any, Any] = MethodInfo(
        name=method.name,
        service_name=method.containing_service.full_name,
        input=GetMessageClass(method.input_type),
        output=GetMessageClass(method.output_type),
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=StreamType.UNARY,
    )
    received: list[Message] = []
    client = ConnectClient(f"http://{address}", codec=codec, protocol=protocol)
    try:
        if method.client_streaming:
            async for response in client.execute_bidi_stream(request=_each(requests), method=info, headers=headers):
                received.append(response)  # noqa: PERF401 — those before an error count
        elif method.server_streaming:
            async for response in client.execute_server_stream(request=requests[0], method=info, headers=headers):
                received.append(response)  # noqa: PERF401
        else:
            received.append(await client.execute_unary(request=requests[0], method=info, headers=headers))
    except ConnectError as error:
        details = [(detail.type_name, detail.message_bytes) for detail in error.details]
        return Outcome(received, error.code.value, error.message, details)
    return Outcome(received)


async def _each(requests: Sequence[Message]) -> AsyncIterator[Message]:
    for request in requests:
        yield request
