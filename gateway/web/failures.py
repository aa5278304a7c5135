"""Errors outside RPCs, written as the Connect protocol writes those of RPCs."""

from __future__ import annotations

import base64

from google.protobuf import json_format
from google.protobuf.any_pb2 import Any
from google.rpc import code_pb2, status_pb2
from starlette.responses import JSONResponse, Response

# As in the specification of the Connect protocol; every other code is 500.
_HTTP_STATUSES = {
    code_pb2.CANCELLED: 499,
    code_pb2.INVALID_ARGUMENT: 400,
    code_pb2.DEADLINE_EXCEEDED: 504,
    code_pb2.NOT_FOUND: 404,
    code_pb2.ALREADY_EXISTS: 409,
    code_pb2.PERMISSION_DENIED: 403,
    code_pb2.RESOURCE_EXHAUSTED: 429,
    code_pb2.FAILED_PRECONDITION: 400,
    code_pb2.ABORTED: 409,
    code_pb2.OUT_OF_RANGE: 400,
    code_pb2.UNIMPLEMENTED: 501,
    code_pb2.UNAVAILABLE: 503,
    code_pb2.UNAUTHENTICATED: 401,
}


def failure_response(status: status_pb2.Status) -> Response:
    """Return the response of a request that failed."""
    content = {
        "code": "canceled" if status.code == code_pb2.CANCELLED else code_pb2.Code.Name(status.code).lower(),
        "message": status.message,
        "details": [_detail(each) for each in status.details],
    }
    return JSONResponse(content, _HTTP_STATUSES.get(status.code, 500))


def _detail(detail: Any) -> dict[str, object]:
    shown = json_format.MessageToDict(detail)
    del shown["@type"]
    value = base64.b64encode(detail.value).decode().rstrip("=")
    return {"type": detail.TypeName(), "value": value, "debug": shown}
