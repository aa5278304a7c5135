"""The servicer over doubles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast

from semsearch.embedder.v1 import embedder_service_pb2 as pb

from embedder_service.pulling import Progress
from embedder_service.servicer import EmbedderServicer


class EndlessPull:
    """Tells of progress for ever."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def pull(self, recipe: str) -> AsyncGenerator[Progress, None]:
        try:
            while True:
                yield Progress(1, 2)
        finally:
            self.left.set()


async def test_a_pull_whose_caller_leaves_is_left_at_once() -> None:
    pulls = EndlessPull()
    nothing: Any = None
    servicer = EmbedderServicer(nothing, nothing, cast("Any", pulls), pb.Limits(), nothing)
    answers = cast("AsyncGenerator[pb.PullModelResponse, None]", servicer.PullModel(pb.PullModelRequest(), nothing))
    assert (await anext(answers)).bytes_done == 1
    await answers.aclose()
    assert pulls.left.is_set()
