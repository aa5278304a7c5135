"""The target that sends any HTTP requests to the gateway's application; no answer may be an error of ours."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from semsearch.v1 import gallery_service_pb2, search_service_pb2
from starlette.types import ASGIApp

from gateway.api.gallery_servicer import GalleryServicer
from gateway.api.search_servicer import SearchServicer
from gateway.settings import GatewaySettings
from gateway.web.application import web_application
from serving.byte_budget import ByteBudget
from serving.page_tokens import PageTokens
from tests.fuzz.event_loop import finish
from tests.fuzz.filled_core import filled_core
from tests.fuzz.made_messages import ByteChoices
from tests.fuzz.target import Target

_SEARCH = search_service_pb2.DESCRIPTOR.services_by_name["SearchService"]
_GALLERY = gallery_service_pb2.DESCRIPTOR.services_by_name["GalleryService"]
_PATHS = [
    *(f"/{service.full_name}/{method.name}" for service in (_SEARCH, _GALLERY) for method in service.methods),
    f"/{_SEARCH.full_name}/Nothing",
    "/images/id-0",
    "/collections/gallery/images/id-0",
    "/collections/gallery/images/id-0/thumbnail",
    "/healthz",
    "/readyz",
    "/",
    "/assets/../../settings.py",
]
_TYPES = [
    b"application/json",
    b"application/proto",
    b"application/connect+json",
    b"application/connect+proto",
    b"application/grpc-web+proto",
    b"application/grpc-web-text",
    b"application/grpc",
]
_HEADERS = [
    (b"content-encoding", b"gzip"),
    (b"connect-timeout-ms", b"1000"),
    (b"grpc-timeout", b"1S"),
    (b"range", b"bytes=0-1"),
    (b"accept-encoding", b"gzip"),
    (b"connect-protocol-version", b"1"),
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    (b"if-none-match", b'"x"'),
]


_SECONDS = 30.0


@cache
def _application() -> ASGIApp:
    folder = Path(tempfile.mkdtemp(prefix="semsearch-fuzz-"))
    core = finish(filled_core(folder))
    tokens, downloads = PageTokens(lambda: b"k" * 32), ByteBudget(2**20)
    servicers = {
        _SEARCH: SearchServicer(core.search, core.counting, core.tagging, tokens),
        _GALLERY: GalleryServicer(core.gallery, core.duplicates, core.ingest, core.collections, tokens, downloads),
    }
    return web_application(servicers, lambda: core.gallery, GatewaySettings(), downloads, {}, page=folder)


def request(content: bytes) -> None:
    """Send one request, made of the bytes; it must be answered, and not as an error of ours."""
    choices = ByteChoices(content)
    path = _one(choices, _PATHS) if choices.number(0, 7) else "/" + choices.text()
    headers = []
    if choices.number(0, 7):
        headers.append((b"content-type", _one(choices, _TYPES)))
    for _ in range(choices.number(0, 3)):
        name, value = _one(choices, _HEADERS)
        headers.append((name, value if choices.number(0, 1) else choices.content()))
    method = _one(choices, ["POST", "GET", "HEAD", "OPTIONS", "PUT"])
    query = choices.content() if choices.number(0, 1) else b""
    status, body = send(method, path, query, headers, choices.rest)
    assert status not in (0, 500), body


def send(
    method: str, path: str, query: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes
) -> tuple[int, bytes]:
    """Return the status and the body of the answer to a request; the status is 0 without an answer."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": [(b"host", b"localhost"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }
    return finish(_answer(_application(), scope, body))


async def _answer(application: ASGIApp, scope: dict[str, Any], body: bytes) -> tuple[int, bytes]:
    incoming: list[dict[str, object]] = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> dict[str, object]:
        if incoming:
            return incoming.pop()
        await asyncio.Event().wait()  # the client stays
        raise AssertionError

    async def keep(message: Any) -> None:
        sent.append(message)

    async with asyncio.timeout(_SECONDS):
        await application(scope, receive, keep)
    statuses = [message["status"] for message in sent if message["type"] == "http.response.start"]
    return (statuses or [0])[0], b"".join(message.get("body", b"") for message in sent)


def _one(choices: ByteChoices, values: list[Any]) -> Any:
    return values[choices.number(0, len(values) - 1)]


def _seeds() -> list[bytes]:
    body = json.dumps({"query": "red", "pageSize": 2}).encode()
    framed = b"\x00" + len(body).to_bytes(4, "big") + body
    return [
        bytes([1, path, 1, kind, 0, 0, 0]) + each for path in range(12) for kind in range(4) for each in (body, framed)
    ]


TARGETS = {"connect": Target(request, _seeds, max_bytes=2_048)}
