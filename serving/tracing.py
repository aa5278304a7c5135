"""The trace id of the current call, carried from service to service as W3C Trace Context (`traceparent`).

Every log line of a call and every INTERNAL answer contains it, so one id finds a request in all services' logs.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

HEADER = "traceparent"
_PATTERN = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_trace_id: ContextVar[str] = ContextVar("trace_id", default="")


def current_trace_id() -> str:
    """Return the current call's trace id, 32 hex digits; outside a call, a new one."""
    return _trace_id.get() or secrets.token_hex(16)


def begin(traceparent: str | None) -> str:
    """Set the caller's trace id, or a new one if it sent no valid one, and return it."""
    match = _PATTERN.fullmatch(traceparent or "")
    trace_id = match[1] if match else secrets.token_hex(16)
    _trace_id.set(trace_id)
    return trace_id


def traceparent() -> str:
    """Return the header to send to the next service."""
    return f"00-{current_trace_id()}-{secrets.token_hex(8)}-01"
