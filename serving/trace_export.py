"""Send spans to an OpenTelemetry collector, OTLP over HTTP, from a thread of its own.

Contract: no call waits for the collector. At most `MOST_WAITING` spans wait; while that many do, new ones are dropped.
`semsearch_trace_spans` counts them all: what was recorded and has no other outcome still waits.

Only imported if a collector is set, because OpenTelemetry takes 0.2 s to load. Its own variables count too: for
example OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_CERTIFICATE and OTEL_RESOURCE_ATTRIBUTES.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from urllib.parse import urlsplit

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from prometheus_client import Counter
from typing_extensions import override

from serving import tracing
from serving.settings import ServiceSettings
from serving.tracing import Attribute, Kind, Position

MOST_WAITING = 4_096
_MOST_AT_ONCE = 512
_EVERY_MILLISECONDS = 1_000
_ATTEMPT_SECONDS = 5.0
# How long sending the last spans may delay the end of the process.
_END_SECONDS = 2.0
_KINDS = {
    Kind.SERVER: trace.SpanKind.SERVER,
    Kind.CLIENT: trace.SpanKind.CLIENT,
    Kind.PART: trace.SpanKind.INTERNAL,
}
_SAMPLED = trace.TraceFlags(trace.TraceFlags.SAMPLED)
SPANS = Counter(
    "semsearch_trace_spans",
    "Spans by what became of them: recorded, and then exported, failed, or dropped because too many waited.",
    ["outcome"],
)
for _outcome in ("recorded", "exported", "failed", "dropped"):
    SPANS.labels(_outcome)  # Prometheus does not see the increase to a series' first value

log = structlog.get_logger(__name__)


@contextmanager
def exporting(settings: ServiceSettings) -> Iterator[None]:
    """Record and export spans in a `with` block."""
    # It logs each failed attempt with the collector's address; the exporter below logs when that begins and ends.
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
    logging.getLogger("opentelemetry").propagate = False
    provider = TracerProvider(
        sampler=ALWAYS_ON,  # `tracing` has decided
        resource=Resource.create(
            {"service.name": f"semsearch-{settings.service}", "service.version": version("semsearch-suite")}
        ),
        id_generator=_Ids(),
        shutdown_on_exit=False,
    )
    room = _Room()
    exporter = _Exporter(room, OTLPSpanExporter(_traces_url(settings.otlp_endpoint), timeout=_ATTEMPT_SECONDS))
    provider.add_span_processor(_Processor(room, exporter))
    tracing.record_with(_Recorder(provider.get_tracer("semsearch")), settings.trace_ratio)
    try:
        yield
    finally:
        tracing.record_with(None)
        ending = threading.Thread(target=provider.shutdown, daemon=True)
        ending.start()
        ending.join(_END_SECONDS)
        if ending.is_alive():
            exporter.shutdown()  # else its thread tries again for each batch that waits


class _Recorder:
    """Makes the spans of `tracing` with OpenTelemetry."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def start(self, name: str, kind: Kind, position: Position, seconds_ago: float) -> _Span:
        span = self._tracer.start_span(name, _context(position), _KINDS[kind], start_time=_nanoseconds(seconds_ago))
        return _Span(span)


class _Span:
    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.id = trace.format_span_id(span.get_span_context().span_id)

    def set(self, name: str, value: Attribute) -> None:
        self._span.set_attribute(name, value)

    def fail(self, problem: str) -> None:
        self._span.set_status(trace.StatusCode.ERROR, problem)

    def end(self, seconds_ago: float = 0.0) -> None:
        self._span.end(_nanoseconds(seconds_ago))


class _Ids(RandomIdGenerator):
    """Gives a span without a parent the trace id that the call has already, in its log."""

    @override
    def generate_trace_id(self) -> int:
        return int(tracing.current_trace_id(), 16)


class _Room:
    """The room for spans that wait; logs when there is none any more, and when half of it is free again."""

    def __init__(self) -> None:
        self._waiting = 0
        self._is_short = False
        # Re-entrant, because garbage collection may close a generator, and end its span, at any point.
        self._lock = threading.RLock()

    def take(self) -> bool:
        """Take the room of one span; return False if there is none."""
        with self._lock:
            if self._waiting < MOST_WAITING:
                self._waiting += 1
                return True
            begins, self._is_short = not self._is_short, True
        if begins:
            log.warning("traces are lost: spans come faster than the collector takes them; calls are not affected")
        return False

    def leave(self, spans: int) -> None:
        """Give back the room of some spans."""
        with self._lock:
            self._waiting -= spans
            ends = self._is_short and self._waiting <= MOST_WAITING // 2
            self._is_short = self._is_short and not ends
        if ends:
            log.info("the collector keeps up again")


class _Processor(BatchSpanProcessor):
    """Queues spans, and drops those for which there is no room."""

    def __init__(self, room: _Room, exporter: _Exporter) -> None:
        super().__init__(exporter, MOST_WAITING, _EVERY_MILLISECONDS, _MOST_AT_ONCE)
        self._room = room

    @override
    def on_end(self, span: ReadableSpan) -> None:
        SPANS.labels("recorded").inc()
        if self._room.take():
            super().on_end(span)
        else:
            SPANS.labels("dropped").inc()


class _Exporter(SpanExporter):
    """Counts what is exported, and logs when the collector stops answering and when it answers again."""

    def __init__(self, room: _Room, exporter: OTLPSpanExporter) -> None:
        self._room = room
        self._exporter = exporter
        self._answers = True

    @override
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._room.leave(len(spans))
        result = self._exporter.export(spans)
        answers = result is SpanExportResult.SUCCESS
        SPANS.labels("exported" if answers else "failed").inc(len(spans))
        if answers != self._answers:
            self._answers = answers
            if answers:
                log.info("traces are exported again")
            else:
                log.warning("traces are lost: the collector does not take them; calls are not affected")
        return result

    @override
    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _context(position: Position) -> Context:
    """Return the context of a position, in which OpenTelemetry looks for the parent."""
    if not position.span_id:
        return Context()
    parent = trace.SpanContext(
        int(position.trace_id, 16), int(position.span_id, 16), is_remote=True, trace_flags=_SAMPLED
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(parent), Context())


def _nanoseconds(seconds_ago: float) -> int:
    return time.time_ns() - int(seconds_ago * 1e9)


def _traces_url(endpoint: str) -> str:
    """Return where spans are sent: collectors take them at /v1/traces, unless the setting has a path."""
    return endpoint if urlsplit(endpoint).path.strip("/") else f"{endpoint.rstrip('/')}/v1/traces"
