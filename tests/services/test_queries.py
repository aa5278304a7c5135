"""Queries as people type them, through a real embedder, index and gateway: answers and errors."""

from __future__ import annotations

import io
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from PIL import Image
from semsearch import Client, UnderstoodTerm
from semsearch.v1 import query_pb2
from semsearch.v1 import search_service_pb2 as pb
from semsearch.v1 import search_service_pb2_grpc as pb_grpc

from tests.bundles import INPUT_SIZE, write_test_bundle
from tests.services.client_stack import semsearch
from tests.services.embedder_process import embedder_process
from tests.services.service_process import Refusal, service_process

INVALID = grpc.StatusCode.INVALID_ARGUMENT
DEADLINE = 60.0
MOST_BYTES = 4_096  # of a status: clients and proxies accept 8 kB of headers and trailers together


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a gateway that serves the words of the test bundle, when they are indexed."""
    data = tmp_path_factory.mktemp("data")
    with (
        embedder_process(data, write_test_bundle(tmp_path_factory.mktemp("bundle"), tflite=True)) as embedder,
        service_process("index_service", data) as index,
        service_process("gateway", data, f"--embedder={embedder.address}", f"--index={index.address}") as gateway,
    ):
        with grpc.insecure_channel(gateway.address) as channel:
            for state in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=DEADLINE):
                if state.status == health_pb2.HealthCheckResponse.SERVING:
                    break
        yield gateway.address


@pytest.fixture(scope="module")
def stub(server: str) -> Iterator[pb_grpc.SearchServiceStub]:
    with grpc.insecure_channel(server) as channel:
        yield pb_grpc.SearchServiceStub(channel)


def noise(seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (INPUT_SIZE, INPUT_SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def meaning(terms: object) -> list[tuple[list[str], float]]:
    return [(list(term.words), term.weight) for term in terms]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("query", "understood"),
    [
        ("show me a photo of a dog", [(["dog"], 1)]),
        ("“sports car” –red", [(["sports car"], 1), (["red"], -1)]),
        ("dog NOT golden retriever", [(["dog"], 1), (["golden retriever"], -1)]),
        ("the", [(["the"], 1)]),
    ],
)
def test_answers_state_how_a_query_was_understood(
    stub: pb_grpc.SearchServiceStub, query: str, understood: list[tuple[list[str], float]]
) -> None:
    by_text = stub.SearchByText(pb.SearchByTextRequest(query=query), timeout=DEADLINE)
    assert meaning(by_text.understood) == understood
    similar = stub.SimilarWords(pb.SimilarWordsRequest(query=query), timeout=DEADLINE)
    assert meaning(similar.understood) == understood
    assert not {word for words, _ in understood for word in words} & {each.word for each in similar.words}


def test_words_beside_an_image_are_understood_together(stub: pb_grpc.SearchServiceStub) -> None:
    terms = [query_pb2.Term(text=text) for text in ("a", "golden", "retriever")]
    terms.append(query_pb2.Term(text="the red", weight=-0.5))
    request = pb.SearchByImageRequest(content=noise(1), terms=terms)
    answer = stub.SearchByImage(request, timeout=DEADLINE)
    assert meaning(answer.understood) == [(["golden retriever"], 1), (["red"], -0.5)]
    assert not stub.SearchByImage(pb.SearchByImageRequest(content=noise(1)), timeout=DEADLINE).understood


def test_a_label_is_scored_like_a_query(stub: pb_grpc.SearchServiceStub) -> None:
    labels = ["dog", "a photo of a dog", "a picture of the “dog”", "#dog"]
    tags = stub.TagImage(pb.TagImageRequest(content=noise(1), labels=labels), timeout=DEADLINE).tags
    assert {tag.word for tag in tags} == set(labels)
    assert len({(tag.distance, tag.similarity, tag.relevance) for tag in tags}) == 1


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("犬" * 805, "UNKNOWN_WORDS"),
        (" ".join(f"犬{n:x}" * 5 for n in range(100)), "UNKNOWN_WORDS"),
        ("𠀀" * 2_000, "UNKNOWN_WORDS"),
        ("dog^" + "9" * 1_900, "INVALID_FIELD"),
        ("犬" * 1_900 + "^0", "INVALID_FIELD"),
        ("dog " * 5_000, "QUERY_TOO_LONG"),
    ],
    ids=["one long word", "many words", "astral", "a long weight", "a weight of a long word", "too long"],
)
def test_an_error_about_a_long_query_fits_into_trailers(
    stub: pb_grpc.SearchServiceStub, query: str, reason: str
) -> None:
    for call, request in (
        (stub.SearchByText, pb.SearchByTextRequest(query=query)),
        (stub.SimilarWords, pb.SimilarWordsRequest(query=query)),
        (stub.TagImage, pb.TagImageRequest(content=noise(1), labels=[query])),
    ):
        with pytest.raises(grpc.RpcError) as raised:
            call(request, timeout=DEADLINE)
        refusal = Refusal.of(raised.value)
        assert (refusal.code, refusal.reason) == (INVALID, reason)
        status = rpc_status.from_call(raised.value)
        assert len(status.message.encode()) * 3 + status.ByteSize() * 4 / 3 < MOST_BYTES


@pytest.mark.parametrize("query", ["dog^nan", "dog^inf", "dog^-1", "dog^abc", "dog^0 cat"])
def test_an_invalid_weight_is_an_error_in_the_query(stub: pb_grpc.SearchServiceStub, query: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        stub.SearchByText(pb.SearchByTextRequest(query=query), timeout=DEADLINE)
    refusal = Refusal.of(raised.value)
    assert (refusal.code, refusal.reason, refusal.fields) == (INVALID, "INVALID_FIELD", ("query",))
    assert 'The weight of "dog" is' in refusal.message


def test_the_client_returns_how_a_query_was_understood(server: str) -> None:
    with Client(server) as client:
        found = client.search_by_text("sofas without a dog")
    assert found.understood == (UnderstoodTerm("sofas", ("sofa",), 1.0), UnderstoodTerm("dog", ("dog",), -1.0))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["dog", "NOT", "cat"], "understood: dog − cat"),
        (["dog –cat"], "understood: dog − cat"),
        (["street without red boats"], "understood: street − red boats"),
        (["dog", "sports_car^2"], "understood: dog + sports car^2"),
        (["a photo of a dog"], ""),
        (["dog", "-cat"], ""),
        (["Dog", "-Sports  Car"], ""),
        (["sports car", "dog^0.5"], ""),
    ],
    ids=str,
)
def test_the_command_explains_unusual_queries(server: str, arguments: list[str], expected: str) -> None:
    for command in ("search", "words"):
        done = semsearch(server, command, *arguments)
        assert done.status == 0
        assert [line for line in done.err.splitlines() if line.startswith("understood")] == (
            [expected] if expected else []
        )
        assert semsearch(server, command, "--json", *arguments).document["understood"]
