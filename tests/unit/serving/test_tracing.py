from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from serving import tracing
from serving.tracing import Attribute, Kind, Position

CALLER = f"00-{'a' * 32}-{'b' * 16}-01"


@dataclass
class RecordedSpan:
    name: str
    kind: Kind
    parent: str
    id: str
    seconds_ago: float
    attributes: dict[str, Attribute] = field(default_factory=dict)
    problem: str = ""
    ended_seconds_ago: float | None = None

    def set(self, name: str, value: Attribute) -> None:
        self.attributes[name] = value

    def fail(self, problem: str) -> None:
        self.problem = problem

    def end(self, seconds_ago: float = 0.0) -> None:
        self.ended_seconds_ago = seconds_ago


class Spans:
    def __init__(self) -> None:
        self.all: list[RecordedSpan] = []

    def start(self, name: str, kind: Kind, position: Position, seconds_ago: float) -> RecordedSpan:
        started = RecordedSpan(name, kind, position.span_id, f"{len(self.all):016x}", seconds_ago)
        self.all.append(started)
        return started


@pytest.fixture
def spans() -> Iterator[Spans]:
    recorded = Spans()
    tracing.record_with(recorded, ratio=0.0)
    yield recorded
    tracing.record_with(None)


def test_a_caller_that_records_gets_spans_below_its_own(spans: Spans) -> None:
    assert tracing.begin(CALLER) == "a" * 32
    with tracing.span("call", Kind.SERVER):
        with tracing.span("part"):
            tracing.start_span("to the next service", Kind.CLIENT)
        tracing.start_span("beside it")
    call, part, client, beside = spans.all
    assert (call.parent, part.parent, client.parent, beside.parent) == ("b" * 16, call.id, part.id, call.id)
    assert tracing.traceparent(client) == f"00-{'a' * 32}-{client.id}-01"


@pytest.mark.parametrize(
    "traceparent",
    [None, "x", f"00-{'0' * 32}-{'b' * 16}-01", f"00-{'a' * 32}-{'0' * 16}-01", f"00-{'a' * 32}-{'b' * 16}-00"],
)
def test_a_call_is_not_recorded_if_its_caller_does_not_say_so(spans: Spans, traceparent: str | None) -> None:
    trace_id = tracing.begin(traceparent)
    with tracing.span("call", Kind.SERVER):
        tracing.record("part", 0.0, 1.0)
        assert tracing.traceparent().startswith(f"00-{trace_id}-")
        assert tracing.traceparent().endswith("-00")
        assert tracing.recorded_trace_id() == ""
    assert not spans.all


def test_the_ratio_decides_for_callers_that_do_not(spans: Spans) -> None:
    tracing.record_with(spans, ratio=1.0)
    trace_id = tracing.begin(None)
    with tracing.span("call", Kind.SERVER):
        assert tracing.recorded_trace_id() == trace_id
    assert [each.parent for each in spans.all] == [""]
    tracing.record_with(spans, ratio=0.5)
    for _ in range(200):
        tracing.begin(None)
        tracing.start_span("call")
    assert 40 < len(spans.all) < 160


def test_without_a_recorder_the_callers_trace_is_passed_on() -> None:
    tracing.begin(CALLER)
    with tracing.span("call", Kind.SERVER):
        assert tracing.traceparent() == CALLER
        assert tracing.recorded_trace_id() == ""


def test_a_part_that_fails_is_marked_without_the_text_of_its_error(spans: Spans) -> None:
    tracing.begin(CALLER)
    with pytest.raises(ValueError, match="zanzibar"), tracing.span("part"):
        raise ValueError("no such word: zanzibar")
    assert spans.all[0].problem == "ValueError"
    assert spans.all[0].ended_seconds_ago == 0.0


def test_a_part_on_another_thread_is_recorded_with_its_times(spans: Spans) -> None:
    tracing.begin(CALLER)
    now = time.perf_counter()
    tracing.record("decode", now - 3, now - 1, images=2)
    (part,) = spans.all
    assert part.seconds_ago - (part.ended_seconds_ago or 0) == pytest.approx(2)
    assert part.attributes == {"semsearch.images": 2}


def test_a_call_records_a_bounded_number_of_spans(spans: Spans) -> None:
    tracing.begin(CALLER)
    with tracing.span("call", Kind.SERVER):
        for _ in range(tracing.MOST_SPANS + 9):
            tracing.start_span("image")
    assert len(spans.all) == tracing.MOST_SPANS
    assert spans.all[0].attributes == {"semsearch.spans_left_out": 10}


def test_other_services_record_for_a_call_only_while_it_may_record_more(spans: Spans) -> None:
    tracing.begin(CALLER)
    with tracing.span("upload", Kind.SERVER) as upload:
        headers = [
            tracing.traceparent(tracing.start_span("to the embedder", Kind.CLIENT))
            for _ in range(tracing.MOST_SPANS + 9)
        ]
    recorded = [f"00-{'a' * 32}-{client.id}-01" for client in spans.all[1:]]
    assert len(recorded) == tracing.MOST_SPANS - 1
    assert headers == recorded + [f"00-{'a' * 32}-{upload.id}-00"] * 10
