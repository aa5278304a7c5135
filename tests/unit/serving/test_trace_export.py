"""Spans are sent to a collector; one that is away, slow or hangs delays nothing, and what it misses is counted."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from structlog.testing import capture_logs

from serving import trace_export, tracing
from serving.settings import ServiceSettings
from serving.trace_export import MOST_WAITING, SPANS, exporting
from serving.tracing import Kind
from tests.collector import DEADLINE, Collector

CALLER = f"00-{'a' * 32}-{'b' * 16}-01"


class Settings(ServiceSettings):
    service = "gateway"


def outcomes() -> dict[str, float]:
    return {outcome: SPANS.labels(outcome)._value.get() for outcome in ("recorded", "exported", "failed", "dropped")}


def test_spans_arrive_with_their_parents_and_times() -> None:
    with Collector() as collector:
        with exporting(Settings(otlp_endpoint=collector.address, trace_ratio=1)):
            tracing.begin(CALLER)
            with tracing.span("call", Kind.SERVER) as call:
                now = time.perf_counter()
                tracing.record("decode", now - 3, now - 1)
            root_id = tracing.begin(None)
            with tracing.span("root", Kind.SERVER):
                pass
        spans = {span.name: span for span in collector.spans()}
    assert spans["call"].parent_span_id.hex() == "b" * 16
    assert spans["call"].trace_id.hex() == "a" * 32
    assert spans["call"].kind == Span.SPAN_KIND_SERVER
    assert spans["decode"].parent_span_id.hex() == call.id
    assert abs(spans["decode"].end_time_unix_nano - spans["decode"].start_time_unix_nano - 2e9) < 1e6
    assert (spans["root"].trace_id.hex(), spans["root"].parent_span_id) == (root_id, b"")
    assert collector.services == {"semsearch-gateway"}


def test_a_collector_that_hangs_delays_no_call_and_no_end() -> None:
    threads = threading.enumerate()
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        before = outcomes()
        with exporting(Settings(otlp_endpoint=f"http://127.0.0.1:{hanging.getsockname()[1]}")):
            slowest = 0.0
            for _ in range(2 * MOST_WAITING):
                tracing.begin(CALLER)
                began = time.perf_counter()
                with tracing.span("call", Kind.SERVER):
                    pass
                slowest = max(slowest, time.perf_counter() - began)
            ending = time.perf_counter()
        took = time.perf_counter() - ending
    for each in set(threading.enumerate()).difference(threads):
        each.join(3 * trace_export._ATTEMPT_SECONDS)
        assert not each.is_alive(), "it would try again for each batch"
    assert slowest < 1.0  # an attempt to export takes five seconds
    assert took < 4.5
    after = outcomes()
    assert after["recorded"] - before["recorded"] == 2 * MOST_WAITING
    assert after["exported"] == before["exported"]


def test_spans_that_a_slow_collector_leaves_no_room_for_are_counted_and_logged_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trace_export, "_ATTEMPT_SECONDS", DEADLINE)
    before = outcomes()
    with Collector() as collector, capture_logs() as logs:
        collector.may_answer.clear()
        with exporting(Settings(otlp_endpoint=collector.address)):
            for _ in range(2 * MOST_WAITING):
                tracing.begin(CALLER)
                with tracing.span("call", Kind.SERVER):
                    pass
            dropped = int(outcomes()["dropped"] - before["dropped"])
            assert MOST_WAITING / 2 < dropped <= MOST_WAITING  # up to 512 spans are on their way
            assert sum("come faster" in each["event"] for each in logs) == 1
            collector.may_answer.set()
            collector.wait_for(["call"] * (2 * MOST_WAITING - dropped), "a" * 32, DEADLINE)
    after = outcomes()
    assert after["exported"] - before["exported"] == 2 * MOST_WAITING - dropped
    assert after["dropped"] - before["dropped"] == dropped
    assert sum("come faster" in each["event"] for each in logs) == 1
    assert sum("keeps up again" in each["event"] for each in logs) == 1
