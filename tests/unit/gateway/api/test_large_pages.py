"""Pages of images with large attributes, from an index that returns as much as requested."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import image_pb2
from semsearch.v1 import search_service_pb2 as search

from gateway.api.gallery_servicer import GalleryServicer
from gateway.api.search_servicer import SearchServicer
from serving.byte_budget import ByteBudget
from serving.page_tokens import PageTokens
from tests.unit.gateway.core import Core, upload
from tests.unit.gateway.doubles import picture

DEFAULT_MOST_BYTES = 4 * 2**20  # of a message that a client accepts
IDS = [f"large-{number:02}" for number in range(60)]
TOKENS = PageTokens(lambda: b"key")
CONTEXT: Any = None

Pages = Callable[[str], Awaitable[tuple[Any, Sequence[image_pb2.Image]]]]


@pytest.fixture
async def large(core: Core) -> Core:
    """A collection of images with 100 kB of attributes each."""
    uploads = [
        upload(n, picture("red", seed=n), image_id, {"text": "x" * 100_000, "n": float(n)})
        for n, image_id in enumerate(IDS)
    ]
    assert all(result.error is None for result in await core.add(*uploads))
    return core


async def walk(pages: Pages) -> list[str]:
    ids: list[str] = []
    token = ""
    while True:
        page, images = await pages(token)
        assert 0 < page.ByteSize() < DEFAULT_MOST_BYTES
        ids += [image.id for image in images]
        token = page.next_page_token
        if not token:
            return ids


async def test_a_list_of_images_with_large_attributes(large: Core) -> None:
    servicer = GalleryServicer(large.gallery, large.duplicates, large.ingest, large.collections, TOKENS, ByteBudget(1))

    async def pages(token: str) -> tuple[Any, Sequence[image_pb2.Image]]:
        page = await servicer.ListImages(gallery.ListImagesRequest(page_size=50, page_token=token), CONTEXT)
        return page, page.images

    assert await walk(pages) == IDS


async def test_a_search_by_text_for_images_with_large_attributes(large: Core) -> None:
    servicer = SearchServicer(large.search, large.counting, large.tagging, TOKENS)

    async def pages(token: str) -> tuple[Any, Sequence[image_pb2.Image]]:
        request = search.SearchByTextRequest(query="red", page_size=50, page_token=token, min_relevance=0)
        page = await servicer.SearchByText(request, CONTEXT)
        return page, [match.image for match in page.matches]

    assert sorted(await walk(pages)) == IDS


async def test_a_search_by_image_for_images_with_large_attributes(large: Core) -> None:
    servicer = SearchServicer(large.search, large.counting, large.tagging, TOKENS)

    async def pages(token: str) -> tuple[Any, Sequence[image_pb2.Image]]:
        request = search.SearchByImageRequest(image_id=IDS[5], page_size=50, page_token=token)
        page = await servicer.SearchByImage(request, CONTEXT)
        return page, [match.image for match in page.matches]

    assert sorted([*await walk(pages), IDS[5]]) == IDS
