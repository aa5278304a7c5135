"""Large messages over HTTP: other calls are answered while one is read, written or compressed."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from connectrpc.compression.gzip import GzipCompression
from google.protobuf import json_format
from google.protobuf.message import Message
from semsearch.v1 import model_service_pb2 as pb

from gateway.web.rpcs import Rpcs
from serving.decoding import MAX_FIELDS
from serving.errors import InvalidField
from serving.gates import Call
from serving.http_bodies import MAX_JSON_VALUES
from tests.http_exchange import JSON, SECONDS, Answer, exchange, served
from tests.unit.gateway.web.test_rpcs import GET, PULL, STREAM, frame

SERVICE = pb.DESCRIPTOR.services_by_name["ModelService"]
# Long enough to be large also after it was compressed.
NAME = os.urandom(200_000).hex()
MOST_BYTES = 2**20
ZIPPED = {**JSON, "Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
ZIPPED_STREAM = {**STREAM, "Connect-Content-Encoding": "gzip", "Connect-Accept-Encoding": "gzip"}


class Servicer:
    """Answers with the name that it was asked for."""

    async def GetModel(self, request: pb.GetModelRequest, context: Any) -> pb.GetModelResponse:  # noqa: N802
        return pb.GetModelResponse(model=pb.Model(id=request.id))

    async def PullModel(self, request: pb.PullModelRequest, context: Any) -> AsyncIterator[pb.PullModelResponse]:  # noqa: N802
        yield pb.PullModelResponse(model=pb.Model(id=request.recipe))

    def __getattr__(self, name: str) -> Any:
        return self.GetModel


class Step:
    """A step that stops at the first large message, until it is released or would hold up a test for too long."""

    def __init__(self, where: Any, name: str, patch: pytest.MonkeyPatch) -> None:
        self.holds = False
        self.begun = threading.Event()
        self.released = threading.Event()
        usual = getattr(where, name)

        def held(*arguments: Any, **options: Any) -> Any:
            if not self.begun.is_set() and max(map(_size, arguments)) >= len(NAME) // 4:
                self.holds = True
                self.begun.set()
                self.released.wait(SECONDS / 4)
                self.holds = False
            return usual(*arguments, **options)

        patch.setattr(where, name, held)


def _size(value: Any) -> int:
    return value.ByteSize() if isinstance(value, Message) else len(value) if hasattr(value, "__len__") else 0


@asynccontextmanager
async def serving(*gates: Any) -> AsyncIterator[str]:
    async with served(Rpcs({SERVICE: Servicer()}, {}, MOST_BYTES, gates)) as (_, address), asyncio.timeout(SECONDS):
        yield address


def body(document: object, *, streamed: bool) -> bytes:
    content = gzip.compress(json.dumps(document).encode())
    return struct.pack(">BI", 1, len(content)) + content if streamed else content


def model_of(answer: Answer, *, streamed: bool) -> Any:
    length = struct.unpack(">BI", answer.body[:5])[1]
    return json.loads(gzip.decompress(answer.body[5 : 5 + length] if streamed else answer.body))["model"]


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "unary"])
@pytest.mark.parametrize(
    ("where", "name"),
    [
        (json_format, "Parse"),
        (json_format, "MessageToJson"),
        (GzipCompression, "decompress"),
        (GzipCompression, "compress"),
    ],
    ids=["read", "write", "decompress", "compress"],
)
async def test_other_calls_are_answered_meanwhile(
    where: Any, name: str, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, field, headers = (PULL, "recipe", ZIPPED_STREAM) if streamed else (GET, "id", ZIPPED)
    step = Step(where, name, monkeypatch)
    async with serving() as address:
        large = asyncio.create_task(exchange(address, path, headers, body({field: NAME}, streamed=streamed)))
        await asyncio.to_thread(step.begun.wait, SECONDS)
        small = await exchange(address, GET, JSON, b'{"id": "small"}')
        assert step.holds
        step.released.set()
        assert model_of(await large, streamed=streamed)["id"] == NAME
    assert small.document["model"]["id"] == "small"


async def test_a_call_that_is_refused_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        @asynccontextmanager
        async def enter(self, call: Call) -> AsyncIterator[None]:
            raise InvalidField("id", "is not wanted")
            yield

        def check(self, call: Call, request: Any) -> None:
            raise AssertionError("the request was read")

    step = Step(json_format, "Parse", monkeypatch)
    async with serving(Refusing()) as address:
        answers = [
            await exchange(address, GET, JSON, json.dumps({"id": NAME}).encode()),
            await exchange(address, PULL, STREAM, frame({"recipe": NAME})),
        ]
    assert not step.begun.is_set()
    assert all(b"is not wanted" in answer.body for answer in answers)


@pytest.mark.parametrize("size", [100, 100_000], ids=["small", "large"])
async def test_damaged_compression_is_refused_with_details(size: int) -> None:
    async with serving() as address:
        answer = await exchange(address, GET, ZIPPED, gzip.compress(os.urandom(size))[:-20])
    assert (answer.status, answer.document["code"]) == (400, "invalid_argument")
    assert answer.document["details"][0]["debug"]["reason"] == "INVALID_FIELD"


async def test_a_binary_message_of_too_many_fields_is_refused() -> None:
    content = b"\x0a\x00" * (MAX_FIELDS + 1)
    async with serving() as address:
        answer = await exchange(address, GET, {**ZIPPED, "Content-Type": "application/proto"}, gzip.compress(content))
    assert answer.status == 400
    assert f"more than {MAX_FIELDS:,} fields" in answer.document["message"]


async def test_more_bytes_than_a_message_may_have_are_refused_also_if_they_came_compressed() -> None:
    async with serving() as address:
        answer = await exchange(address, GET, ZIPPED, gzip.compress(b" " * MOST_BYTES + b"{}"))
    assert (answer.status, answer.document["code"]) == (429, "resource_exhausted")


@pytest.mark.parametrize("zipped", [False, True])
async def test_json_of_too_many_values_is_refused_before_it_is_parsed(
    zipped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[object] = []
    monkeypatch.setattr(json_format, "Parse", lambda *arguments: parsed.append(arguments))
    content = b'{"id": [' + b"0," * MAX_JSON_VALUES + b"0]}"
    async with serving() as address:
        answer = await exchange(address, GET, ZIPPED if zipped else JSON, gzip.compress(content) if zipped else content)
    assert answer.status == 400
    assert f"more than {MAX_JSON_VALUES:,} values" in answer.document["message"]
    assert parsed == []
