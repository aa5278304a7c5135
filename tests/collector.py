"""An OpenTelemetry collector for tests: it keeps the spans that it gets, and answers when it may."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

DEADLINE = 60.0


class Collector:
    """Serves while the context is open."""

    def __init__(self) -> None:
        collector = self
        self.requests: list[ExportTraceServiceRequest] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._changed = threading.Condition()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
                with collector._changed:
                    collector.requests.append(request)
                    collector._changed.notify_all()
                assert collector.may_answer.wait(DEADLINE)
                self.send_response(200 if self.path == "/v1/traces" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def services(self) -> set[str]:
        return {
            attribute.value.string_value
            for request in self.requests
            for resource in request.resource_spans
            for attribute in resource.resource.attributes
            if attribute.key == "service.name"
        }

    def spans(self) -> Sequence[Span]:
        """Return the spans so far."""
        return [
            span
            for request in tuple(self.requests)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def wait_for(self, names: Iterable[str], trace_id: str, seconds: float) -> Sequence[Span]:
        """Return the spans of a trace when there are as many of each name as `names` has."""
        wanted = Counter(names)

        def found() -> list[Span]:
            return [span for span in self.spans() if span.trace_id.hex() == trace_id]

        with self._changed:
            complete = self._changed.wait_for(lambda: wanted <= Counter(span.name for span in found()), seconds)
        assert complete, f"missing: {wanted - Counter(span.name for span in found())}"
        return found()

    def __enter__(self) -> Collector:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
