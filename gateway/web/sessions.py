"""Log in and out at the page, with a token.

    POST /session     with a token in the header `authorization`: {"caller": "ann", "role": "read"}, and a cookie
    DELETE /session   removes the cookie

The page offers what the role allows. It sends its token with each RPC. A browser fetches an image by itself, without
that header, so it gets a cookie too. The cookie is for images only: nothing that changes anything accepts it, so
another page that makes a browser send it achieves nothing. No script can read it, and the browser forgets it when it is
closed.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.access import LOG_IN
from gateway.api.statuses import ERRORS
from gateway.web.failures import failure_response
from gateway.web.http_calls import call_of
from serving import callers
from serving.access.bearer import HEADER, bearer_token, with_token
from serving.calls import CallFailed, Method
from serving.gates import Gate

COOKIE = "semsearch_session"
IMAGES = "/images"


def session_routes(gates: Sequence[Gate]) -> list[Route]:
    """Return the routes."""
    method = Method(*LOG_IN, ERRORS, gates)

    async def log_in(request: Request) -> Response:
        call = call_of(method, request, dict(request.headers))
        try:
            async with method.call(call):
                caller = callers.current()
        except CallFailed as failed:
            return failure_response(failed.status)
        response = JSONResponse({"caller": caller.name, "role": caller.role.name.lower()})
        if token := bearer_token(call.metadata):
            response.set_cookie(
                COOKIE, token, path=IMAGES, secure=request.url.scheme == "https", httponly=True, samesite="strict"
            )
        return response

    async def log_out(_: Request) -> Response:
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, path=IMAGES)
        return response

    return [Route("/session", log_in, methods=["POST"]), Route("/session", log_out, methods=["DELETE"])]


def with_session(request: Request) -> dict[str, str]:
    """Return a request's headers; the cookie's token is in place of one that is missing."""
    headers = dict(request.headers)
    if HEADER not in headers and (token := request.cookies.get(COOKIE)):
        headers.update([with_token(token)])
    return headers
