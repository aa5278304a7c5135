"""Server reflection (v1 and v1alpha), with the comments of the protos, so that `grpcurl describe` shows them.

protoc leaves comments out of the generated code, and a descriptor pool drops them, so answers take the protos' own
files from the FileDescriptorSet that `make protos` writes beside the code.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from importlib import resources

import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, json_format
from google.rpc import error_details_pb2  # noqa: F401 — clients ask for the types of error details too
from grpc_reflection.v1alpha import reflection, reflection_pb2

V1ALPHA = reflection.SERVICE_NAME
V1 = V1ALPHA.replace("v1alpha", "v1")


def add_reflection(services: Iterable[str], server: grpc.aio.Server) -> None:
    """Let clients ask a server about its services, by their full names, and about reflection itself."""
    descriptor_pool.Default().Add(_v1_file())
    method = grpc.stream_stream_rpc_method_handler(
        _Reflection([*services, V1, V1ALPHA]).answer,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for version in (V1, V1ALPHA):  # with the same messages on the wire
        handlers = grpc.method_handlers_generic_handler(version, {"ServerReflectionInfo": method})
        server.add_generic_rpc_handlers([handlers])


def _v1_file() -> descriptor_pb2.FileDescriptorProto:
    """Return the proto of v1, which grpcio-reflection lacks: that of v1alpha under another name."""
    v1alpha = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(v1alpha)
    text = json_format.MessageToJson(v1alpha).replace("v1alpha", "v1")
    return json_format.Parse(text, descriptor_pb2.FileDescriptorProto())


class _Reflection:
    """grpcio's servicer, with comments added to the files in its answers."""

    def __init__(self, services: Iterable[str]) -> None:
        self._servicer = reflection.aio.ReflectionServicer(services)
        written = resources.files("semsearch").joinpath("..", "protos.binpb").read_bytes()
        files = descriptor_pb2.FileDescriptorSet.FromString(written).file
        self._with_comments = {file.name: file.SerializeToString() for file in files}

    async def answer(
        self, requests: AsyncIterable[reflection_pb2.ServerReflectionRequest], context: object
    ) -> AsyncIterator[reflection_pb2.ServerReflectionResponse]:
        """Answer each request of a stream."""
        async for response in self._servicer.ServerReflectionInfo(requests, context):
            if response.HasField("file_descriptor_response"):
                files = response.file_descriptor_response.file_descriptor_proto
                files[:] = [self._with_comments.get(_name(file), file) for file in files]
            yield response


def _name(file: bytes) -> str:
    return descriptor_pb2.FileDescriptorProto.FromString(file).name
