"""Word vectors of the smallest and the largest dimension, from their file to a search on real services."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from semsearch import Client, Upload

from model.bundle.reading import open_bundle
from tests.own_bundle import CLASSES, make_own_bundle
from tests.services.embedder_process import embedder_process
from tests.services.index_process import index_process
from tests.services.service_process import service_process
from trainer.data_sets.reading import read_images


@pytest.mark.parametrize("dimension", [50, 1024])
def test_words_of_any_dimension_are_trained_served_and_searched(tmp_path: Path, dimension: int) -> None:
    make_own_bundle(tmp_path, dimension)
    bundle = open_bundle(tmp_path / "bundle")
    assert (bundle.manifest.dimension, bundle.words.vectors.shape[1]) == (dimension, dimension)
    data = tmp_path / "data"
    shutil.copytree(tmp_path / "bundle", data / "models" / "colors")
    with (
        embedder_process(data, tmp_path / "bundle") as embedder,
        index_process(tmp_path) as index,
        service_process("gateway", tmp_path, f"--embedder={embedder.address}", f"--index={index.address}") as gateway,
        Client(gateway.address) as client,
    ):
        *_, last = client.activate_model("colors")
        assert last.model.dimension == dimension
        files = read_images([tmp_path / "unseen"])
        uploads = [Upload(file.content, file.key.replace("/", "-"), {"color": file.label}) for file in files]
        assert all(result.error is None for result in client.index_images(uploads))
        for each in CLASSES:
            first = client.search_by_text(each.word, page_size=4)
            rest = client.search_by_text(each.word, page_size=4, page_token=first.next_page_token)
            matches = [*first.matches, *rest.matches]
            assert [match.image.attributes["color"] for match in matches] == [each.name] * 8
            assert client.tag_image(f"{each.name}-0.png", max_tags=2).tags[0].word in each.words
            assert client.similar_words(each.word, page_size=1).words
