"""Vectors of queries, with a cache of the most recent, so that a repeated query skips a hop.

A model is immutable and its id names its bytes, so cached vectors stay valid. Queries without a model id,
refused queries and long ones are not cached.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import Counter

from gateway.backends.embedding import Embedder, RefusedText, TextEmbedding, TextEmbeddings, TextQuery
from gateway.recently_used import RecentlyUsed

MAX_REMEMBERED = 4_096  # some 10 MB
_MAX_CHARACTERS = 256

_LOOKUPS = Counter(
    "semsearch_gateway_text_vector_lookups", "Queries by whether their vector was remembered.", ["outcome"]
)
_HITS, _MISSES = _LOOKUPS.labels("hit"), _LOOKUPS.labels("miss")


class TextVectors:
    """Embeds queries, and caches at most `MAX_REMEMBERED` of them."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._known: RecentlyUsed[tuple[str, TextQuery], TextEmbedding] = RecentlyUsed(MAX_REMEMBERED)

    async def embed(self, queries: Sequence[TextQuery], model_id: str) -> TextEmbeddings:
        """Return one result for each query, in order; raise as `Embedder.embed_texts`."""
        found: list[TextEmbedding | RefusedText | None] = [self._known.get((model_id, query)) for query in queries]
        missing = [number for number, result in enumerate(found) if result is None]
        _HITS.inc(len(queries) - len(missing))
        _MISSES.inc(len(missing))
        if missing:
            answer = await self._embedder.embed_texts([queries[number] for number in missing], model_id)
            model_id = answer.model_id
            for number, result in zip(missing, answer.results, strict=True):
                found[number] = result
                if isinstance(result, TextEmbedding):
                    self._remember(model_id, queries[number], result)
        return TextEmbeddings(model_id, tuple(result for result in found if result is not None))

    def _remember(self, model_id: str, query: TextQuery, embedding: TextEmbedding) -> None:
        if len(query.raw) + sum(len(term.text) for term in query.terms) <= _MAX_CHARACTERS:
            self._known.put((model_id, query), embedding)
