"""What calls cost in quotas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from semsearch.embedder.v1 import embedder_service_pb2 as embedder
from semsearch.index.v1 import index_service_pb2 as index
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import search_service_pb2 as search

from embedder_service.costs import COSTS as EMBEDDER
from gateway.api.costs import COSTS as GATEWAY
from index_service.api.costs import COSTS as INDEX

DESCRIPTORS = Path(__file__).parents[3] / "client" / "protos.binpb"
COSTS = {**GATEWAY, **EMBEDDER, **INDEX}


def test_every_rpc_has_a_cost() -> None:
    rpcs = {
        f"{file.package}.{service.name}/{method.name}"
        for file in FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file
        if file.package.startswith("semsearch.")
        for service in file.service
        for method in service.method
    }
    assert rpcs == COSTS.keys()


@pytest.mark.parametrize(
    ("method", "request_", "cost"),
    [
        ("v1.SearchService/SearchByText", search.SearchByTextRequest(query="dog"), {"read": 1}),
        ("v1.SearchService/SearchByImage", search.SearchByImageRequest(image_id="a"), {"read": 1}),
        ("v1.SearchService/SearchByImage", search.SearchByImageRequest(content=b"a"), {"read": 1, "embed": 1}),
        (
            "v1.SearchService/SearchByImage",
            search.SearchByImageRequest(images=[{"content": b"a"}, {"image_id": "a"}, {"content": b"b"}]),
            {"read": 1, "embed": 2},
        ),
        (
            "v1.SearchService/CountMatches",
            search.CountMatchesRequest(by_image={"content": b"a"}),
            {"read": 1, "embed": 1},
        ),
        ("v1.SearchService/TagImage", search.TagImageRequest(content=b"a"), {"read": 1, "embed": 1}),
        # Of a stored image the vector is known, but not that of a part.
        ("v1.SearchService/SearchByImage", search.SearchByImageRequest(image_id="a", crop={}), {"read": 1, "embed": 1}),
        (
            "v1.SearchService/SearchByImage",
            search.SearchByImageRequest(
                images=[{"image_id": "a", "crop": {}}, {"image_id": "a"}, {"content": b"b", "crop": {}}]
            ),
            {"read": 1, "embed": 2},
        ),
        (
            "v1.SearchService/CountMatches",
            search.CountMatchesRequest(by_image={"image_id": "a", "crop": {"right": 0.5}}),
            {"read": 1, "embed": 1},
        ),
        ("v1.SearchService/TagImage", search.TagImageRequest(image_id="a", crop={}), {"read": 1, "embed": 1}),
        ("v1.SearchService/TagImage", search.TagImageRequest(image_id="a"), {"read": 1}),
        ("v1.SearchService/TagImage", search.TagImageRequest(image_ids=["a", "b"]), {"read": 1}),
        ("v1.GalleryService/IndexImages", gallery.IndexImagesRequest(config={}), {"read": 1}),
        ("v1.GalleryService/IndexImages", gallery.IndexImagesRequest(image={}), {"write": 1, "embed": 1}),
        (
            "v1.GalleryService/BatchIndexImages",
            gallery.BatchIndexImagesRequest(images=[{}, {}]),
            {"write": 2, "embed": 2},
        ),
        ("v1.GalleryService/DeleteImages", gallery.DeleteImagesRequest(ids=["a", "b", "c"]), {"write": 3}),
        ("v1.GalleryService/UpdateImage", gallery.UpdateImageRequest(), {"write": 1}),
        ("v1.GalleryService/DownloadImage", gallery.DownloadImageRequest(), {"read": 1}),
        ("embedder.v1.EmbedderService/EmbedImages", embedder.EmbedImagesRequest(images=[{}, {}]), {"embed": 2}),
        ("embedder.v1.EmbedderService/EmbedText", embedder.EmbedTextRequest(queries=[{}]), {"read": 1}),
        ("index.v1.IndexService/UpsertItems", index.UpsertItemsRequest(items=[{}, {}]), {"write": 2}),
        ("index.v1.IndexService/Search", index.SearchRequest(queries=[{}, {}]), {"read": 2}),
    ],
)
def test_the_cost_of_a_request(method: str, request_: Any, cost: dict[str, int]) -> None:
    assert COSTS[f"semsearch.{method}"](request_) == cost


@pytest.mark.parametrize(
    ("method", "request_of", "most"),
    [
        (
            "v1.SearchService/SearchByImage",
            lambda count: search.SearchByImageRequest(images=[{"content": b"a"}] * count),
            {"read": 1, "embed": 16},
        ),
        (
            "v1.SearchService/CountMatches",
            lambda count: search.CountMatchesRequest(by_image={"images": [{"content": b"a"}] * count}),
            {"read": 1, "embed": 16},
        ),
        (
            "v1.GalleryService/BatchIndexImages",
            lambda count: gallery.BatchIndexImagesRequest(images=[{}] * count),
            {"write": 100, "embed": 100},
        ),
        (
            "v1.GalleryService/DeleteImages",
            lambda count: gallery.DeleteImagesRequest(ids=["a"] * count),
            {"write": 1_000},
        ),
        (
            "embedder.v1.EmbedderService/EmbedImages",
            lambda count: embedder.EmbedImagesRequest(images=[{}] * count),
            {"embed": 256},
        ),
        (
            "embedder.v1.EmbedderService/EmbedText",
            lambda count: embedder.EmbedTextRequest(queries=[{}] * count),
            {"read": 1_000},
        ),
        (
            "index.v1.IndexService/UpsertItems",
            lambda count: index.UpsertItemsRequest(items=[{}] * count),
            {"write": 5_000},
        ),
        (
            "index.v1.IndexService/DeleteItems",
            lambda count: index.DeleteItemsRequest(ids=["a"] * count),
            {"write": 5_000},
        ),
        (
            "index.v1.IndexService/Search",
            lambda count: index.SearchRequest(queries=[{}] * count),
            {"read": 1_000},
        ),
    ],
)
def test_a_request_that_is_refused_for_its_length_costs_as_much_as_the_longest_that_is_not(
    method: str, request_of: Callable[[int], Any], most: dict[str, int]
) -> None:
    assert COSTS[f"semsearch.{method}"](request_of(max(most.values()))) == most
    assert COSTS[f"semsearch.{method}"](request_of(100_000)) == most
