"""Embed the new images of a batch with their collection's model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.backends.bulk_embedding import BulkEmbedding, Result
from gateway.backends.embedding import ImageInput
from gateway.collections.placements import Placement, Placements
from gateway.errors import GatewayError
from gateway.ingest.plan import Entry, Step

THUMBNAIL_EDGE = 320


@dataclass(frozen=True)
class Embedded:
    """The embedding results of a batch's new entries, and the collection's model that made them.

    `failure` is why there are none; it is raised once the earlier batches are stored.
    """

    model_id: str = ""
    failure: GatewayError | TimeoutError | None = None
    results: Mapping[Entry, Result] = field(default_factory=dict)

    def of(self, steps: Sequence[Step]) -> Embedded:
        """Return the results of the entries that some of the steps add."""
        return Embedded(self.model_id, results={entry: self.results[entry] for entry in new_entries(steps)})


class BatchEmbedding:
    """Embeds batches.

    A call to the embedder carries at most `batch_bytes`, or one larger image. `overload_seconds` is how long an
    overloaded embedder is retried before its error is passed on.
    """

    def __init__(
        self, embedding: BulkEmbedding, placements: Placements, batch_bytes: int, overload_seconds: float
    ) -> None:
        self._embedding = embedding
        self._placements = placements
        self._batch_bytes = batch_bytes
        self._overload_seconds = overload_seconds

    async def embed(self, collection: str, entries: Sequence[Entry]) -> Embedded:
        """Embed new entries; a failure of the whole call is returned, not raised."""
        inputs = [ImageInput(entry.content or b"", thumbnail_edge=THUMBNAIL_EDGE) for entry in entries]

        async def embed(placement: Placement) -> Embedded:
            results = await self._embedding.embed(inputs, placement.model_id, self._overload_seconds, self._batch_bytes)
            return Embedded(placement.model_id, results=dict(zip(entries, results, strict=True)))

        try:
            return await self._placements.using(collection, embed)
        except (GatewayError, TimeoutError) as failure:
            return Embedded(failure=failure)


def new_entries(steps: Sequence[Step]) -> list[Entry]:
    """Return the entries that steps add, in order."""
    return [step.entry for step in steps if step.adds and step.entry]
