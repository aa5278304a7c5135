"""HTTP in front of a real gateway: every RPC answers as it does over gRPC."""

from __future__ import annotations

import base64
import gzip
import json
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from urllib.parse import quote

import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import search_service_pb2 as search

from tests.connect_calls import WAYS, Outcome, call, public_methods
from tests.http_exchange import JSON, exchange
from tests.services.gateway_stack import CALL_SECONDS, Stack, image, stack
from tests.services.test_gateway_bad_input import CASES, Case
from tests.unit.gateway.doubles import picture, sha256

__all__ = ["stack"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

METHODS = list(public_methods())
RED = picture("red")
SEARCH = "/semsearch.v1.SearchService/SearchByText"


async def over_grpc(stack: Stack, method: MethodDescriptor, requests: Sequence[Message]) -> Outcome:
    async def each() -> AsyncIterator[Message]:
        for request in requests:
            yield request

    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    calling = getattr(stack.channel, kind)(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    responses: list[Message] = []
    try:
        ongoing = calling(each() if method.client_streaming else requests[0], timeout=CALL_SECONDS)
        if method.server_streaming:
            async for response in ongoing:
                responses.append(response)  # noqa: PERF401 — those before an error count
        else:
            responses.append(await ongoing)
    except grpc.aio.AioRpcError as error:
        details = [(each.TypeName(), each.value) for each in rpc_status.from_call(error).details]
        return Outcome(responses, error.code().name.lower(), error.details() or "", details)
    return Outcome(responses)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_an_empty_request_of_every_method_ends_as_over_grpc(
    stack: Stack, method: MethodDescriptor, way: str
) -> None:
    requests = [] if method.client_streaming else [GetMessageClass(method.input_type)()]
    over_http, expected = await call(stack.http, way, method, requests), await over_grpc(stack, method, requests)
    if method.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS:  # the second call finds another state
        over_http, expected = replace(over_http, responses=()), replace(expected, responses=())
    assert over_http == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_bad_input_is_refused_with_the_same_words_and_details(stack: Stack, case: Case) -> None:
    method = next(each for each in METHODS if each.input_type.full_name == case.request.DESCRIPTOR.full_name)
    over_http = await call(stack.http, "Connect, binary", method, [case.request])
    assert over_http == await over_grpc(stack, method, [case.request])
    assert over_http.details


@pytest.mark.parametrize("way", WAYS)
async def test_images_are_streamed_in_and_out(stack: Stack, way: str) -> None:
    name = await stack.new_collection()
    methods = {each.name: each for each in METHODS}
    requests = [
        gallery.IndexImagesRequest(config=gallery.IndexImagesConfig(collection=name)),
        *(gallery.IndexImagesRequest(image=image(n, picture("blue", seed=n), f"id-{n}")) for n in range(3)),
    ]
    added = await call(stack.http, way, methods["IndexImages"], requests)
    assert added.code == "ok"
    assert [result.id for response in added.responses for result in response.results] == ["id-0", "id-1", "id-2"]  # type: ignore[attr-defined]
    read = await call(
        stack.http, way, methods["DownloadImage"], [gallery.DownloadImageRequest(id="id-1", collection=name)]
    )
    assert b"".join(response.chunk for response in read.responses) == picture("blue", seed=1)  # type: ignore[attr-defined]


@pytest.mark.parametrize("way", WAYS)
async def test_a_streams_message_beyond_the_largest_is_refused(stack: Stack, way: str) -> None:
    name = await stack.new_collection()
    indexing = next(each for each in METHODS if each.name == "IndexImages")
    requests = [
        gallery.IndexImagesRequest(config=gallery.IndexImagesConfig(collection=name)),
        gallery.IndexImagesRequest(image=image(1, RED, "kept")),
        gallery.IndexImagesRequest(image=image(2, bytes(65 * 2**20))),
    ]
    assert (await call(stack.http, way, indexing, requests)).code == "resource_exhausted"


async def test_json_adds_finds_and_shows_an_image(stack: Stack) -> None:
    name = await stack.new_collection()
    upload = {"content": base64.b64encode(RED).decode(), "id": "my red", "attributes": {"album": "colours"}}
    added = await exchange(
        stack.http,
        "/semsearch.v1.GalleryService/BatchIndexImages",
        JSON,
        json.dumps({"collection": name, "images": [upload, {"content": "AAAA"}]}).encode(),
    )
    assert added.status == 200
    first, second = added.document["results"]
    assert first == {"id": "my red"}
    assert second["status"]["details"][0]["reason"] == "NOT_AN_IMAGE"

    found = await exchange(stack.http, SEARCH, JSON, json.dumps({"query": "red", "collection": name}).encode())
    [match] = found.document["matches"]
    assert match["image"]["attributes"] == {"album": "colours"}

    original = f"/images/{name}/{quote('my red')}/original?v={match['image']['sha256'][:16]}"
    shown = await exchange(stack.http, original)
    assert (shown.body, shown.headers["Content-Type"]) == (RED, "image/png")
    assert "immutable" in shown.headers["Cache-Control"]
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert shown.headers["ETag"] == f'"{sha256(RED)}"'


async def test_a_question_without_effects_can_be_asked_by_get(stack: Stack) -> None:
    message = quote(json.dumps({"query": "red", "pageSize": 1}))
    answer = await exchange(stack.http, f"{SEARCH}?connect=v1&encoding=json&message={message}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    deleting = "/semsearch.v1.GalleryService/DeleteCollection?connect=v1&encoding=json&message={}"
    assert (await exchange(stack.http, deleting)).status == 405


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"quer": "red"}', '"quer"'),
        (b'{"query": 1}', "query"),
        (b'"red"', "cannot be decoded"),
        (b'{"filter": ' + b'{"a": ' * 5_000 + b"}" * 5_001, "cannot be decoded"),
        (b"\xff", "cannot be decoded"),
    ],
)
async def test_json_that_is_no_request_is_refused_with_its_problem(stack: Stack, body: bytes, said: str) -> None:
    answer = await exchange(stack.http, SEARCH, JSON, body)
    assert (answer.status, answer.document["code"]) == (400, "invalid_argument")
    assert said in answer.document["message"]
    assert answer.document["details"][0]["debug"]["reason"] == "INVALID_FIELD"


async def test_grpc_web_in_text_is_the_binary_form_in_base64(stack: Stack) -> None:
    message = search.SimilarWordsRequest(query="red", page_size=1).SerializeToString()
    body = base64.b64encode(struct.pack(">BI", 0, len(message)) + message)
    answer = await exchange(
        stack.http, "/semsearch.v1.SearchService/SimilarWords", {"Content-Type": "application/grpc-web-text"}, body
    )
    assert answer.headers["Content-Type"].startswith("application/grpc-web-text")
    frames = base64.b64decode(answer.body.replace(b"=", b"")[: len(answer.body)] + b"==", validate=False)
    flag, length = struct.unpack(">BI", frames[:5])
    assert flag == 0
    assert search.SimilarWordsResponse.FromString(frames[5 : 5 + length]).words


async def test_requests_and_responses_may_be_compressed(stack: Stack) -> None:
    packed = {**JSON, "Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    answer = await exchange(stack.http, SEARCH, packed, gzip.compress(b'{"query": "red"}'))
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "unknownWords" not in json.loads(gzip.decompress(answer.body))


async def test_a_request_beyond_the_largest_message_is_refused_even_if_it_is_packed_small(stack: Stack) -> None:
    body = gzip.compress(b'{"query": "' + b"a" * (65 * 2**20) + b'"}', compresslevel=1)
    answer = await exchange(stack.http, SEARCH, {**JSON, "Content-Encoding": "gzip"}, body)
    assert (answer.status, answer.document["code"]) == (429, "resource_exhausted")


async def test_the_deadline_of_a_call_bounds_what_is_done_for_it(stack: Stack) -> None:
    body = json.dumps({"query": "red blue green white"}).encode()
    await exchange(stack.http, SEARCH, {**JSON, "Connect-Timeout-Ms": "4321"}, body)
    assert 0 < stack.embedder.deadlines[-1] < 4.4


async def test_what_cannot_be_called_is_said(stack: Stack) -> None:
    missing = await exchange(stack.http, "/semsearch.v1.SearchService/Serch", JSON, b"{}")
    assert (missing.status, missing.document["code"]) == (404, "unimplemented")
    assert "SearchByText" in missing.document["message"]
    for headers, said in (
        ({"Content-Type": "application/grpc"}, b"gRPC"),
        ({"Content-Type": "text/plain"}, b"application/json"),
    ):
        answer = await exchange(stack.http, SEARCH, headers, b"{}")
        assert answer.status == 415
        assert said in answer.body
    streamed = await exchange(stack.http, "/semsearch.v1.GalleryService/DownloadImage", JSON, b"{}")
    assert streamed.status == 415
    assert b"application/connect+json" in streamed.body
    strange = await exchange(stack.http, SEARCH, {**JSON, "X-Name": "\xe4"}, b"{}")
    assert strange.status == 400


async def test_health_names_what_is_not_ready(stack: Stack) -> None:
    assert (await exchange(stack.http, "/healthz")).status == 200
    ready = await exchange(stack.http, "/readyz")
    assert (ready.status, ready.document) == (200, {"ready": True, "not_ready": []})
    rebound = await exchange(stack.http, "/healthz", {"Host": "evil.example"})
    assert rebound.status == 421
