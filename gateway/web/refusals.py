"""Answers to requests that `connectrpc` would refuse without an explanation, or fail on."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers, QueryParams
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Scope

_UNARY = ("application/json", "application/proto")
_STREAMED = ("application/connect+json", "application/connect+proto")
_GRPC = "application/grpc"
_GRPC_WEB = "application/grpc-web"
_HOW_TO_CALL = "Send JSON with the header Content-Type: application/json."
_HOW_TO_GET = "A GET has its request in the parameters `encoding`, which is json, and `message`. Or send it with POST."
_METHODS = "Send the request with POST. Reads may be sent with GET."
_HOW_TO_STREAM = (
    "This method streams: send messages in frames of the Connect protocol, with the header Content-Type: "
    "application/connect+json."
)
_NO_GRPC = "This port speaks Connect and gRPC-Web. gRPC itself has a port of its own.\n"


def refusal(scope: Scope, streams: Mapping[str, bool]) -> Response | None:
    """Return the refusal of a request, or None; `streams` has the path of each method, and whether it streams."""
    if not _is_utf8(scope):
        return PlainTextResponse("The request's headers and address must be UTF-8.\n", 400)
    path = scope["path"]
    content_type = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
    if path not in streams:
        return _no_such_method(path, streams, content_type)
    if content_type.startswith(_GRPC) and not content_type.startswith(_GRPC_WEB):
        return PlainTextResponse(_NO_GRPC, 415)
    if scope["method"] == "GET":
        parameters = QueryParams(scope["query_string"])
        return None if "message" in parameters and "encoding" in parameters else _refused(_HOW_TO_GET, 400)
    if scope["method"] != "POST":
        return _refused(_METHODS, 405, {"Allow": "GET, POST"})
    known = content_type.startswith(_GRPC_WEB) or content_type in (_STREAMED if streams[path] else _UNARY)
    return None if known else _refused(_HOW_TO_STREAM if streams[path] else _HOW_TO_CALL, 415)


def _refused(message: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"code": "invalid_argument", "message": message}, status, headers)


def _is_utf8(scope: Scope) -> bool:
    try:
        for _, value in scope["headers"]:
            value.decode()
        scope["query_string"].decode()
    except UnicodeDecodeError:
        return False
    return True


def _no_such_method(path: str, streams: Mapping[str, bool], content_type: str) -> Response:
    service, _, name = path.rpartition("/")
    others = ", ".join(sorted(each.rpartition("/")[2] for each in streams if each.startswith(f"{service}/")))
    message = f'{service.lstrip("/")} has no method "{name}". It has {others}.'
    if content_type.startswith(_GRPC):  # its clients do not expect an error in JSON
        return PlainTextResponse(f"{message}\n", 404)
    return JSONResponse({"code": "unimplemented", "message": message}, 404)
