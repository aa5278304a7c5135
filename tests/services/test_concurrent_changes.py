"""Changes of one image at the same time, through a gateway, an index and sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from google.protobuf import field_mask_pb2
from semsearch.v1 import gallery_service_pb2 as gallery
from semsearch.v1 import image_pb2
from semsearch.v1 import search_service_pb2 as search

from tests.services.gateway_stack import CALL_SECONDS, Stack, image, stack, struct
from tests.unit.gateway.core import until
from tests.unit.gateway.doubles import picture, sha256

__all__ = ["stack"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

RED, BLUE, GREEN = picture("red"), picture("blue"), picture("green")
ROUNDS = 12


async def described(stack: Stack, collection: str, image_id: str) -> image_pb2.Image:
    return (await stack.gallery.GetImage(gallery.GetImageRequest(id=image_id, collection=collection))).image


async def nearest(stack: Stack, collection: str, content: bytes) -> search.ImageMatch:
    request = search.SearchByImageRequest(content=content, collection=collection)
    return (await stack.search.SearchByImage(request)).matches[0]


async def test_changes_of_attributes_undo_no_upload_and_are_undone_by_none(stack: Stack) -> None:
    name = await stack.new_collection()
    await stack.index(name, [image(0, RED, "x")])

    async def upload(number: int) -> None:
        content = (RED, BLUE)[number % 2]
        request = gallery.BatchIndexImagesRequest(
            collection=name, images=[image(number, content, "x", {"uploaded": number})]
        )
        answer = await stack.gallery.BatchIndexImages(request, timeout=CALL_SECONDS)
        assert not answer.results[0].HasField("status")

    changed = 0
    for number in range(1, ROUNDS):
        uploading = asyncio.create_task(upload(number))
        while not uploading.done():
            changed += 1
            await stack.gallery.UpdateImage(
                gallery.UpdateImageRequest(
                    image=image_pb2.Image(id="x", collection=name, attributes=struct({"changed": changed})),
                    update_mask=field_mask_pb2.FieldMask(paths=["attributes.changed"]),
                )
            )
        await uploading
        content = (RED, BLUE)[number % 2]
        stored = await described(stack, name, "x")
        assert (stored.sha256, stored.size_bytes) == (sha256(content), len(content))
        assert stored.attributes["uploaded"] == number
        assert (await nearest(stack, name, content)).similarity == pytest.approx(1.0, abs=1e-4)


async def test_deleting_an_image_that_a_stream_sends_again_does_not_end_the_stream(stack: Stack) -> None:
    name = await stack.new_collection()
    await stack.index(name, [image(0, RED, "x", {"n": 0})])
    embedder = stack.embedder

    async def requests() -> AsyncIterator[gallery.IndexImagesRequest]:
        yield gallery.IndexImagesRequest(config=gallery.IndexImagesConfig(collection=name))
        yield gallery.IndexImagesRequest(image=image(1, BLUE, "before"))
        await until(lambda: embedder.images_waiting == 1)
        # The stream is planned in its order, so the next one is planned once the last one is to be embedded.
        yield gallery.IndexImagesRequest(image=image(2, RED, "x", {"n": 2}))
        yield gallery.IndexImagesRequest(image=image(3, GREEN, "after"))

    async def results() -> list[gallery.IndexImagesResult]:
        stream = stack.gallery.IndexImages(requests(), timeout=CALL_SECONDS)
        return [result async for response in stream for result in response.results]

    embedder.images_may_flow.clear()
    try:
        adding = asyncio.create_task(results())
        await until(lambda: embedder.images_waiting == 2)
        deleted = await stack.gallery.DeleteImages(gallery.DeleteImagesRequest(ids=["x"], collection=name))
        assert deleted.deleted_count == 1
    finally:
        embedder.images_may_flow.set()

    assert [(each.id, each.HasField("status")) for each in await adding] == [
        ("before", False),
        ("x", False),
        ("after", False),
    ]
    assert (await described(stack, name, "x")).attributes["n"] == 2
    assert (await nearest(stack, name, RED)).image.id == "x"
