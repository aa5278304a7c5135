"""Statuses as the Connect protocol writes them, for RPCs and for everything else."""

from __future__ import annotations

import base64
import json
import math

from connectrpc.code import Code
from connectrpc.errors import ConnectError, ErrorDetail
from google.protobuf import any_pb2, json_format
from google.rpc import code_pb2, status_pb2
from protobuf import Message
from protobuf.wkt import Any as ConnectAny
from protobuf.wkt import Struct
from starlette.responses import JSONResponse, Response
from typing_extensions import override

from serving.received_errors import retry_delay_seconds

# Each code's name and HTTP status, as in the specification of the Connect protocol.
_CODES = {
    code_pb2.CANCELLED: (Code.CANCELED, 499),
    code_pb2.UNKNOWN: (Code.UNKNOWN, 500),
    code_pb2.INVALID_ARGUMENT: (Code.INVALID_ARGUMENT, 400),
    code_pb2.DEADLINE_EXCEEDED: (Code.DEADLINE_EXCEEDED, 504),
    code_pb2.NOT_FOUND: (Code.NOT_FOUND, 404),
    code_pb2.ALREADY_EXISTS: (Code.ALREADY_EXISTS, 409),
    code_pb2.PERMISSION_DENIED: (Code.PERMISSION_DENIED, 403),
    code_pb2.RESOURCE_EXHAUSTED: (Code.RESOURCE_EXHAUSTED, 429),
    code_pb2.FAILED_PRECONDITION: (Code.FAILED_PRECONDITION, 400),
    code_pb2.ABORTED: (Code.ABORTED, 409),
    code_pb2.OUT_OF_RANGE: (Code.OUT_OF_RANGE, 400),
    code_pb2.UNIMPLEMENTED: (Code.UNIMPLEMENTED, 501),
    code_pb2.INTERNAL: (Code.INTERNAL, 500),
    code_pb2.UNAVAILABLE: (Code.UNAVAILABLE, 503),
    code_pb2.DATA_LOSS: (Code.DATA_LOSS, 500),
    code_pb2.UNAUTHENTICATED: (Code.UNAUTHENTICATED, 401),
}
_NUMBERS = {name: number for number, (name, _) in _CODES.items()}


def connect_error(status: status_pb2.Status) -> ConnectError:
    """Return a status as an error of `connectrpc`."""
    return ConnectError(_CODES[status.code][0], status.message, [_Detail(each) for each in status.details])


def status_of(error: ConnectError) -> status_pb2.Status:
    """Return an error that `connectrpc` itself raised as a status."""
    return status_pb2.Status(code=_NUMBERS[error.code], message=error.message)


def failure_response(status: status_pb2.Status) -> Response:
    """Return the response to a failed request that is not an RPC."""
    code, http_status = _CODES[status.code]
    details = [
        {
            "type": detail.TypeName(),
            "value": base64.b64encode(detail.value).decode().rstrip("="),
            "debug": _readable(detail),
        }
        for detail in status.details
    ]
    document = {"code": code.value, "message": status.message, "details": details}
    return JSONResponse(document, http_status, retry_after(status))


def retry_after(status: status_pb2.Status) -> dict[str, str]:
    """Return the header that says when to try again, in whole seconds; none if the status does not say it."""
    seconds = retry_delay_seconds(status)
    return {} if seconds is None else {"Retry-After": str(math.ceil(seconds))}


class _Detail(ErrorDetail):
    """A detail with readable JSON, which `connectrpc` itself writes only for messages of its own runtime."""

    def __init__(self, detail: any_pb2.Any) -> None:
        super().__init__(ConnectAny(type_url=detail.type_url, value=detail.value))
        self._readable = _readable(detail)

    @override
    def value(self, *_: object) -> Message | None:  # type: ignore[override]
        """Return the detail as an object of JSON, which `connectrpc` writes beside the bytes."""
        return Struct.from_json(json.dumps(self._readable)) if self._readable else None


def _readable(detail: any_pb2.Any) -> dict[str, object]:
    """Return a detail's fields; none if its type is unknown here, as that of a newer service may be."""
    try:
        shown = json_format.MessageToDict(detail)
    except TypeError:
        return {}
    return {name: value for name, value in shown.items() if name != "@type"}
