"""EmbedderService over real gRPC: its results, and its answers to bad input."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image
from semsearch.embedder.v1 import embedder_service_pb2 as pb
from semsearch.v1 import query_pb2

from model.bundle.reading import open_bundle, peek
from tests.bundles import INPUT_SIZE, WORDS, write_test_bundle
from tests.services.embedder_process import EmbedderProcess, embedder_process
from tests.services.packed_vectors import unpacked
from tests.services.service_process import Refusal, command, environment, reason

INVALID = grpc.StatusCode.INVALID_ARGUMENT
SERVICE = "semsearch.embedder.v1.EmbedderService"
DEADLINE = 60.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_test_bundle(tmp_path_factory.mktemp("bundle"))


# One process for the module: TensorFlow takes seconds to start, and the service keeps nothing between calls.
@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[EmbedderProcess]:
    data = tmp_path_factory.mktemp("data")
    write_test_bundle(data / "models", seed=5, name="other")
    with embedder_process(data, bundle, "--max-image-pixels=40000") as running:
        yield running
        assert running.stop() == 0


def encoded(color: str = "red", size: tuple[int, int] = (60, 40), kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, kind)
    return file.getvalue()


def noise(seed: int, size: int = INPUT_SIZE) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def huge_png() -> bytes:
    """Return a PNG of about 1 MB that claims 30,000 × 30,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", bytes(2**20)) + chunk(b"IEND", b"")


def texts(service: EmbedderProcess, *queries: str) -> list[pb.TextEmbedding]:
    request = pb.EmbedTextRequest(queries=[pb.TextQuery(raw=query) for query in queries])
    return list(service.stub.EmbedText(request, timeout=DEADLINE).embeddings)


def images(service: EmbedderProcess, *contents: bytes, thumbnail_edge: int = 0) -> pb.EmbedImagesResponse:
    inputs = [pb.ImageInput(content=content, thumbnail_edge=thumbnail_edge) for content in contents]
    return service.stub.EmbedImages(pb.EmbedImagesRequest(images=inputs), timeout=DEADLINE)


def test_words_become_the_vectors_of_the_bundle(service: EmbedderProcess, bundle: Path) -> None:
    table = open_bundle(bundle).words
    dog, phrase = texts(service, "Dogs", "golden retriever")
    row = table.words.index("dog")
    np.testing.assert_allclose(unpacked(dog.vector), table.vectors[row].astype(np.float32), atol=1e-3)
    assert [list(term.words) for term in phrase.understood_terms] == [["golden retriever"]]
    assert np.linalg.norm(unpacked(phrase.vector)) == pytest.approx(1, abs=1e-5)


def test_weighted_terms_equal_the_same_raw_query(service: EmbedderProcess) -> None:
    terms = [query_pb2.Term(text="dog"), query_pb2.Term(text="cat", weight=-0.5)]
    request = pb.EmbedTextRequest(queries=[pb.TextQuery(terms=terms), pb.TextQuery(raw="dog -cat^0.5")])
    response = service.stub.EmbedText(request, timeout=DEADLINE)
    as_terms, as_raw = response.embeddings
    np.testing.assert_allclose(unpacked(as_terms.vector), unpacked(as_raw.vector), atol=1e-6)
    assert response.model_id.startswith("test@sha256:")


def test_unknown_words_get_suggestions_beside_the_vector(service: EmbedderProcess) -> None:
    [embedding] = texts(service, "dog gldfish")
    assert embedding.vector
    assert [(word.word, list(word.suggestions)) for word in embedding.unknown_words] == [("gldfish", ["goldfish"])]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "EMPTY_QUERY"),
        (" .,- ", "EMPTY_QUERY"),
        ("qwertz asdfgh", "UNKNOWN_WORDS"),
        ("dog -dog", "CANCELLED_TERMS"),
        ("dog " * 101, "QUERY_TOO_LONG"),
        ("x" * 10_000, "QUERY_TOO_LONG"),
    ],
)
def test_an_invalid_query_gets_an_error_and_affects_no_other(service: EmbedderProcess, query: str, why: str) -> None:
    bad, good = texts(service, query, "dog")
    assert not bad.vector
    assert (bad.status.code, reason(bad.status)) == (INVALID.value[0], why)
    assert bad.status.message
    assert good.vector
    if why == "UNKNOWN_WORDS":
        assert [word.word for word in bad.unknown_words] == ["qwertz", "asdfgh"]


def test_images_become_vectors_of_the_bundles_network(service: EmbedderProcess, bundle: Path) -> None:
    response = images(service, noise(1), noise(2))
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(noise(seed)))) for seed in (1, 2)])
    expected = open_bundle(bundle).network(pixels)
    np.testing.assert_allclose([unpacked(each.vector) for each in response.embeddings], expected, atol=1e-4)
    assert response.timings.model.ToNanoseconds() > 0
    assert response.timings.decode.ToNanoseconds() > 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_formats_are_read_with_size_type_and_thumbnail(service: EmbedderProcess, kind: str) -> None:
    [embedding] = images(service, encoded(kind=kind), thumbnail_edge=30).embeddings
    assert embedding.vector, embedding.status
    assert (embedding.width, embedding.height) == (60, 40)
    assert embedding.media_type == f"image/{kind.lower()}"
    with Image.open(io.BytesIO(embedding.thumbnail)) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (30, 20))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "NOT_AN_IMAGE"),
        (b"not an image", "NOT_AN_IMAGE"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "NOT_AN_IMAGE"),
        (noise(3)[:600], "DAMAGED_IMAGE"),
        (encoded(kind="JPEG")[:300], "DAMAGED_IMAGE"),
        (huge_png(), "IMAGE_TOO_LARGE"),
        (encoded(size=(201, 200)), "IMAGE_TOO_LARGE"),
    ],
    ids=["nothing", "text", "svg", "png cut off", "jpeg cut off", "30,000 x 30,000", "one row too many"],
)
def test_an_invalid_image_gets_an_error_and_affects_no_other(
    service: EmbedderProcess, content: bytes, why: str
) -> None:
    bad, good = images(service, content, encoded()).embeddings
    assert not bad.vector
    assert (bad.status.code, reason(bad.status)) == (INVALID.value[0], why)
    assert good.vector


def test_an_empty_crop_box_is_refused_and_a_crop_counts(service: EmbedderProcess) -> None:
    whole, left = pb.ImageInput(content=noise(4)), pb.ImageInput(content=noise(4))
    left.crop.CopyFrom(query_pb2.CropBox(left=0, top=0, right=0.5, bottom=1))
    empty = pb.ImageInput(content=noise(4), crop=query_pb2.CropBox(left=0.5, top=0, right=0.5, bottom=1))
    request = pb.EmbedImagesRequest(images=[whole, left, empty])
    answers = service.stub.EmbedImages(request, timeout=DEADLINE).embeddings
    assert not np.allclose(unpacked(answers[0].vector), unpacked(answers[1].vector))
    assert reason(answers[2].status) == "INVALID_CROP"


Call = Callable[[EmbedderProcess], object]
BAD_CALLS: dict[str, tuple[Call, grpc.StatusCode, str, str]] = {
    "no query": (lambda s: s.stub.EmbedText(pb.EmbedTextRequest()), INVALID, "INVALID_FIELD", "queries"),
    "1,001 queries": (lambda s: texts(s, *["dog"] * 1_001), INVALID, "INVALID_FIELD", "queries"),
    "a query in both forms": (
        lambda s: s.stub.EmbedText(
            pb.EmbedTextRequest(queries=[pb.TextQuery(raw="dog", terms=[query_pb2.Term(text="cat")])])
        ),
        INVALID,
        "INVALID_FIELD",
        "queries",
    ),
    "no image": (lambda s: images(s), INVALID, "INVALID_FIELD", "images"),
    "257 images": (lambda s: images(s, *[b""] * 257), INVALID, "INVALID_FIELD", "images"),
    "a thumbnail of −1": (
        lambda s: images(s, encoded(), thumbnail_edge=-1),
        INVALID,
        "INVALID_FIELD",
        "thumbnail_edge",
    ),
    "skip −1": (lambda s: list(s.stub.StreamWords(pb.StreamWordsRequest(skip=-1))), INVALID, "INVALID_FIELD", "skip"),
    "an unknown model": (
        lambda s: s.stub.GetModel(pb.GetModelRequest(id="x@sha256:0")),
        grpc.StatusCode.NOT_FOUND,
        "MODEL_NOT_FOUND",
        "",
    ),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_a_bad_call_is_refused_with_a_reason(service: EmbedderProcess, name: str) -> None:
    call, code, why, field = BAD_CALLS[name]
    with pytest.raises(grpc.RpcError) as raised:
        call(service)
    refusal = Refusal.of(raised.value)
    assert (refusal.code, refusal.reason) == (code, why)
    assert refusal.fields == ((field,) if field else ())


def test_a_stream_answers_each_image_before_the_next_is_sent(service: EmbedderProcess) -> None:
    answered = threading.Semaphore(0)

    def requests() -> Iterator[pb.StreamEmbedImagesRequest]:
        for sequence, content in enumerate([noise(1), b"rubbish", noise(2)]):
            yield pb.StreamEmbedImagesRequest(sequence=sequence, image=pb.ImageInput(content=content))
            assert answered.acquire(timeout=DEADLINE)

    answers = []
    for answer in service.stub.StreamEmbedImages(requests(), timeout=DEADLINE):
        answers.append(answer)
        answered.release()
    assert [answer.sequence for answer in answers] == [0, 1, 2]
    assert reason(answers[1].embedding.status) == "NOT_AN_IMAGE"
    [expected] = images(service, noise(2)).embeddings
    np.testing.assert_allclose(unpacked(answers[2].embedding.vector), unpacked(expected.vector), atol=1e-5)


def test_a_long_stream_answers_every_image_once(service: EmbedderProcess) -> None:
    count = 300

    def requests() -> Iterator[pb.StreamEmbedImagesRequest]:
        for sequence in range(count):
            yield pb.StreamEmbedImagesRequest(sequence=sequence, image=pb.ImageInput(content=noise(sequence % 7)))

    answers = {answer.sequence: answer for answer in service.stub.StreamEmbedImages(requests(), timeout=DEADLINE)}
    assert sorted(answers) == list(range(count))
    assert all(answer.embedding.vector for answer in answers.values())
    np.testing.assert_allclose(
        unpacked(answers[3].embedding.vector), unpacked(answers[3 + 7].embedding.vector), atol=1e-5
    )


def test_a_cancelled_stream_leaves_the_service_healthy(service: EmbedderProcess) -> None:
    stop = threading.Event()

    def requests() -> Iterator[pb.StreamEmbedImagesRequest]:
        for sequence in range(10_000):
            if stop.is_set():
                return
            yield pb.StreamEmbedImagesRequest(sequence=sequence, image=pb.ImageInput(content=noise(1)))

    stream = service.stub.StreamEmbedImages(requests(), timeout=DEADLINE)
    next(stream)
    stream.cancel()
    stop.set()
    assert images(service, noise(1)).embeddings[0].vector
    assert "internal error" not in "".join(service.lines)


def test_the_vocabulary_is_sent_in_order_and_resumable(service: EmbedderProcess, bundle: Path) -> None:
    parts = list(service.stub.StreamWords(pb.StreamWordsRequest()))
    words = [word for part in parts for word in part.words]
    assert [word.text for word in words] == list(WORDS)
    assert [word.rank for word in words] == list(range(len(WORDS)))
    assert {word.text for word in words if not word.taggable} == {"the", "and", "said", "red"}
    vectors = np.frombuffer(b"".join(part.vectors for part in parts), "<f4").reshape(len(words), -1)
    np.testing.assert_allclose(vectors, open_bundle(bundle).words.vectors.astype(np.float32), atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    rest = [word for part in service.stub.StreamWords(pb.StreamWordsRequest(skip=20)) for word in part.words]
    assert rest == words[20:]
    assert not list(service.stub.StreamWords(pb.StreamWordsRequest(skip=1_000_000)))


def test_models_are_described_with_limits(service: EmbedderProcess, bundle: Path) -> None:
    response = service.stub.GetModel(pb.GetModelRequest())
    assert response.model.id == peek(bundle).id
    assert (response.model.dimension, response.model.input_size, response.model.active) == (300, INPUT_SIZE, True)
    limits = response.limits
    assert (limits.max_queries, limits.max_images, limits.max_image_pixels) == (1_000, 256, 40_000)
    models = service.stub.ListModels(pb.ListModelsRequest()).models
    listed = [(model.id.partition("@")[0], model.active) for model in models]
    assert listed == [("other", False), ("starter", False), ("test", True)], "tiny, whose id is the starter's, is there"
    assert service.stub.GetModel(pb.GetModelRequest(id=models[0].id)).model == models[0]


def test_the_service_reports_that_it_is_healthy(service: EmbedderProcess) -> None:
    with grpc.insecure_channel(service.address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=SERVICE))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def start_with(bundle: Path, data: Path) -> subprocess.CompletedProcess[str]:
    arguments = [*command("embedder_service"), f"--default-model={bundle}"]
    return subprocess.run(
        arguments, env=environment(data), capture_output=True, text=True, timeout=DEADLINE, check=False
    )


@pytest.mark.parametrize("file", ["backbone.keras", "words.npy", "words.txt"])
def test_a_flipped_byte_in_a_bundle_is_reported_in_a_sentence(tmp_path: Path, bundle: Path, file: str) -> None:
    damaged = tmp_path / "bundle"
    shutil.copytree(bundle, damaged)
    content = bytearray((damaged / file).read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / file).write_bytes(content)
    ended = start_with(damaged, tmp_path / "data")
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1].startswith(f"error: {file} of the bundle was changed or damaged")
    assert "Traceback" not in ended.stderr


def test_a_missing_bundle_is_reported_in_one_sentence(tmp_path: Path) -> None:
    ended = start_with(tmp_path / "none", tmp_path / "data")
    assert ended.returncode == 1
    assert "is not a bundle" in ended.stderr
    assert "Traceback" not in ended.stderr
