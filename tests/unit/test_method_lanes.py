"""Each method of each service says how it is admitted under load."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import FileDescriptor
from semsearch.embedder.v1 import embedder_service_pb2
from semsearch.index.v1 import coordination_service_pb2, index_service_pb2
from semsearch.v1 import (
    backup_service_pb2,
    gallery_service_pb2,
    limits_service_pb2,
    map_service_pb2,
    model_service_pb2,
    search_service_pb2,
)

from embedder_service import method_lanes as of_embedder
from gateway.api import method_lanes as of_gateway
from index_service.api import method_lanes as of_index
from serving.admission_gate import MethodLanes

GATEWAY = (
    search_service_pb2,
    gallery_service_pb2,
    limits_service_pb2,
    map_service_pb2,
    model_service_pb2,
    backup_service_pb2,
)


@pytest.mark.parametrize(
    ("lanes", "files"),
    [
        (of_gateway.METHOD_LANES, [module.DESCRIPTOR for module in GATEWAY]),
        (of_index.METHOD_LANES, [index_service_pb2.DESCRIPTOR, coordination_service_pb2.DESCRIPTOR]),
        (of_embedder.METHOD_LANES, [embedder_service_pb2.DESCRIPTOR]),
    ],
)
def test_each_method_has_a_lane(lanes: MethodLanes, files: list[FileDescriptor]) -> None:
    methods = {
        f"{service.full_name}/{method.name}": method
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    }
    assert lanes.limited.keys() | lanes.unlimited.keys() == methods.keys()
    assert not lanes.limited.keys() & lanes.unlimited.keys()
    # A stream takes as long as its caller likes.
    assert not [name for name in lanes.limited if methods[name].client_streaming or methods[name].server_streaming]
