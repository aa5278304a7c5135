"""What a status says that another service, or this one, has made."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from serving.error_status import DOMAIN

# The reason of `ShuttingDown`, as services see it in the status of a call.
SHUTTING_DOWN = "SHUTTING_DOWN"
# grpc.aio's own words, with INTERNAL, if a server ends a stream while a request is being sent. Where `servers_status`
# finds no other status, the server has probably ended.
STATUS_LOST = "Internal error from Core"


def from_status(status: status_pb2.Status) -> tuple[str, Mapping[str, str]]:
    """Return the reason and the metadata of a status that this suite made; ("", {}) for any other."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            return info.reason, dict(info.metadata)
    return "", {}


def reason_of(error: grpc.aio.AioRpcError) -> str:
    """Return the reason of a call's error; "" if this suite did not make the status."""
    status = rpc_status.from_call(error)
    return from_status(status)[0] if status is not None else ""


def is_end_of_server(error: grpc.aio.AioRpcError) -> bool:
    """Return whether a call may have failed because its server ended, by the server's own word or by gRPC's."""
    if reason := reason_of(error):
        return reason == SHUTTING_DOWN
    return error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED) or error.details() == STATUS_LOST


def has_not_begun(error: grpc.aio.AioRpcError) -> bool:
    """Return whether a server that shuts down says that it did nothing of a call."""
    status = rpc_status.from_call(error)
    reason, metadata = from_status(status) if status is not None else ("", {})
    return reason == SHUTTING_DOWN and metadata.get("begun") == "false"


def retry_delay_seconds(status: status_pb2.Status) -> float | None:
    """Return the retry delay of a status in seconds, or None."""
    for detail in status.details:
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return float(info.retry_delay.ToTimedelta().total_seconds())
    return None
