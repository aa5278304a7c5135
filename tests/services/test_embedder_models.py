"""Several models over real gRPC: calls that name one, switches under load and by hand, and pulls."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from semsearch.embedder.v1 import embedder_service_pb2 as pb

from model.bundle.reading import open_bundle, peek
from tests.bundles import write_test_bundle, write_test_recipe
from tests.file_server import FileServer, file_server
from tests.services.embedder_process import EmbedderProcess, embedder_process
from tests.services.packed_vectors import unpacked
from tests.services.service_process import Refusal, reason
from tests.services.test_embedder_service import noise

DEADLINE = 60.0


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the bundles once, because it takes seconds and no test changes them."""
    folder = tmp_path_factory.mktemp("bundles")
    for seed, name in enumerate(("first", "second", "third")):
        write_test_bundle(folder, seed=seed, name=name, tflite=True)
    write_test_bundle(folder, name="pulled", tflite=True)
    return folder


@pytest.fixture
def data(bundles: Path, tmp_path: Path) -> Path:
    return with_models(tmp_path, bundles)


@pytest.fixture(scope="module")
def service(bundles: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbedderProcess]:
    """Start one process for all tests that change nothing, because it takes a second."""
    with embedder_process(with_models(tmp_path_factory.mktemp("data"), bundles), bundles / "first") as running:
        yield running
        assert running.stop() == 0


def with_models(data: Path, bundles: Path) -> Path:
    for name in ("second", "third"):
        shutil.copytree(bundles / name, data / "models" / name)
    return data


def dog(service: EmbedderProcess, model_id: str = "") -> pb.EmbedTextResponse:
    request = pb.EmbedTextRequest(queries=[pb.TextQuery(raw="dog")], model_id=model_id)
    return service.stub.EmbedText(request, timeout=DEADLINE)


def picture(service: EmbedderProcess, model_id: str = "") -> pb.EmbedImagesResponse:
    request = pb.EmbedImagesRequest(images=[pb.ImageInput(content=noise(1))], model_id=model_id)
    return service.stub.EmbedImages(request, timeout=DEADLINE)


def activate(service: EmbedderProcess, model_id: str) -> pb.Model:
    return service.stub.ActivateModel(pb.ActivateModelRequest(id=model_id), timeout=DEADLINE).model


def pull(service: EmbedderProcess) -> list[pb.PullModelResponse]:
    return list(service.stub.PullModel(pb.PullModelRequest(recipe="small"), timeout=DEADLINE))


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.02)


def test_a_call_that_names_a_model_gets_its_vectors(service: EmbedderProcess, bundles: Path) -> None:
    for name in ("first", "second", "third", "first"):
        bundle = open_bundle(bundles / name)
        model_id = bundle.manifest.id
        words, images = dog(service, model_id), picture(service, model_id)
        assert (words.model_id, images.model_id) == (model_id, model_id)
        row = bundle.words.vectors[bundle.words.words.index("dog")].astype(np.float32)
        np.testing.assert_allclose(unpacked(words.embeddings[0].vector), row, atol=1e-3)
        [answer] = service.stub.StreamEmbedImages(
            iter([pb.StreamEmbedImagesRequest(image=pb.ImageInput(content=noise(1)), model_id=model_id)])
        )
        assert answer.model_id == model_id
        np.testing.assert_allclose(unpacked(answer.embedding.vector), unpacked(images.embeddings[0].vector), atol=1e-5)
        parts = list(service.stub.StreamWords(pb.StreamWordsRequest(model_id=model_id)))
        assert {part.model_id for part in parts} == {model_id}
        [part] = parts
        place = [word.text for word in part.words].index("dog")
        vectors = np.frombuffer(part.vectors, "<f4").reshape(len(part.words), -1)
        np.testing.assert_allclose(vectors[place], row, atol=1e-3)
    assert dog(service).model_id == peek(bundles / "first").id


CALLS: dict[str, Callable[[EmbedderProcess, str], object]] = {
    "EmbedText": dog,
    "EmbedImages": picture,
    "StreamWords": lambda s, model_id: list(s.stub.StreamWords(pb.StreamWordsRequest(model_id=model_id))),
    "ActivateModel": activate,
}


def test_a_missing_or_damaged_model_leaves_the_active_one(bundles: Path, data: Path) -> None:
    for file in ("backbone.tflite", "words.npy"):
        (data / "models" / "second" / file).write_bytes(b"damaged")
    refused = {
        "x@sha256:0": (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND"),
        peek(data / "models" / "second").id: (grpc.StatusCode.FAILED_PRECONDITION, "BUNDLE_DAMAGED"),
    }
    with embedder_process(data, bundles / "first") as service:
        for name, call in CALLS.items():
            for model_id, expected in refused.items():
                with pytest.raises(grpc.RpcError) as raised:
                    call(service, model_id)
                refusal = Refusal.of(raised.value)
                assert (refusal.code, refusal.reason) == expected, name
        assert dog(service).model_id.startswith("first@")
    assert not (data / "models" / "active").exists()


def test_an_unknown_model_in_a_stream_disturbs_no_other_image(service: EmbedderProcess) -> None:
    image = pb.ImageInput(content=noise(1))
    requests = [
        pb.StreamEmbedImagesRequest(sequence=number, image=image, model_id=model_id)
        for number, model_id in enumerate(("", "x@sha256:0", ""))
    ]
    answers = {answer.sequence: answer for answer in service.stub.StreamEmbedImages(iter(requests), timeout=DEADLINE)}
    assert reason(answers[1].embedding.status) == "MODEL_NOT_FOUND"
    assert answers[0].embedding.vector
    assert answers[2].embedding.vector


def test_no_model_is_activated_without_an_id(service: EmbedderProcess) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        activate(service, "")
    assert Refusal.of(raised.value).fields == ("id",)


def test_a_switch_under_load_drops_nothing_and_is_durable(bundles: Path, data: Path) -> None:
    first, second = peek(bundles / "first").id, peek(bundles / "second").id
    expected = {model_id: open_bundle(bundles / model_id.partition("@")[0]).words for model_id in (first, second)}
    seen: Counter[str] = Counter()
    stop = threading.Event()

    def call(service: EmbedderProcess) -> None:
        while not stop.is_set():
            words, images = dog(service), picture(service)
            table = expected[words.model_id]
            row = table.vectors[table.words.index("dog")].astype(np.float32)
            np.testing.assert_allclose(unpacked(words.embeddings[0].vector), row, atol=1e-3)
            assert images.embeddings[0].vector
            seen.update([words.model_id, images.model_id])

    with embedder_process(data, bundles / "first") as service, ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(call, service) for _ in range(4)]
        try:
            until(lambda: seen[first] > 20)
            assert activate(service, second).active
            before = seen[second]
            assert dog(service).model_id == second
            until(lambda: seen[second] > before + 20)
        finally:
            stop.set()
        for each in calls:
            each.result(DEADLINE)
        models = service.stub.ListModels(pb.ListModelsRequest()).models
        assert [model.id for model in models if model.active] == [second]
        assert dog(service, first).model_id == first
        assert service.stop() == 0
        assert "internal error" not in "".join(service.lines)
    with embedder_process(data, bundles / "first") as service:
        assert dog(service).model_id == second
        assert activate(service, first).id == first
        service.kill()
    with embedder_process(data, bundles / "first") as service:
        assert dog(service).model_id == first


def test_a_change_of_the_file_by_hand_is_followed(bundles: Path, data: Path) -> None:
    file = data / "models" / "active"
    second = peek(data / "models" / "second").id
    with embedder_process(data, bundles / "first") as service:
        file.write_text("x@sha256:0")
        until(lambda: "models/active is ignored" in "".join(service.lines))
        assert dog(service).model_id.startswith("first@")
        file.write_text(second + "\n")
        until(lambda: dog(service).model_id == second)


@pytest.fixture
def server(bundles: Path) -> Iterator[FileServer]:
    with file_server((bundles / "pulled" / "head.tflite").read_bytes()) as served:
        yield served


def pulling(bundles: Path, data: Path, server: FileServer, *flags: str) -> list[str]:
    recipes = data / "recipes"
    if not recipes.exists():
        write_test_recipe(recipes, bundles / "pulled", server.url)
    return [f"--recipes={recipes}", *flags]


def test_a_pulled_model_is_listed_and_serves_when_activated(bundles: Path, data: Path, server: FileServer) -> None:
    flags = pulling(bundles, data, server)
    (data / "recipes" / "broken").mkdir()
    (data / "recipes" / "broken" / "recipe.json").write_text("{")
    with embedder_process(data, bundles / "first", *flags) as service:
        [recipe] = service.stub.ListRecipes(pb.ListRecipesRequest()).recipes
        assert (recipe.name, recipe.download_bytes) == ("small", len(server.content))
        *_, last = pull(service)
        assert recipe.model_id == last.model.id
        assert last.bytes_done == last.bytes_total == len(server.content)
        assert last.model.id == peek(bundles / "pulled").id
        assert not last.model.active
        assert last.model in service.stub.ListModels(pb.ListModelsRequest()).models
        assert activate(service, last.model.id).active
        assert dog(service).model_id == last.model.id
        [again] = pull(service)
        assert again.model.active
        assert len(server.requests) == 1


def test_a_pull_goes_on_after_the_process_was_killed(bundles: Path, data: Path, server: FileServer) -> None:
    flags = pulling(bundles, data, server)
    server.hold_after = 16_384
    with embedder_process(data, bundles / "first", *flags) as service:
        stream = service.stub.PullModel(pb.PullModelRequest(recipe="small"), timeout=DEADLINE)
        until(lambda: next(stream).bytes_done >= 8_192)
        service.kill()
    server.released.set()
    with embedder_process(data, bundles / "first", *flags) as service:
        assert pull(service)[-1].model.id == peek(bundles / "pulled").id
    start = int((server.requests[-1][0] or "").removeprefix("bytes=").removesuffix("-"))
    assert start >= 8_192


def test_a_pull_without_its_file_says_that_a_mirror_helps(bundles: Path, data: Path, server: FileServer) -> None:
    server.statuses = [404, 404]
    with embedder_process(data, bundles / "first", *pulling(bundles, data, server)) as service:
        with pytest.raises(grpc.RpcError) as raised:
            pull(service)
        refusal = Refusal.of(raised.value)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DOWNLOAD_FAILED")
        assert "SEMSEARCH_EMBEDDER_MODEL_MIRROR" in refusal.message
        server.content = bytes(len(server.content))
        server.statuses = []
        with pytest.raises(grpc.RpcError) as raised:
            pull(service)
        assert Refusal.of(raised.value).reason == "DOWNLOAD_WRONG"
        with pytest.raises(grpc.RpcError) as raised:
            list(service.stub.PullModel(pb.PullModelRequest(recipe="large"), timeout=DEADLINE))
        refusal = Refusal.of(raised.value)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "RECIPE_NOT_FOUND")
        assert "The recipes are: small" in refusal.message
    mirror = data / "mirror"
    mirror.mkdir()
    shutil.copy(bundles / "pulled" / "head.tflite", mirror / "backbone file.bin")
    flags = pulling(bundles, data, server, f"--model-mirror={mirror}")
    with embedder_process(data, bundles / "first", *flags) as service:
        assert pull(service)[-1].model.id == peek(bundles / "pulled").id
