"""An `Embedder` that calls EmbedderService."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import grpc.aio
import numpy as np
from semsearch.bundle.v1 import manifest_pb2
from semsearch.embedder.v1 import embedder_service_pb2 as pb
from semsearch.embedder.v1 import embedder_service_pb2_grpc as pb_grpc
from semsearch.v1 import query_pb2

from gateway.backends.embedding import (
    Calibration,
    ImageEmbedding,
    ImageEmbeddings,
    ImageInput,
    Limits,
    Logistic,
    Model,
    PhotoMetadata,
    PullProgress,
    Recipe,
    RefusedText,
    TextEmbedding,
    TextEmbeddings,
    TextQuery,
    UnderstoodTerm,
    UnknownWord,
    Vector,
    Word,
    Words,
)
from gateway.backends.refusals import Refused
from gateway.backends.rpc_errors import calls_to, refused
from serving.servers_status import servers_status

_SERVICE = "embedder"
# The whole vocabulary, at the index's write speed.
_STREAM_WORDS_SECONDS = 1_800.0
# Hundreds of megabytes over a slow line.
_PULL_SECONDS = 24 * 3_600.0
# A model that is not loaded is loaded and tested first.
_LOAD_SECONDS = 600.0


class EmbedderClient:
    """Implements `gateway.backends.embedding.Embedder`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: pb_grpc.EmbedderServiceAsyncStub = pb_grpc.EmbedderServiceStub(channel)

    async def embed_texts(self, queries: Sequence[TextQuery], model_id: str = "") -> TextEmbeddings:
        """Embed 1 to `Limits.max_queries` queries."""
        request = pb.EmbedTextRequest(queries=[_query(query) for query in queries], model_id=model_id)
        with calls_to(_SERVICE):
            response = await self._stub.EmbedText(request)
        return TextEmbeddings(response.model_id, tuple(_text(each) for each in response.embeddings))

    async def embed_images(self, images: Sequence[ImageInput], model_id: str = "") -> ImageEmbeddings:
        """Embed 1 to `Limits.max_images` images."""
        request = pb.EmbedImagesRequest(images=[_image_input(image) for image in images], model_id=model_id)
        with calls_to(_SERVICE):
            response = await self._stub.EmbedImages(request)
        return ImageEmbeddings(response.model_id, tuple(_image(each) for each in response.embeddings))

    async def stream_words(self, skip: int, model_id: str = "") -> AsyncGenerator[Words, None]:
        """Yield the vocabulary after its first `skip` words; close the generator to stop."""
        request = pb.StreamWordsRequest(skip=skip, model_id=model_id)
        stream = self._stub.StreamWords(request, timeout=_STREAM_WORDS_SECONDS)
        try:
            with calls_to(_SERVICE):
                async for response in stream:
                    words = tuple(Word(each.text, each.rank, each.taggable) for each in response.words)
                    yield Words(words, np.frombuffer(response.vectors, dtype="<f4").reshape(len(words), -1))
        finally:
            stream.cancel()

    async def get_model(self, model_id: str = "") -> tuple[Model, Limits]:
        """Return a model."""
        with calls_to(_SERVICE):
            response = await self._stub.GetModel(pb.GetModelRequest(id=model_id))
        limits = response.limits
        return _model(response.model), Limits(limits.max_queries, limits.max_images, limits.max_image_bytes)

    async def list_models(self) -> Sequence[Model]:
        """Return the models that can be served."""
        with calls_to(_SERVICE):
            response = await self._stub.ListModels(pb.ListModelsRequest())
        return [_model(each) for each in response.models]

    async def list_recipes(self) -> Sequence[Recipe]:
        """Return the built-in recipes, by name."""
        with calls_to(_SERVICE):
            response = await self._stub.ListRecipes(pb.ListRecipesRequest())
        return [Recipe(each.name, each.model_id, each.display_name, each.download_bytes) for each in response.recipes]

    async def pull_model(self, recipe: str) -> AsyncGenerator[PullProgress, None]:
        """Make a model from a built-in recipe, yielding progress; close the generator to stop."""
        stream = self._stub.PullModel(pb.PullModelRequest(recipe=recipe), timeout=_PULL_SECONDS)
        try:
            with calls_to(_SERVICE):
                async for response in stream:
                    model = _model(response.model) if response.HasField("model") else None
                    yield PullProgress(response.bytes_done, response.bytes_total, model)
        finally:
            stream.cancel()

    async def copy_model(self, model_id: str, to: EmbedderClient) -> None:
        """Give another embedder a model that this one has."""
        call = to._stub.ImportModel(self._parts(model_id), timeout=_PULL_SECONDS)
        with calls_to(_SERVICE):
            async with servers_status(call):
                await call

    async def _parts(self, model_id: str) -> AsyncGenerator[pb.ImportModelRequest, None]:
        listed = await self._stub.ListModelFiles(pb.ListModelFilesRequest(id=model_id))
        for file in listed.files:
            yield pb.ImportModelRequest(id=model_id, name=file.name)
            request = pb.ReadModelFileRequest(id=model_id, name=file.name)
            async for part in self._stub.ReadModelFile(request, timeout=_PULL_SECONDS):
                yield pb.ImportModelRequest(name=file.name, content=part.content)

    async def activate_model(self, model_id: str) -> Model:
        """Make a model the default for calls that name none, and return it."""
        with calls_to(_SERVICE):
            response = await self._stub.ActivateModel(pb.ActivateModelRequest(id=model_id), timeout=_LOAD_SECONDS)
        return _model(response.model)


def _query(query: TextQuery) -> pb.TextQuery:
    terms = [query_pb2.Term(text=term.text, weight=term.weight) for term in query.terms]
    return pb.TextQuery(raw=query.raw, terms=terms)


def _text(embedding: pb.TextEmbedding) -> TextEmbedding | RefusedText:
    unknown = tuple(UnknownWord(each.word, tuple(each.suggestions)) for each in embedding.unknown_words)
    if embedding.HasField("status"):
        return RefusedText(refused(embedding.status), unknown)
    understood = tuple(UnderstoodTerm(each.text, tuple(each.words), each.weight) for each in embedding.understood_terms)
    return TextEmbedding(_vector(embedding.vector), understood, unknown, embedding.length)


def _image_input(image: ImageInput) -> pb.ImageInput:
    message = pb.ImageInput(content=image.content, thumbnail_edge=image.thumbnail_edge)
    if crop := image.crop:
        message.crop.CopyFrom(query_pb2.CropBox(left=crop.left, top=crop.top, right=crop.right, bottom=crop.bottom))
    return message


def _image(embedding: pb.ImageEmbedding) -> ImageEmbedding | Refused:
    if embedding.HasField("status"):
        return refused(embedding.status)
    return ImageEmbedding(
        vector=_vector(embedding.vector),
        width=embedding.width,
        height=embedding.height,
        media_type=embedding.media_type,
        thumbnail=embedding.thumbnail,
        photo=_photo(embedding.metadata),
        perceptual_hash=embedding.perceptual_hash,
    )


def _photo(metadata: pb.PhotoMetadata) -> PhotoMetadata:
    return PhotoMetadata(
        taken_time=metadata.taken_time,
        camera=metadata.camera,
        lens=metadata.lens,
        latitude=metadata.latitude if metadata.HasField("latitude") else None,
        longitude=metadata.longitude if metadata.HasField("longitude") else None,
        orientation=metadata.orientation or 1,
    )


def _vector(packed: bytes) -> Vector:
    return np.frombuffer(packed, dtype="<f4")


def _model(model: pb.Model) -> Model:
    return Model(
        id=model.id,
        display_name=model.display_name,
        dimension=model.dimension,
        input_size=model.input_size,
        word_count=model.word_count,
        calibration=_calibration(model.calibration),
        metrics=dict(model.metrics),
        active=model.active,
    )


def _calibration(calibration: manifest_pb2.Calibration) -> Calibration:
    return Calibration(
        text_to_image=_logistic(calibration.text_to_image),
        tags=_logistic(calibration.tags),
        image_to_image=_logistic(calibration.image_to_image),
        default_min_relevance=calibration.default_min_relevance,
        default_min_tag_relevance=calibration.default_min_tag_relevance,
    )


def _logistic(logistic: manifest_pb2.Logistic) -> Logistic:
    return Logistic(logistic.slope, logistic.offset)
