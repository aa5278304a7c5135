"""The limits that the protos' comments state are those that the code enforces, and none is left unsaid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from semsearch import token_file

from embedder_service.limits import limits as of_embedder
from embedder_service.settings import EmbedderSettings
from gateway.api import gallery_servicer, model_servicer, search_servicer
from gateway.api.limits import limits as of_gateway
from gateway.settings import GatewaySettings
from index_service.api.limits import limits as of_index
from index_service.definition import DEFAULT_RECALL_TARGET
from index_service.settings import IndexSettings
from model.text import query
from serving.access import tokens
from serving.limits import Limit
from tests.unit.protos.comments import COMMENTS

PUBLIC = [
    import_module(f"semsearch.v1.{file.stem}_pb2")
    for file in (Path(__file__).parents[3] / "protos" / "semsearch" / "v1").glob("*_service.proto")
]
OF_GATEWAY = of_gateway(GatewaySettings.model_construct())
OF_EMBEDDER = of_embedder(EmbedderSettings.model_construct())
OF_ALL = (*OF_GATEWAY, *OF_EMBEDDER, *of_index(IndexSettings.model_construct()))


def written(limit: Limit) -> str:
    """Return a limit as a comment writes it."""
    most = int(limit.most) if limit.most == int(limit.most) else limit.most
    if limit.unit.startswith("bytes") and most >= 2**10:
        return f"{most // 2**20} MiB" if most >= 2**20 else f"{most // 2**10} KiB"
    return f"{most:,}"


def of(limits: tuple[Limit, ...], name: str, *units: str) -> tuple[str, ...]:
    """Return the limits of something that is no field, as comments write them."""
    return tuple(written(limit) for limit in limits if limit.name == name and (not units or limit.unit in units))


IMAGE = of(OF_EMBEDDER, "image", "bytes", "pixels")
MESSAGE = of(OF_GATEWAY, "message", "bytes")
QUERY = of(OF_EMBEDDER, "query")
# What the comments of fields must state beside the limits of these fields: defaults, and limits that others set.
OTHERS: dict[str, tuple[int | float | str, ...]] = {
    "access.v1.AccessToken.collections": (token_file.MAX_COLLECTIONS, tokens.MAX_COLLECTIONS),
    "access.v1.TokenFile.tokens": (token_file.MAX_TOKENS, tokens.MAX_TOKENS),
    "v1.BatchIndexImagesRequest.images": MESSAGE,
    "v1.ImageTerm.content": IMAGE,
    "v1.ImageUpload.content": of(OF_EMBEDDER, "image"),
    "v1.ListCollectionsRequest.page_size": (gallery_servicer.DEFAULT_PAGE_SIZE,),
    "v1.ListImagesRequest.page_size": (gallery_servicer.DEFAULT_PAGE_SIZE,),
    "v1.ListModelsRequest.page_size": (model_servicer.DEFAULT_PAGE_SIZE,),
    "v1.SearchByImageRequest.content": IMAGE,
    "v1.SearchByImageRequest.images": MESSAGE,
    "v1.SearchByImageRequest.page_size": (search_servicer.DEFAULT_PAGE_SIZE,),
    "v1.SearchByImageRequest.query": QUERY,
    "v1.SearchByTextRequest.page_size": (search_servicer.DEFAULT_PAGE_SIZE,),
    "v1.SearchByTextRequest.query": (*QUERY, query.MAX_WEIGHT),
    "v1.SimilarWordsRequest.page_size": (search_servicer.DEFAULT_PAGE_SIZE,),
    "v1.SimilarWordsRequest.query": QUERY,
    "v1.TagImageRequest.content": IMAGE,
    "v1.TagImageRequest.labels": of(OF_EMBEDDER, "query", "characters"),
    "v1.TagImageRequest.max_tags": (search_servicer.DEFAULT_TAGS,),
    "index.v1.Index.recall_target": (DEFAULT_RECALL_TARGET,),
}
OF_FIELDS = {limit.name.removeprefix("semsearch.") for limit in OF_ALL if limit.name.startswith("semsearch.")}
LIMITS = sorted(OF_FIELDS | OTHERS.keys())
# Fields of requests that name something which exists, or are limited by what holds them.
UNLIMITED = re.compile(
    r"\.(collection|image_id|backup_id|page_token|update_mask"
    r"|(Get|Download)ImageRequest\.id|(Get|Rename|Delete)CollectionRequest\.collection_id"
    r"|(Get|Activate)ModelRequest\.id|PullModelRequest\.recipe"
    r"|Filter\.\w+|TextRange\.\w+"
    r"|Image\.(?!attributes)\w+)$"
)


@pytest.mark.parametrize("name", LIMITS)
def test_a_comment_states_the_limits_of_the_code(name: str) -> None:
    own = [written(limit) for limit in OF_ALL if limit.name == f"semsearch.{name}"]
    for limit in (*own, *OTHERS.get(name, ())):
        text = limit if isinstance(limit, str) else f"{limit:,}".removesuffix(".0")
        assert re.search(rf"(?<![\d,.]){re.escape(text)}(?![.,]?\d)", COMMENTS[name]), (text, COMMENTS[name])


def request_fields(message: Descriptor, seen: set[str]) -> Iterator[FieldDescriptor]:
    """Yield the fields of a request and of our messages in it."""
    if message.full_name not in seen:
        seen.add(message.full_name)
        for field in message.fields:
            yield field
            if field.message_type is not None and field.message_type.full_name.startswith("semsearch."):
                yield from request_fields(field.message_type, seen)


def test_every_public_field_that_could_be_too_large_states_its_limit() -> None:
    seen: set[str] = set()
    fields = [
        field
        for module in PUBLIC
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
        for field in request_fields(method.input_type, seen)
    ]
    unsaid = [
        field.full_name
        for field in fields
        if field.is_repeated
        or field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
        or (field.message_type is not None and field.message_type.full_name == "google.protobuf.Struct")
        if field.full_name.removeprefix("semsearch.") not in LIMITS and not UNLIMITED.search(field.full_name)
    ]
    assert not unsaid, f"State their limits in the protos, and in the list of their service's limits: {unsaid}"
