"""The audit log: what became of each change and of each call that was refused because of its caller.

A line says when, which service, who (`caller` and `peer`), what (`method`), which `collection` or index (by the rules
of access), the `outcome` with its reason, and the trace id, which finds the call in the logs. It has nothing else of
the request.

At most `MOST_REFUSALS` refusals a minute get a line; one more line counts the others. So nobody can push the changes
out of the log with refused calls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import MethodOptions
from semsearch.v1 import error_reason_pb2 as reasons

from serving import callers, tracing
from serving.access.rules import Rules
from serving.audit_log import AuditLog
from serving.calls import CallFailed, code_of_cancelled
from serving.error_status import ErrorTable, reason_name
from serving.errors import OVERLOADED, outcome
from serving.gates import Call
from serving.quoting import cut
from serving.received_errors import from_status

MOST_REFUSALS = 600
_MINUTE = 60.0
_NO_RIGHT = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
_BEYOND_LIMITS = (
    reason_name(reasons.ERROR_REASON_RATE_EXCEEDED),
    reason_name(reasons.ERROR_REASON_QUOTA_USED_UP),
    reason_name(reasons.ERROR_REASON_TOO_MANY_CALLS),
)
# gRPC's own services change nothing, and services of the suite agree on leases every second.
_HOUSEKEEPING = ("grpc.", "semsearch.index.v1.CoordinationService")
# A valid name is shorter.
_NAME_CHARACTERS = 200


@dataclass
class _Entry:
    """What is known about a call from its messages."""

    collection: str | None = None


_entry: ContextVar[_Entry | None] = ContextVar("audit_entry", default=None)


class AuditGate:
    """Refuses nothing, and writes down what became of calls; the first gate, so that it sees the refusals of others."""

    def __init__(self, audit: AuditLog, service: str, errors: ErrorTable, rules: Rules, *, reads: bool) -> None:
        self._audit = audit
        self._service = service
        self._errors = errors
        self._rules = rules
        self._reads = reads
        self._minute = 0.0
        self._refusals = 0

    @asynccontextmanager
    async def enter(self, call: Call) -> AsyncIterator[None]:
        """Write a line at the end of a call."""
        entry = _Entry()
        _entry.set(entry)
        code, reason = grpc.StatusCode.OK, ""
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            code = code_of_cancelled(call.method)
            raise
        except CallFailed as failed:
            code, reason = failed.code, from_status(failed.status)[0]
            raise
        except Exception as error:
            code, reason = outcome(error, self._errors)
            raise
        finally:
            if self._is_wanted(call, code, reason):
                self._write(call, entry, code, reason)

    def check(self, call: Call, request: Any) -> None:
        """Note the collection that a request names, or the first of several."""
        entry, rule = _entry.get(), self._rules.get(f"{call.service}.{call.method}")
        if entry is not None and entry.collection is None and rule is not None:
            found = next(rule.collections_of(request), None)
            entry.collection = None if found is None else cut(found, _NAME_CHARACTERS)

    def skips_overloaded(self, service: str, method: str) -> bool:
        """Return whether a call that is refused for overload gets no line; if there is no room for one, it counts."""
        self._begin_minute()
        if not _is_change(service, method):
            return not self._reads or service.startswith(_HOUSEKEEPING)
        if self._refusals < MOST_REFUSALS:
            return False
        self._refusals += 1
        return True

    def _is_wanted(self, call: Call, code: grpc.StatusCode, reason: str) -> bool:
        self._begin_minute()
        is_refused = code in _NO_RIGHT or reason in _BEYOND_LIMITS
        is_change = _is_change(call.service, call.method)
        if is_refused or (is_change and reason == OVERLOADED):
            self._refusals += 1
            return self._refusals <= MOST_REFUSALS
        return is_change or (self._reads and not call.service.startswith(_HOUSEKEEPING))

    def end(self) -> None:
        """Write how many refusals of the last minute had no line."""
        if self._refusals > MOST_REFUSALS:
            self._audit.write({"service": self._service, "refusals_without_line": self._refusals - MOST_REFUSALS})
        self._refusals = 0

    def _begin_minute(self) -> None:
        """Begin to count refusals anew if a minute is over."""
        now = time.monotonic()
        if now >= self._minute + _MINUTE:
            self.end()
            self._minute = now

    def _write(self, call: Call, entry: _Entry, code: grpc.StatusCode, reason: str) -> None:
        known = callers.current()
        caller = None if known is callers.UNKNOWN else known
        self._audit.write(
            {
                "service": self._service,
                "caller": caller.name if caller else None,
                "role": caller.role.name.lower() if caller else None,
                "peer": call.peer,
                "method": f"{call.service}/{call.method}",
                "collection": entry.collection,
                "outcome": code.name,
                "reason": reason,
                "trace_id": tracing.current_trace_id(),
            }
        )


def _is_change(service: str, method: str) -> bool:
    return not service.startswith(_HOUSEKEEPING) and not is_read(service, method)


@cache
def is_read(service: str, method: str) -> bool:
    """Return whether a method changes nothing, as its proto says."""
    try:
        found = descriptor_pool.Default().FindMethodByName(f"{service}.{method}")
    except KeyError:
        return False
    return bool(found.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS)
