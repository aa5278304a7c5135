"""Ask a server for its services and RPCs, by gRPC reflection."""

from __future__ import annotations

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection_pb2 as pb
from grpc_reflection.v1alpha import reflection_pb2_grpc as pb_grpc

from semsearch.index.v1 import index_service_pb2
from semsearch.v1 import gallery_service_pb2, map_service_pb2, model_service_pb2, search_service_pb2

_PACKAGE = "semsearch."
# Importing these adds them to the pool: the RPCs that this client may call.
_CALLED = (gallery_service_pb2, index_service_pb2, map_service_pb2, model_service_pb2, search_service_pb2)


class Reflection:
    """The reflection of a server; every method raises `grpc.RpcError` if the server does not answer in time."""

    def __init__(
        self, channel: grpc.Channel, timeout_seconds: float, metadata: tuple[tuple[str, str], ...] | None = None
    ) -> None:
        self._stub = pb_grpc.ServerReflectionStub(channel)
        self._timeout_seconds = timeout_seconds
        self._metadata = metadata

    def services(self) -> list[str]:
        """Return the names of the server's services of semsearch."""
        response = self._ask(pb.ServerReflectionRequest(list_services=""))
        return sorted(each.name for each in response.list_services_response.service if each.name.startswith(_PACKAGE))

    def missing_rpcs(self) -> list[str]:
        """Return the RPCs that this client knows of the server's services, and the server lacks."""
        return [f"{service}/{name}" for service in self.services() for name in self._missing(service)]

    def _missing(self, service: str) -> list[str]:
        try:
            known = descriptor_pool.Default().FindServiceByName(service)
        except KeyError:  # of a newer server, or not for clients
            return []
        there: set[str] = set()
        response = self._ask(pb.ServerReflectionRequest(file_containing_symbol=service))
        for serialized in response.file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(serialized)
            there |= {
                method.name
                for each in file.service
                if f"{file.package}.{each.name}" == service
                for method in each.method
            }
        return sorted({method.name for method in known.methods} - there)

    def _ask(self, request: pb.ServerReflectionRequest) -> pb.ServerReflectionResponse:
        responses = self._stub.ServerReflectionInfo(
            iter([request]), timeout=self._timeout_seconds, metadata=self._metadata
        )
        return next(iter(responses), pb.ServerReflectionResponse())  # some servers end the stream without one
