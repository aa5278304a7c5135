"""What gateways share, as the index service has it."""

from __future__ import annotations

import time

import grpc
from semsearch.index.v1 import coordination_service_pb2 as pb
from semsearch.index.v1 import coordination_service_pb2_grpc as pb_grpc

from gateway.lease import LEASE
from gateway.switching.switch_state import RECORD

_SECONDS = 20.0


def lease(index: str) -> pb.Lease:
    """Return the lease of the gateways of the index at an address."""
    with grpc.insecure_channel(index) as channel:
        stub = pb_grpc.CoordinationServiceStub(channel)
        return stub.GetLease(pb.GetLeaseRequest(name=LEASE), wait_for_ready=True, timeout=_SECONDS).lease


def owner(index: str) -> str:
    """Return the address of the gateway that makes changes; wait until there is one."""
    deadline = time.monotonic() + _SECONDS
    while not (found := lease(index)).HasField("remaining"):
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found.address


def switch_target(index: str) -> str:
    """Return the id of the model that is being switched to, or ""."""
    with grpc.insecure_channel(index) as channel:
        stub = pb_grpc.CoordinationServiceStub(channel)
        response = stub.GetRecord(pb.GetRecordRequest(name=RECORD), wait_for_ready=True, timeout=_SECONDS)
        return response.record.value.decode()
