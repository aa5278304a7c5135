"""The first start makes the default model from a package; an older data folder keeps its model until a switch."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from semsearch import Client, Upload
from semsearch.embedder.v1 import embedder_service_pb2 as pb
from semsearch.embedder.v1 import embedder_service_pb2_grpc as pb_grpc

from model.bundle.reading import peek
from tests.bundles import write_test_bundle
from tests.packaged_network import install_package, write_packaged_recipe
from tests.services.index_process import index_process
from tests.services.packed_vectors import unpacked
from tests.services.service_process import ServiceProcess, command, environment, service_process
from tests.services.test_embedder_service import noise

DEADLINE = 120.0
IMAGES = 20


class Place(NamedTuple):
    """Recipes, and the id of the model that one of them makes."""

    recipes: Path
    site: Path
    model_id: str


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Make the recipe once, because it takes seconds and no test changes it."""
    folder = tmp_path_factory.mktemp("packaged")
    words = write_test_bundle(folder, name="words")
    package_file = install_package(folder / "site")
    recipe = write_packaged_recipe(folder / "recipes", package_file, words, with_words=True)
    return Place(recipe.parent, folder / "site", peek(recipe).id)


@pytest.fixture
def place(original: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(original.site), os.environ.get("PYTHONPATH", "")]))
    return original


def flags(place: Place, model: str = "packaged") -> list[str]:
    return [f"--default-model={model}", f"--recipes={place.recipes}"]


def model_of(service: ServiceProcess) -> str:
    with grpc.insecure_channel(service.address) as channel:
        stub = pb_grpc.EmbedderServiceStub(channel)
        request = pb.EmbedImagesRequest(images=[pb.ImageInput(content=noise(number)) for number in range(5)])
        answer = stub.EmbedImages(request, timeout=DEADLINE)
        for each in answer.embeddings:
            np.testing.assert_allclose(np.linalg.norm(unpacked(each.vector)), 1, atol=1e-5)
        return str(answer.model_id)


def libraries(service: ServiceProcess) -> str:
    return Path(f"/proc/{service.process.pid}/maps").read_text()


def test_the_model_is_made_at_the_first_start_and_reused(place: Place, tmp_path: Path) -> None:
    with service_process("embedder_service", tmp_path, *flags(place)) as first:
        assert model_of(first) == place.model_id
        assert "making the default model" in "".join(first.lines)
    made = tmp_path / "models" / place.model_id.replace("@sha256:", "-")
    before = (made / "backbone.tflite").stat()
    with service_process("embedder_service", tmp_path, *flags(place)) as second:
        assert model_of(second) == place.model_id
        assert "making the default model" not in "".join(second.lines)
    assert (made / "backbone.tflite").stat() == before


def test_a_service_of_tflite_files_never_loads_tensorflow(place: Place, tmp_path: Path) -> None:
    with service_process("embedder_service", tmp_path, *flags(place)) as service:
        model_of(service)
        assert "tflite" in libraries(service).lower() or "litert" in libraries(service).lower()
        assert "tensorflow" not in libraries(service).lower()


def test_several_processes_make_it_once(place: Place, tmp_path: Path) -> None:
    with ExitStack() as exits:
        services = [
            subprocess.Popen(
                command("embedder_service", *flags(place)),
                env=environment(tmp_path),
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(3)
        ]
        for each in services:
            exits.callback(each.wait, DEADLINE)
            exits.callback(each.terminate)
            assert each.stderr is not None
            exits.enter_context(each.stderr)
        logs = [_until_ready(each) for each in services]
    assert "".join(logs).count('"event": "a model was made"') == 1
    assert [path.name for path in (tmp_path / "models").iterdir() if not path.name.startswith(".")] == [
        place.model_id.replace("@sha256:", "-")
    ]


def test_a_damaged_default_model_is_made_again(place: Place, tmp_path: Path) -> None:
    with service_process("embedder_service", tmp_path, *flags(place)):
        pass
    backbone = tmp_path / "models" / place.model_id.replace("@sha256:", "-") / "backbone.tflite"
    os.truncate(backbone, 100)
    with service_process("embedder_service", tmp_path, *flags(place)) as service:
        assert model_of(service) == place.model_id


def test_a_start_without_the_package_says_what_to_do(original: Place, tmp_path: Path) -> None:
    done = subprocess.run(
        command("embedder_service", *flags(original)),
        env=environment(tmp_path), capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "error: The model takes its weights from the Python package tiny-weights 1.0"
    )
    assert "make setup" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_default_is_refused_with_known_names(place: Place, tmp_path: Path) -> None:
    done = subprocess.run(
        command("embedder_service", *flags(place, "none")),
        env=environment(tmp_path), capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "error: There is no recipe 'none'. The recipes are: packaged.\n")


def test_an_older_data_folder_keeps_its_model(place: Place, tmp_path: Path) -> None:
    with suite(tmp_path, *flags(place, "tiny")) as gateway, Client(gateway.address) as client:
        uploads = (Upload(noise(number), f"{number}", {"number": number}) for number in range(IMAGES))
        assert all(result.error is None for result in client.index_images(uploads))
        [tiny] = [model.id for model in client.list_models() if model.active]
        before = [match.image.id for match in client.search_by_image("3", page_size=5, min_relevance=0).matches]

    with suite(tmp_path, *flags(place)) as gateway, Client(gateway.address) as client:
        assert {model.id: model.active for model in client.list_models()} == {tiny: False, place.model_id: True}
        [line] = [line for line in gateway.lines if "these collections keep the model" in line]
        assert "semsearch model activate packaged" in line
        assert [match.image.id for match in client.search_by_image("3", page_size=5, min_relevance=0).matches] == before
        assert client.search_by_text("dog", min_relevance=0, page_size=5).matches
        uploads = iter([Upload(noise(IMAGES), "new", {})])
        assert all(result.error is None for result in client.index_images(uploads))

        *_, last = client.activate_model("packaged")
        assert last.model
        assert last.model.id == place.model_id
        assert (last.images_done, last.images_failed) == (IMAGES + 1, 0)
        assert len(client.search_by_text("dog", min_relevance=0, page_size=50).matches) == IMAGES + 1

    with suite(tmp_path, *flags(place)) as gateway, Client(gateway.address) as client:
        assert len(client.search_by_text("dog", min_relevance=0, page_size=50).matches) == IMAGES + 1
        assert not [line for line in gateway.lines if "these collections keep the model" in line]


@contextmanager
def suite(data: Path, *embedder_flags: str) -> Iterator[ServiceProcess]:
    """Run three services on a data folder; yield the gateway when it serves."""
    with (
        service_process("embedder_service", data, *embedder_flags) as embedder,
        index_process(data) as index,
        service_process("gateway", data, f"--embedder={embedder.address}", f"--index={index.address}") as gateway,
        grpc.insecure_channel(gateway.address) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=DEADLINE)
        assert any(each.status == health_pb2.HealthCheckResponse.SERVING for each in watch)
        yield gateway


def _until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if '"event": "ready"' in line:
            break
    return "".join(lines)
