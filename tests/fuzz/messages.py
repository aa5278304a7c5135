"""Targets that call every method of a servicer with any messages; no call may end in an error of ours."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2
from semsearch.embedder.v1 import embedder_service_pb2 as embedder_pb
from semsearch.index.v1 import index_service_pb2 as index_pb
from semsearch.v1 import gallery_service_pb2, map_service_pb2, model_service_pb2, search_service_pb2

import embedder_service.statuses
import gateway.api.statuses
import index_service.api.statuses
from embedder_service.image_embedding import ImageVector, Timings
from embedder_service.installed_models import InstalledModels
from embedder_service.models import ModelFolder
from embedder_service.pulling import Pulls
from embedder_service.recipes import RecipeFolder
from embedder_service.servicer import EmbedderServicer
from gateway.api.gallery_servicer import GalleryServicer
from gateway.api.map_servicer import MapServicer
from gateway.api.model_servicer import ModelServicer
from gateway.api.search_servicer import SearchServicer
from index_service.api.servicer import IndexServicer
from index_service.coordination.database import open_database
from index_service.coordination.leases import Leases
from index_service.definition import EngineKind, IndexDefinition
from index_service.local.catalog import open_catalog
from index_service.opening import open_backends
from index_service.settings import IndexSettings
from model.images import PhotoMetadata
from serving.byte_budget import ByteBudget
from serving.decoding import Undecodable, checked
from serving.error_status import ErrorTable
from serving.errors import to_status
from serving.page_tokens import PageTokens
from tests.fuzz.event_loop import AtOnce, finish
from tests.fuzz.filled_core import filled_core
from tests.fuzz.made_messages import ByteChoices, make
from tests.fuzz.target import Target
from tests.unit.gateway.doubles import MODEL, picture
from tests.unit.index_service.conftest import NEVER, fill
from tests.unit.index_service.engines_in_process import engine_of
from tests.unit.model.made_up_vocabulary import made_up

# After so many calls, the servicer gets a new, empty store.
_CALLS_A_STORE = 2_000
# These wait for background work, which does not run here.
_WAITING = {"ActivateModel", "ComputeMap"}
_MOST_REQUESTS, _MOST_RESPONSES = 3, 20
# This one ends only with its caller, and reports each second.
_MOST_REPORTS = {"HoldSnapshot": 2}
_OURS = {code_pb2.INTERNAL, code_pb2.UNKNOWN}
_CALL_SECONDS = 30.0
_VECTOR = np.array([0.6, 0.8, 0, 0], "<f4").tobytes()


class _Context:
    """What methods use of a call."""

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ()

    def set_trailing_metadata(self, metadata: object) -> None:
        pass

    def time_remaining(self) -> None:
        return None


@dataclass(frozen=True)
class _Service:
    """A service, what serves it, its errors, and values for its fields."""

    methods: Sequence[tuple[MethodDescriptor, object]]
    errors: ErrorTable
    known: Mapping[str, Sequence[Any]]

    async def call(self, content: bytes) -> None:
        """Call the method that the first byte chooses, with messages made of the others, or with these bytes."""
        choices = ByteChoices(content)
        method, servicer = self.methods[choices.number(0, len(self.methods) - 1)]
        requests: list[object] = []
        count = choices.number(0, _MOST_REQUESTS) if method.client_streaming else 1
        for _ in range(count):
            if choices.number(0, 7):
                requests.append(make(method.input_type, choices, self._values))
            else:
                requests.append(_decoded(method, choices.rest))
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                await _answer(getattr(servicer, method.name), method, requests)
        except Exception as error:
            status = to_status(error, self.errors)
            if status.code in _OURS:
                raise

    def _values(self, field: FieldDescriptor) -> list[Any]:
        return list(self.known.get(field.name, ()))


def _decoded(method: MethodDescriptor, content: bytes) -> Message | Undecodable:
    try:
        return GetMessageClass(method.input_type).FromString(content)
    except DecodeError:
        return Undecodable()


async def _answer(servicer_method: Callable[..., Any], method: MethodDescriptor, requests: Sequence[object]) -> None:
    request = checked(_each(requests) if method.client_streaming else requests[0])
    answer = servicer_method(request, _Context())
    if not method.server_streaming:
        await answer
        return
    async with aclosing(answer) as responses:
        count = 0
        async for _ in responses:
            count += 1
            if count == _MOST_REPORTS.get(method.name, _MOST_RESPONSES):
                return


async def _each(requests: Sequence[object]) -> AsyncIterator[object]:
    for request in requests:
        yield request


def _methods(servicers: Mapping[ServiceDescriptor, object]) -> list[tuple[MethodDescriptor, object]]:
    return [
        (method, servicer)
        for service, servicer in servicers.items()
        for method in service.methods
        if method.name not in _WAITING
    ]


class _Renewed:
    """A service that gets a new store after some calls."""

    def __init__(self, opening: Callable[[ExitStack, Path], _Service]) -> None:
        self._opening = opening
        self._stack = ExitStack()
        self._service: _Service | None = None
        self._left = 0

    def __call__(self, content: bytes) -> None:
        if not self._left or self._service is None:
            self._stack.close()
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="semsearch-fuzz-"))
            self._service, self._left = self._opening(self._stack, Path(folder)), _CALLS_A_STORE
        self._left -= 1
        finish(self._service.call(content))


def _gateway(_: ExitStack, folder: Path) -> _Service:
    core = finish(filled_core(folder))
    tokens = PageTokens(lambda: b"k" * 32)
    servicers = {
        search_service_pb2: SearchServicer(core.search, core.counting, core.tagging, tokens),
        gallery_service_pb2: GalleryServicer(
            core.gallery, core.duplicates, core.ingest, core.collections, tokens, ByteBudget(1)
        ),
        model_service_pb2: ModelServicer(core.embedder, core.switch, tokens),
        map_service_pb2: MapServicer(core.maps),
    }
    known = {
        "collection": ["", "gallery", "holiday"],
        "collection_id": ["gallery", "holiday"],
        "id": ["id-0", "id-1", "id-9", MODEL.id],
        "image_id": ["id-0", "id-1"],
        "ids": ["id-2", "id-9"],
        "query": ["red", "red blue", "red -green^2"],
        "text": ["red", "blue"],
        "content": [picture("red"), picture("blue")],
        "labels": ["red", "green", "blue"],
        "field": ["a", "image.width"],
        "paths": ["attributes", "attributes.a", "*"],
    }
    methods = _methods(
        {
            descriptor: servicer
            for file, servicer in servicers.items()
            for descriptor in file.DESCRIPTOR.services_by_name.values()
        }
    )
    return _Service(methods, gateway.api.statuses.ERRORS, known)


def _index(stack: ExitStack, folder: Path) -> _Service:
    local = stack.enter_context(open_catalog(folder / "index", engine_of, NEVER))
    catalog = stack.enter_context(open_backends(IndexSettings(), local))
    fill(catalog.create(IndexDefinition("items", 4, "model", engine=EngineKind.EXACT)), 20)
    leases = Leases(stack.enter_context(open_database(folder / "index")))
    threads = AtOnce()
    servicer = IndexServicer(catalog, leases, threads, ByteBudget(2**24))
    known = {
        "name": ["items", "other", "alias"],
        "index": ["items", "other"],
        "alias": ["alias"],
        "target": ["items"],
        "model_id": ["model", ""],
        "ids": ["0", "1", "nobody"],
        "id": ["0", "new"],
        "vector": [_VECTOR],
        "attributes": ['{"a": 1}', "{}", "{"],
        "attributes_json": ['{"a": 1}', "{}", "{"],
        "field": ["a", "b.c"],
        "dimension": [4],
        "paths": ["attributes", "attributes.a", "*"],
    }
    service = index_pb.DESCRIPTOR.services_by_name["IndexService"]
    return _Service(_methods({service: servicer}), index_service.api.statuses.ERRORS, known)


class _Models:
    """One loaded model, whose vectors are all the same."""

    active_id = MODEL.id

    @asynccontextmanager
    async def use(self, model_id: str = "") -> AsyncIterator[Any]:
        vocabulary = _vocabulary()
        yield SimpleNamespace(
            id=MODEL.id,
            images=self,
            vocabulary=vocabulary,
            words=vocabulary.table,
            manifest=SimpleNamespace(dimension=vocabulary.table.vectors.shape[1]),
        )

    def loaded(self, model_id: str) -> None:
        return None

    async def embed(self, images: Sequence[object]) -> list[ImageVector]:
        vector = np.ones(2, np.float32)
        return [ImageVector(vector, 1, 1, "image/png", b"", PhotoMetadata(), b"", Timings()) for _ in images]


@cache
def _vocabulary() -> Any:
    return made_up(("dog", "red", "sports car", "sofa"))


def _embedder(stack: ExitStack, folder: Path) -> _Service:
    threads = AtOnce()
    models, recipes = folder / "models", RecipeFolder(folder / "recipes")
    models.mkdir()
    starter = Path(__file__).parents[2] / "starter" / "bundle"
    model_folder = ModelFolder(models, starter, (starter,))
    servicer = EmbedderServicer(
        _Models(),  # type: ignore[arg-type]
        model_folder,
        Pulls(recipes, model_folder, "", threads),
        embedder_pb.Limits(max_images=256, max_queries=256),
        threads,
        ByteBudget(2**24),
        InstalledModels(model_folder, threads),
    )
    name = model_folder.default_id()
    known = {
        "model_id": ["", name],
        "id": [name, "", "made@sha256:0123456789ab"],
        "name": ["manifest.json", "words.txt", "card.md", "../manifest.json"],
        "raw": ["dog", "red -sofa"],
        "text": ["dog", "red"],
        "content": [b"{}", b"bytes"],
        "recipe": ["photos"],
    }
    service = embedder_pb.DESCRIPTOR.services_by_name["EmbedderService"]
    return _Service(_methods({service: servicer}), embedder_service.statuses.ERRORS, known)


def _seeds() -> list[bytes]:
    return [bytes([method]) + bytes([1, 2] * 40) for method in range(40)] + [bytes(range(n, n + 90)) for n in range(8)]


TARGETS = {
    "gateway": Target(_Renewed(_gateway), _seeds, max_bytes=1_024),
    "index": Target(_Renewed(_index), _seeds, max_bytes=1_024),
    "embedder": Target(_Renewed(_embedder), _seeds, max_bytes=1_024),
}
