"""Translate errors of calls to other services into errors of the gateway's core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import grpc.aio
import structlog
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from gateway import errors
from gateway.backends import refusals
from gateway.backends.refusals import Refusal, Refused, Violation
from gateway.errors import DependencyUnavailable
from serving.received_errors import SHUTTING_DOWN, from_status, retry_delay_seconds

log = structlog.get_logger(__name__)

_BY_REASON: dict[str, type[Refused]] = {
    "OVERLOADED": refusals.Overloaded,
    "UNKNOWN_WORDS": refusals.UnknownWords,
    "INVALID_CROP": refusals.InvalidCrop,
    "MODEL_NOT_FOUND": refusals.ModelNotFound,
    "INDEX_NOT_FOUND": refusals.IndexNotFound,
    "INDEX_EXISTS": refusals.IndexExists,
    "SNAPSHOT_ENDED": refusals.SnapshotEnded,
    "MODEL_MISMATCH": refusals.ModelMismatch,
    # From the index only: the embedder has no pages.
    "INVALID_PAGE_TOKEN": refusals.PositionOutOfDate,
    "RECORD_CHANGED": refusals.RecordChanged,
}


# How the last call to a service failed, as long as none succeeds; of the process, as its log is.
_failing: dict[str, grpc.StatusCode] = {}


@contextmanager
def calls_to(service: str) -> Iterator[None]:
    """Translate a call's errors into the core's; `service` is the service's name in messages.

    A service that does not answer is logged once, until it does.

    Raises:
        Refused: The service gave a reason.
        OwnerChanged: The reason is that this process is not the owner any more.
        TimeoutError: The deadline passed.
        DependencyUnavailable: The service gave no usable reason, or shuts down.
    """
    try:
        yield
        _answered(service)
    except grpc.aio.AioRpcError as error:
        status = rpc_status.from_call(error)
        reason = from_status(status)[0] if status is not None else ""
        if reason and reason != SHUTTING_DOWN:
            _answered(service)
        if reason == "LEASE_LOST":
            raise errors.OwnerChanged from error
        if status is not None and reason and reason != SHUTTING_DOWN:
            raise refused(status) from error
        if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
            raise TimeoutError(f"The {service} did not answer within the deadline.") from error
        if _failing.get(service) is not error.code():
            _failing[service] = error.code()
            log.warning("call failed", service=service, code=error.code().name, details=error.details())
        raise DependencyUnavailable(service) from error


def _answered(service: str) -> None:
    if _failing.pop(service, None):
        log.info("calls succeed again", service=service)


def refused(status: status_pb2.Status) -> Refused:
    """Return the error for a status of another service, for a call or one of its items."""
    reason, metadata = from_status(status)
    violations: list[Violation] = []
    for detail in status.details:
        bad_request = error_details_pb2.BadRequest()
        if detail.Unpack(bad_request):
            violations += [Violation(each.field, each.description) for each in bad_request.field_violations]
    return _BY_REASON.get(reason, Refused)(
        Refusal(status.message, status.code, reason, metadata, tuple(violations), retry_delay_seconds(status))
    )
