"""RPCs over HTTP, with servicers that do what a test needs."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import random
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from google.protobuf.descriptor_pb2 import MethodOptions
from semsearch.v1 import model_service_pb2 as pb
from typing_extensions import override

from gateway.settings import GatewaySettings
from gateway.web.application import web_application
from gateway.web.rpcs import Rpcs
from serving.byte_budget import ByteBudget
from serving.drain import Drain
from serving.gates import Gate
from serving.http_server import HttpLimits
from tests.connect_calls import public_methods
from tests.http_exchange import JSON, SECONDS, connected, exchange, served
from tests.unit.gateway.core import Core

SERVICE = pb.DESCRIPTOR.services_by_name["ModelService"]
GET = "/semsearch.v1.ModelService/GetModel"
PULL = "/semsearch.v1.ModelService/PullModel"
STREAM = {"Content-Type": "application/connect+json"}


class Servicer:
    """Answers in the way that the id names."""

    def __init__(self) -> None:
        self.waiting = asyncio.Semaphore(0)
        self.cancelled = asyncio.Event()

    async def GetModel(self, request: pb.GetModelRequest, context: Any) -> pb.GetModelResponse:  # noqa: N802
        if request.id == "slow":
            await self._wait()
        if request.id == "bug":
            raise RuntimeError("secret")
        return pb.GetModelResponse(model=pb.Model(id=request.id))

    async def PullModel(self, request: pb.PullModelRequest, context: Any) -> AsyncIterator[pb.PullModelResponse]:  # noqa: N802
        yield pb.PullModelResponse(bytes_done=1)
        if request.recipe == "slow":
            await self._wait()
        if request.recipe == "bug":
            raise RuntimeError("secret")

    async def _wait(self) -> None:
        self.waiting.release()
        try:
            await asyncio.Event().wait()
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.set()
            raise

    def __getattr__(self, name: str) -> Any:
        return self.GetModel


@asynccontextmanager
async def serving(*gates: Gate) -> AsyncIterator[tuple[Servicer, str]]:
    servicer = Servicer()
    async with served(Rpcs({SERVICE: servicer}, {}, 4 * 2**20, gates)) as (_, address), asyncio.timeout(SECONDS):
        yield servicer, address


def frame(document: object) -> bytes:
    content = json.dumps(document).encode()
    return struct.pack(">BI", 0, len(content)) + content


def frames(body: bytes) -> list[tuple[int, Any]]:
    found = []
    while body:
        flag, length = struct.unpack(">BI", body[:5])
        found.append((flag, json.loads(body[5 : 5 + length])))
        body = body[5 + length :]
    return found


@pytest.mark.parametrize(
    ("path", "headers", "body"), [(GET, JSON, b'{"id": "slow"}'), (PULL, STREAM, frame({"recipe": "slow"}))]
)
async def test_work_stops_when_its_caller_goes_away(path: str, headers: dict[str, str], body: bytes) -> None:
    async with serving() as (servicer, address):
        async with connected(address) as (_, writer):
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {headers['Content-Type']}\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await servicer.waiting.acquire()
        await servicer.cancelled.wait()


async def test_a_server_that_shuts_down_says_so() -> None:
    drain = Drain()
    async with serving(drain) as (servicer, address):
        calls = [
            asyncio.create_task(exchange(address, GET, JSON, b'{"id": "slow"}')),
            asyncio.create_task(exchange(address, PULL, STREAM, frame({"recipe": "slow"}))),
        ]
        for _ in calls:
            await servicer.waiting.acquire()
        drain.refuse()
        refused = await exchange(address, GET, JSON, b"{}")
        await drain.finish(0, SECONDS)
        cut, stream = await asyncio.gather(*calls)
    for answer, begun in (refused, "false"), (cut, "true"):
        assert (answer.status, answer.document["code"]) == (503, "unavailable")
        info, retry = (each["debug"] for each in answer.document["details"])
        assert (info["reason"], info["metadata"], retry) == (
            "SHUTTING_DOWN",
            {"begun": begun},
            {"retryDelay": "0.500s"},
        )
        assert answer.headers["Retry-After"] == "1"
    _, (flag, end) = frames(stream.body)
    assert (flag, end["error"]["details"][0]["debug"]["reason"]) == (2, "SHUTTING_DOWN")


@pytest.mark.parametrize(
    ("path", "method", "headers", "status", "said"),
    [
        (GET, "GET", {}, 400, "`message`"),
        (GET, "DELETE", {}, 405, "with POST"),
        (GET, "POST", {}, 415, "Content-Type: application/json"),
        (PULL, "POST", {}, 415, "Content-Type: application/connect+json"),
    ],
)
async def test_a_request_of_the_wrong_kind_is_told_what_to_send(
    path: str, method: str, headers: dict[str, str], status: int, said: str
) -> None:
    async with serving() as (_, address):
        answer = await exchange(address, path, headers, b"{}" if method == "POST" else b"", method=method)
    assert (answer.status, answer.document["code"]) == (status, "invalid_argument")
    assert said in answer.document["message"]


async def test_work_stops_at_its_deadline() -> None:
    async with serving() as (servicer, address):
        answer = await exchange(address, GET, {**JSON, "Connect-Timeout-Ms": "100"}, b'{"id": "slow"}')
        assert (answer.status, answer.document["code"]) == (504, "deadline_exceeded")
        await servicer.cancelled.wait()


async def test_an_internal_error_is_logged_once_and_answered_without_its_text() -> None:
    with structlog.testing.capture_logs() as logged:
        async with serving() as (_, address):
            answer = await exchange(address, GET, JSON, b'{"id": "bug"}')
    assert (answer.status, answer.document["code"]) == (500, "internal")
    assert "secret" not in answer.body.decode()
    [event] = [each for each in logged if each["log_level"] == "error"]
    assert answer.document["details"][0]["debug"]["metadata"]["trace_id"] == event["trace_id"]


async def test_a_stream_ends_with_its_status_after_its_messages() -> None:
    async with serving() as (_, address):
        done = await exchange(address, PULL, STREAM, frame({}))
        failed = await exchange(address, PULL, STREAM, frame({"recipe": "bug"}))
    assert frames(done.body) == [(0, {"bytesDone": "1"}), (2, {})]
    first, (flag, end) = frames(failed.body)
    assert (failed.status, first, flag) == (200, (0, {"bytesDone": "1"}), 2)
    assert end["error"]["code"] == "internal"
    assert end["error"]["details"][0]["debug"]["reason"] == "INTERNAL"


@pytest.mark.parametrize("cut", [1, 3, 4, 7])
async def test_grpc_web_text_may_come_in_pieces_that_are_padded_each(cut: int) -> None:
    message = pb.GetModelRequest(id="ten of clubs").SerializeToString()
    binary = struct.pack(">BI", 0, len(message)) + message
    text = base64.b64encode(binary[:cut]) + base64.b64encode(binary[cut:])
    async with serving() as (_, address):
        answer = await exchange(address, GET, {"Content-Type": "application/grpc-web-text+proto"}, text)
    assert answer.headers["Content-Type"] == "application/grpc-web-text+proto"
    # Each part of the answer is padded by itself too.
    parts = [part for part in answer.body.replace(b"=", b"= ").split(b" ") if part.strip(b"=")]
    decoded = b"".join(base64.b64decode(part.rstrip(b"=") + b"==") for part in parts)
    length = struct.unpack(">BI", decoded[:5])[1]
    assert pb.GetModelResponse.FromString(decoded[5 : 5 + length]).model.id == "ten of clubs"
    assert b"grpc-status: 0" in decoded[5 + length :].replace(b":0", b": 0")


async def test_text_that_is_no_base64_is_refused() -> None:
    async with serving() as (_, address):
        answer = await exchange(address, GET, {"Content-Type": "application/grpc-web-text"}, b"!!!!!!!!")
    trailers = base64.b64decode(answer.body)
    assert b"grpc-status" in trailers
    assert b"grpc-status: 0" not in trailers.replace(b":0", b": 0")


def test_methods_without_side_effects_stay_so() -> None:
    harmless = MethodOptions.NO_SIDE_EFFECTS
    methods = {each.name for each in public_methods() if each.GetOptions().idempotency_level == harmless}
    assert methods >= {
        "CountImages", "CountMatches", "DownloadImage", "FindDuplicates", "GetCollection", "GetImage", "GetMap",
        "GetModel", "ListCollections", "ListImages", "ListModels", "ListRecipes", "SearchByImage", "SearchByText",
        "SimilarWords", "StreamMap", "TagImage",
    }  # fmt: skip


PREFLIGHT = {
    "Origin": "https://photos.example",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type,connect-protocol-version",
}


@pytest.mark.parametrize(
    ("allowed", "may"),
    [("", False), ("https://photos.example", True), ("https://a.example, https://b.example:8443", False), ("*", True)],
)
async def test_other_pages_may_call_only_if_a_setting_says_so(core: Core, allowed: str, may: bool) -> None:
    settings = GatewaySettings(http_allowed_origins=allowed)
    app = web_application({SERVICE: Servicer()}, lambda: core.gallery, settings, ByteBudget(1), {})
    async with served(app) as (_, address):
        preflight = await exchange(address, GET, PREFLIGHT, method="OPTIONS")
        answer = await exchange(address, GET, {**JSON, "Origin": "https://photos.example"}, b'{"id": "a"}')
    assert (preflight.status == 200) is may
    for each in (preflight, answer):
        assert (each.headers["Access-Control-Allow-Origin"] in ("*", "https://photos.example")) is may
    assert answer.headers["Cross-Origin-Resource-Policy"] == ("cross-origin" if allowed else "same-origin")


async def test_an_internal_error_has_the_safe_headers_too(core: Core) -> None:
    class Broken(dict[str, bool]):
        @override
        def items(self) -> Any:
            raise RuntimeError("secret")

    async with served(web_application({}, lambda: core.gallery, GatewaySettings(), ByteBudget(1), Broken())) as (
        _,
        address,
    ):
        answer = await exchange(address, "/readyz")
    assert (answer.status, b"secret" in answer.body) == (500, False)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_not_ready_says_which_service(core: Core) -> None:
    app = web_application(
        {}, lambda: core.gallery, GatewaySettings(), ByteBudget(1), {"a.SearchService": False, "a.ModelService": True}
    )
    async with served(app) as (_, address):
        answer = await exchange(address, "/readyz")
    assert (answer.status, answer.document) == (503, {"ready": False, "not_ready": ["a.SearchService"]})


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("http_allowed_origins", "photos.example"),
        ("http_allowed_origins", "https://photos.example/path"),
        ("http_allowed_hosts", "https://photos.example"),
        ("http_allowed_hosts", "photos.example:8080"),
    ],
)
def test_an_origin_or_host_that_no_browser_sends_is_a_bad_setting(field: str, text: str) -> None:
    with pytest.raises(ValueError, match="such as"):
        GatewaySettings(**{field: text})  # type: ignore[arg-type]


METHODS = ["POST", "POST", "POST", "GET", "PUT", "OPTIONS", "HEAD"]
PATHS = [GET, PULL, f"{GET}/x", "/semsearch.v1.ModelService/", f"{GET}?encoding=json&message=%7B%7D"] + [
    f"{GET}?connect=v1&encoding={encoding}&message={message}&base64=1&compression=gzip"
    for encoding in ("json", "proto", "x", "")
    for message in ("", "%FF", "AAAA", "{")
]
HEADERS = {
    "Content-Type": [
        "application/json", "application/proto", "application/connect+json", "application/connect+proto",
        "application/grpc", "application/grpc-web", "application/grpc-web+json", "application/grpc-web+x",
        "application/grpc-web-text", "application/json; charset=latin-1", "x", "",
    ],
    "Content-Encoding": ["gzip", "br", ""],
    "Connect-Content-Encoding": ["gzip", "x"],
    "Connect-Timeout-Ms": ["-1", "0", "99999999999", "x"],
    "Grpc-Timeout": ["1S", "x", "", "999999999H"],
    "Connect-Protocol-Version": ["1", "2"],
    "traceparent": ["x", f"00-{'0' * 32}-{'1' * 16}-01"],
}  # fmt: skip
BODIES = [
    b"", b"{}", frame({}), b"\x02\0\0\0\2{}", b"\1\0\0\0\2{}", b"\0\xff\xff\xff\xff", b"\0\0\0", gzip.compress(b"{}"),
    base64.b64encode(b"\0\0\0\0\0"), b"====", bytes(range(256)),
]  # fmt: skip


async def test_no_request_is_answered_as_an_error_of_ours() -> None:
    chosen = random.Random(7)
    with structlog.testing.capture_logs() as logged:
        async with serving() as (_, address):
            for _ in range(200):
                headers = {name: chosen.choice(texts) for name, texts in HEADERS.items() if chosen.random() < 0.4}
                method, path, body = chosen.choice(METHODS), chosen.choice(PATHS), chosen.choice(BODIES)
                answer = await exchange(address, path, headers, body, method)
                assert answer.status < 500 or answer.status in (501, 504), (method, path, headers, body)
    assert not [each for each in logged if each["log_level"] in ("warning", "error")]


@pytest.mark.parametrize("zipped", [True, False], ids=["zipped", "plain"])
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "unary"])
async def test_messages_beyond_what_memory_may_hold_are_refused_with_details(streamed: bool, zipped: bool) -> None:
    servicer = Servicer()
    rpcs = Rpcs({SERVICE: servicer}, {}, 4 * 2**20)
    limits = HttpLimits(pending_bytes=4 * 2**20)  # half of it for one address
    path, encoding, headers = (
        (PULL, "Connect-Content-Encoding", STREAM) if streamed else (GET, "Content-Encoding", JSON)
    )

    def body(name: str) -> bytes:
        content = json.dumps({"recipe" if streamed else "id": name}).encode() + b" " * 2**20
        content = gzip.compress(content) if zipped else content
        return struct.pack(">BI", int(zipped), len(content)) + content if streamed else content

    headers = {**headers, **({encoding: "gzip"} if zipped else {})}
    async with served(rpcs, limits=limits) as (_, address), asyncio.timeout(SECONDS):
        slow = asyncio.create_task(exchange(address, path, headers, body("slow")))
        await servicer.waiting.acquire()
        answer = await exchange(address, path, headers, body("quick"))
        error = frames(answer.body)[-1][1]["error"] if streamed else answer.document
        assert (answer.status, error["code"]) == (200 if streamed else 429, "resource_exhausted")
        assert error["details"][0]["debug"]["reason"] == "OVERLOADED"
        assert streamed or answer.headers["Retry-After"] == "1"
        slow.cancel()
