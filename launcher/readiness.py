"""Waits until services answer SERVING to grpc.health.v1."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from launcher.errors import NotReady
from launcher.services import Service
from launcher.supervisor import Supervisor

_POLL_SECONDS = 0.1
_CALL_SECONDS = 1.0
# A channel that found nobody tries again soon: the default waits up to 2 min.
_OPTIONS = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]


def wait_until_serving(services: Sequence[Service], supervisor: Supervisor, deadline: float) -> None:
    """Returns when every process says of itself, under the name "", that all its services can do their work.

    Raises:
        ServiceStopped: one ends.
        NotReady: the deadline, of `time.monotonic`, has passed.
    """
    with ExitStack() as stack:
        waiting = {
            service.name: health_pb2_grpc.HealthStub(
                stack.enter_context(grpc.insecure_channel(service.address, _OPTIONS))
            )
            for service in services
        }
        while waiting:
            supervisor.wait(_POLL_SECONDS)
            waiting = {name: stub for name, stub in waiting.items() if not _serves(stub)}
            if waiting and time.monotonic() > deadline:
                raise NotReady(list(waiting))


def _serves(stub: health_pb2_grpc.HealthStub) -> bool:
    try:
        response = stub.Check(health_pb2.HealthCheckRequest(), timeout=_CALL_SECONDS)
    except grpc.RpcError:  # it does not answer yet
        return False
    return bool(response.status == health_pb2.HealthCheckResponse.SERVING)
