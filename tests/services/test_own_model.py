"""Real services switch to a bundle that the trainer exported, and search with it; its vectors are the trainer's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from semsearch import Client, Upload
from semsearch.embedder.v1 import embedder_service_pb2 as pb

from model.bundle.reading import peek
from tests.bundles import write_test_bundle
from tests.own_bundle import CHANNELS, CLASSES, SIZE, make_own_bundle
from tests.services.embedder_process import EmbedderProcess, embedder_process
from tests.services.index_process import index_process
from tests.services.packed_vectors import unpacked
from tests.services.service_process import service_process
from trainer.data_sets.reading import read_images
from trainer.features.extractors import extractor_of
from trainer.fitting.head import project
from trainer.keras_files import load_network

DEADLINE = 60.0
COLORS = tuple((each.name, each.word, each.kinds[0]) for each in CLASSES)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    make_own_bundle(folder)
    return folder


@pytest.fixture(scope="module")
def embedder(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbedderProcess]:
    """Serve another model beside the exported one."""
    data = tmp_path_factory.mktemp("data")
    shutil.copytree(own / "bundle", data / "models" / "colors")
    default = write_test_bundle(tmp_path_factory.mktemp("default"), name="first")
    with embedder_process(data, default) as running:
        yield running


def test_trainer_and_embedder_give_the_same_vector(own: Path, embedder: EmbedderProcess) -> None:
    files = list(read_images([own / "unseen"]))
    extractor = extractor_of(own / "backbone.keras", SIZE)
    features = extractor.network(np.stack([extractor.decode(file.content) for file in files]))
    trained = project(load_network(own / "run" / "head.keras"), features)
    request = pb.EmbedImagesRequest(
        images=[pb.ImageInput(content=file.content) for file in files], model_id=peek(own / "bundle").id
    )
    response = embedder.stub.EmbedImages(request, timeout=DEADLINE)
    np.testing.assert_allclose([unpacked(each.vector) for each in response.embeddings], trained, atol=1e-4)


def test_an_exported_bundle_is_switched_to_and_searched(own: Path, embedder: EmbedderProcess, tmp_path: Path) -> None:
    with (
        index_process(tmp_path) as index,
        service_process("gateway", tmp_path, f"--embedder={embedder.address}", f"--index={index.address}") as gateway,
        Client(gateway.address) as client,
    ):
        *_, last = client.activate_model("colors")
        assert last.model == client.get_model()
        assert last.model.id == peek(own / "bundle").id
        files = read_images([own / "unseen"])
        uploads = [Upload(file.content, file.key.replace("/", "-"), {"color": file.label}) for file in files]
        assert all(result.error is None for result in client.index_images(uploads))
        for color, word, kind in COLORS:
            for query in (word, kind):
                found = client.search_by_text(query, page_size=5).matches
                assert [match.image.attributes["color"] for match in found] == [color] * 5
            assert client.tag_image(f"{color}-0.png", max_tags=2).tags[0].word in {word, kind}
            alike = client.search_by_image(f"{color}-0.png", page_size=5).matches
            assert {match.image.attributes["color"] for match in alike} == {color}
    assert set(CHANNELS) == {color for color, _, _ in COLORS}
