"""A request over HTTP that is not an RPC, as the gates see it."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from serving.calls import Method
from serving.gates import Call


def call_of(method: Method, request: Request, headers: Mapping[str, str]) -> Call:
    """Return a request as a call of a method."""
    peer = f"{request.client.host}:{request.client.port}" if request.client else ""
    return Call(method.service, method.method, headers, peer)
