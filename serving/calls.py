"""What every call gets, whichever protocol carries it: a trace, a deadline, gates, metrics, a status if it fails.

The broad `except` is here: whatever a servicer raises becomes a status with details (serving/errors.py), which the
protocol then writes in its own way: `interceptors` for gRPC, `gateway/web` for HTTP.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog
from google.rpc import status_pb2

from serving import attempts, deadlines, metrics, tracing
from serving.decoding import checked
from serving.error_status import ErrorTable
from serving.errors import to_status
from serving.gates import Call, Gate, Passage
from serving.tracing import Kind

log = structlog.get_logger(__name__)

_CODES = {code.value[0]: code for code in grpc.StatusCode}
# The faults of a server; the other codes are those of its caller (OpenTelemetry's conventions for gRPC).
_FAULTS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)


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
    """One method's name, gates, metrics and error table."""

    def __init__(
        self, service: str, method: str, errors: ErrorTable, gates: Sequence[Gate] = (), *, is_stream: bool = False
    ) -> None:
        self.service, self.method = self._labels = (service, method)
        self.is_stream = is_stream
        self.name = f"{service}/{method}"
        self._passage = Passage(gates)
        self._in_flight = metrics.IN_FLIGHT.labels(service, method)
        self._seconds = metrics.SECONDS.labels(service, method)
        self._errors = errors

    @asynccontextmanager
    async def call(self, call: Call, arrive: Callable[[], Awaitable[None]] | None = None) -> AsyncIterator[None]:
        """Take a call through the gates, count it and time it; see `Passage.enter`.

        Raises:
            CallFailed: A gate refused the call, or the body raised this or any other exception.
        """
        trace_id = tracing.begin(call.metadata.get(tracing.HEADER))
        deadlines.begin(call.seconds)
        attempts.begin(call.metadata)
        structlog.contextvars.bind_contextvars(trace_id=trace_id)
        with tracing.span(self.name, Kind.SERVER) as span:
            start = time.perf_counter()
            code = grpc.StatusCode.OK
            self._in_flight.inc()
            try:
                async with self._passage.enter(call, arrive):
                    yield
            except (asyncio.CancelledError, GeneratorExit):
                code = code_of_cancelled(self.method)
                raise
            except CallFailed as failed:
                code = failed.code
                raise
            except Exception as error:  # noqa: BLE001 — the boundary: see the module's docstring
                status = to_status(error, self._errors)
                code = _CODES[status.code]
                raise CallFailed(status) from None
            finally:
                self._in_flight.dec()
                span.set("rpc.system.name", "grpc")
                span.set("rpc.method", self.name)
                span.set("rpc.response.status_code", code.name)
                if code in _FAULTS:
                    span.fail(code.name)
                self.count(code, time.perf_counter() - start)

    def count(self, code: grpc.StatusCode, seconds: float = 0.0) -> None:
        """Count a call that has ended, and how long it took."""
        metrics.HANDLED.labels(*self._labels, code.name).inc()
        self._seconds.observe(seconds, metrics.exemplar())
        log.debug("call", method=self.name, code=code.name, seconds=round(seconds, 6))

    def checked(self, call: Call, request: Any) -> Any:
        """Return a request, or a stream's requests, for the servicer.

        Raises:
            InvalidField: A request cannot be decoded; in a stream, raised when that request is reached.
            Exception: What a gate raises.
        """
        return self._passage.checked(call, checked(request))


def code_of_cancelled(method: str) -> grpc.StatusCode:
    """Return the code of a call whose work was cancelled, as its caller sees it.

    gRPC and HTTP cancel a call when its deadline passes, as when its caller leaves. A watch has a deadline so that it
    ends; then it is not late.
    """
    is_late = deadlines.have_passed() and not method.startswith("Watch")
    return grpc.StatusCode.DEADLINE_EXCEEDED if is_late else grpc.StatusCode.CANCELLED
