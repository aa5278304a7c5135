"""A whole suite that knows its callers, their tokens, and what becomes of a call with each."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2
from semsearch.embedder.v1 import embedder_service_pb2
from semsearch.index.v1 import coordination_service_pb2, index_service_pb2
from semsearch.transport.servers_status import servers_status
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import search_service_pb2 as search

from tests.ports import free_ports
from tests.services.service_process import ServiceProcess, service_process
from tests.unit.serving.access.made_tokens import MadeTokens

HTTP_ADDRESS = re.compile(r'"http_address": "([^"]+)"')
# Importing these adds them to the pool, which has the public ones too.
_INSIDE = (coordination_service_pb2, embedder_service_pb2, index_service_pb2)
REFLECTION = "grpc.reflection.v1.ServerReflection"
REFUSED = {"UNAUTHENTICATED": "401", "PERMISSION_DENIED": "403"}
PASSES = "yes"
SECONDS = 30.0
# Requests that are about a stored collection; an empty one does for all other methods.
REQUESTS: Mapping[str, Message] = {
    "IndexImages": gallery.IndexImagesRequest(config=gallery.IndexImagesConfig()),
    "CountMatches": search.CountMatchesRequest(by_text=search.SearchByTextRequest(query="boat")),
    "TagImage": search.TagImageRequest(image_id="none"),
}


@dataclass(frozen=True)
class KnownCallers:
    """The processes; `tokens` has a token, or None, for each kind of credential."""

    made: MadeTokens
    tokens: Mapping[str, str | None]
    processes: Mapping[str, ServiceProcess]
    http: str

    def metadata(self, credential: str) -> dict[str, str]:
        token = self.tokens[credential]
        return {} if token is None else {"authorization": f"Bearer {token}"}


@contextmanager
def known_callers(root: Path) -> Iterator[KnownCallers]:
    """Start the services, which accept tokens."""
    made = MadeTokens(root)
    tokens = {
        "none": None,
        "wrong": f"semsearch_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}",
        "expired": made.add("ann", "admin", expires_in=-60),
        "read": made.add("rea", "read"),
        "write": made.add("wri", "write"),
        "admin": made.add("ada", "admin"),
        "other collection": made.add("otto", "admin", "other"),
    }
    index, embedder = free_ports(2)
    commands = {
        "gateway": ("gateway", f"--index=127.0.0.1:{index}", f"--embedder=127.0.0.1:{embedder}"),
        "embedder": ("embedder_service", f"--port={embedder}", "--default-model=tiny"),
        "index": ("index_service", f"--port={index}"),
    }
    with ExitStack() as exits, ThreadPoolExecutor() as threads:
        starting = [
            threads.submit(exits.enter_context, service_process(module, root, f"--tokens={made.path}", *flags))
            for module, *flags in commands.values()
        ]
        processes = dict(zip(commands, [each.result() for each in starting], strict=True))
        found = HTTP_ADDRESS.search("".join(processes["gateway"].lines))
        assert found
        yield KnownCallers(made, tokens, processes, found[1])


async def methods(channel: grpc.aio.Channel, metadata: Mapping[str, str]) -> Sequence[MethodDescriptor]:
    """Return every method of our services that a server has, as its reflection says."""
    ask = channel.stream_stream(
        f"/{REFLECTION}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    found = ask(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), metadata=[*metadata.items()])
    async with servers_status(found):
        names = [each.name async for response in found for each in response.list_services_response.service]
    pool = descriptor_pool.Default()
    services = [pool.FindServiceByName(name) for name in sorted(names) if name.startswith("semsearch.")]
    return [method for service in services for method in service.methods]


def request_for(method: MethodDescriptor) -> Message:
    """Return a request of a method."""
    return REQUESTS.get(method.name) or GetMessageClass(method.input_type)()


async def outcome(channel: grpc.aio.Channel, method: MethodDescriptor, metadata: Mapping[str, str]) -> str:
    """Return what becomes of a call: "401", "403" or "yes", whatever else is wrong with it."""
    kind = "_".join("stream" if each else "unary" for each in (method.client_streaming, method.server_streaming))
    begin = getattr(channel, kind)(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    request = request_for(method)
    options = {"timeout": SECONDS, "metadata": [*metadata.items()]}
    call = begin(**options) if method.client_streaming else begin(request, **options)
    try:
        async with servers_status(call):
            if method.client_streaming:
                with suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):  # the call may have ended before
                    await call.write(request)
                    await call.done_writing()
            if method.server_streaming:
                await call.read()  # the first answer is enough; some streams have no end
            else:
                await call
    except grpc.aio.AioRpcError as error:
        return REFUSED.get(error.code().name, PASSES)
    finally:
        call.cancel()
    return PASSES
