"""EmbedderService over gRPC: each method validates, translates, calls the core and translates back.

The event loop only moves messages: words are looked up on the call threads, images decoded and embedded on theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar

import grpc.aio
from semsearch.embedder.v1 import embedder_service_pb2 as pb
from semsearch.embedder.v1 import embedder_service_pb2_grpc as pb_grpc

from embedder_service import translate
from embedder_service.bundle.reading import Bundle
from embedder_service.errors import ImageError, Overloaded, QueryError
from embedder_service.image_embedding import ImageEmbedder, ImageInput, ImageVector
from embedder_service.models import ModelFolder
from embedder_service.text.embedding import TextVector, embed_terms
from embedder_service.text.vocabulary import Vocabulary
from serving.errors import InvalidField

__all__ = ["EmbedderServicer"]

_WORDS = 500  # a message; of 300 float32 each they make 600 kB
_STREAM_WINDOW = 64  # images of one stream that are worked on at the same time

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]


class EmbedderServicer(pb_grpc.EmbedderServiceServicer):
    """Serves one model."""

    def __init__(
        self, bundle: Bundle, images: ImageEmbedder, models: ModelFolder, limits: pb.Limits, threads: Executor
    ) -> None:
        self._bundle = bundle
        self._id = bundle.manifest.id
        self._vocabulary = Vocabulary(bundle.words)
        self._images = images
        self._models = models
        self._limits = limits
        self._threads = threads

    async def EmbedText(self, request: pb.EmbedTextRequest, context: Context) -> pb.EmbedTextResponse:
        """Turns queries into vectors."""
        translate.check_count(len(request.queries), self._limits.max_queries, "queries")

        def embed() -> list[pb.TextEmbedding]:
            return [translate.from_text(_embed_text(query, self._vocabulary)) for query in request.queries]

        return pb.EmbedTextResponse(embeddings=await self._on_thread(embed), model_id=self._id)

    async def EmbedImages(self, request: pb.EmbedImagesRequest, context: Context) -> pb.EmbedImagesResponse:
        """Turns images into vectors."""
        translate.check_count(len(request.images), self._limits.max_images, "images")
        results = await self._embed_images([translate.to_image(image) for image in request.images])
        timings = [result.timings for result in results if isinstance(result, ImageVector)]
        return pb.EmbedImagesResponse(
            embeddings=[translate.from_image(result) for result in results],
            model_id=self._id,
            timings=translate.from_timings(timings),
        )

    async def StreamEmbedImages(
        self, request_iterator: AsyncIterator[pb.StreamEmbedImagesRequest], context: Context
    ) -> AsyncIterator[pb.StreamEmbedImagesResponse]:
        """Turns a stream of images into vectors, each answered when it is done, a bounded number at a time."""
        requests = aiter(request_iterator)
        reading: asyncio.Task[pb.StreamEmbedImagesRequest | None] | None = asyncio.create_task(_next(requests))
        answering: set[asyncio.Task[pb.StreamEmbedImagesResponse]] = set()
        try:
            while reading or answering:
                may_read = {reading} if reading and len(answering) < _STREAM_WINDOW else set()
                await asyncio.wait({*may_read, *answering}, return_when=asyncio.FIRST_COMPLETED)
                if reading and reading.done():
                    request = reading.result()
                    reading = asyncio.create_task(_next(requests)) if request else None
                    if request:
                        answering.add(asyncio.create_task(self._answer(request)))
                for done in [task for task in answering if task.done()]:
                    answering.remove(done)
                    yield done.result()
        finally:
            for task in (*answering, *([reading] if reading else [])):
                task.cancel()

    async def StreamWords(
        self, request: pb.StreamWordsRequest, context: Context
    ) -> AsyncIterator[pb.StreamWordsResponse]:
        """Sends the vocabulary."""
        if request.skip < 0:
            raise InvalidField("skip", f"must not be negative; it is {request.skip}.")
        table = self._bundle.words

        def words(first: int) -> pb.StreamWordsResponse:
            return pb.StreamWordsResponse(model_id=self._id, words=translate.from_words(table, first, _WORDS))

        for first in range(request.skip, len(table.words), _WORDS):
            yield await self._on_thread(lambda first=first: words(first))  # type: ignore[misc]

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        """Describes a model."""
        manifest = self._bundle.manifest
        if request.id not in ("", self._id):
            manifest = await self._on_thread(lambda: self._models.manifest(request.id))
        return pb.GetModelResponse(model=translate.from_manifest(manifest, self._id), limits=self._limits)

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        """Lists the models."""
        manifests = await self._on_thread(self._models.manifests)
        return pb.ListModelsResponse(models=[translate.from_manifest(each, self._id) for each in manifests])

    async def _embed_images(self, images: Sequence[ImageInput | ImageError]) -> list[ImageVector | ImageError]:
        """Embeds the images that can be, and puts what is wrong with the others in their places."""
        embedded = iter(await self._images.embed([image for image in images if isinstance(image, ImageInput)]))
        return [next(embedded) if isinstance(image, ImageInput) else image for image in images]

    async def _answer(self, request: pb.StreamEmbedImagesRequest) -> pb.StreamEmbedImagesResponse:
        result: ImageVector | ImageError | Overloaded
        try:
            [result] = await self._embed_images([translate.to_image(request.image)])
        except Overloaded as error:
            result = error
        return pb.StreamEmbedImagesResponse(
            sequence=request.sequence, embedding=translate.from_image(result), model_id=self._id
        )

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _embed_text(query: pb.TextQuery, vocabulary: Vocabulary) -> TextVector | QueryError:
    try:
        return embed_terms(translate.to_terms(query), vocabulary)
    except QueryError as error:
        return error


async def _next(requests: AsyncIterator[T]) -> T | None:
    return await anext(requests, None)
