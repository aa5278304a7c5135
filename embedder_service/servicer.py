"""EmbedderService over gRPC: each method validates, translates, calls the core and translates back.

The event loop only moves messages: the call threads look up words, and other threads decode and embed images.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from functools import partial
from typing import Any, TypeVar

import grpc.aio
from semsearch.embedder.v1 import embedder_service_pb2 as pb
from semsearch.embedder.v1 import embedder_service_pb2_grpc as pb_grpc
from typing_extensions import override

from embedder_service import transferring, translate
from embedder_service.errors import EmbedderError
from embedder_service.image_embedding import ImageEmbedder, ImageVector
from embedder_service.image_input import ImageInput
from embedder_service.installed_models import InstalledModels
from embedder_service.loaded_models import LoadedModels
from embedder_service.models import ModelFolder
from embedder_service.pulling import Pulls
from model.bundle.manifest import Manifest
from model.errors import ImageError, ModelError, QueryError
from model.text.embedding import TextVector, embed_terms
from model.text.vocabulary import Vocabulary
from serving import tracing
from serving.byte_budget import ByteBudget, ByteShare
from serving.errors import InvalidField

_WORDS = 1_000  # per message: 1.2 MB with 300 float32 each; fewer if vectors are longer
_WORDS_BYTES = 2 * 2**20
_STREAM_WINDOW = 64  # images of one stream that are processed at the same time

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]


class EmbedderServicer(pb_grpc.EmbedderServiceServicer):
    """Serves the active model, and any other that a call names."""

    def __init__(
        self,
        models: LoadedModels,
        folder: ModelFolder,
        pulls: Pulls,
        limits: pb.Limits,
        threads: Executor,
        budget: ByteBudget,
        installed: InstalledModels,
    ) -> None:
        self._models = models
        self._folder = folder
        self._pulls = pulls
        self._limits = limits
        self._threads = threads
        self._installed = installed
        self._budget = budget  # for the bytes of images that are not answered yet

    @override
    async def EmbedText(self, request: pb.EmbedTextRequest, context: Context) -> pb.EmbedTextResponse:
        """Turn queries into vectors."""
        translate.check_count(len(request.queries), self._limits.max_queries, "queries")
        left = threading.Event()  # the caller has left, or its time is up
        async with self._models.use(request.model_id) as model:

            def embed() -> list[pb.TextEmbedding]:
                queries = itertools.takewhile(lambda _: not left.is_set(), request.queries)
                return [translate.from_text(_embed_text(query, model.vocabulary)) for query in queries]

            with tracing.span("embed text"):
                try:
                    return pb.EmbedTextResponse(embeddings=await self._on_thread(embed), model_id=model.id)
                finally:
                    left.set()

    @override
    async def EmbedImages(self, request: pb.EmbedImagesRequest, context: Context) -> pb.EmbedImagesResponse:
        """Turn images into vectors."""
        translate.check_count(len(request.images), self._limits.max_images, "images")
        inputs = [translate.to_image(image) for image in request.images]
        with self._budget.taken_at_once(sum(len(image.content) for image in request.images)):
            async with self._models.use(request.model_id) as model:
                results = await _embed_images(inputs, model.images)
        timings = [result.timings for result in results if isinstance(result, ImageVector)]
        return pb.EmbedImagesResponse(
            embeddings=[translate.from_image(result) for result in results],
            model_id=model.id,
            timings=translate.from_timings(timings),
        )

    @override
    async def StreamEmbedImages(
        self, request_iterator: AsyncIterator[pb.StreamEmbedImagesRequest], context: Context
    ) -> AsyncIterator[pb.StreamEmbedImagesResponse]:
        """Turn a stream of images into vectors, a bounded number at a time, and send each when it is done.

        The next image is read when the byte budget has room for the previous one.
        """
        requests = aiter(request_iterator)
        answering: set[asyncio.Task[pb.StreamEmbedImagesResponse]] = set()
        with self._budget.share() as share:
            reading: asyncio.Task[pb.StreamEmbedImagesRequest | None] | None
            reading = asyncio.create_task(_next(requests, share))
            try:
                while reading or answering:
                    may_read = {reading} if reading and len(answering) < _STREAM_WINDOW else set()
                    await asyncio.wait({*may_read, *answering}, return_when=asyncio.FIRST_COMPLETED)
                    if reading and reading.done():
                        request = reading.result()
                        reading = asyncio.create_task(_next(requests, share)) if request else None
                        if request:
                            answering.add(asyncio.create_task(self._answer(request, share)))
                    for done in [task for task in answering if task.done()]:
                        answering.remove(done)
                        yield done.result()
            finally:
                for task in (*answering, *([reading] if reading else [])):
                    task.cancel()

    @override
    async def StreamWords(
        self, request: pb.StreamWordsRequest, context: Context
    ) -> AsyncIterator[pb.StreamWordsResponse]:
        """Send the vocabulary."""
        if request.skip < 0:
            raise InvalidField("skip", f"must not be negative; it is {request.skip}.")
        async with self._models.use(request.model_id) as model:
            count = min(_WORDS, _WORDS_BYTES // (4 * model.manifest.dimension))

            def words(first: int) -> pb.StreamWordsResponse:
                return translate.from_words(model.words, first, count, model.id)

            for first in range(request.skip, len(model.words.words), count):
                yield await self._on_thread(lambda first=first: words(first))  # type: ignore[misc]

    @override
    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        """Describe a model."""
        loaded = self._models.loaded(request.id)
        manifest = loaded.manifest if loaded else await self._on_thread(lambda: self._folder.manifest(request.id))
        return pb.GetModelResponse(model=self._described(manifest), limits=self._limits)

    @override
    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        """List the models."""
        manifests = await self._on_thread(self._folder.manifests)
        return pb.ListModelsResponse(models=[self._described(manifest) for manifest in manifests])

    @override
    async def ListRecipes(self, request: pb.ListRecipesRequest, context: Context) -> pb.ListRecipesResponse:
        """List the recipes."""
        opened = await self._on_thread(self._pulls.recipes.usable)
        return pb.ListRecipesResponse(recipes=[translate.from_recipe(each) for each in opened])

    @override
    async def PullModel(self, request: pb.PullModelRequest, context: Context) -> AsyncIterator[pb.PullModelResponse]:
        """Make a model from a recipe."""
        async with aclosing(self._pulls.pull(request.recipe)) as pull:
            async for progress in pull:
                model = None
                if progress.made:
                    model = self._described(progress.made)
                    self._installed.look_again()
                yield pb.PullModelResponse(
                    bytes_done=progress.bytes_done, bytes_total=progress.bytes_total, model=model
                )

    @override
    async def ActivateModel(self, request: pb.ActivateModelRequest, context: Context) -> pb.ActivateModelResponse:
        """Activate a model."""
        if not request.id:
            raise InvalidField("id", "must be the id of a model. ListModels lists the models.")
        model = await self._models.activate(request.id)
        return pb.ActivateModelResponse(model=self._described(model.manifest))

    @override
    async def ListModelFiles(self, request: pb.ListModelFilesRequest, context: Context) -> pb.ListModelFilesResponse:
        """List the files of a model."""
        files = await self._on_thread(lambda: transferring.files_of(self._folder, request.id))
        return pb.ListModelFilesResponse(
            files=[pb.ModelFile(name=each.name, size=each.size, sha256=each.sha256) for each in files]
        )

    @override
    async def ReadModelFile(
        self, request: pb.ReadModelFileRequest, context: Context
    ) -> AsyncIterator[pb.ReadModelFileResponse]:
        """Stream a file of a model."""
        parts = transferring.read(self._folder, request.id, request.name)
        while (part := await self._on_thread(lambda: next(parts, None))) is not None:
            yield pb.ReadModelFileResponse(content=part)

    @override
    async def ImportModel(
        self, request_iterator: AsyncIterator[pb.ImportModelRequest], context: Context
    ) -> pb.ImportModelResponse:
        """Make a model from its files; keep nothing unless they are complete."""
        message = await anext(aiter(request_iterator), None)
        if message is None or not message.id:
            raise InvalidField("id", "is missing in the first message; it must be the id of the model.")
        model_id = message.id
        importing = transferring.ModelImport(self._folder, model_id)
        try:
            if not await self._to_the_end(importing.is_here):
                while message is not None:
                    if message.id not in ("", model_id):
                        raise InvalidField("id", f'is "{model_id}" in the first message; it cannot change.')
                    await self._to_the_end(partial(importing.add, message.name, message.content))
                    message = await anext(aiter(request_iterator), None)
                await self._to_the_end(importing.complete)
        finally:
            await self._to_the_end(importing.discard)
        return pb.ImportModelResponse(
            model=self._described(await self._on_thread(lambda: self._folder.manifest(model_id)))
        )

    async def _answer(self, request: pb.StreamEmbedImagesRequest, share: ByteShare) -> pb.StreamEmbedImagesResponse:
        result: ImageVector | EmbedderError | ModelError
        model_id = request.model_id
        try:
            image = translate.to_image(request.image)
            async with self._models.use(model_id) as model:
                model_id = model.id
                [result] = await _embed_images([image], model.images)
        except (EmbedderError, ModelError) as error:
            result = error
        finally:
            share.give_back(len(request.image.content))
        return pb.StreamEmbedImagesResponse(
            sequence=request.sequence, embedding=translate.from_image(result), model_id=model_id
        )

    def _described(self, manifest: Manifest) -> pb.Model:
        return translate.from_manifest(manifest, self._models.active_id)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _to_the_end(self, work: Callable[[], T]) -> T:
        """Run work on a thread; if the call is cancelled, wait for the work, which cannot be stopped."""
        working = asyncio.ensure_future(self._on_thread(work))
        try:
            return await asyncio.shield(working)
        finally:
            await asyncio.wait([working])


async def _embed_images(
    images: Sequence[ImageInput | ImageError], embedder: ImageEmbedder
) -> list[ImageVector | ImageError]:
    """Embed the valid images, and put the errors of the others in their places."""
    embedded = iter(await embedder.embed([image for image in images if isinstance(image, ImageInput)]))
    return [next(embedded) if isinstance(image, ImageInput) else image for image in images]


def _embed_text(query: pb.TextQuery, vocabulary: Vocabulary) -> TextVector | QueryError:
    try:
        return embed_terms(translate.to_terms(query), vocabulary)
    except QueryError as error:
        return error


async def _next(
    requests: AsyncIterator[pb.StreamEmbedImagesRequest], share: ByteShare
) -> pb.StreamEmbedImagesRequest | None:
    """Return the next image of a stream when the budget has room for it, or None at the end of the stream."""
    request = await anext(requests, None)
    if request is not None:
        await share.take(len(request.image.content))
    return request
