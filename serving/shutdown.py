"""The order in which a process ends, and a limit on how long that takes.

1. Health becomes NOT_SERVING, and long streams are told. For a moment calls are still taken and answered, so that
   clients that watch the health go elsewhere, and none of their calls is lost.
2. New calls are refused with UNAVAILABLE, reason SHUTTING_DOWN and RetryInfo, which sends clients elsewhere that do not
   watch the health. Only then are the ports closed and connections told to go away (GOAWAY): calls that arrive at that
   very moment are cancelled by gRPC, without a status.
3. Calls in progress have what is left of the drain. Those that outlast it get the same status.
4. What is left by then, such as streams of clients that read nothing, is cut off.

A process that has not ended some seconds after its drain, because a thread or a library hangs, ends at once.
Nothing is lost: every service survives being killed.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time

import grpc.aio
import structlog

from serving.drain import Drain
from serving.health_reports import HealthReports
from serving.http_server import HttpServer

# Parts of the drain; shorter if the drain is.
_NOTICE_SECONDS = 0.4
_REFUSING_SECONDS = 0.1
# Calls that are ended may need this long to clean up, and answers that were given to be sent.
_GRACE_SECONDS = 1.0
# After the drain, until the process ends at once.
CLOSING_SECONDS = 15.0

log = structlog.get_logger(__name__)


async def shut_down(
    server: grpc.aio.Server, http: HttpServer | None, reports: HealthReports, drain: Drain, seconds: float
) -> None:
    """End all calls within `seconds` and a moment, in the order above."""
    end = time.monotonic() + seconds
    reports.begin_shutdown()
    drain.begin()
    await asyncio.sleep(min(_NOTICE_SECONDS, seconds / 4))
    drain.refuse()
    await asyncio.sleep(min(_REFUSING_SECONDS, seconds / 4))
    reports.end_watches()
    left = end - time.monotonic()
    if http is not None:
        http.stop(left + _GRACE_SECONDS)
    closing = asyncio.ensure_future(server.stop(left + 2 * _GRACE_SECONDS))
    await drain.finish(left, _GRACE_SECONDS)
    await asyncio.wait({closing}, timeout=_GRACE_SECONDS)
    await server.stop(None)
    await closing


def limit_duration(drain_seconds: float) -> None:
    """End the process, with status 1, if it still runs `CLOSING_SECONDS` after the drain."""

    def end() -> None:
        time.sleep(drain_seconds + CLOSING_SECONDS)
        log.error("the process does not end after its drain, so it is stopped", seconds=CLOSING_SECONDS)
        os._exit(1)

    threading.Thread(target=end, name="shutdown-limit", daemon=True).start()
