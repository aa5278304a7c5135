"""The health of a process's services, for those who ask or watch (grpc.health.v1).

Not grpcio-health's own servicer: a watcher that does not read what it is sent would keep all statuses from changing
there, and its watches do not end before the server does.
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from typing_extensions import override

Context = grpc.aio.ServicerContext[Any, Any]
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class HealthReports(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # has no types
    """Keeps whether each service, part and background work is serving, by name, and reports it."""

    def __init__(self) -> None:
        self._serving: dict[str, bool] = {"": False}
        self._changed = asyncio.Event()
        self._shuts_down = False
        self._watches_end = False

    def set(self, name: str, serving: bool) -> None:
        """Record whether something is serving; nothing is any more once the shutdown has begun."""
        if not self._shuts_down:
            self._serving[name] = serving
            self._wake()

    def begin_shutdown(self) -> None:
        """Report that nothing is serving, from now on."""
        self._shuts_down = True
        self._serving = dict.fromkeys(self._serving, False)
        self._wake()

    def end_watches(self) -> None:
        """End all watches, with UNAVAILABLE."""
        self._watches_end = True
        self._wake()

    @override
    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:
        """Return whether something is serving."""
        if request.service not in self._serving:
            await context.abort(grpc.StatusCode.NOT_FOUND, "There is no service of that name.")
        return health_pb2.HealthCheckResponse(status=self._status(request.service))

    @override
    async def List(self, request: health_pb2.HealthListRequest, context: Context) -> health_pb2.HealthListResponse:
        """Return everything that is reported."""
        statuses = {name: health_pb2.HealthCheckResponse(status=self._status(name)) for name in self._serving}
        return health_pb2.HealthListResponse(statuses=statuses)

    @override
    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Context) -> None:
        """Send whether something is serving, now and after each change."""
        last = None
        while not self._watches_end:
            changed = self._changed
            if (now := self._status(request.service)) != last:
                last = now
                await context.write(health_pb2.HealthCheckResponse(status=now))
            else:
                await changed.wait()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "The server is shutting down.")

    def _status(self, name: str) -> health_pb2.HealthCheckResponse.ServingStatus.ValueType:
        serving = self._serving.get(name)
        return _UNKNOWN if serving is None else _SERVING if serving else _NOT_SERVING

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
