"""A gateway process over an index process and an embedder of colours, on real sockets."""
# ruff: noqa: N802 — methods are named as the proto names them

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio
from google.protobuf import struct_pb2
from google.rpc import status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from semsearch.bundle.v1 import manifest_pb2
from semsearch.embedder.v1 import embedder_service_pb2 as pb
from semsearch.embedder.v1 import embedder_service_pb2_grpc as pb_grpc
from semsearch.transport.servers_status import servers_status
from semsearch.v1 import (
    gallery_service_pb2,
    gallery_service_pb2_grpc,
    map_service_pb2_grpc,
    model_service_pb2_grpc,
    query_pb2,
    search_service_pb2_grpc,
)

from gateway.api.statuses import ERRORS
from gateway.backends.embedding import (
    Crop,
    ImageInput,
    Logistic,
    Model,
    RefusedText,
    Term,
    TextEmbedding,
    TextQuery,
    UnknownWord,
)
from gateway.backends.refusals import Refused
from serving.errors import to_status
from serving.interceptors import CallInterceptor
from serving.received_errors import from_status
from serving.tls_servers import add_port
from tests.services.packed_vectors import packed
from tests.unit.gateway.doubles import MODEL, OTHER_MODEL, ColorEmbedder

START_SECONDS = 180.0
CALL_SECONDS = 20.0
SERVICES = tuple(f"semsearch.v1.{name}Service" for name in ("Search", "Gallery", "Model", "Map", "Backup", "Limits"))


class ColorEmbedderServicer(pb_grpc.EmbedderServiceServicer):
    """EmbedderService over a `ColorEmbedder`. Words, and vectors of images, are sent while the events are set."""

    def __init__(self, embedder: ColorEmbedder) -> None:
        self.embedder = embedder
        self.words_may_flow = asyncio.Event()
        self.words_may_flow.set()
        self.images_may_flow = asyncio.Event()
        self.images_may_flow.set()
        self.images_waiting = 0
        self.takes_models = True
        self.deadlines: list[float] = []

    async def EmbedText(self, request: pb.EmbedTextRequest, context: object) -> pb.EmbedTextResponse:
        self.deadlines.append(context.time_remaining())  # type: ignore[attr-defined]
        queries = [
            TextQuery(query.raw, tuple(Term(term.text, term.weight) for term in query.terms))
            for query in request.queries
        ]
        answer = await self.embedder.embed_texts(queries, request.model_id)
        return pb.EmbedTextResponse(model_id=answer.model_id, embeddings=[_text(each) for each in answer.results])

    async def EmbedImages(self, request: pb.EmbedImagesRequest, context: object) -> pb.EmbedImagesResponse:
        self.images_waiting += 1
        await self.images_may_flow.wait()
        self.images_waiting -= 1
        images = [
            ImageInput(
                each.content,
                Crop(each.crop.left, each.crop.top, each.crop.right, each.crop.bottom)
                if each.HasField("crop")
                else None,
                each.thumbnail_edge,
            )
            for each in request.images
        ]
        answer = await self.embedder.embed_images(images, request.model_id)
        return pb.EmbedImagesResponse(
            model_id=answer.model_id,
            embeddings=[
                pb.ImageEmbedding(status=to_status(each, ERRORS))
                if isinstance(each, Refused)
                else pb.ImageEmbedding(
                    vector=packed(each.vector),
                    width=each.width,
                    height=each.height,
                    media_type=each.media_type,
                    thumbnail=each.thumbnail,
                    metadata=pb.PhotoMetadata(**asdict(each.photo)),
                    perceptual_hash=each.perceptual_hash,
                )
                for each in answer.results
            ],
        )

    async def StreamWords(
        self, request: pb.StreamWordsRequest, context: object
    ) -> AsyncIterator[pb.StreamWordsResponse]:
        async for batch in self.embedder.stream_words(request.skip, request.model_id):
            yield pb.StreamWordsResponse(
                model_id=request.model_id,
                words=[pb.Word(text=word.text, rank=word.rank, taggable=word.taggable) for word in batch.words],
                vectors=packed(batch.vectors),
            )
            await self.words_may_flow.wait()

    async def GetModel(self, request: pb.GetModelRequest, context: object) -> pb.GetModelResponse:
        model, limits = await self.embedder.get_model(request.id)
        return pb.GetModelResponse(
            model=_model(model),
            limits=pb.Limits(
                max_queries=limits.max_queries, max_images=limits.max_images, max_image_bytes=limits.max_image_bytes
            ),
        )

    async def ListModels(self, request: pb.ListModelsRequest, context: object) -> pb.ListModelsResponse:
        return pb.ListModelsResponse(models=[_model(model) for model in await self.embedder.list_models()])

    async def ListRecipes(self, request: pb.ListRecipesRequest, context: object) -> pb.ListRecipesResponse:
        recipes = [pb.Recipe(**dataclasses.asdict(each)) for each in await self.embedder.list_recipes()]
        return pb.ListRecipesResponse(recipes=recipes)

    async def PullModel(self, request: pb.PullModelRequest, context: object) -> AsyncIterator[pb.PullModelResponse]:
        async for progress in self.embedder.pull_model(request.recipe):
            model = _model(progress.model) if progress.model else None
            yield pb.PullModelResponse(bytes_done=progress.bytes_done, bytes_total=progress.bytes_total, model=model)

    async def ListModelFiles(self, request: pb.ListModelFilesRequest, context: object) -> pb.ListModelFilesResponse:
        return pb.ListModelFilesResponse(files=[pb.ModelFile(name="model")])

    async def ReadModelFile(
        self, request: pb.ReadModelFileRequest, context: object
    ) -> AsyncIterator[pb.ReadModelFileResponse]:
        yield pb.ReadModelFileResponse(content=request.id.encode())

    async def ImportModel(
        self, request_iterator: AsyncIterator[pb.ImportModelRequest], context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.ImportModelResponse:
        content = b"".join([part.content async for part in request_iterator])
        if not self.takes_models:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "The disk is full.")
        model = next(each for each in (MODEL, OTHER_MODEL) if each.id.encode() == content)
        self.embedder.models[model.id] = model
        return pb.ImportModelResponse(model=_model(model))

    async def ActivateModel(self, request: pb.ActivateModelRequest, context: object) -> pb.ActivateModelResponse:
        return pb.ActivateModelResponse(model=_model(await self.embedder.activate_model(request.id)))


def _text(result: TextEmbedding | RefusedText) -> pb.TextEmbedding:
    unknown = [_unknown(word) for word in result.unknown_words]
    if isinstance(result, RefusedText):
        return pb.TextEmbedding(status=to_status(result.error, ERRORS), unknown_words=unknown)
    return pb.TextEmbedding(
        vector=packed(result.vector),
        understood_terms=[
            query_pb2.UnderstoodTerm(text=term.text, words=term.words, weight=term.weight) for term in result.understood
        ],
        length=result.length,
        unknown_words=unknown,
    )


def _unknown(word: UnknownWord) -> query_pb2.UnknownWord:
    return query_pb2.UnknownWord(word=word.word, suggestions=word.suggestions)


def _model(model: Model) -> pb.Model:
    def logistic(curve: Logistic) -> manifest_pb2.Logistic:
        return manifest_pb2.Logistic(slope=curve.slope, offset=curve.offset)

    calibration = model.calibration
    return pb.Model(
        id=model.id,
        display_name=model.display_name,
        dimension=model.dimension,
        input_size=model.input_size,
        word_count=model.word_count,
        calibration=manifest_pb2.Calibration(
            text_to_image=logistic(calibration.text_to_image),
            tags=logistic(calibration.tags),
            image_to_image=logistic(calibration.image_to_image),
            default_min_relevance=calibration.default_min_relevance,
            default_min_tag_relevance=calibration.default_min_tag_relevance,
        ),
        metrics=model.metrics,
        active=model.active,
    )


@asynccontextmanager
async def color_embedder(
    port: int = 0, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[tuple[ColorEmbedderServicer, int]]:
    """Serve an embedder of colours, encrypted if there are credentials; yield the servicer and its port."""
    server = grpc.aio.server(interceptors=[CallInterceptor(ERRORS)])
    servicer = ColorEmbedderServicer(ColorEmbedder())
    pb_grpc.add_EmbedderServiceServicer_to_server(servicer, server)
    healths = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healths, server)
    await healths.set("semsearch.embedder.v1.EmbedderService", health_pb2.HealthCheckResponse.SERVING)
    models = asyncio.create_task(_report_models(servicer.embedder, healths))
    port = add_port(server, f"127.0.0.1:{port}", credentials)
    await server.start()
    try:
        yield servicer, port
    finally:
        servicer.words_may_flow.set()
        servicer.images_may_flow.set()
        models.cancel()
        await server.stop(None)


async def _report_models(embedder: ColorEmbedder, healths: health.aio.HealthServicer) -> None:
    """Report the models that the embedder has, as the real one does."""
    status = health_pb2.HealthCheckResponse
    known: set[str] = set()
    while True:
        for model_id in known ^ embedder.models.keys():
            name = f"semsearch.embedder.v1.EmbedderService/{model_id}"
            await healths.set(name, status.SERVING if model_id in embedder.models else status.NOT_SERVING)
        known = set(embedder.models)
        await asyncio.sleep(0.01)


class Service:
    """A running service process."""

    def __init__(self, process: asyncio.subprocess.Process, address: str, http_address: str = "") -> None:
        self.process = process
        self.address = address
        self.http_address = http_address
        self._logged: set[str] = set()
        self._more = asyncio.Condition()

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    async def wait_for_event(self, name: str) -> None:
        """Wait until the process has logged an event since it was ready."""
        async with asyncio.timeout(START_SECONDS), self._more:
            await self._more.wait_for(lambda: name in self._logged)

    async def read_log(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            if line.startswith(b"{"):
                async with self._more:
                    self._logged.add(json.loads(line)["event"])
                    self._more.notify_all()


def free_http(module: str) -> list[str]:
    return ["--http-port=0"] if module == "gateway" else []


@asynccontextmanager
async def service(module: str, *flags: str) -> AsyncIterator[Service]:
    """Start `python -m <module>`, and wait until it is ready; stop it at the end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SEMSEARCH_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, "--metrics-port=-1", "--log-format=json", *free_http(module), *flags,
        stderr=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    assert process.stderr is not None
    lines: list[str] = []
    address = http_address = ""
    async with asyncio.timeout(START_SECONDS):
        while not address:
            line = (await process.stderr.readline()).decode()
            assert line, f"{module} ended:\n{''.join(lines)}"
            lines.append(line)
            if line.startswith("{") and (event := json.loads(line))["event"] == "ready":
                address, http_address = event["address"], event.get("http_address", "")
    running = Service(process, address, http_address)
    draining = asyncio.create_task(running.read_log())
    try:
        yield running
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(START_SECONDS):
            await process.wait()
            await draining


class Stack:
    """A client's view of a gateway."""

    def __init__(self, channel: grpc.aio.Channel, embedder: ColorEmbedderServicer, data: Path, http: str = "") -> None:
        self.channel = channel
        self.embedder = embedder
        self.data = data
        self.http = http
        self._numbers = itertools.count()
        self.search = search_service_pb2_grpc.SearchServiceStub(channel)
        self.gallery = gallery_service_pb2_grpc.GalleryServiceStub(channel)
        self.maps = map_service_pb2_grpc.MapServiceStub(channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)

    async def index(
        self, collection: str, images: Sequence[gallery_service_pb2.ImageUpload]
    ) -> list[gallery_service_pb2.IndexImagesResult]:
        """Add images and return the results."""

        async def requests() -> AsyncIterator[gallery_service_pb2.IndexImagesRequest]:
            yield gallery_service_pb2.IndexImagesRequest(
                config=gallery_service_pb2.IndexImagesConfig(collection=collection)
            )
            for image in images:
                yield gallery_service_pb2.IndexImagesRequest(image=image)

        stream = self.gallery.IndexImages(requests(), timeout=CALL_SECONDS)
        results: list[gallery_service_pb2.IndexImagesResult] = []
        async with servers_status(stream):
            async for response in stream:
                results += response.results
        return results

    async def new_collection(self) -> str:
        """Create an empty collection and return its id."""
        name = f"c{next(self._numbers)}"
        await self.gallery.CreateCollection(gallery_service_pb2.CreateCollectionRequest(collection_id=name))
        return name

    async def wait_until_serving(self, name: str) -> None:
        """Wait until the gateway reports that a service is serving."""
        await wait_for_health(self.channel, name, health_pb2.HealthCheckResponse.SERVING)


async def wait_for_health(
    channel: grpc.aio.Channel, name: str, wanted: health_pb2.HealthCheckResponse.ServingStatus.ValueType
) -> None:
    async with asyncio.timeout(START_SECONDS):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=name))
        async for response in watch:
            if response.status == wanted:
                watch.cancel()
                return


def image(
    sequence: int, content: bytes, name: str = "", attributes: dict[str, object] | None = None
) -> gallery_service_pb2.ImageUpload:
    upload = gallery_service_pb2.ImageUpload(sequence=sequence, content=content, id=name)
    if attributes is not None:
        upload.attributes.CopyFrom(struct(attributes))
    return upload


def struct(attributes: dict[str, object]) -> struct_pb2.Struct:
    message = struct_pb2.Struct()
    message.update(attributes)
    return message


def reason(error: grpc.RpcError) -> str:
    """Return the ErrorInfo reason of a failed call."""
    status = rpc_status.from_call(error)
    assert status is not None, error
    return from_status(status_pb2.Status.FromString(status.SerializeToString()))[0]


@asynccontextmanager
async def running_stack(data: Path, *flags: str) -> AsyncIterator[Stack]:
    """Start the services, the gateway with further flags."""
    async with AsyncExitStack() as exits:
        embedder, embedder_port = await exits.enter_async_context(color_embedder())
        index = await exits.enter_async_context(service("index_service", "--port=0", f"--data={data}"))
        gateway = await exits.enter_async_context(
            service(
                "gateway",
                "--port=0",
                f"--data={data}",
                f"--embedder=127.0.0.1:{embedder_port}",
                f"--index={index.address}",
                *flags,
            )
        )
        channel = await exits.enter_async_context(grpc.aio.insecure_channel(gateway.address))
        stack = Stack(channel, embedder, data, gateway.http_address)
        await stack.wait_until_serving("")
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """One gateway for the tests of a module: starting three services takes a second or two. Each test has collections
    of its own.
    """
    async with running_stack(tmp_path_factory.mktemp("data")) as running:
        yield running
