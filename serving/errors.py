"""Translate domain errors to gRPC statuses with google.rpc details (AIP-193), in one place.

A domain raises its own exceptions and knows nothing about gRPC. Its service has one table, exception class →
`ErrorStatus`; a class is looked up along its MRO. An error that is not in the table is a bug of ours: it is logged once
with the call's trace id and answered as INTERNAL with that id, never with the exception's text. The caller's text that
an error quotes is shortened (`quoting`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import structlog
from google.rpc import status_pb2
from grpc_status import rpc_status
from semsearch.v1 import error_reason_pb2 as reasons

from serving import tracing
from serving.access import errors as access
from serving.admission import TooBusy
from serving.byte_budget import TooManyBytes
from serving.error_status import ErrorStatus, ErrorTable, FieldViolation, Quota, build, reason_name
from serving.quotas.errors import DayUsedUp, QuotaExceeded, RateExceeded, TooManyCalls
from serving.received_errors import from_status, reason_of

RETRY_SECONDS = 1.0
OVERLOADED = "OVERLOADED"
log = structlog.get_logger(__name__)


class InvalidField(Exception):
    """A field of the request is missing, malformed or out of range."""

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.description = description


class InvalidPageToken(Exception):
    """The page token was altered or belongs to another request."""

    def __init__(self) -> None:
        super().__init__(
            "The page token was altered or belongs to another request. "
            "Send it with the same fields as the call that returned it, or start again without it."
        )


def _exceeded(error: QuotaExceeded, reason: reasons.ErrorReason.ValueType) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        reason,
        retry_after_seconds=error.seconds,
        quota=Quota(error.subject, error.quota_id, error.limit),
        metadata={"quota": error.quota_id, "limit": str(error.limit)},
    )


def _plain(code: grpc.StatusCode, reason: reasons.ErrorReason.ValueType) -> Callable[[Any], ErrorStatus]:
    return lambda _: ErrorStatus(code, reason)


def _role_too_low(role: str, needed: str) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.PERMISSION_DENIED,
        reasons.ERROR_REASON_ROLE_TOO_LOW,
        metadata={"role": role, "needed_role": needed},
    )


def _not_of(collection: str) -> ErrorStatus:
    return ErrorStatus(
        grpc.StatusCode.PERMISSION_DENIED,
        reasons.ERROR_REASON_COLLECTION_NOT_ALLOWED,
        metadata={"collection": collection},
    )


class ShuttingDown(Exception):
    """The process shuts down, so it does not take the call, or ends it after it has `begun`."""

    # Less than a restart takes, since another server may be well; more than this server keeps its connections.
    retry_after_seconds = 0.5

    def __init__(self, *, begun: bool) -> None:
        did = "gave the call up" if begun else "did not take the call"
        super().__init__(
            f"The server is shutting down, so it {did}. Nothing that was acknowledged is lost. Try again in a moment: "
            "another server answers, or this one when it has started again."
        )
        self.begun = begun


_OWN: ErrorTable = {
    ShuttingDown: lambda error: ErrorStatus(
        grpc.StatusCode.UNAVAILABLE,
        reasons.ERROR_REASON_SHUTTING_DOWN,
        retry_after_seconds=error.retry_after_seconds,
        metadata={"begun": str(error.begun).lower()},
    ),
    InvalidField: lambda error: ErrorStatus(
        grpc.StatusCode.INVALID_ARGUMENT,
        reasons.ERROR_REASON_INVALID_FIELD,
        fields=(FieldViolation(error.field, error.description),),
    ),
    InvalidPageToken: lambda error: ErrorStatus(
        grpc.StatusCode.INVALID_ARGUMENT,
        reasons.ERROR_REASON_INVALID_PAGE_TOKEN,
        fields=(FieldViolation("page_token", str(error)),),
    ),
    access.TokenMissing: _plain(grpc.StatusCode.UNAUTHENTICATED, reasons.ERROR_REASON_TOKEN_MISSING),
    access.TokenUnknown: _plain(grpc.StatusCode.UNAUTHENTICATED, reasons.ERROR_REASON_TOKEN_UNKNOWN),
    access.TokenExpired: _plain(grpc.StatusCode.UNAUTHENTICATED, reasons.ERROR_REASON_TOKEN_EXPIRED),
    access.TokenChanged: _plain(grpc.StatusCode.UNAUTHENTICATED, reasons.ERROR_REASON_TOKEN_CHANGED),
    access.NoRole: lambda error: _role_too_low("", error.needed),
    access.TooManyCollections: lambda _: _not_of(""),
    access.RoleTooLow: lambda error: _role_too_low(error.role, error.needed),
    access.CollectionNotAllowed: lambda error: _not_of(error.collection),
    access.NotForSomeCollections: lambda _: _not_of(""),
    access.MethodClosed: _plain(grpc.StatusCode.PERMISSION_DENIED, reasons.ERROR_REASON_METHOD_CLOSED),
    TooManyBytes: lambda _: ErrorStatus(
        grpc.StatusCode.RESOURCE_EXHAUSTED, reasons.ERROR_REASON_OVERLOADED, retry_after_seconds=RETRY_SECONDS
    ),
    RateExceeded: lambda error: _exceeded(error, reasons.ERROR_REASON_RATE_EXCEEDED),
    DayUsedUp: lambda error: _exceeded(error, reasons.ERROR_REASON_QUOTA_USED_UP),
    TooManyCalls: lambda error: _exceeded(error, reasons.ERROR_REASON_TOO_MANY_CALLS),
    TooBusy: lambda error: ErrorStatus(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        reasons.ERROR_REASON_OVERLOADED,
        retry_after_seconds=RETRY_SECONDS,
        metadata={"lane": error.lane.value},
    ),
    TimeoutError: lambda _: ErrorStatus(grpc.StatusCode.DEADLINE_EXCEEDED, reasons.ERROR_REASON_DEADLINE_EXCEEDED),
}


def is_expected(error: BaseException, table: ErrorTable) -> bool:
    """Return whether an error is in the table, or among those that every service has."""
    return _lookup(error, table) is not None


def outcome(error: Exception, table: ErrorTable) -> tuple[grpc.StatusCode, str]:
    """Return the code and the reason of the status that an error becomes."""
    if isinstance(error, grpc.aio.AioRpcError):
        reason = reason_of(error)
        return (error.code(), reason) if reason else (grpc.StatusCode.UNAVAILABLE, "")
    translate = _lookup(error, table)
    if translate is None:
        return grpc.StatusCode.INTERNAL, reason_name(reasons.ERROR_REASON_INTERNAL)
    status = translate(error)
    return status.code, reason_name(status.reason)


def is_overloaded(error: Exception, table: ErrorTable) -> bool:
    """Return whether an error means that this process, or one behind it, is too busy for the call."""
    return outcome(error, table)[1] == OVERLOADED


def to_status(error: BaseException, table: ErrorTable) -> status_pb2.Status:
    """Translate an error to the status of an item in a response, or of a whole call.

    An error that is not in the table is logged here, once, with its traceback.
    """
    if isinstance(error, grpc.aio.AioRpcError):
        return _from_downstream(error)
    translate = _lookup(error, table)
    if translate is None:
        trace_id = tracing.current_trace_id()
        log.error("internal error", trace_id=trace_id, exc_info=error)
        return build(
            ErrorStatus(grpc.StatusCode.INTERNAL, reasons.ERROR_REASON_INTERNAL, metadata={"trace_id": trace_id}),
            "Something went wrong on our side. Nothing that was acknowledged is lost. "
            f"The log has more under trace id {trace_id}.",
        )
    return build(translate(error), str(error) or "The deadline passed before the work was finished.")


def _lookup(error: BaseException, table: ErrorTable) -> Callable[[Any], ErrorStatus] | None:
    for cls in type(error).__mro__:
        if translate := table.get(cls) or _OWN.get(cls):
            return translate
    return None


def _from_downstream(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """Return a downstream service's own status; one without meaning for the caller becomes UNAVAILABLE.

    So does CANCELLED, with which gRPC's servers end calls that arrive while they shut down. If our own caller cancels,
    the task is cancelled, and there is no such error.
    """
    status = rpc_status.from_call(error)
    if status is not None and from_status(status)[0]:
        return status
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        return build(
            ErrorStatus(error.code(), reasons.ERROR_REASON_DEADLINE_EXCEEDED),
            "The deadline passed before the work was finished.",
        )
    log.warning("dependency failed", code=error.code().name, details=error.details())
    return build(
        ErrorStatus(
            grpc.StatusCode.UNAVAILABLE,
            reasons.ERROR_REASON_DEPENDENCY_UNAVAILABLE,
            retry_after_seconds=RETRY_SECONDS,
        ),
        "A service that this one needs does not answer. It may be starting; try again in a moment.",
    )
