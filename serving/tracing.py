"""The trace of the current call, as W3C Trace Context: an id, and spans if the call is recorded.

Every log line of a call and every INTERNAL answer contains the trace id, so one id finds a request in all services'
logs.

A call is recorded if its caller says so in `traceparent`; without that header, a share of the calls is. Nothing is
recorded before `record_with`, which `serving.trace_export` calls. Until then, and in calls that are not recorded, a
span costs a look at a context variable. A call records at most `MOST_SPANS` spans in a process: an upload may have
millions of images. Once it would need more, the calls to other services that it still makes are not recorded there.

Spans never contain the data of callers: no words, no images, no ids.
"""

from __future__ import annotations

import enum
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, TypeAlias

HEADER = "traceparent"
MOST_SPANS = 1_000
_PATTERN = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = 1
# The last digits of a trace id, which are random, decide whether a call is recorded.
_DECIDING_DIGITS = 16

Attribute: TypeAlias = str | int | float


class Kind(enum.Enum):
    """What a span is: the answer to a call, a call to another service, or a part of the work."""

    SERVER = enum.auto()
    CLIENT = enum.auto()
    PART = enum.auto()


@dataclass
class Allowance:
    """How many more spans a call may record in this process; negative if some were left out."""

    left: int = MOST_SPANS


@dataclass(frozen=True)
class Position:
    """Where in a trace the current work is: the trace, and the innermost span, "" if there is none."""

    trace_id: str
    span_id: str
    is_recorded: bool
    allowance: Allowance


class Span(Protocol):
    """A span that was started."""

    @property
    def id(self) -> str:
        """Its id, 16 hexadecimal digits; "" if it is not recorded."""

    def set(self, name: str, value: Attribute) -> None:
        """Set an attribute."""

    def fail(self, problem: str) -> None:
        """Mark it as failed."""

    def end(self, seconds_ago: float = 0.0) -> None:
        """End it now, or as of some time ago."""


class Recorder(Protocol):
    """Records spans, and never waits."""

    def start(self, name: str, kind: Kind, position: Position, seconds_ago: float) -> Span:
        """Start a span at a position of a trace, now or as of some time ago."""


class _Unrecorded:
    """Stands for each span that is not recorded."""

    id = ""

    def set(self, name: str, value: Attribute) -> None:
        pass

    def fail(self, problem: str) -> None:
        pass

    def end(self, seconds_ago: float = 0.0) -> None:
        pass


UNRECORDED = _Unrecorded()
_position: ContextVar[Position | None] = ContextVar("trace_position", default=None)
_recorder: Recorder | None = None
_ratio = 0.0


def record_with(recorder: Recorder | None, ratio: float = 0.0) -> None:
    """Record calls from now on; of those whose callers do not decide, a share of `ratio`. None stops recording."""
    global _recorder, _ratio
    _recorder, _ratio = recorder, ratio


def is_recorded(traceparent: str | None) -> bool:
    """Return whether a caller's header asks this process to record the call, and it can."""
    if _recorder is None or not (match := _PATTERN.fullmatch(traceparent or "")):
        return False
    return bool(int(match[3], 16) & _SAMPLED)


def begin(traceparent: str | None) -> str:
    """Take the caller's trace, or begin a new one if it sent no valid header; return the trace id."""
    if match := _PATTERN.fullmatch(traceparent or ""):
        position = Position(match[1], match[2], bool(int(match[3], 16) & _SAMPLED), Allowance())
    else:
        trace_id = secrets.token_hex(16)
        is_recorded = int(trace_id[-_DECIDING_DIGITS:], 16) < _ratio * 16**_DECIDING_DIGITS
        position = Position(trace_id, "", is_recorded, Allowance())
    _position.set(position)
    return position.trace_id


def current_trace_id() -> str:
    """Return the current call's trace id, 32 hexadecimal digits; outside a call, a new one."""
    position = _position.get()
    return position.trace_id if position else secrets.token_hex(16)


def recorded_trace_id() -> str:
    """Return the current call's trace id if its spans are recorded here, or ""."""
    position = _position.get()
    return position.trace_id if _recorder and position and position.is_recorded else ""


def start_span(name: str, kind: Kind = Kind.PART, seconds_ago: float = 0.0) -> Span:
    """Start a span of the current call, which somebody must end. It has no children (see `span`)."""
    position = _position.get()
    if _recorder is None or position is None or not position.is_recorded:
        return UNRECORDED
    position.allowance.left -= 1
    return _recorder.start(name, kind, position, seconds_ago) if position.allowance.left >= 0 else UNRECORDED


@contextmanager
def span(name: str, kind: Kind = Kind.PART) -> Iterator[Span]:
    """Record what happens in a `with` block; spans in it, and calls to other services, become its children."""
    opened = start_span(name, kind)
    before = _position.get()
    if before is None or opened is UNRECORDED:
        yield opened
        return
    _position.set(Position(before.trace_id, opened.id, True, before.allowance))
    try:
        yield opened
    except BaseException as error:
        if kind is Kind.PART:
            opened.fail(type(error).__name__)  # its text may quote the caller
        raise
    finally:
        # Not by a token: a generator may be closed in another context.
        _position.set(before)
        if kind is Kind.SERVER and before.allowance.left < 0:
            opened.set("semsearch.spans_left_out", -before.allowance.left)
        opened.end()


def record(name: str, began: float, ended: float, **attributes: Attribute) -> None:
    """Record a part that is over, between two times of `time.perf_counter`, perhaps on another thread."""
    now = time.perf_counter()
    part = start_span(name, seconds_ago=now - began)
    for attribute, value in attributes.items():
        part.set(f"semsearch.{attribute}", value)
    part.end(seconds_ago=now - ended)


def traceparent(caller: Span = UNRECORDED) -> str:
    """Return the header to send to the next service; `caller` is the span of the call, if that is recorded.

    It asks that service to record the call unless spans were left out here already: each of the calls may record as
    many spans again. The trace id is in every header, so that it finds the call in all logs.
    """
    position = _position.get() or Position(secrets.token_hex(16), "", False, Allowance())
    parent = caller.id or position.span_id or secrets.token_hex(8)
    is_recorded = position.is_recorded and position.allowance.left >= 0
    return f"00-{position.trace_id}-{parent}-{int(is_recorded):02x}"
