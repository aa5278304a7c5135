"""Switching models with real services: no caller waits, nothing is lost, and a switch survives a kill."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from semsearch import Client, SemsearchError, Upload

from model.bundle.reading import peek
from tests.bundles import write_test_bundle, write_test_recipe
from tests.file_server import file_server
from tests.services.client_stack import semsearch
from tests.services.embedder_process import embedder_process
from tests.services.index_process import index_process
from tests.services.service_process import ServiceProcess, service_process
from tests.services.shared_state import switch_target
from tests.services.test_embedder_service import noise

DEADLINE = 120.0
IMAGES = 150
UPLOADS = range(1_000, 100_000)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the bundles once, because it takes seconds and no test changes them."""
    folder = tmp_path_factory.mktemp("bundles")
    for seed, name in enumerate(("first", "second")):
        write_test_bundle(folder, seed=seed, name=name, tflite=True)
    write_test_bundle(folder, name="pulled")  # the words of the first, and other files
    return folder


@dataclass
class Suite:
    """Three services on a data folder; the gateway can be killed and started again."""

    data: Path
    index: str
    flags: list[str]
    exits: ExitStack
    second: str
    gateway: ServiceProcess = field(init=False)

    def start_gateway(self) -> None:
        self.gateway = self.exits.enter_context(service_process("gateway", self.data, *self.flags))
        with grpc.insecure_channel(self.gateway.address) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=DEADLINE)
            assert any(each.status == health_pb2.HealthCheckResponse.SERVING for each in watch)

    def client(self) -> Client:
        return Client(self.gateway.address)


@contextmanager
def running_suite(data: Path, bundles: Path, *embedder_flags: str) -> Iterator[Suite]:
    shutil.copytree(bundles / "second", data / "models" / "second")
    with ExitStack() as exits:
        embedder = exits.enter_context(embedder_process(data, bundles / "first", *embedder_flags))
        index = exits.enter_context(index_process(data))
        suite = Suite(
            data,
            index.address,
            [f"--embedder={embedder.address}", f"--index={index.address}"],
            exits,
            peek(bundles / "second").id,
        )
        suite.start_gateway()
        yield suite


@pytest.fixture
def suite(tmp_path: Path, bundles: Path) -> Iterator[Suite]:
    with running_suite(tmp_path, bundles) as running:
        with running.client() as client:
            uploads = (Upload(noise(n), f"{n}", {"n": n}) for n in range(IMAGES))
            assert all(result.error is None for result in client.index_images(uploads))
        yield running


@contextmanager
def again_and_again(work: Callable[[int], None]) -> Iterator[list[int]]:
    """Repeat work in a thread while the context is open; yield the count, and raise the work's error at the end."""
    times: list[int] = []
    errors: list[BaseException] = []
    stop = threading.Event()

    def loop() -> None:
        try:
            while not stop.is_set():
                work(len(times))
                times.append(1)
        except BaseException as error:  # noqa: BLE001 — raised in the test's own thread
            errors.append(error)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield times
    finally:
        stop.set()
        thread.join(DEADLINE)
    if errors:
        raise errors[0]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.05)


def tagged_alike(client: Client, number: int) -> None:
    """Check that an image has the same tags stored and as bytes, which the active model embeds."""
    stored = client.tag_image(f"{number}", max_tags=3)
    by_bytes = client.tag_image(noise(number), max_tags=3)
    assert [tag.word for tag in stored.tags] == [tag.word for tag in by_bytes.tags]
    assert [tag.similarity for tag in stored.tags] == pytest.approx([tag.similarity for tag in by_bytes.tags], abs=1e-3)
    chosen = client.tag_image(f"{number}", labels=[tag.word for tag in stored.tags])
    assert [tag.word for tag in chosen.tags] == [tag.word for tag in stored.tags]
    assert [tag.similarity for tag in chosen.tags] == pytest.approx([tag.similarity for tag in stored.tags], abs=1e-3)


def test_searches_and_uploads_work_during_a_switch(suite: Suite) -> None:
    with suite.client() as client:
        before = [(image.id, image.sha256, image.create_time) for image in client.list_images()]

        def search(turn: int) -> None:
            number = turn % IMAGES
            found = client.search_by_image(noise(number), page_size=2)
            assert found.matches[0].image.id == f"{number}"
            assert found.matches[0].similarity > 0.999
            assert client.search_by_image(f"{number}", page_size=1).matches[0].image.id != f"{number}"
            assert client.search_by_text("dog -cat", page_size=5, min_relevance=0).matches
            assert client.similar_words("dog", page_size=1).words
            assert client.tag_image(f"{number}", max_tags=1).tags

        acknowledged: list[str] = []
        stop = threading.Event()

        def uploads() -> Iterator[Upload]:
            for number in UPLOADS:
                if stop.is_set():
                    return
                yield Upload(noise(number), f"{number}", {"n": number})

        def upload() -> None:
            with suite.client() as other:
                for result in other.index_images(uploads()):
                    assert result.error is None
                    acknowledged.append(result.id)

        uploading = threading.Thread(target=upload)
        uploading.start()
        with again_and_again(search) as searches:
            until(lambda: len(searches) > 0 and len(acknowledged) > 0)
            *steps, last = client.activate_model("second")
            done = len(searches), len(acknowledged)
            until(lambda: len(searches) > done[0] + 1 and len(acknowledged) > done[1] + 50)
        stop.set()
        uploading.join(DEADLINE)

        assert last.model == client.get_model()
        assert last.model.id == suite.second
        assert last.images_failed == 0
        assert len(steps) > 2
        assert client.get_collection("gallery").model_id == suite.second
        after = list(client.list_images())
        assert [(image.id, image.sha256, image.create_time) for image in after[:IMAGES]] == before
        # Not in the order of the answers: images that the switch refused were embedded and stored again later.
        uploaded = [image.id for image in after[IMAGES:]]
        assert len(uploaded) == len(set(uploaded))
        assert set(acknowledged) <= set(uploaded)
        for number in (0, IMAGES - 1, int(acknowledged[0]), int(acknowledged[-1])):
            match = client.search_by_image(noise(number), page_size=1).matches[0]
            assert (match.image.id, match.image.attributes["n"]) == (f"{number}", number)
            assert match.similarity > 0.999
        tagged_alike(client, 3)
        assert not switch_target(suite.index)
        [again] = client.activate_model("second")
        assert again.model == last.model

        *_, back = client.activate_model("first")  # to roll back is the same call
        assert client.get_collection("gallery").model_id == back.model.id != suite.second
        assert client.search_by_image(noise(0), page_size=1).matches[0].similarity > 0.999


def test_a_gateway_killed_during_a_switch_finishes_it(suite: Suite) -> None:
    def kill_in_the_middle() -> None:
        with suite.client() as client:
            for progress in client.activate_model("second"):
                if progress.images_done > 0:
                    suite.gateway.kill()

    with pytest.raises(SemsearchError):
        kill_in_the_middle()
    assert switch_target(suite.index) == suite.second
    suite.start_gateway()
    with suite.client() as client:
        until(lambda: client.get_model().id == suite.second)
        until(lambda: not switch_target(suite.index))
        collection = client.get_collection("gallery")
        assert (collection.model_id, collection.image_count) == (suite.second, IMAGES)
        assert [image.id for image in client.list_images()] == [f"{n}" for n in range(IMAGES)]
        for number in (0, IMAGES // 2, IMAGES - 1):
            match = client.search_by_image(noise(number), page_size=1).matches[0]
            assert match.image.id == f"{number}"
            assert match.similarity > 0.999
        tagged_alike(client, 7)


def test_a_model_is_pulled_from_a_server_and_switched_to(tmp_path: Path, bundles: Path) -> None:
    pulled = peek(bundles / "pulled").id
    with file_server((bundles / "pulled" / "head.keras").read_bytes()) as server:
        write_test_recipe(tmp_path / "recipes", bundles / "pulled", server.url)
        with running_suite(tmp_path, bundles, f"--recipes={tmp_path / 'recipes'}") as suite:
            address = suite.gateway.address
            with suite.client() as client:
                assert all(each.error is None for each in client.index_images([Upload(noise(1), "1")]))
            unknown = semsearch(address, "model", "pull", "nothing")
            assert unknown.status == 1
            assert "small" in unknown.err, "the recipes that there are"
            done = semsearch(address, "model", "pull", "small")
            assert (done.status, done.out) == (0, "")
            assert done.err == f"{pulled} is here. Switch to it with: semsearch model activate {pulled}\n"
            activated = semsearch(address, "model", "activate", pulled)
            assert activated.err == f"{pulled} serves now, with 1 image.\n"
            with suite.client() as client:
                assert client.get_collection("gallery").model_id == client.get_model().id == pulled
                tagged_alike(client, 1)
