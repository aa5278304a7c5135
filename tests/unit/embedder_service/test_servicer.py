"""The servicer over doubles."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from semsearch.embedder.v1 import embedder_service_pb2 as pb

from embedder_service import transferring
from embedder_service.image_embedding import ImageVector, Timings
from embedder_service.image_input import ImageInput
from embedder_service.pulling import Progress
from embedder_service.servicer import EmbedderServicer
from model.errors import CancelledTerms
from model.images import PhotoMetadata
from model.text.embedding import TextVector
from model.text.query import Term
from serving.byte_budget import ByteBudget, TooManyBytes
from tests.unit.embedder_service.held_model import DEADLINE

NOTHING: Any = None
LIMITS = pb.Limits(max_images=256, max_queries=3)
IMAGE = pb.ImageInput(content=b"12345")


class EndlessPull:
    """Reports progress forever."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def pull(self, recipe: str) -> AsyncGenerator[Progress, None]:
        try:
            while True:
                yield Progress(1, 2)
        finally:
            self.left.set()


class HeldModels:
    """One model, which embeds nothing until it is released."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.reached = asyncio.Event()

    @asynccontextmanager
    async def use(self, model_id: str = "") -> AsyncIterator[Any]:
        yield SimpleNamespace(id="held", images=self, vocabulary=NOTHING)

    async def embed(self, images: Sequence[ImageInput]) -> list[ImageVector]:
        self.reached.set()
        await self.gate.wait()
        return [
            ImageVector(np.ones(2, np.float32), 1, 1, "image/png", b"", PhotoMetadata(), b"", Timings()) for _ in images
        ]


def servicer_of(
    *, models: Any = NOTHING, pulls: Any = NOTHING, threads: Any = NOTHING, max_bytes: int = 2**20
) -> EmbedderServicer:
    return EmbedderServicer(models, NOTHING, pulls, LIMITS, threads, ByteBudget(max_bytes), NOTHING)


def call(servicer: EmbedderServicer, count: int) -> asyncio.Task[pb.EmbedImagesResponse]:
    return asyncio.create_task(servicer.EmbedImages(pb.EmbedImagesRequest(images=[IMAGE] * count), NOTHING))


async def test_a_pull_is_closed_when_its_caller_leaves() -> None:
    pulls = EndlessPull()
    answers = servicer_of(pulls=pulls).PullModel(pb.PullModelRequest(), NOTHING)
    assert (await anext(answers)).bytes_done == 1
    await cast("AsyncGenerator[pb.PullModelResponse, None]", answers).aclose()
    assert pulls.left.is_set()


async def test_a_call_is_refused_until_its_bytes_fit_beside_others() -> None:
    models = HeldModels()
    servicer = servicer_of(models=models, max_bytes=12)
    async with asyncio.timeout(DEADLINE):
        first = call(servicer, 2)
        await models.reached.wait()
        with pytest.raises(TooManyBytes):
            await call(servicer, 1)
        models.gate.set()
        assert len((await first).embeddings) == 2
        assert len((await call(servicer, 1)).embeddings) == 1
        assert len((await call(servicer, 9)).embeddings) == 9, "a call larger than the budget is admitted alone"


async def test_a_cancelled_call_frees_its_bytes() -> None:
    models = HeldModels()
    servicer = servicer_of(models=models, max_bytes=12)
    async with asyncio.timeout(DEADLINE):
        gone = call(servicer, 2)
        await models.reached.wait()
        gone.cancel()
        await asyncio.wait([gone])
        models.gate.set()
        assert len((await call(servicer, 2)).embeddings) == 2


async def test_a_cancelled_call_embeds_no_further_text(monkeypatch: pytest.MonkeyPatch) -> None:
    embedding, go_on = threading.Event(), threading.Event()
    embedded: list[str] = []

    def embed(terms: Sequence[Term], vocabulary: object) -> TextVector:
        embedded.append(terms[0].text)
        embedding.set()
        assert go_on.wait(DEADLINE)
        raise CancelledTerms

    monkeypatch.setattr("embedder_service.servicer.embed_terms", embed)
    texts = pb.EmbedTextRequest(queries=[pb.TextQuery(raw=text) for text in ("dog", "sofa", "red")])
    with ThreadPoolExecutor() as threads:
        calling = asyncio.create_task(servicer_of(models=HeldModels(), threads=threads).EmbedText(texts, NOTHING))
        await asyncio.to_thread(embedding.wait, DEADLINE)
        calling.cancel()
        await asyncio.wait([calling])
        go_on.set()
    assert embedded == ["dog"]


async def test_a_stream_is_read_only_while_its_images_fit() -> None:
    models = HeldModels()
    servicer = servicer_of(models=models, max_bytes=12)
    read, answered = 0, 0

    async def requests() -> AsyncIterator[pb.StreamEmbedImagesRequest]:
        nonlocal read
        for sequence in range(20):
            read += 1
            yield pb.StreamEmbedImagesRequest(sequence=sequence, image=IMAGE)

    async def send() -> None:
        nonlocal answered
        async for _ in servicer.StreamEmbedImages(requests(), NOTHING):
            answered += 1

    async with asyncio.timeout(DEADLINE):
        sending = asyncio.create_task(send())
        await models.reached.wait()
        for _ in range(50):
            await asyncio.sleep(0)
        assert read == 3, "two images fit, and one waits"
        models.gate.set()
        await sending
        assert answered == 20
        assert len((await call(servicer, 2)).embeddings) == 2


async def test_an_import_is_discarded_only_after_the_step_in_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    checking, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    class SlowImport:
        """Checks the files until it is released."""

        def __init__(self, *_: object) -> None: ...

        def is_here(self) -> bool:
            return False

        def add(self, name: str, content: bytes) -> None: ...

        def complete(self) -> None:
            checking.set()
            assert go_on.wait(DEADLINE)
            done.append("completed")

        def discard(self) -> None:
            done.append("discarded")

    async def requests() -> AsyncIterator[pb.ImportModelRequest]:
        yield pb.ImportModelRequest(id="own@sha256:0", name="words.txt", content=b"red")

    monkeypatch.setattr(transferring, "ModelImport", SlowImport)
    with ThreadPoolExecutor() as threads:
        servicer = servicer_of(threads=threads)
        importing = asyncio.create_task(servicer.ImportModel(requests(), NOTHING))
        await asyncio.to_thread(checking.wait, DEADLINE)
        importing.cancel()
        await asyncio.wait([importing], timeout=0.05)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await importing
    assert done == ["completed", "discarded"]
