"""Follow the health of another service (grpc.health.v1 Watch), on which the gateway's own depends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.readiness import Need, Readiness
from serving.background import WorkHealth
from serving.patience import Patience

# A watch never ends by itself. The deadline detects silently dead connections and is not a failure.
_WATCH_SECONDS = 300.0
# A service that is well answers a new watch at once. One that hangs may never end it, since the system answers for its
# process, and a watch waits for a connection as long as it may.
_ANSWER_SECONDS = 10.0
_RETRY_SECONDS = 0.5

log = structlog.get_logger(__name__)


async def follow_health(
    channel: grpc.aio.Channel,
    service: str,
    need: Need,
    readiness: Readiness,
    health: WorkHealth,
    patience: Patience,
) -> None:
    """Keep `need` and `patience` in sync with the health of a service (its full name); run until cancelled."""
    async for serving in watch_health(channel, service):
        patience.report(serving)
        await readiness.set(need, serving)
        if serving:
            health.succeeded()


async def watch_health(channel: grpc.aio.Channel, service: str) -> AsyncIterator[bool]:
    """Yield whether a service is SERVING, now and after each change; one that does not answer is not."""
    stub = health_pb2_grpc.HealthStub(channel)
    while True:
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=_WATCH_SECONDS, wait_for_ready=True)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                response = await watch.read()
            while response is not grpc.aio.EOF:
                serving = response.status == health_pb2.HealthCheckResponse.SERVING
                log.info("health", service=service, serving=serving)
                yield serving
                response = await watch.read()
        except TimeoutError:
            log.warning("health unknown", service=service, code="no answer")
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                continue
            log.warning("health unknown", service=service, code=error.code().name)
        finally:
            watch.cancel()
        yield False
        await asyncio.sleep(_RETRY_SECONDS)
