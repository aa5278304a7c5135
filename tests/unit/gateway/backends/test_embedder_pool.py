"""The embedders that are known: one that was removed stays removed."""

from __future__ import annotations

from gateway.backends.embedder_pool import EmbedderNode, open_pool
from serving.channels import Channels
from tests.unit.gateway.doubles import ColorEmbedder


async def test_an_embedder_that_was_removed_while_it_was_asked_gets_no_work() -> None:
    async with open_pool("127.0.0.1:1", Channels(2**20)) as pool:
        removed = EmbedderNode("127.0.0.1:2", pool.channel)
        removed.client = ColorEmbedder()  # type: ignore[assignment]
        for serves in (True, False):
            removed.is_serving = serves
            await pool.look(removed)
            assert pool.bulk.addresses == []
        assert pool.health.is_well
