"""What every call gets, whichever protocol carries it: a trace id, a deadline, metrics, and a status if it fails.

The broad `except` is here: whatever a servicer raises becomes a status with details (serving/errors.py), which the
protocol then writes in its own way: `interceptors` for gRPC, `gateway/web` for HTTP.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import structlog
from google.rpc import status_pb2

from serving import deadlines, metrics, tracing
from serving.errors import ErrorTable, to_status

log = structlog.get_logger(__name__)

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class CallFailed(Exception):
    """A call ended with a status other than OK."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status

    @property
    def code(self) -> grpc.StatusCode:
        """The status's code."""
        return _CODES[self.status.code]


class Method:
    """One method's labels, metrics and error table."""

    def __init__(self, service: str, method: str, errors: ErrorTable) -> None:
        self._labels = (service, method)
        self._in_flight = metrics.IN_FLIGHT.labels(service, method)
        self._seconds = metrics.SECONDS.labels(service, method)
        self._errors = errors

    @asynccontextmanager
    async def call(self, traceparent: str | None, seconds: float | None) -> AsyncIterator[None]:
        """Count and time a call.

        Args:
            traceparent: The caller's header of that name, if it sent one.
            seconds: How long the caller waits; None if it set no deadline.

        Raises:
            CallFailed: The body raised this or any other exception.
        """
        trace_id = tracing.begin(traceparent)
        deadlines.begin(seconds)
        structlog.contextvars.bind_contextvars(trace_id=trace_id)
        start = time.perf_counter()
        code = grpc.StatusCode.OK
        self._in_flight.inc()
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            code = grpc.StatusCode.CANCELLED
            raise
        except CallFailed as failed:
            code = failed.code
            raise
        except Exception as error:  # noqa: BLE001 — the boundary: see the module's docstring
            failure = CallFailed(to_status(error, self._errors))
            code = failure.code
            raise failure from None
        finally:
            self._in_flight.dec()
            metrics.HANDLED.labels(*self._labels, code.name).inc()
            took = time.perf_counter() - start
            self._seconds.observe(took)
            log.debug("call", method="/".join(self._labels), code=code.name, seconds=round(took, 6))
