"""Follows the health of another service (grpc.health.v1 Watch): the gateway's own depends on it."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.readiness import Need, Readiness
from serving.background import WorkHealth

# A watch has no end; a deadline finds a connection that died without a word, and is no sign of illness.
_WATCH_SECONDS = 300.0
_RETRY_SECONDS = 0.5

log = structlog.get_logger(__name__)


async def follow_health(
    channel: grpc.aio.Channel, service: str, need: Need, readiness: Readiness, health: WorkHealth
) -> None:
    """Keep `need` in step with the health of a service (its full name); runs until it is cancelled."""
    stub = health_pb2_grpc.HealthStub(channel)
    while True:
        try:
            async for response in stub.Watch(
                health_pb2.HealthCheckRequest(service=service), timeout=_WATCH_SECONDS, wait_for_ready=True
            ):
                serving = response.status == health_pb2.HealthCheckResponse.SERVING
                log.info("health", service=service, serving=serving)
                await readiness.set(need, serving)
                health.succeeded()
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                continue
            log.warning("health unknown", service=service, code=error.code().name)
        await readiness.set(need, False)
        await asyncio.sleep(_RETRY_SECONDS)
