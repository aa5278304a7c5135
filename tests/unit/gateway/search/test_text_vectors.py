"""Vectors of queries are cached by model and query, up to a limit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from gateway.backends.embedding import RefusedText, Term, TextEmbedding, TextEmbeddings, TextQuery
from gateway.search import text_vectors
from gateway.search.text_vectors import TextVectors
from tests.unit.gateway.doubles import MODEL, OTHER_MODEL, ColorEmbedder


class CountingEmbedder(ColorEmbedder):
    def __init__(self) -> None:
        super().__init__()
        self.embedded: list[TextQuery] = []

    async def embed_texts(self, queries: Sequence[TextQuery], model_id: str = "") -> TextEmbeddings:
        self.embedded += queries
        return await super().embed_texts(queries, model_id)


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


def vector(result: TextEmbedding | RefusedText) -> list[float]:
    assert isinstance(result, TextEmbedding)
    return [float(each) for each in result.vector]


async def test_a_repeated_query_is_not_embedded_again(embedder: CountingEmbedder) -> None:
    texts = TextVectors(embedder)
    first = await texts.embed([TextQuery("red")], MODEL.id)
    second = await texts.embed([TextQuery("red")], MODEL.id)
    assert second == first
    assert embedder.embedded == [TextQuery("red")]


async def test_each_model_and_each_weight_has_its_own_vector(embedder: CountingEmbedder) -> None:
    texts = TextVectors(embedder)
    queries = [TextQuery(terms=(Term("red"), Term("blue", weight))) for weight in (1.0, 0.5)]
    found = [vector(each) for model in (MODEL, OTHER_MODEL) for each in (await texts.embed(queries, model.id)).results]
    assert len({tuple(each) for each in found}) == 4
    again = [vector(each) for model in (MODEL, OTHER_MODEL) for each in (await texts.embed(queries, model.id)).results]
    assert again == found
    assert len(embedder.embedded) == 4


async def test_of_several_queries_only_the_new_ones_are_embedded(embedder: CountingEmbedder) -> None:
    texts = TextVectors(embedder)
    await texts.embed([TextQuery("red"), TextQuery("blue")], MODEL.id)
    mixed = [TextQuery("blue"), TextQuery("qwertz"), TextQuery("green"), TextQuery("red")]
    answer = await texts.embed(mixed, MODEL.id)
    assert embedder.embedded[2:] == [TextQuery("qwertz"), TextQuery("green")]
    fresh = (await ColorEmbedder().embed_texts(mixed, MODEL.id)).results
    assert [type(each) for each in answer.results] == [type(each) for each in fresh]
    for number in (0, 2, 3):
        np.testing.assert_array_equal(vector(answer.results[number]), vector(fresh[number]))


async def test_a_query_without_a_model_uses_the_active_one(embedder: CountingEmbedder) -> None:
    texts = TextVectors(embedder)
    before = await texts.embed([TextQuery("red")], "")
    embedder.model = OTHER_MODEL
    after = await texts.embed([TextQuery("red")], "")
    assert (before.model_id, after.model_id) == (MODEL.id, OTHER_MODEL.id)


async def test_the_least_recently_used_vector_is_evicted(
    embedder: CountingEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_vectors, "MAX_REMEMBERED", 2)
    texts = TextVectors(embedder)
    for word in ("red", "blue", "red", "green", "red", "blue"):
        await texts.embed([TextQuery(word)], MODEL.id)
    assert [query.raw for query in embedder.embedded] == ["red", "blue", "green", "blue"]


async def test_a_long_query_is_not_kept(embedder: CountingEmbedder) -> None:
    texts = TextVectors(embedder)
    for _ in range(2):
        await texts.embed([TextQuery("red " * 100)], MODEL.id)
    assert len(embedder.embedded) == 2
